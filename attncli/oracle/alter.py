"""An attention with something done to its steps on the way: how most slips are made.

The recipe is the core's own. A slip changes settings where a setting says it (another scale, other
masks), and otherwise the value of a step, before the recipe goes on with it. Changed problems are
problems: they can be changed again, so that pairs of slips need nothing more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from attncli.core.attention import Attention
from attncli.core.step import Array, Namespace, Steps
from attncli.core.transformer import Decoder, Encoder
from attncli.core.vision import VisionTransformer

When = Literal["always", "after", "shown"]
"""An alteration of a step and of what follows; of what follows only; of what is shown only."""

Change = Callable[[Array, Mapping[str, Array]], Array]
"""From a step's value, and the earlier steps as they were sent on, to another value."""


@dataclass(frozen=True)
class Alteration:
    """What is done to one step."""

    step: str
    change: Change
    when: When = "always"


def changed(steps: Steps, alterations: Sequence[Alteration]) -> Steps:
    """A recipe with each of its steps altered before it goes on."""
    sent: dict[str, Array] = {}

    def made(when: When, name: str, value: Array) -> Array:
        for alteration in alterations:
            if (alteration.step, alteration.when) == (name, when):
                value = alteration.change(value, sent)
        return value

    try:
        step = next(steps)
        while True:
            value = made("always", step.name, step.value)
            shown = made("shown", step.name, value)
            answer = yield replace(step, value=shown)
            # A driver may send something else: the value rounded, or somebody's own.
            value = answer if shown is value else value
            value = sent[step.name] = made("after", step.name, value)
            step = steps.send(value)
    except StopIteration as end:
        output: Array = end.value
        return output


@dataclass(frozen=True, eq=False, kw_only=True)
class Altered(Attention):
    """An attention whose steps are altered."""

    alterations: tuple[Alteration, ...] = ()
    multiplies: bool = False
    """Whether masked values are multiplied by zero, instead of being left out (rule 3)."""

    @property
    def leaves_out(self) -> bool:
        return super().leaves_out and not self.multiplies

    def steps(self, xp: Namespace) -> Steps:
        return changed(super().steps(xp), self.alterations)


@dataclass(frozen=True, eq=False, kw_only=True)
class AlteredEncoder(Encoder):
    """A stack of layers whose steps are altered."""

    alterations: tuple[Alteration, ...] = ()

    def steps(self, xp: Namespace) -> Steps:
        return changed(super().steps(xp), self.alterations)


@dataclass(frozen=True, eq=False, kw_only=True)
class AlteredDecoder(Decoder):
    """A stack of decoder layers whose steps are altered."""

    alterations: tuple[Alteration, ...] = ()

    def steps(self, xp: Namespace) -> Steps:
        return changed(super().steps(xp), self.alterations)


@dataclass(frozen=True, eq=False, kw_only=True)
class AlteredVision(VisionTransformer):
    """A Vision Transformer whose steps are altered."""

    alterations: tuple[Alteration, ...] = ()

    def steps(self, xp: Namespace) -> Steps:
        return changed(super().steps(xp), self.alterations)


def altered(problem: Attention, **more: Any) -> Altered:
    """The same attention, able to be altered."""
    own = {field.name: getattr(problem, field.name) for field in fields(problem)}
    return Altered(**{**own, **more})


def altered_layers(problem: Encoder, *alterations: Alteration) -> Encoder:
    """The same stack of layers with alterations, whose steps have their whole names."""
    own = {field.name: getattr(problem, field.name) for field in fields(problem)}
    kind: type[Encoder] = AlteredEncoder
    if isinstance(problem, Decoder | VisionTransformer):
        kind = AlteredDecoder if isinstance(problem, Decoder) else AlteredVision
    return kind(**{**own, "alterations": alterations})


def alter(problem: Attention, step: str, change: Change, *, when: When = "always") -> Altered:
    """The attention with one more alteration; those made before come first."""
    before = problem.alterations if isinstance(problem, Altered) else ()
    return altered(problem, alterations=(*before, Alteration(step, change, when)))
