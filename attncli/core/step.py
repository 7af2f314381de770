"""The language in which every algorithm here is written.

An algorithm is a generator: it yields its steps, is sent each step's value back and returns its
result. Whoever consumes it decides what happens: keep the last value, print a table, pause between
steps, or send plain copies back (the worked arithmetic). So nothing is computed twice, once to
know and once to show.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

Array = Any
"""An array of the namespace in use. NumPy, CuPy, PyTorch or worked arrays."""

Namespace = Any
"""A Python array API standard namespace (2023.12), plus `erf` where a recipe needs it."""


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """One named result on the way, in rows notation.

    `name` is stable: JSON key, NPZ member, lesson anchor, test key. `axes` names every axis of
    `value`, last ones last: `batch`, `head`, then `query`, `key` or `feature`.
    """

    name: str
    value: Array
    axes: tuple[str, ...]

    @property
    def recipe(self) -> str:
        """What an inner recipe puts in front of its names: `layers.0.self_attention`."""
        return self.name.rpartition(".")[0]

    @property
    def base(self) -> str:
        """The name that the step has in its own recipe."""
        return self.name.rpartition(".")[2]


Steps = Generator[Step, Array, Array]
"""Yields steps, is sent each step's value back, returns the result."""

ON_REQUEST = frozenset({"lse"})
"""Steps that are shown and written only when they are asked for by name."""

BESIDE = frozenset({"difference", "shifts", "falloff", "pooled"})
"""Steps that say something of a result instead of being it: never the output."""

BEFORE_WEIGHTS = ("masked", "biased", "capped", "scaled", "scores")
"""What the normalizer sees: the first of these that there is."""


def run(steps: Steps, change: Callable[[Step], Array] | None = None) -> Iterator[Step]:
    """Drive a recipe: yield each of its steps and send the step's own value back.

    With `change` each step has what this makes of it instead, and the recipe goes on from there.
    """
    try:
        step = next(steps)
        while True:
            if change is not None:
                step = replace(step, value=change(step))
            yield step
            step = steps.send(step.value)
    except StopIteration:
        return


def result(steps: Steps) -> Array:
    """Drive a recipe to its end, for its result alone."""
    try:
        step = next(steps)
        while True:
            step = steps.send(step.value)
    except StopIteration as end:
        return end.value
