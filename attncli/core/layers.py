"""The layers of a Transformer: residual connections around attention and a feed-forward network."""

from dataclasses import dataclass, replace
from typing import Literal

from attncli.core.attention import Attention, MaskedRow
from attncli.core.heads import Linear, Projections
from attncli.core.masking import Bias, Mask
from attncli.core.shapes import batch_names
from attncli.core.similarity import ScaledDot, activate
from attncli.core.step import Array, Namespace, Step, Steps

Order = Literal["post", "pre"]
"""Where the norm of a sublayer stands: after the residual connection, or before the sublayer."""


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """(x − mean) / √(variance + ε) · weight + bias over the features (Ba et al. 2016).

    weight and bias `(d)`; the variance is that of the features themselves, divided by d.
    """

    weight: Array
    bias: Array | None
    epsilon: float

    def apply(self, x: Array, xp: Namespace) -> Array:
        """`(… n d)` → `(… n d)`."""
        centred = x - xp.mean(x, axis=-1, keepdims=True)
        variance = xp.mean(centred * centred, axis=-1, keepdims=True)  # (… n 1)
        result = centred / xp.sqrt(variance + self.epsilon) * self.weight
        return result if self.bias is None else result + self.bias


@dataclass(frozen=True, eq=False)
class FeedForward:
    """activation(x W₁ + b₁) W₂ + b₂, each vector for itself."""

    first: Linear
    activation: str
    second: Linear

    def steps(self, x: Array, xp: Namespace) -> Steps:
        """Yield `hidden` (before the activation), `activated` and `output`."""
        hidden = yield vectors("hidden", self.first.apply(x, xp))
        activated = yield vectors("activated", activate(self.activation, hidden, xp))
        return (yield vectors("output", self.second.apply(activated, xp)))


@dataclass(frozen=True, eq=False, kw_only=True)
class MultiHead:
    """The multi-head attention of a layer: its tables, and what its queries may attend to."""

    projections: Projections
    heads: int
    masks: tuple[Mask, ...] = ()
    biases: tuple[Bias, ...] = ()
    masked_by: float | None = None
    masked_row: MaskedRow = "zero"

    def attention(self, query: Array, key: Array, dtype: str) -> Attention:
        """The attention of `query (… n_queries d)` to `key (… n_keys d)`, which is the value, too.

        Raises `InputError` where the sizes do not fit.
        """
        bare = Attention(
            query=query,
            key=key,
            value=key,
            projections=self.projections,
            heads=self.heads,
            masks=self.masks,
            biases=self.biases,
            masked_by=self.masked_by,
            masked_row=self.masked_row,
            dtype=dtype,
        )
        return replace(bare, scale=ScaledDot().auto_scale(bare.d_k))


@dataclass(frozen=True, eq=False)
class Sublayer:
    """One of the sublayers of a layer: what stands between a norm and a residual connection."""

    name: str
    of: MultiHead | FeedForward
    residual: str
    """The name of the residual connection."""
    norm_name: str
    norm: LayerNorm

    def steps(
        self, x: Array, source: Array | None, order: Order, dtype: str, xp: Namespace
    ) -> Steps:
        """norm(x + f(x)), or x + f(norm(x))."""
        seen = x
        if order == "pre":
            seen = yield vectors(self.norm_name, self.norm.apply(x, xp))
        made = yield from prefixed(f"{self.name}.", self._inner(seen, source, dtype, xp))
        x = yield vectors(self.residual, x + made)
        if order == "post":
            x = yield vectors(self.norm_name, self.norm.apply(x, xp))
        return x

    def _inner(self, x: Array, source: Array | None, dtype: str, xp: Namespace) -> Steps:
        if isinstance(self.of, FeedForward):
            return self.of.steps(x, xp)
        return self.of.attention(x, self.keys(x, source), dtype).steps(xp)

    def keys(self, x: Array, source: Array | None) -> Array:
        """What an attention attends to: the vectors themselves, or those of the source."""
        return source if self.name == "cross_attention" else x

    def step_names(
        self, x: Array, source: Array | None, order: Order, dtype: str
    ) -> tuple[str, ...]:
        """The steps that the settings switch on, in order."""
        inner: tuple[str, ...] = ("hidden", "activated", "output")
        if isinstance(self.of, MultiHead):
            inner = self.of.attention(x, self.keys(x, source), dtype).step_names()
        between = (*(f"{self.name}.{name}" for name in inner), self.residual)
        return (self.norm_name, *between) if order == "pre" else (*between, self.norm_name)


@dataclass(frozen=True, eq=False, kw_only=True)
class EncoderLayer:
    """Self-attention, then a feed-forward network (Vaswani et al. 2017, section 3.1).

    A sublayer f is norm(x + f(x)) where `order` is post, x + f(norm(x)) where it is pre (Xiong et
    al. 2020).
    """

    self_attention: MultiHead
    norm1: LayerNorm
    feed_forward: FeedForward
    norm2: LayerNorm
    order: Order = "post"

    def steps(self, x: Array, source: Array | None, dtype: str, xp: Namespace) -> Steps:
        """Yield every step of the layer for `x (… n d)`; return its result, `(… n d)`."""
        for sublayer in self.sublayers():
            x = yield from sublayer.steps(x, source, self.order, dtype, xp)
        return x

    def sublayers(self) -> tuple[Sublayer, ...]:
        """The sublayers in order, each with the names of its steps and its norm."""
        return (
            Sublayer(
                "self_attention", self.self_attention, "attention_residual", "norm1", self.norm1
            ),
            Sublayer(
                "feed_forward", self.feed_forward, "feed_forward_residual", "norm2", self.norm2
            ),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class DecoderLayer(EncoderLayer):
    """An encoder layer that attends to the source, too, after it has attended to itself."""

    cross_attention: MultiHead
    norm3: LayerNorm

    def sublayers(self) -> tuple[Sublayer, ...]:
        itself, feed_forward = super().sublayers()
        residual = "cross_attention_residual"
        return (
            itself,
            Sublayer("cross_attention", self.cross_attention, residual, "norm2", self.norm2),
            replace(feed_forward, norm_name="norm3", norm=self.norm3),
        )


def vectors(name: str, value: Array) -> Step:
    """A step of `(… n d)` vectors, one a query."""
    return Step(name, value, (*batch_names(value.ndim - 2), "query", "feature"))


def prefixed(prefix: str, steps: Steps) -> Steps:
    """The same recipe inside another one: its steps keep their values and get longer names."""
    try:
        step = next(steps)
        while True:
            step = steps.send((yield replace(step, name=prefix + step.name)))
    except StopIteration as end:
        result: Array = end.value
        return result
