"""Similarities: how well a key fits a query.

One class each, and one entry in `SIMILARITIES`. A similarity prepares queries and keys once
(`prepare`: what depends on one vector alone) and then scores them as often as needed (`pair`: all
queries of a tile against all its keys). Leading axes broadcast; tables multiply from the right.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi
from typing import ClassVar

from attncli.core.shapes import by
from attncli.core.step import Array, Namespace
from attncli.errors import InputError, RefusedError


@dataclass(frozen=True, eq=False)
class Similarity:
    """s(q, k), larger where the key fits better. A subclass with parameters is a dataclass too."""

    name: ClassVar[str]

    def check(self, d_query: int, d_key: int) -> None:
        """Raise `InputError` where vectors of these widths do not fit."""
        if d_query != d_key:
            raise InputError(
                f"key has {d_key} features, query has {d_query}",
                expected=f"keys of {d_query} features: {self.name} compares them one by one",
                found=f"{d_key}",
                hint="use --similarity general, additive or mlp for unequal widths",
                subject="key",
            )

    def auto_scale(self, d_k: int) -> float | None:
        """The factor that `scale: auto` means, or None for no scaling."""
        return None

    def numbers(self, d: int) -> int:
        """How many numbers `pair` holds for a pair at once; `d` features a vector."""
        return 1

    def prepare(self, query: Array, key: Array, xp: Namespace) -> tuple[Array, Array]:
        """What depends on one vector alone: `(… n_queries h)`, `(… n_keys h)`."""
        return query, key

    def pair(self, query: Array, key: Array, xp: Namespace) -> Array:
        """Scores `(… n_queries n_keys)` of prepared queries and keys."""
        raise NotImplementedError

    def scores(self, query: Array, key: Array, xp: Namespace) -> Array:
        """Scores `(… n_queries n_keys)` of `(… n_queries d_q)` against `(… n_keys d_k)`."""
        return self.pair(*self.prepare(query, key, xp), xp)


class Dot(Similarity):
    """s = q·k (Luong et al. 2015, "dot")."""

    name: ClassVar[str] = "dot"

    def pair(self, query: Array, key: Array, xp: Namespace) -> Array:
        return xp.matmul(query, xp.matrix_transpose(key))  # (… n_queries n_keys)


class ScaledDot(Dot):
    """s = q·k, then scaled by 1/√d_k (Vaswani et al. 2017, equation 1)."""

    name: ClassVar[str] = "scaled-dot"

    def auto_scale(self, d_k: int) -> float | None:
        return float(d_k**-0.5)


@dataclass(frozen=True, eq=False)
class Cosine(Dot):
    """s = q·k / (‖q‖ ‖k‖), each norm at least `epsilon`; −1 to 1.

    Vectors are divided by their largest entry first, so that huge and tiny ones neither overflow
    nor vanish. Without `epsilon`, a zero vector that takes part is refused by the recipe, or has
    the similarity 0 (`zero_norm: zero`).
    """

    name: ClassVar[str] = "cosine"
    epsilon: float = 0.0
    zero_norm: str = "error"

    def prepare(self, query: Array, key: Array, xp: Namespace) -> tuple[Array, Array]:
        return self._unit(query, xp), self._unit(key, xp)

    def _unit(self, vectors: Array, xp: Namespace) -> Array:
        largest = xp.max(xp.abs(vectors), axis=-1, keepdims=True)  # (… n 1)
        vectors = vectors / xp.where(largest == 0, xp.ones_like(largest), largest)
        norm = xp.sqrt(xp.sum(vectors * vectors, axis=-1, keepdims=True))  # 0, or 1 to √d
        unit = vectors / xp.where(norm == 0, xp.ones_like(norm), norm)
        if self.epsilon:
            # largest·norm may overflow to ∞, which is not below epsilon and so does no harm.
            norm = largest * norm
            unit = xp.where(norm < self.epsilon, unit * (norm / self.epsilon), unit)
        return unit

    @property
    def refuses_zero(self) -> bool:
        """Whether a zero vector has no similarity."""
        return self.zero_norm == "error" and not self.epsilon

    def zero_vector(self, which: str, place: int) -> RefusedError:
        """The error of a query or key that is zero and takes part."""
        return RefusedError(
            f"{which} {place} (counted from 0) is a zero vector: its cosine is 0/0",
            hint="leave it out with a mask, or say zero_norm: zero (--set zero_norm=zero)",
            subject=which,
        )


@dataclass(frozen=True, eq=False)
class General(Dot):
    """s = q W kᵀ + b (Luong et al. 2015, "general")."""

    name: ClassVar[str] = "general"
    weight: Array = None
    """(d_q d_k), identity if absent."""
    bias: Array = None
    """One number, 0 if absent."""

    def check(self, d_query: int, d_key: int) -> None:
        if self.weight is None:
            super().check(d_query, d_key)
            return
        fits("weight", self.weight, (d_query, d_key), "q W kᵀ: (features of query, of key)")

    def prepare(self, query: Array, key: Array, xp: Namespace) -> tuple[Array, Array]:
        return (query if self.weight is None else xp.matmul(query, self.weight)), key

    def pair(self, query: Array, key: Array, xp: Namespace) -> Array:
        scores = super().pair(query, key, xp)
        return scores if self.bias is None else scores + self.bias


@dataclass(frozen=True, eq=False)
class Additive(Similarity):
    """s = vᵀ tanh(q W_q + k W_k + b) (Bahdanau et al. 2015)."""

    name: ClassVar[str] = "additive"
    query_weight: Array = None
    """(d_q h), identity if absent."""
    key_weight: Array = None
    """(d_k h), identity if absent."""
    bias: Array = None
    """(h), 0 if absent."""
    score_weight: Array = None
    """(h), ones if absent."""

    def check(self, d_query: int, d_key: int) -> None:
        widths = []
        for name, weight, d in (
            ("query_weight", self.query_weight, d_query),
            ("key_weight", self.key_weight, d_key),
        ):
            width = d
            if weight is not None:
                width = weight.shape[-1] if weight.ndim else 1
                fits(name, weight, (d, width), "its rows are the vector's features")
            widths.append(width)
        if widths[0] != widths[1]:
            raise InputError(
                f"q W_q has {widths[0]} hidden features, k W_k has {widths[1]}",
                expected="equal numbers: additive similarity adds the two",
                found=f"{widths[0]} and {widths[1]}",
                hint="a table that is left out (query_weight, key_weight) is the identity",
                subject="similarity",
            )
        for name, vector in (("bias", self.bias), ("score_weight", self.score_weight)):
            if vector is not None:
                fits(name, vector, (widths[0],), "one number a hidden feature")

    def prepare(self, query: Array, key: Array, xp: Namespace) -> tuple[Array, Array]:
        if self.query_weight is not None:
            query = xp.matmul(query, self.query_weight)  # (… n_queries h)
        if self.key_weight is not None:
            key = xp.matmul(key, self.key_weight)  # (… n_keys h)
        return query, (key if self.bias is None else key + self.bias)

    def pair(self, query: Array, key: Array, xp: Namespace) -> Array:
        # One hidden feature at a time: the (n_queries n_keys h) cube is never made.
        scores: Array = 0
        for h in range(query.shape[-1]):
            hidden = xp.tanh(query[..., :, None, h] + key[..., None, :, h])
            if self.score_weight is not None:
                hidden = hidden * self.score_weight[h]
            scores = scores + hidden
        return scores


@dataclass(frozen=True, eq=False)
class Layer:
    """x W + b, then the activation."""

    weight: Array
    """(d_in d_out), or (d_in) for one output."""
    bias: Array = None
    activation: str = "tanh"


@dataclass(frozen=True, eq=False)
class MLP(Similarity):
    """s = the single output of a small network over [q; k], layer after layer."""

    name: ClassVar[str] = "mlp"
    layers: tuple[Layer, ...] = ()

    def check(self, d_query: int, d_key: int) -> None:
        if not self.layers:
            raise InputError(
                "mlp needs layers",
                expected="layers: [{weight, bias, activation}, …]",
                hint="similarity: {name: mlp, layers: [{weight: …}, {weight: …}]}",
                subject="similarity",
            )
        d, reason = d_query + d_key, "the first layer reads [q; k]"
        for number, layer in enumerate(self.layers):
            d_out = layer.weight.shape[-1] if layer.weight.ndim == 2 else 1
            name = f"layers[{number}].weight"
            fits(name, layer.weight, (d, d_out)[: max(layer.weight.ndim, 1)], reason)
            if layer.bias is not None and layer.bias.shape not in ((d_out,), ()):
                fits(f"layers[{number}].bias", layer.bias, (d_out,), "one number an output")
            d, reason = d_out, "a layer reads what the one before it gives"
        if d != 1:
            raise InputError(
                f"the last layer of the mlp gives {d} numbers",
                expected="1, the score",
                found=str(d),
                subject="similarity",
            )

    def numbers(self, d: int) -> int:
        return 2 * max(int(_matrix(layer.weight).shape[-1]) for layer in self.layers)

    def prepare(self, query: Array, key: Array, xp: Namespace) -> tuple[Array, Array]:
        # [q; k] W = q W_top + k W_bottom: the first product needs no pairs.
        first = self.layers[0]
        weight = _matrix(first.weight)
        d_query = query.shape[-1]
        query = xp.matmul(query, weight[:d_query, :])
        key = xp.matmul(key, weight[d_query:, :])
        return query, (key if first.bias is None else key + first.bias)

    def pair(self, query: Array, key: Array, xp: Namespace) -> Array:
        hidden = query[..., :, None, :] + key[..., None, :, :]  # (… n_queries n_keys h)
        hidden = activate(self.layers[0].activation, hidden, xp)
        for layer in self.layers[1:]:
            hidden = xp.matmul(hidden, _matrix(layer.weight))
            hidden = hidden if layer.bias is None else hidden + layer.bias
            hidden = activate(layer.activation, hidden, xp)
        return hidden[..., 0]


class Euclidean(Similarity):
    """s = −‖q − k‖², from the differences: no cancellation between close vectors."""

    name: ClassVar[str] = "euclidean"

    def pair(self, query: Array, key: Array, xp: Namespace) -> Array:
        # One feature at a time: the (n_queries n_keys d) cube is never made.
        distance: Array = 0
        for feature in range(query.shape[-1]):
            difference = query[..., :, None, feature] - key[..., None, :, feature]
            distance = distance + difference * difference
        return -distance


class Gaussian(Euclidean):
    """s = −‖q − k‖²/2: with softmax, Nadaraya-Watson regression with a Gaussian kernel."""

    name: ClassVar[str] = "gaussian"

    def pair(self, query: Array, key: Array, xp: Namespace) -> Array:
        return super().pair(query, key, xp) / 2


SIMILARITIES: Mapping[str, type[Similarity]] = {
    kind.name: kind
    for kind in (ScaledDot, Dot, Cosine, General, Additive, MLP, Euclidean, Gaussian)
}

ACTIVATIONS = ("tanh", "relu", "gelu", "none")


def activate(name: str, x: Array, xp: Namespace) -> Array:
    """relu = max(x, 0), gelu = x Φ(x), silu = x / (1 + e⁻ˣ), tanh, or x for none.

    `gelu` is the exact form, `gelu-tanh` its approximation (both Hendrycks & Gimpel 2016).
    """
    match name:
        case "tanh":
            return xp.tanh(x)
        case "relu":
            return xp.maximum(x, xp.zeros_like(x[..., :1]))
        case "gelu":
            return x * (1 + xp.erf(x / 2**0.5)) / 2
        case "gelu-tanh":
            return x * (1 + xp.tanh((2 / pi) ** 0.5 * (x + 0.044715 * x * x * x))) / 2
        case "silu":
            return x / (1 + xp.exp(-x))
    return x


def fits(name: str, array: Array, shape: tuple[int, ...], why: str) -> None:
    """Raise `InputError` unless a parameter of the similarity has this shape."""
    if array.shape != shape:
        raise InputError(
            f"{name} of the similarity has the shape {by(array.shape)}",
            expected=f"{by(shape)} ({why})",
            found=by(array.shape),
            subject="similarity",
        )


def _matrix(weight: Array) -> Array:
    return weight if weight.ndim == 2 else weight[:, None]
