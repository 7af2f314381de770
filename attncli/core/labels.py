"""Names of vectors: the user's labels, and the symbols of the unlabelled (q1, k1, v1, b1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from attncli.errors import UsageError

Names = tuple[str, ...] | tuple[tuple[str, ...], ...]
"""One list of labels, or one a batch entry."""

SYMBOLS = {
    ("input", "query"): "a",
    ("query", "query"): "q",
    ("key", "key"): "k",
    ("value", "key"): "v",
    ("heads", "query"): "b",
    ("joined", "query"): "b",
    ("output", "query"): "b",
}
"""(step, axis) → letter, counted from 1 as on paper; elsewhere the axis's own letter stands."""

LETTERS = {"query": "q", "key": "k", "feature": ""}


PLURALS = {
    "query": "queries",
    "batch": "batch entries",
    "patch": "patches",
    "class": "classes",
}
"""What the places of an axis are called, where not by its name and an s."""


def plural(axis: str) -> str:
    """The places of an axis in words: queries, keys, batch entries."""
    return PLURALS.get(axis.rstrip("0123456789"), f"{axis}s")


def symbol(step: str, axis: str) -> str:
    """The letter of one axis of a step; empty for features, which have none."""
    return SYMBOLS.get((step.rpartition(".")[2], axis), LETTERS.get(axis, ""))


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of the axes; an empty tuple where there are none."""

    query: Names = ()
    key: Names = ()
    feature: Names = ()
    others: Mapping[str, Names] = field(default_factory=dict)
    """The labels of any other axis, by its name."""

    def at(self, step: str) -> "Labels":
        """The labels in one step: the keys of a layer's self-attention are its queries."""
        return replace(self, key=self.query) if "self_attention." in step else self

    def of(self, axis: str) -> Names:
        """The labels of an axis, as they were given."""
        return getattr(self, axis) if axis in LETTERS else self.others.get(axis, ())

    def given(self, axis: str, batch: int = 0) -> tuple[str, ...]:
        """The user's labels of an axis in one batch entry; empty where there are none."""
        names: Any = self.of(axis)
        if self.differ(axis):
            names = names[batch] if batch < len(names) else ()
        return tuple(names)

    def differ(self, axis: str) -> bool:
        """Whether each batch entry has its own labels."""
        names = self.of(axis)
        return bool(names) and not isinstance(names[0], str)

    def names(self, step: str, axis: str, n: int, batch: int = 0) -> tuple[str, ...]:
        """What to write beside the `n` places of an axis of a step: labels, else symbols.

        Features without labels have no names: the result is then empty.
        """
        given = self.given(axis, batch)
        if len(given) == n:
            return given
        letter = symbol(step, axis)
        return tuple(f"{letter}{place + 1}" for place in range(n)) if letter else ()

    def find(self, axis: str, text: str, n: int, batch: int = 0) -> int:
        """The position, counted from 0, that a label, a position or a symbol names.

        Raises `UsageError` for a label that occurs twice, and for what is not there.
        """
        given = self.given(axis, batch)
        places = [place for place, name in enumerate(given) if name == text]
        if len(places) == 1:
            return places[0]
        if places:
            raise UsageError(
                f"{text!r} names {len(places)} {axis} vectors",
                found=f"positions {_listed(places)}, counted from 0",
                hint=f"give the position instead, such as {places[0]}",
            )
        number, letter = whole(text.removeprefix("-")), text[:1]
        if number is not None:
            place = -number if letter == "-" else number
        elif letter in _letters(axis) and (number := whole(text[1:])) is not None:
            place = number - 1
        else:
            raise UsageError(
                f"no {axis} vector is called {text!r}",
                expected=f"a label, a position from 0 to {n - 1}"
                + (f" or a symbol such as {LETTERS[axis]}1" if LETTERS.get(axis) else ""),
                found=f"labels {_listed(given)}" if given else repr(text),
            )
        if not 0 <= place < n:
            raise UsageError(
                f"there is no {axis} {text}",
                expected=f"a position from 0 to {n - 1}",
                found=text,
            )
        return place


def _letters(axis: str) -> set[str]:
    """The letters of symbols that name a vector of an axis."""
    letters = {symbol(step, axis) for step in ("query", "key", "value", "output")}
    # The letter of an input's vector serves, whatever is made of it.
    return letters | {"a"} if axis in LETTERS else letters


def whole(digits: str) -> int | None:
    """A number without a sign, of at most 18 digits; None for anything else."""
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 18 else None


def _listed(items: Sequence[object], most: int = 12) -> str:
    text = ", ".join(str(item) for item in items[:most])
    return text + (", …" if len(items) > most else "")
