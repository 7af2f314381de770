"""What one computation read: every small file once, and the hash of each.

Inside `taking()`, `reading.opened` asks here first. A small file is read whole: what is computed is
then what was hashed, even if the file changes at that moment, and reading a second tensor of it
costs nothing. A large one stays where it lies (it is mapped), is hashed through, and must not
change until `check`.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

from attncli.errors import InputError, Place

SMALL = 1 << 20
"""Bytes up to which a file is read whole."""

Signature = tuple[int, int, int, int]

_signed: dict[str, tuple[Signature, str]] = {}
"""Hashes of large files that are still what they were, so that a sweep hashes its input once."""


class Snapshot:
    """The files that were opened while it was taken."""

    def __init__(self) -> None:
        self.hashes: dict[str, str] = {}
        """Path as it was opened → SHA-256 of what was read there."""
        self.made: dict[str, Any] = {}
        """Path → what the reader of archives keeps of a small one, to take it apart only once."""
        self._contents: dict[str, bytes] = {}
        self._large: dict[str, Signature] = {}

    def content(self, path: Path) -> bytes | None:
        """The bytes of a small file that was opened before."""
        return self._contents.get(str(path))

    def seen(self, path: Path, file: BufferedReader) -> BufferedReader | BytesIO:
        """The file to read in place of one that was just opened."""
        name = str(path)
        status = os.fstat(file.fileno())
        if status.st_size <= SMALL:
            content = file.read(status.st_size)
            self._contents[name] = content
            self.hashes[name] = hashlib.sha256(content).hexdigest()
            return BytesIO(content)
        self._large[name] = _signature(status)
        self.hashes[name] = _large_hash(name, file, self._large[name])
        file.seek(0)
        return file

    def check(self) -> None:
        """Raise `InputError` if a large file has changed since it was opened."""
        for name, signature in self._large.items():
            try:
                changed = _signature(os.stat(name)) != signature
            except OSError:
                changed = True
            if changed:
                raise InputError(
                    "the file changed while it was read",
                    hint="run again when nothing writes to it",
                    place=Place(name),
                )


_current: ContextVar[Snapshot | None] = ContextVar("snapshot", default=None)


def current() -> Snapshot | None:
    """The snapshot that is being taken in this thread, if any."""
    return _current.get()


@contextmanager
def taking() -> Iterator[Snapshot]:
    """Note every file that is opened inside."""
    snapshot = Snapshot()
    token = _current.set(snapshot)
    try:
        yield snapshot
    finally:
        _current.reset(token)


def hash_of(path: Path) -> str | None:
    """SHA-256 of what a file holds now; None if it cannot be read."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size <= SMALL:
                return hashlib.sha256(file.read()).hexdigest()
            return _large_hash(str(path), file, _signature(status))
    except (OSError, ValueError):
        return None


def _large_hash(name: str, file: BufferedReader, signature: Signature) -> str:
    known = _signed.get(name)
    if known is not None and known[0] == signature:
        return known[1]
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    _signed[name] = (signature, digest)
    return digest


def _signature(status: os.stat_result) -> Signature:
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
