"""Cases of vectors, projections, heads and rotary positions done wrong."""

import math
from collections.abc import Callable

import numpy as np

from tests.verify.cases import case
from tests.verify.wrong import Array, Made, Problem, Random, draw, each, head, problem

# --- which is which


@case("value-is-key")
def _(random: Random) -> Made:
    q, k, v = draw(random, d_v=5)
    return problem(q, k, v), each(q, k, k)


@case("key-is-value")
def _(random: Random) -> Made:
    q, k, v = draw(random, d_v=5)
    return problem(q, k, v), each(q, v, v)


@case("key-is-value")
def _(random: Random) -> Made:
    q, k, v = draw(random, d_v=5)
    return problem(q, k, v), each(q, v, k)


@case("query-key-swapped")
def _(random: Random) -> Made:
    q, k, v = draw(random, m=7)
    return problem(q, k, v), each(k, q, v)


# --- multi-head attention from an input

WIDTH, HEADS = 15, 3


def times(x: Array, w: Array) -> Array:
    """x w by loops, for tables `(n d_in)` of each batch entry."""
    rows = [
        [
            [math.fsum(a * w[f, o] for f, a in enumerate(row)) for o in range(w.shape[1])]
            for row in e
        ]
        for e in x.tolist()
    ]
    return np.array(rows)


def parts(x: Array, heads: int = HEADS) -> Array:
    """`(batch n H·d)` as `(batch H n d)`: head h has the features h·d … (h+1)·d − 1."""
    d = x.shape[-1] // heads
    return np.array([[entry[:, h * d : (h + 1) * d] for h in range(heads)] for entry in x])


def joined(heads: Array) -> Array:
    """`(batch H n d)` as `(batch n H·d)`."""
    return np.array([np.concatenate(list(entry), axis=-1) for entry in heads])


def tables(random: Random) -> dict[str, Array]:
    names = ("query", "key", "value", "output")
    made = {f"w_{name}": random.normal(size=(WIDTH, WIDTH)) / 3 for name in names}
    return made | {f"b_{name}": random.normal(size=WIDTH) for name in names}


def module(x: Array, t: dict[str, Array]) -> Problem:
    names = ("query", "key", "value", "output")
    return {
        "input": x,
        "heads": HEADS,
        "projections": {name: t[f"w_{name}"] for name in names},
        "projection_biases": {name: t[f"b_{name}"] for name in names},
    }


def run(x: Array, t: dict[str, Array]) -> Array:
    """The module by loops; its tables may have been spoiled before."""
    q, k, v = (parts(times(x, t[f"w_{s}"]) + t[f"b_{s}"]) for s in ("query", "key", "value"))
    return times(joined(each(q, k, v)), t["w_output"]) + t["b_output"]


def spoiled(name: str) -> Callable[..., Callable[..., None]]:
    """A case of multi-head self-attention whose tables are spoiled by a function."""

    def register(spoil: Callable[[dict[str, Array]], None]) -> Callable[..., None]:
        def made(random: Random) -> Made:
            x, t = random.normal(size=(2, 7, WIDTH)), tables(random)
            right = module(x, dict(t))
            spoil(t)
            return right, run(x, t)

        case(name)(made)
        return spoil

    return register


@spoiled("packed-order")
def _(t: dict[str, Array]) -> None:
    for kind in "wb":
        q, k, v = (t[f"{kind}_{name}"] for name in ("query", "key", "value"))
        t[f"{kind}_query"], t[f"{kind}_key"], t[f"{kind}_value"] = k, v, q


@spoiled("packed-by-head")
def _(t: dict[str, Array]) -> None:
    """The packed table holds q, k, v of head 0, then of head 1; whole tables are cut from it."""
    for kind in "wb":
        packed = np.concatenate([t[f"{kind}_{name}"] for name in ("query", "key", "value")], -1)
        d = WIDTH // HEADS
        cut = [packed[..., at : at + d] for at in range(0, 3 * WIDTH, d)]
        for place, name in enumerate(("query", "key", "value")):
            mine = [cut[h * 3 + place] for h in range(HEADS)]
            t[f"{kind}_{name}"] = np.concatenate(mine, axis=-1)


@spoiled("projection-transposed")
def _(t: dict[str, Array]) -> None:
    t["w_key"] = t["w_key"].T


@spoiled("projection-transposed")
def _(t: dict[str, Array]) -> None:
    t["w_output"] = t["w_output"].T


@spoiled("projection-transposed")
def _(t: dict[str, Array]) -> None:
    for name in ("query", "key", "value", "output"):
        t[f"w_{name}"] = t[f"w_{name}"].T


@spoiled("projection-bias-left-out")
def _(t: dict[str, Array]) -> None:
    t["b_value"] = np.zeros(WIDTH)


@spoiled("projection-bias-left-out")
def _(t: dict[str, Array]) -> None:
    for name in ("query", "key", "value", "output"):
        t[f"b_{name}"] = np.zeros(WIDTH)


@spoiled("output-projection-left-out")
def _(t: dict[str, Array]) -> None:
    t["w_output"], t["b_output"] = np.eye(WIDTH), np.zeros(WIDTH)


@spoiled("projection-left-out")
def _(t: dict[str, Array]) -> None:
    t["w_value"], t["b_value"] = np.eye(WIDTH), np.zeros(WIDTH)


# --- cache and added keys


@case("past-ignored")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    _, old_k, old_v = draw(random, m=3)
    return problem(q, k, v, past={"key": old_k, "value": old_v}), each(q, k, v)


@case("zero-key-left-out")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v, zero_key=True), each(q, k, v)


@case("extra-key-left-out")
def _(random: Random) -> Made:
    x, t = random.normal(size=(2, 7, WIDTH)), tables(random)
    names = ("query", "key", "value")
    state = {
        "in_proj_weight": np.concatenate([t[f"w_{name}"].T for name in names]),
        "in_proj_bias": np.concatenate([t[f"b_{name}"] for name in names]),
        "out_proj.weight": t["w_output"].T,
        "out_proj.bias": t["b_output"],
        "bias_k": random.normal(size=(1, 1, WIDTH)),
        "bias_v": random.normal(size=(1, 1, WIDTH)),
    }
    return {"input": x, "parameters": state, "heads": HEADS}, run(x, t)


# --- heads


@case("kv-heads-tiled")
def _(random: Random) -> Made:
    q, k, v = draw(random, heads=6, kv=3)
    return problem(q, k, v), each(q, k, v, served=lambda h: h % 3)


def packed(random: Random, m: int = 11) -> tuple[Array, Array, Array]:
    return tuple(random.normal(size=(2, n, 12)) for n in (7, m, m))  # type: ignore[return-value]


def interleaved(x: Array) -> Array:
    """Feature j goes to head j mod 3."""
    return np.array([[entry[:, h::3] for h in range(3)] for entry in x])


@case("heads-interleaved")
def _(random: Random) -> Made:
    q, k, v = packed(random)
    out = joined(each(*(interleaved(x) for x in (q, k, v))))
    return problem(q, k, v, heads=3), out


@case("heads-interleaved")
def _(random: Random) -> Made:
    q, k, v = packed(random)
    heads = each(*(interleaved(x) for x in (q, k, v)))
    out = np.zeros((2, 7, 12))
    for h in range(3):
        out[:, :, h::3] = heads[:, h]
    return problem(q, k, v, heads=3), out


def viewed(x: Array) -> Array:
    """The numbers of `(batch n 12)` in their order, filled into `(batch 3 n 4)`."""
    return np.array([entry.reshape(-1) for entry in x]).reshape(len(x), 3, x.shape[1], 4)


@case("heads-viewed")
def _(random: Random) -> Made:
    q, k, v = packed(random)
    out = each(*(viewed(x) for x in (q, k, v))).reshape(2, 7, 12)
    return problem(q, k, v, heads=3), out


@case("heads-viewed")
def _(random: Random) -> Made:
    q, k, v = packed(random)
    return problem(q, k, v, heads=3), joined(each(*(viewed(x) for x in (q, k, v))))


@case("heads-joined-in-memory")
def _(random: Random) -> Made:
    q, k, v = packed(random)
    return problem(q, k, v, heads=3), each(*(parts(x) for x in (q, k, v))).reshape(2, 7, 12)


@case("attention-over-heads")
def _(random: Random) -> Made:
    q, k, v = draw(random, heads=5, m=7)
    out = np.zeros_like(q[..., :4])
    for b, i in np.ndindex(2, 7):
        out[b, :, i] = head(q[b, :, i].tolist(), k[b, :, i].tolist(), v[b, :, i].tolist())
    return problem(q, k, v), out


@case("heads-averaged")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    out = each(q, k, v)
    return problem(q, k, v), (out[:, 0] + out[:, 1] + out[:, 2]) / 3


@case("heads-averaged")
def _(random: Random) -> Made:
    q, k, v = packed(random)
    out = each(*(parts(x) for x in (q, k, v)))
    mean = (out[:, 0] + out[:, 1] + out[:, 2]) / 3
    return problem(q, k, v, heads=3), np.concatenate([mean] * 3, axis=-1)


@case("axes-moved")
def _(random: Random) -> Made:
    q, k, v = draw(random)
    return problem(q, k, v), np.swapaxes(each(q, k, v), 1, 2)


@case("axes-moved")
def _(random: Random) -> Made:
    q, k, v = draw(random, n=4)
    return problem(q, k, v), np.swapaxes(each(q, k, v), -1, -2)


def moved(axis: int) -> Callable[[Random], Made]:
    def made(random: Random) -> Made:
        q, k, v = draw(random, batch=3, heads=4)
        order = random.permutation(q.shape[axis])
        if np.array_equal(order, np.arange(len(order))):
            order = order[::-1]
        return problem(q, k, v), np.take(each(q, k, v), order, axis)

    return made


case("batch-permuted")(moved(0))
case("heads-permuted")(moved(1))
case("queries-permuted")(moved(2))


# --- dropout


@case("dropout")
def _(random: Random) -> Made:
    """More features than keys: which weights were dropped follows from the output."""
    q, k, v = draw(random, m=7, d_v=11)
    kept = random.random((2, 3, 7, 7)) < 0.75
    out = each(q, k, v, after=lambda b, h, i, j, w: w / 0.75 if kept[b, h, i, j] else 0.0)
    return problem(q, k, v), out


@case("dropout")
def _(random: Random) -> Made:
    """Fewer features than keys, but few keys."""
    q, k, v = draw(random, batch=1, heads=2, n=5, m=7, d_v=5)
    kept = random.random((1, 2, 5, 7)) < 0.9
    kept[0, 0, 0, 0] = False
    out = each(q, k, v, after=lambda b, h, i, j, w: w / 0.9 if kept[b, h, i, j] else 0.0)
    return problem(q, k, v), out


@case("dropout")
def _(random: Random) -> Made:
    """On the output itself."""
    q, k, v = draw(random)
    kept = random.random((2, 3, 7, 4)) < 0.8
    return problem(q, k, v), np.where(kept, each(q, k, v) / 0.8, 0.0)


@case("weights-averaged")
def _(random: Random) -> Made:
    """Only the weights show it: `weights` in test_slips."""
    q, k, v = draw(random)
    v = np.broadcast_to(np.eye(11), (2, 3, 11, 11))
    weights = each(q, k, v)
    return {"query": q, "key": k}, weights.mean(axis=1)
