"""What people chose to see, and the guard between their texts and a terminal."""

from collections.abc import Mapping
from dataclasses import dataclass, field

NEEDED = {"weights": ("scores", "masked")}
"""A shown step → those that must be kept beside it: they tell a masked weight from a zero."""


@dataclass(frozen=True, kw_only=True)
class Display:
    """Which steps and places are shown, and how. Nothing here changes a number."""

    steps: tuple[str, ...] | None = None
    """Names of the steps; None for all but those that are shown on request only."""
    focus: Mapping[str, slice | int] = field(default_factory=dict)
    """Axis → its places that are shown, counted from 0."""
    digits: int = 3
    """Decimals of a number in a table."""
    width: int = 80
    """Cells of a terminal line."""
    color: bool = False
    ascii: bool = False
    """Write no byte of 0x80 or more."""

    def rows(self) -> range | None:
        """The queries in focus; None for all."""
        chosen = self.focus.get("query")
        if chosen is None:
            return None
        if isinstance(chosen, slice):
            return range(chosen.start, chosen.stop)
        return range(chosen, chosen + 1)

    def kept(self) -> frozenset[str] | None:
        """The steps that must be kept for this display; None for all."""
        if self.steps is None:
            return None
        kept = {*self.steps}
        for step in self.steps:
            recipe, dot, base = step.rpartition(".")
            kept |= {recipe + dot + name for name in NEEDED.get(base, ())}
        return frozenset(kept)


def plain(text: str, *, ascii: bool = False) -> str:
    r"""A text of an input with nothing in it that could steer a terminal.

    Controls, direction marks, zero-width and undefined characters become visible escapes (`\x1b`,
    `\u202e`); any blank becomes a space. A combining mark at the start gets a ◌ to stand on.
    """
    if not text.isprintable():
        text = "".join(map(_visible, text))
    if ascii:
        return text.encode("ascii", "backslashreplace").decode("ascii")
    return "◌" + text if text and not text.isascii() and _combines(text[0]) else text


def command(*words: str) -> str:
    """A command of ours to copy: no word of it means anything to a shell."""
    import shlex

    return plain(shlex.join(["attncli", *words]))


def _visible(character: str) -> str:
    from unicodedata import category

    if character.isprintable():
        return character
    if category(character) == "Zs":
        return " "
    return escaped(character)


def escaped(character: str) -> str:
    r"""A character as `\x1b`, `\u202e` or `\U000e0041`."""
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _combines(character: str) -> bool:
    from unicodedata import category

    return category(character).startswith("M")


SPELLED = {
    "√": "sqrt ",
    "ᵀ": "^T ",
    "·": "*",
    "×": "x",
    "−": "-",
    "∞": "inf",
    "′": "'",
    "‖": "||",
    "²": "^2",
    "≈": "~",
    "→": "->",
    "Σ": "sum",
    "…": "...",
    "⋮": ":",
    "─": "-",
    "α": "alpha",
    "β": "beta",
    "ε": "epsilon",
    "µ": "u",
    "±": "+-",
    "÷": "/",
    "≤": "<=",
    "₂": "2",
    "–": "-",
    "—": "-",
    "“": '"',
    "”": '"',
    "’": "'",
}
"""The letters of our own texts in ASCII."""


def spelled(text: str) -> str:
    """One of our own texts (a formula, a fact, a note) in ASCII."""
    if text.isascii():
        return text
    text = text.replace(" · ", " * ").replace("√d", "sqrt(d)").replace("sqrt(d)_k", "sqrt(d_k)")
    for letter, spelling in SPELLED.items():
        text = text.replace(letter, spelling)
    return " ".join(text.split()).encode("ascii", "backslashreplace").decode("ascii")
