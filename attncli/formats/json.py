"""JSON for scripts: every number of the chosen steps, as the shortest decimal that gives it back.

JSON has no NaN and no infinities: they are null, and a note says which they were, and where.
"""

import json
from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from attncli.formats.display import Display
from attncli.formats.numbers import exact
from attncli.formats.view import Numbers, View, output, views

if TYPE_CHECKING:
    from attncli.solve import Trace

VERSION = 1
MOST_PLACES = 8
"""Places of one kind that a note lists."""


def render(trace: "Trace", display: Display) -> str:
    """`{"attncli": 1, "problem": …, "steps": [{"name", "title", …, "value"}], "output": …}`."""
    return "".join(_pieces(trace, display))


def _pieces(trace: "Trace", display: Display) -> Iterator[str]:
    ascii = display.ascii
    notes = list(trace.notes)
    yield f'{{\n  "attncli": {VERSION},\n  "problem": {_dumps(problem(trace), ascii)},\n'
    yield '  "steps": ['
    first = True
    for view in views(trace, display):
        yield ("" if first else ",") + "\n    {\n"
        for key, value in about(view, trace).items():
            yield f'      "{key}": {_dumps(value, ascii)},\n'
        yield '      "value":'
        yield from _array(view.value, 8)
        yield "\n    }"
        notes += nulls(view.name, view.value)
        first = False
    yield ('],\n  "output":') if first else '\n  ],\n  "output":'
    result = output(trace, display)
    yield from _array(result, 4)
    notes += nulls("output", result)
    yield f',\n  "notes": {_dumps(list(dict.fromkeys(notes)), ascii)}\n}}\n'


def problem(trace: "Trace") -> dict[str, Any]:
    """What the report says of the problem: its title, kind, notation and settings."""
    shown = trace.problem.presentation
    heading = {"title": shown.title, "kind": trace.problem.kind, "notation": trace.notation}
    return {**heading, **{k: v for k, v in trace.problem.settings().items() if k not in heading}}


def about(view: View, trace: "Trace") -> dict[str, Any]:
    """What the report says of a step, before its value."""
    title = trace.title(view.step)
    labels = {axis: view.given(i) for i, axis in enumerate(view.axes)}
    return {
        "name": view.name,
        "title": title.title,
        "formula": title.formula,
        "axes": view.axes,
        "shape": view.value.shape,
        "labels": {axis: names for axis, names in labels.items() if names},
    }


def nulls(name: str, value: Numbers) -> Iterator[str]:
    """For each kind of number that JSON lacks: `masked: null is -inf at [0, 1], [0, 2]`."""
    if np.isfinite(value).all():
        return
    kinds = (("NaN", np.isnan(value)), ("-inf", value == -np.inf), ("inf", value == np.inf))
    present = [(kind, where) for kind, where in kinds if where.any()]
    for kind, where in present:
        count = int(np.count_nonzero(where))
        if count > MOST_PLACES and len(present) == 1:
            yield f"{name}: every null is {kind} ({count} cells)"
            continue
        places = [str(place.tolist()) for place in np.argwhere(where)[:MOST_PLACES]]
        rest = f", … ({count} cells)" if count > MOST_PLACES else ""
        yield f"{name}: null is {kind} at {', '.join(places)}{rest}"


def _array(value: Numbers, indent: int) -> Iterator[str]:
    """Nested lists, one line for each innermost one; a table starts on a new line."""
    numbers = exact(value)
    for i in np.flatnonzero(~np.isfinite(value)):
        numbers[i] = "null"
    line = "\n" + " " * indent
    yield line if value.ndim > 1 else " "
    yield from nested(numbers, value.shape, line)


def nested(numbers: list[str], shape: tuple[int, ...], line: str) -> Iterator[str]:
    """Texts of numbers in nested brackets; a new line starts with `line`."""
    if not shape:
        yield numbers[0]
        return
    if 0 in shape:
        yield str(np.empty(shape).tolist())
        return
    if len(shape) == 1:
        yield f"[{', '.join(numbers)}]"
        return
    width = shape[-1]
    for start in range(0, len(numbers), width):
        # How many axes begin, and end, with this row: those whose inner sizes divide its place.
        opened = closed = 0
        inner = width
        for size in shape[-2::-1]:
            inner *= size
            opened += start % inner == 0
            closed += (start + width) % inner == 0
        depth = len(shape) - 1 - opened
        before = ("," if start else "") + (line + " " * depth if start else "")
        row = ", ".join(numbers[start : start + width])
        yield f"{before}{'[' * opened}[{row}]{']' * closed}"


def _dumps(value: Any, ascii: bool) -> str:
    """JSON without a character that could steer a terminal."""
    text = json.dumps(finite(value), ensure_ascii=ascii, default=str)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def finite(value: Any) -> Any:
    """Settings as JSON can hold them: NaN and infinities as None."""
    if isinstance(value, dict):
        return {str(key): finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not isfinite(value) else value
