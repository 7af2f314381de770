"""Error carried forward: what each of their steps should be, given their own earlier steps.

The recipe is driven with their values in place of ours: whatever it computes next is right for
somebody who has come that far.
"""

from collections.abc import Callable, Mapping

import numpy as np

from attncli.core.arrangement import laid_out, shown
from attncli.core.problem import Notation, Problem
from attncli.core.step import Array, Step
from attncli.files.results import Result
from attncli.oracle.compare import Numbers
from attncli.solve import solve


def in_core(result: Result, step: Step, notation: Notation) -> Numbers | None:
    """Their value of a step as the core has it (rows, heads first); None where it does not fit."""
    value = result.value
    if result.blank is not None and result.blank.any():
        return None
    if result.axes is not None:
        if {*result.axes} != {*step.axes}:
            return None
        value = np.transpose(value, [result.axes.index(axis) for axis in step.axes])
    elif value.ndim > 1:
        turned = Step(step.name, step.value, step.axes)
        if shown(turned, notation, np).axes != step.axes:
            value = np.swapaxes(value, -1, -2)
    return value if value.shape == step.value.shape else None


def theirs_sent(
    theirs: Mapping[str, Result], notation: Notation, seen: dict[str, Step] | None = None
) -> Callable[[Step], Array]:
    """What a driver does that sends their value of a step back, wherever they have it.

    `seen` collects the steps as they should have been.
    """

    def change(step: Step) -> Array:
        if seen is not None:
            seen[step.name] = step
        if step.name not in theirs:
            return step.value
        value = in_core(theirs[step.name], step, notation)
        return step.value if value is None else value.astype(step.value.dtype)

    return change


def expected(problem: Problem, theirs: Mapping[str, Result], notation: Notation) -> dict[str, Step]:
    """Each step as it should be, given their earlier steps; as it lies in their file."""
    steps: dict[str, Step] = {}
    solve(problem, notation=notation, keep=(), change=theirs_sent(theirs, notation, steps))
    last = next(name for name in reversed(list(steps)) if name != "lse")
    made = {name: _as_theirs(step, theirs.get(name), notation) for name, step in steps.items()}
    if "output" in theirs and theirs["output"].axes is None:
        placed = laid_out(steps[last], problem.presentation.layout, np)
        made["output"] = shown(placed, problem.presentation.notation, np)  # as the inputs lie
    return made


def _as_theirs(step: Step, result: Result | None, notation: Notation) -> Step:
    if result is not None and result.axes is not None and {*result.axes} == {*step.axes}:
        order = [step.axes.index(axis) for axis in result.axes]
        return Step(step.name, np.transpose(step.value, order), result.axes)
    return shown(step, notation, np)
