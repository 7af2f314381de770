"""The engine of a cluster: jobs travel by chunks of about a second, outputs come back as bytes.

Files are written here, by the same stage and entered in the same journal as those of a local run;
so a worker that dies loses nothing, and its jobs run again on another one. On a worker a job is run
by the very function that runs it on a thread here.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

from attncli.batch.cluster import Client, check_inputs, refuse_other_versions, versions
from attncli.batch.estimate import references
from attncli.batch.flights import Flights
from attncli.batch.jobs import Job, located
from attncli.batch.journal import Record
from attncli.batch.local import SETTLE, TICK, Gate, pause, too_slow
from attncli.batch.run import Run
from attncli.batch.settings import Settings
from attncli.batch.work import AbandonedError, Surroundings, failed
from attncli.batch.work import run as run_job
from attncli.errors import AttncliError
from attncli.files.staging import Stage
from attncli.files.tensors import file_of
from attncli.files.vectors import base_of
from attncli.machine import free_memory

SECOND = 1.0
"""Seconds that the jobs of a chunk should take together."""
MOST = 2000
"""Jobs of a chunk; of the first ones, whose time is not known, one."""
CHECKED = 16
"""Jobs whose inputs are compared before any work is done."""


@dataclass
class Parcel(Stage):
    """Takes an output, however large, to be sent to where it is put in place."""

    most: int = sys.maxsize
    content: bytes | None = None

    def add(self, path: Path, content: bytes, *, force: bool) -> str:
        self.content = content
        return sha256(content).hexdigest()


@cache
def _gate(most: int | None) -> Gate:
    """The memory of this worker's process, shared by its threads: at most `most` bytes."""
    from distributed import get_worker

    limit = getattr(get_worker().memory_manager, "memory_limit", None)  # 0 and None: there is none
    return Gate(min(n for n in (free_memory(), limit or None, most) if n is not None))


@cache
def blas_of_one_thread() -> Any:
    """Keep BLAS to one thread, as Dask's workers do by themselves: the bytes may depend on it."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def do(
    jobs: list[tuple[Job, bool]],
    settings: Settings,
    max_memory: int | None,
    fail_fast: bool,
    expected: Mapping[str, str],
) -> list[tuple[Record, bytes | None]]:
    """On a worker: do some jobs; whatever fails is in the records. `jobs` say what is ours."""
    refuse_other_versions(expected)
    blas_of_one_thread()
    done = []
    for job, ours in jobs:
        record, content = _attempts(job, settings, ours, _gate(max_memory))
        done.append((record, content))
        if record.status == "failed" and fail_fast:
            break
    return done


def _attempts(job: Job, settings: Settings, ours: bool, gate: Gate) -> tuple[Record, bytes | None]:
    for attempt in range(settings.retries + 1):
        pause(attempt)
        parcel = Parcel()
        go_on = _until(settings.timeout)
        around = Surroundings(parcel, gate.total, gate.reserve, go_on, go_on, ours)
        try:
            record = run_job(job, settings, around)
        except AbandonedError:
            record = too_slow(job, settings)
        if record.status == "ok":
            return record, parcel.content
    return record, None


def _until(timeout: float | None) -> Callable[[], None]:
    """What gives a job up, between two steps, when its time is over."""
    end = None if timeout is None else monotonic() + timeout

    def go_on() -> None:
        if end is not None and monotonic() > end:
            raise AbandonedError("its time is over")

    return go_on


@dataclass(frozen=True)
class Chunk:
    """Jobs that travel together."""

    jobs: list[Job]
    alone: bool = False
    """Whether nothing else is on the cluster with them."""


@dataclass
class Workers:
    """The workers of a cluster, doing the jobs of a run."""

    run: Run
    client: Client
    fail_fast: bool = False
    max_memory: int | None = None
    """Bytes that the jobs of a worker may take together; None: what it has."""
    _suspects: list[Job] = field(default_factory=list)
    """Jobs whose workers died: each is tried again when nothing else is on the cluster, so that
    what dies then dies of this job."""
    _seconds: float = 0.0
    _done: int = 0
    _stopped: bool = False

    def __post_init__(self) -> None:
        here = Path.cwd()
        self._here = str(here) + os.sep
        self._flights: Flights[Chunk] = Flights(self.client)
        self._todo = iter(self.run.jobs)
        self._exhausted = False
        settings = self.run.settings
        settings = replace(settings, flags=located(settings.flags, here))
        self._common = (settings, self.max_memory, self.fail_fast, versions())

    def work(self, tick: Callable[[], None]) -> None:
        """Do the jobs; `tick` is called every now and then. Raises what ended the run early."""
        check_inputs(self.client, _some_inputs(self.run))
        settled = monotonic()
        try:
            self._fill()
            while len(self._flights) or not self._is_over():
                self._land()
                if monotonic() - settled > SETTLE:
                    self.run.settle()
                    settled = monotonic()
                self._fill()
                tick()
        finally:
            self._flights.clear()
            self.run.running.clear()
        tick()

    def _is_over(self) -> bool:
        return self._stopped or (self._exhausted and not self._suspects)

    def _fill(self) -> None:
        """Keep every thread of the cluster busy; what is done already is found on the way."""
        until = monotonic() + TICK
        room = self._flights.room()
        while room > 0 and not (self._stopped or self._exhausted) and monotonic() < until:
            if jobs := self._chunk(until):
                self._send(Chunk(jobs))
                room -= 1
        alone = self._exhausted and not len(self._flights)
        if self._suspects and alone and not self._stopped:
            self._send(Chunk([self._suspects.pop()], alone=True))

    def _chunk(self, until: float) -> list[Job]:
        size = 1
        if self._done:
            size = max(1, min(MOST, round(SECOND * self._done / max(self._seconds, 1e-6))))
        jobs: list[Job] = []
        while len(jobs) < size and monotonic() < until:
            job = next(self._todo, None)
            if job is None:
                self._exhausted = True
                break
            if not self.run.holds(job):
                jobs.append(job)
        return jobs

    def _send(self, chunk: Chunk) -> None:
        jobs = chunk.jobs
        sent = [(replace(job, base=job.base.absolute()), self.run.ours(job)) for job in jobs]
        number = self._flights.send(chunk, do, sent, *self._common)
        self.run.running[number] = jobs[0].output

    def _land(self) -> None:
        """Take in a chunk, if one is back within a moment."""
        landed = self._flights.landed(TICK)
        if landed is None:
            return
        jobs = landed.cargo.jobs
        self.run.running.pop(landed.number, None)
        if landed.error is None:
            for job, (record, content) in zip(jobs, landed.result, strict=False):
                self._take_in(job, record, content)
        elif landed.cargo.alone:
            (job,) = jobs
            error = landed.error.at(job.place)
            self._take_in(job, failed(job, self.run.settings, error), None)
        else:
            self._suspects += reversed(jobs)

    def _take_in(self, job: Job, record: Record, content: bytes | None) -> None:
        """Write what came back, and enter it, as a local run does."""
        self._seconds += record.seconds
        self._done += 1
        record = replace(
            record,
            error=record.error and record.error.replace(self._here, ""),
            parameters=self.run.settings.parameters(job),
        )
        if content is not None:
            try:
                self.run.stage.add(job.path, content, force=self.run.ours(job))
            except AttncliError as error:
                failure = failed(job, self.run.settings, error.at(job.place))
                record = replace(failure, inputs=record.inputs)
        self.run.take(record)
        if record.status == "failed" and self.fail_fast:
            self._stopped = True


def _some_inputs(run: Run) -> list[str]:
    """Files of jobs all over the manifest."""
    step = max(1, len(run.jobs) // CHECKED)
    paths: dict[str, None] = {}
    for job in run.jobs[::step]:
        base = job.base.absolute()
        if job.file:
            paths[str(base / job.file)] = None
        for text, place in references({**job.defaults, **job.own}):
            try:
                paths[str(file_of(text, base_of(place, base).absolute(), place))] = None
            except AttncliError:
                continue  # the job will say what is wrong
    return list(paths)[: 2 * CHECKED]
