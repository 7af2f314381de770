"""Opening a file of tensors: ordinary files only, so that no pipe hangs a problem, and help if not.

What is wrong with a reference (no such file, a directory, no such tensor) is reported where the
reference stands; what is wrong inside a file is reported at the file.
"""

import difflib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from pathlib import Path

from attncli.errors import AttncliError, InputError, LimitError, Place, reason
from attncli.files.scalars import did_you_mean
from attncli.files.snapshot import current
from attncli.files.yaml import quoted
from attncli.machine import free_memory

# Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)


@contextmanager
def opened(path: Path, place: Place | None = None) -> Iterator[BufferedReader | BytesIO]:
    """The file for reading; errors inside the `with` that have no place get that of the file.

    While a snapshot is taken, a small file is read whole, once. Raises `InputError` at `place` (at
    the file by default) if it is no ordinary file.
    """
    snapshot = current()
    known = None if snapshot is None else snapshot.content(path)
    with _ordinary(path, place) if known is None else BytesIO(known) as file:
        try:
            if isinstance(file, BufferedReader):
                if not os.fstat(file.fileno()).st_size:
                    raise InputError("the file is empty", hint="save it again: nothing was written")
                yield file if snapshot is None else snapshot.seen(path, file)
            else:
                yield file
        except AttncliError as error:
            raise error.at(Place(str(path))) from None
        except OSError as error:
            raise _unreadable(path, None, error) from None


def _ordinary(path: Path, place: Place | None) -> BufferedReader:
    try:
        descriptor = os.open(path, FLAGS)
    except FileNotFoundError:
        named = _named(path, place, "there is no such file", "there is no file {}")
        raise InputError(named, hint=_nearest(path), place=place or Place(str(path))) from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, place, error) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            what = "is a directory" if stat.S_ISDIR(mode) else "is not an ordinary file"
            raise InputError(
                _named(path, place, what, f"{{}} {what}"),
                expected="a file .npy, .npz, .safetensors, .csv, .tsv, .png or .jpg",
                hint=_inside(path) if stat.S_ISDIR(mode) else "save what it gives to a file first",
                place=place or Place(str(path)),
            )
        return os.fdopen(descriptor, "rb")
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, OSError):
            raise _unreadable(path, place, error) from None
        raise


def _unreadable(path: Path, place: Place | None, error: OSError | ValueError) -> InputError:
    why = reason(error)
    what = _named(path, place, f"cannot be read: {why}", f"{{}} cannot be read: {why}")
    return InputError(what, place=place or Place(str(path)))


def _named(path: Path, place: Place | None, alone: str, named: str) -> str:
    """The sentence with the file's name in it, unless the place is that file."""
    if place is None or place.source == str(path):
        return alone
    return named.replace("{}", quoted(str(path), 80), 1)


def _nearest(path: Path) -> str:
    """The file that was perhaps meant; or that the directory is missing, too."""
    try:
        names = os.listdir(path.parent)
    except (OSError, ValueError):
        return f"there is no directory {quoted(str(path.parent), 80)} either"
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    if near:
        return f"did you mean {quoted(str(path.parent / near[0]), 80)}?"
    return "a path is relative to the file that names it"


def _inside(path: Path) -> str:
    """A file of tensors in a directory."""
    try:
        names = sorted(name for name in os.listdir(path) if name.endswith((".npy", ".npz")))
    except OSError:
        names = []
    return f"did you mean {quoted(str(path / names[0]), 80)}?" if names else ""


def no_member(path: Path, name: str, names: Iterable[str], place: Place | None) -> InputError:
    """The error of a name that an archive does not have; it lists those it has."""
    known = sorted(names)
    shown = [quoted(known_name) for known_name in known[:8]]
    return InputError(
        f"{quoted(path.name, 80)} has no tensor called {quoted(name) or '(empty)'}",
        expected=", ".join(shown + ["…"] * (len(known) > len(shown))),
        found="" if known else "it holds no tensors",
        hint=did_you_mean(name, known) or (f"write {path.name}:{shown[0]}" if shown else ""),
        place=place or Place(str(path)),
    )


def refuse_oversize(noun: str, needed: int) -> None:
    """Raise `LimitError` if reading needs more bytes of memory than are free."""
    allowed = free_memory()
    if needed > allowed:
        raise LimitError(
            f"reading {noun} takes {needed} bytes of memory",
            expected=f"at most {allowed}",
            found=str(needed),
            hint="save large tensors as NPY files: these are mapped, not read",
        )
