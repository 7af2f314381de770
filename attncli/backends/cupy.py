"""CuPy: NVIDIA GPUs. Its recipes run in the tests on a strict stand-in; no GPU has seen it yet."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from math import isqrt
from typing import Any

import numpy as np

from attncli.core.step import Array
from attncli.errors import BackendError

INSTALL = "python -m pip install 'attncli[cuda12]' (or [cuda13]; nvidia-smi says which CUDA)"
WHEELS = {"cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x"}
PIECE = 32 * 1024**2
"""Bytes of an upload that go at once."""
ALIVE = 4
"""Arrays of a tile's scores that there are at the same time."""
LEAST_TILE, MOST_TILE = 256, 8192
TOO_OLD, NO_DEVICE = 35, 100
"""CUDA's codes for a driver that is too old, and for no device."""


class Functions:
    """CuPy as the array API standard wants it, and `erf`, which the standard lacks."""

    def __init__(self, standard: Any, erf: Any) -> None:
        self._standard = standard
        self.erf = erf

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._standard, name)
        setattr(self, name, value)
        return value


class CupyBackend:
    """Arrays on the current CUDA device. CuPy keeps full float32 in products unless CUPY_TF32 is
    set, which is refused."""

    name = "cupy"
    writes_in_place = True
    is_host = False

    def __init__(self, cupy: Any, standard: Any, erf: Any) -> None:
        self.cupy = cupy
        self.xp = Functions(standard, erf)

    def version(self) -> str:
        properties = self.cupy.cuda.runtime.getDeviceProperties(0)
        return f"CuPy {self.cupy.__version__}, {properties['name'].decode()}"

    @property
    def tile(self) -> int:
        """Queries and keys of a tile: a power of two whose scores, `ALIVE` times, take at most half
        of the memory that is free."""
        side = isqrt(self.memory() // 2 // (ALIVE * 8))
        return max(LEAST_TILE, min(MOST_TILE, 1 << max(side.bit_length() - 1, 0)))

    def upload(self, array: Array) -> Array:
        """An array on the device. A large one goes there piece by piece through two buffers of
        pinned memory, each with a stream: one is filled while the other is sent."""
        host = np.asarray(array)
        if host.nbytes <= PIECE or not host.flags.c_contiguous:
            return self.cupy.asarray(host)
        from cupyx import empty_pinned

        made = self.cupy.empty(host.shape, dtype=host.dtype)
        source, target = host.reshape(-1), made.reshape(-1)
        step = PIECE // host.itemsize
        stream_of = self.cupy.cuda.Stream
        lanes = [(stream_of(non_blocking=True), empty_pinned(step, host.dtype)) for _ in range(2)]
        for number, start in enumerate(range(0, host.size, step)):
            stream, buffer = lanes[number % 2]
            stream.synchronize()  # what was in the buffer has left it
            part = source[start : start + step]
            buffer[: part.size] = part
            target[start : start + part.size].set(buffer[: part.size], stream=stream)
        for stream, _ in lanes:
            stream.synchronize()
        return made

    def download(self, array: Array) -> Array:
        return self.cupy.asnumpy(array)

    def memory(self) -> int:
        free, _ = self.cupy.cuda.runtime.memGetInfo()
        return int(free) + int(self.cupy.get_default_memory_pool().free_bytes())

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        return self.cupy.empty(shape, dtype=dtype)

    def exhausted(self, error: Exception) -> bool:
        """Whether an error says that the device's memory is short."""
        return isinstance(error, self.cupy.cuda.memory.OutOfMemoryError | MemoryError)

    def release(self) -> None:
        """Give back what CuPy keeps for later."""
        self.cupy.get_default_memory_pool().free_all_blocks()

    @contextmanager
    def session(self, threads: int | None = None) -> Iterator[None]:
        """The device's work is done when it ends; threads of the host have no part in it."""
        with np.errstate(all="ignore"):
            yield
        self.cupy.cuda.runtime.deviceSynchronize()

    def each(self, tasks: Iterable[Callable[[], int]]) -> Iterator[int]:
        """One after the other: the device has threads enough."""
        for task in tasks:
            yield task()


def backend() -> CupyBackend:
    """The backend; raises `BackendError` with exactly what is missing."""
    found = sorted({one.name.lower() for one in distributions()} & WHEELS)
    if len(found) > 1:
        raise BackendError(
            f"{len(found)} CuPy packages are installed, which get in each other's way",
            found=", ".join(found),
            hint=f"python -m pip uninstall {' '.join(found)}, then install one of them",
        )
    try:
        import array_api_compat.cupy as standard
        import cupy
    except ImportError as error:
        raise BackendError(
            f"the backend cupy needs {error.name or 'CuPy'}, which is not installed", hint=INSTALL
        ) from None
    if os.environ.get("CUPY_TF32", "0") != "0":
        raise BackendError("CUPY_TF32 is set: products would lose thirteen bits", hint="unset it")
    try:
        n_devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise _no_device(error, cupy) from None
    if not n_devices:
        raise BackendError("there is no CUDA device", hint="--backend numpy computes on the CPU")
    try:
        float((cupy.arange(3) + 1).sum())  # compiles a kernel: NVRTC and the headers must be there
    except Exception as error:
        raise BackendError(
            f"CuPy cannot compile for the device: {str(error)[:200]}",
            hint="install the CUDA toolkit's NVRTC and headers, of the version of the CuPy wheel",
        ) from None
    from cupyx.scipy.special import erf

    return CupyBackend(cupy, standard, erf)


def _no_device(error: Any, cupy: Any) -> BackendError:
    """What CUDA's refusal means."""
    status = getattr(error, "status", None)
    if status == TOO_OLD:
        if not cupy.cuda.runtime.driverGetVersion():
            return BackendError(
                "there is no NVIDIA driver",
                hint="install the driver of your GPU; the CPU: --backend numpy",
            )
        version = cupy.cuda.runtime.runtimeGetVersion()
        wanted = f"{version // 1000}.{version % 1000 // 10}"
        return BackendError(
            f"the NVIDIA driver is too old for CUDA {wanted}",
            hint="update the driver, or install the CuPy of an older CUDA",
        )
    if status == NO_DEVICE:
        return BackendError(
            "there is no CUDA device", hint="nvidia-smi lists them; the CPU: --backend numpy"
        )
    return BackendError(f"CUDA does not start: {error}", hint="nvidia-smi says what is wrong")
