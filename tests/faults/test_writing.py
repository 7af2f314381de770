"""Each call with which a command writes fails in turn: the old file stays, and nothing else."""

import contextlib
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli.commands.boundary import run
from attncli.formats import FORMATS
from attncli.formats.files import ARRAYS
from tests.faults.calls import CHANGING, CODES, FAULTS, LOOKING, faults

PROBLEM = "query: [[1, 2], [3, 4]]\nkey: [[1, 0], [0, 1], [2, 1]]\nvalue: [[1], [2], [3]]\n"
SUFFIXES = (*ARRAYS, *(made.suffixes[0] for made in FORMATS.values()))
COMMANDS: dict[str, list[str]] = {
    **{f"attend {end[1:]}": ["attend", "p.yaml", "-o", f"out{end}"] for end in SUFFIXES},
    "attend by tiles": ["attend", "q.npy", "k.npy", "v.npy", "-o", "out.npy", "--tile", "4"],
    "explain": ["explain", "p.yaml", "q1", "-o", "out.tex"],
    "inspect": ["inspect", "p.yaml", "-o", "out.npz"],
    "verify": ["verify", "p.yaml", "t.npy", "-o", "out.md"],
    "new sample": ["new", "causal", "-o", "out.yaml"],
    "bench": ["bench", "--n", "64", "--cases", "causal", "--repeat", "1", "-o", "out.json"],
}
HARMLESS = {"unlink", "close", "fsync", "listdir", "lstat", "open", "scandir", "stat", "sync"}
"""Calls that may fail without harm: the sync of a directory, a look for something better."""
Listing = dict[str, bytes]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTNCLI_HOME", str(tmp_path / "home"))
    random = np.random.default_rng(0)
    Path("p.yaml").write_text(PROBLEM)
    for name, n in (("q", 13), ("k", 11), ("v", 11)):
        np.save(f"{name}.npy", random.normal(size=(n, 3)))
    run(["attend", "p.yaml", "-o", "t.npy", "-q"])
    return tmp_path


def listing() -> Listing:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def held(words: list[str], number: int, fault: str, capsys: pytest.CaptureFixture[str]) -> bool:
    """Run with one call spoiled and look at what is left; False where no call was left to spoil."""
    target = words[words.index("-o") + 1]
    if number == 1:
        assert run([*words, "--force"]) in (0, 1)
        shutil.copy(target, "expected")
    Path(target).write_bytes(b"old")
    before = listing()
    # `bench` starts processes, which have pipes that are none of ours to spoil.
    calls = CHANGING if words[0] == "bench" else (*CHANGING, *LOOKING)
    with faults(number, fault, calls) as bomb:
        code = run([*words, "--force", "-q"] if words[0] != "verify" else [*words, "--force"])
    said = capsys.readouterr().err
    if not bomb.spoiled:
        assert code == 0, said
        return False
    what = f"call {number}, {bomb.spoiled}: {fault}: exit {code}: {said}"
    after = listing()
    assert "Traceback" not in said, what
    if code == 0:
        assert fault == "half" or bomb.spoiled in HARMLESS, what
        made = after.pop(target)
        before.pop(target)
        assert made == Path("expected").read_bytes() or words[0] == "bench", what
        after = {name: after[name] for name in after if name in before or is_aside(name)}
    else:
        assert code in (3, 5) or (code == 2 and bomb.spoiled == "scandir"), what
        assert 1 <= len(said.strip().splitlines()) <= 4, what
        named = any(word in said for word in (target, "p.yaml", ".npy", "sample"))
        assert named or bomb.spoiled == "close", what  # of a pipe to another process
    if bomb.spoiled == "unlink":  # what cannot be removed stays
        after = {name: content for name, content in after.items() if not is_aside(name)}
    assert after == before, what
    return True


def is_aside(name: str) -> bool:
    return Path(name).name.startswith(".out")


@pytest.mark.parametrize("name", ["attend npz", "attend by tiles", "new sample"])
def test_each_call_fails_in_turn(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for fault in ("full", "half"):
        for number in itertools.count(1):
            if not held(COMMANDS[name], number, fault, capsys):
                break
        assert number > 10


@pytest.mark.heavy
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", COMMANDS)
def test_each_call_of_each_command_fails_in_turn(
    name: str, fault: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in itertools.count(1):
        if not held(COMMANDS[name], number, fault, capsys):
            break
    print(f"{name}: {number - 1} calls", file=sys.stderr)


@pytest.mark.parametrize(
    "fault", [pytest.param(one, marks=() if one == "full" else pytest.mark.heavy) for one in FAULTS]
)
def test_of_several_files_each_is_whole_or_not_there(
    fault: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["new", "exercise", "--seed", "7", "-q", "-o"]
    Path("whole").mkdir()
    assert run([*words, "whole/out.yaml"]) == 0
    whole = {path.name: path.read_bytes() for path in Path("whole").iterdir()}
    assert len(whole) == 3
    for number in itertools.count(1):
        folder = Path(f"try{number}")
        folder.mkdir()
        with faults(number, fault, (*CHANGING, *LOOKING)) as bomb:
            code = run([*words, f"{folder}/out.yaml"])
        assert code in (0, 5), capsys.readouterr().err
        made = {path.name: path.read_bytes() for path in folder.iterdir()}
        if bomb.spoiled == "unlink":
            made = {name: content for name, content in made.items() if not is_aside(name)}
        assert made.items() <= whole.items()
        assert len(made) == 3 or code == 5
        if not bomb.spoiled:
            break


def limited(words: list[str], most: int) -> "subprocess.CompletedProcess[bytes]":
    """A command in a process that may make no file longer than so many bytes."""
    return subprocess.run(
        [sys.executable, "-m", "attncli", *words],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("attend npy", "attend html") else pytest.mark.heavy)
        for name in COMMANDS
    ],
)
def test_the_kernel_takes_a_part_and_then_no_more(name: str, here: Path) -> None:
    words = COMMANDS[name]
    target = Path(words[words.index("-o") + 1])
    assert run([*words, "-q"] if words[0] != "verify" else words) == 0
    whole = target.stat().st_size
    target.write_bytes(b"old")
    before = listing()
    for most in sorted({0, 1, whole // 2, whole - 1} if name != "bench" else {0, 1}):
        done = limited([*words, "--force"], most)
        assert done.returncode == 5, done.stderr
        assert b"file too large" in done.stderr.lower()
        assert listing() == before, f"of {whole} bytes {most} fit"
    assert limited([*words, "--force"], 2 * whole + 100_000).returncode == 0


def jobs(n: int) -> list[str]:
    Path("in").mkdir()
    for number in range(n):
        random = np.random.default_rng(number)
        arrays = {name: random.normal(size=(3, 2)) for name in ("query", "key", "value")}
        np.savez(f"in/{number}.npz", **arrays)
    return ["batch", *(f"in/{number}.npz" for number in range(n)), "-o", "out/{stem}.npy", "-q"]


def outputs() -> Listing:
    return {path.name: path.read_bytes() for path in Path("out").glob("*")}


def batch_points(fault: str, numbers: Callable[[], Any], capsys: pytest.CaptureFixture[str]) -> int:
    words = [*jobs(3), "-j", "1"]
    assert run(words) == 0
    expected = outputs()
    count = 0
    for number in numbers():
        for path in [*Path("out").glob("*"), Path("report.jsonl")]:
            path.unlink()
        with faults(number, fault, (*CHANGING, *LOOKING)) as bomb:
            code = run(words)
        said = capsys.readouterr().err
        what = f"call {number}, {bomb.spoiled}: {fault}: exit {code}: {said}"
        if not bomb.spoiled:
            assert code == 0, what
            break
        count += 1
        assert code in (0, 1, 3, 5), what
        assert "Traceback" not in said, what
        for name, content in outputs().items():
            if not name.startswith("."):
                assert content == expected[name], what
        assert run(words) == 0, f"{what}: a second run: {capsys.readouterr().err}"
        assert outputs() == expected, what
        report = [json.loads(line) for line in Path("report.jsonl").read_text().splitlines()]
        assert [record["status"] for record in report] == ["ok"] * 3, what
        assert sorted(os.listdir()) == BESIDE, what
    return count


BESIDE = sorted(["in", "k.npy", "out", "p.yaml", "q.npy", "report.jsonl", "t.npy", "v.npy"])


def test_some_calls_of_a_batch_fail_and_a_second_run_finishes_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert batch_points("full", lambda: range(1, 200, 7), capsys) > 5


@pytest.mark.heavy
@pytest.mark.parametrize("fault", FAULTS)
def test_each_call_of_a_batch_fails_in_turn(
    fault: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = batch_points(fault, lambda: itertools.count(1), capsys)
    print(f"batch: {count} calls", file=sys.stderr)
    assert count > 40


@pytest.mark.parametrize("fault", CODES)
def test_progress_of_lessons_that_cannot_be_kept_is_told_and_nothing_is_lost(
    fault: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from attncli.errors import OutputError
    from attncli.lessons import progress

    monkeypatch.setattr(progress, "home", lambda: here / "home")
    progress.write("first", 2)
    for number in itertools.count(1):
        with faults(number, fault, CHANGING) as bomb, contextlib.suppress(OutputError):
            progress.write("second", number)
        assert progress.read()["first"] == 2
        assert os.listdir("home") == ["lessons.json"] or bomb.spoiled == "unlink"
        if not bomb.spoiled:
            break
    assert progress.read()["second"] == number
