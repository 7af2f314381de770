"""Work on its way on a cluster: what was sent, what is back, and what its workers died of."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Generic, TypeVar

from attncli.batch.cluster import Client, gone
from attncli.errors import AttncliError, BackendError, known

AHEAD = 2
"""Flights a thread of the cluster: one that it does, one that waits for it."""

EVERY = 2.0
"""Seconds between two looks at how large the cluster is."""

Cargo = TypeVar("Cargo")


@dataclass(frozen=True)
class Landed(Generic[Cargo]):
    """What was sent, and its result; or why every worker that tried it died."""

    number: int
    cargo: Cargo
    result: Any = None
    error: BackendError | None = None


class Flights(Generic[Cargo]):
    """Tasks of one client. What a dead worker did is done again by others: Dask sees to it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._flying: dict[int, tuple[Any, Cargo]] = {}
        self._back: SimpleQueue[int] = SimpleQueue()
        self._count = 0
        self._threads, self._asked = 1, -inf

    def __len__(self) -> int:
        return len(self._flying)

    def room(self) -> int:
        """How many more should be sent now: the cluster may have grown."""
        return AHEAD * self.threads() - len(self)

    def threads(self) -> int:
        """Threads of all workers, as they were a moment ago."""
        if monotonic() - self._asked > EVERY:
            if self.client.status != "running":
                raise gone()
            try:
                self._threads = max(1, sum(self.client.nthreads().values()))
            except Exception as error:
                raise gone(error) from error
            self._asked = monotonic()
        return self._threads

    def send(self, cargo: Cargo, function: Callable[..., Any], *arguments: Any) -> int:
        """Have a function called on some worker; the flight's number."""
        number, self._count = self._count, self._count + 1
        self._flying[number] = (self.shared(called, function, *arguments), cargo)
        self._await(number)
        return number

    def shared(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The future of a call, which may be an argument of what is sent."""
        try:
            return self.client.submit(function, *arguments, pure=False)
        except Exception as error:
            raise gone(error) from error

    def landed(self, patience: float) -> Landed[Cargo] | None:
        """What is back within so many seconds.

        Raises `BackendError` where the scheduler is gone or a worker lacks something, and what a
        worker raised of our own errors.
        """
        try:
            number = self._back.get(timeout=patience)
        except Empty:
            if self.client.status != "running":
                raise gone() from None
            return None
        future, cargo = self._flying[number]
        if future.status == "cancelled" or self.client.status != "running":
            raise gone()
        if future.status not in ("finished", "error"):
            self._await(number)  # its worker died before it gave the result away
            return None
        killed = _killed(future) if future.status == "error" else None
        result = failure = None
        if killed is None:
            try:
                result, failure = future.result()
            except Exception as lost:
                raise gone(lost) from lost
        del self._flying[number]
        if failure is not None:
            raise failure
        return Landed(number, cargo, result, killed)

    def clear(self) -> None:
        """Forget what is on its way."""
        with suppress(Exception):  # nobody may be there any more
            if self.client.status == "running":
                self.client.cancel([future for future, _ in self._flying.values()])
        self._flying.clear()

    def _await(self, number: int) -> None:
        self._flying[number][0].add_done_callback(lambda _: self._back.put(number))


def called(function: Callable[..., Any], *arguments: Any) -> tuple[Any, AttncliError | None]:
    """On a worker: what a function gives, or why not, in words that always travel well."""
    try:
        return function(*arguments), None
    except Exception as error:
        return None, known(error)


def _killed(future: Any) -> BackendError:
    """The error of a task that kills workers; any other one is raised."""
    from distributed.scheduler import KilledWorker

    error = future.exception()
    if isinstance(error, KilledWorker):
        return BackendError(
            "every worker that tried it died, as one does that runs out of memory",
            hint="dask worker --memory-limit, or fewer --nthreads a worker",
        )
    raise BackendError(f"the workers cannot do it: {type(error).__name__}: {error}") from error
