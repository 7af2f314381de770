"""Encoders and decoders, held to plain loops, and what cannot be one refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attncli import attend, load
from attncli.core.layers import LayerNorm
from attncli.core.transformer import sinusoidal
from attncli.errors import InputError, RefusedError
from attncli.solve import solve
from tests.oracle_layers import stack, wave

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
# Mostly primes, all different: an axis that is taken for another cannot go unnoticed.
WIDTHS = st.sampled_from([(3, 1), (6, 2), (5, 5), (6, 3), (1, 1)])
"""d_model and heads."""


@dataclass(frozen=True)
class Case:
    keys: dict[str, Any]
    state: dict[str, np.ndarray]
    n_layers: int

    @property
    def is_decoder(self) -> bool:
        return self.keys["kind"] == "decoder"


def state_dict(
    random: np.random.Generator, d: int, hidden: int, *, decoder: bool, bias: bool
) -> dict[str, np.ndarray]:
    """Random tensors under torch's names, of one layer."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name in ("self_attn", "multihead_attn")[: 1 + decoder]:
        shapes |= {f"{name}.in_proj_weight": (3 * d, d), f"{name}.in_proj_bias": (3 * d,)}
        shapes |= {f"{name}.out_proj.weight": (d, d), f"{name}.out_proj.bias": (d,)}
    shapes |= {"linear1.weight": (hidden, d), "linear1.bias": (hidden,)}
    shapes |= {"linear2.weight": (d, hidden), "linear2.bias": (d,)}
    for number in range(1, 3 + decoder):
        shapes |= {f"norm{number}.weight": (d,), f"norm{number}.bias": (d,)}
    return {
        name: random.normal(size=shape)
        for name, shape in shapes.items()
        if bias or not name.endswith("bias")
    }


@st.composite
def stacks(draw: st.DrawFn) -> Case:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    decoder, bias = draw(st.booleans()), draw(st.booleans())
    n_layers, (d, heads) = draw(st.integers(1, 3)), draw(WIDTHS)
    batch, n, m = draw(st.sampled_from([(2, 5, 7), (3, 1, 2), (1, 4, 1)]))
    state: dict[str, np.ndarray] = {}
    for number in range(n_layers):
        inner = state_dict(random, d, draw(st.sampled_from([7, 2])), decoder=decoder, bias=bias)
        state |= {f"layers.{number}.{name}": array for name, array in inner.items()}
    if draw(st.booleans()):
        state["norm.weight"] = random.normal(size=d)
        state |= {"norm.bias": random.normal(size=d)} if bias else {}
    keys: dict[str, Any] = {
        "kind": "decoder" if decoder else "encoder",
        "input": random.normal(size=(batch, n, d)),
        "heads": heads,
        "norm": draw(st.sampled_from(["post", "pre"])),
        "activation": draw(st.sampled_from(["relu", "gelu", "gelu-tanh", "silu"])),
        "epsilon": draw(st.sampled_from([1e-12, 1e-5, 0.01, 1.0])),
        "causal": draw(st.booleans()),
    }
    positions = draw(st.sampled_from([None, "sinusoidal", "table"]))
    if positions:
        table = random.normal(size=(n + 2, d))
        keys["positions"] = table if positions == "table" else positions
    pairs = {"": n}
    if decoder:
        keys["source"] = random.normal(size=(batch, m, d))
        pairs["source_"] = m
    for of, n_keys in pairs.items():
        if draw(st.booleans()):
            keys[f"{of}mask"] = random.random((n, n_keys)) < 0.7
        if draw(st.booleans()):
            keys[f"{of}key_mask"] = random.random((batch, n_keys)) < 0.7
    return Case(keys, state, n_layers)


def by_loops(case: Case) -> list[dict[str, Any]]:
    """The oracle's steps of each batch entry."""
    shared = {"mask", "source_mask", "positions"}
    state = {name: array.tolist() for name, array in case.state.items()}
    results = []
    for entry in range(len(case.keys["input"])):
        problem = {
            key: (value if key in shared else value[entry]).tolist()
            if isinstance(value, np.ndarray)
            else value
            for key, value in case.keys.items()
        }
        results.append(stack(problem, state, case.n_layers))
    return results


@given(stacks())
def test_every_step_is_what_plain_loops_compute(case: Case) -> None:
    trace = attend(**case.keys, parameters=case.state)
    expected = by_loops(case)
    assert {*expected[0]} <= {*trace.names}
    for name in expected[0]:
        theirs = np.array([entry[name] for entry in expected])
        # Norms of nearly equal features divide rounding errors by √ε.
        np.testing.assert_allclose(trace[name], theirs, rtol=1e-6, atol=1e-8, err_msg=name)


@pytest.mark.parametrize(("kind", "norm"), [("encoder", "post"), ("decoder", "pre")])
def test_fixed_stacks_are_what_plain_loops_compute(kind: str, norm: str) -> None:
    random, decoder = np.random.default_rng(8), kind == "decoder"
    state: dict[str, np.ndarray] = {"norm.weight": random.normal(size=6)}
    for number in range(2):
        inner = state_dict(random, 6, 7, decoder=decoder, bias=decoder)
        state |= {f"layers.{number}.{name}": array for name, array in inner.items()}
    keys: dict[str, Any] = {
        "kind": kind,
        "input": random.normal(size=(2, 3, 6)),
        "heads": 2,
        "norm": norm,
        "activation": "gelu-tanh",
        "epsilon": 0.1,
        "causal": decoder,
        "positions": "sinusoidal",
    }
    keys |= {"source": random.normal(size=(2, 5, 6))} if decoder else {}
    trace, expected = attend(**keys, parameters=state), by_loops(Case(keys, state, 2))
    assert trace.names == load(**keys, parameters=state).step_names()
    assert {*expected[0]} <= {*trace.names}
    for name in expected[0]:
        theirs = np.array([entry[name] for entry in expected])
        np.testing.assert_allclose(trace[name], theirs, rtol=1e-9, atol=1e-11, err_msg=name)


@given(stacks())
def test_what_is_said_of_a_stack_is_so(case: Case) -> None:
    problem = load(**case.keys, parameters=case.state)
    trace = solve(problem)
    assert trace.names == problem.step_names()
    assert problem.memory(None) >= sum(step.value.nbytes for step in trace.steps)
    assert problem.memory(()) < problem.memory(None)
    alone = solve(problem, keep=())
    assert alone.names == ("output",)
    np.testing.assert_array_equal(alone.output, trace.output)


@given(stacks())
def test_columns_are_the_same_numbers(case: Case) -> None:
    def turned(key: str, value: Any) -> Any:
        tables = ("input", "source", "mask", "source_mask", "positions")
        return np.swapaxes(value, -1, -2) if key in tables and value is not None else value

    keys = {k: v if isinstance(v, str) else turned(k, v) for k, v in case.keys.items()}
    rows = attend(**case.keys, parameters=case.state)
    columns = attend(**keys, parameters=case.state, notation="columns")
    for ours, theirs in zip(rows.steps, columns.steps, strict=True):
        turned_back = theirs.value if ours.base == "lse" else np.swapaxes(theirs.value, -1, -2)
        np.testing.assert_array_equal(ours.value, turned_back, err_msg=ours.name)


def test_a_lone_layer_and_a_stack_of_one_are_the_same() -> None:
    random = np.random.default_rng(0)
    state = state_dict(random, 6, 7, decoder=False, bias=True)
    keys: dict[str, Any] = {"kind": "encoder", "input": random.normal(size=(5, 6)), "heads": 2}
    lone = attend(**keys, parameters=state)
    stacked = attend(**keys, parameters={f"layers.0.{k}": v for k, v in state.items()})
    assert lone.names == stacked.names
    np.testing.assert_array_equal(lone.output, stacked.output)


def test_sequence_first_moves_the_batch_and_nothing_else() -> None:
    random = np.random.default_rng(1)
    state = state_dict(random, 6, 7, decoder=True, bias=True)
    x, memory = random.normal(size=(3, 5, 6)), random.normal(size=(3, 7, 6))
    keys: dict[str, Any] = {"kind": "decoder", "heads": 3, "parameters": state}
    first = attend(**keys, input=x, source=memory).output
    flipped = attend(
        **keys,
        input=np.swapaxes(x, 0, 1),
        source=np.swapaxes(memory, 0, 1),
        layout="sequence-first",
    ).output
    np.testing.assert_array_equal(np.swapaxes(flipped, 0, 1), first)


def test_what_is_masked_cannot_reach_the_output() -> None:
    random = np.random.default_rng(2)
    state = state_dict(random, 6, 7, decoder=True, bias=True)
    memory = random.normal(size=(7, 6))
    keys: dict[str, Any] = {
        "kind": "decoder",
        "heads": 2,
        "parameters": state,
        "input": random.normal(size=(5, 6)),
        "source_key_mask": [True] * 6 + [False],
        "allow_nonfinite": True,
    }
    clean = attend(**keys, source=memory).output
    poisoned = np.concatenate([memory[:6], np.full((1, 6), np.nan)])
    np.testing.assert_array_equal(attend(**keys, source=poisoned).output, clean)


@pytest.mark.parametrize("d", [1, 2, 5, 8])
def test_sinusoidal_positions_are_sine_and_cosine_in_turn(d: int) -> None:
    expected = [wave(place, d) for place in range(11)]
    np.testing.assert_allclose(sinusoidal(11, d, np), expected, rtol=0, atol=1e-15)


def test_positions_are_added_to_the_places_that_there_are() -> None:
    random = np.random.default_rng(5)
    x, state = random.normal(size=(3, 5, 6)), STATE
    keys: dict[str, Any] = {"kind": "encoder", "input": x, "heads": 2, "parameters": state}
    for shape in ((5, 6), (9, 6), (1, 7, 6), (3, 5, 6)):
        table = random.normal(size=shape)
        got = attend(**keys, positions=table)["positioned"]
        np.testing.assert_array_equal(got, x + table[..., :5, :])
    for shape in ((4, 6), (5, 7), (6,), (2, 5, 6), (1, 3, 5, 6), (5, 5), (1, 6, 5)):
        with pytest.raises(InputError, match="positions") as refused:
            load(**keys, positions=np.ones(shape))
        assert refused.value.subject == "positions"


def test_a_norm_is_that_of_its_features() -> None:
    x, weight, bias = (np.random.default_rng(6).normal(size=n) for n in ((2, 3, 5), 5, 5))
    for shift in (None, bias):
        got = LayerNorm(weight, shift, 0.1).apply(x, np)
        for index in np.ndindex(2, 3):
            row = x[index].tolist()
            mean = sum(row) / 5
            variance = sum((one - mean) ** 2 for one in row) / 5
            for i, one in enumerate(row):
                expected = (one - mean) / (variance + 0.1) ** 0.5 * weight[i]
                expected += 0.0 if shift is None else bias[i]
                assert got[index][i] == pytest.approx(expected, rel=1e-12)


def test_what_a_stack_says_of_its_sizes() -> None:
    random = np.random.default_rng(7)
    decoder = load(
        kind="decoder",
        input=random.normal(size=(3, 5, 6)),
        source=random.normal(size=(3, 7, 6)),
        heads=2,
        parameters=DECODER,
        epsilon=0.01,
        norm="pre",
    )
    assert decoder.sizes() == {"query": 5, "key": 7, "head": 2, "batch": 3}
    assert decoder.facts() == (
        "1 decoder layer",
        "batch 3",
        "2 heads",
        "5 vectors, 7 of the source",
        "d 6",
        "pre-norm, relu",
        "dot, scaled",
        "float64",
    )
    settings = decoder.settings()
    assert {name: settings[name] for name in ("heads", "norm", "epsilon", "activation")} == {
        "heads": 2,
        "norm": "pre",
        "epsilon": 0.01,
        "activation": "relu",
    }
    traits = decoder.traits()
    assert (traits["layers"], traits["joined"], traits["biased"]) == (1, True, True)
    long = load(
        kind="decoder",
        input=random.normal(size=(11, 6)),
        source=random.normal(size=(7, 6)),
        heads=2,
        parameters=DECODER,
    )
    assert long.sizes() == {"query": 11, "key": 11, "head": 2}


def test_float32_stays_float32() -> None:
    random = np.random.default_rng(3)
    state = state_dict(random, 6, 7, decoder=False, bias=True)
    small = {name: array.astype(np.float32) for name, array in state.items()}
    x = random.normal(size=(5, 6)).astype(np.float32)
    for activation in ("relu", "gelu", "gelu-tanh", "silu"):
        trace = attend(
            kind="encoder",
            input=x,
            heads=2,
            parameters=small,
            activation=activation,
            positions="sinusoidal",
        )
        assert {step.value.dtype.name for step in trace.steps} == {"float32"}


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_the_samples_name_their_vectors(name: str) -> None:
    trace = attend(SAMPLES / f"{name}.yaml")
    assert trace.labels.at("layers.0.self_attention.weights").key == trace.labels.query
    cross = trace.labels.at("layers.0.cross_attention.weights").key
    assert cross == (("I", "am", "here", "<pad>") if name == "decoder" else trace.labels.query)
    assert "layers.0.norm2" in repr(trace) or "layer 0" in repr(trace)


X = np.arange(12.0).reshape(2, 6)
STATE = state_dict(np.random.default_rng(4), 6, 7, decoder=False, bias=True)
DECODER = state_dict(np.random.default_rng(4), 6, 7, decoder=True, bias=True)
TWO = {f"layers.{n}.{name}": array for n in (0, 2) for name, array in STATE.items()}


def without(state: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {key: array for key, array in state.items() if key != name}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"input": None}, "input is missing"),
        ({"parameters": None}, "parameters is missing"),
        ({"heads": None}, "parameters without heads"),
        ({"heads": 4}, "input has 6 features, which 4 heads cannot share"),
        ({"parameters": without(STATE, "norm2.weight")}, "parameters has no norm2.weight"),
        ({"parameters": without(STATE, "linear1.weight")}, "shape"),
        ({"parameters": {**STATE, "linear3.weight": X}}, "unknown tensor linear3.weight"),
        ({"parameters": DECODER}, "unknown tensor multihead_attn.in_proj_weight"),
        ({"parameters": {"encoder.linear1.weight": X}}, "unknown tensor encoder.linear1.weight"),
        ({"parameters": TWO}, "parameters has the layers 0, 2"),
        ({"parameters": {**TWO, "embed": X}}, "unknown tensor embed"),
        ({"parameters": {**STATE, "norm1.bias": X}}, "norm1.bias has the shape"),
        ({"parameters": {**STATE, "linear1.weight": np.array(1.0)}}, "linear1.weight has the"),
        (
            {"parameters": {"layers.0." + k: v for k, v in STATE.items()} | {"norm.bias": X[0]}},
            "parameters has no norm.weight",
        ),
        ({"positions": X[:1]}, "positions has the shape"),
        (
            {"positions": np.array(1.0), "notation": "columns", "input": X.T},
            "positions has the shape",
        ),
        ({"mask": np.ones((2, 3), bool)}, "mask has the shape"),
        ({"key_mask": np.ones(3, bool)}, "key_mask has the shape"),
        ({"source": X}, "source is no key of kind: encoder"),
        ({"window": [1, 0]}, "window is no key of kind: encoder"),
        ({"labels": ["a", "b", "c"]}, "labels.query has 3 labels"),
        ({"layout": "tokens-first"}, "tokens-first means nothing"),
        ({"kind": "decoder"}, "source is missing"),
        ({"kind": "decoder", "source": X}, "no multihead_attn.in_proj_weight"),
        ({"kind": "decoder", "source": X[:, :5], "parameters": DECODER}, "source has 5 features"),
        (
            {
                "kind": "decoder",
                "source": X,
                "parameters": DECODER,
                "source_key_mask": np.ones(3, bool),
            },
            "source_key_mask has the shape",
        ),
        (
            {
                "kind": "decoder",
                "source": X,
                "parameters": DECODER,
                "source_mask": np.ones((3, 2), bool),
            },
            "source_mask has the shape",
        ),
    ],
)
def test_what_is_no_layer_is_refused(changes: dict[str, Any], sentence: str) -> None:
    keys = {"kind": "encoder", "input": X, "heads": 2, "parameters": STATE, **changes}
    with pytest.raises(InputError, match=sentence):
        load(**keys)


def test_a_table_with_nan_is_refused_with_its_name() -> None:
    broken = {**STATE, "norm1.bias": np.full(6, np.nan)}
    with pytest.raises(RefusedError, match=r"parameters.norm1.bias\[0\] is NaN"):
        load(kind="encoder", input=X, heads=2, parameters=broken)


def test_zeros_and_ones_as_a_mask_of_the_source_need_a_meaning() -> None:
    keys: dict[str, Any] = {"kind": "decoder", "input": X, "source": X, "heads": 2}
    with pytest.raises(RefusedError, match="source_key_mask holds only the numbers 0 and 1"):
        load(**keys, parameters=DECODER, source_key_mask=np.array([1, 0]))
