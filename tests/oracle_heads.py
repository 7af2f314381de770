"""The plain-loop oracle over batch entries and heads: slicing and gathering, no mathematics."""

from typing import Any

from tests.oracle import Nested, alibi_slopes, attention


def attend(problem: dict[str, Any]) -> dict[str, Nested]:
    """Every step of `(batch heads n d)`, `(batch n d)` or `(n d)` vectors.

    Query head h uses key head h // (n_heads / kv_heads). `scale` and `sink` may be one a head,
    `{"alibi": True}` takes this head's slope; masks and biases broadcast from the right.
    """
    first = problem["query"] if problem.get("scores") is None else problem["scores"]
    axes = depth(first)
    if axes == 2:
        return attention(one(problem, None, None))
    if axes == 3:
        return gathered([attention(one(problem, b, None)) for b in range(len(first))])
    steps = gathered(
        [
            gathered([attention(one(problem, b, h)) for h in range(len(first[b]))])
            for b in range(len(first))
        ]
    )
    for name in ("key", "value"):
        if problem.get(name) is not None:
            group = len(first[0]) // len(problem[name][0])
            steps[name] = [heads[::group] for heads in steps[name]]  # once for each key head
    return steps


def one(problem: dict[str, Any], b: int | None, h: int | None) -> dict[str, Any]:
    """The problem of one batch entry and one head."""
    part = dict(problem)
    lead = tuple(index for index in (b, h) if index is not None)
    n_heads = None if h is None else len((problem.get("query") or problem["scores"])[b])
    for name in ("query", "scores"):
        if problem.get(name) is not None:
            part[name] = picked(problem[name], lead, 2)
    for name in ("key", "value"):
        if problem.get(name) is not None:
            part[name] = picked(problem[name], served(problem[name], lead, n_heads), 2)
    if problem.get("past"):
        part["past"] = {
            name: picked(table, served(table, lead, n_heads), 2)
            for name, table in problem["past"].items()
        }
    if problem.get("mask") is not None:
        part["mask"] = pairs(problem["mask"], lead, part)
    if problem.get("bias") is not None:
        part["bias"] = bias_of_head(problem["bias"], lead, h, n_heads, part)
    for name in ("key_mask", "query_mask"):
        if problem.get(name) is not None:
            part[name] = picked(problem[name], lead[:1], 1)
    if problem.get("key_lengths") is not None and b is not None and depth(problem["key_lengths"]):
        part["key_lengths"] = problem["key_lengths"][b]
    for name in ("scale", "sink"):
        if isinstance(problem.get(name), list):
            part[name] = problem[name][h or 0]
    if problem.get("rope"):
        part["rope"] = rope_of_batch(problem["rope"], b)
    return part


def served(table: Nested, lead: tuple[int, ...], n_heads: int | None) -> tuple[int, ...]:
    """The leading indices with the query head replaced by the key head that serves it."""
    if n_heads is None:
        return lead
    kv_heads = len(table[0])
    return (lead[0], lead[1] // (n_heads // kv_heads))


def pairs(table: Nested, lead: tuple[int, ...], part: dict[str, Any]) -> Nested:
    """A table of pairs that broadcasts from the right, written out as `(n_queries n_keys)`."""
    n_queries = len(part["query"] if part.get("scores") is None else part["scores"])
    n_keys = len(part["key"]) if part.get("scores") is None else len(part["scores"][0])
    n_keys += len(part["past"]["key"]) if part.get("past") else 0
    if depth(table) == 1:
        table = [table]
    rows = picked(table, lead, 2)
    rows = rows * n_queries if len(rows) == 1 else rows
    return [row * n_keys if len(row) == 1 else row for row in rows]


def bias_of_head(
    bias: Nested, lead: tuple[int, ...], h: int | None, n_heads: int | None, part: dict[str, Any]
) -> Nested:
    if not isinstance(bias, dict):
        return pairs(bias, lead, part)
    result: dict[str, Any] = {}
    if bias.get("alibi"):
        result["slope"] = alibi_slopes(n_heads or 1)[h or 0]
    if "relative" in bias:
        table = bias["relative"]
        result["relative"] = table if depth(table) == 1 else table[(h or 0) % len(table)]
    return result


def rope_of_batch(rope: dict[str, Any], b: int | None) -> dict[str, Any]:
    part = dict(rope)
    positions = rope.get("positions")
    if isinstance(positions, dict):
        part["positions"] = {
            side: row if depth(row) == 1 else row[b] for side, row in positions.items()
        }
    elif positions is not None and depth(positions) == 2:
        part["positions"] = positions[b]
    for name in ("cos", "sin"):
        if name in rope and depth(rope[name]) == 3:
            part[name] = rope[name][b]
    return part


def picked(table: Nested, lead: tuple[int, ...], last: int) -> Nested:
    """The part of a table at leading indices; axes of 1 and absent ones stand for all."""
    missing = len(lead) - (depth(table) - last)
    for index in lead[max(missing, 0) :]:
        table = table[0] if len(table) == 1 else table[index]
    return table


def gathered(parts: list[dict[str, Nested]]) -> dict[str, Nested]:
    return {name: [part[name] for part in parts] for name in parts[0]}


def split(packed: Nested, heads: int) -> Nested:
    """`(batch n heads·d)` as `(batch heads n d)`: heads are contiguous parts of the last axis."""
    width = len(packed[0][0]) // heads
    return [
        [[row[h * width : (h + 1) * width] for row in entry] for h in range(heads)]
        for entry in packed
    ]


def join(split_heads: Nested) -> Nested:
    """`(batch heads n d)` as `(batch n heads·d)`."""
    return [
        [[x for head in entry for x in head[i]] for i in range(len(entry[0]))]
        for entry in split_heads
    ]


def depth(nested: Nested) -> int:
    axes = 0
    while isinstance(nested, list):
        axes += 1
        nested = nested[0] if nested else 0
    return axes
