"""What people see while a batch runs: a display on a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

from attncli.formats.display import command, plain

if TYPE_CHECKING:
    from attncli.batch.journal import Record
    from attncli.batch.run import Run

EVERY = 5.0
"""Seconds between two lines where there is no terminal."""
MOST_ERRORS = 20
"""Failures whose words are shown; the report has all of them."""

LONGEST = 2000
"""Letters of a command that is printed to be run again."""


class Progress:
    """Says on stderr how far a run is: nothing while quiet, a line now and then by default."""

    def __init__(self, run: "Run", quiet: bool) -> None:
        self.run = run
        self.quiet = quiet
        self._errors = 0
        self._said = monotonic()

    @classmethod
    def of(cls, run: "Run", quiet: bool) -> "Progress":
        """For this stderr: a live display on a terminal."""
        from attncli.commands.terminal import moves

        if quiet or not moves(sys.stderr):
            return cls(run, quiet)
        from attncli.commands.live import Live

        return Live(run, quiet)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def failed(self, record: "Record") -> None:
        """A job failed: its words, for the first ones."""
        self._errors += 1
        if self._errors <= MOST_ERRORS:
            for line in (record.error or "").splitlines():
                self.say(line)
        elif self._errors == MOST_ERRORS + 1:
            self.say("more have failed: the report says why")

    def tick(self) -> None:
        """Called every now and then."""
        if self.quiet or monotonic() - self._said < EVERY:
            return
        self._said = monotonic()
        self.say(self.line())

    def line(self, width: int | None = None) -> str:
        """How far the run is, in a line of at most so many letters."""
        counts, n = self.run.counts, len(self.run.jobs)
        rate = counts.done / max(monotonic() - self.run.started, 1e-9)
        parts = [f"{counts.done} of {n} done", f"{counts.failed} failed", f"{rate:.3g}/s"]
        if rate:
            parts.append(f"{duration((n - counts.done) / rate)} left")
        while width is not None and len(", ".join(parts)) > width:
            parts.pop()
        return ", ".join(parts)

    def say(self, line: str) -> None:
        """One line on stderr."""
        print(plain(line), file=sys.stderr)

    def summary(self, report: Path, arguments: Sequence[str]) -> None:
        """The last lines: what to run again, and the counts."""
        if self.quiet:
            return
        counts = self.run.counts
        left = len(self.run.jobs) - counts.done
        if counts.failed or left:
            again = command(*arguments)
            if len(again) > LONGEST:  # a pattern that the shell has spelled out
                again = f"the same command ({len(arguments)} words) does the rest"
            self.say(f"again: {again}")
        line = f"{counts.ok} ok, {counts.failed} failed, {counts.skipped} skipped"
        if left:
            line += f", {left} not run"
        self.say(f"{line} (see {report})")


def duration(seconds: float) -> str:
    """Seconds as people say them: 40 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
