"""What surrounds a run: the commands and their modes, the settings of a terminal, and a run.

`test_grid.py` runs the commands inside this process, `test_streams.py` in processes of their own,
`test_screens.py` keeps some of their screens.
"""

import io
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from attncli.commands import COMMANDS as NINE
from attncli.commands.boundary import run
from attncli.formats import FORMATS

SAMPLES = Path(__file__).resolve().parent.parent.parent / "samples"
NAME = "[b]\x1b[31m\u202e\udcff$(touch pwned).yaml"
"""A name of a file that would do something."""
HOSTILE = """\
title: "T\\e[31m [bold]x[/] :smile: \\u202e \\a"
query: [[1, 0], [0.5, 2]]
key: [[1, 1], [0, 1], [2, 0]]
value: [[1, 2], [3, 4], [5, 6]]
labels:
  query: ["\\e]0;gotcha\\a\\x9b31m", "[red]q[/red][link=x]y[/link]:smile:"]
  key: ["=1+1\\u202e\\u2066\\u200f", "日本語の鍵", "e\\u0301\\u200b\\r\\n\\u2028\\u061c"]
causal: true
align: bottom-right
"""
LESSON = """\
title: "L\\ec\\a [bold]x[/] :smile: \\u202e"
sources: ["S\\e]gotcha\\a [b]"]
problem:
  similarity: dot
  labels: {query: ["\\e]0;gotcha\\a"], key: ["[red]k[/]", "\\u202ey", ":smile:"]}
  query: [[1, 2]]
  key: [[2, 1], [2, -1], [0, 1]]
  value: [[3], [7], [0]]
scenes:
  - text: "T\\ec [b]{weights[0, 0]}[/] \\u2066 {name key 1}"
    show: [weights]
  - text: "\\x9bm {argmax weights[0]}"
    show: [output]
"""
SLOW = ("bench", "--cases", "full", "--n", "16,32", "--heads", "1", "--d", "4", "--repeat", "1")
BENCH = (*SLOW, "--against", "none")


@dataclass(frozen=True)
class Case:
    """A command line, run beside the files of `furnish`, and the exit code that it must have."""

    words: tuple[str, ...]
    code: int = 0
    narrow: int | None = None
    """The width from which no line is wider than asked; None: it promises none."""


def case(line: str, code: int = 0, narrow: int | None = None) -> Case:
    return Case(tuple(word.replace("NAME", NAME) for word in line.split(" ")), code, narrow)


CASES: dict[str, Case] = {
    "attend": case("attend h.yaml", narrow=20),
    "attend heads": case("attend two-heads.yaml", narrow=20),
    "attend layers": case("attend encoder.yaml --steps all", narrow=20),
    "attend columns": case("attend h.yaml --notation columns --digits 7", narrow=20),
    "attend picture": case("attend image.yaml --focus r1c8 --steps weights", narrow=20),
    "attend tiles": case("attend h.yaml --tile 2 --steps output", narrow=20),
    "attend focus": case("attend h.yaml --focus query=1,key=0:2", narrow=20),
    "attend file": case("attend h.yaml -o made.npz --force"),
    "attend hostile name": case("attend NAME -v", narrow=20),
    **{
        f"attend {form}": case(f"attend h.yaml --format {form}")
        for form in FORMATS
        if form not in ("table", "svg")
    },
    "attend svg": case("attend h.yaml --format svg --steps weights"),
    "simulate": case("attend h.yaml --simulate float16", narrow=40),
    "simulate csv": case("attend h.yaml --simulate float16 --format csv"),
    "explain": case("explain h.yaml b1", narrow=20),
    "explain step": case("explain h.yaml weights", narrow=20),
    "explain cell": case("explain h.yaml weights[1,2] --depth all", narrow=20),
    "explain layers": case("explain encoder.yaml b1", narrow=20),
    "explain hostile name": case("explain NAME b1", narrow=20),
    "explain markdown": case("explain h.yaml b1 --format markdown"),
    "explain latex": case("explain h.yaml b1 --format latex"),
    "verify passes": case("verify h.yaml h.json", narrow=40),
    "verify": case("verify h.yaml theirs.npy", 1, narrow=40),
    "verify unknown": case("verify h.yaml other.npz", 1, narrow=40),
    "verify json": case("verify h.yaml theirs.npy --format json", 1),
    "dialects": case("verify h.yaml --dialects", narrow=40),
    "points": case("verify h.yaml h.json other.npz --points", 1),
    "points csv": case("verify h.yaml h.json other.npz --points --format csv", 1),
    "inspect": case("inspect h.yaml two-heads.yaml"),
    "inspect tensors": case("inspect theirs.npy hostile.npz"),
    "inspect hostile name": case("inspect NAME"),
    "convert": case("inspect h.yaml -o NAME.json --force"),
    "new": case("new"),
    "new problem": case("new translation"),
    "new with arrays": case("new minilm"),
    "new file": case("new causal -o NAME.new --force"),
    "new exercise": case("new exercise --seed 7"),
    "new sheet": case("new exercise --seed 7 -o sheet.md --force"),
    "new manifest": case("new manifest"),
    "new lesson": case("new lesson"),
    "lessons": case("learn"),
    "learn": case("learn softmax", narrow=40),
    "learn hostile": case("learn lesson.yaml", narrow=40),
    "learn --check": case("learn --check lesson.yaml"),
    "batch": case("batch h.yaml two-heads.yaml -o out/{stem}.npz --report report.jsonl"),
    "batch forced": case("batch h.yaml NAME -o out/{stem}.json --report again.jsonl --force"),
    "batch fails": case("batch h.yaml refused.yaml -o no/{stem}.npz --report no.jsonl", 1),
    "dry run": case("batch h.yaml refused.yaml NAME -o dry/{stem}.npz --dry-run"),
    "bench": Case(BENCH, narrow=40),
    "bench json": Case((*BENCH, "--format", "json")),
    "bench markdown": Case((*BENCH, "--format", "markdown")),
    "bench svg": Case((*BENCH, "--format", "svg")),
    "backends": case("backends"),
    "backends test": case("backends test numpy"),
    "bare": Case(()),
    "version": case("--version"),
    "--help": case("--help"),
    **{f"{name} --help": case(f"{name} --help") for name in NINE},
    "error of a command": case("atend h.yaml", 2),
    "error of a flag": case("attend h.yaml --window [b]\x1b[31m\u202e", 2),
    "error of a place": case("explain h.yaml [red]\x1b[31m\u2066", 2),
    "error of a file": case("attend missing\x1b[31m[b]\u202e.yaml", 3),
    "error in a file": case("attend bad.yaml", 3),
    "error of numbers": case("attend refused.yaml", 4),
    "error of an output": case("attend h.yaml -o theirs.npy", 5),
    "error of a limit": case("attend h.yaml --max-memory 10", 6),
    "error of a backend": case("attend h.yaml --backend nosuch\x1b[31m", 7),
}


def furnish(folder: Path) -> None:
    """The files that the cases speak of."""
    for path in SAMPLES.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    (folder / "h.yaml").write_text(HOSTILE, encoding="utf-8")
    (folder / NAME).write_text(HOSTILE, encoding="utf-8")
    (folder / "lesson.yaml").write_text(LESSON, encoding="utf-8")
    (folder / "bad.yaml").write_text('query: [[1, "[red]x\\e[31m\\u202e"]]\nkey: query\n')
    (folder / "refused.yaml").write_text(HOSTILE.replace("align: bottom-right\n", ""))
    os.chdir(folder)
    import numpy as np

    assert run(["attend", "h.yaml", "--scale", "none", "-o", "theirs.npy", "-q"]) == 0
    assert run(["attend", "h.yaml", "-o", "h.json", "-q"]) == 0
    np.savez("other.npz", output=np.array([[1.0, 7.0], [9.0, -3.0]]))
    np.savez("hostile.npz", **{"[b]\x1b[31m\u202e": np.eye(2), "=1+1": np.array([np.nan, 1])})


COLOURS: Mapping[str, tuple[Mapping[str, str], bool, bool]] = {
    "pipe": ({}, False, False),
    "NO_COLOR": ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
    "FORCE_COLOR": ({"FORCE_COLOR": "1"}, False, True),
    "CLICOLOR_FORCE": ({"CLICOLOR_FORCE": "1"}, False, True),
    "terminal": ({"TERM": "xterm"}, True, True),
    "terminal, NO_COLOR": ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
    "terminal, CLICOLOR=0": ({"TERM": "xterm", "CLICOLOR": "0"}, True, False),
    "terminal, dumb": ({"TERM": "dumb"}, True, False),
}
"""Variables; whether the streams are terminals; whether colour is on."""
VARIABLES = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "TERM")
ENCODINGS = ("utf-8", "latin-1", "ascii")
WIDTHS = (20, 40, 60, 80, 140, 200)

STYLE = re.compile(r"\x1b\[[0-9;]*m")
MOVE = re.compile(r"\x1b\[[0-9;]*[A-HJK]|\x1b\[\?25[hl]|\r(?!\n)")
"""What a live display or a lesson moves the cursor with."""


class Stream(io.TextIOWrapper):
    """A standard stream in memory, which says that it is a terminal, or that it is none."""

    def __init__(self, encoding: str, *, terminal: bool = False, content: bytes = b"") -> None:
        super().__init__(io.BytesIO(content), encoding=encoding)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def written(self) -> str:
        """What was written, in letters; raises where the encoding has no such letter."""
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined,no-any-return]


@contextmanager
def surrounded(
    colour: str, encoding: str, width: int, patch: pytest.MonkeyPatch
) -> Iterator[tuple[Stream, Stream]]:
    """stdout and stderr of a run under these settings; stdin has Enter as often as it is asked."""
    variables, terminal, _ = COLOURS[colour]
    with patch.context() as changed:
        for variable in (*VARIABLES, "_TYPER_FORCE_DISABLE_TERMINAL"):
            changed.delenv(variable, raising=False)
        # Typer looks at them when its help is first asked for: each run is as the first.
        changed.delitem(sys.modules, "typer.rich_utils", raising=False)
        changed.delattr(typer, "rich_utils", raising=False)
        for variable, value in {"COLUMNS": str(width), **variables}.items():
            changed.setenv(variable, value)
        streams = Stream(encoding, terminal=terminal), Stream(encoding, terminal=terminal)
        changed.setattr(sys, "stdin", Stream("utf-8", terminal=terminal, content=b"\n" * 99))
        changed.setattr(sys, "stdout", streams[0])
        changed.setattr(sys, "stderr", streams[1])
        yield streams


def seen(
    words: tuple[str, ...], colour: str, encoding: str, width: int, patch: pytest.MonkeyPatch
) -> tuple[int, str, str]:
    """The exit code of a run inside this process, and what it writes on stdout and stderr."""
    with surrounded(colour, encoding, width, patch) as (out, err):
        code = run(words)
        return code, out.written(), err.written()
