"""How far a long run is: a display on a terminal, lines elsewhere, nothing while quiet."""

import io
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from attncli.commands import progress, verify
from attncli.commands.boundary import run
from attncli.commands.terminal import ERASE_LINE, PATIENCE
from tests.backends.test_plugins import ROOT, installed
from tests.batch.jobs import D_V, N_QUERIES, batch, finished, make_inputs, records
from tests.commands.test_learn import Terminal

WAITS = """
import time
from pathlib import Path
from attncli.backends.numpy import NumpyBackend

def wait_for(name):
    Path(f"{name} is waited for").touch()
    while not Path(name).exists():
        time.sleep(0.01)

class Backend(NumpyBackend):
    name, protocol, is_host = "waits", 1, False

    def upload(self, array):
        wait_for("go")
        return array

    def each(self, tasks):
        for number, task in enumerate(tasks):
            wait_for(f"go{number}")
            yield task()
"""
"""A backend that computes once there is a file, and each tile once there is another."""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def started(folder: Path, *arguments: str, **environment: str) -> Terminal:
    """A command on a terminal, whose backend `waits` goes on once there is a file `go`."""
    installed(folder, "waits", WAITS, "waits = waits:Backend")
    environment["PYTHONPATH"] = f"{folder}:{ROOT}"
    return Terminal(folder, *arguments, "--backend", "waits", **environment)


def a_long_time_passes(since: Path) -> None:
    """So long that a bar appears for what goes on."""
    until = time.monotonic() + 30
    while not since.exists():
        assert time.monotonic() < until, f"there is no {since.name}"
        time.sleep(0.01)
    time.sleep(PATIENCE)


def test_a_terminal_shows_the_jobs_of_a_batch_that_run_now(tmp_path: Path) -> None:
    make_inputs(tmp_path, 5)
    (tmp_path / "\x1b[31m[b].npz").write_bytes((tmp_path / "0000.npz").read_bytes())
    (tmp_path / "broken.npz").write_bytes(b"PK")
    names = sorted(path.name for path in tmp_path.glob("*.npz"))
    terminal = started(
        tmp_path, "batch", *names, "-o", "out/{stem}-of-a-name-that-is-longer.npz", "-j", "7"
    )
    terminal.until("broken.npz: error:")
    terminal.until("1 of 7 done, 1 failed")
    screen = ESCAPES.sub("", terminal.until("and 2 more").rpartition(" done, ")[2])
    assert len(re.findall(r"^  out/.{4}.*-of-a-name-that-is-longer.npz", screen, re.M)) == 4
    assert r"out/\x1b[31m[b]-of" in screen  # neither a colour nor markup
    (tmp_path / "go").touch()
    assert "6 ok, 1 failed, 0 skipped" in terminal.until("report.jsonl)")
    assert terminal.code() == 1
    assert len(list((tmp_path / "out").iterdir())) == 6


def test_an_interrupt_takes_the_display_away_and_says_what_is_left(tmp_path: Path) -> None:
    make_inputs(tmp_path, 2)
    terminal = started(tmp_path, "batch", "0000.npz", "0001.npz", "-o", "out/{stem}.npy")
    terminal.until("out/0000.npy")
    terminal.process.send_signal(signal.SIGINT)
    end = terminal.until("report.jsonl)")
    assert "\x1b[?25h" in end  # the cursor is back
    assert "again: attncli batch 0000.npz 0001.npz -o 'out/{stem}.npy' --backend waits" in end
    assert "0 ok, 0 failed, 0 skipped, 2 not run" in end
    assert terminal.code() == 130


def test_a_terminal_that_cannot_move_gets_lines(tmp_path: Path) -> None:
    make_inputs(tmp_path, 1)
    (tmp_path / "go").touch()
    terminal = started(tmp_path, "batch", "0000.npz", "-o", "out/{stem}.npy", TERM="dumb")
    assert terminal.code() == 0
    assert "\x1b" not in terminal.shown
    assert "1 ok, 0 failed" in terminal.shown


def test_a_report_that_is_no_terminal_gets_a_line_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_inputs(tmp_path, 3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    assert batch("0000.npz", "0001.npz", "0002.npz", "-o", "out/{stem}.npy") == 0
    *lines, last = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"3 of 3 done, 0 failed, [\d.e+]+/s, 0 s left", lines[-1])
    assert last == "3 ok, 0 failed, 0 skipped (see report.jsonl)"
    assert batch("0000.npz", "-o", "out/{stem}.npz", "--report", "other.jsonl", "-q") == 0
    assert capsys.readouterr().err == ""


def test_many_failures_are_told_once_and_a_long_command_is_not_repeated(tmp_path: Path) -> None:
    names = [f"{index:0100}.npz" for index in range(22)]
    for name in names:
        (tmp_path / name).write_bytes(b"PK")
    done = finished(*names, "-o", "out/{stem}.npy", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count(": error: ") == progress.MOST_ERRORS
    assert done.stderr.count("more have failed: the report says why\n") == 1
    assert "again: the same command (25 words) does the rest\n" in done.stderr
    assert "0 ok, 22 failed, 0 skipped (see report.jsonl)" in done.stderr
    assert all(record["error"] for record in records(tmp_path / "report.jsonl"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (89.4, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")],
)
def test_seconds_as_people_say_them(seconds: float, words: str) -> None:
    assert progress.duration(seconds) == words


def test_a_long_computation_shows_its_rows_on_a_terminal(tmp_path: Path) -> None:
    vectors = np.ones((12, 2))
    np.savez(tmp_path / "p.npz", query=vectors, key=vectors, value=vectors)
    (tmp_path / "go").touch()
    terminal = started(tmp_path, "attend", "p.npz", "--tile", "4", "-o", "o.npy")
    a_long_time_passes(tmp_path / "go0 is waited for")
    for number in range(3):
        (tmp_path / f"go{number}").touch()
        terminal.until(f"{4 * (number + 1)} of 12 rows")
        assert re.search(r"\d rows/s$", terminal.until("rows/s"))
    terminal.until("wrote o.npy: output")
    assert terminal.code() == 0


@pytest.mark.parametrize(("option", "term"), [("-q", "xterm"), ("-f", "dumb")])
def test_who_is_quiet_or_cannot_move_sees_no_bar(option: str, term: str, tmp_path: Path) -> None:
    vectors = np.ones((12, 2))
    np.savez(tmp_path / "p.npz", query=vectors, key=vectors, value=vectors)
    for name in ("go", "go0", "go1"):
        (tmp_path / name).touch()
    words = "attend", "p.npz", "--tile", "4", "-o", "o.npy", option
    terminal = started(tmp_path, *words, TERM=term)
    a_long_time_passes(tmp_path / "go2 is waited for")
    (tmp_path / "go2").touch()
    assert terminal.code() == 0
    assert terminal.shown == ("" if option == "-q" else "wrote o.npy: output\r\n")


def test_what_is_timed_is_the_last_line_and_gone_at_the_end(tmp_path: Path) -> None:
    words = "--cases", "full,causal", "--n", "8", "--heads", "1", "--d", "4", "--against", "none"
    terminal = Terminal(tmp_path, "bench", *words, "--repeat", "1")
    terminal.until("\rfull, n 8\x1b[K")
    terminal.until("\rcausal, n 8\x1b[K")
    assert terminal.until("\r\x1b[K").strip("\r\x1b[K") == ""
    assert "Attention on this machine" in terminal.until("\r\n")
    assert terminal.code() == 0


def test_what_is_short_shows_no_bar(tmp_path: Path) -> None:
    vectors = np.ones((12, 2))
    np.savez(tmp_path / "p.npz", query=vectors, key=vectors, value=vectors)
    terminal = Terminal(tmp_path, "attend", "p.npz", "--tile", "4", "-o", "o.npy")
    assert terminal.code() == 0
    assert terminal.shown == "wrote o.npy: output\r\n"


class Screen(io.StringIO):
    """A terminal in memory."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("options", [[], ["-q"]])
def test_a_long_search_for_slips_is_counted_on_a_terminal(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_inputs(tmp_path, 1)
    np.save(tmp_path / "theirs.npy", np.random.default_rng(0).normal(size=(N_QUERIES, D_V)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(verify, "PATIENCE", 0.0)
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    assert run(["verify", "0000.npz", "theirs.npy", *options]) == 1
    empty, *shown = screen.getvalue().split("\r")
    if options:
        assert shown == []
        return
    assert empty == ""
    assert shown[-1] == ERASE_LINE
    assert {line[:23] for line in shown} == {
        "differs; trying slips: ",
        "differs; trying pairs: ",
        ERASE_LINE,
    }
    assert max(map(len, shown)) == 29 + len(ERASE_LINE)
