"""The engine of one machine: threads, each doing one job at a time.

NumPy lets go of the interpreter's lock while it computes, and so does the system while it reads and
writes; small jobs gain little from more threads, but nothing has to be packed and sent.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Condition, Event, Lock, Thread
from time import monotonic, sleep

from attncli.batch.jobs import Job
from attncli.batch.journal import Record
from attncli.batch.run import Run
from attncli.batch.settings import Settings
from attncli.batch.work import AbandonedError, Surroundings, failed
from attncli.batch.work import run as run_job
from attncli.errors import LimitError
from attncli.machine import cores
from attncli.solve import refuse_oversize

TICK = 0.1
"""Seconds between two looks at the clock."""
SETTLE = 1.0
"""Seconds between two syncs."""
GRACE = 1.0
"""Seconds that jobs in the making get when a run is interrupted."""
SLOW = 0.004
"""Seconds a job from which more threads than one pay: smaller jobs, which are the interpreter's
work, do 0.8 times as many jobs as a bare loop on one thread and 0.4 times on two."""
PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before a job tries again; twice as many each time."""


class TimeLimitError(LimitError):
    """A job took longer than `--timeout`."""


def too_slow(job: Job, settings: Settings) -> Record:
    """What became of a job that took longer than it may."""
    assert settings.timeout is not None
    error = TimeLimitError(
        f"{job.output} takes longer than {settings.timeout:g} s",
        hint="--timeout SECONDS allows more",
        place=job.place,
    )
    return replace(failed(job, settings, error), seconds=settings.timeout)


def pause(attempt: int) -> None:
    """Wait before an attempt at a job that is not the first; twice as long each time."""
    if attempt:
        sleep(min(PAUSE * 2**attempt, LONGEST_PAUSE))


@dataclass
class Slot:
    """What one thread is doing, and whether anybody still wants it."""

    number: int
    job: Job | None = None
    attempt: int = 0
    deadline: float | None = None
    abandoned: bool = False
    writing: bool = False
    finished: Event = field(default_factory=Event)
    """Set when the thread ends. (A signal during `Thread.join` makes Python 3.11 take a running
    thread for one that has ended.)"""
    lock: Lock = field(default_factory=Lock)

    def begin(self, job: Job, attempt: int, timeout: float | None) -> None:
        """The job's time begins."""
        with self.lock:
            self.go_on()
            self.job, self.attempt, self.writing = job, attempt, False
            self.deadline = None if timeout is None else monotonic() + timeout

    def end(self) -> None:
        """The job's time ends; raises `AbandonedError` if it was given up before."""
        with self.lock:
            self.go_on()
            self.deadline = None

    def go_on(self) -> None:
        if self.abandoned:
            raise AbandonedError("abandoned")

    def last_look(self) -> None:
        """From here on, the job's output is written: nobody gives it up any more."""
        with self.lock:
            self.go_on()
            self.writing = True

    def abandon(self) -> bool:
        """Give up what the thread does, unless an output is being written or entered."""
        with self.lock:
            self.abandoned = not self.writing
            return self.abandoned

    @property
    def is_wanted(self) -> bool:
        """Whether the thread still works for the run."""
        return not self.abandoned and not self.finished.is_set()

    def overdue(self, now: float) -> bool:
        return not self.abandoned and self.deadline is not None and now > self.deadline


class Gate:
    """Memory that may be taken, shared by the jobs that run side by side."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.taken = 0
        self._freed = Condition()

    @contextmanager
    def reserve(self, needed: int) -> Iterator[None]:
        """Wait until so many bytes are free; raises `LimitError` if they never will be."""
        refuse_oversize(needed, self.total)
        with self._freed:
            while self.taken + needed > self.total:
                self._freed.wait()
            self.taken += needed
        try:
            yield
        finally:
            with self._freed:
                self.taken -= needed
                self._freed.notify_all()


class Threads:
    """The threads of a run."""

    def __init__(self, run: Run, n_threads: int | None, max_memory: int, fail_fast: bool) -> None:
        """`n_threads` None: one, and as many as there are processors once jobs are slow."""
        self.run = run
        self.n_threads = n_threads or cores()
        self._n_first = n_threads or 1
        self.fail_fast = fail_fast
        self.gate = Gate(max_memory)
        self.stop = Event()
        self.broken: BaseException | None = None
        """What ended the run as a whole, such as a report that cannot be written."""
        self._todo = iter(run.jobs)
        self._again: deque[tuple[Job, int]] = deque()
        """Jobs that took too long and may try again, with how often they have tried."""
        self._take = Lock()
        self._slots: list[Slot] = []
        self._settled = Event()
        self._settled.set()
        self._count = 0

    def work(self, tick: Callable[[], None]) -> None:
        """Do the jobs; `tick` is called every now and then. Raises what ended the run early."""
        try:
            Thread(target=self._settle, daemon=True).start()
            self._start(self._n_first)
            started = monotonic()
            while alive := [slot for slot in self._slots if slot.is_wanted]:
                alive[0].finished.wait(TICK)
                self._look_at_the_clock()
                done = self.run.counts.done
                if monotonic() - started > SLOW * done:
                    self._start(self.n_threads - self._count)
                tick()
        except BaseException:
            self._interrupt()
            raise
        finally:
            self.stop.set()
            self._settled.wait()
        tick()
        if self.broken is not None:
            raise self.broken

    def _start(self, n: int) -> None:
        """Start so many threads more, if any."""
        for _ in range(min(n, len(self.run.jobs))):
            slot = Slot(self._count)
            self._count += 1
            self._slots.append(slot)
            Thread(target=self._jobs, args=(slot,), daemon=True).start()

    def _jobs(self, slot: Slot) -> None:
        """One thread: job after job, until there is none or the run is stopped."""
        run = self.run
        try:
            while not self.stop.is_set() and (chosen := self._next()) is not None:
                job, attempt = chosen
                if not attempt and run.holds(job):
                    continue
                run.running[slot.number] = job.output
                record = self._attempts(job, attempt, slot)
                run.running.pop(slot.number, None)
                self._take_in(record)
                slot.job, slot.writing = None, False
        except AbandonedError:
            return
        except BaseException as error:
            self.broken = self.broken or error
            self.stop.set()
        finally:
            run.running.pop(slot.number, None)
            slot.finished.set()

    def _next(self) -> tuple[Job, int] | None:
        with self._take:
            if self._again:
                return self._again.popleft()
            job = next(self._todo, None)
            return None if job is None else (job, 0)

    def _take_in(self, record: Record) -> None:
        self.run.take(record)
        if record.status == "failed" and self.fail_fast:
            self.stop.set()

    def _attempts(self, job: Job, first: int, slot: Slot) -> Record:
        settings = self.run.settings
        around = Surroundings(
            self.run.stage,
            self.gate.total,
            self.gate.reserve,
            slot.go_on,
            slot.last_look,
            self.run.ours(job),
        )
        for attempt in range(first, settings.retries + 1):
            pause(attempt)
            slot.begin(job, attempt, settings.timeout)
            record = run_job(job, settings, around)
            slot.end()
            if record.status == "ok" or self.stop.is_set():
                break
        return record

    def _look_at_the_clock(self) -> None:
        """Give up what takes too long; another thread goes on in its place."""
        now = monotonic()
        for slot in [slot for slot in self._slots if slot.overdue(now)]:
            job, attempt = slot.job, slot.attempt
            if job is None or not slot.abandon():
                continue
            self.run.running.pop(slot.number, None)
            if attempt < self.run.settings.retries:
                self._again.append((job, attempt + 1))
            else:
                self._take_in(too_slow(job, self.run.settings))
            self._start(1)

    def _settle(self) -> None:
        """Put in place what is finished, every second."""
        self._settled.clear()
        try:
            while not self.stop.wait(SETTLE):
                self.run.settle()
        except BaseException as error:
            self.broken = self.broken or error
            self.stop.set()
        finally:
            self._settled.set()

    def _interrupt(self) -> None:
        """Stop: jobs in the making get a moment, then nobody waits for them."""
        self.stop.set()
        until = monotonic() + GRACE
        for slot in self._slots:
            slot.finished.wait(until - monotonic())
        for slot in self._slots:
            if not slot.abandon():
                slot.finished.wait()  # its output is being written, and then entered
