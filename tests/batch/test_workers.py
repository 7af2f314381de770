"""Jobs on a cluster whose workers are this process: what is sent, done, tried again, taken in."""

from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from attncli.batch import remote
from attncli.batch.jobs import Job
from attncli.batch.journal import Record
from attncli.batch.local import Gate, Threads
from attncli.batch.manifest import of_files, read_manifest
from attncli.batch.remote import Parcel, Workers, _some_inputs
from attncli.batch.run import Counts, Run
from attncli.batch.settings import Settings
from attncli.batch.work import AbandonedError, Surroundings
from tests.batch.jobs import contents, make_inputs
from tests.batch.standins import Client, Future, Unwritten

distributed = pytest.importorskip("distributed")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """A cluster of two threads; what its processes keep of their own is left out."""
    monkeypatch.setattr(remote, "blas_of_one_thread", lambda: None)
    monkeypatch.setattr(remote, "_gate", lambda most: Gate(10**9 if most is None else most))
    made = Client()
    made.threads = (1,)
    return made


def a_run(here: Path, n: int, settings: Settings | None = None, *known: Record) -> Run:
    """A run of so many small jobs."""
    names = [f"in/{path.name}" for path in make_inputs(here / "in", n)]
    manifest = of_files(names, "out/{stem}.npy", [])
    run = Run(manifest, settings or Settings(), journal=Unwritten(known))  # type: ignore[arg-type]
    run.prepare()
    return run


def spoil(*numbers: int) -> None:
    for number in numbers:
        Path(f"in/{number:04}.npz").write_bytes(b"bad")


def indices(client: Client) -> list[list[int]]:
    """The jobs of each chunk that was sent."""
    return [[job.index for job, _ in arguments[1]] for arguments in client.sent]


def quiet() -> None:
    """Nothing to show."""


def test_all_jobs_are_done_and_their_bytes_are_those_of_a_local_run(
    here: Path, client: Client
) -> None:
    run = a_run(here, 13)
    ticks: list[int] = []
    Workers(run, client).work(lambda: ticks.append(len(run.running)))
    run.settle()
    assert run.counts == Counts(ok=13)
    assert not run.running
    assert ticks[-1] == 0, "the last look is at the end"
    there = contents(here / "out")
    local = a_run(here, 13, Settings(force=True))
    Threads(local, 1, 10**9, False).work(quiet)
    local.settle()
    assert contents(here / "out") == there
    done = run.journal.records["out/0007.npy"]
    assert done.parameters == run.settings.parameters(run.jobs[7])
    # The same again: nothing is left to be sent.
    client.sent.clear()
    again = a_run(here, 13, None, *run.journal.records.values())
    Workers(again, client).work(quiet)
    assert again.counts == Counts(skipped=13)
    assert again.counts.done == 13
    assert client.sent == []


@pytest.mark.parametrize(
    ("fail_fast", "counts"), [(False, Counts(ok=5, failed=1)), (True, Counts(ok=1, failed=1))]
)
def test_the_first_failure_stops_when_asked(
    fail_fast: bool, counts: Counts, here: Path, client: Client
) -> None:
    run = a_run(here, 6)
    spoil(0)
    workers = Workers(run, client, True) if fail_fast else Workers(run, client)
    workers.work(quiet)
    assert run.counts == counts, "what was on its way is taken in"
    assert run.journal.records["out/0000.npy"].exit_code == 3


@pytest.mark.parametrize(("fail_fast", "n_done"), [(False, 4), (True, 2)])
def test_a_chunk_ends_at_its_first_failure_when_asked(
    fail_fast: bool, n_done: int, here: Path, client: Client
) -> None:
    run = a_run(here, 4)
    spoil(1, 2)
    chunk = [(job, False) for job in run.jobs]
    done = remote.do(chunk, run.settings, None, fail_fast, remote.versions())
    assert [record.job for record, _ in done] == [*range(n_done)]
    assert [record.status for record, _ in done[:2]] == ["ok", "failed"]
    assert [content is None for _, content in done[:2]] == [False, True]


SCRIPTS = {
    "at once": (["ok"], 3, "ok", 1),
    "the last time": (["failed", "late", "failed", "ok"], 3, "ok", 4),
    "never": (["failed"] * 9, 3, "failed", 4),
    "too slow": (["failed", "late", "late"], 2, "failed", 3),
    "no second time": (["failed", "ok"], 0, "failed", 1),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_worker_tries_again(
    name: str, here: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, retries, status, n_tries = SCRIPTS[name]
    outcomes, pauses = iter(script), []

    def work(job: Job, settings: Settings, around: Surroundings) -> Record:
        assert around.ours
        assert around.max_memory == 1000
        outcome = next(outcomes)
        if outcome == "late":
            raise AbandonedError("its time is over")
        if outcome == "ok":
            around.stage.add(job.path, b"content", force=False)
        return Record(job.index, job.output, outcome)  # type: ignore[arg-type]

    monkeypatch.setattr(remote, "run_job", work)
    monkeypatch.setattr(remote, "pause", pauses.append)
    run = a_run(here, 1, Settings(retries=retries, timeout=7.0))
    ((record, content),) = remote.do(
        [(run.jobs[0], True)], run.settings, 1000, False, remote.versions()
    )
    assert (record.status, content) == (status, b"content" if status == "ok" else None)
    assert pauses == [*range(n_tries)]
    assert ("takes longer than 7 s" in str(record.error)) == (name == "too slow")


def test_a_worker_gives_up_what_takes_too_long_and_refuses_what_is_too_large(
    here: Path, client: Client
) -> None:
    slow = a_run(here, 1, Settings(timeout=1e-9))
    Workers(slow, client).work(quiet)
    record = slow.journal.records["out/0000.npy"]
    assert (record.exit_code, record.seconds) == (6, 1e-9)
    large = a_run(here, 1, Settings(force=True))
    Workers(large, client, max_memory=100).work(quiet)
    assert "100 bytes are allowed" in str(large.journal.records["out/0000.npy"].error)


def test_a_job_whose_workers_die_is_tried_when_nothing_else_is_there(
    here: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    flying: list[int] = []

    def submit(function: Any, *arguments: Any, pure: bool) -> Future:
        flying.append(len(workers._flights))
        client.sent.append(arguments)
        if any(job.index == 4 for job, _ in arguments[1]):
            return Future(distributed.scheduler.KilledWorker("task", None, 3))
        return Future(function(*arguments))

    monkeypatch.setattr(client, "submit", submit)
    run = a_run(here, 7)
    workers = Workers(run, client)
    workers._done, workers._seconds = 3, 1.0
    workers.work(quiet)
    assert indices(client) == [[0, 1, 2], [3, 4, 5], [6], [3], [4], [5]]
    assert flying == [0, 1, 1, 0, 0, 0]
    assert run.counts == Counts(ok=6, failed=1)
    record = run.journal.records["out/0004.npy"]
    assert record.exit_code == 7
    assert str(record.error).startswith("-o: error: every worker that tried it died")


def test_no_job_is_tried_again_once_a_run_is_stopped(here: Path, client: Client) -> None:
    run = a_run(here, 3)
    workers = Workers(run, client)
    workers._suspects = [run.jobs[0]]
    workers._exhausted = workers._stopped = True
    workers._fill()
    assert client.sent == []
    workers._stopped = False
    workers._fill()
    assert indices(client) == [[0]]


def test_outputs_are_put_in_place_every_second(
    here: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(remote, "monotonic", lambda: now[0])
    steps = iter([0.5, 0.5, 0.125, 0.75, 0.25, 0.25])
    n_in_place: list[int] = []
    run = a_run(here, 6)

    def tick() -> None:
        n_in_place.append(len(contents(here / "out")))
        now[0] += next(steps, 0.0)

    monkeypatch.setattr(remote, "SECOND", 0.0)  # chunks of one job
    settled = run.settle
    calls: list[float] = []
    monkeypatch.setattr(run, "settle", lambda: (calls.append(now[0]), settled()))
    Workers(run, client).work(tick)
    # Jobs land at 100, 100.5, 101, 101.125, 101.875 and 102.125.
    assert calls == [101.125]


def test_a_run_goes_on_where_looking_for_work_takes_long(
    here: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(remote, "monotonic", lambda: now[0])
    first = a_run(here, 5)
    Workers(first, client).work(quiet)
    first.settle()
    Path("out/0004.npy").unlink()
    again = a_run(here, 5, None, *first.journal.records.values())
    holds = again.holds

    def slowly(job: Job) -> bool:
        now[0] += 1.0
        return holds(job)

    monkeypatch.setattr(again, "holds", slowly)
    Workers(again, client).work(quiet)
    assert again.counts == Counts(ok=1, skipped=4)


def test_what_is_taken_in_counts_for_the_next_chunk(here: Path, client: Client) -> None:
    run = a_run(here, 9)
    workers = Workers(run, client)
    assert len(workers._chunk(monotonic() + 60)) == 1, "nothing is known yet"
    workers._take_in(run.jobs[0], Record(0, "out/0000.npy", "ok", seconds=0.25), b"content")
    chunk = workers._chunk(monotonic() + 60)
    assert [job.index for job in chunk] == [1, 2, 3, 4]
    workers._send(remote.Chunk(chunk))
    assert run.running == {0: "out/0001.npy"}


def test_a_chunk_is_of_two_thousand_jobs_at_most(here: Path, client: Client) -> None:
    run = a_run(here, 1)
    run.holds = lambda job: False  # type: ignore[method-assign]
    workers = Workers(run, client)
    for n, n_jobs in ((5, 2000), (10**9, 2000), (0, 1)):
        workers._todo = iter(run.jobs * 2001)
        workers._done, workers._seconds = n, 0.0
        assert len(workers._chunk(monotonic() + 60)) == n_jobs
    assert not workers._exhausted


def test_what_failed_on_a_worker_is_told_as_from_here(here: Path, client: Client) -> None:
    told: list[Record] = []
    run = a_run(here, 1)
    run.on_failure = told.append
    record = Record(0, "out/0000.npy", "failed", error=f"{here}/in/0000.npz: error: it is bad")
    Workers(run, client)._take_in(run.jobs[0], record, None)
    assert [one.error for one in told] == ["in/0000.npz: error: it is bad"]
    assert told[0].parameters == run.settings.parameters(run.jobs[0])


def test_nothing_is_taken_in_while_nothing_is_back(here: Path, client: Client) -> None:
    run = a_run(here, 1)
    workers = Workers(run, client)
    workers._flights.landed = lambda patience: None  # type: ignore[method-assign]
    workers._land()
    assert run.counts == Counts()


def test_a_parcel_takes_what_a_stage_would_not(here: Path, client: Client) -> None:
    rng = np.random.default_rng(5)
    arrays = {name: rng.normal(size=(401, 3)) for name in ("query", "key", "value")}
    np.savez("big.npz", **arrays)
    run = Run(of_files(["big.npz"], "out/{stem}.npz", []), Settings(), journal=Unwritten())  # type: ignore[arg-type]
    chunk = [(run.jobs[0], False)]
    ((record, content),) = remote.do(chunk, run.settings, None, False, remote.versions())
    assert record.status == "ok"
    assert content is not None
    assert len(content) > 1 << 20
    assert not Path("out").exists(), "it is put in place where it was asked for"
    assert Parcel().add(Path("a"), b"", force=False) == Parcel().add(Path("b"), b"", force=True)


@pytest.mark.parametrize(
    ("limit", "most", "total"), [(1000, None, 1000), (1000, 70, 70), (70, 1000, 70), (0, 7, 7)]
)
def test_the_jobs_of_a_worker_share_its_memory(
    limit: int, most: int | None, total: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = SimpleNamespace(memory_manager=SimpleNamespace(memory_limit=limit))
    monkeypatch.setattr(distributed, "get_worker", lambda: worker)
    remote._gate.cache_clear()
    assert remote._gate(most).total == total
    assert remote._gate(most) is remote._gate(most)
    worker.memory_manager.memory_limit = None
    remote._gate.cache_clear()
    monkeypatch.setattr(remote, "free_memory", lambda: 5000)
    assert remote._gate(None).total == 5000
    remote._gate.cache_clear()


def test_blas_is_told_once_to_keep_to_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    import threadpoolctl

    told: list[int] = []
    monkeypatch.setattr(threadpoolctl, "threadpool_limits", told.append)
    remote.blas_of_one_thread.cache_clear()
    remote.blas_of_one_thread()
    remote.blas_of_one_thread()
    assert told == [1]
    remote.blas_of_one_thread.cache_clear()


@pytest.mark.parametrize(("n", "step"), [(49, 3), (48, 3), (47, 2), (16, 1), (15, 1)])
def test_some_inputs_are_compared_from_all_over_a_manifest(n: int, step: int, here: Path) -> None:
    names = [f"{number:04}.npz" for number in range(n)]
    run = Run(of_files(names, "out/{stem}.npy", []), Settings(), journal=Unwritten())  # type: ignore[arg-type]
    assert _some_inputs(run) == [str(here / name) for name in names[::step]]


def test_inputs_are_looked_for_where_their_jobs_have_them(here: Path) -> None:
    Path("jobs").mkdir()
    Path("jobs/jobs.yaml").write_text(
        "defaults: {value: v.npy}\njobs:\n"
        "- {problem: p.yaml, output: a.npz}\n"
        "- {query: no-file, key: k.npz:k, output: b.npz}\n"
        "- {query: q.npy, key: /far/k.npy, output: c.npz,\n"
        "   similarity: {name: mlp, layers: [{weight: a.npy}, {weight: b.npy}]}}\n"
    )
    run = Run(read_manifest("jobs/jobs.yaml"), Settings(), journal=Unwritten())  # type: ignore[arg-type]
    found = [Path(path) for path in _some_inputs(run)]
    inside = ("p.yaml", "v.npy", "k.npz", "q.npy", "a.npy", "b.npy")
    assert {*found} == {Path("/far/k.npy"), *(here / "jobs" / name for name in inside)}


def test_no_more_than_some_inputs_are_compared(here: Path) -> None:
    jobs = "".join(
        f"- {{query: q{n}.npy, key: k{n}.npy, value: v{n}.npy, output: {n}.npz}}\n"
        for n in range(16)
    )
    Path("jobs.yaml").write_text(f"jobs:\n{jobs}")
    run = Run(read_manifest("jobs.yaml"), Settings(), journal=Unwritten())  # type: ignore[arg-type]
    assert len(_some_inputs(run)) == 32


def test_an_output_that_cannot_be_written_here_has_failed(here: Path) -> None:
    make_inputs(here / "in", 1)
    run = Run(of_files(["in/0000.npz"], "out/{stem}.npy", []), Settings(), journal=Unwritten())  # type: ignore[arg-type]
    workers = Workers(run, Client(), fail_fast=True)
    done = Record(0, "out/0000.npy", "ok", seconds=0.25, inputs={"in/0000.npz": "hash"})
    workers._take_in(run.jobs[0], done, b"content")  # there is no directory out
    record = run.journal.records["out/0000.npy"]
    assert record.status == "failed"
    assert record.exit_code == 5
    assert record.inputs == {"in/0000.npz": "hash"}
    assert "there is no directory out" in str(record.error)
    assert workers._stopped


@pytest.mark.parametrize(
    ("done", "seconds", "size"),
    [(0, 0.0, 1), (4, 1.0, 4), (4, 2.0, 2), (3, 1e9, 1), (5, 1.0, 5)],
)
def test_chunks_are_about_a_second_of_work(
    done: int, seconds: float, size: int, here: Path
) -> None:
    names = [f"in/{path.name}" for path in make_inputs(here / "in", 26)]
    run = Run(of_files(names, "out/{stem}.npy", []), Settings(), journal=Unwritten())  # type: ignore[arg-type]
    workers = Workers(run, Client())
    workers._done, workers._seconds = done, seconds
    chunk = workers._chunk(monotonic() + 60)
    assert [job.output for job in chunk] == [job.output for job in run.jobs[:size]]
    assert not workers._exhausted
    assert workers._chunk(monotonic() - 1) == [], "no time is left"
    workers._done, workers._seconds = 10**9, 1.0
    rest = workers._chunk(monotonic() + 60)
    assert len(chunk) + len(rest) == 26
    assert workers._exhausted


def test_a_run_fills_the_cluster_and_no_more(here: Path) -> None:
    names = [f"in/{path.name}" for path in make_inputs(here / "in", 20)]
    run = Run(of_files(names, "out/{stem}.npy", []), Settings(), journal=Unwritten())  # type: ignore[arg-type]
    client = Client()
    client.threads = (1, 2)
    workers = Workers(run, client)
    workers._flights.send = lambda chunk, *rest: (
        workers._flights._flying.setdefault(  # type: ignore[method-assign]
            len(workers._flights), (None, chunk)
        )
        and len(workers._flights)
    )
    workers._fill()
    assert len(workers._flights) == 2 * 3
    workers._fill()
    assert len(workers._flights) == 2 * 3
    assert next(workers._todo).index == 6
