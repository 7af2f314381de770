"""The axes and lengths that an attention says of itself, and the keys that stand beside its own."""

from dataclasses import fields, is_dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest

import attncli.core
from attncli import load
from attncli.core.attention import Attention
from attncli.core.excerpt import only
from attncli.core.heads import Linear, Projections
from attncli.core.masking import Addition, Lengths
from attncli.core.moving import moved
from attncli.core.normalize import Sigmoid
from attncli.core.problem import bytes_each
from attncli.core.rotary import Rotary
from attncli.core.step import Step, result, run
from attncli.core.weighted import weighted_sum

RANDOM = np.random.default_rng(23)
Lead = tuple[int, ...]


def normal(*shape: int) -> Any:
    return RANDOM.normal(size=shape)


def attention(q: Lead, k: Lead, v: Lead, **keys: Any) -> Attention:
    return Attention(query=normal(*q, 2, 5), key=normal(*k, 7, 5), value=normal(*v, 7, 3), **keys)


@pytest.mark.parametrize(
    ("leads", "leading", "heads", "kv_heads"),
    [
        (((), (), ()), (1,), 1, 1),
        (((6,), (3,), (3,)), (6,), 6, 3),
        (((6,), (), ()), (6,), 6, 6),
        (((6,), (), (3,)), (6,), 6, 3),
        (((5, 6), (3,), (3,)), (5, 6), 6, 3),
        (((6,), (5, 3), (5, 3)), (5, 6), 6, 3),
        (((1, 6), (5, 1), (1, 1)), (5, 6), 6, 1),
        (((6,), (3,), (5, 3)), (5, 6), 6, 3),
    ],
)
def test_leading_axes_are_those_of_all_and_heads_those_of_queries(
    leads: tuple[Lead, Lead, Lead], leading: Lead, heads: int, kv_heads: int
) -> None:
    if leads[0] == ():
        plain = attention(*leads)
        assert (plain.leading, plain.n_heads, plain.n_kv_heads) == ((), 1, 1)
        assert plain.sizes() == {"query": 2, "key": 7}
        return
    grouped = attention(*leads, head_axis=True)
    assert (grouped.leading, grouped.n_heads, grouped.n_kv_heads) == (leading, heads, kv_heads)
    batch = {"batch": leading[0]} if len(leading) > 1 else {}
    assert grouped.sizes() == {"query": 2, "key": 7, "head": heads, **batch}
    assert result(grouped.steps(np)).shape == (*leading, 2, 3)


def axes(problem: Attention) -> dict[str, tuple[str, ...]]:
    steps = list(run(problem.steps(np)))
    for step in steps:
        assert len(step.axes) == step.value.ndim
    return {step.name: step.axes for step in steps}


@pytest.mark.parametrize(
    ("lead", "names"), [((), ()), ((5,), ("batch",)), ((5, 2), ("batch1", "batch2"))]
)
def test_steps_name_their_axes(lead: Lead, names: tuple[str, ...]) -> None:
    plain = axes(attention(lead, lead, lead))
    assert plain["query"] == (*names, "query", "feature")
    assert plain["key"] == plain["value"] == (*names, "key", "feature")
    assert plain["weights"] == (*names, "query", "key")
    assert plain["lse"] == (*names, "query")

    heads = (*lead, 6)
    own = axes(
        attention(
            heads,
            heads,
            heads,
            head_axis=True,
            projections=Projections(output=Linear(normal(3, 2))),
        )
    )
    assert own["weights"] == (*names, "head", "query", "key")
    assert own["lse"] == (*names, "head", "query")
    assert own["heads"] == own["output"] == (*names, "head", "query", "feature")

    packed = Attention(
        query=normal(*lead, 2, 6), key=normal(*lead, 7, 6), value=normal(*lead, 7, 6), heads=3
    )
    split = axes(packed)
    assert split["heads"] == (*names, "head", "query", "feature")
    assert split["joined"] == split["output"] == (*names, "query", "feature")


def test_keys_of_the_cache_stand_in_front_and_those_that_are_added_behind() -> None:
    past, value = normal(3, 4, 5), normal(3, 4, 3)
    extra, extra_value = normal(1, 5), normal(1, 3)
    problem = attention(
        (3,),
        (3,),
        (3,),
        past_key=past,
        past_value=value,
        extra_key=extra,
        extra_value=extra_value,
        zero_key=True,
    )
    assert (problem.n_past, problem.n_new_keys, problem.n_added, problem.n_keys) == (4, 7, 2, 13)
    steps = {step.name: step.value for step in run(problem.steps(np))}
    for name, before, own, added in (
        ("key", past, problem.key, extra),
        ("value", value, problem.value, extra_value),
    ):
        rows = steps[name]
        np.testing.assert_array_equal(rows[:, :4], before)
        np.testing.assert_array_equal(rows[:, 4:11], own)
        np.testing.assert_array_equal(rows[:, 11], np.broadcast_to(added, rows[:, 11].shape))
        assert not rows[:, 12].any()
    alone = attention((3,), (3,), (3,), zero_key=True)
    assert (alone.n_past, alone.n_added, alone.n_keys) == (0, 1, 8)


def test_a_cache_without_values_serves_where_there_are_none() -> None:
    keys: dict[str, Any] = {"query": normal(2, 5), "key": normal(7, 5)}
    problem = load(**keys, past={"key": normal(4, 5)})
    assert isinstance(problem, Attention)
    assert result(problem.steps(np)).shape == (2, 11)


def test_features_of_queries_are_told_where_there_are_queries() -> None:
    assert attention((), (), ()).d_k == 5
    assert Attention(scores=normal(2, 7)).d_k == 0


def test_arrays_move_and_what_is_only_shown_stays() -> None:
    query = normal(2, 4)
    rotary = Rotary(np.ones((2, 1)), np.zeros((2, 1)), np.ones((7, 1)), np.zeros((7, 1)))
    problem = Attention(
        query=query,
        key=normal(7, 4),
        value=normal(7, 3),
        rotary=rotary,
        scale=np.float64(0.5),
        sink=None,
    )
    seen: list[Any] = []

    def move(array: Any) -> Any:
        seen.append(array)
        return array + 1

    there = moved(problem, move)
    assert [array.shape for array in seen] == [
        (2, 4),
        (7, 4),
        (7, 3),
        *[(2, 1)] * 2,
        *[(7, 1)] * 2,
    ]
    np.testing.assert_array_equal(there.query, query + 1)
    np.testing.assert_array_equal(there.rotary.key_sin, np.ones((7, 1)))
    assert (type(there.scale), there.scale) == (float, 0.5)
    assert there.presentation is problem.presentation


def test_numbers_have_eight_or_four_bytes() -> None:
    assert (bytes_each("float64"), bytes_each("float32")) == (8, 4)


def test_steps_know_their_recipe_and_their_name_in_it() -> None:
    step = Step("layers.0.self_attention.scores", None, ())
    assert (step.recipe, step.base) == ("layers.0.self_attention", "scores")
    assert (Step("output", None, ()).recipe, Step("output", None, ()).base) == ("", "output")


def test_what_is_computed_with_cannot_be_changed_and_arrays_are_never_compared() -> None:
    """A problem is frozen; two with arrays are the same only where they are the same object."""
    for module in iter_modules(attncli.core.__path__, "attncli.core."):
        for made in vars(import_module(module.name)).values():
            if not is_dataclass(made) or made.__module__ != module.name:
                continue
            assert made.__dataclass_params__.frozen, made
            if any("Array" in str(field.type) for field in fields(made)):
                assert made.__hash__ is object.__hash__, made
                assert made.__eq__ is object.__eq__, made


SWITCHES: dict[str, dict[str, Any]] = {
    "plain": {},
    "without values": {"value": None},
    "scaled": {"scale": 0.5},
    "capped": {"softcap": 2.0},
    "biased": {"biases": (Addition(normal(2, 7)),)},
    "masked": {"masks": (Lengths(5),)},
    "no softmax": {"normalizer": Sigmoid()},
    "projected": {"projections": Projections(output=Linear(normal(3, 3)))},
    "all": {"scale": 0.5, "softcap": 2.0, "biases": (Addition(normal(2, 7)),), "masked_by": -9.0}
    | {"masks": (Lengths(5),)},
}


@pytest.mark.parametrize("name", SWITCHES)
def test_the_steps_that_settings_switch_on_are_those_that_are_told(name: str) -> None:
    keys: dict[str, Any] = {"query": normal(2, 5), "key": normal(7, 5), "value": normal(7, 3)}
    for given in (keys, {"scores": normal(2, 7), "value": keys["value"]}):
        problem = Attention(**{**given, **SWITCHES[name]})
        steps = {step.name: step.value for step in run(problem.steps(np))}
        assert tuple(steps) == problem.step_names()
        scores = steps["scores"]
        if problem.scale is not None:
            scores = scores * 0.5
            np.testing.assert_array_equal(steps["scaled"], scores)
        if problem.softcap is not None:
            scores = 2.0 * np.tanh(scores / 2.0)
            np.testing.assert_array_equal(steps["capped"], scores)
        if problem.biases:
            scores = scores + problem.biases[0].bias(range(2), range(7), np)
            np.testing.assert_array_equal(steps["biased"], scores)
        if problem.masks:
            hidden = scores - 9.0 if problem.masked_by is not None else -np.inf
            scores = np.where(np.arange(7) < 5, scores, hidden)
            np.testing.assert_array_equal(steps["masked"], scores)
    heads = Attention(query=normal(2, 6), key=normal(7, 6), value=normal(7, 6), heads=2)
    assert tuple(axes(heads)) == heads.step_names()


def test_settings_are_those_in_force() -> None:
    keys: dict[str, Any] = {"query": normal(2, 5), "key": normal(7, 5), "value": normal(7, 3)}
    for changes, expected in (
        ({}, {"scale": "auto", "similarity": "scaled-dot", "normalizer": "softmax"}),
        ({"scale": 0.25}, {"scale": 0.25, "temperature": 1.0, "softcap": None}),
        ({"scale": "none", "softcap": 3.0}, {"scale": "none", "softcap": 3.0}),
        ({"similarity": "dot"}, {"scale": "none", "similarity": "dot"}),
        ({"temperature": 2.0, "masked_row": "nan"}, {"temperature": 2.0, "masked_row": "nan"}),
    ):
        settings = load(**keys, **changes).settings()
        assert {name: settings[name] for name in expected} == expected
    assert load(scores=normal(2, 7)).settings()["similarity"] == "given"


@pytest.mark.parametrize("lead", [(), (3,)])
def test_a_sink_takes_its_share_and_is_no_key(lead: Lead) -> None:
    scores, sinks = normal(*lead, 2, 7), np.array([[[0.5]], [[-1.0]], [[2.0]]])
    sink = sinks if lead else sinks[0]
    problem = Attention(scores=scores, sink=sink, head_axis=bool(lead))
    weights = {step.name: step.value for step in run(problem.steps(np))}["weights"]
    exponentials = np.exp(scores)
    expected = exponentials / (exponentials.sum(axis=-1, keepdims=True) + np.exp(sink))
    np.testing.assert_allclose(weights, expected, rtol=1e-13)


def test_a_key_that_is_left_out_keeps_its_value_to_itself() -> None:
    """Elsewhere 0 times infinity is NaN, and what is not finite reaches every feature of it."""
    weights = np.array([[[0.5, 0.0, 0.5, 0.0], [0.0, 0.25, 0.5, 0.25]]])
    left_out = np.array([[[False, True, False, False], [True, False, False, False]]])
    for bad in (np.nan, np.inf, -np.inf):
        for place in range(4):
            value = normal(1, 4, 3)
            value[0, place, 1] = bad
            for out in (left_out, None):
                with np.errstate(invalid="ignore"):
                    got = weighted_sum(weights, value, out, np)
                for i, j in np.ndindex(2, 3):
                    total = 0.0
                    for key in range(4):
                        if out is None or not out[0, i, key]:
                            total += float(weights[0, i, key]) * float(value[0, key, j])
                    assert got[0, i, j] == pytest.approx(total, nan_ok=True)


def test_a_step_that_is_changed_is_what_the_recipe_goes_on_with() -> None:
    problem = Attention(scores=normal(2, 7), value=normal(7, 3))

    def doubled(step: Step) -> Any:
        return step.value * (2 if step.name == "weights" else 1)

    plain, changed = (
        {step.name: step.value for step in run(problem.steps(np), change)}
        for change in (None, doubled)
    )
    np.testing.assert_array_equal(changed["weights"], 2 * plain["weights"])
    np.testing.assert_allclose(changed["output"], 2 * plain["output"])


def test_a_table_of_places_that_all_queries_share_serves_some_of_them() -> None:
    turn = (np.full((1, 1), 0.6), np.full((1, 1), 0.8), np.ones((7, 1)), np.zeros((7, 1)))
    keys = {"query": normal(5, 4), "key": normal(7, 4), "value": normal(7, 3)}
    whole = Attention(**keys, rotary=Rotary(*turn))
    part = only(whole, range(2, 4))
    assert part.n_queries == 2
    np.testing.assert_allclose(result(part.steps(np)), result(whole.steps(np))[2:4], rtol=1e-13)
