"""A backend of nothing but the array API standard, on its second device.

`array-api-strict` refuses what the standard does not promise, and mixes no devices; so what runs
here may be expected to run on CuPy and others that have never been at hand.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import erf
from typing import Any

import array_api_strict
import numpy as np

from attncli.machine import free_memory

DEVICE = array_api_strict.Device("device1")
MAKERS = ("arange", "asarray", "empty", "eye", "full", "linspace", "ones", "zeros")


class Functions:
    """The standard's functions; new arrays are made on the second device."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(array_api_strict, name)
        if name not in MAKERS:
            return value
        return lambda *given, **more: value(*given, **{"device": DEVICE, **more})

    def erf(self, x: Any) -> Any:
        numbers = np.asarray(x.to_device(array_api_strict.Device("CPU_DEVICE")))
        values = np.vectorize(erf, otypes=[numbers.dtype])(numbers)
        return array_api_strict.asarray(values, device=DEVICE)


class StrictBackend:
    name = "strict"
    xp = Functions()
    writes_in_place = False
    is_host = False

    def version(self) -> str:
        return f"array-api-strict {array_api_strict.__version__}"

    def upload(self, array: Any) -> Any:
        return array_api_strict.asarray(np.asarray(array), device=DEVICE, copy=True)

    def download(self, array: Any) -> Any:
        assert array.device == DEVICE, "an array has been made on another device"
        return np.asarray(array.to_device(array_api_strict.Device("CPU_DEVICE")))

    def memory(self) -> int:
        return free_memory()

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        return self.xp.empty(shape, dtype=getattr(array_api_strict, dtype))

    @contextmanager
    def session(self, threads: int | None = None) -> Iterator[None]:
        with np.errstate(all="ignore"):
            yield

    def each(self, tasks: Iterable[Callable[[], int]]) -> Iterator[int]:
        for task in tasks:
            yield task()


def backend() -> StrictBackend:
    return StrictBackend()
