"""Cases of rotary positions done wrong."""

import math
from collections.abc import Callable

import numpy as np

from tests.verify.cases import case
from tests.verify.wrong import Array, Made, Random, draw, each, problem

# --- rotary


def rotated(
    x: Array,
    first: float = 0,
    pair: Callable[[int, int], tuple[int, int]] = lambda i, half: (i, i + half),
    sign: int = 1,
) -> Array:
    """Pair i turns by place · 10000^(−2i/d)."""
    out = x.copy()
    half = x.shape[-1] // 2
    for *lead, n in np.ndindex(*x.shape[:-1]):
        for i in range(half):
            angle = sign * (first + n) * 10000.0 ** (-2 * i / (2 * half))
            a, b = pair(i, half)
            p, q = x[(*lead, n, a)], x[(*lead, n, b)]
            out[(*lead, n, a)] = p * math.cos(angle) - q * math.sin(angle)
            out[(*lead, n, b)] = p * math.sin(angle) + q * math.cos(angle)
    return out


def neighbours(i: int, half: int) -> tuple[int, int]:
    return 2 * i, 2 * i + 1


def turning(random: Random) -> tuple[Array, Array, Array]:
    return draw(random, m=7, d=6, d_v=6)


@case("rope-pairing")
def _(random: Random) -> Made:
    q, k, v = turning(random)
    out = each(rotated(q, pair=neighbours), rotated(k, pair=neighbours), v)
    return problem(q, k, v, rope={"base": 10000}), out


@case("rope-pairing")
def _(random: Random) -> Made:
    q, k, v = turning(random)
    rope = {"base": 10000, "pairing": "interleaved"}
    return problem(q, k, v, rope=rope), each(rotated(q), rotated(k), v)


@case("rope-direction")
def _(random: Random) -> Made:
    q, k, v = turning(random)
    out = each(rotated(q, sign=-1), rotated(k, sign=-1), v)
    return problem(q, k, v, rope={"base": 10000}), out


@case("rope-left-out")
def _(random: Random) -> Made:
    q, k, v = turning(random)
    return problem(q, k, v, rope={"base": 10000}), each(q, k, v)


@case("rope-left-out")
def _(random: Random) -> Made:
    q, k, v = turning(random)
    return problem(q, k, v, rope={"base": 10000}), each(rotated(q), k, v)


@case("rope-on-values")
def _(random: Random) -> Made:
    q, k, v = turning(random)
    return problem(q, k, v, rope={"base": 10000}), each(rotated(q), rotated(k), rotated(v))


@case("rope-positions")
def _(random: Random) -> Made:
    q, k, v = turning(random)
    out = each(rotated(q, first=1), rotated(k), v)
    return problem(q, k, v, rope={"base": 10000}), out


@case("rope-positions")
def _(random: Random) -> Made:
    """With a cache of 3, the new ones should stand at 3, and stand at 0."""
    q, k, v = draw(random, n=4, m=4, d=6)
    _, old_k, old_v = draw(random, m=3, d=6)
    keys = np.concatenate([old_k, rotated(k)], axis=2)
    out = each(rotated(q), keys, np.concatenate([old_v, v], axis=2))
    past = {"key": old_k, "value": old_v}
    return problem(q, k, v, past=past, rope={"base": 10000}), out
