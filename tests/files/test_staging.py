"""Outputs that are staged where links lead."""

import hashlib
import os
from pathlib import Path

import pytest

from attncli.errors import OutputError
from attncli.files import staging
from attncli.files.staging import Stage, clear

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


def test_what_is_there_is_replaced_only_when_asked() -> None:
    Path("out.npz").write_bytes(b"old")
    with pytest.raises(OutputError, match="exists"):
        Stage().add(Path("out.npz"), CONTENT, force=False)
    assert os.listdir() == ["out.npz"]


def test_what_killed_runs_left_aside_of_these_files_is_removed() -> None:
    killed = Stage()
    for name in ("a.npz", "b.npz", "c.npz"):
        killed.add(Path(name), CONTENT, force=False)
    others = {name for name in os.listdir() if "c.npz" in name} | {"a.npz.notes"}
    Path("a.npz.notes").write_text("mine")
    clear([Path("a.npz"), Path("b.npz"), Path("missing/d.npz")])
    assert set(os.listdir()) == others


def test_what_somebody_takes_away_before_it_has_its_name_is_told() -> None:
    stage = Stage()
    stage.add(Path("out.npz"), CONTENT, force=False)
    (aside,) = os.listdir()
    os.unlink(aside)
    ((path, error),) = stage.settle()
    assert path == Path("out.npz")
    assert "no such file" in error.what
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("system", "n", "calls"),
    [
        ("linux", 8, ["file"] * 8),
        ("linux", 9, ["all"]),
        ("darwin", 9, ["file"] * 9),
    ],
)
def test_few_files_are_synced_one_by_one_and_many_at_once(
    system: str, n: int, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(staging.sys, "platform", system)
    monkeypatch.setattr(staging.os, "sync", lambda: made.append("all"))
    monkeypatch.setattr(staging.os, "fsync", lambda descriptor: made.append("file"))
    asides = [f"{at}.aside" for at in range(n)]
    for aside in asides:
        Path(aside).write_bytes(CONTENT)
    staging._sync([*asides, *["taken away"] * (system == "darwin")])
    assert made == calls
