"""What few batches meet: a report that is none, a directory that cannot be, a large output."""

import fcntl
import json
import os
from pathlib import Path

import numpy as np
import pytest

from attncli.batch.run import Run
from tests.batch.jobs import batch, make_inputs, records

JOB = ("in/0000.npz", "-o", "out/{stem}.npz")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_inputs(tmp_path / "in", 1)
    return tmp_path


def test_a_report_that_is_no_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe")
    for name, words in (
        ("pipe", "cannot write pipe: it is not an ordinary file"),
        ("in", "cannot write in: is a directory"),
    ):
        assert batch(*JOB, "--report", name) == 5
        assert words in capsys.readouterr().err
    assert batch(*JOB, "--report", "in", "--dry-run") == 5
    assert "in: is a directory" in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_dry_run_knows_what_is_done(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert batch(*JOB) == 0
    assert batch(*JOB, "--dry-run") == 0
    assert "1 job, 1 done, 0 to do" in capsys.readouterr().out


def test_a_dry_run_goes_on_behind_an_input_that_is_missing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("none.json").write_text('{"query": "none.npy", "key": [[1]], "value": [[1]]}')
    assert batch("none.json", *JOB, "--dry-run") == 0
    text = capsys.readouterr().out
    assert "fails: there is no file none.npy" in text
    assert "2 jobs, 0 done, 2 to do, 1 will fail" in text


def test_a_lock_that_the_system_refuses(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    assert batch(*JOB) == 5
    assert "cannot write report.jsonl: no locks available" in capsys.readouterr().err


def test_a_directory_that_cannot_be_made(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").write_text("mine")
    assert batch(*JOB) == 5
    assert "cannot write out" in capsys.readouterr().err
    assert sorted(os.listdir()) == ["in", "out"]


def test_an_input_that_is_missing_fails_its_job_alone(here: Path) -> None:
    manifest = {
        "jobs": [
            {"query": "none.npy", "key": "none.npy", "value": "none.npy", "output": "out/a"},
            {"problem": "in/0000.npz", "output": "out/b"},
        ]
    }
    Path("m.yaml").write_text(json.dumps(manifest))
    # A format for all: no suffix is asked for.
    assert batch("m.yaml", "--format", "json") == 1
    assert [(it["status"], it["exit_code"]) for it in records(Path("report.jsonl"))] == [
        ("failed", 3),
        ("ok", 0),
    ]


def test_a_large_output_is_hashed_from_its_file(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Run.__post_init__

    def small(run: Run) -> None:
        made(run)
        run.stage.most = 8

    monkeypatch.setattr(Run, "__post_init__", small)
    assert batch(*JOB) == 0
    assert set(np.load("out/0000.npz").files) >= {"weights", "output"}
    assert batch(*JOB) == 0
    assert "0 ok, 0 failed, 1 skipped" in capsys.readouterr().err
