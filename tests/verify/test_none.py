"""What no slip explains ends in none: noise, another computation, numbers of somebody else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attncli.files.results import Result
from tests.verify.test_slips import judge
from tests.verify.wrong import Array, Problem, Random, draw, each, head, problem, softmax, table

DRAWS, MANY = 1, 50
Making = Callable[[Random], tuple[Problem, Array]]
UNKNOWN: dict[str, Making] = {}


def unknown(made: Making) -> Making:
    UNKNOWN[made.__name__] = made
    return made


def rich(random: Random) -> tuple[Problem, Array]:
    """A problem to which many slips apply, and its right output."""
    q, k, v = draw(random, heads=4, kv=2, n=5, m=7, d=6, d_v=6)
    shown = table(random, 5, 7)
    shown[:, 0] = True
    keys: dict[str, Any] = {"causal": True, "align": "bottom-right", "mask": shown}
    out = each(q, k, v, seen=lambda b, h, i, j: bool(shown[i, j]) and j <= i + 2)
    return problem(q, k, v, **keys), out


@unknown
def noise(random: Random) -> tuple[Problem, Array]:
    made, out = rich(random)
    return made, out + random.normal(size=out.shape) * 10.0 ** float(random.integers(-6, 1))


@unknown
def one_wrong_cell(random: Random) -> tuple[Problem, Array]:
    made, out = rich(random)
    out[1, 2, 3, 4] += 0.1
    return made, out


@unknown
def a_wrong_row(random: Random) -> tuple[Problem, Array]:
    made, out = rich(random)
    out[0, 1, 2] = random.normal(size=6)
    return made, out


@unknown
def another_factor(random: Random) -> tuple[Problem, Array]:
    made, out = rich(random)
    return made, 1.013 * out


@unknown
def squared_weights(random: Random) -> tuple[Problem, Array]:
    q, k, v = draw(random)

    def squared(row: list[float]) -> list[float]:
        weights = [w * w for w in softmax(row)]
        return [w / sum(weights) for w in weights]

    out = each(q, k, v, soft=lambda row: [w**0.7 for w in squared(row)])
    return problem(q, k, v), out


@unknown
def odd_temperature(random: Random) -> tuple[Problem, Array]:
    q, k, v = draw(random)
    return problem(q, k, v, temperature=1.3), each(q, k, v, scale=0.2718)


@unknown
def next_value(random: Random) -> tuple[Problem, Array]:
    q, k, v = draw(random)
    return problem(q, k, v), each(q, k, np.roll(v, 1, axis=2))


@unknown
def somebody_else(random: Random) -> tuple[Problem, Array]:
    made, out = rich(random)
    return made, random.normal(size=out.shape)


@unknown
def a_wrong_tile(random: Random) -> tuple[Problem, Array]:
    """The second tile of keys forgets to rescale what the first had summed."""
    q, k, v = draw(random)
    out = np.zeros((2, 3, 7, 4))
    for b, h in np.ndindex(2, 3):
        first = np.array(head(q[b, h], k[b, h, :6], v[b, h, :6]))
        second = np.array(head(q[b, h], k[b, h, 6:], v[b, h, 6:]))
        out[b, h] = (first + second) / 2
    return problem(q, k, v), out


def explained(name: str, seed: int, dtype: str | None) -> tuple[str, ...]:
    made, out = UNKNOWN[name](np.random.default_rng([seed, *name.encode()]))
    result = Result(out, dtype)
    if dtype is None:
        result = Result(np.round(out, 3), None, np.full(out.shape, 0.0005))
    elif dtype == "float16":
        result = Result(out.astype(np.float16).astype(np.float64), dtype)
    told = judge(made).verdict("theirs", {"output": result})
    return tuple(fit.name for fit in told.fits)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", None])
@pytest.mark.parametrize("name", UNKNOWN)
def test_no_slip_is_claimed(name: str, dtype: str | None) -> None:
    for seed in range(DRAWS):
        assert explained(name, seed, dtype) == ()


@pytest.mark.heavy
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", None])
@pytest.mark.parametrize("name", UNKNOWN)
def test_no_slip_is_claimed_in_many_draws(name: str, dtype: str | None) -> None:
    for seed in range(MANY):
        assert explained(name, seed, dtype) == ()
