"""Every command under every surrounding: colours, terminals, widths, encodings, hostile texts.

The default run takes every eleventh cell of each command's grid, another slice for each, so that
all settings meet; `python -m pytest -m heavy tests/commands/test_grid.py` takes them all.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache, wraps
from itertools import islice, product
from pathlib import Path

import pytest
from rich.cells import cell_len

from attncli.bench import measure
from tests.commands.surroundings import (
    CASES,
    COLOURS,
    ENCODINGS,
    MOVE,
    STYLE,
    WIDTHS,
    furnish,
    seen,
)

GRID = [*product(COLOURS, ENCODINGS, WIDTHS)]
STRIDE = 11
"""Has no divisor in common with the number of colours, encodings and widths."""
AS_IT_LIES = {"new problem", "new with arrays", "new manifest", "new lesson"}
"""What a pipe gets in UTF-8, whatever its encoding: a redirected sample must be the sample."""
COMMAND = re.compile(r"next: attncli .*")
"""A line to copy is not wrapped."""
NUMBER = re.compile(r"(?<![\w.^…])[-−]?\d+(?:\.\d+)?(?:e[-+]\d+)?(?![\w.…])")
"""A number that stands alone: no index of a name, no power, no part of a name that is cut."""


def once(function: Callable[..., object]) -> Callable[..., object]:
    """A measurement that is taken once for all cells of the grid."""
    taken: dict[str, object] = {}

    @wraps(function)
    def first(*arguments: object) -> object:
        key = repr(arguments[:1])
        if key not in taken:
            taken[key] = function(*arguments)
        return taken[key]

    return first


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("grid")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        patch.setattr(measure, "peak", cache(measure.peak))
        patch.setattr(measure, "measured", once(measure.measured))
        furnish(folder)
        yield folder


def check(name: str, colour: str, encoding: str, width: int, patch: pytest.MonkeyPatch) -> None:
    """One cell of the grid."""
    case = CASES[name]
    where = f"{name}, {colour}, {encoding}, {width}"
    _, terminal, is_on = COLOURS[colour]
    if name in AS_IT_LIES and not terminal:
        encoding = "utf-8"
    code, out, err = seen(case.words, colour, encoding, width, patch)
    assert code == case.code, f"{where}: {err}"
    assert "Traceback" not in err, where
    assert "a bug in attncli" not in err, where
    assert code or out or err, where
    assert not code or err or out, where
    for text in (out, err):
        still = MOVE.sub("", text) if terminal and "dumb" not in colour else text
        plain = STYLE.sub("", still)
        assert is_on or plain == still, f"{where}: a style in {still!r}"
        steering = {c for c in plain if c != "\n" and not c.isprintable()}
        assert not steering, f"{where}: {steering} in {plain!r}"
        assert encoding != "ascii" or text.isascii(), where
    for line in lines(out):
        assert case.narrow is None or width < case.narrow or cell_len(line) <= width, where


def lines(out: str) -> list[str]:
    """What stands on a screen, without what is typed at a prompt and what is to be copied."""
    plain = STYLE.sub("", MOVE.sub("", out))
    return [line.removeprefix("> ") for line in plain.splitlines() if not COMMAND.match(line)]


@pytest.mark.parametrize("name", CASES)
def test_the_grid(name: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = [*CASES].index(name) % STRIDE
    stride = STRIDE * (8 if name in SLOW else 1)
    for colour, encoding, width in islice(GRID, start, None, stride):
        check(name, colour, encoding, width, monkeypatch)


SLOW = {"verify unknown", "new exercise", "new sheet", "backends", "backends test"}
"""Commands that take a tenth of a second and more."""


@pytest.mark.heavy
@pytest.mark.parametrize("name", CASES)
def test_the_whole_grid(name: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for colour, encoding, width in GRID:
        check(name, colour, encoding, width, monkeypatch)


NUMBERED = {
    name: case for name, case in CASES.items() if case.narrow and not name.startswith("error")
}


@pytest.mark.parametrize("encoding", ENCODINGS[::2])
@pytest.mark.parametrize("name", NUMBERED)
def test_no_number_is_cut_at_any_width(
    name: str, encoding: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands on a narrow screen stands on one that has room for everything."""
    words = NUMBERED[name].words
    _, whole, _ = seen(words, "pipe", encoding, 5000, monkeypatch)
    known = numbers(whole)
    assert known
    for width in (*WIDTHS, 27, 51, 93):
        _, out, _ = seen(words, "pipe", encoding, width, monkeypatch)
        shown = numbers(re.sub(r"(?:…|\.\.\.) \d+ of \d+\s+\w+(?:\s+\w+)?|\d+/\d+", "", out))
        assert shown <= known, f"{name}, {width}: {shown - known}"
        assert width < 80 or shown, f"{name}, {width}"


def numbers(text: str) -> set[str]:
    return set(NUMBER.findall(STYLE.sub("", text)))


@pytest.mark.parametrize("name", ["attend", "batch forced", "bench", "learn", "verify unknown"])
def test_nothing_moves_on_a_dumb_terminal(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(name, "terminal, dumb", "utf-8", 80, monkeypatch)


@pytest.mark.parametrize("colour", ["terminal, NO_COLOR", "terminal, CLICOLOR=0"])
def test_the_display_of_a_batch_has_no_colour_where_colour_is_off(
    colour: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check("batch forced", colour, "utf-8", 80, monkeypatch)
