"""Normalizers: from scores to weights, row by row.

A score of −∞ is a key that is left out: its weight is exactly 0. A row of nothing but −∞ gets zero
weights; what else a problem wants there (`masked_row`) is the recipe's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from attncli.core.step import Array, Namespace


@dataclass(frozen=True, eq=False)
class Normalizer:
    """Weights of scores divided by the temperature."""

    name: ClassVar[str]
    sums_to_one: ClassVar[bool] = True
    mergeable: ClassVar[bool] = False
    """Whether partial results over tiles of keys can be merged."""
    alive: ClassVar[int] = 3
    """Arrays of scores that are alive at once, at most (measured with NumPy)."""

    temperature: float = 1.0

    def weights(self, scores: Array, xp: Namespace) -> tuple[Array, Array | None]:
        """Weights `(… n_queries n_keys)` and, for softmax, the log-sum-exp `(… n_queries)`."""
        if self.temperature != 1.0:
            scores = scores / self.temperature
        return self.normalize(scores, xp)

    def normalize(self, scores: Array, xp: Namespace) -> tuple[Array, Array | None]:
        raise NotImplementedError


class Softmax(Normalizer):
    """exp(s − m) / Σ exp(s − m), with m the row's maximum, so that no exponential overflows."""

    name: ClassVar[str] = "softmax"
    mergeable: ClassVar[bool] = True

    def normalize(self, scores: Array, xp: Namespace) -> tuple[Array, Array | None]:
        row_max = _row_max(scores, xp)  # (… n_queries 1)
        exponentials = xp.exp(scores - row_max)
        row_sum = xp.sum(exponentials, axis=-1, keepdims=True)  # (… n_queries 1)
        weights = exponentials / xp.where(row_sum == 0, xp.ones_like(row_sum), row_sum)
        return weights, (row_max + xp.log(row_sum))[..., 0]


class Sparsemax(Normalizer):
    """The point of the simplex nearest to the scores (Martins & Astudillo 2016, algorithm 1)."""

    name: ClassVar[str] = "sparsemax"
    alive: ClassVar[int] = 8

    def normalize(self, scores: Array, xp: Namespace) -> tuple[Array, Array | None]:
        z, ordered, rank = _ranked(scores, xp)
        total = xp.cumulative_sum(ordered, axis=-1)
        support = xp.sum(xp.astype(1 + rank * ordered > total, z.dtype), axis=-1, keepdims=True)
        at_support = xp.where(rank == support, total, xp.zeros_like(total))
        threshold = (xp.sum(at_support, axis=-1, keepdims=True) - 1) / support
        return _positive_part(scores, z - threshold, xp), None


class Entmax15(Normalizer):
    """1.5-entmax, exactly, by sorting (Peters et al. 2019, algorithm 2).

    w = max(s/2 − τ, 0)², with τ such that the weights sum to 1.
    """

    name: ClassVar[str] = "entmax15"
    alive: ClassVar[int] = 11

    def normalize(self, scores: Array, xp: Namespace) -> tuple[Array, Array | None]:
        z, ordered, rank = _ranked(scores / 2, xp)
        mean = xp.cumulative_sum(ordered, axis=-1) / rank
        mean_square = xp.cumulative_sum(ordered * ordered, axis=-1) / rank
        delta = (1 - rank * (mean_square - mean * mean)) / rank
        threshold = mean - xp.sqrt(xp.where(delta > 0, delta, xp.zeros_like(delta)))
        support = xp.sum(xp.astype(threshold <= ordered, z.dtype), axis=-1, keepdims=True)
        at_support = xp.where(rank == support, threshold, xp.zeros_like(threshold))
        root = _positive_part(scores, z - xp.sum(at_support, axis=-1, keepdims=True), xp)
        return root * root, None


class Sigmoid(Normalizer):
    """1 / (1 + exp(−s)), each key for itself."""

    name: ClassVar[str] = "sigmoid"
    sums_to_one: ClassVar[bool] = False
    mergeable: ClassVar[bool] = True

    def normalize(self, scores: Array, xp: Namespace) -> tuple[Array, Array | None]:
        return 1 / (1 + xp.exp(-scores)), None


class Hard(Normalizer):
    """1 for the first maximum of the row, 0 elsewhere: a look-up."""

    name: ClassVar[str] = "hard"

    def normalize(self, scores: Array, xp: Namespace) -> tuple[Array, Array | None]:
        first = xp.argmax(scores, axis=-1, keepdims=True)  # (… n_queries 1)
        chosen = xp.arange(scores.shape[-1]) == first
        return xp.astype(chosen & (scores != -xp.inf), scores.dtype), None


class Identity(Normalizer):
    """The scores themselves as weights."""

    name: ClassVar[str] = "none"
    sums_to_one: ClassVar[bool] = False
    mergeable: ClassVar[bool] = True

    def normalize(self, scores: Array, xp: Namespace) -> tuple[Array, Array | None]:
        return xp.where(scores == -xp.inf, xp.zeros_like(scores), scores), None


NORMALIZERS: Mapping[str, type[Normalizer]] = {
    kind.name: kind for kind in (Softmax, Sparsemax, Entmax15, Sigmoid, Hard, Identity)
}


def finite(row_max: Array, xp: Namespace) -> Array:
    """What exponentials are taken from: the maximum of a row, 0 where every score is −∞."""
    return xp.where(row_max == -xp.inf, xp.zeros_like(row_max), row_max)


def _row_max(scores: Array, xp: Namespace) -> Array:
    return finite(xp.max(scores, axis=-1, keepdims=True), xp)


def _ranked(scores: Array, xp: Namespace) -> tuple[Array, Array, Array]:
    """Scores less their maximum, in order from the largest, and the ranks 1 … n_keys.

    What is 2 or more below the maximum can never have weight (the threshold is at most 1 below),
    so it is raised to −2: neither −∞ nor huge numbers then spoil the sums.
    """
    z = scores - _row_max(scores, xp)
    z = xp.where(z < -2, xp.full_like(z, -2), z)
    rank = xp.astype(xp.arange(1, z.shape[-1] + 1), z.dtype)
    return z, xp.flip(xp.sort(z, axis=-1), axis=-1), rank


def _positive_part(scores: Array, x: Array, xp: Namespace) -> Array:
    return xp.where((scores == -xp.inf) | (x < 0), xp.zeros_like(x), x)
