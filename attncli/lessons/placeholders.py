"""The little language in which a lesson's text asks for numbers.

    {weights[it, animal]}     a cell; {output[it]} a vector; positions count from 0
    {weights[it, 2] | 2}      with two decimals; `| %` in hundredths; `| word` two, three, …
    {max weights[*, it]}      * is every place: here a column
    {argmax weights[it]}      the name of the place with the most; argmin; max, min, sum: the number
    {abs output[it, 0]}       a number without its sign
    {norm1[it]}               the end of a step's name is enough where no other ends so
    {top 3 weights[it]}       the three names with the most
    {name key 0}              the name of a place, k1; {name output 0} b1
    {count key}               how many there are
    {how scores[it, animal]}  the arithmetic, 1·2 + 0·3 = 2
    {temperature}             a key of the problem
    {was weights[it, 0]}      any of these before the changes of `with:`
    {'1'}                     text as it stands: a number that no problem makes

An answer may also compare, `max weights[0] vs was max weights[0]`: less, the same, more.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NoReturn

import numpy as np

from attncli.core.labels import whole
from attncli.core.shapes import listed
from attncli.errors import InputError, Place
from attncli.files.scalars import did_you_mean
from attncli.formats.arithmetic import decimals
from attncli.lessons.computed import Cell, Computed, Part

MOST_RIVALS = 6
"""Of a longer row only the two cells that come first tell why one is the largest."""
HOLE = re.compile(r"\{('[^']*'|[^{}]*)\}")
CELLS = re.compile(r"([\w.]+)\s*(?:\[(.*)\])?", re.DOTALL)
PLACE = re.compile(r'\s*(?:"([^"]*)"|([^,"]*))\s*(?:,|$)')
NUMERALS = (
    *("no", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
SAME = 1e-9
"""Relative: numbers that differ by less are the same; no largest is told among the same."""


@dataclass(frozen=True)
class Passage:
    """A text of a lesson file, and the lines that it stands in."""

    text: str
    place: Place
    lines: tuple[str, ...] = ()

    def at(self, fragment: str) -> Place:
        """Where in the file a part of the text stands."""
        for down, line in enumerate(self.lines):
            column = line.find(fragment)
            if column >= 0:
                return replace(
                    self.place,
                    line=(self.place.line or 1) + down,
                    column=column + 1,
                    text=line,
                )
        return self.place


@dataclass(frozen=True)
class Found:
    """What an expression says, and what it is made of."""

    text: str
    number: float | None = None
    place: int | None = None
    """The position on an axis that it names."""
    of: int = 0
    """How many places that axis has; of a comparison: 3."""
    cells: tuple[Cell, ...] = ()


@dataclass
class Reader:
    """Evaluates expressions on a computed problem; remembers the cells that they were made of."""

    on: Computed
    digits: int = 3
    cells: list[Cell] = field(default_factory=list)

    def told(self, passage: Passage) -> str:
        """The passage with its holes filled; raises `InputError` with the place of a wrong one."""

        def fill(match: re.Match[str]) -> str:
            return self._at(passage, match[0], lambda: self.expression(match[1])).text

        return HOLE.sub(fill, passage.text)

    def answer(self, passage: Passage) -> Found:
        """The value of an expression that stands alone."""
        return self._at(passage, passage.text, lambda: self.expression(passage.text))

    def _at(self, passage: Passage, fragment: str, evaluate: Callable[[], Found]) -> Found:
        try:
            found = evaluate()
        except InputError as error:
            raise error.at(passage.at(fragment)) from None
        self.cells += [cell for cell in found.cells if cell not in self.cells]
        return found

    def expression(self, text: str) -> Found:
        """The value of `argmax weights[it]` or any other expression, without its braces."""
        text = text.strip()
        if len(text) > 1 and text[0] == text[-1] == "'":
            return Found(text[1:-1])
        left, vs, right = text.partition(" vs ")
        if vs:
            return self._compared(self.expression(left), self.expression(right))
        expression, _, form = _cut(text)
        before = expression.startswith("was ")
        reader = Reader(self.on.before, self.digits) if before else self
        return reader.value(expression.removeprefix("was ").strip(), form.strip())

    def value(self, text: str, form: str) -> Found:
        """An expression without `was`, in a form such as `2`, `%` or `word`."""
        word, _, rest = text.partition(" ")
        rest = rest.strip()
        if rest and word in SAID:
            return SAID[word](self, rest, form)
        if rest and "[" not in word:
            raise InputError(
                f"{word!r} is no word of placeholders",
                expected=f"one of {', '.join(WORDS)}, or a step such as weights[0, 1]",
                hint=did_you_mean(word, WORDS),
            )
        return self._cells(text, form)

    # --- cells

    def part(self, text: str) -> Part:
        """The cells of `weights[it]`."""
        match = CELLS.fullmatch(text.strip())
        if match is None:
            raise InputError(
                f"{text!r} is no step", expected="a step with places, such as weights[0, 1]"
            )
        return self.on.part(match[1], [] if match[2] is None else _split(match[2]))

    def _row(self, text: str) -> Part:
        part = self.part(text)
        if len(part.open) != 1:
            raise InputError(
                f"{text} is not one row",
                expected=f"places on all axes but one of {', '.join(part.step.axes)}",
            )
        return part

    def _cells(self, text: str, form: str) -> Found:
        name = text.partition("[")[0].strip()
        if "[" not in text and self.on.known(name) is None:
            setting = self.on.setting(name)
            if setting is None:
                self._unknown(name)
            if isinstance(setting, int | float) and not isinstance(setting, bool):
                return self._number(float(setting), form)
            return Found(_written(setting))
        part = self.part(text)
        if not part.open:
            return replace(self._number(float(part.value), form), cells=part.cells())
        if len(part.open) > 1:
            raise InputError(
                f"{text} is a whole table",
                expected=f"places on {', '.join(part.step.axes)}",
                hint=f"show: {name}",
            )
        numbers = [self._number(float(one), form).text for one in part.value]
        text = numbers[0] if len(numbers) == 1 else f"({', '.join(numbers)})"
        return Found(text, cells=part.cells())

    def _unknown(self, name: str) -> NoReturn:
        near = did_you_mean(name, [*self.on.steps, *self.on.problem.settings()])
        raise InputError(
            f"there is no step and no key {name}",
            hint=near or f"steps are {', '.join(list(self.on.steps)[:10])}",
        )

    # --- words

    def _sum(self, text: str, form: str) -> Found:
        row = self._row(text)
        return replace(self._number(float(row.value.sum()), form), cells=row.cells())

    def _extreme(self, text: str, form: str, sign: int) -> Found:
        """The largest number of a row (sign 1), or the smallest (−1)."""
        row = self._row(text)
        best = int(np.argmax(sign * row.value))
        number = self._number(float(row.value[best]), form)
        return replace(number, cells=row.cells()[best : best + 1])

    def _place_of(self, text: str, form: str, sign: int) -> Found:
        """The name of the place with the largest number (sign 1), or the smallest (−1)."""
        row = self._row(text)
        values = sign * row.value
        best = int(np.argmax(values))
        rivals = np.delete(values, best)
        if rivals.size and values[best] - rivals.max() <= SAME * max(1.0, abs(values[best])):
            word = "argmax" if sign > 0 else "argmin"
            raise InputError(f"{word} {text}: two places share it", hint="name one of them")
        cells = row.cells()
        if len(values) > MOST_RIVALS:
            cells = row.cells(map(int, np.argsort(-values, kind="stable")[:2]))
        return Found(row.names[best], place=best, of=len(values), cells=cells)

    def _top(self, rest: str, form: str) -> Found:
        many, _, text = rest.partition(" ")
        row = self._row(text)
        n = len(row.value)
        if not 1 <= (whole(many) or 0) <= n:
            raise InputError(
                f"top {many} of {n} places", expected="how many, as in top 3 weights[0]"
            )
        order = [int(place) for place in np.argsort(-row.value, kind="stable")[: int(many)]]
        return Found(listed([row.names[place] for place in order]), cells=row.cells(order))

    def _abs(self, text: str, form: str) -> Found:
        found = self._cells(text, "")
        if found.number is None:
            raise InputError(f"abs {text}", expected="one number")
        return replace(self._number(abs(found.number), form), cells=found.cells)

    def _count(self, axis: str, form: str) -> Found:
        return self._number(float(self._size(axis)), form)

    @property
    def sizes(self) -> dict[str, int]:
        """How many places each axis has."""
        sizes = dict(self.on.problem.sizes())
        for step in reversed(self.on.steps.values()):
            sizes.update(zip(step.axes, np.shape(step.value), strict=True))
        return sizes

    def _size(self, axis: str) -> int:
        sizes = self.sizes
        if axis not in sizes:
            raise InputError(
                f"there is no axis {axis!r}",
                expected=", ".join(sizes),
                hint=did_you_mean(axis, sizes),
            )
        return sizes[axis]

    def _name(self, rest: str, form: str) -> Found:
        of, _, place = rest.partition(" ")
        place = place.strip()
        names = self.names(of)
        number = whole(place)
        if number is None or number >= len(names):
            raise InputError(
                f"name {of} {place}", expected=f"a position from 0 to {len(names) - 1}", found=place
            )
        return Found(names[number], place=number, of=len(names))

    def names(self, of: str) -> tuple[str, ...]:
        """The names of an axis, or of a step's vectors: `key` has k1, `value` v1, `output` b1."""
        if of not in self.sizes and self.on.known(of):
            step = self.on.step(of)
            axis = step.axes[max(len(step.axes) - 2, 0)]
            return self.on.names(step.name, axis, self._size(axis))
        return self.on.names("", of, self._size(of))

    def _how(self, text: str, form: str) -> Found:
        part = self.part(text)
        if part.open:
            raise InputError(f"how {text}", expected=f"places on {', '.join(part.step.axes)}")
        found = self._cells(text, "")
        line = self.on.line(part.cells()[0], self.digits)
        return replace(found, text=line) if line else found

    def _compared(self, left: Found, right: Found) -> Found:
        if left.number is None or right.number is None:
            raise InputError("only numbers are compared with vs", expected="weights[0] vs …")
        close = abs(left.number - right.number) <= SAME * max(abs(left.number), abs(right.number))
        place = 1 if close else 2 * (left.number > right.number)
        sign = ("<", "=", ">")[place]
        text = f"{left.text} {sign} {right.text}"
        return Found(text, place=place, of=3, cells=left.cells + right.cells)

    # --- numbers

    def _number(self, value: float, form: str) -> Found:
        if form == "%":
            return Found(f"{100 * value:.0f} %", value)
        if form in ("word", "Word"):
            is_whole = value.is_integer() and 0 <= value < len(NUMERALS)
            text = NUMERALS[int(value)] if is_whole else written(value, self.digits)
            return Found(text.capitalize() if form == "Word" else text, value)
        digits = whole(form)
        if form and (digits is None or digits > 17):
            raise InputError(
                f"{form!r} is no form of a number",
                expected="decimals such as | 2, or | %, | word, | Word",
            )
        return Found(written(value, self.digits if digits is None else digits), value)


SAID: Mapping[str, Callable[[Reader, str, str], Found]] = {
    "argmax": partial(Reader._place_of, sign=1),
    "argmin": partial(Reader._place_of, sign=-1),
    "max": partial(Reader._extreme, sign=1),
    "min": partial(Reader._extreme, sign=-1),
    "sum": Reader._sum,
    "top": Reader._top,
    "abs": Reader._abs,
    "count": Reader._count,
    "name": Reader._name,
    "how": Reader._how,
}
"""What each word makes of the words behind it and of a form."""

WORDS = (*SAID, "was")


def written(value: float, digits: int) -> str:
    """A number with as many decimals as it needs, at most `digits`."""
    return decimals(value, digits, 3e-7)[0]


def _written(setting: Any) -> str:
    if isinstance(setting, list | tuple):
        return ", ".join(map(_written, setting))
    return str(setting).lower() if isinstance(setting, bool) else str(setting)


def _cut(text: str) -> tuple[str, str, str]:
    """The expression and its form; a | inside brackets belongs to a label."""
    end = text.rfind("]") + 1
    expression, bar, form = text[end:].rpartition("|")
    return (text[:end] + expression, bar, form) if bar else (text, "", "")


def _split(text: str) -> list[str]:
    """Places between commas; one in quotes may hold a comma."""
    places: list[str] = []
    at = 0
    while at < len(text) or not places:
        match = PLACE.match(text, at)
        if match is None or not (match[1] or match[2] or "").strip():
            raise InputError(
                f"[{text}] are no places", expected='labels or positions, such as [0, it, ","]'
            )
        places.append((match[1] if match[1] is not None else match[2]).strip())
        at = match.end()
    return places
