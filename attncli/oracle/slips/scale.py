"""Slips of the scale, the temperature and the normalizer."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import log
from typing import Any, ClassVar

import numpy as np

from attncli.core.attention import Attention
from attncli.core.normalize import Identity, Normalizer, Softmax
from attncli.core.step import Array, Namespace
from attncli.oracle.alter import alter
from attncli.oracle.slips.slip import Variant, once, slip


@slip(
    "scale-left-out",
    "the scale is left out",
    "scale",
    "Luong et al. 2015 (dot); keras.layers.Attention does not scale",
)
def scale_left_out(problem: Attention) -> Iterator[Variant]:
    if problem.scale is not None:
        yield "", replace(problem, scale=1.0)


@slip(
    "scale-twice",
    "the scale is applied twice (by 1/√d, that is by d instead of √d)",
    "scale",
    "a query scaled by its projection, as in torch.nn.MultiheadAttention, and scores scaled again",
)
def scale_twice(problem: Attention) -> Iterator[Variant]:
    if problem.scale is not None:
        yield "", replace(problem, scale=problem.scale * problem.scale)


@slip(
    "scale-by-d",
    "scores are divided by d instead of √d",
    "scale",
    "the root forgotten; 1/d is a choice of muP (Yang et al. 2022)",
)
def scale_by_d(problem: Attention) -> Iterator[Variant]:
    if problem.d_k and problem.scale is not None:
        yield "", replace(problem, scale=1 / problem.d_k)


@slip(
    "scale-by-d-model",
    "scores are divided by √d_model instead of √d_k of one head",
    "scale",
    "dim ** -0.5 where dim is the model's, as early Vision Transformer ports had it",
)
def scale_by_d_model(problem: Attention) -> Iterator[Variant]:
    if problem.d_k and problem.n_heads > 1:
        yield "", replace(problem, scale=(problem.n_heads * problem.d_k) ** -0.5)


@slip(
    "scale-inverted",
    "scores are multiplied by √d instead of divided",
    "scale",
    "scale as a factor in one library (torch, flash-attn) and as a divisor in another",
)
def scale_inverted(problem: Attention) -> Iterator[Variant]:
    if problem.scale is not None and np.all(problem.scale != 0):
        yield "", replace(problem, scale=1 / problem.scale)


@slip(
    "scale-ignored",
    "the scores are scaled by 1/√d_k whatever the problem's own scale says",
    "scale",
    "kernels whose scale argument was not passed on",
)
def scale_ignored(problem: Attention) -> Iterator[Variant]:
    if problem.d_k:
        yield "", replace(problem, scale=problem.d_k**-0.5)


@slip(
    "scale-after-softmax",
    "the scale multiplies the weights, after the softmax, instead of the scores",
    "scale",
    "softmax(QKᵀ)/√d in lecture notes and ports",
)
def scale_after_softmax(problem: Attention) -> Iterator[Variant]:
    factor = problem.scale
    if factor is not None:
        bare = replace(problem, scale=1.0)
        yield "", alter(bare, "weights", once(lambda weights: weights * factor))


@slip(
    "temperature-inverted",
    "the temperature multiplies instead of dividing",
    "temperature",
    "temperature taken for its inverse (β, sharpness)",
)
def temperature_inverted(problem: Attention) -> Iterator[Variant]:
    old = problem.normalizer
    if old.temperature != 1:
        yield "", replace(problem, normalizer=replace(old, temperature=1 / old.temperature))


@slip(
    "temperature-ignored", "the temperature is left out", "temperature", "an argument not passed on"
)
def temperature_ignored(problem: Attention) -> Iterator[Variant]:
    if problem.normalizer.temperature != 1:
        yield "", replace(problem, normalizer=replace(problem.normalizer, temperature=1.0))


@dataclass(frozen=True)
class Across(Normalizer):
    """A normalizer over other axes than the keys: those named, from the right, together."""

    name: ClassVar[str] = "softmax"
    axes: tuple[int, ...] = (-2,)
    inner: Normalizer = field(default_factory=Softmax)

    def normalize(self, scores: Array, xp: Namespace) -> tuple[Array, Array | None]:
        last = tuple(range(-len(self.axes), 0))
        moved = np.moveaxis(scores, self.axes, last)
        flat = np.reshape(moved, (*moved.shape[: moved.ndim - len(last)], -1))
        weights, _ = self.inner.normalize(flat, xp)
        return np.moveaxis(np.reshape(weights, moved.shape), last, self.axes), None


def _across(problem: Attention, *axes: int) -> Attention:
    old = problem.normalizer
    inner = replace(old, temperature=1.0)
    return replace(problem, normalizer=Across(old.temperature, axes, inner))


@slip(
    "softmax-over-queries",
    "the softmax runs over the queries instead of the keys",
    "normalizer",
    "softmax(dim=…) on the wrong axis, often for scores kept as KᵀQ",
)
def softmax_over_queries(problem: Attention) -> Iterator[Variant]:
    if problem.sink is None:
        yield "", _across(problem, -2)


@slip(
    "softmax-over-heads",
    "the softmax runs over the heads instead of the keys",
    "normalizer",
    "F.softmax without dim takes axis 1 of four axes, which is heads",
)
def softmax_over_heads(problem: Attention) -> Iterator[Variant]:
    if problem.sink is None and problem.n_heads > 1:
        yield "", _across(problem, -3)


@slip(
    "softmax-over-all",
    "the softmax runs over queries and keys together",
    "normalizer",
    "a softmax over the flattened table of scores",
)
def softmax_over_all(problem: Attention) -> Iterator[Variant]:
    if problem.sink is None and problem.n_queries > 1:
        yield "", _across(problem, -2, -1)


@slip(
    "softmax-left-out",
    "the softmax is left out: the scores themselves weigh the values",
    "normalizer",
    "linear attention without its normalizer",
)
def softmax_left_out(problem: Attention) -> Iterator[Variant]:
    yield "", replace(problem, normalizer=Identity(problem.normalizer.temperature), sink=None)


@slip(
    "softmax-base",
    "the exponential has another base than e",
    "normalizer",
    "kernels that call exp2, and forget the factor log₂e or apply it twice (FlashAttention)",
)
def softmax_base(problem: Attention) -> Iterator[Variant]:
    old = problem.normalizer
    if not isinstance(old, Softmax):
        return
    bases = {"base 2": log(2), "base e^(log₂e): the factor twice": 1 / log(2), "base 10": log(10)}
    for detail, factor in bases.items():
        # b^s = e^(s ln b); a sink is a score, too, and shares the base.
        sharper = replace(old, temperature=old.temperature / factor)
        yield detail, replace(problem, normalizer=sharper)


@slip(
    "normalizer-softmax",
    "softmax is used instead of the problem's own normalizer",
    "normalizer",
    "an option that the library does not know",
)
def normalizer_softmax(problem: Attention) -> Iterator[Variant]:
    if not isinstance(problem.normalizer, Softmax):
        yield "", replace(problem, normalizer=Softmax(problem.normalizer.temperature))


@slip(
    "softmax-plus-one",
    "1 is added to the softmax's denominator (softmax1, a sink of 0)",
    "normalizer",
    "Miller 2023, Attention Is Off By One; add_zero_attn without its value",
)
def softmax_plus_one(problem: Attention) -> Iterator[Variant]:
    if problem.sink is None and isinstance(problem.normalizer, Softmax):
        zero: Any = np.zeros((1, 1), dtype=problem.dtype)
        yield "", replace(problem, sink=zero)
