"""NumPy: the backend that is always there."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import erf
from typing import Any

import numpy as np

from attncli.backends.workers import Workers
from attncli.core.step import Array
from attncli.machine import cores, free_memory


class Functions:
    """NumPy's main namespace, which follows the array API standard, and `erf`, which it lacks."""

    _erf = np.frompyfunc(erf, 1, 1)

    def __getattr__(self, name: str) -> Any:
        value = getattr(np, name)
        setattr(self, name, value)
        return value

    def erf(self, x: Array) -> Array:
        """2/√π ∫₀ˣ exp(−t²) dt, to the last digit of the C library, element by element."""
        result: Array = np.asarray(self._erf(x), dtype=x.dtype)
        return result


class NumpyBackend:
    """Arrays in main memory."""

    name = "numpy"
    xp = Functions()
    writes_in_place = True
    is_host = True

    def __init__(self) -> None:
        self.threads = 1

    def version(self) -> str:
        from threadpoolctl import threadpool_info

        blas = [
            f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads"
            for pool in threadpool_info()
            if pool["user_api"] == "blas"
        ]
        return ", ".join([f"NumPy {np.__version__}", *blas])

    def upload(self, array: Array) -> Array:
        return np.asarray(array)

    def download(self, array: Array) -> Array:
        return np.asarray(array)

    def memory(self) -> int:
        return free_memory()

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        return np.empty(shape, dtype=dtype)

    @contextmanager
    def session(self, threads: int | None = None) -> Iterator[None]:
        """Quiet floating point (the report speaks of NaN and infinity) and `threads` for BLAS."""
        self.threads = threads or cores()
        with np.errstate(all="ignore"):
            if threads is None:
                yield
                return
            from threadpoolctl import threadpool_limits

            with threadpool_limits(threads):
                yield

    def each(self, tasks: Iterable[Callable[[], int]]) -> Iterator[int]:
        """Run tasks on threads of their own, each with a BLAS of one thread.

        So the threads of BLAS, which would wait for each other after every tile, do not. Whoever
        stops listening stops the threads, too, each after the tile that it is at.
        """
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1), Workers(self.threads) as workers:
            yield from workers.run(tasks)


def backend() -> NumpyBackend:
    return NumpyBackend()
