"""Shapes: in words, broadcast, checked against each other; and places in them."""

from collections.abc import Sequence
from dataclasses import dataclass

from attncli.core.step import Array, Namespace
from attncli.errors import InputError


@dataclass(frozen=True, slots=True)
class Sketch:
    """A shape that stands for an array where nothing else of it matters."""

    shape: tuple[int, ...]

    @property
    def ndim(self) -> int:
        return len(self.shape)


def times(shape: tuple[int, ...]) -> str:
    """The lengths of some axes: 2 × 3 × 4."""
    return " × ".join(map(str, shape))


def by(shape: tuple[int, ...]) -> str:
    """A shape in words: (2 × 3 × 4)."""
    return f"({times(shape)})" if shape else "a single number"


def batch_fact(leading: tuple[int, ...]) -> tuple[str, ...]:
    """The batch axes in words, batch 2 × 3; nothing where there are none."""
    return (f"batch {times(leading)}",) if leading else ()


def batch_names(n: int) -> tuple[str, ...]:
    """The names of `n` batch axes: batch, or batch1, batch2 …."""
    return ("batch",) if n == 1 else tuple(f"batch{i + 1}" for i in range(n))


def count(n: int, noun: str) -> str:
    """A number of things: 1 vector, 2 vectors."""
    plural = noun[:-1] + "ies" if noun.endswith("y") and noun != "key" else noun + "s"
    return f"{n} {noun if n == 1 else plural}"


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def broadcast(shapes: list[list[int]]) -> tuple[int, ...]:
    """The shape that all of these broadcast to, aligned from the right."""
    longest = max(map(len, shapes), default=0)
    padded = [[1] * (longest - len(shape)) + shape for shape in shapes]
    return tuple(max(sizes) for sizes in zip(*padded, strict=True))


def first(flags: Array, xp: Namespace) -> tuple[int, ...]:
    """The index of the first True among booleans of any shape, of which one is True."""
    place, index = int(xp.argmax(xp.astype(xp.reshape(flags, (-1,)), xp.int8))), []
    for size in reversed(flags.shape):
        place, at = divmod(place, size)
        index.append(at)
    return tuple(reversed(index))


def check_leading(
    name: str, shape: tuple[int, ...], first: str, of: tuple[int, ...], head_axis: bool
) -> None:
    """Raise `InputError` unless the leading axes of key or value fit those `of` query or scores.

    With `head_axis` the last leading axis is heads (one where there is none), and those of the
    first are a multiple of the key's.
    """
    lead, first_lead = list(shape[:-2]), list(of[:-2])
    if head_axis and lead:
        heads, kv_heads = first_lead.pop() if first_lead else 1, lead.pop()
        if heads % kv_heads:
            raise InputError(
                f"{name} has {kv_heads} heads, {first} has {heads}",
                expected="a number of key heads that divides the number of query heads",
                found=f"{heads} / {kv_heads}",
                subject=name,
            )
    for a, b in zip(reversed(lead), reversed(first_lead), strict=False):
        if a != b and 1 not in (a, b):
            raise InputError(
                f"{name} has the shape {by(shape)}, {first} {by(of)}",
                expected=f"leading axes that agree or are 1: {b} here",
                found=str(a),
                subject=name,
            )
