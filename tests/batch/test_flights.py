"""What was sent to a cluster and comes back, or does not: a client that misbehaves on purpose."""

import json
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from attncli.batch import cluster as reached
from attncli.batch import flights
from attncli.batch.cluster import Cluster, asked, named, refuse_other_versions, versions
from attncli.batch.flights import Flights, called
from attncli.batch.manifest import of_files
from attncli.batch.remote import CHECKED, Workers, _some_inputs
from attncli.batch.run import Run
from attncli.batch.settings import Settings
from attncli.errors import BackendError, InputError, UsageError
from tests.batch.jobs import make_inputs

distributed = pytest.importorskip("distributed")


class Future:
    """A task whose fate the test decides."""

    def __init__(self, outcome: tuple[Any, Any] | BaseException) -> None:
        self.outcome = outcome
        self.status = "error" if isinstance(outcome, Exception) else "finished"
        self.waiting: list[Callable[[Any], None]] = []

    def add_done_callback(self, tell: Callable[[Any], None]) -> None:
        tell(self)
        self.waiting.append(tell)

    def result(self) -> Any:
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def exception(self) -> Any:
        return self.outcome


class Client:
    """A cluster of two workers that runs at once what is sent."""

    status = "running"
    cancelled: tuple[Any, ...] = ()
    threads: Any = (3, 4)

    def nthreads(self) -> dict[str, int]:
        if isinstance(self.threads, Exception):
            raise self.threads
        return dict(zip("ab", self.threads, strict=False))

    def submit(self, function: Any, *arguments: Any, pure: bool) -> Future:
        assert not pure, "the same call is no reason to take an old result"
        if function is called and arguments[0] is refuse:
            raise TypeError("it cannot be sent")
        result = function(*arguments)
        return result if isinstance(result, Future) else Future(result)

    def cancel(self, futures: list[Future]) -> None:
        self.cancelled = tuple(futures)


def refuse() -> None:
    """Stands for what cannot be packed."""


def of(client: Client, *futures: Future) -> Flights[str]:
    """Flights that are in the air."""
    made: Flights[str] = Flights(client)
    for number, future in enumerate(futures):
        made._flying[number] = (future, f"cargo {number}")
        made._await(number)
    return made


def test_what_comes_back_is_what_was_sent_for() -> None:
    client = Client()
    some = of(client)
    assert [some.send(f"cargo {n}", divmod, 17, n) for n in (3, 5)] == [0, 1]
    assert len(some) == 2
    first, second = some.landed(0), some.landed(0)
    assert first is not None
    assert (first.number, first.cargo, first.result, first.error) == (0, "cargo 3", (5, 2), None)
    assert second is not None
    assert second.result == (3, 2)
    assert some.landed(0) is None
    assert len(some) == 0


def test_two_flights_a_thread_are_in_the_air(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(flights, "monotonic", lambda: now[0])
    client = Client()
    some = of(client, Future((1, None)))
    assert some.room() == 2 * 7 - 1
    client.threads = (1,)
    now[0] += 2.0
    assert some.threads() == 7, "asked every two seconds only"
    now[0] += 0.1
    assert some.threads() == 1
    client.threads = ()
    now[0] += 3
    assert some.threads() == 1, "workers may come back"


def test_our_own_errors_come_back_as_they_are() -> None:
    some = of(Client())
    some.send("cargo", sum, 5)
    with pytest.raises(Exception, match="'int' object is not iterable"):
        some.landed(0)
    result, failure = called(json.loads, "{")
    assert result is None
    assert failure is not None
    assert called(max, 3, 5) == (5, None)


def test_a_task_that_kills_workers_is_told_as_that() -> None:
    killer = distributed.scheduler.KilledWorker("task", None, 3)
    landed = of(Client(), Future(killer)).landed(0)
    assert landed is not None
    assert "every worker that tried it died" in str(landed.error)
    with pytest.raises(BackendError, match="the workers cannot do it: ValueError: no"):
        of(Client(), Future(ValueError("no"))).landed(0)


def test_a_result_whose_worker_died_is_waited_for_again() -> None:
    future = Future((7, None))
    future.status = "pending"
    some = of(Client(), future)
    assert some.landed(0) is None
    assert len(some) == 1
    future.status = "finished"
    landed = some.landed(0)
    assert landed is not None
    assert landed.result == 7


@pytest.mark.parametrize("how", ["cancelled", "closed", "closed while waiting", "lost"])
def test_without_a_scheduler_all_is_lost(how: str) -> None:
    client, future = Client(), Future((7, None))
    some = of(client, future)
    if how == "cancelled":
        future.status = "cancelled"
    elif how == "closed while waiting":
        some = of(client)
        client.status = "closed"
    elif how == "closed":
        client.status = "closed"
    else:
        future.outcome = CancelledError("gone")
        future.status = "finished"
    with pytest.raises((BackendError, CancelledError)) as lost:
        some.landed(0)
    assert "the connection to the scheduler is lost" in str(lost.value)


def test_a_client_that_is_gone_or_refuses_is_told() -> None:
    client = Client()
    client.threads = OSError("timed out")
    with pytest.raises(BackendError, match="is lost: timed out"):
        of(client).threads()
    client.status = "closed"
    with pytest.raises(BackendError, match="is lost"):
        of(client).threads()
    with pytest.raises(BackendError, match="it cannot be sent"):
        of(Client()).send("cargo", refuse)


def test_what_is_on_its_way_is_forgotten_when_a_run_ends() -> None:
    client = Client()
    some = of(client, Future((1, None)), Future((2, None)))
    some.clear()
    assert len(client.cancelled) == 2
    assert len(some) == 0
    closed = Client()
    closed.status = "closed"
    some = of(closed, Future((1, None)))
    some.clear()
    assert closed.cancelled == ()
    assert len(some) == 0


def test_a_worker_of_other_versions_is_told_apart() -> None:
    refuse_other_versions(versions())
    with pytest.raises(BackendError) as refused:
        refuse_other_versions(versions() | {"NumPy": "0.1"})
    assert ", here 0.1" in str(refused.value)


def test_workers_that_fail_when_asked_are_named() -> None:
    class Asked:
        def run(self, function: Any, *arguments: Any, on_error: str) -> dict[str, Any]:
            assert on_error == "return"
            if function is refuse:
                raise OSError("no route")
            return {f"tcp://w{n}": function(n) if n < 5 else ValueError("bad") for n in range(9)}

    client: Any = Asked()
    with pytest.raises(BackendError, match="4 of 9 workers fail: tcp://w5 "):
        asked(client, str)
    with pytest.raises(BackendError, match="is lost: no route"):
        asked(client, refuse)
    few = {f"w{n}": "why" for n in range(reached.MOST_NAMED)}
    assert not named(few).endswith("…")
    assert named(few | {"one more": "why"}) == named(few) + ", …"


def test_a_cluster_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty:
        def wait_for_workers(self, n: int, timeout: float) -> None:
            raise TimeoutError

    client: Any = Empty()
    with pytest.raises(BackendError, match="the cluster has no workers"):
        Cluster("tcp://127.0.0.1:1")._check(client)


@pytest.mark.parametrize("missing", ["--tls-ca-file", "--tls-cert", "--tls-key"])
def test_certificates_come_all_or_none(missing: str, here: Path) -> None:
    names = {flag: f"{flag}.pem" for flag in ("--tls-ca-file", "--tls-cert", "--tls-key")}
    for name in names.values():
        (here / name).touch()
    lacking = Cluster("tls://127.0.0.1:1", False, *(names | {missing: None}).values())
    with pytest.raises(UsageError, match=f"{missing} is missing"):
        lacking.security()
    (here / names[missing]).unlink()
    with pytest.raises(UsageError, match=f"{missing}.pem: there is no such file"):
        Cluster("tls://127.0.0.1:1", False, *names.values()).security()


@pytest.mark.parametrize("content", ['{"address": 3}', "{}", "[1]", "{", "\xff"])
def test_what_is_no_scheduler_file(content: str, here: Path) -> None:
    Path("s.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match="no scheduler file"):
        Cluster("s.json").scheduler()


def test_some_inputs_are_compared_from_all_over_a_manifest(here: Path) -> None:
    n = 3 * CHECKED + 1
    names = [f"in/{path.name}" for path in make_inputs(here / "in", n)]
    run = Run(of_files(names, "out/{stem}.npy", []), Settings(), journal=_Closed())  # type: ignore[arg-type]
    looked_at = [Path(path).relative_to(here).as_posix() for path in _some_inputs(run)]
    assert looked_at == names[::3]
    few = Run(of_files(names[:2], "out/{stem}.npy", []), Settings(), journal=_Closed())  # type: ignore[arg-type]
    assert [Path(path).name for path in _some_inputs(few)] == ["0000.npz", "0001.npz"]


class _Closed:
    """A journal that nobody writes."""

    records: dict[str, Any] = {}  # noqa: RUF012
    path = Path("report.jsonl")

    def add(self, records: Any, *, sync: bool = False) -> None:
        self.added = [*records]


def test_an_output_that_cannot_be_written_here_has_failed(here: Path) -> None:
    make_inputs(here / "in", 1)
    run = Run(of_files(["in/0000.npz"], "out/{stem}.npy", []), Settings(), journal=_Closed())  # type: ignore[arg-type]
    workers = Workers(run, Client(), fail_fast=True)
    from attncli.batch.journal import Record

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
    run = Run(of_files(names, "out/{stem}.npy", []), Settings(), journal=_Closed())  # type: ignore[arg-type]
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
    run = Run(of_files(names, "out/{stem}.npy", []), Settings(), journal=_Closed())  # type: ignore[arg-type]
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


def test_parts_of_one_unit_travel_together_about_a_second_of_them() -> None:
    spread = pytest.importorskip("attncli.batch.spread")
    from types import SimpleNamespace

    def waiting(unit: Any) -> Any:
        rows = range(10)
        piece = SimpleNamespace(unit=unit, rows=rows)
        return spread.Waiting(piece, [spread.Part(rows, range(7), 5, None)])

    units = [SimpleNamespace(recipe=SimpleNamespace(n_keys=7)) for _ in range(2)]
    sent: list[int] = []
    made = object.__new__(spread.Spread)
    made._flights = SimpleNamespace(
        threads=lambda: 1, send=lambda parts, *_: sent.append(len(parts))
    )
    made._common, made._versions = lambda unit: None, {}

    def cut(rate: float, *counts: int) -> list[int]:
        made._rate = rate
        todo = deque(
            (waiting(unit), 0) for unit, n in zip(units, counts, strict=True) for _ in range(n)
        )
        sent.clear()
        while todo:
            made._send(todo)
        return sent

    assert cut(1e9, 8, 3) == [5, 3, 1, 1, 1], "half of what is left for each of two flights"
    assert cut(0.0, 3, 1) == [1, 1, 1, 1], "the first ones travel alone"
    assert cut(139.0, 9, 0)[0] == 2, "2 of 70 pairs are more than a second"
    assert cut(140.0, 9, 0)[0] == 3
