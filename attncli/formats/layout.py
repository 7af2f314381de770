"""Lines, panels and how they lie beside each other within a width.

Widths are counted in terminal cells by the measure that `table` brings, so that nothing here needs
Rich. No line becomes wider than the paper.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from attncli.formats.display import Display, plain, spelled

WHOLE = re.compile(r"\\x\w\w|\\u\w{4}|\\U\w{8}|[-−]?\d[\d.]*(?:e[-+]\d+)?")
"""What means something else in parts: escapes and numbers."""
NARROWEST = 24
"""Cells for a text beside a name; with less it stands below."""
GAP = 4
"""Cells between panels."""


class Span(NamedTuple):
    """A piece of a line in one style; styles are names that `table` gives a look."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Spans, and the cells they take."""

    spans: tuple[Span, ...]
    width: int


Panel = list[Line]
"""Lines that stay together."""


@dataclass(frozen=True, eq=False)
class Paper:
    """What is written on: a width, a set of letters, and a measure of text in cells."""

    display: Display
    measure: Callable[[str], int]

    @property
    def width(self) -> int:
        return self.display.width

    @property
    def ellipsis(self) -> str:
        return "..." if self.display.ascii else "…"

    def own(self, text: str) -> str:
        """One of our own texts, in the paper's letters."""
        return spelled(text) if self.display.ascii else text

    def theirs(self, text: str) -> str:
        """A label or a title, made harmless and in the paper's letters."""
        return plain(text, ascii=self.display.ascii)

    def line(self, *spans: Span) -> Line:
        return Line(spans, sum(self.measure(span.text) for span in spans))

    def pad(self, text: str, width: int, *, right: bool = False) -> str:
        """The text filled up with blanks, on its left if it stands `right`."""
        blanks = " " * max(0, width - self.measure(text))
        return blanks + text if right else text + blanks

    def wrap(self, text: str, width: int) -> list[str]:
        """The text in lines of at most `width` cells, broken at blanks, else between letters.

        A number or an escape is broken only where it is longer than a line.
        """
        lines, rest = [""], text.split(" ")
        while rest:
            word = rest.pop(0)
            longer = f"{lines[-1]} {word}" if lines[-1] else word
            if self.measure(longer) <= width:
                lines[-1] = longer
            elif lines[-1]:
                lines.append("")
                rest.insert(0, word)
            else:
                start = self.start(word, max(width, 1)) or word[:1]
                start = word[: _before_whole(word, len(start))] or start
                lines[-1] = start
                lines.append("")
                rest.insert(0, word[len(start) :])
        return [line for line in lines if line]

    def prose(self, text: str, style: str = "") -> Panel:
        """One of our own texts in as many lines as it needs."""
        return [self.line(Span(part, style)) for part in self.wrap(self.own(text), self.width)]

    def start(self, text: str, width: int) -> str:
        """The longest start of a text that fits."""
        text = text[: 4 * width]
        while text and self.measure(text) > width:
            text = text[:-1]
        return text

    def end(self, text: str, width: int) -> str:
        """The longest end of a text that fits."""
        text = text[-4 * width :] if width > 0 else ""
        while text and self.measure(text) > width:
            text = text[1:]
        return plain(text)

    def shorten(self, names: Sequence[str], places: Iterable[int], width: int) -> list[str]:
        """Names of at most `width` cells; those that differ stay different.

        A long name is cut at its end, or in its middle where that tells it from another; where
        neither does, its position stands at the end.
        """
        short = [self._cut(name, width, 0) for name in names]
        for i, clash in enumerate(_clashes(names, short)):
            if clash:
                short[i] = self._cut(names[i], width, (width - len(self.ellipsis)) // 2)
        clashes = _clashes(names, short)
        for i, place in enumerate(places):
            if clashes[i]:
                tail = self.ellipsis + str(place)
                short[i] = self.start(names[i], width - len(tail)) + tail
                if self.measure(short[i]) > width:
                    short[i] = str(place)
        return short

    def _cut(self, name: str, width: int, kept_end: int) -> str:
        if self.measure(name) <= width:
            return name
        end = self.end(name, kept_end)
        start = self.start(name, max(0, width - len(self.ellipsis) - self.measure(end)))
        return start + self.ellipsis + end

    def rule(self) -> Line:
        return self.line(Span(self.own("─") * self.width, "dim"))


def _before_whole(word: str, end: int) -> int:
    """Where a word can be broken, `end` at most, so that nothing whole stands on both sides."""
    wholes = (found.span() for found in WHOLE.finditer(word))
    return next((first for first, last in wholes if first < end < last), end)


def _clashes(names: Sequence[str], short: Sequence[str]) -> list[bool]:
    """Which names share their short form with another name."""
    owners: dict[str, set[str]] = {}
    for name, text in zip(names, short, strict=True):
        owners.setdefault(text, set()).add(name)
    return [len(owners[text]) > 1 for text in short]


def headline(title: str, facts: Sequence[str], paper: Paper) -> Panel:
    """The title, and at its right what was computed; below it where both do not fit."""
    between = " | " if paper.display.ascii else " · "
    whole = between.join(facts)
    blanks = paper.width - paper.measure(title) - paper.measure(whole)
    if blanks >= 2:
        return [paper.line(Span(title, "head"), Span(" " * blanks), Span(whole, "dim"))]
    rows: list[str] = []
    for fact in facts:
        longer = f"{rows[-1]}{between}{fact}" if rows else fact
        if rows and paper.measure(longer) <= paper.width:
            rows[-1] = longer
        else:
            rows.append(fact)
    wrapped = [text for row in rows for text in paper.wrap(row, paper.width)]
    return [
        *(paper.line(Span(text, "head")) for text in paper.wrap(title, paper.width)),
        *(paper.line(Span(text, "dim")) for text in wrapped),
    ]


def listing(rows: Sequence[tuple[str, str]], paper: Paper) -> Panel:
    """Names, and beside each (below it, where there is little room) what is said of it."""
    indent = max(paper.measure(name) for name, _ in rows) + 2
    is_narrow = paper.width - indent < NARROWEST
    indent = 2 if is_narrow else indent
    lines: Panel = []
    for name, said in rows:
        if is_narrow and name:
            lines.append(paper.line(Span(name)))
        for number, part in enumerate(paper.wrap(said, paper.width - indent)):
            head = "" if is_narrow or number else name
            lines.append(paper.line(Span(paper.pad(head, indent)), Span(part)))
    return lines


def columns(rows: Sequence[Sequence[str]], paper: Paper, least: int = 1) -> Panel:
    """Rows of cells, the heads first; all columns but the first stand at the right.

    What does not fit is left out column by column, `least` of them stay, and a line says which.
    """
    rows = [[paper.own(cell) for cell in row] for row in rows]
    widths = [max(map(paper.measure, column)) for column in zip(*rows, strict=True)]
    shown = fitting(widths, paper, least)
    lines: Panel = []
    for number, row in enumerate(rows):
        cells = [
            paper.pad(cell, width, right=i > 0)
            for i, (cell, width) in enumerate(zip(row[:shown], widths, strict=False))
        ]
        lines.append(paper.line(Span("  ".join(cells).rstrip(), "dim" if number == 0 else "")))
    return [*lines, *missing(rows[0][shown:], paper)]


def fitting(widths: Sequence[int], paper: Paper, least: int) -> int:
    """How many of the first columns have room, two blanks apart; `least` stay in any case."""
    shown = len(widths)
    while shown > least and sum(widths[:shown]) + 2 * (shown - 1) > paper.width:
        shown -= 1
    return shown


def missing(heads: Sequence[str], paper: Paper) -> Panel:
    """Which columns are left out, by their heads."""
    if not heads:
        return []
    return paper.prose(f"… left out: {', '.join(heads)} (a larger --width)", "dim")


def width_of(panel: Panel) -> int:
    return max((line.width for line in panel), default=0)


def beside(panels: Sequence[Panel], gap: int = GAP) -> Panel:
    """Panels side by side, their first lines in one line."""
    widths = [width_of(panel) for panel in panels]
    lines = []
    for row in range(max(map(len, panels), default=0)):
        spans: list[Span] = []
        cells = column = 0
        for panel, width in zip(panels, widths, strict=True):
            if row < len(panel) and panel[row].width:
                spans.append(Span(" " * (column - cells)))
                spans.extend(panel[row].spans)
                cells = column + panel[row].width
            column += width + gap
        lines.append(Line(tuple(spans), cells))
    return lines


def packed(panels: Sequence[Panel], width: int, gap: int = GAP) -> list[Panel]:
    """The panels in their order, as many beside each other as the width takes."""
    rows: list[list[Panel]] = []
    room = 0
    for panel in panels:
        needed = width_of(panel) + gap
        if rows and needed <= room:
            rows[-1].append(panel)
            room -= needed
        else:
            rows.append([panel])
            room = width - needed + gap
    return [beside(row, gap) for row in rows]
