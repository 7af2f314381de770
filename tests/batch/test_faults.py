"""One bad job never harms another; full disks, limits and refusals end with their exact codes."""

import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from attncli.files import commit, staging
from tests.batch.jobs import batch, contents, finished, make_inputs, records, statuses

N = 4


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


POISON = {
    "not an archive": (lambda path: path.write_bytes(b"PK nothing"), 3),
    "NaN": (lambda path: _save(path, key=np.array([[np.nan, 1]])), 4),
    "ragged": (lambda path: _save(path, key=np.ones((5, 3))), 3),
    "missing": (lambda path: path.unlink(), 3),
}


def _save(path: Path, **changed: np.ndarray) -> None:  # type: ignore[type-arg]
    arrays = {"query": np.ones((3, 2)), "key": np.ones((5, 2)), "value": np.ones((5, 7))}
    np.savez(path, **{**arrays, **changed})


@pytest.mark.parametrize("poison", sorted(POISON))
@pytest.mark.parametrize("position", range(N))
@pytest.mark.parametrize("n_threads", ["1", "3"])
def test_a_poison_job_at_each_position(
    position: int,
    poison: str,
    n_threads: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_inputs(here / "in", N)
    files = [f"in/{number:04}.npz" for number in range(N)]
    quiet = [*files, "-o", "quiet/{stem}.npz", "--report", "quiet.jsonl"]
    assert batch(*quiet) == 0
    harm, code = POISON[poison]
    harm(Path(files[position]))
    capsys.readouterr()
    command = [*files, "-o", "out/{stem}.npz", "-j", n_threads]
    monkeypatch.setattr("sys.argv", ["attncli", "batch", *command])
    assert batch(*command) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == f"{N - 1} ok, 1 failed, 0 skipped (see report.jsonl)"
    assert lines[-2].startswith("again: attncli batch ")
    report = records(here / "report.jsonl")
    assert [record["status"] for record in report].index("failed") == position
    assert report[position]["exit_code"] == code
    assert report[position]["error"] == "\n".join(lines[:-2])
    good = contents(here / "quiet")
    good.pop(f"{position:04}.npz")
    assert contents(here / "out") == good


def test_the_printed_command_runs_the_failed_ones_again(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shlex

    make_inputs(here / "in", 3)
    good = Path("in/0001.npz").read_bytes()
    Path("in/0001.npz").write_bytes(b"bad")
    command = ["in/0000.npz", "in/0001.npz", "in/0002.npz", "-o", "out of {stem}.npz"]
    done = finished(*command)
    assert done.returncode == 1
    again = next(line for line in done.stderr.splitlines() if line.startswith("again: "))
    words = shlex.split(again.removeprefix("again: attncli batch "))
    assert words == command
    Path("in/0001.npz").write_bytes(good)
    assert batch(*words) == 0
    assert capsys.readouterr().err.splitlines()[-1].startswith("1 ok, 0 failed, 2 skipped")


def test_a_command_of_thousands_of_files_is_not_printed(here: Path) -> None:
    make_inputs(here / "in", 3)
    Path("in/0001.npz").write_bytes(b"bad")
    files = [f"in/{number:04}.npz" for number in range(3)]
    many = [f"./{'./' * 800}{name}" for name in files]
    done = finished(*many, "-o", "out/{stem}.npz", cwd=here)
    assert done.returncode == 1
    assert "again: the same command (6 words) does the rest" in done.stderr
    assert finished(*many, "-o", "out/{stem}.npz", cwd=here).returncode == 1


def test_fail_fast_stops(here: Path) -> None:
    make_inputs(here / "in", 30)
    Path("in/0000.npz").write_bytes(b"bad")
    files = [f"in/{number:04}.npz" for number in range(30)]
    assert batch(*files, "-o", "out/{stem}.npz", "--fail-fast", "-j", "1") == 1
    assert statuses(here / "report.jsonl") == ["failed"] + ["waiting"] * 29
    assert not list(Path("out").iterdir())
    make_inputs(here / "in", 1)
    assert batch(*files, "-o", "out/{stem}.npz", "--fail-fast", "-j", "1") == 0
    assert statuses(here / "report.jsonl") == ["ok"] * 30


def test_retries(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job whose input appears while it is tried again is done after all."""
    make_inputs(here / "in", 2)
    whole = Path("in/0001.npz").read_bytes()
    Path("in/0001.npz").write_bytes(b"half")
    from attncli.batch import local

    def restored(seconds: float) -> None:
        Path("in/0001.npz").write_bytes(whole)

    monkeypatch.setattr(local, "sleep", restored)
    files = ("in/0000.npz", "in/0001.npz")
    assert batch(*files, "-o", "out/{stem}.npz", "--retries", "2") == 0
    assert statuses(here / "report.jsonl") == ["ok", "ok"]


def test_a_job_that_takes_too_long(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    long = {name: rng.normal(size=(6000, 64)) for name in ("query", "key", "value")}
    np.savez("long.npz", **long)
    make_inputs(here / "in", 2)
    files = ("in/0000.npz", "long.npz", "in/0001.npz")
    started = time.monotonic()
    command = (*files, "-o", "out/{stem}.npy", "--timeout", "0.2", "--set", "similarity=additive")
    code = batch(*command)
    assert time.monotonic() - started < 30
    assert code == 1
    report = records(here / "report.jsonl")
    assert [record["status"] for record in report] == ["ok", "failed", "ok"]
    assert report[1]["exit_code"] == 6
    assert "takes longer than 0.2 s" in report[1]["error"]
    assert sorted(os.listdir("out")) == ["0000.npy", "0001.npy"]


def test_a_job_over_the_memory_limit(here: Path) -> None:
    make_inputs(here / "in", 1)
    large = {name: np.zeros((30_011, 3), "f4") for name in ("query", "key", "value")}
    np.savez("large.npz", **large)
    files = ("in/0000.npz", "large.npz")
    command = (*files, "-o", "out/{stem}.npz", "--steps", "weights", "--max-memory", "200MB")
    assert batch(*command) == 1
    report = records(here / "report.jsonl")
    assert [record["status"] for record in report] == ["ok", "failed"]
    assert report[1]["exit_code"] == 6
    assert "GB" in report[1]["error"]


def test_a_read_only_directory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_inputs(here / "in", 2)

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert batch("in/0000.npz", "in/0001.npz", "-o", "out/{stem}.npz") == 5
    assert sorted(os.listdir(here)) == ["in"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk is for root")
def test_a_full_disk(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = here / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a disk")
    try:
        rng = np.random.default_rng(1)
        for number in range(6):
            arrays = {name: rng.normal(size=(60, 60)) for name in ("query", "key", "value")}
            np.savez(here / f"{number}.npz", **arrays)
        files = [f"{number}.npz" for number in range(6)]
        command = [*files, "-o", "disk/{stem}.npy", "--report", "r.jsonl", "-j", "1"]
        assert batch(*command) == 1
        report = records(here / "r.jsonl")
        failed = [record for record in report if record["status"] == "failed"]
        assert failed
        assert {record["exit_code"] for record in failed} == {5}
        assert "no space left" in failed[0]["error"]
        for name, whole in contents(disk).items():
            assert name.endswith(".npy"), f"{name} is left behind"
            assert len(whole) == 60 * 60 * 8 + 128
        for name in os.listdir(disk):
            os.unlink(disk / name)
        # With room again, only what is missing is done.
        assert batch(*files[:3], "-o", "disk/{stem}.npy", "--report", "r.jsonl") == 0
        assert sorted(os.listdir(disk)) == ["0.npy", "1.npy", "2.npy"]
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def test_a_disk_that_fails_while_it_is_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_inputs(here / "in", 3)
    real, count = os.fsync, [0]

    def failing(number: int) -> None:
        count[0] += 1
        if count[0] == 2:
            raise OSError(5, "Input/output error")
        real(number)

    for module in (commit, staging):
        if hasattr(module, "os"):
            monkeypatch.setattr(module.os, "fsync", failing)
    files = [f"in/{number:04}.npz" for number in range(3)]
    code = batch(*files, "-o", "out/{stem}.npz", "-j", "1")
    assert code in (1, 5)
    monkeypatch.undo()
    os.chdir(here)
    assert batch(*files, "-o", "out/{stem}.npz") == 0
    assert statuses(here / "report.jsonl") == ["ok"] * 3
    assert sorted(os.listdir("out")) == [f"{number:04}.npz" for number in range(3)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["in/0000.npz", "in/0001.npz"], "expected one manifest, or -o"),
        (["in/0000.npz", "--sweep", "temperature=1"], "--sweep without -o"),
        (["in/0000.npz", "-o", "a.npz", "--sweep", "temperature"], "expected KEY=A,B"),
        (["in/0000.npz", "-o", "a.npz", "--sweep", "temperature="], "expected KEY=A,B"),
        (["in/0000.npz", "-o", "a.npz", "--sweep", "temperature=[]"], "a sweep over no values"),
        (["in/0000.npz", "-o", "{stme}.npz"], "{stme} stands for nothing here"),
        (["-", "-o", "x{index}.npz"], "standard input lists jobs"),
        (["in/0000.npz", "-o", "a.npz", "-j", "0"], "expected 1 or more"),
        (["in/0000.npz", "-o", "a.npz", "--retries", "-1"], "expected 0 or more"),
        (["in/0000.npz", "-o", "a.npz", "--timeout", "0"], "expected more than 0"),
        (["in/0000.npz", "-o", "a.npz", "--format", "xml"], "--format xml"),
    ],
)
def test_a_wrong_command_line(
    words: list[str], said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_inputs(here / "in", 2)
    assert batch(*words) == 2
    assert said in capsys.readouterr().err


def test_progress_elsewhere_is_plain_lines(here: Path) -> None:
    make_inputs(here / "in", 3)
    files = [f"in/{number:04}.npz" for number in range(3)]
    done = finished(*files, "-o", "out/{stem}.npz", cwd=here)
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    assert done.stderr == "3 ok, 0 failed, 0 skipped (see report.jsonl)\n"
    quiet = finished(*files, "-o", "out/{stem}.npz", "-q", cwd=here)
    assert quiet.stderr == ""
