"""What can compute: a namespace of arrays, and how its errors and threads are handled.

One file and one entry in `BACKENDS` each; modules are imported when they are asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from attncli.core.step import Array, Namespace
from attncli.errors import BackendError


class Backend(Protocol):
    """An array namespace and the machine behind it."""

    name: str
    xp: Namespace
    writes_in_place: bool
    """Whether `xp` takes `out=`, and its arrays `+=`."""
    is_host: bool
    """Whether its arrays are NumPy's: then nothing is uploaded or downloaded."""

    def version(self) -> str:
        """The library and what it computes with, in a few words."""
        ...

    def upload(self, array: Array) -> Array:
        """A host array as an array of the namespace."""
        ...

    def download(self, array: Array) -> Array:
        """An array of the namespace as a NumPy array."""
        ...

    def memory(self) -> int:
        """Bytes that can be taken now."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        """An array to be written."""
        ...

    def each(self, tasks: Iterable[Callable[[], int]]) -> Iterator[int]:
        """Run tasks inside a session, on as many threads as it has; yield what they give."""
        ...

    def session(self, threads: int | None) -> AbstractContextManager[None]:
        """The surroundings of one computation: threads, floating-point warnings."""
        ...


@dataclass(frozen=True)
class Entry:
    """Where a backend lives, and what it takes to have it."""

    name: str
    module: str
    about: str


BACKENDS = {
    entry.name: entry
    for entry in (
        Entry("numpy", "attncli.backends.numpy", "NumPy on the CPU (OpenBLAS or MKL)"),
        Entry("torch", "attncli.backends.torch", "PyTorch on CUDA, MPS or the CPU"),
    )
}


def find(name: str) -> Backend:
    """The backend of this name, ready to compute; raises `BackendError` for an unknown one."""
    if name not in BACKENDS:
        raise BackendError(
            f"there is no backend {name!r}",
            expected=" or ".join(BACKENDS),
            found=name,
            hint="attncli backends list",
        )
    module = import_module(BACKENDS[name].module)
    backend: Backend = module.backend()
    return backend
