"""Running again does what is missing: the truth is in the contents, not in names or times."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.batch.jobs import batch, contents, make_inputs, process, records, statuses

N = 5


@pytest.fixture
def done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """The command of a batch that has been run."""
    monkeypatch.chdir(tmp_path)
    files = [f"in/{path.name}" for path in make_inputs(tmp_path / "in", N)]
    command = [*files, "-o", "out/{stem}.npz"]
    assert batch(*command) == 0
    assert last(capsys) == f"{N} ok, 0 failed, 0 skipped (see report.jsonl)"
    return command


def last(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_what_is_done_is_skipped(done: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(Path("out"))
    times = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    assert batch(*done) == 0
    assert last(capsys) == f"0 ok, 0 failed, {N} skipped (see report.jsonl)"
    assert contents(Path("out")) == before
    assert {path: path.stat().st_mtime_ns for path in Path("out").iterdir()} == times


def test_the_record_of_a_job(done: list[str]) -> None:
    record = records(Path("report.jsonl"))[3]
    assert record["job"] == 3
    assert record["output"] == "out/0003.npz"
    assert record["status"] == "ok"
    assert record["error"] is None
    assert record["seconds"] > 0
    import hashlib

    for path, digest in {**record["inputs"], record["output"]: record["sha256"]}.items():
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    ("harm", "n_again"),
    [
        (lambda: Path("out/0001.npz").unlink(), 1),
        (lambda: Path("out/0001.npz").write_bytes(b"short"), 1),
        (lambda: os.truncate("out/0002.npz", 100), 1),
        (lambda: Path("out/0002.npz").write_bytes(Path("out/0001.npz").read_bytes()), 1),
        (lambda: Path("report.jsonl").unlink(), None),
        (lambda: os.utime("in/0001.npz"), 0),
        (lambda: os.utime("out/0001.npz"), 0),
    ],
)
def test_what_was_harmed_is_found(
    harm: object, n_again: int | None, done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(Path("out"))
    harm()  # type: ignore[operator]
    if n_again is None:
        # Without the report nobody knows whose the outputs are: they are not replaced.
        assert batch(*done) == 5
        assert "--force replaces them" in capsys.readouterr().err
        assert batch(*done, "--force") == 0
    else:
        assert batch(*done) == 0
        assert last(capsys).startswith(f"{n_again} ok, 0 failed, {N - n_again} skipped")
    assert contents(Path("out")) == before


def test_edited_inputs_and_parameters_are_computed_again(
    done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = dict(np.load("in/0002.npz"))
    np.savez("in/0002.npz", **{**arrays, "value": arrays["value"] + 1})
    assert batch(*done) == 0
    assert last(capsys).startswith("1 ok, 0 failed, 4 skipped")
    assert batch(*done, "--temperature", "2") == 0
    assert last(capsys).startswith("5 ok, 0 failed, 0 skipped")
    assert batch(*done, "--temperature", "2") == 0
    assert last(capsys).startswith("0 ok, 0 failed, 5 skipped")


def test_a_problem_file_behind_a_job_counts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("k.npy", np.eye(3))
    text = "query: [[1, 0, 0]]\nkey: k.npy\nvalue: [[1], [2], [3]]\n"
    Path("p.yaml").write_text(text, encoding="utf-8")
    Path("m.yaml").write_text("jobs: [{problem: p.yaml, output: o.npy}]\n", encoding="utf-8")
    assert batch("m.yaml") == 0
    assert batch("m.yaml") == 0
    assert last(capsys).startswith("0 ok, 0 failed, 1 skipped")
    np.save("k.npy", 2 * np.eye(3))
    assert batch("m.yaml") == 0
    assert last(capsys).startswith("1 ok")
    Path("p.yaml").write_text(text + "temperature: 2\n", encoding="utf-8")
    assert batch("m.yaml") == 0
    assert last(capsys).startswith("1 ok")


def test_a_file_of_somebody_else_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_inputs(tmp_path / "in", 2)
    Path("out").mkdir()
    Path("out/0001.npz").write_bytes(b"mine")
    command = ("in/0000.npz", "in/0001.npz", "-o", "out/{stem}.npz")
    assert batch(*command) == 5
    assert "out/0001.npz exists, and the report does not know it" in capsys.readouterr().err
    assert contents(Path("out")) == {"0001.npz": b"mine"}
    assert not Path("report.jsonl").exists()


def test_a_second_run_finds_the_lock_held(
    done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    make_inputs(Path("many"), 400)
    many = [f"many/{number:04}.npz" for number in range(400)]
    command = [*many, "-o", "far/{stem}.npz", "--report", "many.jsonl", "-j", "1"]
    with process(*command) as first:
        while not Path("many.jsonl").exists() or b'"ok"' not in Path("many.jsonl").read_bytes():
            time.sleep(0.01)
        first.send_signal(signal.SIGSTOP)
        assert batch(*command) == 75
        assert "another run" in capsys.readouterr().err
        first.send_signal(signal.SIGKILL)
        first.communicate()
    # The lock has died with its process.
    assert batch(*command) == 0
    assert statuses(Path("many.jsonl")) == ["ok"] * 400


def test_batches_that_share_a_report_leave_each_other_whole(
    done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first = records(Path("report.jsonl"))
    make_inputs(Path("other"), 2)
    other = ["other/0000.npz", "other/0001.npz", "-o", "elsewhere/{stem}.npz"]
    assert batch(*other) == 0
    Path(first[0]["output"]).unlink()
    assert batch(*other) == 0  # what lies no more is forgotten
    assert records(Path("report.jsonl"))[2:] == first[1:]
    assert batch(*done) == 0
    assert last(capsys).startswith(f"1 ok, 0 failed, {N - 1} skipped")
    assert batch(*other) == 0
    assert last(capsys).startswith("0 ok, 0 failed, 2 skipped")


def test_a_lock_without_fcntl_holds_too(
    done: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    places, held = [], False

    def locking(descriptor: int, mode: int, n_bytes: int) -> None:
        places.append(os.lseek(descriptor, 0, os.SEEK_CUR))
        assert (mode, n_bytes) == (2, 1)
        if held:
            raise OSError("held")

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    assert batch(*done) == 0
    held = True
    assert batch(*done) == 75
    assert "another run" in capsys.readouterr().err
    assert places == [0, 0]  # the same byte, however long the report is


def test_a_torn_line_of_the_report_does_not_count(done: list[str]) -> None:
    report = Path("report.jsonl")
    whole = report.read_bytes()
    report.write_bytes(whole + b'{"job": 0, "output": "out/0000.npz", "sta')
    assert batch(*done) == 0
    assert statuses(report) == ["ok"] * N
    report.write_bytes(b"\x00\x00 no report\n")
    code = batch(*done)
    assert code in (3, 5)
    assert report.read_bytes() == b"\x00\x00 no report\n"


def test_a_report_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_inputs(tmp_path / "in", 1)
    command = ("in/0000.npz", "-o", "out/{stem}.npz", "--report", "log/r.jsonl")
    assert batch(*command) == 0
    assert last(capsys).endswith("(see log/r.jsonl)")
    assert json.loads(Path("log/r.jsonl").read_text(encoding="utf-8"))["status"] == "ok"


def test_batches_of_two_directories_share_a_report(here: Path) -> None:
    for name in ("one", "two"):
        make_inputs(here / name / "in", 1)
        (here / name / "m.yaml").write_text("jobs: [{problem: in/0000.npz, output: a.npy}]\n")
    Path("two/a.npy").write_text("mine")
    shared = ("--report", "all.jsonl")
    assert batch("one/m.yaml", *shared) == 0
    assert batch("two/m.yaml", *shared) == 5, "the report knows another a.npy"
    assert Path("two/a.npy").read_text() == "mine"
    Path("two/a.npy").unlink()
    assert batch("two/m.yaml", *shared) == 0
    made = {record["output"] for record in records(Path("all.jsonl"))}
    assert made == {os.path.join(name, "a.npy") for name in ("one", "two")}
    before = Path("all.jsonl").read_bytes()
    assert batch("two/m.yaml", *shared) == 0, "it is done, and known to be"
    assert Path("all.jsonl").read_bytes() == before
    Path("one/a.npy").unlink()
    assert batch("two/m.yaml", *shared) == 0
    assert [record["output"] for record in records(Path("all.jsonl"))] == ["two/a.npy"]
