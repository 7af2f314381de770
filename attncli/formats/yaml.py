"""The JSON report's structure in YAML, with values as flow tables that any YAML reader gives back.

YAML has NaN and infinities, so nothing is null here.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from attncli.formats.display import Display, escaped
from attncli.formats.json import VERSION, about, nested, problem
from attncli.formats.numbers import exact
from attncli.formats.view import Numbers, output, views

if TYPE_CHECKING:
    from attncli.solve import Trace

SPELLED = {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}
NO_POINT = re.compile(r"^(-?\d+)e")


def render(trace: "Trace", display: Display) -> str:
    """The report as one YAML document."""
    return "".join(_pieces(trace, display))


def _pieces(trace: "Trace", display: Display) -> Iterator[str]:
    ascii = display.ascii
    yield f"attncli: {VERSION}\nproblem:\n"
    for key, value in problem(trace).items():
        yield f"  {_key(key)}: {_flow(value, ascii)}\n"
    shown = list(views(trace, display))
    yield "steps:\n" if shown else "steps: []\n"
    for view in shown:
        start = "  - "
        for key, value in about(view, trace).items():
            yield f"{start}{key}: {_flow(value, ascii)}\n"
            start = "    "
        yield "    value:" + "".join(_array(view.value, 6)) + "\n"
    yield "output:" + "".join(_array(output(trace, display), 2)) + "\n"
    yield f"notes: {_flow(trace.notes, ascii)}\n"


def _array(value: Numbers, indent: int) -> Iterator[str]:
    """A flow table, one line for each innermost list, starting on a line of its own."""
    numbers = [SPELLED.get(text, text) for text in exact(value)]
    # YAML 1.1 reads 1e-05 as a text: it wants a decimal point.
    numbers = [NO_POINT.sub(r"\1.0e", text) if "e" in text else text for text in numbers]
    line = "\n" + " " * indent
    yield line if value.ndim > 1 else " "
    yield from nested(numbers, value.shape, line)


def _key(text: str) -> str:
    return text if text.isidentifier() and text.isascii() else _quoted(text, True)


def _flow(value: Any, ascii: bool) -> str:
    """A value in flow style; every text in double quotes, so that `no` stays a text."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _quoted(value, ascii)
        case int() | float():
            return "".join(_array(np.asarray(value), 0)).lstrip()
        case dict():
            pairs = (f"{_quoted(str(k), ascii)}: {_flow(v, ascii)}" for k, v in value.items())
            return "{" + ", ".join(pairs) + "}"
    return "[" + ", ".join(_flow(entry, ascii) for entry in value) + "]"


def _quoted(text: str, ascii: bool) -> str:
    r"""In double quotes; what is not printable as `\x1b`, `\u202e` or `\U000e0041`."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    if text.isprintable() and (text.isascii() or not ascii):
        return f'"{text}"'
    return '"' + "".join(_letter(c, ascii) for c in text) + '"'


def _letter(character: str, ascii: bool) -> str:
    if character.isprintable() and (character.isascii() or not ascii):
        return character
    return escaped(character)
