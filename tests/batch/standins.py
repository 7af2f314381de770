"""A cluster whose workers are this process, and a report that nobody writes."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from attncli.batch.flights import called
from attncli.batch.journal import Record


class Future:
    """A task whose fate the test decides."""

    def __init__(self, outcome: Any) -> None:
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

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        """Each function that was sent, with its arguments."""

    def nthreads(self) -> dict[str, int]:
        if isinstance(self.threads, Exception):
            raise self.threads
        return dict(zip("ab", self.threads, strict=False))

    def submit(self, function: Any, *arguments: Any, pure: bool) -> Future:
        assert not pure, "the same call is no reason to take an old result"
        there = [one.outcome if isinstance(one, Future) else one for one in arguments]
        self.sent.append((*there,) if function is called else (function, *there))
        result = function(*there)
        return result if isinstance(result, Future) else Future(result)

    def run(self, function: Any, *arguments: Any, on_error: str) -> dict[str, Any]:
        assert on_error == "return"
        return {worker: function(*arguments) for worker in self.nthreads()}

    def cancel(self, futures: list[Future]) -> None:
        self.cancelled = tuple(futures)


class Unwritten:
    """A journal that nobody writes."""

    path = Path("report.jsonl")

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.records = {record.output: record for record in records}

    def add(self, records: Iterable[Record], *, sync: bool = False) -> None:
        self.added = [*records]
