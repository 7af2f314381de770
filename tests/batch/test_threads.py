"""The threads of a run: memory they share, jobs that are given up, and how a run ends early."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attncli.batch import local
from attncli.batch.jobs import Job
from attncli.batch.journal import Journal, Record
from attncli.batch.local import Gate, Slot, Threads
from attncli.batch.manifest import of_files
from attncli.batch.run import Counts, Run
from attncli.batch.settings import Settings
from attncli.batch.work import Surroundings
from attncli.errors import LimitError, OutputError

MOMENT = 0.02
PATIENCE = 20

Work = Callable[[Job, Settings, Surroundings], Record]


def test_memory_is_shared_and_given_back() -> None:
    gate = Gate(10)
    order: list[str] = []

    def wait(needed: int) -> None:
        with gate.reserve(needed):
            order.append(f"{needed} taken")

    with gate.reserve(6):
        wait(4)  # exactly what is left
        waiting = threading.Thread(target=wait, args=(5,))
        waiting.start()
        time.sleep(MOMENT)
        order.append("6 given back")
    waiting.join(PATIENCE)
    assert order == ["4 taken", "6 given back", "5 taken"]
    with pytest.raises(LimitError), gate.reserve(11):
        pass
    with pytest.raises(KeyError), gate.reserve(10):
        raise KeyError
    with gate.reserve(10):
        assert gate.taken == 10
    assert gate.taken == 0


@pytest.fixture
def run(here: Path) -> Iterator[Run]:
    """A run of three jobs whose work the test does."""
    for name in "abc":
        (here / f"{name}.npz").touch()
    manifest = of_files(["a.npz", "b.npz", "c.npz"], "out/{stem}.npz", [])
    run = Run(manifest, Settings(), Journal(here / "report.jsonl"))
    run.prepare()
    yield run
    run.journal.leave()


def ok(job: Job) -> Record:
    return Record(job.index, job.output, "ok")


def threads(
    run: Run, work: Work, monkeypatch: pytest.MonkeyPatch, n: int = 1, fail_fast: bool = False
) -> Threads:
    monkeypatch.setattr(local, "run_job", work)
    monkeypatch.setattr(local, "SETTLE", MOMENT)
    monkeypatch.setattr(local, "TICK", MOMENT)
    return Threads(run, n, 1000, fail_fast)


def statuses(run: Run) -> dict[str, str]:
    return {name: record.status for name, record in run.journal.records.items()}


def with_settings(run: Run, **settings: Any) -> Run:
    run.settings = Settings(**settings)
    return run


def test_what_takes_too_long_is_tried_again_by_another_thread(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = threading.Event()
    tries: list[tuple[str, str]] = []
    pauses: list[float] = []

    def work(job: Job, settings: Settings, around: Surroundings) -> Record:
        tries.append((job.output, threading.current_thread().name))
        if tries.count((job.output, tries[-1][1])) == 1 and len(tries) == 1:
            late.wait(PATIENCE)
            around.go_on()
        return ok(job)

    monkeypatch.setattr(local, "sleep", pauses.append)
    engine = threads(with_settings(run, retries=1, timeout=0.1), work, monkeypatch)
    engine.work(lambda: None)
    late.set()
    assert statuses(run) == dict.fromkeys(("out/a.npz", "out/b.npz", "out/c.npz"), "ok")
    assert [output for output, _ in tries] == ["out/a.npz", "out/a.npz", "out/b.npz", "out/c.npz"]
    assert tries[0][1] != tries[1][1]
    assert pauses == [0.2]
    assert len(engine._slots) == 2, "one for the one that is given up"
    assert run.counts == Counts(ok=3)
    assert not run.running


def test_the_last_try_that_takes_too_long_has_failed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = threading.Event()

    def work(job: Job, settings: Settings, around: Surroundings) -> Record:
        if job.index == 1:
            late.wait(PATIENCE)
            around.last_look()
        return ok(job)

    monkeypatch.setattr(local, "sleep", lambda seconds: None)
    threads(with_settings(run, retries=1, timeout=0.1), work, monkeypatch).work(lambda: None)
    late.set()
    assert statuses(run) == {"out/a.npz": "ok", "out/b.npz": "failed", "out/c.npz": "ok"}
    record = run.journal.records["out/b.npz"]
    assert record.exit_code == 6
    assert "out/b.npz takes longer than 0.1 s" in str(record.error)
    assert record.seconds == 0.1
    assert (run.counts.ok, run.counts.failed) == (2, 1)


def test_pauses_double_up_to_five_seconds(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(job: Job, settings: Settings, around: Surroundings) -> Record:
        return Record(job.index, job.output, "failed" if job.index == 0 else "ok")

    pauses: list[float] = []
    monkeypatch.setattr(local, "sleep", pauses.append)
    threads(with_settings(run, retries=7), work, monkeypatch).work(lambda: None)
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_what_is_being_written_is_not_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(job: Job, settings: Settings, around: Surroundings) -> Record:
        around.last_look()
        time.sleep(0.2)
        return ok(job)

    threads(with_settings(run, timeout=0.05), work, monkeypatch).work(lambda: None)
    assert set(statuses(run).values()) == {"ok"}
    assert run.counts == Counts(ok=3)


def test_what_is_being_written_does_not_hide_what_takes_too_long(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = threading.Event()
    run.on_failure = lambda record: given_up.set()

    def work(job: Job, settings: Settings, around: Surroundings) -> Record:
        if around.last_look.__self__.number == 0:  # type: ignore[attr-defined]
            around.last_look()
            assert given_up.wait(PATIENCE)
        elif not given_up.is_set():
            given_up.wait(PATIENCE)
            around.go_on()
        return ok(job)

    threads(with_settings(run, timeout=0.15), work, monkeypatch, 2).work(lambda: None)
    assert run.counts == Counts(ok=2, failed=1)


def test_what_takes_less_than_it_may_is_not_given_up(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = itertools.count()

    def work(job: Job, settings: Settings, around: Surroundings) -> Record:
        while next(looks) < 3:
            time.sleep(MOMENT)
        return ok(job)

    engine = threads(with_settings(run, timeout=PATIENCE), work, monkeypatch)
    engine.work(lambda: None)
    assert run.counts == Counts(ok=3)
    assert len(engine._slots) == 1, "nobody took its place"


def test_a_job_is_overdue_once_and_only_beyond_its_time() -> None:
    slot = Slot(0)
    assert not slot.overdue(1e9), "nothing is done"
    slot.deadline = 7.0
    assert not slot.overdue(7.0)
    assert slot.overdue(7.1)
    slot.abandon()
    assert not slot.overdue(7.1)


def test_a_report_that_cannot_be_written_ends_the_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr(run.journal, "add", refuse)
    with pytest.raises(OutputError, match="disk is full"):
        threads(run, lambda job, *_: ok(job), monkeypatch).work(lambda: None)
    assert run.counts.done == 0


def test_outputs_that_cannot_be_put_in_place_at_all_end_the_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def refuse() -> None:
        ended.set()
        raise OutputError("the disk is gone")

    def work(job: Job, settings: Settings, around: Surroundings) -> Record:
        assert ended.wait(PATIENCE)
        time.sleep(2 * MOMENT)
        return ok(job)

    monkeypatch.setattr(run, "settle", refuse)
    with pytest.raises(OutputError, match="disk is gone"):
        threads(run, work, monkeypatch).work(lambda: None)
    assert run.counts.done == 1, "no further job is begun"


@pytest.mark.parametrize("writing", [False, True])
def test_an_interrupted_run_waits_for_what_is_being_written_only(
    writing: bool, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ends = threading.Event(), threading.Event()

    def work(job: Job, settings: Settings, around: Surroundings) -> Record:
        if writing:
            around.last_look()
        begun.set()
        ends.wait(0.5 if writing else PATIENCE)
        if not writing:
            around.last_look()
        return ok(job)

    def interrupt() -> None:
        if begun.is_set():
            raise KeyboardInterrupt

    monkeypatch.setattr(local, "GRACE", 0.1)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        threads(run, work, monkeypatch).work(interrupt)
    assert time.monotonic() - started < PATIENCE / 2
    known = {"out/a.npz": "ok"} if writing else {}
    assert statuses(run) == known
    ends.set()
    time.sleep(2 * MOMENT)
    assert statuses(run) == known, "what comes late is not taken"


def test_an_interrupted_run_takes_what_ends_in_a_moment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, interrupted = threading.Event(), threading.Event()

    def work(job: Job, settings: Settings, around: Surroundings) -> Record:
        begun.set()
        assert interrupted.wait(PATIENCE)
        time.sleep(MOMENT)
        around.last_look()
        return ok(job)

    def interrupt() -> None:
        if begun.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    monkeypatch.setattr(local, "GRACE", float(PATIENCE))
    with pytest.raises(KeyboardInterrupt):
        threads(run, work, monkeypatch).work(interrupt)
    assert statuses(run) == {"out/a.npz": "ok"}


@pytest.mark.parametrize("first", [True, False])
def test_nobody_waits_for_a_thread_that_writes_nothing(
    first: bool, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even before its first job or between two, where it looks whether one is done already."""
    looking, ends = threading.Event(), threading.Event()

    def holds(job: Job) -> bool:
        if job.index == (0 if first else 1):
            looking.set()
            ends.wait(PATIENCE)
        return False

    def work(job: Job, settings: Settings, around: Surroundings) -> Record:
        around.last_look()
        return ok(job)

    def interrupt() -> None:
        if looking.is_set():
            raise KeyboardInterrupt

    monkeypatch.setattr(run, "holds", holds)
    monkeypatch.setattr(local, "GRACE", MOMENT)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        threads(run, work, monkeypatch).work(interrupt)
    assert time.monotonic() - started < PATIENCE / 2
    ends.set()
    time.sleep(2 * MOMENT)
    assert statuses(run) == ({} if first else {"out/a.npz": "ok"})


def test_so_many_threads_begin_as_are_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    together, before = threading.Barrier(3), {*threading.enumerate()}

    def work(job: Job, settings: Settings, around: Surroundings) -> Record:
        together.wait(PATIENCE)
        assert {*run.running.values()} == {"out/a.npz", "out/b.npz", "out/c.npz"}
        assert all(one.daemon for one in {*threading.enumerate()} - before), "none keeps us alive"
        together.wait(PATIENCE)
        return ok(job)

    monkeypatch.setattr(local, "SLOW", 1e9)
    threads(run, work, monkeypatch, 3).work(lambda: None)
    assert run.counts == Counts(ok=3)


@pytest.mark.parametrize(("done", "n_threads"), [(24, 3), (25, 1)])
def test_more_threads_than_one_pay_from_four_milliseconds_a_job(
    done: int, n_threads: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first look, a tenth of a second after the start."""
    now, looked = [100.0], threading.Event()

    def work(job: Job, settings: Settings, around: Surroundings) -> Record:
        assert looked.wait(PATIENCE)
        return ok(job)

    def tick() -> None:
        if not looked.is_set():
            begun.append(len(engine._slots))
            looked.set()

    class Watch(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            now[0] = 100.1
            return super().wait(MOMENT)

    begun: list[int] = []
    made = local.Slot
    monkeypatch.setattr(local, "monotonic", lambda: now[0])
    monkeypatch.setattr(local, "cores", lambda: 3)
    monkeypatch.setattr(local, "Slot", lambda number: made(number, finished=Watch()))
    run.counts.skipped = done
    threads(run, work, monkeypatch)
    engine = Threads(run, None, 1000, False)
    engine.work(tick)
    assert begun == [n_threads]
    assert run.counts == Counts(ok=3, skipped=done)


def test_slow_jobs_get_more_threads_and_quick_ones_do_not(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def used(seconds: float) -> int:
        names: set[str] = set()

        def work(job: Job, settings: Settings, around: Surroundings) -> Record:
            names.add(threading.current_thread().name)
            time.sleep(seconds)
            return ok(job)

        monkeypatch.setattr(local, "cores", lambda: 2)
        run.counts.ok = 0
        engine = threads(run, work, monkeypatch)
        engine.n_threads, engine._n_first = 2, 1
        engine.work(lambda: None)
        return len(names)

    assert used(0.2) == 2
    assert used(0) == 1


@pytest.mark.parametrize("fail_fast", [False, True])
def test_the_first_failure_stops_when_asked(
    fail_fast: bool, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = itertools.count()

    def work(job: Job, settings: Settings, around: Surroundings) -> Record:
        next(numbers)
        return Record(job.index, job.output, "failed", error="no")

    monkeypatch.setattr(run, "on_failure", lambda record: None)
    threads(run, work, monkeypatch, fail_fast=fail_fast).work(lambda: None)
    assert next(numbers) == (1 if fail_fast else 3)


def test_an_output_that_somebody_else_made_meanwhile_has_failed_after_all(run: Run) -> None:
    told: list[str] = []
    run.on_failure = lambda record: told.append(record.output)
    for job in run.jobs[:2]:
        digest = run.stage.add(job.path, b"ours", force=False)
        run.take(Record(job.index, job.output, "ok", inputs={"a": "b"}, sha256=digest))
    theirs = run.jobs[1].path
    theirs.write_bytes(b"theirs")
    run.settle()
    assert statuses(run) == {"out/a.npz": "ok", "out/b.npz": "failed"}
    failed = run.journal.records["out/b.npz"]
    assert (failed.exit_code, failed.sha256, failed.inputs) == (5, None, {"a": "b"})
    assert "the file exists" in str(failed.error)
    assert told == ["out/b.npz"]
    assert (run.counts.ok, run.counts.failed, run.counts.done) == (1, 1, 2)
    assert theirs.read_bytes() == b"theirs"
    assert run.jobs[0].path.read_bytes() == b"ours"
