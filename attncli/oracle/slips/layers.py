"""Slips of encoder and decoder layers; and those of attention, made in every layer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from attncli.core.attention import Attention
from attncli.core.layers import DecoderLayer, EncoderLayer, LayerNorm, MultiHead, Sublayer
from attncli.core.step import Array, Namespace
from attncli.core.transformer import Encoder, sinusoidal
from attncli.errors import AttncliError
from attncli.oracle.alter import Alteration, altered_layers
from attncli.oracle.slips.slip import SLIPS, Making, Slip

LAYER_SLIPS: dict[str, Slip] = {}
"""Slips of layers by name; their making takes an encoder or a decoder."""

Made = tuple[str, Encoder]


def _slip(name: str, sentence: str, known_from: str) -> Callable[[Making], Making]:
    def register(making: Making) -> Making:
        LAYER_SLIPS[name] = Slip(name, sentence, "layer", known_from, making, False)
        return making

    return register


def in_layers(problem: Encoder) -> Iterator[tuple[Slip, Made]]:
    """Every slip that can be made in these layers, the layers' own first."""
    for slip in LAYER_SLIPS.values():
        for made in slip.making(problem):
            yield slip, made
    for slip in SLIPS.values():
        if slip.pairs:
            for made in _in_every_layer(slip, problem):
                yield slip, made


@dataclass(frozen=True, eq=False, kw_only=True)
class Slipped(MultiHead):
    """The attention of a layer with a slip made in it."""

    slip: Slip
    detail: str

    def attention(self, query: Array, key: Array, dtype: str) -> Attention:
        right = super().attention(query, key, dtype)
        made = (other for detail, other in self.slip.variants(right, None) if detail == self.detail)
        return next(made, right)


PLACES = ("self_attention", "cross_attention")


def _in_every_layer(slip: Slip, problem: Encoder) -> Iterator[Made]:
    first = problem.layers[0]
    source = problem.source_vectors
    for place in PLACES:
        head: MultiHead | None = getattr(first, place, None)
        if head is None:
            continue
        keys = problem.input if source is None or place == "self_attention" else source
        try:
            right = head.attention(problem.input, keys, problem.dtype)
            details = list(dict.fromkeys(detail for detail, _ in slip.variants(right, None)))
        except (AttncliError, ValueError, IndexError):
            continue
        where = "in every layer" if source is None else f"in every {place.replace('_', '-')}"
        for detail in details:
            layers = tuple(_with(layer, place, slip, detail) for layer in problem.layers)
            told = f"{detail}; {where}" if detail else where
            yield told, replace(problem, layers=layers)


def _with(layer: EncoderLayer, place: str, slip: Slip, detail: str) -> EncoderLayer:
    head: MultiHead = getattr(layer, place)
    own = {field.name: getattr(head, field.name) for field in fields(MultiHead)}
    changed: Any = {place: Slipped(**own, slip=slip, detail=detail)}
    return replace(layer, **changed)


def _layers(problem: Encoder, **changes: Any) -> Encoder:
    layers: Any = tuple(replace(layer, **changes) for layer in problem.layers)
    return replace(problem, layers=layers)


def _norms(problem: Encoder, change: Any) -> Encoder:
    """The problem with another norm for each of its norms."""
    layers = []
    for layer in problem.layers:
        names = ["norm1", "norm2", *(["norm3"] if isinstance(layer, DecoderLayer) else [])]
        layers.append(replace(layer, **{name: change(getattr(layer, name)) for name in names}))
    last = None if problem.norm is None else change(problem.norm)
    return replace(problem, layers=tuple(layers), norm=last)


@_slip(
    "norm-order",
    "the norms stand at the other side of the sublayers: pre for post, or post for pre",
    "norm_first of torch.nn.TransformerEncoderLayer; Vaswani et al. 2017 against Xiong et al. 2020",
)
def norm_order(problem: Encoder) -> Iterator[Made]:
    other = "post" if problem.layers[0].order == "pre" else "pre"
    yield f"{other} for {problem.layers[0].order}", _layers(problem, order=other)


@_slip("last-norm-left-out", "the norm after the last layer is left out", "norm=None in torch")
def last_norm_left_out(problem: Encoder) -> Iterator[Made]:
    if problem.norm is not None:
        yield "", replace(problem, norm=None)


@_slip(
    "norm-epsilon",
    "the norms have another ε",
    "1e-5 in torch, 1e-6 in JAX and ViT, 1e-12 in BERT, 1e-3 in Keras",
)
def norm_epsilon(problem: Encoder) -> Iterator[Made]:
    for epsilon in (1e-5, 1e-6, 1e-12, 1e-3):
        if epsilon != problem.layers[0].norm1.epsilon:
            changed = _norms(problem, lambda norm, e=epsilon: replace(norm, epsilon=e))
            yield f"{epsilon:g}", changed


@dataclass(frozen=True, eq=False)
class Unbiased(LayerNorm):
    """A norm whose variance is divided by d − 1."""

    def apply(self, x: Array, xp: Namespace) -> Array:
        d = x.shape[-1]
        # variance·d/(d−1) + ε is d/(d−1) times variance + ε·(d−1)/d
        inner = LayerNorm(self.weight, None, self.epsilon * (d - 1) / d)
        result = inner.apply(x, xp) * ((d - 1) / d) ** 0.5
        return result if self.bias is None else result + self.bias


@_slip(
    "norm-unbiased",
    "the norms divide the variance by d − 1",
    "x.std() of torch, as in The Annotated Transformer",
)
def norm_unbiased(problem: Encoder) -> Iterator[Made]:
    def change(norm: LayerNorm) -> LayerNorm:
        return Unbiased(norm.weight, norm.bias, norm.epsilon)

    yield "", _norms(problem, change)


@_slip(
    "activation",
    "the feed-forward network has another activation",
    "relu, gelu and its tanh form differ by library and by checkpoint",
)
def activation(problem: Encoder) -> Iterator[Made]:
    own = problem.layers[0].feed_forward.activation
    for name in ("relu", "gelu", "gelu-tanh", "silu"):
        if name != own:
            layers: Any = tuple(
                replace(layer, feed_forward=replace(layer.feed_forward, activation=name))
                for layer in problem.layers
            )
            yield f"{name} for {own}", replace(problem, layers=layers)


@_slip(
    "residual-left-out",
    "a residual connection is left out",
    "x = f(x) for x = x + f(x)",
)
def residual_left_out(problem: Encoder) -> Iterator[Made]:
    every = []
    for sublayer in problem.layers[0].sublayers():
        alone = [_bare(f"layers.{i}.", sublayer) for i in range(len(problem.layers))]
        every += alone
        yield f"around {sublayer.name}", altered_layers(problem, *alone)
    yield "all of them", altered_layers(problem, *every)


def _bare(layer: str, sublayer: Sublayer) -> Alteration:
    """What a sublayer gives goes on without what it was given."""
    made = f"{layer}{sublayer.name}.output"
    return Alteration(f"{layer}{sublayer.residual}", lambda x, sent: sent[made])


@_slip(
    "positions-left-out",
    "the positions are left out",
    "positional encodings added nowhere, or twice",
)
def positions_left_out(problem: Encoder) -> Iterator[Made]:
    if problem.positions is None:
        return
    yield "", replace(problem, positions=None)


@_slip(
    "positions-in-halves",
    "sines fill the first half of the positions and cosines the second, instead of taking turns",
    "tensor2tensor has halves, Vaswani et al. 2017 neighbours",
)
def positions_in_halves(problem: Encoder) -> Iterator[Made]:
    if isinstance(problem.positions, str):
        n, d = problem.input.shape[-2:]
        table = sinusoidal(n, d, np)
        halves = np.concatenate([table[:, 0::2], table[:, 1::2]], axis=-1)
        yield "", replace(problem, positions=halves)
