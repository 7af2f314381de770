"""Slips of queries, keys and values: which is which, and how they are projected."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np

from attncli.core.attention import Attention
from attncli.core.heads import Linear, Projections
from attncli.oracle.alter import alter
from attncli.oracle.slips.slip import Variant, slip

NAMES = ("query", "key", "value")


def _alike(problem: Attention, *names: str) -> bool:
    """Whether these vectors could stand for each other: equal shapes, and nothing beside them."""
    if any(getattr(problem, name) is None for name in names):
        return False
    if problem.past_key is not None or problem.extra_key is not None:
        return False
    shapes = {problem.shape(name) for name in names}
    return len(shapes) == 1


def _with(problem: Attention, **made_of: str) -> Attention:
    """The problem with vectors (and their projections) in place of others."""
    projections = replace(
        problem.projections,
        **{name: getattr(problem.projections, other) for name, other in made_of.items()},
    )
    arrays: dict[str, Any] = {name: getattr(problem, other) for name, other in made_of.items()}
    return replace(problem, projections=projections, **arrays)


@slip(
    "value-is-key",
    "the keys stand in for the values",
    "vectors",
    "attention(q, k, k), or a copied line that kept its k",
)
def value_is_key(problem: Attention) -> Iterator[Variant]:
    if _alike(problem, "key", "value"):
        yield "", _with(problem, value="key")
        if problem.rotary is not None:
            yield "rotated ones", alter(problem, "value", lambda value, sent: sent["key"])


@slip(
    "key-is-value",
    "the values stand in for the keys",
    "vectors",
    "keys and values in the other order",
)
def key_is_value(problem: Attention) -> Iterator[Variant]:
    if _alike(problem, "key", "value"):
        yield "", _with(problem, key="value")
        yield "and the keys for the values", _with(problem, key="value", value="key")


@slip(
    "query-key-swapped",
    "queries and keys are swapped",
    "vectors",
    "KQᵀ for QKᵀ: scores transposed",
)
def query_key_swapped(problem: Attention) -> Iterator[Variant]:
    if _alike(problem, "query", "key"):
        swapped = _with(problem, query="key", key="query")
        if problem.rotary is not None:
            turn = problem.rotary
            swapped = replace(
                swapped,
                rotary=replace(
                    turn,
                    query_cos=turn.key_cos,
                    query_sin=turn.key_sin,
                    key_cos=turn.query_cos,
                    key_sin=turn.query_sin,
                ),
            )
        yield "", swapped


@slip(
    "packed-order",
    "packed projections are taken apart in another order",
    "vectors",
    "query, key, value in one table: their order differs between checkpoints",
)
def packed_order(problem: Attention) -> Iterator[Variant]:
    if not _alike(problem, *NAMES):
        return
    projected = all(getattr(problem.projections, name) is not None for name in NAMES)
    for order in permutations(NAMES):
        if order == NAMES:
            continue
        if projected:
            tables = {
                name: getattr(problem.projections, other)
                for name, other in zip(NAMES, order, strict=True)
            }
            moved = replace(problem, projections=replace(problem.projections, **tables))
        else:
            moved = _with(problem, **dict(zip(NAMES, order, strict=True)))
        yield f"{', '.join(order)} for query, key, value", moved


@slip(
    "packed-by-head",
    "packed projections are taken apart head by head (query, key, value of head 0, then of head 1)",
    "vectors",
    "Megatron and GPT-NeoX pack by head, torch packs whole tables",
)
def packed_by_head(problem: Attention) -> Iterator[Variant]:
    heads = problem.heads
    if heads is None or heads < 2 or problem.kv_heads not in (None, heads):
        return
    if not _alike(problem, *NAMES):
        return
    tables = [getattr(problem.projections, name) for name in NAMES]
    if any(table is None for table in tables) or len({t.weight.shape for t in tables}) > 1:
        return
    width = tables[0].weight.shape[-1]
    columns = np.arange(3 * width)
    mixed = columns.reshape(heads, 3, -1).swapaxes(0, 1).reshape(3, width)
    for detail, order in (("", mixed), ("the other way round", _inverse(mixed))):
        yield detail, replace(problem, projections=_repacked(problem, order))


def _inverse(order: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.argsort(order.ravel()).reshape(order.shape)


def _repacked(problem: Attention, order: np.ndarray[Any, Any]) -> Projections:
    """The projections with columns of the packed table in another order, a row of it for each."""
    tables = [getattr(problem.projections, name) for name in NAMES]
    weight = np.concatenate([table.weight for table in tables], axis=-1)
    biases = [
        np.zeros(table.weight.shape[-1]) if table.bias is None else table.bias for table in tables
    ]
    bias = np.concatenate(biases)
    biased = any(table.bias is not None for table in tables)
    made = {
        name: Linear(weight[:, columns], bias[columns] if biased else None)
        for name, columns in zip(NAMES, order, strict=True)
    }
    return replace(problem.projections, **made)


@slip(
    "projection-transposed",
    "a projection is transposed",
    "projection",
    "torch.nn.Linear keeps (out, in), Keras and JAX (in, out)",
)
def projection_transposed(problem: Attention) -> Iterator[Variant]:
    names = [name for name in (*NAMES, "output") if getattr(problem.projections, name) is not None]
    three = [name for name in names if name != "output"]
    for chosen in _choices(names, three):
        turned = {name: _transposed(getattr(problem.projections, name)) for name in chosen}
        yield _listed(chosen), replace(problem, projections=replace(problem.projections, **turned))


def _transposed(linear: Linear) -> Linear:
    """The bytes of the table read as (d_out d_in): a square table is then transposed."""
    weight = linear.weight
    return replace(linear, weight=np.swapaxes(weight, -1, -2).reshape(weight.shape))


def _choices(names: list[str], three: list[str]) -> list[list[str]]:
    """Each alone, the first three together, all together."""
    choices = [[name] for name in names]
    for more in (three, names):
        if len(more) > 1 and more not in choices:
            choices.append(more)
    return choices


def _listed(names: list[str]) -> str:
    return f"that of {' and '.join(names)}" if len(names) < 3 else f"those of {', '.join(names)}"


@slip(
    "projection-bias-left-out",
    "the bias of a projection is left out",
    "projection",
    "bias=False, or a checkpoint whose biases were not loaded",
)
def projection_bias_left_out(problem: Attention) -> Iterator[Variant]:
    tables = problem.projections
    names = [
        name
        for name in (*NAMES, "output")
        if getattr(tables, name) is not None and getattr(tables, name).bias is not None
    ]
    three = [name for name in names if name != "output"]
    for chosen in _choices(names, three):
        bare = {name: replace(getattr(tables, name), bias=None) for name in chosen}
        yield _listed(chosen), replace(problem, projections=replace(tables, **bare))


@slip(
    "output-projection-left-out",
    "the output projection is left out",
    "projection",
    "heads joined and returned",
)
def output_projection_left_out(problem: Attention) -> Iterator[Variant]:
    if problem.projections.output is not None:
        yield "", replace(problem, projections=replace(problem.projections, output=None))


@slip(
    "projection-left-out",
    "a projection is left out",
    "projection",
    "the input itself taken for queries, keys or values",
)
def projection_left_out(problem: Attention) -> Iterator[Variant]:
    tables = problem.projections
    names = []
    for name in NAMES:
        linear = getattr(tables, name)
        if linear is not None and linear.n_heads is None and len({*linear.weight.shape}) == 1:
            names.append(name)
    for chosen in _choices(names, names):
        bare = dict.fromkeys(chosen)
        yield _listed(chosen), replace(problem, projections=replace(tables, **bare))


@slip("past-ignored", "the cache is ignored", "past", "past keys and values not passed on")
def past_ignored(problem: Attention) -> Iterator[Variant]:
    if problem.past_key is not None and not problem.masks and not problem.biases:
        yield "", replace(problem, past_key=None, past_value=None)


@slip(
    "zero-key-left-out",
    "the added key and value of zeros are left out",
    "past",
    "add_zero_attn not set",
)
def zero_key_left_out(problem: Attention) -> Iterator[Variant]:
    if problem.zero_key:
        yield "", replace(problem, zero_key=False)


@slip(
    "extra-key-left-out",
    "the learned extra key and value (bias_k, bias_v) are left out",
    "past",
    "add_bias_kv not set",
)
def extra_key_left_out(problem: Attention) -> Iterator[Variant]:
    if problem.extra_key is not None:
        yield "", replace(problem, extra_key=None, extra_value=None)
