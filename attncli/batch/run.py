"""One run of a batch: what is to do, what became of it, and the report at its end.

Engines (`local.Threads`, `remote.Workers`) do its jobs and give records to `take`; all they may
forget is a job in the making.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from os.path import exists, join, normpath, relpath
from pathlib import Path
from threading import Lock
from time import monotonic

from attncli.batch.jobs import Job, Manifest
from attncli.batch.journal import Journal, Record
from attncli.batch.settings import Settings
from attncli.batch.work import format_named, holds
from attncli.errors import AttncliError, InputError, OutputError, UsageError
from attncli.files.commit import failure
from attncli.files.staging import Stage, clear


@dataclass
class Counts:
    """How far a run is."""

    ok: int = 0
    failed: int = 0
    skipped: int = 0
    """Done by an earlier run, and still so."""

    @property
    def done(self) -> int:
        return self.ok + self.failed + self.skipped


@dataclass
class Run:
    """The state of a run, which engines and the progress display share."""

    manifest: Manifest
    settings: Settings
    journal: Journal
    on_failure: Callable[[Record], None] = lambda record: None
    stage: Stage = field(default_factory=Stage)
    counts: Counts = field(default_factory=Counts)
    running: dict[int, str] = field(default_factory=dict)
    """The jobs in the making: a number of the engine's, and the output."""
    started: float = field(default_factory=monotonic)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._before = dict(self.journal.records)
        self._base = base_in(self.journal.path, self.manifest)

    @property
    def jobs(self) -> tuple[Job, ...]:
        return self.manifest.jobs

    def prepare(self) -> None:
        """Make sure that nothing of others is replaced, then claim the outputs.

        Raises `OutputError`, `InputError` before any work is done.
        """
        strangers = [job for job in self.jobs if not self.ours(job) and exists(job.path)]
        if strangers:
            raise _exist(strangers)
        for directory in {job.path.parent for job in self.jobs}:
            try:
                directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise failure(directory, error) from error
        new = [job for job in self.jobs if self._name(job) not in self._before]
        self.journal.add((Record(job.index, self._name(job), "waiting") for job in new), sync=True)

    def ours(self, job: Job) -> bool:
        """Whether the output may be replaced: some run of this batch began it, or `--force`."""
        return self.settings.force or self._name(job) in self._before

    def holds(self, job: Job) -> bool:
        """Whether a job is done already; it then counts as skipped."""
        record = self._before.get(self._name(job))
        if not holds(job, self.settings, record, self.stage):
            return False
        assert record is not None
        with self._lock:
            self.counts.skipped += 1
            self.journal.records[record.output] = replace(record, job=job.index)
        return True

    def take(self, record: Record) -> None:
        """Enter what became of a job; its output is named as in the manifest."""
        record = replace(record, output=join(self._base, record.output))
        self.journal.add((record,))
        with self._lock:
            self.journal.records[record.output] = record
            if record.status == "ok":
                self.counts.ok += 1
            else:
                self.counts.failed += 1
        if record.status == "failed":
            self.on_failure(record)

    def settle(self) -> None:
        """Put finished outputs in place; what cannot go there has failed after all."""
        for path, error in self.stage.settle():
            self._fails_after_all(path, error)

    def close(self) -> None:
        """Settle, and leave a report with one record a job.

        Behind them stay those of other batches that share the report, while their outputs exist.
        """
        try:
            self.settle()
        except BaseException:
            self.journal.leave()
            raise
        records = dict(self.journal.records)
        mine = []
        for job in self.jobs:
            name = self._name(job)
            record = records.pop(name, Record(job.index, name, "waiting"))
            mine.append(replace(record, job=job.index))
        others = (it for it in records.values() if exists(self.journal.path.parent / it.output))
        self.journal.close([*mine, *others])
        clear((self.journal.path, *(job.path for job in self.jobs)))

    def _name(self, job: Job) -> str:
        return join(self._base, job.output)

    def _fails_after_all(self, path: Path, error: AttncliError) -> None:
        place = normpath(path)
        for job in self.jobs:
            if normpath(job.path) != place:
                continue
            record = self.journal.records[self._name(job)]
            with self._lock:
                self.counts.ok -= 1
            self.take(
                replace(
                    record,
                    output=job.output,
                    status="failed",
                    error="\n".join(error.lines()),
                    exit_code=error.exit_code,
                    sha256=None,
                )
            )


def base_in(report: Path, manifest: Manifest) -> str:
    """What stands before the outputs of a manifest in a report: where they lie, seen from there.

    Nothing where both lie in one directory. Other batches may share the report, and their outputs
    have the same names elsewhere.
    """
    base = relpath(manifest.base, report.parent)
    return "" if base == "." else base


def check_outputs(manifest: Manifest, settings: Settings) -> None:
    """Refuse outputs whose suffix says nothing, with the place of the first."""
    if settings.format is not None:
        return
    for job in manifest.jobs:
        try:
            format_named(job.output)
        except UsageError as error:
            raise InputError(
                f"output: {job.output}: the suffix says what to write",
                expected=error.expected,
                found=error.found,
                place=job.place,
            ) from None


def _exist(strangers: list[Job]) -> OutputError:
    first = ", ".join(str(job.path) for job in strangers[:3])
    more = f" and {len(strangers) - 3} more" if len(strangers) > 3 else ""
    exist, them = ("exists", "it") if len(strangers) == 1 else ("exist", "them")
    return OutputError(
        f"{first}{more} {exist}, and the report does not know {them}",
        hint=f"--force replaces {them}",
    )
