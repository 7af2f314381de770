"""Two arrays beside each other: are they the same, and if not, how far apart and where first.

What may differ follows from how theirs was computed or written (CONTRACT, verify): see `Rule`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attncli.core.arrangement import laid_out
from attncli.core.problem import Notation, Problem
from attncli.core.step import Step
from attncli.files.results import Result
from attncli.oracle.precision import PRECISIONS, in_precision, rounding
from attncli.solve import Trace, solve

Numbers = np.ndarray[Any, np.dtype[Any]]

FLOAT64 = (1e-10, 1e-12)
"""rtol and atol for results in float64."""

CLEARLY = 4.0
"""How many tolerances apart two results are that are clearly not the same."""


MOST_RUNS = 4
"""Naive runs that are remembered."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """One step of theirs beside ours."""

    name: str
    axes: tuple[str, ...]
    ours: Numbers
    theirs: Numbers
    wrong: Numbers
    """Where they differ by more than is allowed; all of it for another shape."""
    allowed: Numbers
    max_abs: float
    max_rel: float

    @property
    def same(self) -> bool:
        return self.fits and self.differing == 0

    @property
    def fits(self) -> bool:
        """Whether the shapes are equal."""
        return bool(self.ours.shape == self.theirs.shape)

    @property
    def first(self) -> tuple[int, ...] | None:
        """The first place, in the order of the file, where they differ."""
        if self.same or not self.fits:
            return None
        return tuple(map(int, np.argwhere(self.wrong)[0]))

    @property
    def differing(self) -> int:
        return int(np.count_nonzero(self.wrong))

    @property
    def evidence(self) -> float:
        """How many decimal digits theirs tell us beyond the tolerance, all cells together.

        A hypothesis that gives them back by chance gives back all of them.
        """
        if not self.fits:
            return 0.0
        apart = np.abs(distance(self.ours, self.theirs))[self.wrong]
        ratio = np.where(np.isfinite(apart), apart, 1e3) / self.allowed[self.wrong]
        with np.errstate(all="ignore"):
            return float(np.sum(np.clip(np.log10(ratio), 0, 16)))


def distance(ours: Numbers, theirs: Numbers) -> Numbers:
    """theirs − ours; 0 where both are the same infinity or NaN, ∞ where only one is."""
    with np.errstate(invalid="ignore", over="ignore"):
        apart = theirs - ours
    alike = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    apart = np.where(alike, 0.0, apart)
    return np.where(np.isnan(apart), np.inf, apart)


def compare(step: Step, theirs: Numbers, rtol: float, atol: Any) -> Comparison:
    """A step of ours beside theirs; allowed is atol + rtol · |ours|, atol perhaps cell by cell."""
    ours = np.asarray(step.value, dtype=np.float64)
    if ours.shape != theirs.shape:
        everywhere = np.ones(ours.shape, dtype=bool)
        apart = float("nan")
        return Comparison(
            step.name, step.axes, ours, theirs, everywhere, np.zeros(ours.shape), apart, apart
        )
    size = np.where(np.isfinite(ours), np.abs(ours), 0.0)
    allowed = np.broadcast_to(atol + rtol * size, ours.shape)
    error = np.abs(distance(ours, theirs))
    relative = np.divide(error, size, out=np.zeros_like(error), where=size > 0)
    return Comparison(
        step.name,
        step.axes,
        ours,
        theirs,
        error > allowed,
        allowed,
        float(error.max(initial=0.0)),
        float(relative.max(initial=0.0)),
    )


@dataclass(frozen=True, eq=False)
class Rule:
    """How near theirs must be: by what was said, or by how they were computed or written.

    float64: 1e-10 of the number and 1e-12. float32, float16, bfloat16: twice what a naive run of
    that precision errs in this step, and its rounding of the largest number. Text: half of the last
    digit, but no nearer than the arithmetic of the problem's own type.
    """

    rtol: float | None = None
    atol: float | None = None
    computed_in: str | None = None
    """A precision that stands for that of the file."""
    text_in: str = "float64"
    """The precision in which numbers that come as text were computed."""
    notation: Notation = "rows"
    keep: frozenset[str] | None = None
    """The steps that are looked at; None for all."""
    _naive: dict[tuple[int, str], tuple[Problem, Trace]] = field(default_factory=dict)
    """Runs by problem and precision; the problem is kept so that its id stays its own."""

    def precision(self, result: Result) -> str:
        """The precision in which a result of theirs was computed."""
        return self.computed_in or result.dtype or self.text_in

    def tolerance(self, problem: Problem, step: Step, result: Result) -> tuple[float, Any]:
        """rtol and atol for a step of a problem; atol may be an array."""
        if self.rtol is not None or self.atol is not None:
            return self.rtol or 0.0, self.atol or 0.0
        precision = self.precision(result)
        rtol, atol = FLOAT64
        if precision != "float64":
            rtol, atol = 0.0, self._error(problem, step, result, precision)
        if result.half_digit is None:
            return rtol, atol
        # Half of the last digit, and a hair for the binary that the decimal became.
        return rtol, np.maximum(atol, result.half_digit * (1 + 1e-9))

    def _error(self, problem: Problem, step: Step, result: Result, precision: str) -> float:
        """Twice what a naive run errs, at least the rounding of the largest number."""
        key = (id(problem), precision)
        if key not in self._naive:
            if len(self._naive) > MOST_RUNS:
                self._naive.clear()
            run = solve(
                in_precision(problem, precision),
                notation=self.notation,
                keep=self.keep,
                change=rounding(precision),
            )
            self._naive[key] = (problem, run)
        naive = self._naive[key][1]
        ours = np.asarray(step.value, dtype=np.float64)
        there = of(naive, step.name, result)
        if there is None or there.value.shape != ours.shape:
            return 0.0
        apart = np.abs(distance(ours, np.asarray(there.value, dtype=np.float64)))
        finite = ours[np.isfinite(ours)]
        largest = float(np.abs(finite).max(initial=0.0))
        error = float(apart[np.isfinite(apart)].max(initial=0.0))
        return max(2 * error, PRECISIONS[precision].epsilon * largest)


def of(trace: Trace, name: str, result: Result) -> Step | None:
    """Our step beside a result of theirs: as it lies in their file; None where we have none.

    Output is the one in the layout of the inputs, or, unjoined, the step `heads`; in a file that
    names its axes, the step itself, its axes in that order.
    """
    step: Step | None = trace.step(name) if name in trace else None
    if result.axes is not None and step is not None:
        if {*result.axes} != {*step.axes}:
            return step
        order = [step.axes.index(axis) for axis in result.axes]
        return Step(name, np.transpose(step.value, order), result.axes)
    if name == "output":
        whole = Step(name, trace.output, trace.output_axes)
        unjoined = "heads" in trace and result.value.ndim > whole.value.ndim
        if not unjoined:
            return whole
        layout = trace.problem.presentation.layout
        return laid_out(trace.step("heads"), layout, np)
    return step


def compared(
    problem: Problem, trace: Trace, theirs: Mapping[str, Result], rule: Rule
) -> list[Comparison]:
    """Theirs beside ours, in the order of our steps."""
    order = [*trace.names, *(["output"] if "output" not in trace.names else [])]
    comparisons = []
    for name in order:
        step = of(trace, name, theirs[name]) if name in theirs else None
        if step is None:
            continue
        comparisons.append(beside(problem, name, step, theirs[name], rule))
    return comparisons


def beside(
    problem: Problem,
    name: str,
    step: Step,
    result: Result,
    rule: Rule,
    slack: Numbers | None = None,
) -> Comparison:
    """A result of theirs, called `name`, beside our step; `slack` is allowed in addition."""
    value = result.value
    rtol, atol = rule.tolerance(problem, step, result)
    if slack is not None and slack.shape == value.shape:
        atol = atol + slack
    if np.shape(atol) and np.shape(atol) != np.shape(step.value):
        atol = 0.0
    if result.blank is not None and value.shape == np.shape(step.value):
        # Nobody knows which of NaN and the infinities null was: any of them will do.
        known = result.blank & ~np.isfinite(step.value)
        value = np.where(known, step.value, value)
    return compare(Step(name, step.value, step.axes), value, rtol, atol)
