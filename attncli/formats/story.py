"""A story: what is told of a cell, a vector or a step, before it is laid out."""

from collections.abc import Callable
from dataclasses import dataclass, field

HEADINGS = {"scores": "score"}
"""What a step is called at the head of a column, where not by its name."""


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

    def told(self, dressed: Callable[[str], str] = str) -> str:
        """The sentence, its parts `dressed` for where they stand."""
        *parts, last = map(dressed, self.parts)
        return f"{' and '.join(filter(None, [', '.join(parts), last]))} {self.held}"


@dataclass
class Story:
    """What is told of a place, from its formula to its result."""

    title: str
    facts: tuple[str, ...]
    formula: str = ""
    works: list[Work] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    score: str = ""
    """What the last score in the table is called: the step that the normalizer sees."""
    exponent: str = ""
    """What the exponential in the table is of; empty where there is none."""
    total: tuple[str, str] = ("", "")
    """The sums of exponentials and of weights."""
    result: list[Work] = field(default_factory=list)
    """What comes after the table."""
    last: "Most | None" = None
    deeper: tuple[str, ...] = ()
    """The step and the places of the next thing to ask for."""
    left_out: int = 0
