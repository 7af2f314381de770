"""`report.jsonl`: what became of every job, a line each, written as it happens.

While a run goes on, lines are only ever appended, and the last line about an output counts; a line
that a kill has torn does not. When the run ends, the file is rewritten with one line an output. Who
holds the file's lock runs; the lock is the kernel's and dies with its process.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Literal

from attncli.errors import AttncliError, InputError, OutputError, Place
from attncli.files.commit import commit, failure

Status = Literal["waiting", "ok", "failed"]

HELD = 75
"""The exit code of a run that finds the lock held."""


class HeldError(AttncliError):
    """Another run holds the lock."""

    code = HELD


@dataclass(frozen=True, slots=True)
class Record:
    """What became of a job. `waiting`: it was begun by some run, and may have been killed."""

    job: int
    output: str
    status: Status
    seconds: float = 0.0
    error: str | None = None
    """In the words of stderr."""
    exit_code: int = 0
    """What `attend` would have ended with."""
    parameters: str | None = None
    """SHA-256 of the job as the manifest and the flags describe it."""
    inputs: dict[str, str] = field(default_factory=dict)
    """File → SHA-256 of what was read."""
    sha256: str | None = None
    """Of the output."""

    def line(self) -> bytes:
        """The record as one line of JSON."""
        fields = {name: getattr(self, name) for name in Record.__slots__}
        return json.dumps(fields).encode("ascii") + b"\n"


def record(line: bytes) -> Record | None:
    """The record of a line; None if it is none."""
    try:
        made = Record(**json.loads(line))
    except (ValueError, TypeError):
        return None
    kinds = (made.output, str), (made.status, str), (made.inputs, dict), (made.job, int)
    return made if all(isinstance(value, kind) for value, kind in kinds) else None


class Journal:
    """An open report: locked, read, and ready to be appended to."""

    def __init__(self, path: Path) -> None:
        """Open and lock a report; raises `HeldError`, `OutputError`, `InputError`."""
        self.path = path
        self._append = Lock()
        self._file = _locked(path)
        try:
            self.records, end = _read(self._file, path)
            if end < os.fstat(self._file.fileno()).st_size:
                os.ftruncate(self._file.fileno(), end)  # a torn line
        except BaseException:
            self._file.close()
            raise

    @staticmethod
    def peek(path: Path) -> dict[str, Record]:
        """The last record of every output of a report that others may be writing."""
        try:
            with open(path, "rb") as file:
                return _read(file, path)[0]
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise failure(path, error) from error

    def add(self, records: Iterable[Record], *, sync: bool = False) -> None:
        """Append records, whole lines at once; raises `OutputError`."""
        lines = b"".join(record.line() for record in records)
        with self._append:
            before = os.fstat(self._file.fileno()).st_size
            try:
                there = self._file.write(lines)
                if there != len(lines):  # a full disk can take a part
                    self._file.write(lines[there:])
                if sync:
                    os.fsync(self._file.fileno())
            except OSError as error:
                with suppress(OSError):  # half a line would spoil the next one
                    os.ftruncate(self._file.fileno(), before)
                raise failure(self.path, error) from error

    def close(self, records: Iterable[Record]) -> None:
        """Rewrite the report with these records only, and let go of the lock.

        Raises `OutputError`; the lines that were appended then stay.
        """
        lines = [record.line() for record in records]
        try:
            commit(self.path, lambda file: file.writelines(lines), force=True)
        finally:
            self._file.close()

    def leave(self) -> None:
        """Let go of the lock, and leave the lines as they are; without lines, nothing."""
        with suppress(OSError):
            if not os.fstat(self._file.fileno()).st_size:
                self.path.unlink()  # while the lock is held: who waits for it sees a new file
        self._file.close()


def _locked(path: Path) -> Any:
    """The report, opened for reading and appending, and locked until it is closed."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(path, "a+b", buffering=0)  # noqa: SIM115  (held open by the journal)
        except OSError as error:
            raise failure(path, error) from error
        try:
            if not os.path.isfile(path):
                raise OutputError(f"cannot write {path}: it is not an ordinary file")
            _lock(file, path)
            # The run before may have put a new file in place after we opened the old one.
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _lock(file: BinaryIO, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(0)  # what is locked is the byte here
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            raise _held(path) from None
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _held(path) from None
    except OSError as error:
        raise failure(path, error) from error


def _held(path: Path) -> HeldError:
    return HeldError(
        "another run is writing this report",
        hint="wait for it, or give this one its own: --report FILE",
        place=Place(str(path)),
    )


def _read(file: BinaryIO, path: Path) -> tuple[dict[str, Record], int]:
    """The last record of every output, and where the whole lines end."""
    file.seek(0)
    content = file.read()
    end = content.rfind(b"\n") + 1
    lines = content[:end].splitlines()
    found = [made for line in lines if (made := record(line)) is not None]
    if content and not found:
        raise InputError(
            "this is no report of a batch",
            hint="--report FILE keeps the report elsewhere",
            place=Place(str(path)),
        )
    return {made.output: made for made in found}, end
