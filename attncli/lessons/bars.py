"""One query beside all keys: score, weight as a bar, value, and what comes out.

The table is that of `explain`, without the arithmetic that a lesson keeps for `?`.
"""

from dataclasses import replace

from attncli.core.step import BEFORE_WEIGHTS
from attncli.errors import InputError
from attncli.formats import told
from attncli.formats.attending import Attending
from attncli.formats.layout import Panel, Paper, Span
from attncli.formats.story import Story
from attncli.formats.wording import Wording
from attncli.lessons.computed import Part

MOST_KEYS = 9
"""Keys on a screen; of more, those with the most weight."""
MOST_FEATURES = 4
"""A longer vector is not written out."""
COLUMNS = {"vector": "key", "value": "value"}
"""Columns of vectors, and their steps."""
KEPT_FOR_LATER = ("arithmetic", "exponential")


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
    """One row of weights, on paper."""

    def __init__(self, part: Part, paper: Paper) -> None:
        *lead, query = (place or 0 for place in part.index[:-1])
        wording = Wording(part.of.working, "rows", paper.display.digits)
        recipe = part.step.name.removesuffix("weights")
        self.one = Attending(wording, recipe, tuple(lead), query)
        self.called = wording.names(part.step, "query", self.one.index)[query]
        self.indent = " " * min(8, paper.width // 10)
        width = paper.width - len(self.indent)
        self.paper = Paper(replace(paper.display, width=width), paper.measure)

    def panel(self) -> Panel:
        """Query, table, what is left out, output."""
        story = Story("", ())
        self.one.tabulate(story, MOST_KEYS)
        story.total = ("", "")
        names = [self.paper.theirs(key.name) for key in story.keys]
        short = self.paper.shorten(names, range(len(names)), max(6, self.paper.width // 3))
        story.keys = [replace(key, name=name) for key, name in zip(story.keys, short, strict=True)]
        too_long = [kind for kind, step in COLUMNS.items() if not self._is_short(step)]
        lines = [
            *self._sentence(f"query  {self.called} {self._query()}".rstrip()),
            self.paper.line(),
            *told.keys(story, self.paper, (*KEPT_FOR_LATER, *too_long)),
        ]
        if story.left_out:
            text = f"… the {story.left_out} keys with the least weight are left out"
            lines += self._sentence(text, "dim")
        if output := self._output():
            lines += [self.paper.line(), *self._sentence(f"output  {output}")]
        return [self.paper.line(Span(self.indent), *line.spans) for line in lines]

    def _is_short(self, base: str) -> bool:
        step = self.one.find(base)
        return step is not None and bool(step.value.shape[-1] <= MOST_FEATURES)

    def _query(self) -> str:
        """The query's vector."""
        return self.one.vector("query", self.one.query) if self._is_short("query") else ""

    def _output(self) -> str:
        """What the query gets, with its arithmetic where there is room; '' without values."""
        if not self._is_short("value"):
            return ""
        lines = self.one.weighted().lines
        whole = " ".join(lines)[2:]
        return whole if self.paper.measure(whole) + 8 <= self.paper.width else lines[-1][2:]

    def _sentence(self, text: str, style: str = "") -> Panel:
        return self.paper.prose(self.paper.theirs(self.paper.own(text)), style)


def behind(part: Part) -> list[str]:
    """The steps before, of and after weights, as far as there are any."""
    recipe = part.step.name.removesuffix("weights")
    there = [base for base in BEFORE_WEIGHTS if recipe + base in part.of.steps][:1]
    there += ["weights"]
    there += [base for base in ("heads", "output") if recipe + base in part.of.steps][:1]
    return [recipe + base for base in there]
