"""Slips of layers, and of attention inside them, made by the plain loops of `oracle_layers`."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attncli.oracle.slips.layers import LAYER_SLIPS
from tests import oracle_layers
from tests.core.test_transformer import state_dict
from tests.oracle_layers import stack, total
from tests.verify.test_slips import verdict

Keys = dict[str, Any]
Patch = pytest.MonkeyPatch
CASES: dict[str, Callable[[Keys, Keys, Patch], None]] = {}


def case(name: str) -> Callable[..., None]:
    def register(spoil: Callable[[Keys, Keys, Patch], None]) -> None:
        CASES[name] = spoil

    return register


@case("norm-order")
def _(keys: Keys, state: Keys, patch: Patch) -> None:
    keys["norm"] = "pre"


@case("last-norm-left-out")
def _(keys: Keys, state: Keys, patch: Patch) -> None:
    del state["norm.weight"]


@case("norm-epsilon")
def _(keys: Keys, state: Keys, patch: Patch) -> None:
    keys["epsilon"] = 1e-3


@case("norm-unbiased")
def _(keys: Keys, state: Keys, patch: Patch) -> None:
    def unbiased(x: Any, state: Any, name: str, epsilon: float) -> Any:
        rows = []
        for row in x:
            mean = total(row) / len(row)
            variance = total((number - mean) ** 2 for number in row) / (len(row) - 1)
            root = math.sqrt(variance + epsilon)
            weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
            told = zip(row, weight, bias, strict=True)
            rows.append([(a - mean) / root * w + b for a, w, b in told])
        return rows

    patch.setattr(oracle_layers, "normed", unbiased)


@case("activation")
def _(keys: Keys, state: Keys, patch: Patch) -> None:
    keys["activation"] = "gelu-tanh"


@case("residual-left-out")
def _(keys: Keys, state: Keys, patch: Patch) -> None:
    right = oracle_layers.layer

    def layer(x: Any, problem: Keys, state: Any) -> Any:
        with patch.context() as inside:
            inside.setattr(oracle_layers, "added", lambda a, b: b)
            return right(x, problem, state)

    patch.setattr(oracle_layers, "layer", layer)


@case("positions-left-out")
def _(keys: Keys, state: Keys, patch: Patch) -> None:
    keys["positions"] = None


@case("positions-in-halves")
def _(keys: Keys, state: Keys, patch: Patch) -> None:
    def wave(place: int, d: int) -> Any:
        angles = [place / 10000 ** (2 * i / d) for i in range(d // 2)]
        return [math.sin(a) for a in angles] + [math.cos(a) for a in angles]

    patch.setattr(oracle_layers, "wave", wave)


@case("causal-left-out")
def _(keys: Keys, state: Keys, patch: Patch) -> None:
    keys["causal"] = False


@case("scale-left-out")
def _(keys: Keys, state: Keys, patch: Patch) -> None:
    right = oracle_layers.attention
    patch.setattr(oracle_layers, "attention", lambda p: right({**p, "scale": "none"}))


def made(seed: int) -> tuple[Keys, Keys]:
    random = np.random.default_rng(seed)
    state = {}
    for number in range(2):
        layer = state_dict(random, 6, 7, decoder=False, bias=True)
        state |= {f"layers.{number}.{name}": array / 2 for name, array in layer.items()}
    state |= {"norm.weight": random.normal(size=6), "norm.bias": random.normal(size=6)}
    keys = {
        "kind": "encoder",
        "input": random.normal(size=(5, 6)),
        "heads": 2,
        "norm": "post",
        "activation": "gelu",
        "epsilon": 1e-5,
        "causal": True,
        "positions": "sinusoidal",
    }
    return keys, state


def plain(part: Keys) -> Keys:
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in part.items()}


def test_every_slip_of_layers_has_a_case() -> None:
    assert {*LAYER_SLIPS} <= {*CASES}


@pytest.mark.parametrize("name", CASES)
def test_a_slip_of_layers_is_named_first(name: str, monkeypatch: Patch) -> None:
    for seed in range(2):
        keys, state = made(seed)
        problem = {**keys, "parameters": dict(state)}
        keys, state = plain(keys), plain(state)
        with monkeypatch.context() as patch:
            CASES[name](keys, state, patch)
            if name == "positions-left-out":
                del keys["positions"]
            theirs = stack(keys, state, 2)["output"]
        told = verdict(problem, theirs)
        assert told.fits, told.facts
        assert told.fits[0].name == name


def test_layers_done_right_are_the_same_and_noise_is_no_slip() -> None:
    keys, state = made(7)
    problem = {**keys, "parameters": dict(state)}
    theirs = np.array(stack(plain(keys), plain(state), 2)["output"])
    assert verdict(problem, theirs).same
    noisy = theirs + np.random.default_rng(0).normal(size=theirs.shape) / 10
    assert verdict(problem, noisy).fits == ()
