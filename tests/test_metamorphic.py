"""What must not change an answer, and what must change it in a known way: no oracle needed."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncli.solve import Trace
from tests.judging import assert_same, solved
from tests.random_problems import (
    NORMALIZER_NAMES,
    SIMILARITY_NAMES,
    SUM_TO_ONE,
    Problem,
    Random,
    Sizes,
    generators,
    similarities,
    sizes,
    vectors,
    visible,
)

few = settings(max_examples=10, deadline=None)


def any_problem(s: Sizes, random: Random) -> Problem:
    """Vectors, some similarity and some normalizer, a mask and a bias for every pair."""
    pairs = (*s.lead, s.n_queries, s.n_keys)
    return {
        **vectors(s, random),
        "similarity": similarities(s, random)[str(random.choice(SIMILARITY_NAMES))],
        "normalizer": str(random.choice(NORMALIZER_NAMES)),
        "mask": visible(random, *pairs),
        "bias": random.normal(size=pairs),
    }


def along(problem: Problem, axis: int, index: Any, *names: str) -> Problem:
    """The problem with some of its arrays indexed along one axis."""
    return {**problem, **{name: np.take(problem[name], index, axis=axis) for name in names}}


# --- keys


@given(s=sizes(), random=generators())
@settings(max_examples=40, deadline=None)
def test_permuting_the_keys_with_their_values_leaves_the_output(s: Sizes, random: Random) -> None:
    problem = any_problem(s, random)
    order = random.permutation(s.n_keys)
    moved = along(along(problem, -2, order, "key", "value"), -1, order, "mask", "bias")
    trace, again = solved(problem), solved(moved)
    assert_same("output", again.output, trace.output)
    assert_same("weights", again["weights"], trace["weights"][..., order])


@pytest.mark.parametrize("normalizer", SUM_TO_ONE)
@given(s=sizes(), random=generators(), shift=st.sampled_from([-300.0, 0.25, 1000.0]))
@few
def test_shifting_all_scores_leaves_the_weights(
    normalizer: str, s: Sizes, random: Random, shift: float
) -> None:
    problem = {**any_problem(s, random), "normalizer": normalizer}
    moved = {**problem, "bias": problem["bias"] + shift}
    assert_same("weights", solved(moved)["weights"], solved(problem)["weights"], 1e-9, 1e-10)


@pytest.mark.parametrize("poison", [0.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("by", ["mask", "float mask", "key mask", "key lengths"])
@given(s=sizes(), random=generators())
@few
def test_appended_masked_keys_leave_the_output(
    by: str, poison: float, s: Sizes, random: Random
) -> None:
    """Not even NaN or infinity in a masked key or value reaches the output."""
    problem = any_problem(s, random)
    longer = dict(problem)
    for name in ("key", "value"):
        extra = random.normal(size=(*s.kv_lead, 3, problem[name].shape[-1]))
        extra[..., random.integers(3), random.integers(extra.shape[-1])] = poison
        longer[name] = np.concatenate([problem[name], extra], axis=-2)
    pad = np.zeros((*problem["bias"].shape[:-1], 3))
    longer["bias"] = np.concatenate([problem["bias"], pad], axis=-1)
    seen = np.concatenate([problem["mask"], pad == 1], axis=-1)
    real = np.arange(s.n_keys + 3) < s.n_keys
    anything = np.concatenate([problem["mask"], pad == 0], axis=-1)
    longer |= {
        "mask": {"mask": seen},
        "float mask": {"mask": np.where(seen, 0.0, -np.inf)},
        "key mask": {"mask": anything, "key_mask": np.tile(real, (s.batch, 1))},
        "key lengths": {"mask": anything, "key_lengths": s.n_keys},
    }[by]
    trace, again = solved(problem), solved({**longer, "allow_nonfinite": True})
    assert_same("output", again.output, trace.output)
    assert_same("weights", again["weights"][..., : s.n_keys], trace["weights"])
    assert not again["weights"][..., s.n_keys :].any()


@given(s=sizes(), random=generators())
@few
def test_poison_in_a_query_reaches_no_other_query(s: Sizes, random: Random) -> None:
    problem = {**any_problem(s, random), "query_mask": np.arange(s.n_queries) != 1}
    query = problem["query"].copy()
    query[..., 1, 0] = np.nan
    poisoned = solved({**problem, "query": query, "allow_nonfinite": True})
    assert_same("output", poisoned.output, solved(problem).output)


# --- batch and heads


@given(s=sizes(), random=generators())
@settings(max_examples=25, deadline=None)
def test_a_batch_is_its_entries_side_by_side(s: Sizes, random: Random) -> None:
    problem = any_problem(s, random)
    names = ("query", "key", "value", "mask", "bias")
    whole = solved(problem)
    parts = [solved(along(problem, 0, [entry], *names)) for entry in range(s.batch)]
    for step in whole.steps:
        joined = np.concatenate([part[step.name] for part in parts])
        assert_same(step.name, joined, whole.step(step.name).value)


@given(s=sizes(heads=True), random=generators())
@few
def test_any_number_of_leading_axes(s: Sizes, random: Random) -> None:
    """Two batch axes are a batch of batches, key masks and lengths among them."""
    entries = [
        {
            **vectors(s, random),
            "mask": visible(random, *s.lead, s.n_queries, s.n_keys),
            "key_mask": visible(random, s.batch, s.n_keys),
            "key_lengths": random.integers(0, s.n_keys + 1, size=s.batch),
            "query_mask": visible(random, s.batch, s.n_queries),
        }
        for _ in range(5)
    ]
    whole = solved({name: np.stack([entry[name] for entry in entries]) for name in entries[0]})
    for step in whole.steps:
        parts = [solved(entry).step(step.name) for entry in entries[:2]]
        assert_same(step.name, step.value[:2], np.stack([part.value for part in parts]))
        assert step.axes == ("batch1", "batch2", *parts[0].axes[1:])


@given(s=sizes(), random=generators())
@few
def test_one_key_table_serves_every_batch_entry(s: Sizes, random: Random) -> None:
    """Leading axes broadcast: of 1, or left out where there are no heads."""
    problem = along(any_problem(s, random), 0, [0], "key", "value")
    full = along(problem, 0, [0] * s.batch, "key", "value")
    expected = solved(full).output
    assert_same("output", solved(problem).output, expected)
    if not s.heads:
        bare = {**problem, "key": problem["key"][0], "value": problem["value"][0]}
        assert_same("output", solved(bare).output, expected)


@given(s=sizes(heads=True), random=generators())
@few
def test_permuting_key_heads_permutes_the_query_heads_they_serve(s: Sizes, random: Random) -> None:
    problem = any_problem(s, random)
    group = s.heads // s.kv_heads
    order = random.permutation(s.kv_heads)
    queries = np.concatenate([np.arange(head * group, (head + 1) * group) for head in order])
    moved = along(along(problem, 1, order, "key", "value"), 1, queries, "query", "mask", "bias")
    assert_same("output", solved(moved).output, solved(problem).output[:, queries])


@given(s=sizes(heads=True), random=generators())
@few
def test_grouped_heads_are_key_heads_repeated(s: Sizes, random: Random) -> None:
    problem = any_problem(s, random)
    repeated = {
        name: np.repeat(problem[name], s.heads // s.kv_heads, axis=1) for name in ("key", "value")
    }
    assert_same("output", solved({**problem, **repeated}).output, solved(problem).output)


# --- arrangement


@given(s=sizes(heads=True), random=generators())
@few
def test_tokens_first_is_heads_first_with_two_axes_swapped(s: Sizes, random: Random) -> None:
    problem = any_problem(s, random)
    swapped = {name: np.swapaxes(problem[name], 1, 2) for name in ("query", "key", "value")}
    trace, again = solved(problem), solved({**problem, **swapped, "layout": "tokens-first"})
    assert_same("output", again.output, np.swapaxes(trace.output, 1, 2))
    assert_same("weights", again["weights"], trace["weights"])


@given(s=sizes(heads=False), random=generators())
@few
def test_sequence_first_has_the_batch_second(s: Sizes, random: Random) -> None:
    problem = any_problem(s, random)
    swapped = {name: np.swapaxes(problem[name], 0, 1) for name in ("query", "key", "value")}
    trace, again = solved(problem), solved({**problem, **swapped, "layout": "sequence-first"})
    assert_same("output", again.output, np.swapaxes(trace.output, 0, 1))
    assert_same("weights", again["weights"], trace["weights"])


def packed(array: np.ndarray) -> np.ndarray:
    """`(batch heads n d)` as `(batch n heads·d)`."""
    batch, heads, n, d = array.shape
    return np.swapaxes(array, 1, 2).reshape(batch, n, heads * d)


@given(s=sizes(heads=True), random=generators())
@few
def test_packed_heads_are_split_and_joined_again(s: Sizes, random: Random) -> None:
    problem = any_problem(s, random)
    together = {name: packed(problem[name]) for name in ("query", "key", "value")}
    trace = solved(problem)
    again = solved({**problem, **together, "heads": s.heads, "kv_heads": s.kv_heads})
    for step in ("query", "key", "value", "scores", "masked", "weights"):
        assert_same(step, again[step], trace[step])
    assert_same("heads", again["heads"], trace.output)
    assert_same("joined", again["joined"], packed(trace.output))
    assert_same("output", again.output, packed(trace.output))


@given(s=sizes(), random=generators())
@settings(max_examples=25, deadline=None)
def test_columns_are_rows_transposed(s: Sizes, random: Random) -> None:
    """Vectors, masks, biases and every step; tables of a similarity multiply from the right."""
    problem = any_problem(s, random)
    names = ("query", "key", "value", "mask", "bias")
    turned = {name: np.swapaxes(problem[name], -1, -2) for name in names}
    trace, again = solved(problem), solved({**problem, **turned, "notation": "columns"})
    for step in trace.steps:
        other = again.step(step.name)
        if step.name == "lse":
            assert_same(step.name, other.value, step.value)
            continue
        assert_same(step.name, other.value, np.swapaxes(step.value, -1, -2))
        assert other.axes == (*step.axes[:-2], step.axes[-1], step.axes[-2])
    assert_same("output", again.output, np.swapaxes(trace.output, -1, -2))


@given(s=sizes(heads=True), random=generators())
@few
def test_columns_with_packed_heads_a_cache_and_lists(s: Sizes, random: Random) -> None:
    """What is one number a key or a query has no columns, and lies as it does in rows."""
    past = {"key": random.normal(size=(*s.kv_lead, 4, s.d_k))}
    past["value"] = random.normal(size=(*s.kv_lead, 4, s.d_v))
    problem: Problem = {name: packed(table) for name, table in vectors(s, random).items()}
    problem |= {"past": past, "heads": s.heads, "kv_heads": s.kv_heads, "causal": True}
    problem |= {
        "key_mask": visible(random, s.batch, s.n_keys + 4),
        "query_mask": visible(random, s.batch, s.n_queries),
        "mask": visible(random, s.n_keys + 4),
        "bias": {"relative": random.normal(size=(s.heads, 5))},
    }
    turned = {name: np.swapaxes(problem[name], -1, -2) for name in ("query", "key", "value")}
    turned["past"] = {name: np.swapaxes(table, -1, -2) for name, table in past.items()}
    trace, again = solved(problem), solved({**problem, **turned, "notation": "columns"})
    assert_same("output", again.output, np.swapaxes(trace.output, -1, -2))
    assert_same("weights", again["weights"], np.swapaxes(trace["weights"], -1, -2))


@given(s=sizes(heads=True), random=generators(), per_head=st.booleans(), biased=st.booleans())
@few
def test_columns_with_projections(s: Sizes, random: Random, per_head: bool, biased: bool) -> None:
    """Inputs and tables, one or one a head, are turned; the vectors of biases are not."""
    d_in, d_model, heads = 5, 7, s.kv_heads
    lead = (heads,) if per_head else ()
    width = 1 if per_head else heads
    shapes = {"query": s.d_k, "key": s.d_k, "value": s.d_v}
    tables = {name: random.normal(size=(*lead, d_in, width * d)) for name, d in shapes.items()}
    tables["output"] = random.normal(size=(heads * s.d_v, d_model))
    biases = {name: random.normal(size=(*lead, width * d)) for name, d in shapes.items()}
    problem: Problem = {
        "input": random.normal(size=(3, s.n_queries, d_in)),
        "source": random.normal(size=(3, s.n_keys, d_in)),
        "projections": tables,
        **({"projection_biases": biases} if biased else {}),
        **({} if per_head else {"heads": heads}),
    }
    turned: Problem = {name: np.swapaxes(problem[name], -1, -2) for name in ("input", "source")} | {
        "projections": {name: np.swapaxes(table, -1, -2) for name, table in tables.items()}
    }
    trace, again = solved(problem), solved({**problem, **turned, "notation": "columns"})
    assert {"joined", "output"} <= {*trace.names}
    for step in trace.steps:
        if step.name != "lse":
            assert_same(step.name, again[step.name], np.swapaxes(step.value, -1, -2))


# --- the same thing said otherwise


def same_output(problem: Problem, *others: Problem) -> Trace:
    trace = solved(problem)
    for other in others:
        assert_same("output", solved({**problem, **other}).output, trace.output)
    return trace


@given(s=sizes(), random=generators())
@few
def test_masks_that_say_the_same(s: Sizes, random: Random) -> None:
    problem = any_problem(s, random)
    mask = problem["mask"]
    same_output(
        problem,
        {"mask": ~mask, "mask_means": "drop"},
        {"mask": mask.astype(np.float64), "mask_means": "keep"},
        {"mask": 1 - mask.astype(np.int64), "mask_means": "drop"},
        {"mask": np.where(mask, 0.0, -np.inf), "mask_means": "add"},
        {"mask": np.where(mask, 0.0, -np.inf)},
    )


@given(s=sizes(), random=generators())
@few
def test_a_float_mask_is_a_mask_and_a_bias(s: Sizes, random: Random) -> None:
    problem = any_problem(s, random)
    mask = np.where(problem["mask"], random.normal(size=problem["mask"].shape), -np.inf)
    shift = np.where(problem["mask"], mask, 0.0)
    said_apart = {**problem, "bias": problem["bias"] + shift}
    assert_same("output", solved({**problem, "mask": mask}).output, solved(said_apart).output)


@given(s=sizes(), random=generators(), align=st.sampled_from(["top-left", "bottom-right", 2, -1]))
@few
def test_causal_is_a_window_without_a_right_side(
    s: Sizes, random: Random, align: str | int
) -> None:
    offset = {"top-left": 0, "bottom-right": s.n_keys - s.n_queries}.get(align, align)
    table = np.tri(s.n_queries, s.n_keys, offset, dtype=bool)
    problem = {**any_problem(s, random), "causal": True, "align": align}
    apart = {**problem, "causal": False, "window": [None, 0]}
    trace = same_output(problem, apart, {"window": [-1, None]})
    drawn = {**problem, "mask": problem["mask"] & table}
    for key in ("causal", "align"):
        del drawn[key]
    assert_same("output", solved(drawn).output, trace.output)


@given(s=sizes(), random=generators(), n_past=st.integers(1, 4))
@few
def test_a_cache_is_keys_in_front(s: Sizes, random: Random, n_past: int) -> None:
    """Queries then stand right after the cache, and rotation goes on counting there."""
    problem = {**vectors(s, random), "causal": True, "align": n_past, "rope": {"width": 10}}
    cached = {
        **problem,
        "past": {name: problem[name][..., :n_past, :] for name in ("key", "value")},
        **{name: problem[name][..., n_past:, :] for name in ("key", "value")},
    }
    cached["past"]["key"] = solved(problem)["key"][..., :n_past, :]
    del cached["align"]
    assert_same("output", solved(cached).output, solved(problem).output)


@given(s=sizes(), random=generators())
@few
def test_a_sink_is_a_key_without_a_value(s: Sizes, random: Random) -> None:
    """A sink of 0 beside zero values says what a zero key says (softmax1, add_zero_attn)."""
    problem = {**vectors(s, random), "mask": visible(random, s.n_queries, s.n_keys)}
    sink, zero_key = solved({**problem, "sink": 0}), solved({**problem, "zero_key": True})
    assert_same("output", sink.output, zero_key.output)
    assert_same("weights", sink["weights"], zero_key["weights"][..., :-1])


@given(s=sizes(), random=generators(), shift=st.integers(1, 50))
@few
def test_rotated_scores_know_only_distances(s: Sizes, random: Random, shift: int) -> None:
    """RoFormer: moving queries and keys together leaves every score."""
    places = {"query": np.arange(s.n_queries), "key": np.arange(s.n_keys)}
    for pairing in ("halves", "interleaved"):
        rope = {"pairing": pairing, "width": 10}
        here, there = (
            solved(
                {
                    **vectors(s, np.random.default_rng(shift)),
                    "rope": {
                        **rope,
                        "positions": {side: row + move for side, row in places.items()},
                    },
                }
            )
            for move in (0, shift)
        )
        assert_same("scores", there["scores"], here["scores"], 1e-9, 1e-11)
        assert not np.allclose(here["query"], there["query"])
