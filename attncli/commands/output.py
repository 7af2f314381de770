"""Where results go: a report or arrays, to stdout or through `commit` to a file."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from attncli.errors import OutputError, Place, UsageError

if TYPE_CHECKING:
    from attncli.commands.options import Options
    from attncli.core.problem import Notation, Problem
    from attncli.core.tiled import Into
    from attncli.formats.display import Display
    from attncli.solve import Trace

Writer = Callable[[BinaryIO], object]


@dataclass(frozen=True)
class Destination:
    """What is written, and where: `path` is None for stdout."""

    path: Path | None
    format: str
    """A report's format, or npy, npz or safetensors."""
    force: bool
    quiet: bool
    notation: "Notation | None" = None
    """The notation to write in; None: the problem's own."""

    @classmethod
    def of(cls, options: "Options") -> "Destination":
        """From `-o` and `--format`: the suffix chooses where the format is not given.

        Raises before anything is computed if the file exists or its kind is unknown.
        """
        from attncli.formats import FORMATS
        from attncli.formats.files import format_of

        if options.format is not None and options.format not in FORMATS:
            raise UsageError(
                f"--format {options.format}", expected=", ".join(FORMATS), found=options.format
            )
        if options.output in (None, "-"):
            return cls(None, options.format or "table", options.force, options.quiet)
        path = Path(options.output)
        format = options.format or format_of(path)
        refuse_existing(path, options.force)
        return cls(path, format, options.force, options.quiet, options.notation)

    @property
    def is_arrays(self) -> bool:
        from attncli.formats.files import ARRAYS

        return self.format in ARRAYS.values()

    def kept(self, display: "Display", problem: "Problem") -> set[str] | None:
        """The steps that must be kept; None for as many as are shown."""
        if self.format == "npy":
            return set()
        kept = display.kept()
        if kept is None and self.is_arrays:
            return {*problem.step_names()}  # whoever keeps arrays wants every one of them
        return None if kept is None else set(kept)

    def write(
        self, compute: "Callable[[Into | None], Trace]", problem: "Problem", display: "Display"
    ) -> "Trace":
        """Compute the steps and write them: arrays, or a report.

        An output alone that lies as it is computed goes to its file row by row.
        """
        shown = problem.presentation
        notation = self.notation or shown.notation
        as_computed = notation == "rows" and shown.layout == "heads-first"
        if self.format != "npy" or display.focus or not as_computed:
            trace = compute(None)
            self.report(trace, display)
            return trace
        made: list[Trace] = []

        def write(file: BinaryIO) -> None:
            from attncli.files.npy import write_npy
            from attncli.files.rows import allocator

            trace = compute(allocator(file))
            made.append(trace)
            if file.seekable() and file.tell():
                return  # its rows are there
            write_npy(file, trace.output)

        self._commit(write)
        self.say(f"wrote {self.path}: output")
        return made[0]

    def report(self, trace: "Trace", display: "Display") -> None:
        """Write steps that are computed."""
        if self.is_arrays:
            from attncli.formats.files import arrays_of, write_arrays

            arrays = arrays_of(trace, display, steps=self.format != "npy")
            self._commit(lambda file: write_arrays(self.format, file, arrays))
            what = ", ".join(arrays)
        else:
            from attncli.formats import render

            text = render(trace, display, self.format)
            if self.path is None:
                sys.stdout.write(text if text.endswith("\n") else text + "\n")
                sys.stdout.flush()
                return
            self._commit(lambda file: file.write((text.rstrip("\n") + "\n").encode("utf-8")))
            from attncli.core.shapes import count
            from attncli.formats.view import views

            n = sum(1 for _ in views(trace, display))
            what = f"{count(n, 'step')} as {self.format}"
        self.say(f"wrote {self.path}: {what}")

    def _commit(self, write: "Writer") -> None:
        from attncli.files.commit import commit

        assert self.path is not None
        commit(self.path, write, force=self.force)

    def say(self, line: str) -> None:
        """One line on stderr, unless quiet."""
        if not self.quiet:
            from attncli.formats.display import plain

            print(plain(line), file=sys.stderr)

    def suggest(self, trace: "Trace", sources: Sequence[str]) -> None:
        """The next command to try, for people at a terminal."""
        if self.path is not None or self.quiet or self.format != "table" or not sys.stdout.isatty():
            return
        if "query" not in trace.problem.sizes():
            return
        from attncli.formats.display import command

        names = trace.labels.names("weights", "query", trace.problem.sizes()["query"])
        # A word that stands there once, and that explain takes for nothing else.
        clear = (n for n in reversed(names) if n.isalnum() and names.count(n) == 1)
        place = next((name for name in clear if name not in trace.names), "0")
        tries = ["explain", *sources, place]
        if "-" in sources:
            tries = ["attend", "PROBLEM", "--focus", place]
        print(f"\nnext: {command(*tries)}")


def refuse_existing(path: Path, force: bool) -> None:
    """Raise `OutputError` where a file would be replaced without `--force`."""
    if os.path.isfile(path) and not force:
        raise OutputError("the file exists", hint="--force replaces it", place=Place(str(path)))
