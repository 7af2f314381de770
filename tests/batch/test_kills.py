"""A batch that is killed at any moment: the same command finishes it, and nothing is half done."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.batch.jobs import contents, finished, make_inputs, process, records, statuses

N_JOBS = 300
THREADS = 2
ASIDE = 16
"""Digits at the end of the name of a file aside."""

EVERY_POINT = Path(__file__).with_name("every_point.py")


def environment() -> dict[str, str]:
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1"}


@pytest.mark.parametrize("settle", ["1", "0"], ids=["settled at the end", "settled all the time"])
def test_a_kill_at_every_write_sync_rename_and_append(tmp_path: Path, settle: str) -> None:
    inputs = make_inputs(tmp_path / "in", 3)
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    files = (str(path) for path in inputs)
    done = finished(*files, "-o", "out/{stem}.npz", "--steps", "output", cwd=quiet)
    assert done.returncode == 0, done.stderr
    expected = contents(quiet / "out")
    program = subprocess.run(
        [sys.executable, str(EVERY_POINT), str(tmp_path), settle],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert program.returncode == 0, program.stderr
    points = [json.loads(line) for line in program.stdout.splitlines()]
    for point in points:
        where = f"killed {point['moment']} call {point['point']}, {point['call']}"
        for name, content in point["after_kill"].items():
            assert bytes.fromhex(content) == expected[name], f"{where}: {name} is partial"
        assert point["second"] == 0, where
        left = {name: bytes.fromhex(content) for name, content in point["left"].items()}
        report = [json.loads(line) for line in left.pop("report.jsonl").splitlines()]
        assert left == {f"out/{name}": content for name, content in expected.items()}, where
        assert [record["status"] for record in report] == ["ok"] * 3, where
        twice = [job for job, times in Counter(point["computed"]).items() if times > 1]
        assert len(twice) <= 1, where
        assert max(Counter(point["computed"]).values()) <= 2, where
    calls = {point["call"] for point in points}
    assert {"write", "append", "link", "unlink", "fsync", "replace"} <= calls
    assert len(points) > 60


def _kills(tmp_path: Path, n_kills: int) -> None:
    rng = random.Random(20250729)
    inputs = [str(path) for path in make_inputs(tmp_path / "in", N_JOBS)]
    command = (*inputs, "-o", "out/{stem}.npz", "--steps", "output", "-j", str(THREADS))
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    started = time.monotonic()
    assert finished(*command, cwd=quiet).returncode == 0
    whole = time.monotonic() - started
    expected = contents(quiet / "out")
    kills, life = 0, 0
    while kills < n_kills:
        life += 1
        here = tmp_path / f"life{life}"
        here.mkdir()
        known: set[str] = set()
        while kills < n_kills:
            code = _killed(command, here, rng.uniform(0.1, 1.1) * whole)
            if code != -signal.SIGKILL:
                assert code == 0
                break
            kills += 1
            known = _sound_after_a_kill(here, expected, known)
        last = finished(*command, cwd=here)
        assert last.returncode == 0, last.stderr
        assert " 0 failed, " in last.stderr.splitlines()[-1]
        assert contents(here / "out") == expected
        assert statuses(here / "report.jsonl") == ["ok"] * N_JOBS


def _killed(command: tuple[str, ...], here: Path, seconds: float) -> int:
    """The exit code of a run that is killed after some time, unless it is done before."""
    with process(*command, cwd=here) as victim:
        try:
            victim.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            victim.send_signal(signal.SIGKILL)
            victim.communicate()
    return victim.returncode


def _sound_after_a_kill(here: Path, expected: dict[str, bytes], known: set[str]) -> set[str]:
    """Check a directory after a kill; the outputs whose jobs are recorded as done."""
    report = here / "report.jsonl"
    if not report.exists():
        return known
    whole = report.read_bytes().rpartition(b"\n")[0].splitlines()
    done = {record["output"] for record in map(json.loads, whole) if record["status"] == "ok"}
    assert known <= done
    found = contents(here / "out") if (here / "out").is_dir() else {}
    asides = [name for name in found if name.startswith(".")]
    for name in found.keys() - {*asides}:
        assert found[name] == expected[name]
        assert f"out/{name}" in done
    unknown = [name for name in asides if f"out/{name[1 : -ASIDE - 1]}" not in done]
    assert len(unknown) <= THREADS
    return done


def test_kills_at_random_moments(tmp_path: Path) -> None:
    _kills(tmp_path, 20)


@pytest.mark.heavy
def test_many_kills_at_random_moments(tmp_path: Path) -> None:
    _kills(tmp_path, 200)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_so_and_goes_on_later(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    inputs = [str(path) for path in make_inputs(tmp_path / "in", 1000)]
    command = (*inputs, "-o", "out/{stem}.npz", "--steps", "output")
    report = tmp_path / "report.jsonl"
    with process(*command, cwd=tmp_path) as run:
        while not report.exists() or b'"ok"' not in report.read_bytes():
            time.sleep(0.01)
        run.send_signal(number)
        words = run.communicate()[1]
    assert run.returncode == code
    assert "Traceback" not in words
    assert words.splitlines()[-1].endswith("not run (see report.jsonl)")
    there = records(report)
    assert len(there) == 1000
    done = [record for record in there if record["status"] == "ok"]
    assert [record for record in done if not (tmp_path / record["output"]).is_file()] == []
    assert not [name for name in os.listdir(tmp_path / "out") if name.startswith(".")]
    again = finished(*command, cwd=tmp_path)
    assert again.returncode == 0
    assert again.stderr.splitlines()[-1].endswith(
        f"0 failed, {len(done)} skipped (see report.jsonl)"
    )
