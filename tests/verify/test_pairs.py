"""Two slips at once, and slips seen through the rounding of a type or of three decimals."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from attncli.files.results import Result
from tests.verify.cases import CASES
from tests.verify.rotary import rotated
from tests.verify.test_slips import judge, verdict
from tests.verify.wrong import Made, Random, draw, each, problem, softmax, table

PAIRS: dict[tuple[str, str], Callable[[Random], Made]] = {}


def pair(*names: str) -> Callable[[Callable[[Random], Made]], None]:
    def register(made: Callable[[Random], Made]) -> None:
        PAIRS[names] = made  # type: ignore[index]

    return register


@pair("scale-left-out", "causal-alignment")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    out = each(q, k, v, scale=1.0, seen=lambda b, h, i, j: j <= i)
    return problem(q, k, v, causal=True, align="bottom-right"), out


@pair("scale-twice", "mask-inverted")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    shown = table(random, 7, 11)
    shown[:, 0], shown[:, 1] = True, False
    out = each(q, k, v, scale=1 / 5, seen=lambda b, h, i, j: not shown[i, j])
    return problem(q, k, v, mask=shown), out


@pair("scale-left-out", "kv-heads-tiled")
def _(random: Random) -> Made:
    q, k, v = draw(random, heads=6, kv=3)
    return problem(q, k, v), each(q, k, v, scale=1.0, served=lambda h: h % 3)


@pair("causal-left-out", "rope-pairing")
def _(random: Random) -> Made:
    q, k, v = draw(random, m=7, d=6)
    turned = [rotated(x, pair=lambda i, half: (2 * i, 2 * i + 1)) for x in (q, k)]
    return problem(q, k, v, causal=True, rope={"base": 10000}), each(*turned, v)


@pair("softmax-base", "softcap-left-out")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, softcap=1.5), each(q, k, v, soft=lambda row: softmax(row, 2))


@pair("padding-ignored", "sink-left-out")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, key_lengths=np.array([4, 9]), sink=random.normal(size=3)), each(q, k, v)


@pytest.mark.parametrize("names", PAIRS, ids=" + ".join)
def test_a_pair_is_named(names: tuple[str, str]) -> None:
    for seed in range(2):
        told = verdict(*PAIRS[names](np.random.default_rng(seed)))
        assert told.fits
        assert {slip.name for slip, _ in told.fits[0].slips} == {*names}


ROUNDED = (
    "scale-left-out",
    "softmax-over-queries",
    "mask-inverted",
    "causal-strict",
    "kv-heads-tiled",
    "rope-direction",
    "value-is-key",
    "projection-transposed",
)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", None])
@pytest.mark.parametrize("name", ROUNDED)
def test_a_slip_is_seen_through_rounding(name: str, dtype: str | None) -> None:
    made, out = CASES[name][0](np.random.default_rng([3, *name.encode()]))
    if dtype is None:
        result = Result(np.round(out, 3), None, np.full(out.shape, 0.0005))
    elif dtype == "bfloat16":
        bits = 2.0 ** (np.floor(np.log2(np.maximum(np.abs(out), 1e-30))) - 7)
        result = Result(np.round(out / bits) * bits, dtype)
    else:
        result = Result(out.astype(dtype).astype(np.float64), dtype)
    told = judge(made).verdict("theirs", {"output": result})
    assert told.fits[0].name == name
    assert math.isfinite(told.fits[0].max_abs)
