"""One job, from its entries to its output: the same on a thread here and on a cluster's worker."""

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any, BinaryIO

from attncli.batch.estimate import estimate, has_large_inputs
from attncli.batch.jobs import Job
from attncli.batch.journal import Record
from attncli.batch.settings import Settings
from attncli.core.problem import Problem
from attncli.core.step import Array, Step
from attncli.errors import AttncliError, known
from attncli.files.build import build
from attncli.files.commit import commit
from attncli.files.snapshot import Snapshot, hash_of, taking
from attncli.files.staging import Stage
from attncli.formats import render
from attncli.formats.chosen import known_steps, names
from attncli.formats.display import Display
from attncli.formats.files import ARRAYS, arrays_of, format_of, write_arrays
from attncli.solve import Trace, solve


class AbandonedError(AttncliError):
    """The job is over for its run: what it computes is no longer wanted."""


def _go_on() -> None:
    """Nothing stops the job."""


@dataclass
class Surroundings:
    """What a job runs in."""

    stage: Stage = field(default_factory=Stage)
    max_memory: int | None = None
    reserve: Callable[[int], AbstractContextManager[None]] = lambda needed: nullcontext()
    """Waits until so many bytes may be taken; raises `LimitError` if they never may."""
    go_on: Callable[[], None] = _go_on
    """Called between steps; raises `AbandonedError`."""
    last_look: Callable[[], None] = _go_on
    """Called once before the output is written; what passes is written."""
    ours: bool = False
    """Whether the output may be replaced."""


def run(job: Job, settings: Settings, around: Surroundings) -> Record:
    """Do a job once; whatever fails is in the record."""
    started = perf_counter()
    with taking() as seen:
        try:
            digest = _output(job, settings, around, seen)
            record = Record(
                job.index, job.output, "ok", parameters=settings.parameters(job), sha256=digest
            )
        except AbandonedError:
            raise
        except Exception as error:
            record = failed(job, settings, known(error))
    here = str(job.base) + os.sep  # paths are written as the manifest would write them
    inputs = {path.removeprefix(here): value for path, value in seen.hashes.items()}
    return replace(record, seconds=round(perf_counter() - started, 6), inputs=inputs)


def failed(job: Job, settings: Settings, error: AttncliError) -> Record:
    """What became of a job that could not be done."""
    return Record(
        job.index,
        job.output,
        "failed",
        error="\n".join(error.lines()),
        exit_code=error.exit_code,
        parameters=settings.parameters(job),
    )


def holds(job: Job, settings: Settings, record: Record | None, stage: Stage) -> bool:
    """Whether a job is done: its record's hashes of parameters, inputs and output are still true.

    An output that a killed run left aside is taken over.
    """
    if record is None or record.status != "ok" or record.sha256 is None:
        return False
    if record.parameters != settings.parameters(job):
        return False
    for path, value in record.inputs.items():
        if hash_of(job.base / path) != value:
            return False
    return hash_of(job.path) == record.sha256 or stage.adopt(job.path, record.sha256, force=True)


def _output(job: Job, settings: Settings, around: Surroundings, seen: Snapshot) -> str:
    """Compute and write; the SHA-256 of the output."""
    entries, base, name = job.entries(settings.flags)
    if has_large_inputs(entries, base):
        # Known before any of it is taken.
        with around.reserve(estimate(entries, base, name).needed(kept(job, settings))):
            return _computed(job, settings, around, seen, build(entries, base, name))
    problem = build(entries, base, name)
    with around.reserve(problem.memory(kept(job, settings))):
        return _computed(job, settings, around, seen, problem)


def kept(job: Job, settings: Settings) -> Collection[str] | None:
    """The names of the steps that a job keeps, as they were chosen; None for all."""
    return () if format_in(job, settings) == "npy" else _chosen(job, settings)


def _chosen(job: Job, settings: Settings) -> tuple[str, ...] | None:
    chosen = job.steps if settings.steps is None else settings.steps
    return names(chosen) if chosen is None or isinstance(chosen, str) else chosen


def _computed(
    job: Job, settings: Settings, around: Surroundings, seen: Snapshot, problem: Problem
) -> str:
    format = format_in(job, settings)
    steps = known_steps(_chosen(job, settings), problem)
    display = Display(steps=steps, digits=settings.digits)
    trace = solve(
        problem,
        backend=settings.backend,
        notation=settings.notation,
        keep=() if format == "npy" else display.kept(),
        max_memory=around.max_memory,
        notes=format not in ARRAYS.values(),
        change=None if settings.timeout is None else _watched(around.go_on),
    )
    seen.check()
    around.last_look()
    return _written(job.path, format, trace, display, around)


def _watched(go_on: Callable[[], None]) -> Callable[[Step], Array]:
    def value(step: Step) -> Array:
        go_on()
        return step.value

    return value


@lru_cache(maxsize=64)
def _format_of(suffix: str) -> str:
    return format_of(Path("out" + suffix))


def format_named(output: str) -> str:
    """How an output is written, by its suffix; raises `UsageError`."""
    return _format_of(os.path.splitext(output)[1])


def format_in(job: Job, settings: Settings) -> str:
    """How a job's output is written."""
    return settings.format or format_named(job.output)


def _written(path: Path, format: str, trace: Trace, display: Display, around: Surroundings) -> str:
    """Write a trace: what is small through the stage, what is large at once."""
    if format not in ARRAYS.values():
        text = render(trace, display, format)
        return around.stage.add(path, text.encode("utf-8"), force=around.ours)
    arrays = arrays_of(trace, display, steps=format != "npy")
    if sum(array.nbytes for array in arrays.values()) <= around.stage.most:
        buffer = BytesIO()
        write_arrays(format, buffer, arrays)
        return around.stage.add(path, buffer.getvalue(), force=around.ours)
    return _commit_large(path, format, arrays, around.ours)


def _commit_large(path: Path, format: str, arrays: Mapping[str, Any], force: bool) -> str:
    digest = ""

    def write(file: BinaryIO) -> None:
        nonlocal digest
        write_arrays(format, file, dict(arrays))
        file.flush()
        with open(file.name, "rb") as again:  # zip goes back in a file: no hash on the way
            digest = hashlib.file_digest(again, "sha256").hexdigest()

    commit(path, write, force=force)
    return digest
