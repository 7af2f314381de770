"""NumPy: the backend that is always there."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import erf
from pathlib import Path
from typing import Any

import numpy as np

from attncli.core.step import Array


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
        """What the machine has free, or what its control group allows, whichever is less."""
        limits = [_meminfo(), *_control_group()]
        known = [limit for limit in limits if limit is not None]
        return min(known, default=sys.maxsize)

    @contextmanager
    def session(self, threads: int | None = None) -> Iterator[None]:
        """Quiet floating point (the report speaks of NaN and infinity) and `threads` for BLAS."""
        with np.errstate(all="ignore"):
            if threads is None:
                yield
                return
            from threadpoolctl import threadpool_limits

            with threadpool_limits(threads):
                yield


def _meminfo() -> int | None:
    """MemAvailable of Linux; None elsewhere."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith("MemAvailable:")), None)
    return None if line is None else int(line.split()[1]) * 1024


def _control_group() -> list[int]:
    """What is left of the memory limit of this process's control group, if there is one."""
    root = Path("/sys/fs/cgroup")
    left = []
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            left.append(int((root / most).read_text()) - int((root / used).read_text()))
        except (OSError, ValueError):
            continue
    return left


def backend() -> NumpyBackend:
    return NumpyBackend()
