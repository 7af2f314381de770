"""From the core's arrangement (rows, heads first) to the one that people asked for.

`files` turns inputs in; this turns results out. Axes move, numbers never change.
"""

from dataclasses import replace

from attncli.core.problem import Layout, Notation
from attncli.core.step import Namespace, Step


def shown(step: Step, notation: Notation, xp: Namespace) -> Step:
    """A step in the notation: columns swaps the last two axes, so that vectors are columns.

    A step without vectors, such as an image, lies the same in both.
    """
    if notation == "rows" or step.base == "lse" or not {"query", "key", "patch"} & {*step.axes}:
        return step
    *lead, first, second = step.axes
    return replace(step, value=xp.matrix_transpose(step.value), axes=(*lead, second, first))


def laid_out(step: Step, layout: Layout, xp: Namespace) -> Step:
    """The output as the inputs lie: tokens-first `(… n H d)`, sequence-first `(n B d)`."""
    axes = step.axes
    if layout == "tokens-first" and "head" in axes:
        *lead, head, query, feature = axes
        value = xp.moveaxis(step.value, -3, -2)
        return replace(step, value=value, axes=(*lead, query, head, feature))
    if layout == "sequence-first" and len(axes) == 3 and axes[0] == "batch":
        batch, query, feature = axes
        return replace(step, value=xp.moveaxis(step.value, 0, 1), axes=(query, batch, feature))
    return step
