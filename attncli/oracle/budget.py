"""The error budget of a precision: what each step's rounding adds, and where it overflows.

The steps are driven with each value rounded before the recipe goes on, beside the same steps in
float64 (inputs rounded first; sums inside a step are exact, as with a wide accumulator).
"""

from dataclasses import dataclass, replace

import numpy as np

from attncli.core.arrangement import shown
from attncli.core.problem import Problem
from attncli.core.step import Step
from attncli.oracle.compare import Numbers, distance
from attncli.oracle.precision import PRECISIONS, Precision, recast
from attncli.solve import solve


@dataclass(frozen=True)
class Line:
    """One step of the budget."""

    name: str
    largest: float
    """Its largest finite number, before it is rounded."""
    added: float
    """The largest error that rounding this step adds."""
    total: float
    """Its largest distance from float64, with all that came before."""
    overflows: int = 0
    """Numbers that become infinite."""
    first_overflow: tuple[int, ...] | None = None
    vanishes: int = 0
    """Numbers that become zero."""


def budget(problem: Problem, name: str) -> list[Line]:
    """The budget of a problem in float64, for the precision of this name; inputs come first."""
    precision, notation = PRECISIONS[name], problem.presentation.notation
    exact: dict[str, Step] = {}

    def kept(step: Step) -> Numbers:
        exact[step.name] = step
        return np.asarray(step.value)

    solve(problem, keep=(), change=kept)
    inputs = _Inputs(precision)
    rounded = recast(problem, inputs.rounded)
    lines = [inputs.line()]

    def simulated(step: Step) -> Numbers:
        value = np.asarray(step.value, dtype=np.float64)
        coarse = precision.round(value).astype(np.float64)
        own = np.asarray(exact[step.name].value)
        as_shown = (
            shown(replace(step, value=array), notation, np).value for array in (value, coarse, own)
        )
        lines.append(_line(step.name, *as_shown))
        return coarse

    solve(rounded, keep=(), change=simulated)
    return lines


def _line(name: str, value: Numbers, coarse: Numbers, exact: Numbers) -> Line:
    lost = np.isinf(coarse) & np.isfinite(value)
    finite = np.abs(value[np.isfinite(value)])
    return Line(
        name,
        float(finite.max(initial=0.0)),
        float(np.abs(distance(value, coarse)).max(initial=0.0)),
        float(np.abs(distance(exact, coarse)).max(initial=0.0)),
        int(lost.sum()),
        tuple(map(int, np.argwhere(lost)[0])) if lost.any() else None,
        int(((coarse == 0) & (value != 0)).sum()),
    )


class _Inputs:
    """Rounds the arrays of a problem, and keeps account of it."""

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self.lines: list[Line] = []

    def rounded(self, array: Numbers) -> Numbers:
        value = np.asarray(array, dtype=np.float64)
        coarse = self.precision.round(value).astype(np.float64)
        self.lines.append(_line("inputs", value, coarse, value))
        return coarse

    def line(self) -> Line:
        added = max((line.added for line in self.lines), default=0.0)
        return Line(
            "inputs",
            max((line.largest for line in self.lines), default=0.0),
            added,
            added,
            sum(line.overflows for line in self.lines),
            None,
            sum(line.vanishes for line in self.lines),
        )
