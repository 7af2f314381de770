"""A case for each slip: a problem where it matters, and the output of somebody who made it."""

import math
from collections.abc import Callable

import numpy as np

from tests.verify.wrong import (
    NEVER,
    Made,
    Random,
    draw,
    each,
    problem,
    scores,
    softmax,
    weighted,
)

CASES: dict[str, list[Callable[[Random], Made]]] = {}


def case(name: str) -> Callable[[Callable[[Random], Made]], Callable[[Random], Made]]:
    def register(made: Callable[[Random], Made]) -> Callable[[Random], Made]:
        CASES.setdefault(name, []).append(made)
        return made

    return register


# --- scale


@case("scale-left-out")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v), each(q, k, v, scale=1.0)


@case("scale-twice")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, scale=0.37), each(q, k, v, scale=0.37 * 0.37)


@case("scale-twice")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v), each(q, k, v, scale=1 / q.shape[-1])


@case("scale-by-d")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, scale=0.37), each(q, k, v, scale=1 / q.shape[-1])


@case("scale-by-d-model")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v), each(q, k, v, scale=1 / math.sqrt(q.shape[1] * q.shape[-1]))


@case("scale-inverted")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v), each(q, k, v, scale=math.sqrt(q.shape[-1]))


@case("scale-ignored")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, scale=0.29), each(q, k, v)


@case("scale-after-softmax")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    factor = 1 / math.sqrt(q.shape[-1])
    return problem(q, k, v), each(q, k, v, scale=1.0, after=lambda b, h, i, j, w: w * factor)


@case("temperature-inverted")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, temperature=1.7), each(q, k, v, scale=1.7 / math.sqrt(q.shape[-1]))


@case("temperature-ignored")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, temperature=1.7), each(q, k, v)


# --- normalizer


def over(axis: int) -> Callable[[Random], Made]:
    """A softmax over another axis of the scores (b, h, i, j)."""

    def made(random: Random) -> Made:
        q, k, v = draw(random)
        s = np.array([[scores(q[b, h], k[b, h]) for h in range(3)] for b in range(2)])
        w = np.zeros_like(s)
        for place in np.ndindex(*(n for a, n in enumerate(s.shape) if a != axis)):
            line = (*place[:axis], slice(None), *place[axis:])
            w[line] = softmax(s[line].tolist())
        out = [[weighted(w[b, h], v[b, h]) for h in range(3)] for b in range(2)]
        return problem(q, k, v), np.array(out)

    return made


case("softmax-over-queries")(over(2))
case("softmax-over-heads")(over(1))


@case("softmax-over-all")
def _(random: Random) -> Made:
    q, k, v = draw(random, batch=1, heads=1)
    s = scores(q[0, 0], k[0, 0])
    flat = softmax([x for row in s for x in row])
    w = [flat[i * len(s[0]) : (i + 1) * len(s[0])] for i in range(len(s))]
    return problem(q, k, v), np.array([[weighted(w, v[0, 0])]])


@case("softmax-left-out")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v), each(q, k, v, soft=lambda row: row)


@case("softmax-left-out")
def _(random: Random) -> Made:
    q, k, v = draw(random, m=7)

    def zeroed(row: list[float]) -> list[float]:
        return [0.0 if s == NEVER else s for s in row]

    out = each(q, k, v, soft=zeroed, seen=lambda b, h, i, j: j <= i)
    return problem(q, k, v, causal=True), out


def base(b: float) -> Callable[[Random], Made]:
    def made(random: Random) -> Made:
        q, k, v = draw(random)
        return problem(q, k, v), each(q, k, v, soft=lambda row: softmax(row, b))

    return made


case("softmax-base")(base(2))
case("softmax-base")(base(10))


@case("normalizer-softmax")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, normalizer="sparsemax"), each(q, k, v)


@case("softmax-plus-one")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    out = each(q, k, v, soft=lambda row: softmax([*row, 0.0])[:-1])
    return problem(q, k, v), out
