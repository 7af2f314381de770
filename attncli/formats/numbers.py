"""Numbers as people read them: aligned on the decimal point, or exactly.

A column is fixed (`1.500`) unless its magnitudes would leave nothing to read; then all of it is in
e-notation. A table of integers has no decimals.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LARGEST_FIXED = 1e6
LARGEST_INTEGER = 1e9


@dataclass(frozen=True, slots=True)
class Number:
    """A number in two parts: before the decimal point, and from it on."""

    before: str
    after: str = ""
    is_mark: bool = False
    """Not a number (−∞, nan): stands at the right end, not at the point."""


def all_integers(values: np.ndarray[Any, np.dtype[Any]]) -> bool:
    """Whether all finite values are integers that can be written in full."""
    if values.dtype.kind in "iub":
        return True
    if values.size == 0:
        return False
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        whole = (np.rint(values) == values) & (np.abs(values) < LARGEST_INTEGER)
    return bool(np.all(whole | ~finite)) and bool(finite.any())


def fixed(values: Iterable[float], digits: int, *, every: bool = False) -> bool:
    """Whether decimals say enough about these values: none is huge, and not all are tiny.

    With `every`, none may be tiny: measurements are read each for itself.
    """
    sizes = [abs(value) for value in values if np.isfinite(value)]
    largest = max(sizes, default=0.0)
    told = min((size for size in sizes if size), default=0.0) if every else largest
    return largest == 0 or (min(0.01, 10.0 ** (1 - digits)) <= told and largest < LARGEST_FIXED)


def split(values: Sequence[float], digits: int, *, integers: bool, as_fixed: bool) -> list[Number]:
    """The values of one column, all in the same notation."""
    numbers = [_mark(value) or _split(value, digits, integers, as_fixed) for value in values]
    if integers or as_fixed:
        return numbers
    exponents = [number.after.partition("e")[2] for number in numbers if "e" in number.after]
    width = max(map(len, exponents), default=0)
    return [
        number if number.is_mark else Number(number.before, _padded_exponent(number.after, width))
        for number in numbers
    ]


def _mark(value: float) -> Number | None:
    if np.isnan(value):
        return Number("nan", is_mark=True)
    if np.isinf(value):
        return Number("−∞" if value < 0 else "∞", is_mark=True)
    return None


def _split(value: float, digits: int, integers: bool, as_fixed: bool) -> Number:
    if integers:
        return Number(str(int(value)))
    text = f"{value:.{digits}f}" if as_fixed else f"{value:.{digits}e}"
    if text.startswith("-") and not text.strip("-0.e+"):
        text = text[1:]  # −0, and what rounds to it
    for mark in (".", "e"):
        before, point, after = text.partition(mark)
        if point:
            return Number(before, point + after)
    return Number(text)


def _padded_exponent(after: str, width: int) -> str:
    mantissa, e, exponent = after.partition("e")
    return mantissa + e + exponent[:1] + exponent[1:].rjust(width - 1, "0")


def total(value: float, n_terms: int, precision: float, digits: int) -> Number:
    """A sum of weights: 1 where it is 1 but for rounding, else its decimals."""
    if abs(value - 1) <= max(n_terms, 64) * precision:
        return Number("1")
    if value == 0:
        return Number("0")
    return split([value], digits, integers=False, as_fixed=True)[0]


def aligned(numbers: Sequence[Number], marks: dict[str, str]) -> list[str]:
    """Texts of equal width with the points in one column; `marks` spells −∞ and ∞."""
    before = max((len(number.before) for number in numbers if not number.is_mark), default=0)
    after = max((len(number.after) for number in numbers if not number.is_mark), default=0)
    texts = [
        marks.get(number.before, number.before)
        if number.is_mark
        else number.before.rjust(before) + number.after.ljust(after)
        for number in numbers
    ]
    width = max(map(len, texts), default=0)
    return [text.rjust(width) for text in texts]


def exact(values: np.ndarray[Any, np.dtype[Any]]) -> list[str]:
    """The shortest decimals that give the same numbers back in the array's own type."""
    flat = np.ravel(values)
    if flat.dtype == np.float64:
        return list(map(repr, flat.tolist()))
    return [str(number) for number in flat]
