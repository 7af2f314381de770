"""What a slip is: a name, a sentence, where it is known from, and what it makes of a problem."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from attncli.core.attention import Attention
from attncli.core.step import Array
from attncli.files.results import Result
from attncli.oracle.alter import Change
from attncli.solve import Trace

Variant = tuple[str, Attention]
"""What is special about it, in a few words or none, and the problem that a slip computes."""

Making = Callable[..., Iterable[tuple[str, Any]]]
"""From an attention (or, for slips of layers, an encoder) to what a slip makes of it."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a slip with unknowns of its own (a rate, an order) finds them from."""

    ours: Trace
    theirs: Mapping[str, Result]


@dataclass(frozen=True)
class Slip:
    """One way to get attention wrong."""

    name: str
    sentence: str
    """After `your output is what you get when …`."""
    part: str
    """The part of the recipe that it concerns; a pair of slips has two different ones."""
    known_from: str
    making: Making
    is_fitted: bool

    @property
    def pairs(self) -> bool:
        """Whether it is tried together with others: those that are fitted have said all."""
        return not self.is_fitted and self.part != "precision"

    def variants(self, problem: Attention, evidence: Evidence | None) -> Iterable[Variant]:
        """The problems that it computes instead of this one; none where it cannot matter."""
        return self.making(problem, evidence) if self.is_fitted else self.making(problem)


SLIPS: dict[str, Slip] = {}
"""Every slip by its name, the common ones of each part first."""


def slip(
    name: str, sentence: str, part: str, known_from: str, *, fitted: bool = False
) -> Callable[[Making], Making]:
    """Register a generator of variants as a slip; a fitted one gets the evidence, too."""

    def register(making: Making) -> Making:
        assert name not in SLIPS, name
        SLIPS[name] = Slip(name, sentence, part, known_from, making, fitted)
        return making

    return register


def once(change: Callable[[Array], Array]) -> Change:
    """A change of a step that does not need the earlier ones."""
    return lambda value, sent: change(value)
