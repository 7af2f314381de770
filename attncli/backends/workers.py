"""Threads that run tasks as they come, a few ahead of those that are done."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType

import numpy as np

Task = Callable[[], int]
AHEAD = 2
"""Tasks a thread that wait their turn: enough to be busy, few enough to keep little in memory."""
PATIENCE = 0.2
"""Seconds after which a waiting main thread looks whether it was interrupted."""


class Workers:
    """A pool of `n` threads; on leaving, what has not begun is dropped."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.pool = ThreadPoolExecutor(n, thread_name_prefix="attncli")

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Interrupted, nobody waits for the tile that a thread is at.
        self.pool.shutdown(wait=kind is None, cancel_futures=True)

    def run(self, tasks: Iterable[Task]) -> Iterator[int]:
        """What the tasks give, as they are done; the first that fails ends it."""
        running: set[Future[int]] = set()
        coming = iter(tasks)
        while True:
            while len(running) < AHEAD * self.n and (task := next(coming, None)) is not None:
                running.add(self.pool.submit(self._quietly, task))
            if not running:
                return
            done, running = wait(running, timeout=PATIENCE, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()

    def _quietly(self, task: Task) -> int:
        with np.errstate(all="ignore"):
            return task()
