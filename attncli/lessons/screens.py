"""What a scene looks like: its text, its tables and bars, its question, its arithmetic."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from attncli.errors import InputError
from attncli.formats.blocks import panel
from attncli.formats.layout import Line, Panel, Paper, Span, packed
from attncli.formats.titles import shortest
from attncli.formats.view import views
from attncli.lessons import bars
from attncli.lessons.computed import Cell, Computed, Part
from attncli.lessons.lesson import SHOWN, Lesson
from attncli.lessons.placeholders import Passage, Reader, written

if TYPE_CHECKING:
    from attncli.formats.view import View

OPTIONS_GAP = 3
READABLE = 80
"""Cells of a line of prose, however wide the terminal is."""
LONGEST_LINE = 300
"""Letters of the arithmetic of a cell; no one reads a longer one."""
NARROWEST = 36
"""Cells for a text beside a name; with less it stands below."""
MOST_LINES = 8
"""Cells whose arithmetic is told at once."""


class Pages:
    """The scenes of a lesson on paper; nothing here is written to a terminal."""

    def __init__(self, lesson: Lesson, paper: Paper) -> None:
        self.lesson = lesson
        self.paper = paper

    def scene(self, number: int) -> Panel:
        """Title, text and what is shown; the question, where there is one, comes below."""
        lesson, paper = self.lesson, self.paper
        reader = self._reader(number)
        scene = lesson.scenes[number]
        blocks = [self.prose(reader.told(scene.text))]
        blocks += packed([self._shown(reader, passage) for passage in scene.show], paper.width)
        if scene.question:
            blocks.append(self._asked(number))
        return [*self._head(number), paper.rule(), *_apart(blocks, paper)]

    def arithmetic(self, number: int, *, asking: bool) -> Panel:
        """How the numbers of a scene, or of its question's answer, came about."""
        scene = self.lesson.scenes[number]
        reader = self._reader(number, asking=asking)
        if asking:
            reader.answer(self.lesson.question(number).answer)
        else:
            reader.told(scene.text)
        if not self._lines(reader):
            for passage in scene.show:
                if _word_of(passage) != "map":
                    reader.cells += _first_cells(reader, passage)
        return self._worked(reader) or [self.paper.line(Span("These numbers are given."))]

    def _worked(self, reader: Reader) -> Panel:
        """A line of arithmetic a cell: `weights[q1, k2]  e^1/(e^2 + …) ≈ 0.245`."""
        told = self._lines(reader)
        paper = self.paper
        width = max((paper.measure(name) for name, _ in told[:MOST_LINES]), default=0) + 2
        is_narrow = paper.width - width < NARROWEST
        lines: Panel = []
        for name, text in told[:MOST_LINES]:
            if is_narrow:
                lines += [self._line(part, "dim") for part in paper.wrap(name, paper.width)]
                name, width = "", 2
            for row, part in enumerate(paper.wrap(text, paper.width - width)):
                label = paper.pad(name if row == 0 else "", width)
                lines.append(paper.line(Span(label, "dim"), Span(part)))
        if len(told) > MOST_LINES:
            rest = paper.own(f"… and {len(told) - MOST_LINES} more like these")
            lines.append(paper.line(Span(rest, "dim")))
        return lines

    def solved(self, number: int, *, praise: str = "") -> Panel:
        """The answer to a scene's question, its arithmetic, and what is to be said of it."""
        question = self.lesson.question(number)
        reader = self._reader(number, asking=True)
        reader.answer(question.answer)
        answer = f"{praise}{self.answer_of(number)}"
        blocks = [[self._line(text, "head") for text in self._wrapped(answer)]]
        if made := self._worked(reader):
            blocks.append(made)
        if question.explain:
            blocks.append(self.prose(reader.told(question.explain)))
        return _apart(blocks, self.paper)

    def answer_of(self, number: int) -> str:
        """`k2`, `14.25`: the answer in words."""
        found, place = self.lesson.answer(number)
        return found.text if place is None else self.lesson.options(number)[place]

    def sources(self) -> Panel:
        """Where the lesson comes from."""
        lines = [passage.text.strip() for passage in self.lesson.sources]
        return [self._line(text, "dim") for line in lines for text in self._wrapped(line)]

    # --- parts

    def _reader(self, number: int, *, asking: bool = False) -> Reader:
        return Reader(self.lesson.at(number, asking=asking), self.paper.display.digits)

    def _head(self, number: int) -> Panel:
        """`1 Soft addressing` and, at its right, `● ● ○ 2/3`."""
        lesson, paper = self.lesson, self.paper
        title = paper.theirs(lesson.name)
        if lesson.number:
            title = f"{lesson.number} {title}"
        n = len(lesson.scenes)
        past, ahead = ("*", ".") if paper.display.ascii else ("●", "○")
        dots = " ".join([past] * (number + 1) + [ahead] * (n - number - 1))
        count = f"{number + 1}/{n}"
        right = f"{dots}  {count}"
        if paper.measure(title) + len(right) + 2 > paper.width:
            right = count
        blanks = paper.width - paper.measure(title) - len(right)
        if blanks < 2:
            lines = [self._line(text, "head") for text in paper.wrap(title, paper.width)]
            return [*lines, self._line(count, "dim")]
        return [paper.line(Span(title, "head"), Span(" " * blanks), Span(right, "dim"))]

    def _asked(self, number: int) -> Panel:
        question = self.lesson.question(number)
        reader = self._reader(number, asking=True)
        name = "Question"
        indent = len(name) + 2 if self.paper.width >= NARROWEST else 2
        paper = self.paper
        room = min(paper.width, READABLE) - indent
        lines: Panel = [] if indent > 2 else [self._line(name, "title")]
        for row, text in enumerate(paper.wrap(self._text(reader.told(question.ask)), room)):
            start = name.ljust(indent) if row == 0 and indent > 2 else " " * indent
            lines.append(paper.line(Span(start, "title"), Span(text)))
        options = [self._text(option) for option in self.lesson.options(number)]
        texts = [f"[{place + 1}] {option}" for place, option in enumerate(options)]
        panels = [[self._line(part) for part in paper.wrap(text, room)] for text in texts]
        for block in packed(panels, room, OPTIONS_GAP):
            lines += [paper.line(Span(" " * indent), *line.spans) for line in block]
        return lines

    def _shown(self, reader: Reader, passage: Passage) -> Panel:
        """A step as a table, or one row of weights as bars or as a map of the picture."""
        word = _word_of(passage)
        text = passage.text.strip().removeprefix(word).strip()
        try:
            part = reader.part(text)
            if word == "bars":
                return bars.panel(part, self.paper)
            view = _view(part, self.paper)
            if word == "map":
                return _map(view, reader.on, self.paper)
        except InputError as error:
            raise error.at(passage.at(text)) from None
        return panel(view, reader.on.shown, self.paper, "")[0]

    def _lines(self, reader: Reader) -> list[tuple[str, str]]:
        """The name and the arithmetic of each cell that was reckoned."""
        told = []
        for cell in reader.cells:
            line = cell.of.line(cell, self.paper.display.digits)
            if len(line) > LONGEST_LINE:
                line = f"many terms, in all {written(cell.value, self.paper.display.digits)}"
            if line:
                was = "" if cell.of is reader.on else "was "
                told.append((self.paper.theirs(was + _called(cell)), self._text(line)))
        return told

    def _text(self, text: str) -> str:
        """A text in the paper's letters, harmless, on one line."""
        return self.paper.theirs(self.paper.own(" ".join(text.split())))

    def _wrapped(self, text: str) -> list[str]:
        return self.paper.wrap(self._text(text), min(self.paper.width, READABLE))

    def _line(self, text: str, style: str = "") -> Line:
        return self.paper.line(Span(text, style))

    def prose(self, text: str) -> Panel:
        """Paragraphs, wrapped; lines that are set in, such as formulas, stay lines."""
        lines: Panel = []
        for block in text.strip("\n").split("\n\n"):
            if lines:
                lines.append(self.paper.line())
            for is_set_in, group in groupby(block.splitlines(), lambda line: line[:2] == "  "):
                if is_set_in:
                    lines += self._set_in([line.strip() for line in group])
                else:
                    lines += [self._line(line) for line in self._wrapped(" ".join(group))]
        return lines

    def _set_in(self, texts: list[str]) -> Panel:
        """Formulas, two cells further in; what is named with a colon stands in a column."""
        pairs = [text.partition(": ") for text in texts]
        if len(pairs) > 1 and all(colon for _, colon, _ in pairs):
            names = [self.paper.theirs(name) for name, _, _ in pairs]
            wide = max(map(self.paper.measure, names)) + 2
            starts = [self.paper.pad(name, wide) for name in names]
            texts = [rest.strip() for _, _, rest in pairs]
        else:
            starts = [""] * len(texts)
        lines: Panel = []
        for start, text in zip(starts, texts, strict=True):
            indent = 2 + self.paper.measure(start)
            text = self.paper.theirs(self.paper.own(text))
            fits = indent + self.paper.measure(text) <= self.paper.width
            parts = [text] if fits else self.paper.wrap(text, max(self.paper.width - indent, 10))
            for row, part in enumerate(parts):
                lead = f"  {start}" if row == 0 else " " * indent
                lines.append(self.paper.line(Span(lead), Span(part)))
        return lines


def _word_of(passage: Passage) -> str:
    word = passage.text.split()[0]
    return word if word in SHOWN else ""


def _apart(blocks: Sequence[Panel], paper: Paper) -> Panel:
    """Blocks with an empty line between them."""
    lines: Panel = []
    for block in blocks:
        if block:
            lines += [*([paper.line()] if lines else []), *block]
    return lines


def _view(part: Part, paper: Paper) -> "View":
    places = zip(part.step.axes, part.index, strict=True)
    focus = {axis: place for axis, place in places if place is not None}
    display = replace(paper.display, steps=(part.step.name,), focus=focus)
    return next(views(part.of.shown, display))


def _map(view: "View", on: Computed, paper: Paper) -> Panel:
    from attncli.formats import maps

    drawn = maps.panel(maps.maps(view, on.shown), paper)
    if not drawn:
        raise InputError(
            f"{view.name} is no map",
            expected="the weights of one query on a picture, such as map weights[0]",
        )
    return drawn


def _first_cells(reader: Reader, passage: Passage) -> list[Cell]:
    """The cells of the first row of what is shown; of bars, all that they are made of."""
    part = reader.part(passage.text.strip().removeprefix(_word_of(passage)))
    first = [place or 0 for place in part.index[:-1]]
    names = [part.step.name]
    if _word_of(passage) == "bars":
        names = bars.behind(part)
    return [
        cell
        for name in names
        for cell in Part(reader.on, reader.on.step(name), (*first, None)).cells()
    ]


def _called(cell: Cell) -> str:
    """`weights[q1, k2]`."""
    step = cell.of.step(cell.step)
    batch = cell.index[0] if step.axes[0].startswith("batch") else 0
    names = [
        cell.of.names(step.name, axis, n, batch)[place]
        for axis, n, place in zip(step.axes, step.value.shape, cell.index, strict=True)
    ]
    return f"{shortest(step.name, cell.of.steps)}[{', '.join(names)}]"
