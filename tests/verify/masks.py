"""Cases of masks, causal masks and windows done wrong."""

import math
from collections.abc import Callable

import numpy as np

from tests.verify.cases import case
from tests.verify.wrong import (
    NEVER,
    Array,
    Made,
    Random,
    draw,
    each,
    problem,
    softmax,
    table,
)

# --- masks


def masked(random: Random) -> tuple[Array, Array, Array, Array]:
    q, k, v = draw(random)
    return q, k, v, table(random, q.shape[2], k.shape[2])


@case("mask-inverted")
def _(random: Random) -> Made:
    q, k, v, shown = masked(random)
    shown[:, 0], shown[:, 1] = True, False  # each row sees something both ways
    return problem(q, k, v, mask=shown), each(q, k, v, seen=lambda b, h, i, j: not shown[i, j])


@case("mask-inverted")
def _(random: Random) -> Made:
    q, k, v, _ = masked(random)
    real = np.arange(11) < 6
    return problem(q, k, v, key_mask=real), each(q, k, v, seen=lambda b, h, i, j: not real[j])


@case("mask-as-numbers")
def _(random: Random) -> Made:
    q, k, v, shown = masked(random)
    out = each(q, k, v, bias=lambda b, h, i, j: float(shown[i, j]))
    return problem(q, k, v, mask=shown), out


@case("mask-as-numbers")
def _(random: Random) -> Made:
    q, k, v, shown = masked(random)
    out = each(q, k, v, bias=lambda b, h, i, j: float(not shown[i, j]))
    return problem(q, k, v, mask=shown), out


@case("mask-ignored")
def _(random: Random) -> Made:
    q, k, v, shown = masked(random)
    return problem(q, k, v, mask=shown), each(q, k, v)


@case("mask-ignored")
def _(random: Random) -> Made:
    q, k, v, shown = masked(random)
    added = np.where(shown, random.normal(size=shown.shape), -np.inf)
    return problem(q, k, v, mask=added), each(q, k, v)


@case("mask-after-softmax")
def _(random: Random) -> Made:
    q, k, v, shown = masked(random)
    out = each(q, k, v, after=lambda b, h, i, j, w: w if shown[i, j] else 0.0)
    return problem(q, k, v, mask=shown), out


@case("mask-after-softmax")
def _(random: Random) -> Made:
    q, k, v = draw(random, m=7)
    out = each(q, k, v, after=lambda b, h, i, j, w: w if j <= i else 0.0)
    return problem(q, k, v, causal=True), out


def blind(random: Random) -> tuple[Array, Array, Array, Array]:
    """A mask with rows that see nothing."""
    q, k, v, shown = masked(random)
    shown[[1, 4]] = False
    return q, k, v, shown


@case("finite-mask")
def _(random: Random) -> Made:
    q, k, v, shown = blind(random)
    out = each(
        q,
        k,
        v,
        seen=lambda b, h, i, j: shown[i, j],
        soft=lambda row: [1 / 11] * 11 if max(row) == NEVER else softmax(row),
    )
    return problem(q, k, v, mask=shown), out


@case("finite-mask")
def _(random: Random) -> Made:
    q, k, v, shown = blind(random)
    out = each(q, k, v, bias=lambda b, h, i, j: 0.0 if shown[i, j] else -1e9)
    return problem(q, k, v, mask=shown), out


@case("masked-row-nan")
def _(random: Random) -> Made:
    q, k, v, shown = blind(random)
    out = each(
        q,
        k,
        v,
        seen=lambda b, h, i, j: shown[i, j],
        soft=lambda row: [math.nan] * 11 if max(row) == NEVER else softmax(row),
    )
    return problem(q, k, v, mask=shown), out


@case("masked-row-zero")
def _(random: Random) -> Made:
    q, k, v, shown = blind(random)
    out = each(q, k, v, seen=lambda b, h, i, j: shown[i, j])
    return problem(q, k, v, mask=shown, masked_row="uniform"), out


@case("mask-order")
def _(random: Random) -> Made:
    """repeat for repeat_interleave: entry b·H + h of the flat axis gets mask (b·H + h) % B."""
    q, k, v = draw(random)
    shown = table(random, 2, 1, 7, 11)
    out = each(q, k, v, seen=lambda b, h, i, j: shown[(b * 3 + h) % 2, 0, i, j])
    return problem(q, k, v, mask=shown), out


@case("mask-order")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    shown = table(random, 2, 3, 7, 11)
    out = each(q, k, v, seen=lambda b, h, i, j: shown[b, (h + 1) % 3, i, j])
    return problem(q, k, v, mask=shown), out


@case("mask-order")
def _(random: Random) -> Made:
    q, k, v = draw(random, batch=3)
    lengths = np.array([3, 8, 6])
    out = each(q, k, v, seen=lambda b, h, i, j: j < lengths[(b + 1) % 3])
    return problem(q, k, v, key_lengths=lengths), out


@case("mask-order")
def _(random: Random) -> Made:
    q, k, v = draw(random, batch=3)
    shown = table(random, 3, 1, 7, 11)
    out = each(q, k, v, seen=lambda b, h, i, j: shown[h, 0, i, j])
    return problem(q, k, v, mask=shown), out


@case("padding-ignored")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, key_lengths=np.array([4, 9])), each(q, k, v)


@case("padding-ignored")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    real = np.arange(11) < np.array([[5], [8]])
    return problem(q, k, v, key_mask=real), each(q, k, v)


@case("padding-side")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    lengths = np.array([4, 9])
    out = each(q, k, v, seen=lambda b, h, i, j: j >= 11 - lengths[b])
    return problem(q, k, v, key_lengths=lengths), out


@case("padding-off-by-one")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    lengths = np.array([4, 9])
    out = each(q, k, v, seen=lambda b, h, i, j: j <= lengths[b])
    return problem(q, k, v, key_lengths=lengths), out


@case("query-mask-ignored")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, query_mask=np.arange(7) < 5), each(q, k, v)


@case("nan-through-mask")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    v[:, :, 9:] = np.nan
    out = np.full((2, 3, 7, 4), np.nan)
    return problem(q, k, v, key_lengths=9, allow_nonfinite=True), out


# --- places


@case("causal-left-out")
def _(random: Random) -> Made:
    q, k, v = draw(random, m=7)
    return problem(q, k, v, causal=True), each(q, k, v)


@case("causal-alignment")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    out = each(q, k, v, seen=lambda b, h, i, j: j <= i)
    return problem(q, k, v, causal=True, align="bottom-right"), out


@case("causal-alignment")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    out = each(q, k, v, seen=lambda b, h, i, j: j <= i + 4)
    return problem(q, k, v, causal=True, align="top-left"), out


@case("causal-strict")
def _(random: Random) -> Made:
    q, k, v = draw(random, m=7)
    return problem(q, k, v, causal=True), each(q, k, v, seen=lambda b, h, i, j: j < i)


@case("causal-strict")
def _(random: Random) -> Made:
    """The first row sees nothing, and torch makes NaN of it."""
    q, k, v = draw(random, m=7)
    out = each(q, k, v, seen=lambda b, h, i, j: j < i)
    out[:, :, 0] = np.nan
    return problem(q, k, v, causal=True), out


@case("causal-off-by-one")
def _(random: Random) -> Made:
    q, k, v = draw(random, m=7)
    return problem(q, k, v, causal=True), each(q, k, v, seen=lambda b, h, i, j: j <= i + 1)


@case("causal-reversed")
def _(random: Random) -> Made:
    q, k, v = draw(random, m=7)
    return problem(q, k, v, causal=True), each(q, k, v, seen=lambda b, h, i, j: j >= i)


@case("causal-added")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v), each(q, k, v, seen=lambda b, h, i, j: j <= i)


def window(left: int | None, right: int | None, **keys: object) -> Callable[[Random], Made]:
    """A window of [2, 1] that became another."""

    def made(random: Random) -> Made:
        q, k, v = draw(random, n=11)

        def seen(b: int, h: int, i: int, j: int) -> bool:
            return (left is None or j >= i - left) and (right is None or j <= i + right)

        return problem(q, k, v, window=[2, 1]), each(q, k, v, seen=seen)

    return made


case("window-left-out")(window(None, None))
case("window-width")(window(3, 1))
case("window-width")(window(1, 1))
case("window-width")(window(2, 2))
case("window-width")(window(3, 2))
case("window-one-side")(window(2, None))
case("window-one-side")(window(None, 1))
case("window-swapped")(window(1, 2))


@case("window-halved")
def _(random: Random) -> Made:
    q, k, v = draw(random, n=11)
    out = each(q, k, v, seen=lambda b, h, i, j: abs(i - j) <= 2)
    return problem(q, k, v, window=[4, 4]), out
