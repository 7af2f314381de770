"""How a worked problem is spoken of: what its steps, places and cells are called, its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attncli.backends.terms import Cell
from attncli.core.step import Step
from attncli.formats.arithmetic import TEXT, Arithmetic, Text, decimals, precision_of
from attncli.formats.titles import Title, shortest, title

if TYPE_CHECKING:
    from attncli.core.problem import Notation
    from attncli.worked import Working

MOST_FEATURES = 6
"""Numbers of a vector in a line."""


@dataclass(frozen=True)
class Wording:
    """The words and numbers of a worked problem, in a notation and a script."""

    working: "Working"
    notation: "Notation"
    digits: int = 3
    script: Text = field(default_factory=lambda: TEXT)

    # --- names

    def step(self, name: str) -> Step:
        return self.working.steps[name]

    def title(self, step: Step) -> Title:
        return title(self.working.problem, step.name, self.notation)

    def names(self, step: Step, axis: str, index: Sequence[int]) -> tuple[str, ...]:
        """What the places of an axis are called, in the batch entry of an index."""
        n = step.value.shape[step.axes.index(axis)]
        labels = self.working.problem.presentation.labels.at(step.name)
        batch = index[step.axes.index("batch")] if "batch" in step.axes else 0
        return labels.names(step.base, axis, n, batch) or tuple(map(str, range(n)))

    def places(self, step: Step, index: Sequence[int]) -> tuple[str, ...]:
        """The places of a cell or a vector as one would type them: query and key, or feature."""
        axes = [axis for axis in step.axes if axis != "head" and not axis.startswith("batch")]
        spots = [step.axes.index(axis) for axis in axes if step.axes.index(axis) < len(index)]
        return tuple(self.names(step, step.axes[spot], index)[index[spot]] for spot in spots)

    def name(self, cell: Cell, recipe: str | None = None) -> str:
        """`weights q1 k2`; without what stands before the names of a recipe's own steps."""
        return " ".join(self.words(cell, recipe))

    def words(self, cell: Cell, recipe: str | None = None) -> tuple[str, ...]:
        """The name of a cell as the words that ask for it."""
        step = self.step(cell[0])
        short = step.base if step.recipe == recipe else shortest(step.name, self.working.steps)
        return short, *self.places(step, cell[1])

    def facts(self, step: Step, index: Sequence[int]) -> tuple[str, ...]:
        """Head and batch entry, where there are several, and the notation."""
        facts = [
            f"{axis} {place} of {n}"
            for axis, n, place in zip(step.axes, step.value.shape, index, strict=False)
            if n > 1 and (axis == "head" or axis.startswith("batch"))
        ]
        return (*facts, self.notation)

    # --- numbers

    def value(self, step: str, index: tuple[int, ...]) -> float:
        return self.working.value(step, index)

    def arithmetic(self, cell: Cell) -> Arithmetic:
        return Arithmetic.of(self.working, *cell, self.digits, self.script, self.notation)

    def decimals(self, value: float) -> tuple[str, bool]:
        """A number as it is written, and whether it is rounded."""
        return decimals(value, self.digits, precision_of(self.working.problem), self.script)

    def number(self, value: float) -> str:
        return self.decimals(value)[0]

    def vector(self, step: Step, index: tuple[int, ...]) -> str:
        """A vector as `(1, 0, 2)`."""
        n = step.value.shape[-1]
        shown = [self.number(self.value(step.name, (*index, i))) for i in range(n)]
        if n > MOST_FEATURES:
            shown = [*shown[: MOST_FEATURES - 1], "…"]
        return shown[0] if n == 1 else self.script.brackets(", ".join(shown))
