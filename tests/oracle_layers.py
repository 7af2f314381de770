"""The plain-loop oracle of encoder and decoder layers: lists, `math`, and no array anywhere.

A state_dict is a mapping from torch's names to nested lists, `(d_out d_in)`. Attention is that of
`tests.oracle`, head by head.
"""

import math
from typing import Any

from tests.oracle import Nested, Table, Vector, attention, dot, total

State = dict[str, Nested]


def stack(problem: dict[str, Any], state: State, n_layers: int) -> dict[str, Nested]:
    """Every step of one batch entry: `input`, `source`, `heads`, `norm`, `activation`, `epsilon`,
    `positions`, `causal`, `mask`, `key_mask`, `source_mask`, `source_key_mask`."""
    steps: dict[str, Nested] = {}
    x = problem["input"]
    positions = problem.get("positions")
    if positions is not None:
        if positions == "sinusoidal":
            positions = [wave(p, len(x[0])) for p in range(len(x))]
        x = steps["positioned"] = [added(a, b) for a, b in zip(x, positions, strict=False)]
    for number in range(n_layers):
        prefix = f"layers.{number}."
        inner = layer(x, problem, within(state, prefix))
        steps |= {prefix + name: value for name, value in inner.items()}
        x = list(inner.values())[-1]
    if "norm.weight" in state:
        x = steps["norm"] = normed(x, state, "norm", problem["epsilon"])
    steps["output"] = x
    return steps


def layer(x: Table, problem: dict[str, Any], state: State) -> dict[str, Nested]:
    """The steps of one layer; the last is its result."""
    source = problem.get("source")
    parts = [("self_attention", "attention_residual")]
    parts += [("cross_attention", "cross_attention_residual")] if source is not None else []
    parts += [("feed_forward", "feed_forward_residual")]
    steps: dict[str, Nested] = {}
    for number, (name, residual) in enumerate(parts, start=1):
        norm = f"norm{number}"
        seen = x
        if problem["norm"] == "pre":
            seen = steps[norm] = normed(x, state, norm, problem["epsilon"])
        if name == "feed_forward":
            inner = feed_forward(seen, state, problem["activation"])
        elif name == "self_attention":
            sees = {key: problem.get(key) for key in ("causal", "mask", "key_mask")}
            inner = heads(seen, seen, within(state, "self_attn."), problem["heads"], sees)
        else:
            sees = {key: problem.get(f"source_{key}") for key in ("mask", "key_mask")}
            inner = heads(seen, source, within(state, "multihead_attn."), problem["heads"], sees)
        steps |= {f"{name}.{step}": value for step, value in inner.items()}
        x = steps[residual] = [
            added(row, made) for row, made in zip(x, inner["output"], strict=True)
        ]
        if problem["norm"] == "post":
            x = steps[norm] = normed(x, state, norm, problem["epsilon"])
    return steps


def heads(x: Table, y: Table, state: State, n: int, sees: dict[str, Any]) -> dict[str, Nested]:
    """Multi-head attention of x to y: packed tables, contiguous heads, joined and projected."""
    d = len(x[0])
    width = d // n
    made = []
    for part, rows in enumerate((x, y, y)):
        table = state["in_proj_weight"][part * d : (part + 1) * d]
        bias = state.get("in_proj_bias", [0.0] * 3 * d)[part * d : (part + 1) * d]
        made.append([linear(row, table, bias) for row in rows])
    every = []
    for h in range(n):
        query, key, value = (
            [row[h * width : (h + 1) * width] for row in vectors] for vectors in made
        )
        every.append(attention({"query": query, "key": key, "value": value, **sees}))
    steps = {
        name: [head[name] for head in every]
        for name in ("query", "key", "value", "scores", "scaled", "weights")
    }
    steps["heads"] = [head["output"] for head in every]
    steps["joined"] = [
        [number for head in steps["heads"] for number in head[i]] for i in range(len(x))
    ]
    bias = state.get("out_proj.bias", [0.0] * d)
    steps["output"] = [linear(row, state["out_proj.weight"], bias) for row in steps["joined"]]
    return steps


def feed_forward(x: Table, state: State, activation: str) -> dict[str, Nested]:
    hidden = [through(row, state, "linear1") for row in x]
    activated = [[activate(number, activation) for number in row] for row in hidden]
    output = [through(row, state, "linear2") for row in activated]
    return {"hidden": hidden, "activated": activated, "output": output}


def activate(x: float, name: str) -> float:
    if name == "relu":
        return max(x, 0.0)
    if name == "gelu":
        return x * 0.5 * math.erfc(-x / math.sqrt(2))
    if name == "gelu-tanh":
        return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    assert name == "silu"
    return x * (0.5 + 0.5 * math.tanh(x / 2))


def normed(x: Table, state: State, name: str, epsilon: float) -> Table:
    """Each vector with mean 0 and variance 1, times weight, plus bias."""
    weight = state[f"{name}.weight"]
    bias = state.get(f"{name}.bias", [0.0] * len(weight))
    result = []
    for row in x:
        mean = total(row) / len(row)
        variance = total((number - mean) ** 2 for number in row) / len(row)
        deviation = math.sqrt(variance + epsilon)
        result.append(
            [
                (number - mean) / deviation * w + b
                for number, w, b in zip(row, weight, bias, strict=True)
            ]
        )
    return result


def through(row: Vector, state: State, name: str) -> Vector:
    table = state[f"{name}.weight"]
    return linear(row, table, state.get(f"{name}.bias", [0.0] * len(table)))


def linear(row: Vector, table: Table, bias: Vector) -> Vector:
    """W x + b, each row of W an output."""
    return [dot(row, weights) + b for weights, b in zip(table, bias, strict=True)]


def wave(place: int, d: int) -> Vector:
    """Sine and cosine in turn, of ever longer waves."""
    angles = [place / 10000 ** (2 * (i // 2) / d) for i in range(d)]
    return [math.cos(a) if i % 2 else math.sin(a) for i, a in enumerate(angles)]


def added(a: Vector, b: Vector) -> Vector:
    return [x + y for x, y in zip(a, b, strict=True)]


def within(state: State, prefix: str) -> State:
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }
