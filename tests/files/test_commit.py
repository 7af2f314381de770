"""commit: a file under its final name is complete; nothing is replaced or left behind."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from attncli.errors import InputError, OutputError
from attncli.files import commit as module
from attncli.files.commit import commit

TARGET = Path("out.npz")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def new(file: BinaryIO) -> None:
    file.write(b"new")


def names() -> list[str]:
    return sorted(os.listdir())


def error_of(path: Path, *, force: bool = False) -> str:
    with pytest.raises(OutputError) as caught:
        commit(path, new, force=force)
    assert caught.value.exit_code == 5
    return str(caught.value)


def failing(code: int) -> object:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_new_file() -> None:
    commit(TARGET, new)
    assert TARGET.read_bytes() == b"new"
    assert names() == ["out.npz"]


def test_a_file_is_replaced_only_when_asked() -> None:
    TARGET.write_bytes(b"old")
    assert error_of(TARGET) == "out.npz: error: the file exists\nhint: --force replaces it"
    assert TARGET.read_bytes() == b"old"
    commit(TARGET, new, force=True)
    assert TARGET.read_bytes() == b"new"
    assert names() == ["out.npz"]


@pytest.mark.parametrize("links", [True, False])
def test_another_process_may_be_first(links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not links:
        monkeypatch.setattr(os, "link", failing(errno.EPERM))

    def write(file: BinaryIO) -> None:
        TARGET.write_bytes(b"theirs")
        file.write(b"ours")

    with pytest.raises(OutputError, match="the file exists"):
        commit(TARGET, write)
    assert TARGET.read_bytes() == b"theirs"
    assert names() == ["out.npz"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_hard_links(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(code))
    commit(TARGET, new)
    assert TARGET.read_bytes() == b"new"
    assert names() == ["out.npz"]


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, InputError("no"), MemoryError, ValueError("x")]
)
def test_nothing_is_left_after_a_failure(error: BaseException, force: bool) -> None:
    TARGET.write_bytes(b"old")
    path = TARGET if force else Path("other.npz")

    def write(file: BinaryIO) -> None:
        file.write(b"half")
        assert len(names()) == 2
        raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        commit(path, write, force=force)
    assert TARGET.read_bytes() == b"old"
    assert names() == ["out.npz"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_nothing_is_left_when_the_system_fails(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    assert error_of(TARGET, force=True) == (
        "error: cannot write out.npz: no space left on device\n"
        "hint: free some space, or write to another disk"
    )
    assert names() == []


def test_the_file_is_synced_before_it_gets_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for call in ("fsync", "link"):
        original = getattr(os, call)

        def recorded(*arguments: object, call: str = call, original: object = original) -> object:
            calls.append(call)
            return original(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(os, call, recorded)
    commit(TARGET, new)
    assert calls == ["fsync", "link", "fsync"]


def test_permissions_follow_the_umask_or_the_replaced_file() -> None:
    before = os.umask(0o027)
    try:
        commit(TARGET, new)
    finally:
        os.umask(before)
    assert TARGET.stat().st_mode & 0o777 == 0o640
    TARGET.chmod(0o604)
    commit(TARGET, new, force=True)
    assert TARGET.stat().st_mode & 0o777 == 0o604


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_followed(exists: bool) -> None:
    Path("deep").mkdir()
    target = Path("deep/real.npz")
    if exists:
        target.write_bytes(b"old")
    TARGET.symlink_to(target)
    commit(TARGET, new, force=exists)
    assert TARGET.is_symlink()
    assert target.read_bytes() == b"new"
    assert os.listdir("deep") == ["real.npz"]


def test_a_link_to_itself() -> None:
    TARGET.symlink_to(TARGET)
    assert error_of(TARGET, force=True) == (
        "error: cannot write out.npz: too many levels of symbolic links"
    )


def test_directories() -> None:
    Path("out").mkdir()
    assert error_of(Path("out"), force=True) == (
        "error: cannot write out: it is a directory\nhint: name a file in it: out/out.npz"
    )
    assert error_of(Path("my results/a/out.npz")) == (
        "error: cannot write my results/a/out.npz: there is no directory my results/a\n"
        "hint: mkdir -p 'my results/a'"
    )
    TARGET.write_bytes(b"old")
    assert error_of(Path("out.npz/x.npz")) == (
        "error: cannot write out.npz/x.npz: out.npz is not a directory"
    )


def test_names() -> None:
    assert error_of(Path("x" * 300)) == (
        f"error: cannot write {'x' * 300}: file name too long\nhint: choose a shorter name"
    )
    assert error_of(Path("a\0b")) == "error: cannot write a\\x00b: embedded null byte"
    long = Path("é" * 120)
    commit(long, new)
    assert long.read_bytes() == b"new"


def test_no_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", failing(errno.EACCES))
    assert error_of(TARGET) == (
        "error: cannot write out.npz: permission denied\n"
        "hint: choose a directory that you may write to"
    )


def test_devices_and_pipes_are_written_directly() -> None:
    commit(Path("/dev/null"), new)
    assert Path("/dev/null").is_char_device()
    os.mkfifo("pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_bytes()))
    reader.start()
    commit(Path("pipe"), new)
    reader.join()
    assert read == [b"new"]
    assert names() == ["pipe"]


def test_a_full_device() -> None:
    assert error_of(Path("/dev/full")).startswith(
        "error: cannot write /dev/full: no space left on device\n"
    )


SCRIPT = """
import sys
from pathlib import Path
from attncli.files.commit import commit
print("first")
commit(Path("/dev/stdout"), lambda file: file.write(b"second\\n"))
"""


def test_standard_output_is_never_cut(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[2])}
    with log.open("a") as file:
        subprocess.run([sys.executable, "-c", SCRIPT], stdout=file, env=environment, check=True)
    assert log.read_text() == "before\nfirst\nsecond\n"


KILLED = """
import os, signal, sys
from pathlib import Path
from attncli.files.commit import commit
def write(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
commit(Path("out.npz"), write, force=True)
"""


def test_a_killed_write_leaves_the_old_file() -> None:
    TARGET.write_bytes(b"old")
    environment = {**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", KILLED], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert TARGET.read_bytes() == b"old"
    (aside,) = set(names()) - {"out.npz"}
    assert aside.startswith(".out.npz.")


def test_a_reader_who_leaves_is_no_failure_of_the_file() -> None:
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)

    def write(file: BinaryIO) -> None:
        os.close(reader)
        file.write(b"for nobody")
        file.flush()

    with pytest.raises(BrokenPipeError):
        commit(Path("pipe"), write)


def test_an_open_stream_is_written_to_by_its_number() -> None:
    reads, writes = os.pipe()
    try:
        for path in (f"/dev/fd/{writes}", f"/proc/self/fd/{writes}"):
            commit(Path(path), new)
            assert os.read(reads, 9) == b"new"
    finally:
        os.close(reads)
        os.close(writes)


@pytest.mark.parametrize(("name", "number"), [("stdin", 0), ("stdout", 1), ("stderr", 2)])
def test_the_three_streams_have_their_numbers(
    name: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def dup(given: int) -> int:
        asked.append(given)
        return os.open("taken", os.O_WRONLY | os.O_CREAT)

    monkeypatch.setattr(module.os, "dup", dup)
    commit(Path(f"/dev/{name}"), new)
    assert (asked, Path("taken").read_bytes()) == ([number], b"new")


def test_half_a_character_is_no_name() -> None:
    with pytest.raises(OutputError, match="cannot write"):
        commit(Path("half \ud800.npz"), lambda file: file.write(b"numbers"))
    assert os.listdir() == []
