"""Lets the n-th call to the system fail: a full disk, a broken one, no permission, half a write."""

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHANGING = ("chmod", "fsync", "ftruncate", "link", "mkdir", "posix_fallocate", "pwrite", "replace")
CHANGING += ("rename", "sync", "truncate", "unlink", "write")
LOOKING = ("close", "fstat", "listdir", "lstat", "open", "scandir", "stat")
CODES = {"full": errno.ENOSPC, "broken": errno.EIO, "forbidden": errno.EACCES}
FAULTS = (*CODES, "half")
"""`half`: a write takes a part of what it is given, which is no error; other calls go through."""


class Faults:
    """Counts calls of `os`, and spoils one of them; `spoiled` is its name then."""

    def __init__(self, number: int, fault: str) -> None:
        self.left = number
        self.fault = fault
        self.spoiled = ""

    def call(self, name: str, real: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        self.left -= 1
        if self.left:
            return real(*arguments, **keywords)
        self.spoiled = name
        if self.fault == "half":
            if name in ("write", "pwrite"):
                descriptor, content, *rest = arguments
                return real(descriptor, content[: (len(content) + 1) // 2], *rest)
            return real(*arguments, **keywords)
        code = CODES[self.fault]
        if name == "close":
            real(*arguments)  # the system closes a file even if it says that it could not
        named = isinstance(arguments[0], str | os.PathLike) if arguments else False
        raise OSError(code, os.strerror(code), *([os.fspath(arguments[0])] if named else []))


@contextmanager
def faults(number: int, fault: str, names: tuple[str, ...]) -> Iterator[Faults]:
    """Spoil the `number`-th call, counted from 1, of those names."""
    bomb = Faults(number, fault)

    def wrapped(name: str) -> Callable[..., Any]:
        real = getattr(os, name)
        return lambda *arguments, **keywords: bomb.call(name, real, *arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            if hasattr(os, name):
                patch.setattr(os, name, wrapped(name))
        yield bomb


class Slow(io.RawIOBase):
    """A file that gives a few bytes at a time, and fails at one of its reads."""

    def __init__(self, descriptor: int, number: int, fault: str) -> None:
        self.file = io.FileIO(descriptor, "rb")
        self.name = descriptor
        self.left = number
        self.fault = fault
        self.spoiled = False
        self.reads = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.file.fileno()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def close(self) -> None:
        self.file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        self.left -= 1
        self.reads += 1
        if self.left == 0 and self.fault != "half":
            self.spoiled = True
            code = CODES[self.fault]
            raise OSError(code, os.strerror(code))
        return self.file.readinto(memoryview(buffer)[:97])
