"""A problem as a lesson speaks of it: its steps by name, their places by label, cells worked."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from attncli.core.arrangement import shown
from attncli.core.step import Step
from attncli.errors import InputError, UsageError
from attncli.files.build import build
from attncli.files.scalars import did_you_mean
from attncli.files.types import Entry
from attncli.solve import Trace, solve

INPUTS = ("input", "source")
"""Tables of a problem that come before its first step."""


@dataclass(frozen=True)
class Cell:
    """One number of a step."""

    of: "Computed"
    step: str
    index: tuple[int, ...]


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
        given = []
        for name in INPUTS:
            entry = self.entries.get(name)
            if entry is not None and np.ndim(entry.value) == 2:
                table = np.asarray(entry.value) if in_rows else np.asarray(entry.value).T
                axis = "query" if name == "input" else "key"
                given.append(shown(Step(name, table, (axis, "feature")), notation, np))
        output = Step("output", trace.output, trace.output_axes)
        return Trace(self.problem, [*given, *trace.steps], output, notation, list(trace.notes))

    def step(self, name: str) -> Step:
        """The step of this name; raises `InputError` with the nearest."""
        if name in self.steps:
            return self.steps[name]
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

    def places(self, step: Step, texts: list[str]) -> tuple[int, ...]:
        """The positions that texts name on the first axes of a step."""
        shape = np.shape(step.value)
        if len(texts) > len(shape):
            raise InputError(
                f"{step.name} has no {len(texts)} places",
                expected=f"at most {len(shape)}: {', '.join(step.axes)}",
            )
        labels = self.problem.presentation.labels.at(step.name)
        found: list[int] = []
        for axis, n, text in zip(step.axes, shape, texts, strict=False):
            batch = found[0] if found and step.axes[0].startswith("batch") else 0
            try:
                found.append(labels.find(axis, text, n, batch))
            except UsageError as error:
                names = self.names(step.name, axis, n, batch)
                near = did_you_mean(text, names)
                raise InputError(
                    error.what, expected=error.expected, found=error.found, hint=near
                ) from None
        return tuple(found)

    def line(self, cell: Cell, digits: int) -> str:
        """The arithmetic of a cell, `1·2 + 0·3 = 2`; '' for a number that is given."""
        if cell.step in INPUTS:
            return ""
        line: str = self._working.line(cell.step, cell.index, digits)
        return line

    @cached_property
    def _working(self) -> Any:
        from attncli.worked import Working

        return Working(self.problem)
