"""`batch --dry-run`: the jobs, what each will take, and nothing done."""

import sys
from functools import partial
from os.path import join
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from attncli.commands.options import Options
from attncli.commands.output import aligned
from attncli.commands.progress import duration
from attncli.commands.terminal import encodes_unicode
from attncli.errors import AttncliError

if TYPE_CHECKING:
    from attncli.batch.jobs import Job, Manifest
    from attncli.batch.settings import Settings

OVERHEAD = 5e-4
"""Seconds for reading, checking, writing and entering a small job."""
SAMPLE = 384, 64
"""Queries and width of the attention that is timed to know this machine."""


def listing(
    manifest: "Manifest", settings: "Settings", report: Path, n_threads: int, options: Options
) -> None:
    """Print the jobs with sizes, memory and time; then the sums."""
    from attncli import machine
    from attncli.batch.journal import Journal
    from attncli.batch.run import base_in
    from attncli.batch.work import holds
    from attncli.core.shapes import count
    from attncli.files.staging import Stage
    from attncli.formats.display import plain, spelled
    from attncli.solve import size_of

    unicode = encodes_unicode(sys.stdout.encoding)
    words = str if unicode else spelled
    theirs = partial(plain, ascii=not unicode)
    before, base = Journal.peek(report), base_in(report, manifest)
    allowed = options.memory_limit() or machine.free_memory()
    rate = _rate()
    rows, total, most, refused = [], 0.0, 0, 0
    left = 0
    for job in manifest.jobs:
        if holds(job, settings, before.get(join(base, job.output)), Stage()):
            rows.append((str(job.index), theirs(job.output), "done", "", ""))
            continue
        left += 1
        try:
            needed, whole, facts = _needs(job, settings)
        except AttncliError as error:
            refused += 1
            fails = theirs(words(f"fails: {error.what}"))
            rows.append((str(job.index), theirs(job.output), fails, "", ""))
            continue
        seconds = OVERHEAD + whole / rate
        total, most = total + seconds, max(most, needed)
        note = " over the limit" if needed > allowed else ""
        memory = size_of(needed) + note
        rows.append((str(job.index), theirs(job.output), words(facts), memory, _time(seconds)))
    heads = ("job", "output", "computes", "memory", "time")
    for line in aligned([heads, *rows], right=(0, 3, 4)):
        print(line)
    done = len(manifest.jobs) - left
    parts = [count(len(manifest.jobs), "job"), f"{done} done", f"{left} to do"]
    if refused:
        parts.append(f"{refused} will fail")
    if left > refused:
        parts.append(f"about {_time(total / min(n_threads, left))} on {count(n_threads, 'thread')}")
        parts.append(f"at most {size_of(most)} a job, {size_of(allowed)} allowed")
    print(", ".join(parts))


def _needs(job: "Job", settings: "Settings") -> tuple[int, int, str]:
    """Bytes that the job takes at once, bytes of all its steps, and its sizes in words."""
    from attncli.batch.estimate import estimate
    from attncli.batch.work import kept

    expected = estimate(*job.entries(settings.flags))
    problem = expected.problem
    return expected.needed(kept(job, settings)), problem.memory(None), " · ".join(problem.facts())


def _rate() -> float:
    """Bytes of steps a second: how fast this machine computes an attention of middle size."""
    import numpy as np

    from attncli.files.build import build
    from attncli.files.types import Entry
    from attncli.solve import solve

    vectors = np.ones(SAMPLE, np.float32)
    problem = build({key: Entry(vectors) for key in ("query", "key", "value")}, Path())
    solve(problem, keep=(), threads=1)
    started = perf_counter()
    solve(problem, keep=(), threads=1)
    return problem.memory(None) / (perf_counter() - started)


def _time(seconds: float) -> str:
    if seconds < 0.0995:
        return f"{seconds * 1000:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 10 else duration(seconds)
