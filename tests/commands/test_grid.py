"""Every command under every surrounding: colours, widths, encodings, pipes."""

import io
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from itertools import product
from pathlib import Path

import pytest
from rich.cells import cell_len

from attncli.commands.boundary import run

SAMPLES = Path(__file__).resolve().parent.parent.parent / "samples"
HOSTILE = """\
title: "T\\e[31m [bold]x[/] :smile: \\u202e \\a"
query: [[1, 0], [0.5, 2]]
key: [[1, 1], [0, 1], [2, 0]]
value: [[1, 2], [3, 4], [5, 6]]
labels:
  query: ["\\e]0;gotcha\\a", "[red]q[/red]"]
  key: ["=1+1", "日本語の鍵", "e\\u0301\\u200b\\r\\n"]
causal: true
align: bottom-right
"""
COMMANDS = {
    "attend": ["attend", "h.yaml"],
    "attend heads": ["attend", "two-heads.yaml"],
    "attend picture": ["attend", "image.yaml", "--focus", "r1c8"],
    "simulate": ["attend", "h.yaml", "--simulate", "float16"],
    "explain": ["explain", "h.yaml", "b1"],
    "explain step": ["explain", "h.yaml", "weights"],
    "verify": ["verify", "h.yaml", "theirs.npy"],
    "dialects": ["verify", "h.yaml", "--dialects"],
    "points": ["verify", "h.yaml", "h.json", "--points"],
    "inspect": ["inspect", "h.yaml", "theirs.npy"],
    "new": ["new"],
    "learn": ["learn", "softmax"],
    "lessons": ["learn"],
    "batch": ["batch", "h.yaml", "-o", "out/{stem}.npz", "--dry-run"],
    "bench": [
        *("bench", "--cases", "full", "--n", "32,64", "--heads", "1", "--d", "4"),
        *("--against", "none", "--repeat", "1"),
    ],
    "error": ["attend", "missing\x1b[31m.yaml"],
}
COLOURS = {
    "nothing": ({}, False),
    "NO_COLOR": ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    "FORCE_COLOR": ({"FORCE_COLOR": "1"}, True),
    "CLICOLOR_FORCE": ({"CLICOLOR_FORCE": "1"}, True),
    "dumb": ({"TERM": "dumb"}, False),
}
ENCODINGS = ("utf-8", "latin-1", "ascii")
WIDTHS = (20, 40, 80, 200)
ANSI = re.compile(r"\x1b\[[0-9;]*m")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff]")
NARROW = {"attend", "attend heads", "explain", "explain step", "learn"}
"""Commands whose lines are never wider than asked from 40 columns on."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in SAMPLES.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "h.yaml").write_text(HOSTILE, encoding="utf-8")
    assert run(["attend", "h.yaml", "--scale", "none", "-o", "theirs.npy", "-q"]) == 0
    assert run(["attend", "h.yaml", "-o", "h.json", "-q"]) == 0
    return tmp_path


def seen(words: list[str], encoding: str) -> tuple[str, str]:
    """What a run writes on stdout and stderr, in bytes that the encoding has."""
    texts = []
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        run(words)
        sys.stdout.flush()
        sys.stderr.flush()
    for stream in streams:
        stream.flush()
        texts.append(stream.buffer.getvalue().decode(encoding))  # type: ignore[attr-defined]
    return texts[0], texts[1]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_grid(name: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widths = WIDTHS if name not in ("bench", "dialects", "points") else (80,)
    colours = COLOURS if name != "bench" else {"nothing": COLOURS["nothing"]}
    for (colour, (variables, is_on)), encoding, width in product(
        colours.items(), ENCODINGS, widths
    ):
        where = f"{name}, {colour}, {encoding}, {width}"
        with monkeypatch.context() as patch:
            for variable in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR"):
                patch.delenv(variable, raising=False)
            for variable, value in {"COLUMNS": str(width), **variables}.items():
                patch.setenv(variable, value)
            out, err = seen(COMMANDS[name], encoding)
        assert "Traceback" not in err, where
        assert "a bug in attncli" not in err, where
        assert out or err, where
        for text in (out, err):
            plain = ANSI.sub("", text)
            assert is_on or plain == text, f"{where}: colour"
            found = CONTROL.search(plain)
            assert found is None, f"{where}: {found}"
            assert "gotcha" not in text or "\\x1b]0;gotcha\\x07" in plain, where
            assert encoding != "ascii" or text.isascii(), where
        if name in NARROW and width >= 40:
            wide = [line for line in ANSI.sub("", out).splitlines() if cell_len(line) > width]
            assert not wide, f"{where}: {wide[0]!r}"


@pytest.mark.parametrize("colour", sorted(COLOURS))
@pytest.mark.parametrize("words", [["--help"], ["attend", "--help"], ["learn", "--help"]])
def test_help_has_no_escape_where_colour_is_off(words: list[str], colour: str) -> None:
    variables, is_on = COLOURS[colour]
    environment = {k: v for k, v in os.environ.items() if "COLOR" not in k} | variables
    command = [sys.executable, "-m", "attncli", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert is_on or "\x1b" not in done.stdout + done.stderr
    assert "attncli" in done.stdout
