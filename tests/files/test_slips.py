"""Slips of typing: every character of some files left out, or another one put in, and what is said.

`slips.txt` has a line for each: the text, and what came of it. `ATTNCLI_REGENERATE=1 python -m
pytest tests/files/test_slips.py` writes it again: read the difference before you commit it.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli.errors import AttncliError
from attncli.files.tables import read_table
from attncli.files.types import (
    Boolean,
    Bounds,
    Choice,
    Entry,
    Integer,
    Labels,
    ListOf,
    Mapping,
    Number,
    OneOf,
    Reference,
    Tensor,
    Text,
    read_document,
)

EXPECTED = Path(__file__).parent / "slips.txt"
REGENERATE = "ATTNCLI_REGENERATE" in os.environ
HEAD = "=== "
SIGNS = (*'[]{}:,-#&*!|>"%@?=.e/', "'", "\t", "\n", " ", "0", "x", "é", "\x07", "\n- ", ": ")
CELLS = (*',;"=-.0xe%+_/', "\t", "\n", " ", "TRUE", "nan", "\0")

SCHEMA = Mapping(
    {
        "title": Text(),
        "query": Tensor(),
        "mask": Tensor(booleans=True),
        "causal": Boolean(),
        "window": Bounds(),
        "labels": OneOf(Mapping({"query": Labels(), "key": Labels()}), Labels()),
        "scale": OneOf(Choice(("auto", "none")), Tensor()),
        "heads": Integer(minimum=1),
        "layers": ListOf(Mapping({"weight": Tensor(), "cap": Number(above=0)})),
    },
    foreign={"Q": "query"},
)

FILES: dict[str, str] = {
    "brackets.yaml": "title: it\nquery: [[1, 0.5], [-2e3, .inf]]\n",
    "dashes.yaml": "query:\n- [1, 2]\n- - 3\n  - 4\nheads: 2\n",
    "mapping.yaml": "labels: {query: [it, 'a b'], key: the cat}\n",
    "switches.yaml": "causal: true\nwindow: [2, null]\nscale: auto\n",
    "block.yaml": "query: |\n  1 2\n  3, 4\nmask: [[true], [false]]\n",
    "layers.yaml": "layers: [{weight: [[1]], cap: 3}]\n",
    "quotes.yaml": 'title: "a\\n:"\nscale: s.npy\n',
    "p.json": '{"query": [[[1, 2]], [[3, 4]]], "heads": 1}',
    "plain.csv": "1,2.5\n-3e2,4\n",
    "labels.csv": ',a,"b,c"\nit,1,2\n',
    "header.csv": "a,b\n1,2\n3,4\n",
    "comma.csv": "1;2,5\n3;-0,4\n",
    "truth.csv": "TRUE,FALSE\nFALSE,TRUE\n",
    "tabs.tsv": "x\t1\t2\ny\t3\t4\n",
}


def slips(name: str) -> list[str]:
    """The file with a character left out, and with a sign put in, at each place in turn."""
    text = FILES[name]
    signs = SIGNS if name.endswith(("yaml", "json")) else CELLS
    start = 7 * [*FILES].index(name)
    made = [text]
    for at in range(len(text)):
        made.append(text[:at] + text[at + 1 :])
        made.append(text[:at] + signs[(start + at) % len(signs)] + text[at:])
    return list(dict.fromkeys(made))


def outcome(name: str, text: str) -> str:
    """What comes of a file: its values, or where and why it is refused."""
    try:
        if name.endswith(("yaml", "json")):
            return shown(read_document(text, name, SCHEMA))
        Path(name).write_bytes(text.encode())
        table = read_table(Path(name))
        return f"{shown(table.values)} {table.rows} {table.columns}"
    except AttncliError as error:
        facts = (error.what, error.expected, error.found, error.hint)
        return f"{error.place}: " + " | ".join(fact for fact in facts if fact)


def shown(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={shown(inner)}" for key, inner in value.items())
    if isinstance(value, Entry):
        place = value.place
        where = f"@{place.line}:{place.column}" if place else ""
        return shown(value.value) + where
    if isinstance(value, np.ndarray):
        return str(value.tolist())
    if isinstance(value, Reference):
        return f"<{value.text}>"
    return f"({', '.join(map(shown, value))})" if isinstance(value, tuple) else repr(value)


def lines(name: str) -> list[str]:
    return [f"{text!r}  ->  {outcome(name, text)}" for text in slips(name)]


def recorded() -> dict[str, list[str]]:
    parts = EXPECTED.read_text(encoding="utf-8").split(f"\n{HEAD}")[1:]
    return {part.split("\n")[0]: part.split("\n")[1:] for part in parts}


@pytest.mark.parametrize("name", FILES)
def test_what_is_said_of_a_slip(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if REGENERATE:
        with EXPECTED.open("a", encoding="utf-8") as file:
            file.write("\n".join(["", HEAD + name, *lines(name)]))
    for found, wanted in zip(lines(name), recorded()[name], strict=True):
        assert found == wanted


def test_every_slip_is_recorded() -> None:
    assert {*recorded()} == {*FILES}
    assert sum(map(len, recorded().values())) > 700
