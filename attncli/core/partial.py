"""What some keys contribute to some queries, and how contributions merge (online softmax)."""

from dataclasses import dataclass

from attncli.core.normalize import finite
from attncli.core.step import Array, Namespace
from attncli.core.weighted import weighted_sum


@dataclass(frozen=True, eq=False, slots=True)
class Partial:
    """Softmax attention to a part of the keys, before the division (Milakov & Gimelshein 2018).

    With m the greatest score of a row, `row_sum` is ℓ = Σ exp(s − m) and `weighted` Σ exp(s − m) v.
    Shapes: row_max and row_sum `(… n_queries 1)`, weighted `(… n_queries d_v)`. A row that sees no
    key has m = −∞, ℓ = 0 and a weighted sum of 0: the identity of `merge`.
    """

    row_max: Array
    row_sum: Array
    weighted: Array

    @classmethod
    def of(cls, scores: Array, value: Array, xp: Namespace, *, leaves_out: bool) -> "Partial":
        """The contribution of keys with these scores `(… n_queries n_keys)` and values."""
        row_max = xp.max(scores, axis=-1, keepdims=True)
        exponentials = xp.exp(scores - finite(row_max, xp))
        row_sum = xp.sum(exponentials, axis=-1, keepdims=True)
        left_out = scores == -xp.inf if leaves_out else None
        return cls(row_max, row_sum, weighted_sum(exponentials, value, left_out, xp))

    @classmethod
    def identity(cls, n_queries: int, d_v: int, dtype: object, xp: Namespace) -> "Partial":
        """The contribution of no keys at all."""
        nothing = xp.zeros((n_queries, 1), dtype=dtype)
        return cls(nothing - xp.inf, nothing, xp.zeros((n_queries, d_v), dtype=dtype))

    def merge(self, other: "Partial", xp: Namespace) -> "Partial":
        """The contribution of both parts: associative, up to rounding."""
        row_max = xp.maximum(self.row_max, other.row_max)
        reference = finite(row_max, xp)
        mine, theirs = (xp.exp(part.row_max - reference) for part in (self, other))
        return Partial(
            row_max,
            self.row_sum * mine + other.row_sum * theirs,
            _times(self.weighted, mine, xp) + _times(other.weighted, theirs, xp),
        )

    def beside(self, score: Array, xp: Namespace) -> "Partial":
        """With one more key of a value of zero: a sink."""
        score = xp.broadcast_to(score, self.row_max.shape)
        one = xp.ones_like(self.row_sum)
        return self.merge(Partial(score, one, xp.zeros_like(self.weighted)), xp)

    def output(self, xp: Namespace) -> Array:
        """Σ exp(s − m) v / ℓ, zero for a row that sees nothing."""
        one = xp.ones_like(self.row_sum)
        return self.weighted / xp.where(self.row_sum == 0, one, self.row_sum)


def _times(weighted: Array, factor: Array, xp: Namespace) -> Array:
    """A weighted sum brought to another reference; what a factor of 0 removes may be infinite."""
    return xp.where(factor == 0, xp.zeros_like(weighted), weighted * factor)
