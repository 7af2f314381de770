"""Files that are mapped, and what happens when somebody cuts one of them short meanwhile.

The system ends a process that reads a page which the mapped file no longer has (SIGBUS). Here such
a page becomes zeros, so that the computation ends, and `check` then refuses its result. This can
be had on Linux only, and asks the C library for it: Python runs its own handlers between two
instructions, but the one that reads the page never ends.
"""

import ctypes
import mmap
import signal
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from attncli.errors import InputError, Place
from attncli.files.snapshot import current

if TYPE_CHECKING:
    import numpy as np

WITH_INFO, ADDRESS = 4, 16
"""SA_SIGINFO, and where siginfo_t has the address that was read (Linux, 64 bits)."""

_spans: dict[str, tuple[int, int]] = {}
"""First and last address + 1 of the newest map of each file."""
_cut: set[str] = set()
"""Files of which a page was missing."""


class _Action(ctypes.Structure):
    """struct sigaction of Linux's C libraries."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ulong * 16),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


def watched(array: "np.memmap[Any, Any]") -> None:
    """Let a map that is read by us survive a file that is cut."""
    if sys.platform == "linux" and ctypes.sizeof(ctypes.c_void_p) == 8:
        start = array.ctypes.data
        _spans[str(array.filename)] = (start, start + array.nbytes)
        _install()


def check() -> None:
    """Raise `InputError` if a file was cut while it was read; zeros then stand in its place.

    While a snapshot is taken, that knows which job has read the file.
    """
    for name in () if current() is not None else sorted(_cut):
        _cut.discard(name)
        raise InputError(
            "the file changed while it was read",
            hint="run again when nothing writes to it",
            place=Place(name),
        )


@cache
def _install() -> Any:
    """Answer SIGBUS from now on; what is returned must stay alive."""
    library = ctypes.CDLL(None)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = (
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int),
        *(ctypes.c_int, ctypes.c_int, ctypes.c_long),
    )
    fixed = 0x10
    how = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | fixed

    def missing(number: int, info: int, context: int) -> None:
        address: int = ctypes.c_void_p.from_address(info + ADDRESS).value or 0
        for name, (start, stop) in list(_spans.items()):
            if start <= address < stop:
                _cut.add(name)
                page = address & -mmap.PAGESIZE
                library.mmap(page, mmap.PAGESIZE, mmap.PROT_READ, how, -1, 0)
                return
        signal.signal(signal.SIGBUS, signal.SIG_DFL)  # not ours: it comes again, and ends us

    answer = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(missing)
    action = _Action(ctypes.cast(answer, ctypes.c_void_p), flags=WITH_INFO)
    library.sigaction(int(signal.SIGBUS), ctypes.byref(action), None)
    return answer
