"""Vision Transformers, held to plain loops: patches, embedding, class token, positions, head."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attncli import attend, load
from attncli.solve import solve
from tests.core.test_transformer import state_dict
from tests.oracle_layers import stack

Keys = dict[str, Any]
D, HEADS, PATCH, ROWS, COLUMNS, CHANNELS, BATCH = 6, 2, 2, 3, 5, 3, 2
N, WIDE, CLASSES = ROWS * COLUMNS, PATCH * PATCH * CHANNELS, 7


@st.composite
def problems(draw: st.DrawFn) -> Keys:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    token = draw(st.booleans())
    state = {
        f"layers.0.{name}": array
        for name, array in state_dict(random, D, 5, decoder=False, bias=True).items()
    }
    keys: Keys = {
        "kind": "encoder",
        "input": random.random((BATCH, ROWS * PATCH, COLUMNS * PATCH, CHANNELS)),
        "patch": PATCH,
        "heads": HEADS,
        "norm": draw(st.sampled_from(["post", "pre"])),
        "activation": "gelu",
        "epsilon": 0.01,
        "embedding": {"weight": random.normal(size=(WIDE, D))},
        "parameters": {**state, "norm.weight": random.normal(size=D)},
    }
    if draw(st.booleans()):
        keys["embedding"]["bias"] = random.normal(size=D)
    if token:
        keys["class_token"] = random.normal(size=D)
        if draw(st.booleans()):
            keys["pooler"] = {"weight": random.normal(size=(D, D)), "bias": random.normal(size=D)}
    if draw(st.booleans()):
        keys["positions"] = random.normal(size=(N + token, D))
    if draw(st.booleans()):
        keys["head"] = {"weight": random.normal(size=(D, CLASSES))}
        keys["head"] |= {"bias": random.normal(size=CLASSES)} if draw(st.booleans()) else {}
    return keys


def linear(x: list[float], table: dict[str, np.ndarray]) -> list[float]:
    weight = table["weight"].tolist()
    bias = table["bias"].tolist() if "bias" in table else [0.0] * len(weight[0])
    return [
        sum(a * row[j] for a, row in zip(x, weight, strict=True)) + bias[j]
        for j in range(len(bias))
    ]


def by_loops(keys: Keys, entry: int) -> dict[str, Any]:
    """Every step of one picture."""
    image = keys["input"][entry].tolist()
    patches = [
        [
            image[row * PATCH + i][column * PATCH + j][c]
            for i in range(PATCH)
            for j in range(PATCH)
            for c in range(CHANNELS)
        ]
        for row in range(ROWS)
        for column in range(COLUMNS)
    ]
    steps: dict[str, Any] = {"patches": patches}
    x = steps["embedded"] = [linear(patch, keys["embedding"]) for patch in patches]
    token = "class_token" in keys
    if token:
        x = steps["tokens"] = [keys["class_token"].tolist(), *x]
    positions = keys["positions"].tolist() if "positions" in keys else None
    settings = {name: keys[name] for name in ("heads", "norm", "activation", "epsilon")}
    state = {name: array.tolist() for name, array in keys["parameters"].items()}
    steps |= stack({**settings, "input": x, "positions": positions, "causal": False}, state, 1)
    last = steps["norm"]
    if "pooler" in keys:
        steps["pooled"] = [math.tanh(z) for z in linear(last[0], keys["pooler"])]
    if "head" in keys:
        made = [linear(x, keys["head"]) for x in last]
        steps["output"] = made[0] if token else made
    return steps


@given(problems())
def test_every_step_is_what_plain_loops_compute(keys: Keys) -> None:
    trace = attend(**keys)
    expected = [by_loops(keys, entry) for entry in range(BATCH)]
    assert {*expected[0]} <= {*trace.names}
    for name in expected[0]:
        theirs = np.array([entry[name] for entry in expected])
        np.testing.assert_allclose(trace[name], theirs, rtol=1e-6, atol=1e-8, err_msg=name)


@given(problems())
def test_what_is_said_of_it_is_so(keys: Keys) -> None:
    problem = load(**keys)
    trace = solve(problem)
    assert trace.names == problem.step_names()
    assert problem.memory(None) >= sum(step.value.nbytes for step in trace.steps)
    assert trace["layers.0.self_attention.weights"].shape[-1] == problem.sizes()["key"]


@given(problems())
def test_columns_give_the_same_numbers(keys: Keys) -> None:
    """A picture, a state_dict and vectors lie as ever; every other table is turned."""
    turned = {
        key: {part: table.T for part, table in value.items()} if key in LINEARS else value
        for key, value in keys.items()
    }
    if "positions" in keys:
        turned["positions"] = keys["positions"].T
    rows, columns = attend(**keys), attend(**turned, notation="columns")
    for step in rows.steps:
        theirs = columns[step.name]
        if columns.step(step.name).axes != step.axes:
            theirs = np.swapaxes(theirs, -1, -2)
        np.testing.assert_array_equal(theirs, step.value, err_msg=step.name)


LINEARS = ("embedding", "pooler", "head")


def test_the_vectors_are_named_by_their_places_and_classes_by_their_labels() -> None:
    labels = tuple(f"c{i}" for i in range(CLASSES))
    random = np.random.default_rng(3)
    state = state_dict(random, D, 5, decoder=False, bias=False)
    trace = attend(
        kind="encoder",
        input=random.random((6, 10, 3)),
        patch=2,
        heads=2,
        parameters=state,
        embedding={"weight": random.normal(size=(WIDE, D))},
        class_token=random.normal(size=D),
        head={"weight": random.normal(size=(D, CLASSES))},
        labels={"class": labels},
    )
    names = trace.labels.given
    assert names("query")[:3] == ("class", "r0c0", "r0c1")
    assert names("patch")[:2] == ("r0c0", "r0c1")
    assert names("class") == labels
    assert trace.step("output").axes == ("class",)


def parts(**changes: Any) -> Keys:
    """An encoder of vectors, or of a picture, with a class token."""
    random = np.random.default_rng(7)
    return {
        "kind": "encoder",
        "input": random.random((6, 10, 3)),
        "patch": 2,
        "heads": 2,
        "parameters": state_dict(random, D, 5, decoder=False, bias=True),
        "embedding": {"weight": random.normal(size=(WIDE, D))},
        "class_token": random.normal(size=D),
        **changes,
    }


def test_vectors_that_are_wide_enough_need_no_embedding() -> None:
    keys = parts(input=np.random.default_rng(8).random((2, 3, D)), layout="hwc")
    del keys["embedding"], keys["patch"]
    trace = attend(**keys)
    assert trace.names[:2] == ("patches", "tokens")
    assert trace.names == trace.problem.step_names()
    assert trace["tokens"].shape == (7, D)
    np.testing.assert_array_equal(trace["tokens"][0], keys["class_token"])
    np.testing.assert_array_equal(trace["tokens"][1:], keys["input"].reshape(6, D))
    traits = trace.problem.traits()
    assert traits["class_token"] is True
    assert {traits[name] for name in ("head", "head_bias", "embedding_bias")} == {False}
    assert "2 × 3 pixels and a class token" in trace.problem.facts()


def test_what_is_made_of_the_class_token_is_made_of_the_first_vector() -> None:
    random = np.random.default_rng(9)
    pooler, head = random.normal(size=(D, 11)), random.normal(size=(D, CLASSES))
    bias = random.normal(size=CLASSES)
    for lead, axes in (((), ()), ((2,), ("batch",))):
        keys = parts(
            input=random.random((*lead, 6, 10, 3)),
            pooler={"weight": pooler},
            head={"weight": head, "bias": bias},
        )
        trace = attend(**keys)
        last = trace["layers.0.norm2"]
        np.testing.assert_allclose(trace["pooled"], np.tanh(last[..., 0, :] @ pooler), rtol=1e-12)
        np.testing.assert_allclose(trace["output"], last[..., 0, :] @ head + bias, rtol=1e-12)
        assert trace.step("pooled").axes == (*axes, "feature")
        assert trace.step("output").axes == (*axes, "class")
        assert trace.names == trace.problem.step_names()
        assert trace.problem.sizes()["query"] == N + 1
        traits = trace.problem.traits()
        assert (traits["head"], traits["head_bias"]) == (True, True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"class_token": np.ones(D + 1)}, "class_token has"),
        ({"class_token": None, "pooler": {"weight": np.ones((D, D))}}, "pooler without"),
        ({"head": {"weight": np.ones((D + 1, CLASSES))}}, "head.weight has 7 rows"),
        ({"pooler": {"weight": np.ones((D + 1, CLASSES))}}, "pooler.weight has 7 rows"),
        ({"embedding": {"weight": np.ones((WIDE - 1, D))}}, "embedding.weight has 11 rows"),
        ({"positions": np.ones((N, D))}, "positions has"),
        ({"positions": np.ones((N + 2, D))}, "positions has"),
    ],
)
def test_what_does_not_fit_a_vision_transformer_is_refused(changes: Keys, words: str) -> None:
    from attncli.errors import InputError

    load(**parts(positions=np.ones((N + 1, D))))
    with pytest.raises(InputError, match=words):
        load(**parts(**changes))


@pytest.mark.parametrize(("key", "value"), [("heads", 4), ("norm", "post"), ("patch", 4)])
def test_a_key_that_contradicts_the_checkpoint_is_refused(key: str, value: object) -> None:
    from pathlib import Path

    from attncli.errors import InputError

    here = Path(__file__).resolve().parents[1] / "conformance" / "hf_tiny" / "vit-a"
    with pytest.raises(InputError, match=f"{key}: {value}, and .* says"):
        load(kind="encoder", input=np.zeros((32, 32, 3)), parameters=str(here), **{key: value})
