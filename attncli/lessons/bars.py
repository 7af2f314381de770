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
MOST_KEYS = 12
SHOWN_KEYS = 9
"""The keys with the most weight that are shown of more than `MOST_KEYS`."""
MOST_FEATURES = 4
"""A longer vector is not written out."""
LEAST_BAR, LONGEST_BAR = 4, 28
KEEP = frozenset({"vectors", "values", "scores"})

Column = list[Span]
"""A heading and cells of equal width."""


def panel(part: Part, paper: Paper) -> Panel:
    """The bars of a row of weights; raises `InputError` where it is not one."""
    weights = part.step
    if weights.base != "weights" or part.open != [len(weights.axes) - 1]:
        raise InputError(
            f"bars {weights.name}",
            expected=f"weights with places on {', '.join(weights.axes[:-1])}",
            found=", ".join(weights.axes[axis] for axis in part.open) + " open",
        )
    return _Bars(part, paper).panel()


class _Bars:
    """One row of weights, in as many columns as fit."""

    def __init__(self, part: Part, paper: Paper) -> None:
        self.paper, self.on, self.name = paper, part.of, part.step.name
        self.index = tuple(place or 0 for place in part.index[:-1])
        self.row = part.value
        self.sizes = part.step.value.shape[: len(self.index) - 1]
        self.before, _, self.result = behind(part)
        n = len(self.row)
        self.places = list(range(n))
        if n > MOST_KEYS:
            self.places = sorted(map(int, np.argsort(-self.row, kind="stable")[:SHOWN_KEYS]))
        self.indent = " " * min(8, paper.width // 10)
        self.batch = self.index[0] if part.step.axes[0].startswith("batch") else 0
        self.names = [paper.theirs(text) for text in part.names]

    def panel(self) -> Panel:
        """Query, table, what is left out, output."""
        paper = self.paper
        query = self.index[-1]
        n_queries = self.on.step(self.name).value.shape[-2]
        called = self.on.names(self.name, "query", n_queries, self.batch)[query]
        head = f"query  {paper.theirs(called)} {self._vectors('query').get(query, '')}".rstrip()
        room = paper.width - len(self.indent)
        lines = [paper.line(Span(self.indent), Span(text)) for text in paper.wrap(head, room)]
        lines += [paper.line(), *self._table(room)]
        left_out = len(self.row) - len(self.places)
        if left_out:
            text = paper.own(f"… the {left_out} keys with the least weight are left out")
            lines += self._aside(text, room)
        return [*lines, *_output(self.on, self.result, self.index, self.indent, paper)]

    def _aside(self, text: str, room: int) -> Panel:
        parts = self.paper.wrap(text, room)
        return [self.paper.line(Span(self.indent), Span(part, "dim")) for part in parts]

    def _table(self, room: int) -> Panel:
        """All columns, or those that fit: vectors go first, then values, then scores."""
        for keeps in (KEEP, KEEP - {"vectors"}, KEEP - {"vectors", "values"}, frozenset[str]()):
            columns, bar = self._columns(keeps)
            used = sum(_width(column, self.paper) + 3 for column in columns)
            if used + LEAST_BAR <= room or not keeps:
                break
        shown = [float(self.row[place]) for place in self.places]
        longest = max(0, min(LONGEST_BAR, room - used))
        columns.insert(bar, _bars(shown, longest, self.paper))
        lines = [self.paper.line(Span(self.indent), *line) for line in _beside(columns, bar)]
        if keeps != KEEP:
            text = self.paper.own(f"… {', '.join(sorted(KEEP - keeps))} left out")
            lines += self._aside(text, room)
        return lines

    def _columns(self, keeps: frozenset[str]) -> tuple[list[Column], int]:
        """The columns but the bars, and the place of these."""
        paper, places = self.paper, self.places
        names = paper.shorten([self.names[i] for i in places], places, max(6, paper.width // 3))
        if "vectors" in keeps:
            keys = self._vectors("key")
            names = [f"{text} {keys.get(i, '')}" for text, i in zip(names, places, strict=True)]
        columns = [_text("key", [text.rstrip() for text in names], paper)]
        masked: list[bool] = []
        if self.before:
            scores = np.asarray(self.on.step(self.before).value)[self.index]
            masked = [bool(scores[i] == -np.inf) for i in places]
            base = self.before.rpartition(".")[2]
            if "scores" in keeps:
                title = "score" if base == "scores" else base
                columns.append(_numbers(title, [float(scores[i]) for i in places], paper))
        weights = [float(self.row[i]) for i in places]
        columns.append(_numbers("weight", weights, paper, shades=True, masked=masked))
        bar = len(columns)
        if "values" in keeps and (values := self._vectors("value")):
            columns.append(_text("value", [values[i] for i in places], paper))
        return columns, bar

    def _vectors(self, base: str) -> dict[int, str]:
        """The vectors of a step as texts; none where they are too long or not there."""
        step = self.on.steps.get(self.name.removesuffix("weights") + base)
        if step is None:
            return {}
        value = np.asarray(step.value)
        for place, n in zip(self.index[:-1], self.sizes, strict=True):
            # A head of keys serves several heads of queries, a broadcast axis all places.
            value = value[place * len(value) // n] if value.ndim > 2 else value
        if value.shape[-1] > MOST_FEATURES:
            return {}
        digits = self.paper.display.digits
        return {place: self.paper.own(_vector(row, digits)) for place, row in enumerate(value)}


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


def _vector(row: Numbers, digits: int) -> str:
    texts = [written(float(number), digits) for number in row]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


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
