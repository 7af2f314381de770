"""Computing in another precision: a naive run, against which tolerances are stated.

What a kernel may err is what a plain run of its precision errs, twice (the rule of
flash-attention's tests): inputs rounded to the type, each step computed in float32 and rounded to
the type again, as kernels with a float32 accumulator do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

from attncli.core.problem import Problem
from attncli.core.step import Step

Numbers = np.ndarray[Any, np.dtype[Any]]
P = TypeVar("P")


@dataclass(frozen=True)
class Precision:
    """A type of floating-point numbers."""

    name: str
    round: Callable[[Numbers], Numbers]
    """To the nearest number of the type, ties to even, as float32 or wider."""
    epsilon: float
    """The distance from 1 to the next number."""
    largest: float


def _bfloat16(x: Numbers) -> Numbers:
    """The upper half of a float32, rounded to even; no NumPy type has it."""
    single = np.asarray(x, dtype=np.float32)
    bits = np.atleast_1d(single).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(single), rounded.view(np.float32).reshape(single.shape), single)


def _to(dtype: str) -> Callable[[Numbers], Numbers]:
    wide = np.float32 if dtype == "float16" else np.dtype(dtype)

    def rounded(x: Numbers) -> Numbers:
        with np.errstate(over="ignore"):
            return np.asarray(x).astype(dtype).astype(wide)

    return rounded


def _precision(dtype: str) -> Precision:
    limits = np.finfo(dtype)
    return Precision(dtype, _to(dtype), float(limits.eps), float(limits.max))


PRECISIONS: Mapping[str, Precision] = {
    "float64": _precision("float64"),
    "float32": _precision("float32"),
    "float16": _precision("float16"),
    "bfloat16": Precision("bfloat16", _bfloat16, 2.0**-7, float.fromhex("0x1.fep127")),
}


def recast(part: P, change: Callable[[Numbers], Numbers]) -> P:
    """A problem, or a part of one, with another array for each array of floats in it."""
    if isinstance(part, np.ndarray):
        return change(part) if part.dtype.kind == "f" else part  # type: ignore[return-value]
    if isinstance(part, tuple) and not hasattr(part, "_fields"):
        items = tuple(recast(item, change) for item in part)
        same = all(new is old for new, old in zip(items, part, strict=True))
        return part if same else items  # type: ignore[return-value]
    if not is_dataclass(part) or isinstance(part, type):
        return part
    found = {field.name: getattr(part, field.name) for field in fields(part) if field.init}
    changed = {name: recast(value, change) for name, value in found.items()}
    different = {name: value for name, value in changed.items() if value is not found[name]}
    return replace(part, **different) if different else part


def in_precision(problem: Problem, name: str) -> Problem:
    """The problem with inputs of a precision, computed in float32 (float64 for float64)."""
    precision = PRECISIONS[name]
    dtype = "float64" if name == "float64" else "float32"
    changed: Problem = recast(problem, lambda array: precision.round(array).astype(dtype))
    return replace(changed, dtype=dtype)  # type: ignore[type-var]


def rounding(name: str) -> Callable[[Step], Numbers]:
    """What a driver does to each step of a run in a precision."""
    precision = PRECISIONS[name]

    def rounded(step: Step) -> Numbers:
        if step.value.dtype.kind != "f":
            return np.asarray(step.value)
        return precision.round(step.value).astype(step.value.dtype)

    return rounded
