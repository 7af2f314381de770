"""Files that are mapped, and cut short by somebody else meanwhile: zeros, and an error."""

import ctypes
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from attncli.errors import InputError
from attncli.files import mapped
from attncli.files.snapshot import taking

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which page is missing")
N = 7 * 4096


def cut(path: Path) -> np.ndarray:
    """A map of a file that has no bytes any more, read to its end."""
    path.write_bytes(b"\1" * N)
    array = np.memmap(path, np.uint8, mode="r")
    mapped.watched(array)
    with path.open("r+b") as file:
        file.truncate(0)
    return np.array(array)


@LINUX
def test_pages_that_are_gone_are_zeros_and_refused_once(tmp_path: Path) -> None:
    path = tmp_path / "cut.npy"
    assert not cut(path).any()
    with taking():
        mapped.check()  # the snapshot of a job says it there
    with pytest.raises(InputError, match="changed while it was read") as caught:
        mapped.check()
    assert str(path) in str(caught.value.place)
    mapped.check()


@LINUX
def test_a_page_of_nobody_ends_the_process_as_ever() -> None:
    answer = mapped._install()
    try:
        answer(signal.SIGBUS, ctypes.addressof(ctypes.create_string_buffer(64)), None)
        assert signal.getsignal(signal.SIGBUS) == signal.SIG_DFL
    finally:
        mapped._install.cache_clear()
        mapped._install()


def test_other_systems_have_no_such_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(mapped, "_spans", {})
    (tmp_path / "whole.npy").write_bytes(bytes(N))
    mapped.watched(np.memmap(tmp_path / "whole.npy", np.uint8, mode="r"))
    assert mapped._spans == {}
