"""A story: what is told of a cell, a vector or a step, before it is laid out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf

from attncli.core.shapes import listed

DOMINANT = 2 / 3
"""The share that the parts named in the last sentence hold together."""


@dataclass(frozen=True)
class Work:
    """The arithmetic of one cell: its name, what it equals line by line, and what stands beside."""

    name: str
    lines: tuple[str, ...]
    """`= 1·2 + 0·3`, `= 2`: each with its sign in front."""
    beside: tuple[str, ...] = ()
    depth: int = 0


@dataclass(frozen=True)
class Key:
    """One key of the story of an output vector."""

    name: str
    vector: str
    arithmetic: str
    score: str
    """What the normalizer sees."""
    exponential: str
    weight: float
    weight_text: str
    value: str


@dataclass(frozen=True)
class Most:
    """The last sentence: which parts of a sum hold most of it."""

    parts: tuple[str, ...]
    """Keys by their names, or terms."""
    held: str
    """`hold 73 % of the weight.`"""
    are_terms: bool

    @classmethod
    def of(
        cls, shares: Sequence[tuple[str, float]], whole: str, *, are_terms: bool
    ) -> "Most | None":
        """The parts that hold at least two thirds together; None where that says nothing."""
        total = sum(share for _, share in shares)
        if len(shares) < 3 or not 0 < total < inf:
            return None
        held, chosen = 0.0, []
        for i in sorted(range(len(shares)), key=lambda i: -shares[i][1]):
            held += shares[i][1]
            chosen.append(i)
            if held >= DOMINANT * total:
                break
        if len(chosen) > max(1, len(shares) // 2):
            return None
        names = tuple(shares[i][0] for i in sorted(chosen))
        verb = "holds" if len(names) == 1 else "hold"
        percent = "all" if held > 0.9995 * total else f"{100 * held / total:.0f} %"
        return cls(names, f"{verb} {percent} of {whole}.", are_terms)

    def told(self, dressed: Callable[[str], str] = str) -> str:
        """The sentence, its parts `dressed` for where they stand."""
        return f"{listed([*map(dressed, self.parts)])} {self.held}"


@dataclass
class Story:
    """What is told of a place, from its formula to its result."""

    title: str
    facts: tuple[str, ...]
    formula: str = ""
    works: list[Work] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    score: str = ""
    """What the last score in the table is called, the one that the normalizer sees."""
    exponent: str = ""
    """What the exponential in the table is of; empty where there is none."""
    total: tuple[str, str] = ("", "")
    """The sums of exponentials and of weights."""
    result: list[Work] = field(default_factory=list)
    """What comes after the table."""
    last: Most | None = None
    deeper: tuple[str, ...] = ()
    """The step and the places of the next thing to ask for."""
    left_out: int = 0
