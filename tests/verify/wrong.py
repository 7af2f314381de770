"""Attention done wrong, by plain loops: what the slips of the oracle are held to.

Nothing here knows how attncli makes a slip. `head` is one head with a parameter for each thing that
can go wrong in it; `each` loops it over batch and heads; a case is a problem as a user writes it,
and the output of somebody who made one mistake.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
Random = np.random.Generator
Problem = dict[str, Any]
Made = tuple[Problem, Array]

NEVER = -math.inf


def dot(a: Any, b: Any) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def scores(q: Any, k: Any, scale: float | None = None) -> list[list[float]]:
    """q·k times the scale, by default 1/√d."""
    factor = 1 / math.sqrt(len(q[0])) if scale is None else scale
    return [[dot(q[i], k[j]) * factor for j in range(len(k))] for i in range(len(q))]


def softmax(row: list[float], base: float = math.e) -> list[float]:
    """base^s / Σ base^s; zeros where there is nothing but −∞."""
    top = max(row)
    if top == NEVER:
        return [0.0] * len(row)
    powers = [0.0 if s == NEVER else base ** (s - top) for s in row]
    return [p / math.fsum(powers) for p in powers]


def weighted(weights: Any, v: Any) -> list[list[float]]:
    """Σ_j w_j v_j; a weight of zero leaves its value out."""
    width = len(v[0])
    return [
        [math.fsum(w * v[j][f] for j, w in enumerate(row) if w != 0) for f in range(width)]
        for row in weights
    ]


def head(
    q: Any,
    k: Any,
    v: Any,
    *,
    scale: float | None = None,
    seen: Callable[[int, int], bool] = lambda i, j: True,
    bias: Callable[[int, int], float] = lambda i, j: 0.0,
    soft: Callable[[list[float]], list[float]] = softmax,
    after: Callable[[int, int, float], float] = lambda i, j, w: w,
) -> list[list[float]]:
    """One head: scores, a bias, what is seen, the softmax, something done to the weights."""
    table = scores(q, k, scale)
    rows = [
        [s + bias(i, j) if seen(i, j) else NEVER for j, s in enumerate(row)]
        for i, row in enumerate(table)
    ]
    weights = [soft(row) for row in rows]
    weights = [[after(i, j, w) for j, w in enumerate(row)] for i, row in enumerate(weights)]
    return weighted(weights, v)


def each(q: Array, k: Array, v: Array, **how: Any) -> Array:
    """`head` over batch entries and heads; functions of (b, h, i, j) become those of (i, j).

    Query head h uses key head h // group, or what `served` says.
    """
    n_heads, n_kv = q.shape[1], k.shape[1]
    served = how.pop("served", lambda h: h // (n_heads // n_kv))
    per_head = {name: how.pop(name) for name in ("seen", "bias", "after") if name in how}
    scale_of = how.pop("scale_of", None)
    output = []
    for b in range(len(q)):
        heads = []
        for h in range(n_heads):
            mine = {name: bound(function, b, h) for name, function in per_head.items()}
            if scale_of is not None:
                mine["scale"] = scale_of(h)
            g = served(h)
            heads.append(head(q[b, h].tolist(), k[b, g].tolist(), v[b, g].tolist(), **how, **mine))
        output.append(heads)
    return np.array(output)


def bound(function: Callable[..., Any], b: int, h: int) -> Callable[..., Any]:
    return lambda *place: function(b, h, *place)


# --- draws


def draw(
    random: Random,
    *,
    batch: int = 2,
    heads: int = 3,
    kv: int | None = None,
    n: int = 7,
    m: int = 11,
    d: int = 5,
    d_v: int = 4,
) -> tuple[Array, Array, Array]:
    """Queries, keys and values of four axes."""
    kv = kv or heads
    return (
        random.normal(size=(batch, heads, n, d)),
        random.normal(size=(batch, kv, m, d)),
        random.normal(size=(batch, kv, m, d_v)),
    )


def problem(q: Array, k: Array, v: Array, **keys: Any) -> Problem:
    return {"query": q, "key": k, "value": v, **keys}


def table(random: Random, *shape: int) -> Array:
    """Booleans with a True in each row."""
    shown = random.random(shape) < 0.6
    first = random.integers(shape[-1], size=shape[:-1])
    np.put_along_axis(shown, first[..., None], True, axis=-1)
    return shown
