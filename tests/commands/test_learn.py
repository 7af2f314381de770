"""`learn` as people meet it: on a terminal, piped, checked, forgotten."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attncli.commands.boundary import run
from attncli.lessons.shelf import paths

HOME = Path(__file__).resolve().parents[2]


class Terminal:
    """A process on a pseudo-terminal: lines are typed, and what is shown is read."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        main, end = pty.openpty()
        self.main = main
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "attncli", *arguments],
            stdin=end,
            stdout=end,
            stderr=end,
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(HOME),
                "XDG_DATA_HOME": str(folder),
                "TERM": "xterm",
                "COLUMNS": "80",
                **environment,
            },
            start_new_session=True,
            preexec_fn=_own_terminal,
        )
        os.close(end)

    def until(self, text: str, seconds: float = 30) -> str:
        """What is shown up to a text, which must come."""
        last = time.monotonic() + seconds
        while text not in self.shown:
            left = last - time.monotonic()
            assert left > 0, f"{text!r} is not in {self.shown!r}"
            if select.select([self.main], [], [], min(left, 0.2))[0]:
                try:
                    self.shown += os.read(self.main, 65536).decode()
                except OSError:
                    break
        assert text in self.shown, self.shown
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def type(self, text: str) -> None:
        os.write(self.main, text.encode())

    def code(self) -> int:
        """The exit code, once it has ended."""
        while select.select([self.main], [], [], 30)[0]:
            try:
                part = os.read(self.main, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            self.shown += part.decode()
        code = self.process.wait(timeout=30)
        os.close(self.main)
        return code


def _own_terminal() -> None:
    """Make the standard input the terminal that sends Ctrl-C."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_a_lesson_from_the_first_scene_to_the_last(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "learn", "1")
    for scene in range(1, 4):
        terminal.until(f"{scene}/5")
        terminal.until("Enter next")
        terminal.type("\n")
    terminal.until("[3] 30")
    terminal.until("1–3 answer")
    terminal.type("1\n")
    terminal.until("Not 10.")
    terminal.type("3\n")
    terminal.until("Yes: 30")
    terminal.until("Enter next")
    terminal.type("\n")
    terminal.until("5/5")
    terminal.until("Enter end")
    terminal.type("\n")
    terminal.until("Graves et al. 2014")
    terminal.until("next: attncli learn 2")
    assert terminal.code() == 0
    assert json.loads((tmp_path / "attncli" / "lessons.json").read_text()) == {
        "soft-addressing": -1
    }


@pytest.mark.parametrize(("typed", "code"), [("q\n", 0), ("\x04", 0), ("\x03", 130)])
def test_q_and_the_end_of_input_and_an_interrupt_end_calmly(
    typed: str, code: int, tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path, "learn", "softmax")
    terminal.until("Enter next")
    terminal.type("2\n")
    terminal.until("2/5")
    terminal.until("1–3 answer")
    terminal.type(typed)
    assert terminal.code() == code
    assert "Traceback" not in terminal.shown
    again = Terminal(tmp_path, "learn", "softmax")
    again.until("2/5")  # it goes on where it was left
    again.until("> ")
    again.type("q\n")
    assert again.code() == 0


def test_a_terminal_that_cannot_move_gets_plain_lines(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "learn", "1", TERM="dumb")
    terminal.until("Enter next")
    terminal.until("> ")
    terminal.type("q\n")
    assert terminal.code() == 0
    assert "\x1b" not in terminal.shown


def test_colour_shades_weights_and_nothing_else_moves(tmp_path: Path) -> None:
    plain = Terminal(tmp_path, "learn", "1", NO_COLOR="1")
    before = plain.until("1/5")
    plain.type("2\n")
    shown = before + plain.until("2/5") + plain.until("Enter next")
    plain.type("q\n")
    assert plain.code() == 0
    assert "\x1b[38" not in shown
    coloured = Terminal(tmp_path, "learn", "1", "--color", "always")
    assert "\x1b[" in coloured.until("Enter next").partition("2/5")[2]
    coloured.type("q\n")
    assert coloured.code() == 0


def test_where_progress_cannot_be_kept_it_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "attncli").write_text("a file where the directory would be")
    terminal = Terminal(tmp_path, "learn", "1")
    terminal.until("progress is not remembered")
    for scene in (2, 3):
        terminal.until("Enter next")
        terminal.type("\n")
        terminal.until(f"{scene}/5")
    terminal.type("q\n")
    assert terminal.code() == 0
    assert "not remembered" not in terminal.shown


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def test_piped_a_lesson_goes_straight_through(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["learn", "5"]) == 0
    first = capsys.readouterr().out
    assert "6/6" in first
    assert "Answer" in first
    assert "Enter" not in first
    assert "\x1b" not in first
    assert not (data / "attncli").exists()
    assert run(["learn", "self-attention"]) == 0
    assert capsys.readouterr().out == first


def test_the_list_tells_what_is_done(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from attncli.lessons import progress

    progress.write("softmax", 1)
    progress.write("image", progress.DONE)
    assert run(["learn"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].endswith("2/5")
    assert lines[9].endswith("✓")
    assert run(["learn", "--forget"]) == 0
    assert run(["learn"]) == 0
    assert not any(line.endswith(("✓", "/5")) for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["learn", "softmx"], 2, "did you mean softmax?"),
        (["learn", f"{len(paths()) + 1}"], 2, f"1 to {len(paths())}"),
        (["learn", "0"], 2, "there is no lesson '0'"),
        (["learn", "1", "2"], 2, "expected one lesson"),
        (["learn", "nosuch.yaml"], 3, "nosuch.yaml"),
        (["learn", "--check"], 2, "needs files"),
        (["learn", "--forget", "1"], 2, "forgets all"),
    ],
)
def test_what_is_refused(
    arguments: list[str], code: int, words: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) <= 4


def test_check_goes_on_after_a_lesson_that_is_wrong(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "bad.yaml").write_text("title: T\nproblem: softmx\nscenes: [{text: Hello}]\n")
    assert run(["new", "lesson", "-o", str(data / "good.yaml")]) == 0
    capsys.readouterr()
    assert run(["learn", "--check", str(data / "bad.yaml"), str(data / "good.yaml")]) == 3
    shown = capsys.readouterr()
    assert "bad.yaml:2:10: error: there is no sample 'softmx'" in shown.err
    assert shown.out == f"{data / 'good.yaml'}: sound, 4 scenes, 3 questions\n"


def test_help_loads_no_numpy() -> None:
    code = (
        "import sys; from attncli.commands.boundary import run; run(['learn', '--help']); "
        "sys.exit('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--forget" in done.stdout, done
