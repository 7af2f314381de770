"""The one error boundary: whatever ends a command, people get an exit code and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENDS = """
import errno, sys
from attncli import commands
from attncli.commands.boundary import Terminated, run

def application(words):
    def ends(*words, **options):
        print("begun")
        raise {}
    return ends

commands.application = application
sys.exit(run(["attend", *sys.argv[1:]]))
"""


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        ("KeyboardInterrupt", 130, ""),
        ("Terminated", 143, ""),
        ("SystemExit('a word')", 1, ""),
        ("BrokenPipeError", 0, ""),
        ("MemoryError", 6, "error: out of memory\nhint: --steps output keeps less"),
        ("OSError(errno.ENOSPC, 'No space left')", 5, "error: cannot write: no space left\n"),
        ("KeyError('x')", 70, "error: a bug in attncli: KeyError: 'x'\nhint: --debug shows where"),
    ],
)
@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_whatever_ends_a_command_becomes_a_code_and_words(
    error: str, code: int, words: str, debug: list[str]
) -> None:
    command = [sys.executable, "-c", ENDS.format(error), *debug]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code
    assert ("Traceback" in done.stderr) == bool(debug and words)
    assert done.stderr[done.stderr.find("error: ") :].startswith(words)
    assert words or done.stderr == ""


def attncli(
    folder: Path, *words: str, more: dict[str, str] | None = None, **streams: object
) -> "subprocess.CompletedProcess[bytes]":
    """A run whose streams are buffered, as they are by default."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "attncli", *words],
        cwd=folder,
        env={**environment, **(more or {})},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
    )


@pytest.mark.parametrize("words", [["new"], ["attend", "--help"], ["new", "translation"], []])
def test_a_reader_who_left_before_the_start_is_no_failure(words: list[str], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = attncli(tmp_path, *words, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


@full
def test_words_that_cannot_be_said_change_no_exit_code(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as nowhere:
        assert attncli(tmp_path, "attend", "nosuch.yaml", stderr=nowhere).returncode == 3


@full
def test_what_is_lost_at_the_very_end_hides_nothing_that_was_wrong_before(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("query: [[1]]\nkey: [[1]]\n")
    with open("/dev/full", "wb") as nowhere, open(tmp_path / "p.yaml", "rb") as problem:
        words = "inspect", "-", "nosuch.yaml"
        done = attncli(tmp_path, *words, stdout=nowhere, stdin=problem)
    assert done.returncode == 3
    assert done.stderr.startswith(b"nosuch.yaml: error:")
    assert b"Traceback" not in done.stderr


@full
def test_completions_that_are_lost_are_a_failure(tmp_path: Path) -> None:
    asked = {"_ATTNCLI_COMPLETE": "complete_bash", "COMP_WORDS": "attncli a", "COMP_CWORD": "1"}
    with open("/dev/full", "wb") as nowhere:
        assert attncli(tmp_path, stdout=nowhere, more=asked).returncode == 5
