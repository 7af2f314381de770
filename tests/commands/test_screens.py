"""Whole screens of each command, as people see them on a terminal of 80 columns without colour.

`ATTNCLI_REGENERATE=1 python -m pytest tests/commands/test_screens.py` writes what is shown now to
`screens/`: look at the difference before you commit it.
"""

import os
import re
import shlex
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest

from attncli.commands import terminal
from tests.commands.surroundings import MOVE, furnish, seen

FOLDER = Path(__file__).parent / "screens"
SCREENS = {
    "attend": [
        "attend self-attention.yaml",
        "attend causal.yaml --steps weights,output --width 40",
        "attend encoder.yaml --steps layers.0.self_attention.weights,output --width 60",
        "attend image.yaml --focus r1c8 --steps weights",
        "attend causal.yaml --simulate float16",
        "attend two-heads.yaml --steps scores,weights,heads --width 20 ASCII",
        "attend h.yaml --steps weights ASCII",
    ],
    "explain": [
        "explain self-attention.yaml b1",
        "explain causal.yaml weights 2 0 --depth all",
        "explain translation.yaml 1 --width 60",
        "explain causal.yaml cat --width 40 ASCII",
        "explain h.yaml 1",
    ],
    "verify": [
        "verify h.yaml h.json",
        "verify h.yaml theirs.npy",
        "verify h.yaml other.npz --width 40 ASCII",
        "verify causal.yaml --dialects --width 60",
        "verify h.yaml h.json theirs.npy --points",
    ],
    "inspect": [
        "inspect translation.yaml",
        "inspect from-npz.npz hostile.npz",
        "inspect two-heads.yaml ASCII",
    ],
    "learn": ["learn", "learn 3", "learn 9 --width 40 ASCII"],
    "new": ["", "new", "new soft-addressing"],
    "batch": [
        "batch causal.yaml refused.yaml -o out/{stem}.npz --dry-run",
        "batch causal.yaml refused.yaml -o out/{stem}.npz",
        "batch two-heads.yaml refused.yaml -o out/{stem}.npz --dry-run ASCII",
    ],
    "help": ["--help", "attend --help", "learn --help"],
    "errors": [
        "atend h.yaml",
        "attend h.yaml --window [b]",
        "attend nosuch.yaml",
        "attend bad.yaml",
        "attend refused.yaml",
        "attend h.yaml -o theirs.npy",
        "attend h.yaml --max-memory 10",
        "attend h.yaml --backend nosuch",
    ],
}
"""`ASCII` at the end: on a terminal that has no other letters."""
TIMED = re.compile(r"\d+(\.\d+)? m?s\b|\d+(\.\d+)?/s|\d+ threads|\d+(\.\d+)? [GM]B allowed")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("screens")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        patch.setattr(terminal, "PATIENCE", float("inf"))  # no display, however slow the machine
        furnish(folder)
        yield folder


def screen(line: str, patch: pytest.MonkeyPatch) -> str:
    """What a command shows, stderr below stdout, after the line that asks for it."""
    # On a busy machine a search takes longer than a moment, and would say how far it is.
    patch.setattr("attncli.commands.verify.PATIENCE", inf)
    encoding = "ascii" if line.endswith(" ASCII") else "utf-8"
    line = line.removesuffix(" ASCII")
    patch.setattr("sys.argv", ["attncli", *shlex.split(line)])
    # A slow machine shows the same.
    patch.setattr("attncli.commands.verify.PATIENCE", 600)
    patch.setattr("attncli.commands.dry._rate", lambda: 1e10)
    # What moves on a terminal stands still in a pipe.
    colour = "pipe" if line.startswith(("learn ", "batch")) else "terminal, NO_COLOR"
    code, *shown = seen(tuple(shlex.split(line)), colour, encoding, 80, patch)
    text = re.sub(r" +$", "", MOVE.sub("", "".join(shown)), flags=re.MULTILINE)
    if line.startswith("batch"):
        text = re.sub(r" +time$", "  time", TIMED.sub("#", text), flags=re.MULTILINE)
    return f"$ attncli {line}".rstrip() + f"\n{text.rstrip()}\n" + f"[exit {code}]\n" * bool(code)


@pytest.mark.parametrize("name", SCREENS)
def test_screens(name: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "\n".join(screen(line, monkeypatch) for line in SCREENS[name])
    file = FOLDER / f"{name}.txt"
    if "ATTNCLI_REGENERATE" in os.environ:
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")
