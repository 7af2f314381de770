"""Cases of what happens to scores done wrong: softcap, biases, sinks, similarity, precision."""

import math

import numpy as np

from tests.verify.cases import case
from tests.verify.masks import masked
from tests.verify.wrong import (
    NEVER,
    Made,
    Random,
    draw,
    each,
    problem,
    softmax,
)

# --- softcap, biases, sinks


def cap(c: float, s: float) -> float:
    return c * math.tanh(s / c)


@case("softcap-left-out")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, softcap=1.5), each(q, k, v)


@case("softcap-after-mask")
def _(random: Random) -> Made:
    q, k, v, shown = masked(random)

    def capped(row: list[float]) -> list[float]:
        return softmax([-1.5 if s == NEVER else cap(1.5, s) for s in row])

    out = each(q, k, v, seen=lambda b, h, i, j: shown[i, j], soft=capped)
    return problem(q, k, v, mask=shown, softcap=1.5), out


@case("softcap-before-scale")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    root = math.sqrt(q.shape[-1])

    def capped(row: list[float]) -> list[float]:
        return softmax([cap(1.5, s) / root for s in row])

    return problem(q, k, v, softcap=1.5), each(q, k, v, scale=1.0, soft=capped)


@case("softcap-not-multiplied")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    out = each(q, k, v, soft=lambda row: softmax([math.tanh(s / 2.5) for s in row]))
    return problem(q, k, v, softcap=2.5), out


def slope(n: int, h: int) -> float:
    return 2.0 ** (-8 * (h + 1) / n)


@case("alibi-sign")
def _(random: Random) -> Made:
    q, k, v = draw(random, heads=4, m=7)
    out = each(q, k, v, bias=lambda b, h, i, j: slope(4, h) * abs(i - j))
    return problem(q, k, v, bias={"alibi": True}), out


@case("alibi-slopes")
def _(random: Random) -> Made:
    """2^(−8h/n) for a number of heads that is no power of two."""
    q, k, v = draw(random, heads=3, m=7)
    out = each(q, k, v, bias=lambda b, h, i, j: -slope(3, h) * abs(i - j))
    return problem(q, k, v, bias={"alibi": True}), out


@case("alibi-slopes")
def _(random: Random) -> Made:
    q, k, v = draw(random, heads=4, m=7)
    out = each(q, k, v, bias=lambda b, h, i, j: -slope(4, h - 1) * abs(i - j))
    return problem(q, k, v, bias={"alibi": True}), out


@case("bias-left-out")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, bias=random.normal(size=(3, 7, 11))), each(q, k, v)


@case("bias-left-out")
def _(random: Random) -> Made:
    q, k, v = draw(random, m=7)
    return problem(q, k, v, bias={"alibi": True}), each(q, k, v)


@case("bias-scaled")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    added = random.normal(size=(7, 11))
    root = math.sqrt(q.shape[-1])
    out = each(q, k, v, bias=lambda b, h, i, j: added[i, j] / root)
    return problem(q, k, v, bias=added), out


@case("bias-reversed")
def _(random: Random) -> Made:
    q, k, v = draw(random, m=7)
    entries = random.normal(size=5)
    out = each(q, k, v, bias=lambda b, h, i, j: entries[2 + min(max(i - j, -2), 2)])
    return problem(q, k, v, bias={"relative": entries}), out


@case("sink-left-out")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, sink=random.normal(size=3)), each(q, k, v)


@case("sink-in-values")
def _(random: Random) -> Made:
    """The sink's column is kept, and falls on the first value."""
    q, k, v = draw(random)
    s = 0.8

    def kept(row: list[float]) -> list[float]:
        weights = softmax([s, *row])
        return [weights[0] + weights[1], *weights[2:]]

    return problem(q, k, v, sink=[s]), each(q, k, v, soft=kept)


@case("sink-without-maximum")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    s = 0.8

    def late(row: list[float]) -> list[float]:
        top = max(row)
        e = [math.exp(x - top) for x in row]
        return [x / (math.fsum(e) + math.exp(s)) for x in e]

    return problem(q, k, v, sink=[s]), each(q, k, v, soft=late)


@case("sink-scaled")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    s = 1.8 / math.sqrt(q.shape[-1])
    return problem(q, k, v, sink=[1.8]), each(q, k, v, soft=lambda row: softmax([s, *row])[1:])


# --- similarity


@case("similarity-dot")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, similarity="cosine"), each(q, k, v, scale=1.0)


@case("similarity-cosine")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    q1 = q / np.sqrt((q**2).sum(-1, keepdims=True))
    k1 = k / np.sqrt((k**2).sum(-1, keepdims=True))
    return problem(q, k, v), each(q1, k1, v)


@case("lower-precision")
def _(random: Random) -> Made:
    """float16 from beginning to end, handed over as float32."""
    q, k, v = draw(random)
    low = [x.astype(np.float16) for x in (q, k, v)]
    s = np.zeros((2, 3, 7, 11), dtype=np.float16)
    out = np.zeros((2, 3, 7, 4), dtype=np.float16)
    root = np.float16(math.sqrt(q.shape[-1]))
    for b, h, i in np.ndindex(2, 3, 7):
        for j in range(11):
            s[b, h, i, j] = np.float16(np.sum(low[0][b, h, i] * low[1][b, h, j])) / root
        e = np.exp(s[b, h, i] - s[b, h, i].max())
        w = e / e.sum(dtype=np.float16)
        for f in range(4):
            out[b, h, i, f] = np.sum(w * low[2][b, h, :, f])
    return problem(q, k, v), out.astype(np.float64)
