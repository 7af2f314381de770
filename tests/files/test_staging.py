"""Outputs that are staged where links lead."""

import hashlib
import os
from pathlib import Path

import pytest

from attncli.errors import OutputError
from attncli.files.staging import Stage

CONTENT = b"numbers"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("there", [False, True])
def test_a_link_is_followed(there: bool) -> None:
    target, link = Path("target.npz"), Path("link.npz")
    if there:
        target.write_bytes(b"old")
        target.chmod(0o600)
    link.symlink_to(target)
    stage = Stage()
    assert stage.add(link, CONTENT, force=True) == DIGEST
    assert stage.settle() == []
    assert link.is_symlink()
    assert target.read_bytes() == CONTENT
    assert not there or target.stat().st_mode & 0o777 == 0o600


def test_links_that_go_round_in_a_circle_lead_nowhere() -> None:
    Path("a.npz").symlink_to("b.npz")
    Path("b.npz").symlink_to("a.npz")
    stage = Stage()
    with pytest.raises(OutputError, match=r"a\.npz: too many levels of symbolic links"):
        stage.add(Path("a.npz"), CONTENT, force=True)
    assert not stage.adopt(Path("a.npz"), DIGEST, force=True)
    assert sorted(os.listdir()) == ["a.npz", "b.npz"]


def test_a_link_to_a_directory_is_no_file() -> None:
    Path("d").mkdir()
    Path("link").symlink_to("d")
    with pytest.raises(OutputError, match="d: it is not an ordinary file"):
        Stage().add(Path("link"), CONTENT, force=True)
