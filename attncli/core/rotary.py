"""Rotary position embedding (Su et al. 2021, equation 34): vectors turned by their place."""

from dataclasses import dataclass
from typing import Literal

from attncli.core.shapes import broadcast
from attncli.core.step import Array, Namespace

Pairing = Literal["halves", "interleaved"]


@dataclass(frozen=True, eq=False)
class Rotary:
    """Turns each pair of features by an angle: (a, b) → (a cos − b sin, a sin + b cos).

    Cosines and sines are `(… n width/2)`, for queries and for keys. `halves` pairs feature i with
    i + width/2 (GPT-NeoX, Llama), `interleaved` pairs 2i with 2i + 1 (the paper). Features from
    `width` on stay as they are.
    """

    query_cos: Array
    query_sin: Array
    key_cos: Array
    key_sin: Array
    pairing: Pairing = "halves"

    @property
    def width(self) -> int:
        """How many features are rotated."""
        return 2 * int(self.query_cos.shape[-1])

    def query(self, query: Array, xp: Namespace) -> Array:
        """The queries `(… n_queries d_k)`, rotated."""
        return self._rotate(query, self.query_cos, self.query_sin, xp)

    def key(self, key: Array, xp: Namespace) -> Array:
        """The keys `(… n_keys d_k)`, rotated."""
        return self._rotate(key, self.key_cos, self.key_sin, xp)

    def _rotate(self, x: Array, cos: Array, sin: Array, xp: Namespace) -> Array:
        width = self.width
        lead = broadcast([[*x.shape[:-2]], [*cos.shape[:-2]]])
        if lead != x.shape[:-2]:  # the same vectors stand elsewhere in each batch entry
            x = xp.broadcast_to(x, (*lead, *x.shape[-2:]))
        rest = x[..., width:]
        if self.pairing == "halves":
            a, b = x[..., : width // 2], x[..., width // 2 : width]
            return xp.concat([a * cos - b * sin, a * sin + b * cos, rest], axis=-1)
        a, b = x[..., 0:width:2], x[..., 1:width:2]
        pairs = xp.stack([a * cos - b * sin, a * sin + b * cos], axis=-1)  # (… n width/2 2)
        return xp.concat([xp.reshape(pairs, (*x.shape[:-1], width)), rest], axis=-1)


def angles(positions: Array, width: int, base: float, xp: Namespace) -> Array:
    """position · base^(−2i/width) for i = 0 … width/2 − 1: `(… n)` → `(… n width/2)`, radians."""
    exponents = xp.arange(0, width, 2, dtype=positions.dtype) / width
    return positions[..., None] * base**-exponents
