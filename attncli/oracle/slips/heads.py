"""Slips of heads: split, shared, ordered and joined otherwise."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from attncli.core.attention import Attention
from attncli.core.heads import Linear, Projections, join
from attncli.core.masking import Band
from attncli.core.step import Array
from attncli.oracle.alter import Altered, Change, alter, altered
from attncli.oracle.slips.slip import Variant, once, slip


@slip(
    "kv-heads-tiled",
    "query head h uses key head h mod n_kv instead of h // (n_heads / n_kv)",
    "heads",
    "repeat in place of repeat_interleave for grouped heads",
)
def kv_heads_tiled(problem: Attention) -> Iterator[Variant]:
    n_kv, n_heads = problem.n_kv_heads, problem.n_heads
    if not problem.has_heads or n_kv in (1, n_heads):
        return
    tiled = np.arange(n_heads) % n_kv
    first = np.zeros(n_heads, dtype=int)
    for detail, order in (("", tiled), ("key head 0 for all", first)):
        yield detail, _served(problem, order)


def _served(problem: Attention, order: Array) -> Attention:
    """The problem with another key head for each query head."""

    def chosen(value: Array, sent: Any) -> Array:
        return np.take(value, order, axis=-3)

    return alter(alter(problem, "key", chosen, when="after"), "value", chosen, when="after")


@slip(
    "heads-interleaved",
    "feature j goes to head j mod n_heads: heads are split interleaved instead of in contiguous "
    "parts",
    "heads",
    "reshape(…, d, heads) in place of reshape(…, heads, d)",
)
def heads_interleaved(problem: Attention) -> Iterator[Variant]:
    heads = problem.heads
    if heads is None or heads < 2:
        return
    moved: Attention = problem
    for name in ("query", "key", "value"):
        if getattr(problem, name) is None:
            continue
        shape = problem.shape(name)
        moved = _reordered(moved, name, _interleaved(shape[-3], shape[-1]))
    yield "joined in contiguous parts", moved
    if problem.value is not None:
        back = np.argsort(_interleaved(heads, problem.shape("value")[-1]))
        yield "and joined interleaved, too", alter(moved, "joined", once(lambda x: x[..., back]))


def _interleaved(heads: int, width: int) -> Array:
    """Feature i·heads + h at place h·width + i."""
    return np.arange(heads * width).reshape(width, heads).T.ravel()


def _reordered(problem: Attention, name: str, order: Array) -> Attention:
    """The problem with the packed features of query, key or value in another order."""
    linear: Linear | None = getattr(problem.projections, name)
    if linear is None:
        vectors: Any = {name: getattr(problem, name)[..., order]}
        return replace(problem, **vectors)
    bias = None if linear.bias is None else linear.bias[order]
    tables: Any = {name: Linear(linear.weight[..., order], bias)}
    return replace(problem, projections=replace(problem.projections, **tables))


def viewed(x: Array) -> Array:
    """(… H n d) as it comes out when (… n H d) in memory is read as (… H n d)."""
    return np.moveaxis(x, -3, -2).reshape(x.shape)


def unviewed(x: Array) -> Array:
    """(… H n d) in memory, read as (… n H d), as (… H n d)."""
    *lead, heads, n, d = x.shape
    return np.moveaxis(x.reshape(*lead, n, heads, d), -2, -3)


@slip(
    "heads-viewed",
    "the head and sequence axes are confused: (B S H D) in memory is read as (B H S D)",
    "heads",
    "view(B, H, S, D) without the transpose; flash-attn takes (B S H D), torch (B H S D)",
)
def heads_viewed(problem: Attention) -> Iterator[Variant]:
    beside = (problem.past_key, problem.extra_key, problem.rotary)
    if problem.n_heads < 2 or any(part is not None for part in beside) or problem.zero_key:
        return
    moved = problem
    for name in ("query", "key", "value"):
        if getattr(problem, name) is not None and len(problem.shape(name)) > 2:
            moved = alter(moved, name, once(viewed))
    last = "heads" if "heads" in problem.step_names() else "output"
    yield "and back", alter(moved, last, once(unviewed))
    yield "", moved


@slip(
    "heads-joined-in-memory",
    "heads are joined as they lie in memory, without moving the head axis back",
    "join",
    "reshape(B, S, H·D) without the transpose before it",
)
def heads_joined_in_memory(problem: Attention) -> Iterator[Variant]:
    if problem.n_heads < 2:
        return
    if problem.joins:
        yield "", alter(problem, "joined", lambda x, sent: np.reshape(sent["heads"], x.shape))
    elif problem.value is not None and problem.projections.output is None:
        yield "", alter(problem, "output", once(unviewed))


@slip(
    "attention-over-heads",
    "attention runs over the heads of each position instead of over positions",
    "heads",
    "(B S H D) given to a function that expects (B H S D)",
)
def attention_over_heads(problem: Attention) -> Iterator[Variant]:
    same = problem.n_queries == problem.n_keys and problem.n_kv_heads == problem.n_heads
    plain = not problem.biases and problem.sink is None and np.size(problem.scale or 0) == 1
    if problem.n_heads < 2 or not same or not plain or problem.scores is not None:
        return
    if problem.query_mask is not None or problem.value is None:
        return
    bands = tuple(mask for mask in problem.masks if isinstance(mask, Band))
    masks = [bands] if bands == problem.masks else []
    if problem.masks:
        masks.append(())
    for kept in masks or [()]:
        detail = "without the mask" if problem.masks and not kept else ""
        yield detail, _over_heads(problem, kept)


def _over_heads(problem: Attention, masks: tuple[Band, ...]) -> Attention:
    made: dict[str, Array] = {}
    recipe = problem.steps(np)
    step = next(recipe)
    while len(made) < 3:
        made[step.name] = np.moveaxis(step.value, -3, -2)
        step = recipe.send(step.value)
    bare: Altered = altered(
        problem,
        **made,
        head_axis=True,
        heads=None,
        kv_heads=None,
        zero_key=False,
        extra_key=None,
        extra_value=None,
        past_key=None,
        past_value=None,
        rotary=None,
        masks=masks,
        projections=Projections(),
    )

    def back(output: Array, sent: Any) -> Array:
        output = np.moveaxis(output, -3, -2)
        if problem.joins:
            output = join(output, np)
        table = problem.projections.output
        return output if table is None else table.apply(output, np)

    return alter(bare, "output", back)


@slip(
    "heads-averaged",
    "the heads are averaged",
    "join",
    "mean over the head axis in place of joining",
)
def heads_averaged(problem: Attention) -> Iterator[Variant]:
    if problem.n_heads < 2 or problem.value is None:
        return
    step = "heads" if "heads" in problem.step_names() else "output"
    yield "each replaced by the mean", alter(problem, step, once(_mean_for_all))
    if step == "heads":
        yield "", alter(problem, "output", lambda x, sent: np.mean(sent["heads"], axis=-3))
    else:
        yield "", alter(problem, "output", once(lambda x: np.mean(x, axis=-3)))


def _mean_for_all(x: Array) -> Array:
    return np.broadcast_to(np.mean(x, axis=-3, keepdims=True), x.shape)


@slip(
    "weights-averaged",
    "the weights are averaged over the heads",
    "shown",
    "need_weights of torch.nn.MultiheadAttention averages unless average_attn_weights=False",
)
def weights_averaged(problem: Attention) -> Iterator[Variant]:
    if problem.n_heads > 1:
        mean = once(lambda weights: np.mean(weights, axis=-3))
        yield "", alter(problem, "weights", mean, when="shown")


@slip(
    "axes-moved",
    "the axes of the result lie in another order",
    "shown",
    "(B S H D) against (B H S D), or a missing transpose at the end",
)
def axes_moved(problem: Attention) -> Iterator[Variant]:
    last = problem.step_names()[-1]
    if last == "lse":
        last = "weights"
    swaps = {"vectors as columns": (-1, -2), "sequence before heads": (-2, -3)}
    rank = result_rank(problem)
    if rank > 2:
        swaps["sequence before batch"] = (0, rank - 2)
    for detail, (a, b) in swaps.items():
        if max(-a, -b, a + 1, b + 1) <= rank:
            yield detail, alter(problem, last, _swapped(a, b), when="shown")


def _swapped(a: int, b: int) -> Change:
    return lambda x, sent: np.swapaxes(x, a, b)


def result_rank(problem: Attention) -> int:
    """How many axes the result has."""
    return len(problem.leading) + 2 - problem.joins
