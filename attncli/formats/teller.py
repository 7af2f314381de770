"""How a cell, a vector or a step came about, told from its worked arithmetic."""

from itertools import product
from typing import TYPE_CHECKING

from attncli.backends.terms import Cell
from attncli.formats.arithmetic import TEXT, Text
from attncli.formats.attending import Attending
from attncli.formats.story import Most, Story, Work
from attncli.formats.wording import MOST_FEATURES, Wording

if TYPE_CHECKING:
    from attncli.core.problem import Notation
    from attncli.worked import Working

MOST_CELLS = 200
"""Cells that one story works out."""


class Teller:
    """Tells stories of a worked problem."""

    def __init__(
        self, working: "Working", notation: "Notation", digits: int = 3, script: Text = TEXT
    ) -> None:
        self.working = working
        self.wording = Wording(working, notation, digits, script)

    # --- stories

    def cell(self, name: str, index: tuple[int, ...], depth: int) -> Story:
        """One cell, and `depth` − 1 generations of the cells that it was made of."""
        story = self._begun(name, index)
        told = self._generations([(name, index)], depth, story)
        story.last = self._dominant(name, index)
        story.deeper = next(
            (
                self.wording.words(source)
                for cell in told
                for source in self.working.sources(*cell)
                if source not in told and not self.wording.arithmetic(source).is_given
            ),
            (),
        )
        return story

    def vector(self, name: str, index: tuple[int, ...], depth: int) -> Story:
        """All cells of a vector, or (without an index but of batch and head) of a whole step."""
        story = self._begun(name, index)
        rest = self.wording.step(name).value.shape[len(index) :]
        cells = [(name, (*index, *place)) for place in product(*map(range, rest))]
        self._generations(cells, depth, story)
        if cells:
            story.deeper = self.wording.words(cells[0])
        return story

    def output(self, recipe: str, lead: tuple[int, ...], query: int) -> Story:
        """The whole story of one output vector of an attention.

        `recipe` is what stands before the names of its steps, `lead` the batch entry and head.
        """
        one, wording = Attending(self.wording, recipe, lead, query), self.wording
        result = one.result
        last = self.working.steps.get(f"{recipe}output", result)
        story = Story(
            f"{wording.names(last, 'query', one.index)[query]}, {_ordinal(query)}",
            wording.facts(one.weights, lead),
            wording.title(result).formula,
        )
        story.works += one.asking()
        one.tabulate(story)
        story.result.append(one.weighted())
        if last is not result and last.value.shape[-1] <= 2 * MOST_FEATURES:
            n_batch = len([axis for axis in last.axes if axis.startswith("batch")])
            inner = lead if "head" in last.axes else lead[:n_batch]
            for place in range(last.value.shape[-1]):
                story.result.append(self._work((last.name, (*inner, query, place)), 0, last.recipe))
        story.last = one.dominant()
        story.deeper = wording.words((one.weights.name, (*one.index, one.best())))
        return story

    # --- pieces

    def _begun(self, name: str, index: tuple[int, ...]) -> Story:
        """A story without its works."""
        step, wording = self.wording.step(name), self.wording
        title = " ".join([name, *wording.places(step, index)])
        return Story(title, wording.facts(step, index), wording.title(step).formula)

    def _work(self, cell: Cell, depth: int, recipe: str) -> Work:
        """The arithmetic of a cell in lines."""
        arithmetic, script = self.wording.arithmetic(cell), self.wording.script
        name = self.wording.name(cell, recipe)
        result = arithmetic.number(arithmetic.value)
        if arithmetic.is_given:
            source = arithmetic.term.cell
            from_where = f"{script.equals} {self.wording.name(source, recipe)} " if source else ""
            return Work(name, (f"{from_where}{script.equals} {result}",), depth=depth)
        lines = [f"{script.equals} {arithmetic.written()}"]
        sign = arithmetic.sign
        if (halfway := arithmetic.halfway()) is not None:
            lines.append(f"{script.about} {halfway}")
            sign = script.about
        lines.append(f"{sign} {result}")
        return Work(name, tuple(lines), tuple(arithmetic.beside()), depth)

    def _generations(self, cells: list[Cell], depth: int, story: Story) -> dict[Cell, None]:
        """Work cells, then what they were made of, each once; which were told, in this order."""
        told: dict[Cell, None] = {}
        recipe = self.wording.step(cells[0][0]).recipe if cells else ""
        for generation in range(depth):
            sources: dict[Cell, None] = {}
            for cell in cells:
                if generation and self.wording.arithmetic(cell).is_given:
                    continue
                if len(story.works) >= MOST_CELLS:
                    story.left_out += 1
                    continue
                told[cell] = None
                story.works.append(self._work(cell, generation, recipe))
                if generation + 1 < depth:
                    sources |= dict.fromkeys(self.working.sources(*cell))
            cells = [cell for cell in sources if cell not in told]
        return told

    def _dominant(self, name: str, index: tuple[int, ...]) -> Most | None:
        """Which terms of the cell's sum, or of weights which keys, hold most of it."""
        step = self.wording.step(name)
        if step.base == "weights":
            recipe = name.removesuffix("weights")
            return Attending(self.wording, recipe, index[:-2], index[-2]).dominant()
        arithmetic = self.wording.arithmetic((name, index))
        whole = arithmetic.term
        if whole.op == "/" and whole.of[0].op == "+":
            whole = whole.of[0]
        if whole.op != "+":
            return None
        shares = [(arithmetic.text(part), abs(part.value)) for part in whole.of]
        return Most.of(shares, "the sum", are_terms=True)


def _ordinal(place: int) -> str:
    words = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
    return f"the {words[place]} output" if place < len(words) else f"output {place + 1}"
