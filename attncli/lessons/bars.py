"""One query beside all keys: score, weight as a bar, value, and what comes out."""

from collections.abc import Sequence

import numpy as np

from attncli.errors import InputError
from attncli.formats.grid import shade
from attncli.formats.layout import Panel, Paper, Span
from attncli.formats.numbers import Number, aligned, all_integers, fixed, split
from attncli.formats.view import Numbers
from attncli.lessons.computed import Cell, Computed, Part
from attncli.lessons.placeholders import written

SCORES = ("masked", "biased", "capped", "scaled", "scores")
"""The step that the weights were made of: the last one that there is."""
MOST_KEYS = 20
SHOWN_KEYS = 10
"""The keys with the most weight that are shown of more than `MOST_KEYS`."""
MOST_FEATURES = 4
"""A longer vector is not written out."""
LONGEST_BAR = 28


def panel(part: Part, paper: Paper) -> Panel:
    """The bars of a row of weights; raises `InputError` where it is not one."""
    weights, name, on = part.step, part.step.name, part.of
    if weights.base != "weights" or part.open != [len(weights.axes) - 1]:
        raise InputError(
            f"bars {name}",
            expected=f"weights with places on {', '.join(weights.axes[:-1])}",
            found=", ".join(weights.axes[axis] for axis in part.open) + " open",
        )
    index = tuple(place or 0 for place in part.index[:-1])
    *lead, query = index
    recipe = name.removesuffix("weights")
    row = part.value
    n, sizes = len(row), weights.value.shape[: len(lead)]
    batch = lead[0] if lead and weights.axes[0].startswith("batch") else 0
    places = list(range(n))
    if n > MOST_KEYS:
        places = sorted(map(int, np.argsort(-row, kind="stable")[:SHOWN_KEYS]))
    keys = _vectors(on, recipe + "key", lead, sizes, paper)
    names = [paper.theirs(text) for text in on.names(name, "key", n, batch)]
    columns = [_text("key", [f"{names[i]} {keys.get(i, '')}".rstrip() for i in places], paper)]
    before, _, result = behind(part)
    if before:
        scores = np.asarray(on.step(before).value)[index]
        base = before.rpartition(".")[2]
        title = "score" if base == "scores" else base
        columns.append(_numbers(title, [float(scores[i]) for i in places], paper))
    shown = [float(row[i]) for i in places]
    masked = before and [bool(scores[i] == -np.inf) for i in places]
    columns.append(_numbers("weight", shown, paper, shades=True, masked=masked or ()))
    values = _vectors(on, recipe + "value", lead, sizes, paper)
    told = _text("value", [values[i] for i in places], paper) if values else []
    indent = " " * min(8, paper.width // 10)
    used = sum(_width(column, paper) + 3 for column in [*columns, told])
    room = paper.width - len(indent) - used
    bar = len(columns)
    columns.append(_bars(shown, max(4, min(LONGEST_BAR, room)), paper))
    if told:
        columns.append(told)
    lines = [[Span(indent), *line] for line in _beside(columns, bar)]
    head = f"query  {on.names(name, 'query', weights.value.shape[-2], batch)[query]}"
    queries = _vectors(on, recipe + "query", lead, sizes, paper)
    top = paper.line(Span(indent), Span(f"{paper.theirs(head)} {queries.get(query, '')}".rstrip()))
    whole: Panel = [top, paper.line(), *(paper.line(*line) for line in lines)]
    if n > len(places):
        left_out = paper.own(f"… the {n - len(places)} keys with the least weight are left out")
        whole.append(paper.line(Span(indent), Span(left_out, "dim")))
    return [*whole, *_output(on, result, index, indent, paper)]


def behind(part: Part) -> tuple[str, str, str]:
    """The steps before, of and after weights: scores, weights, what comes out; '' for none."""
    name, on = part.step.name, part.of
    recipe = name.removesuffix("weights")

    def first(*bases: str) -> str:
        return next((recipe + base for base in bases if recipe + base in on.steps), "")

    return first(*SCORES), name, first("heads", "output")


def _output(on: Computed, name: str, index: tuple[int, ...], indent: str, paper: Paper) -> Panel:
    """What the query gets; with its arithmetic where that is one number."""
    if not name:
        return []
    vector = np.asarray(on.step(name).value)[index]
    if vector.ndim != 1 or len(vector) > MOST_FEATURES:
        return []
    digits = paper.display.digits
    text = ""
    if len(vector) == 1:
        text = on.line(Cell(on, name, (*index, 0)), digits)
    text = text or _vector(vector, digits)
    room = paper.width - len(indent) - 8
    parts = paper.wrap(paper.own(text), room)
    starts = ["output  ", *[" " * 8] * len(parts)]
    lines = [
        paper.line(Span(indent), Span(start), Span(part))
        for start, part in zip(starts, parts, strict=False)
    ]
    return [paper.line(), *lines]


def _vectors(
    on: Computed, name: str, lead: Sequence[int], heads: Sequence[int], paper: Paper
) -> dict[int, str]:
    """The vectors of a step as texts; none where they are too long or not there."""
    step = on.steps.get(name)
    if step is None:
        return {}
    value = np.asarray(step.value)
    for place, n in zip(lead, heads, strict=True):
        # A head of keys serves several heads of queries, a broadcast axis all places.
        value = value[place * len(value) // n] if value.ndim > 2 else value
    if value.shape[-1] > MOST_FEATURES:
        return {}
    return {place: paper.own(_vector(row, paper.display.digits)) for place, row in enumerate(value)}


def _vector(row: Numbers, digits: int) -> str:
    texts = [written(float(number), digits) for number in row]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


Column = list[Span]
"""A heading and cells of equal width."""


def _width(column: Column, paper: Paper) -> int:
    return paper.measure(column[0].text) if column else 0


def _text(title: str, texts: Sequence[str], paper: Paper) -> Column:
    wide = max(paper.measure(text) for text in (title, *texts))
    return [Span(paper.pad(text, wide)) for text in (title, *texts)]


def _numbers(
    title: str,
    values: Sequence[float],
    paper: Paper,
    *,
    shades: bool = False,
    masked: Sequence[bool] = (),
) -> Column:
    digits = paper.display.digits
    marks = {"−∞": "-inf", "∞": "inf"} if paper.display.ascii else {}
    integers = all_integers(np.array(values))
    numbers = split(values, digits, integers=integers, as_fixed=fixed(values, digits))
    for place, is_masked in enumerate(masked):
        if is_masked:
            numbers[place] = Number("", "." if paper.display.ascii else "·")
    texts = aligned(numbers, marks)
    wide = max(len(title), *map(len, texts))
    styles = [shade(value) if shades else "" for value in values]
    cells = [Span(text.rjust(wide), style) for text, style in zip(texts, styles, strict=True)]
    return [Span(title.rjust(wide)), *cells]


def _bars(weights: Sequence[float], longest: int, paper: Paper) -> Column:
    full = "#" if paper.display.ascii else "█"
    sizes = [round(longest * min(max(weight, 0.0), 1.0)) for weight in weights]
    least = "|" if paper.display.ascii else "▏"
    texts = [
        full * size or (least if weight > 0 else "")
        for size, weight in zip(sizes, weights, strict=True)
    ]
    wide = max(1, *map(len, texts))
    return [Span(text.ljust(wide)) for text in ("", *texts)]


def _beside(columns: Sequence[Column], bar: int) -> list[list[Span]]:
    lines = []
    for cells in zip(*columns, strict=True):
        line: list[Span] = []
        for number, cell in enumerate(cells):
            # A bar stands right behind its number.
            gap = 1 if number == bar else 3
            line += [Span(" " * gap if number else ""), cell]
        lines.append(line)
    return lines
