"""The one way in which attncli writes a file: aside, synced, then put in place in one step.

So a file that exists under its final name is complete, whatever happened on the way, and nothing
is replaced unless that was asked for.
"""

import errno
import os
import re
import secrets
import shlex
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from attncli.errors import OutputError, Place, reason

STREAM = re.compile(r"/dev/(stdin|stdout|stderr)|(?:/dev/fd|/proc/self/fd)/(\d{1,9})")
NUMBERS = {"stdin": 0, "stdout": 1, "stderr": 2}
NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)
"""What file systems without hard links (FAT, some network drives) answer."""

HINTS = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "free some space, or write to another disk",
    errno.EACCES: "choose a directory that you may write to",
    errno.EPERM: "choose a directory that you may write to",
    errno.EROFS: "choose a directory that you may write to",
    errno.ENAMETOOLONG: "choose a shorter name",
}

Writer = Callable[[BinaryIO], object]


def commit(path: Path, write: Writer, *, force: bool = False) -> None:
    """Let `write` fill the file `path`; on any failure nothing is left behind.

    An existing file is replaced only with `force`, and keeps its permissions; a link is followed.
    A character device, a pipe and an open stream (/dev/stdout) are written to directly.
    Raises `OutputError`; what `write` raises goes through.
    """
    try:
        if stream := STREAM.fullmatch(str(path)):
            sys.stdout.flush()
            number = NUMBERS[stream[1]] if stream[1] else int(stream[2])
            with os.fdopen(os.dup(number), "wb") as file:
                write(file)
            return
        mode = mode_of(path)
        if mode is None or stat.S_ISREG(mode):
            if mode is not None and not force:
                raise exists(path)
            _replace(path, write, mode, force)
        elif stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
            with open(path, "wb") as file:
                write(file)
        else:
            kind = "it is a directory" if stat.S_ISDIR(mode) else "it is not an ordinary file"
            hint = f"name a file in it: {path / 'out.npz'}" if stat.S_ISDIR(mode) else ""
            raise OutputError(f"cannot write {path}: {kind}", hint=hint)
    except BrokenPipeError:
        raise  # whoever read has had enough: no failure
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and _can_be(path):
            raise
        raise failure(path, error) from error


def _can_be(path: Path) -> bool:
    """Whether a file can have this name."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def mode_of(path: Path) -> int | None:
    """The mode of what a path leads to; None if nothing is there."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _replace(path: Path, write: Writer, mode: int | None, force: bool) -> None:
    """Write aside in the same directory, and put the file in place."""
    target = Path(os.path.realpath(path))
    aside = target.parent / aside_name(target.name, secrets.token_hex(8))
    try:
        # 0o666 is narrowed by the umask, as for any new file.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with open(aside, "wb", opener=lambda name, _: os.open(name, flags, 0o666)) as file:
            if mode is not None:
                os.chmod(aside, stat.S_IMODE(mode) & 0o777)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if force:
            os.replace(aside, target)
        else:
            put_in_place(aside, target)
    except FileExistsError:
        raise exists(path) from None
    finally:
        with suppress(OSError):  # a rename has taken it away
            os.unlink(aside)
    sync_directory(target.parent)


def aside_name(name: str, mark: str) -> str:
    """What a file is called until it gets its name; `mark` is 16 hexadecimal digits."""
    return f".{name[:40]}.{mark}"


def put_in_place(aside: Path | str, target: Path | str) -> None:
    """Give a file its name unless that is taken, even by another process at the same instant."""
    try:
        os.link(aside, target)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        # Without hard links there is no such step: a look, then the rename. A file reserved under
        # the final name would be safe from others, but empty if we are killed before the rename.
        if os.path.lexists(target):
            raise FileExistsError from None
        os.rename(aside, target)


def sync_directory(directory: Path) -> None:
    """Make a rename last; not every system lets a directory be synced."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        return
    with suppress(OSError):
        os.fsync(descriptor)
    with suppress(OSError):
        os.close(descriptor)


def exists(path: Path) -> OutputError:
    """The error of a file that is not to be replaced."""
    return OutputError("the file exists", hint="--force replaces it", place=Place(str(path)))


def failure(path: Path, error: OSError | ValueError) -> OutputError:
    """The error of a path that cannot be written, in a user's words."""
    code = error.errno if isinstance(error, OSError) else None
    directory = path.parent
    if code == errno.ENOENT and not os.path.isdir(directory):
        return OutputError(
            f"cannot write {path}: there is no directory {directory}",
            hint=f"mkdir -p {shlex.quote(str(directory))}",
        )
    if code == errno.ENOTDIR:
        return OutputError(f"cannot write {path}: {directory} is not a directory")
    return OutputError(f"cannot write {path}: {reason(error)}", hint=HINTS.get(code or 0, ""))
