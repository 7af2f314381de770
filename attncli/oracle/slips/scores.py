"""Slips of what happens to scores between similarity and softmax: softcap, biases, sinks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attncli.core.attention import Attention
from attncli.core.masking import Addition, Alibi, Bias, Relative, alibi_slopes
from attncli.core.normalize import Softmax
from attncli.core.similarity import Cosine, Dot, ScaledDot
from attncli.core.step import BEFORE_WEIGHTS, Array, Namespace
from attncli.oracle.alter import alter
from attncli.oracle.slips.slip import Variant, once, slip


def _before_cap(sent: Any) -> Array:
    return sent["scaled"] if "scaled" in sent else sent["scores"]


@slip(
    "softcap-left-out",
    "the softcap is left out",
    "softcap",
    "logits_soft_cap not passed on, as in backends that lack it",
)
def softcap_left_out(problem: Attention) -> Iterator[Variant]:
    if problem.softcap is not None:
        yield "", alter(problem, "capped", lambda x, sent: _before_cap(sent))


@slip(
    "softcap-after-mask",
    "the softcap comes after the mask, so that masked keys keep a score of −cap",
    "softcap",
    "c·tanh(−∞/c) is −c",
)
def softcap_after_mask(problem: Attention) -> Iterator[Variant]:
    cap = problem.softcap
    last = "masked" if problem.masks else "biased"
    if cap is None or last not in problem.step_names():
        return
    through = alter(problem, "capped", lambda x, sent: _before_cap(sent), when="after")
    yield "", alter(through, last, once(lambda x: cap * np.tanh(x / cap)))


@slip(
    "softcap-before-scale",
    "the softcap comes before the scale",
    "softcap",
    "scores capped as they are, and then divided by √d",
)
def softcap_before_scale(problem: Attention) -> Iterator[Variant]:
    cap, scale = problem.softcap, problem.scale
    if cap is not None and scale is not None:
        yield (
            "",
            alter(problem, "capped", lambda x, sent: cap * np.tanh(sent["scores"] / cap) * scale),
        )


@slip(
    "softcap-not-multiplied",
    "the softcap's tanh is not multiplied by the cap again",
    "softcap",
    "tanh(s/c) in place of c·tanh(s/c)",
)
def softcap_not_multiplied(problem: Attention) -> Iterator[Variant]:
    cap = problem.softcap
    if cap is not None:
        yield "", alter(problem, "capped", once(lambda x: x / cap))


# --- biases


def _swapped(problem: Attention, old: Bias, new: Bias | None) -> Attention:
    biases = tuple(new if bias is old else bias for bias in problem.biases)
    return replace(problem, biases=tuple(bias for bias in biases if bias is not None))


def _is_mask(problem: Attention, bias: Bias) -> bool:
    """Whether a bias is the finite part of a float mask."""
    masks: tuple[object, ...] = problem.masks
    return any(mask is bias for mask in masks)


@slip(
    "alibi-sign",
    "ALiBi has the other sign: it rewards distance",
    "bias",
    "+slope·distance for −slope·distance",
)
def alibi_sign(problem: Attention) -> Iterator[Variant]:
    for bias in problem.biases:
        if isinstance(bias, Alibi):
            yield "", _swapped(problem, bias, replace(bias, slopes=-bias.slopes))


@dataclass(frozen=True, eq=False)
class Signed(Alibi):
    """slope · (key place − query place), without the absolute value."""

    def bias(self, queries: range, keys: range, xp: Namespace) -> Array:
        distance = self.places.distance(queries, keys, xp)
        return self.slopes * distance.astype(self.slopes.dtype)


@slip(
    "alibi-slopes",
    "ALiBi has other slopes",
    "bias",
    "formulas for head counts that are no power of two differ; heads counted from 0",
)
def alibi_slopes_wrong(problem: Attention) -> Iterator[Variant]:
    for bias in problem.biases:
        if not isinstance(bias, Alibi):
            continue
        n = problem.n_heads if problem.has_heads else 1
        power = 1 << (n - 1).bit_length()
        every = np.arange(1, n + 1)
        kinds = {
            "2^(−8h/n) for any n": 2.0 ** (-8 * every / n),
            "heads counted from 0": 2.0 ** (-8 * (every - 1) / n),
            "2^−h": 2.0 ** -every.astype(float),
            "those of the next power of two": np.asarray(alibi_slopes(power)[:n]),
            "in the other order": np.asarray(alibi_slopes(n)[::-1]),
            "1 for every head": np.ones(n),
            "the first for every head": np.full(n, alibi_slopes(n)[0]),
        }
        for detail, slopes in kinds.items():
            shaped = slopes.astype(bias.slopes.dtype).reshape(bias.slopes.shape)
            yield detail, _swapped(problem, bias, replace(bias, slopes=shaped))
        yield "no absolute value", _swapped(problem, bias, Signed(bias.places, bias.slopes))


@slip(
    "bias-left-out",
    "a bias is left out",
    "bias",
    "ALiBi or relative positions not passed on",
)
def bias_left_out(problem: Attention) -> Iterator[Variant]:
    for bias in problem.biases:
        if _is_mask(problem, bias):
            continue
        kind = {Alibi: "ALiBi", Relative: "the relative one"}.get(type(bias), "")
        yield kind if len(problem.biases) > 1 else "", _swapped(problem, bias, None)


@slip(
    "bias-scaled",
    "the bias is added before the scale, and scaled with the scores",
    "bias",
    "relative biases added to QKᵀ and divided by √d with it",
)
def bias_scaled(problem: Attention) -> Iterator[Variant]:
    scale = problem.scale
    if problem.biases and scale is not None and problem.softcap is None:
        yield (
            "",
            alter(
                problem,
                "biased",
                lambda x, sent: sent["scaled"] + (x - sent["scaled"]) * scale,
            ),
        )


@slip(
    "bias-reversed",
    "the bias of distances is reversed, or a table of it transposed",
    "bias",
    "query place − key place for key place − query place",
)
def bias_reversed(problem: Attention) -> Iterator[Variant]:
    for bias in problem.biases:
        if isinstance(bias, Relative):
            yield "", _swapped(problem, bias, replace(bias, table=bias.table[..., ::-1]))
        elif isinstance(bias, Addition) and not _is_mask(problem, bias):
            table = np.swapaxes(bias.table, -1, -2)
            if bias.table.shape[-2] == bias.table.shape[-1]:
                yield "transposed", _swapped(problem, bias, replace(bias, table=table))


# --- sinks


@slip("sink-left-out", "the sink is left out", "sink", "an argument not passed on")
def sink_left_out(problem: Attention) -> Iterator[Variant]:
    if problem.sink is not None:
        yield "", replace(problem, sink=None)


@slip(
    "sink-in-values",
    "the sink's weight is multiplied into the values instead of being dropped",
    "sink",
    "the sink's column kept beside the keys: its weight lands on a key, or multiplies the output",
)
def sink_in_values(problem: Attention) -> Iterator[Variant]:
    if problem.sink is None or problem.value is None:
        return
    for place, detail in ((0, "on the first value"), (-1, "on the last value")):
        yield detail, alter(problem, "weights", _given_to(place), when="after")
    last = "heads" if "heads" in problem.step_names() else "output"
    yield (
        "on a value of ones",
        alter(
            problem,
            last,
            lambda x, sent: x + 1 - np.sum(sent["weights"], axis=-1, keepdims=True),
        ),
    )
    yield (
        "the output multiplied by it",
        alter(
            problem,
            last,
            lambda x, sent: x * (1 - np.sum(sent["weights"], axis=-1, keepdims=True)),
        ),
    )


def _given_to(place: int) -> Any:
    """The sink's weight, which is missing from the sum, given to one key."""

    def change(weights: Array, sent: Any) -> Array:
        given = weights.copy()
        given[..., place] += 1 - np.sum(weights, axis=-1)
        return given

    return change


@slip(
    "sink-without-maximum",
    "the sink is left out of the row's maximum: exp(sink) stands beside exp(score − maximum)",
    "sink",
    "a streaming softmax that adds exp(sink) at the end without subtracting the maximum",
)
def sink_without_maximum(problem: Attention) -> Iterator[Variant]:
    sink, normalizer = problem.sink, problem.normalizer
    if sink is None or not isinstance(normalizer, Softmax):
        return
    last = next(name for name in BEFORE_WEIGHTS if name in problem.step_names())

    def change(weights: Array, sent: Any) -> Array:
        scores = sent[last] / normalizer.temperature
        top = scores.max(axis=-1, keepdims=True)
        top = np.where(top == -np.inf, 0.0, top)
        e = np.exp(scores - top)
        total: Array = np.sum(e, axis=-1, keepdims=True) + np.exp(sink / normalizer.temperature)
        return e / total

    yield "", alter(problem, "weights", change)


@slip(
    "sink-scaled",
    "the sink is scaled like a score",
    "sink",
    "the sink put beside the raw scores, before the scale",
)
def sink_scaled(problem: Attention) -> Iterator[Variant]:
    if problem.sink is not None and problem.scale is not None:
        yield "", replace(problem, sink=problem.sink * problem.scale)


# --- the similarity


@slip(
    "similarity-dot",
    "the dot product stands in for the problem's own similarity",
    "similarity",
    "an option that the library does not know",
)
def similarity_dot(problem: Attention) -> Iterator[Variant]:
    if problem.query is None or isinstance(problem.similarity, ScaledDot):
        return
    widths = {problem.shape("query")[-1], problem.shape("key")[-1]}
    if len(widths) == 1 and type(problem.similarity) is not Dot:
        yield "unscaled", replace(problem, similarity=Dot())
        yield "scaled by 1/√d", replace(problem, similarity=Dot(), scale=problem.d_k**-0.5)


@slip(
    "similarity-cosine",
    "queries and keys are brought to length 1 first (cosine)",
    "similarity",
    "QK-norm and Swin v2",
)
def similarity_cosine(problem: Attention) -> Iterator[Variant]:
    if problem.query is not None and type(problem.similarity) in (Dot, ScaledDot):
        yield "", replace(problem, similarity=Cosine(zero_norm="zero"))
