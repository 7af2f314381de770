"""What was sent to a cluster and comes back, or does not: a client that misbehaves on purpose."""

import json
from concurrent.futures import CancelledError
from typing import Any

import pytest

from attncli.batch import flights
from attncli.batch.flights import Flights, called
from attncli.errors import BackendError
from tests.batch.standins import Client, Future

distributed = pytest.importorskip("distributed")


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


def test_a_client_that_is_gone_or_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    client.threads = OSError("timed out")
    with pytest.raises(BackendError, match="is lost: timed out"):
        of(client).threads()
    client.status = "closed"
    with pytest.raises(BackendError, match="is lost"):
        of(client).threads()

    def refuse(*_: Any, **__: Any) -> None:
        raise TypeError("it cannot be sent")

    client = Client()
    monkeypatch.setattr(client, "submit", refuse)
    with pytest.raises(BackendError, match="it cannot be sent"):
        of(client).send("cargo", max, 3, 5)


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
