"""From the core's arrangement (rows, heads first) to the one that people asked for.

`files` turns inputs in; this turns results out. Axes move, numbers never change.
"""

from dataclasses import replace

from attncli.core.problem import Layout, Notation
from attncli.core.step import Array, Namespace, Step


def shown(step: Step, notation: Notation, xp: Namespace) -> Step:
    """A step in the notation: columns swaps the last two axes, so that vectors are columns."""
    if notation == "rows" or step.value.ndim < 2 or step.name == "lse":
        return step
    *lead, first, second = step.axes
    return replace(step, value=xp.matrix_transpose(step.value), axes=(*lead, second, first))


def laid_out(step: Step, layout: Layout, xp: Namespace) -> Array:
    """The output as the inputs lie: tokens-first `(… n H d)`, sequence-first `(n B d)`."""
    value = step.value
    if layout == "tokens-first" and "head" in step.axes:
        return xp.moveaxis(value, -3, -2)
    if layout == "sequence-first" and "batch" in step.axes and value.ndim == 3:
        return xp.moveaxis(value, 0, 1)
    return value
