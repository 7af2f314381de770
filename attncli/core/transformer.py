"""The recipes of the Transformer: a stack of encoder or of decoder layers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar, Literal

from attncli.core.layers import DecoderLayer, EncoderLayer, LayerNorm, prefixed, vectors
from attncli.core.problem import Presentation, bytes_each
from attncli.core.shapes import Sketch, batch_fact, batch_names, broadcast, by, count
from attncli.core.step import Array, Namespace, Steps
from attncli.errors import InputError

SQUARE = frozenset({"scores", "scaled", "biased", "masked", "weights"})
"""Steps with a number for each pair of query and key."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Encoder:
    """norm(layer_N(… layer_1(X + P))), in rows notation.

    input X `(… n d)`; the table of positions P `(… m d)`, m ≥ n, whose first n rows are added; or
    sinusoidal ones. The last norm and the positions may be missing. Raises `InputError` where
    the sizes do not fit.
    """

    kind: ClassVar[str] = "encoder"

    input: Array
    layers: tuple[EncoderLayer, ...]
    norm: LayerNorm | None = None
    """The norm after the last layer."""
    positions: Array | Literal["sinusoidal"] | None = None
    dtype: str = "float64"
    presentation: Presentation = field(default_factory=Presentation)
    choices: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.positions is None or isinstance(self.positions, str):
            return
        *lead, n, d = (*self.leading, self.n_queries, self.width)
        shape = self.positions.shape
        fits = len(shape) >= 2 and shape[-1] == d and shape[-2] >= n
        pairs = zip(reversed(shape[:-2]), reversed(lead), strict=False)
        if not fits or len(shape) > len(lead) + 2 or any(a not in (1, b) for a, b in pairs):
            raise InputError(
                f"positions has the shape {by(shape)}, the vectors {by((*lead, n, d))}",
                expected=f"{by((n, d))}: a vector for each of the {n} places, or more",
                found=by(shape),
                subject="positions",
            )

    # --- sizes

    @property
    def source_vectors(self) -> Array | None:
        """What the layers attend to beside their input."""
        return None

    @property
    def leading(self) -> tuple[int, ...]:
        """The batch axes."""
        return tuple(int(size) for size in self.input.shape[:-2])

    @property
    def n_queries(self) -> int:
        return int(self.input.shape[-2])

    @property
    def n_keys(self) -> int:
        """Most keys that a layer attends to."""
        return self.n_queries

    @property
    def width(self) -> int:
        """Features of every vector between the layers."""
        return int(self.input.shape[-1])

    @property
    def n_heads(self) -> int:
        return self.layers[0].self_attention.heads

    def sizes(self) -> dict[str, int]:
        """The length of each axis that a place can be chosen on."""
        sizes = {"query": self.n_queries, "key": self.n_keys, "head": self.n_heads}
        return sizes | dict(zip(batch_names(len(self.leading)), self.leading, strict=True))

    # --- the recipe

    def steps(self, xp: Namespace) -> Steps:
        """Yield every step of every layer; return the output."""
        x = yield from self.embedded(xp)
        for number, layer in enumerate(self.layers):
            inner = layer.steps(x, self.source_vectors, self.dtype, xp)
            x = yield from prefixed(f"layers.{number}.", inner)
        if self.norm is not None:
            x = yield vectors("norm", self.norm.apply(x, xp))
        return (yield from self.finished(x, xp))

    def embedded(self, xp: Namespace) -> Steps:
        """What the first layer gets."""
        return (yield from self.positioned(self.input, xp))

    def positioned(self, x: Array, xp: Namespace) -> Steps:
        """X + P."""
        if self.positions is None:
            return x
        n, d = x.shape[-2:]
        if isinstance(self.positions, str):
            places = xp.astype(sinusoidal(n, d, xp), x.dtype)
        else:
            places = self.positions[..., :n, :]
        return (yield vectors("positioned", x + places))

    def finished(self, x: Array, xp: Namespace) -> Steps:
        """The output, of what the last layer or its norm gave."""
        del xp
        return (yield vectors("output", x))

    # --- what people read

    def step_names(self) -> tuple[str, ...]:
        """All steps, in order."""
        names = list(self.first_names())
        x, source = Sketch((*self.leading, self.n_queries, self.width)), self.source_vectors
        for number, layer in enumerate(self.layers):
            for sublayer in layer.sublayers():
                inner = sublayer.step_names(x, source, layer.order, self.dtype)
                names += [f"layers.{number}.{name}" for name in inner]
        return (*names, *["norm"] * (self.norm is not None), *self.last_names())

    def first_names(self) -> tuple[str, ...]:
        """The steps before the first layer."""
        return ("positioned",) * (self.positions is not None)

    def last_names(self) -> tuple[str, ...]:
        """The steps after the last norm."""
        return ("output",)

    def facts(self) -> tuple[str, ...]:
        """Layers, sizes, order of norms, activation, dtype."""
        first = self.layers[0]
        return (
            count(len(self.layers), f"{self.kind} layer"),
            *batch_fact(self.leading),
            count(self.n_heads, "head"),
            self._counts(),
            f"d {self.width}",
            f"{first.order}-norm, {first.feed_forward.activation}",
            "dot, scaled",
            self.dtype,
        )

    def _counts(self) -> str:
        return count(self.n_queries, "vector")

    def settings(self) -> dict[str, Any]:
        """The keys in force, as the user would write them."""
        first = self.layers[0]
        return {
            **self.choices,
            "heads": self.n_heads,
            "norm": first.order,
            "activation": first.feed_forward.activation,
            "epsilon": first.norm1.epsilon,
            "similarity": "scaled-dot",
            "scale": "auto",
            "normalizer": "softmax",
            "masked_row": first.self_attention.masked_row,
            "dtype": self.dtype,
        }

    def traits(self) -> dict[str, Any]:
        """What else decides formulas: whether there are biases and positions."""
        return {
            **self.layers[0].self_attention.projections.traits(),
            "layers": len(self.layers),
            "joined": True,
            "made_of": {},
            "biased": self.layers[0].feed_forward.first.bias is not None,
        }

    def memory(self, keep: Collection[str] | None) -> int:
        """Bytes of the kept steps, and of what is alive beside them: scores and hidden vectors,
        and nine sets of vectors from the norm before an attention to the residual behind it."""
        rows = prod(self.leading) * self.n_queries
        hidden = max(int(layer.feed_forward.first.weight.shape[-1]) for layer in self.layers)
        pairs, narrow = rows * self.n_heads * self.n_keys, rows * self.width
        size = dict.fromkeys(SQUARE, pairs) | dict.fromkeys(("hidden", "activated"), rows * hidden)
        names = self.step_names()
        kept = names if keep is None else [name for name in names if name in keep]
        total = sum(size.get(name.rpartition(".")[2], narrow) for name in kept)
        return (total + 9 * narrow + 4 * pairs + 3 * rows * hidden) * bytes_each(self.dtype)


@dataclass(frozen=True, eq=False, kw_only=True)
class Decoder(Encoder):
    """A stack of decoder layers, which attend to `source (… m d)`, what an encoder gave, too."""

    kind: ClassVar[str] = "decoder"

    source: Array
    layers: tuple[DecoderLayer, ...]

    @property
    def source_vectors(self) -> Array:
        return self.source

    @property
    def leading(self) -> tuple[int, ...]:
        return broadcast([[*self.input.shape[:-2]], [*self.source.shape[:-2]]])

    @property
    def n_keys(self) -> int:
        return max(self.n_queries, int(self.source.shape[-2]))

    def _counts(self) -> str:
        n = int(self.source.shape[-2])
        return f"{super()._counts()}, {n} of the source"


def sinusoidal(n: int, d: int, xp: Namespace) -> Array:
    """P[p, 2i] = sin(p / 10000^(2i/d)), P[p, 2i+1] = cos of the same (Vaswani et al. 2017, 3.5)."""
    place = xp.arange(n, dtype=xp.float64)[:, None]
    feature = xp.arange(d)
    angle = place / 10000.0 ** (xp.astype(feature - feature % 2, xp.float64) / d)
    return xp.where(feature % 2 == 0, xp.sin(angle), xp.cos(angle))  # (n d)
