"""A problem as a lesson speaks of it: its steps by name, their places by label, cells worked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attncli.core.arrangement import shown
from attncli.core.step import Step
from attncli.errors import InputError, LimitError, UsageError
from attncli.files.build import build
from attncli.files.scalars import did_you_mean
from attncli.files.types import Entry
from attncli.formats.titles import owners
from attncli.formats.view import Numbers
from attncli.solve import Trace, solve

INPUTS = ("input", "source")
"""Tables of a problem that come before its first step."""

if TYPE_CHECKING:
    from attncli.worked import Working


@dataclass(frozen=True)
class Cell:
    """One number of a step."""

    of: "Computed"
    step: str
    index: tuple[int, ...]

    @property
    def value(self) -> float:
        return float(np.asarray(self.of.step(self.step).value)[self.index])


@dataclass(frozen=True)
class Part:
    """Some cells of a step: a position, or None for all of them, on each axis."""

    of: "Computed"
    step: Step
    index: tuple[int | None, ...]

    @property
    def open(self) -> list[int]:
        """The axes on which no position is fixed."""
        return [axis for axis, place in enumerate(self.index) if place is None]

    @property
    def value(self) -> Numbers:
        """The numbers, on the open axes."""
        whole = (slice(None) if place is None else place for place in self.index)
        return np.asarray(np.asarray(self.step.value)[tuple(whole)])

    @property
    def names(self) -> tuple[str, ...]:
        """The names on the first open axis."""
        axis = self.open[0]
        batched = axis > 0 and self.step.axes[0].startswith("batch")
        n = np.shape(self.step.value)[axis]
        batch = (self.index[0] or 0) if batched else 0
        return self.of.names(self.step.name, self.step.axes[axis], n, batch)

    def cells(self, places: Iterable[int] | None = None) -> tuple[Cell, ...]:
        """The cells; with `places`, those of one open axis that are there."""
        sizes = [range(np.shape(self.step.value)[axis]) for axis in self.open]
        chosen = product(*sizes) if places is None else ((place,) for place in places)
        found = []
        for inner in chosen:
            rest = iter(inner)
            index = tuple(next(rest) if place is None else place for place in self.index)
            found.append(Cell(self.of, self.step.name, index))
        return tuple(found)


class Computed:
    """A problem and its steps, in rows notation to look things up and in its own to show them.

    `before` is the same problem without the changes that led here.
    """

    def __init__(
        self,
        entries: Mapping[str, Entry],
        base: Path,
        name: str = "",
        before: "Computed | None" = None,
    ) -> None:
        self.entries = entries
        self.base = base
        self.name = name
        self.before = before or self
        self.problem = build(entries, base, name)

    @cached_property
    def shown(self) -> Trace:
        """Its steps as they are shown, the input in front."""
        return self._solved(self.problem.presentation.notation)

    @cached_property
    def steps(self) -> dict[str, Step]:
        """Its steps by name, in rows notation."""
        trace = self.shown if self.shown.notation == "rows" else self._solved("rows")
        return {step.name: step for step in trace}

    def _solved(self, notation: Any) -> Trace:
        trace = solve(self.problem, notation=notation)
        in_rows = self.problem.presentation.notation == "rows"
        pictures = self.problem.presentation.pictures
        given = []
        for name in INPUTS:
            entry = self.entries.get(name)
            if entry is not None and np.ndim(entry.value) == 2 and not pictures:
                table = np.asarray(entry.value) if in_rows else np.asarray(entry.value).T
                axis = "query" if name == "input" else "key"
                given.append(shown(Step(name, table, (axis, "feature")), notation, np))
        output = Step("output", trace.output, trace.output_axes)
        return Trace(self.problem, [*given, *trace.steps], output, notation, list(trace.notes))

    def known(self, name: str) -> str | None:
        """The whole name of a step of which the end is enough: `norm1` of `layers.0.norm1`."""
        if name in self.steps:
            return name
        whole = owners(name, self.steps)
        return whole[0] if len(whole) == 1 else None

    def step(self, name: str) -> Step:
        """The step of this name, or end of a name; raises `InputError` with the nearest."""
        if known := self.known(name):
            return self.steps[known]
        if several := owners(name, self.steps):
            raise InputError(
                f"{len(several)} steps end in {name}", expected=" or ".join(several[:4])
            )
        raise InputError(
            f"there is no step {name}",
            hint=did_you_mean(name, self.steps) or f"steps are {', '.join(list(self.steps)[:10])}",
        )

    def setting(self, name: str) -> Any:
        """A key of the problem in force, as its file would say it; None where there is none."""
        return self.problem.choices.get(name, self.problem.settings().get(name))

    def names(self, step: str, axis: str, n: int, batch: int = 0) -> tuple[str, ...]:
        """The names of an axis of a step: labels, symbols, else positions from 0."""
        labels = self.problem.presentation.labels.at(step)
        return labels.names(step, axis, n, batch) or tuple(map(str, range(n)))

    def part(self, name: str, texts: list[str]) -> Part:
        """The part of a step that texts choose on its first axes; `*` chooses all places."""
        step = self.step(name)
        shape = np.shape(step.value)
        if len(texts) > len(shape):
            raise InputError(
                f"{step.name} has no {len(texts)} places",
                expected=f"at most {len(shape)}: {', '.join(step.axes)}",
            )
        index: list[int | None] = [None] * len(shape)
        for axis, text in enumerate(texts):
            if text != "*":
                batched = axis > 0 and step.axes[0].startswith("batch")
                batch = (index[0] or 0) if batched else 0
                index[axis] = self._place(step, axis, text, batch)
        return Part(self, step, tuple(index))

    def _place(self, step: Step, axis: int, text: str, batch: int) -> int:
        labels = self.problem.presentation.labels.at(step.name)
        name, n = step.axes[axis], np.shape(step.value)[axis]
        try:
            return labels.find(name, text, n, batch)
        except UsageError as error:
            near = did_you_mean(text, self.names(step.name, name, n, batch))
            raise InputError(
                error.what, expected=error.expected, found=error.found, hint=near
            ) from None

    def line(self, cell: Cell, digits: int) -> str:
        """The arithmetic of a cell, `1·2 + 0·3 = 2`; '' for a number that is given."""
        if cell.step in INPUTS:
            return ""
        if cell.step.endswith("weights") and self._is_masked(cell):
            return "e^−∞ / … = 0"
        try:
            return str(self.working.line(cell.step, cell.index, digits))
        except LimitError:
            return ""  # a problem too large to be worked by hand is no reason to end a lesson

    def _is_masked(self, cell: Cell) -> bool:
        """Whether a key is left out, so that there is nothing to reckon."""
        masked = self.steps.get(cell.step.removesuffix("weights") + "masked")
        return masked is not None and bool(np.asarray(masked.value)[cell.index] == -np.inf)

    @cached_property
    def working(self) -> "Working":
        """The problem worked by hand."""
        from attncli.worked import Working

        return Working(self.problem)
