"""What can compute: a namespace of arrays, and how its errors and threads are handled.

One file and one entry in `BACKENDS` each; modules are imported when they are asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from attncli.core.step import Array, Namespace
from attncli.errors import BackendError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class Backend(Protocol):
    """An array namespace and the machine behind it.

    It may have two methods more: `exhausted(error)`, whether an error says that memory is short
    (`MemoryError` does by itself), and `release()`, which lets go what it holds for later; tiles
    are then halved and done again. And a number more: `tile`, how many queries and keys its tiles
    have by themselves.
    """

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


PROTOCOL = 1
"""The version of this protocol; a backend from outside says with `protocol` which it speaks."""

GROUP = "attncli.backends"
"""The entry points of packages that bring a backend: name = "module:function"."""


@dataclass(frozen=True)
class Entry:
    """Where a backend lives, and what it is."""

    name: str
    module: str
    about: str


BACKENDS = {
    entry.name: entry
    for entry in (
        Entry("numpy", "attncli.backends.numpy", "NumPy on the CPU (OpenBLAS or MKL)"),
        Entry("cupy", "attncli.backends.cupy", "CuPy on NVIDIA GPUs"),
        Entry("torch", "attncli.backends.torch", "PyTorch on CUDA, MPS or the CPU"),
    )
}


def find(name: str) -> Backend:
    """The backend of this name, ready to compute: in the house first, then from other packages.

    Raises `BackendError` for an unknown name, one that two packages claim, a package that cannot
    be imported or speaks another version of the protocol, and whatever a backend lacks.
    """
    if name in BACKENDS:
        backend: Backend = import_module(BACKENDS[name].module).backend()
        return backend
    claims = outside().get(name, [])
    if not claims:
        raise BackendError(
            f"there is no backend {name!r}",
            expected=" or ".join([*BACKENDS, *outside()]),
            found=name,
            hint="attncli backends list",
        )
    if len(claims) > 1:
        packages = " and ".join(sorted(_package(claim) for claim in claims))
        raise BackendError(
            f"two packages bring a backend {name!r}: {packages}",
            hint="uninstall one of them",
        )
    return _from_outside(claims[0])


def outside() -> "dict[str, list[EntryPoint]]":
    """The backends that installed packages bring, by name; those of the house are not replaced."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if point.name not in BACKENDS:
            found.setdefault(point.name, []).append(point)
    return found


def _package(point: "EntryPoint") -> str:
    return point.dist.name if point.dist is not None else point.value


def _from_outside(point: "EntryPoint") -> Backend:
    try:
        backend: Backend = point.load()()
    except BackendError:
        raise
    except Exception as error:  # whatever a foreign package does must not look like our bug
        raise BackendError(
            f"the backend {point.name} of {_package(point)} fails to load: "
            f"{type(error).__name__}: {error}",
            hint="install that package again, or another version of it",
        ) from error
    protocol = getattr(backend, "protocol", None)
    if protocol != PROTOCOL:
        raise BackendError(
            f"the backend {point.name} of {_package(point)} speaks protocol {protocol}",
            expected=f"protocol {PROTOCOL}",
            found=str(protocol),
            hint="install a version of it that is made for this attncli",
        )
    return backend
