"""What every kind of problem has in common."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attncli.core.labels import Labels
from attncli.core.step import Namespace, Steps

if TYPE_CHECKING:
    from attncli.core.picture import Picture

Notation = Literal["rows", "columns"]
Layout = Literal["heads-first", "tokens-first", "sequence-first"]


@dataclass(frozen=True, slots=True)
class Presentation:
    """How a problem is shown: nothing here changes a number."""

    title: str = ""
    source: str = ""
    """The problem file as the user named it; empty for a problem made in Python."""
    notation: Notation = "rows"
    layout: Layout = "heads-first"
    labels: Labels = field(default_factory=Labels)
    made_of: Mapping[str, str] = field(default_factory=dict)
    """What query, key and value come from: `input` or `source`, where a problem has them."""
    pictures: "Mapping[str, Picture]" = field(default_factory=dict)
    """The picture whose patches the vectors of an axis, query or key, are."""


def bytes_each(dtype: str) -> int:
    """How many bytes a number of the type has in which steps are computed."""
    return 8 if dtype == "float64" else 4


class Problem(Protocol):
    """Whatever has steps. Frozen and validated; arrays are in rows notation, heads first."""

    @property
    def kind(self) -> str: ...
    @property
    def presentation(self) -> Presentation: ...
    @property
    def dtype(self) -> str:
        """`float32` or `float64`: the type in which the steps are computed and written."""
        ...

    def steps(self, xp: Namespace) -> Steps:
        """The recipe, in the namespace `xp`."""
        ...

    def sizes(self) -> dict[str, int]:
        """The length of each axis that a place can be chosen on: query, key, head, batch."""
        ...

    def step_names(self) -> tuple[str, ...]:
        """The steps that the settings switch on, in order."""
        ...

    @property
    def choices(self) -> Mapping[str, Any]:
        """The problem's keys in force, as the user would write them."""
        ...

    def facts(self) -> tuple[str, ...]:
        """What will be computed, in a few words each: sizes, similarity, scaled or not, dtype."""
        ...

    def settings(self) -> dict[str, Any]:
        """The settings in force, as plain values for JSON."""
        ...

    def traits(self) -> dict[str, Any]:
        """What else decides titles and formulas, and is no key of a file."""
        ...

    def memory(self, keep: Collection[str] | None) -> int:
        """An estimate of the bytes that the steps need when only those in `keep` stay."""
        ...
