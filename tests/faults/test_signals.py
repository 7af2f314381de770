"""Ctrl-C and SIGTERM at any moment of any command: the code, at once, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from attncli.commands.boundary import run

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
SECONDS = 0.5
"""From the signal to the end of the process, as we promise it."""
SLACK = 2.5
"""What a machine with other work may add; a test looks at no time closer than that."""
MOMENTS = 12
COMMANDS: dict[str, list[str]] = {
    "attend by steps": ["attend", "p.yaml", "--tile", "none", "-o", "out.npz", "--force"],
    "attend by tiles": ["attend", "q.npy", "k.npy", "v.npy", "-o", "out.npy", "--force"],
    "a page": ["attend", "small.yaml", "-o", "out.html", "--force"],
    "batch": ["batch", "p.yaml", "small.yaml", "-o", "outs/{stem}.npz", "--force"],
    "verify": ["verify", "small.yaml", "theirs.npz", "-o", "out.md", "--force"],
    "explain": ["explain", "small.yaml", "q1", "-o", "out.tex", "--force"],
    "inspect": ["inspect", "p.yaml", "-o", "out.npz", "--force"],
    "new": ["new", "exercise", "-o", "out.yaml", "--force"],
    "bench": ["bench", "--cases", "full", "--n", "1024", "-o", "out.json", "--force"],
    "backends": ["backends", "test", "numpy"],
    "learn": ["learn", "--check"],
}
FEW = ("attend by steps", "a page")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Problems that take a second, or a moment."""
    there = tmp_path_factory.mktemp("signals")
    random = np.random.default_rng(0)
    for stem, n in (("", 6007), ("s", 61)):
        for name in "qkv":
            np.save(there / f"{stem}{name}.npy", random.normal(size=(n, 53)).astype("f4"))
    (there / "p.yaml").write_text("query: q.npy\nkey: k.npy\nvalue: v.npy\nsoftcap: 3\n")
    (there / "small.yaml").write_text("query: sq.npy\nkey: sk.npy\nvalue: sv.npy\n")
    np.savez(there / "theirs.npz", output=random.normal(size=(61, 53)))
    return there


def listing() -> dict[str, tuple[int, int]]:
    """Every file, its length and its number: a file that was replaced has another one."""
    found = (path for path in Path().rglob("*") if path.is_file())
    return {str(path): (path.stat().st_size, path.stat().st_ino) for path in found}


def started(words: list[str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "attncli", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def interrupted(words: list[str], number: int, moment: float) -> tuple[int, float, bytes]:
    """The exit code, the seconds it took to end, and what was said."""
    with started(words) as process:
        time.sleep(moment)
        process.send_signal(number)
        sent = time.monotonic()
        _, said = process.communicate(timeout=60)
        return process.returncode, time.monotonic() - sent, said


def survives(name: str, number: int, moments: int) -> float:
    """Signals all over a command's life; the longest that one took to end it."""
    words, longest, hits = COMMANDS[name], 0.0, 0
    for target in ("out.npz", "out.npy", "out.html", "out.md", "out.tex", "out.json"):
        Path(target).write_bytes(b"old")
    begun = time.monotonic()
    with started(words) as whole:
        whole.communicate()
    lasting = time.monotonic() - begun
    targets = {*listing()}
    for moment in range(moments):
        before = listing()
        code, seconds, said = interrupted(words, number, lasting * moment / moments)
        what = (
            f"{name}: {signal.Signals(number).name} at {moment} of {moments}: exit {code}: {said!r}"
        )
        # In the first 20 ms it is Python that starts, and says so; there is none of us yet.
        assert b"Traceback" not in said or b"attncli/" not in said, what
        after = listing()
        assert {*after} <= targets, what
        if code in (CODES[signal.Signals(number)], -number):
            hits += 1
            longest = max(longest, seconds)
            assert seconds < SECONDS + SLACK, what
            if name != "batch":  # whose finished jobs stay
                changed = [size for path, (size, _) in after.items() if after[path] != before[path]]
                assert all(size > len(b"old") for size in changed), what
        else:
            assert code == whole.returncode, what
    assert hits, "no signal came in time"
    return longest


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("name", FEW)
def test_a_signal_ends_a_command_at_once(
    name: str, number: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    survives(name, number, 3)


@pytest.mark.heavy
@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_at_any_moment_ends_any_command(
    name: str, number: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    longest = survives(name, number, MOMENTS)
    print(f"{name}, {signal.Signals(number).name}: {longest:.3f} s at most", file=sys.stderr)


def test_calls_that_are_interrupted_all_the_time_are_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal every half a millisecond cuts system calls short, and changes nothing."""
    monkeypatch.chdir(folder)
    words = ["attend", "p.yaml", "-q", "--force", "--steps", "output", "-o"]
    assert run([*words, "calm.npz"]) == 0
    ticks = [0]

    def tick(*_: object) -> None:
        ticks[0] += 1

    before = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        assert run([*words, "shaken.npz"]) == 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ticks[0] > 10
    assert Path("calm.npz").read_bytes() == Path("shaken.npz").read_bytes()
    os.unlink("calm.npz")
    os.unlink("shaken.npz")
