"""Attention by plain loops: what the tests hold attncli to.

Written from the formulas of the contract alone, over nested lists and floats, with nothing but the
math module: no broadcasting, no tiles, no tricks. Slow on purpose, and it must never import
attncli.

`attention` computes one head: query `(n_queries d_k)`, key `(n_keys d_k)`, value `(n_keys d_v)`;
`oracle_heads.attend` loops it over batch and heads. A problem is a dict with the keys of a problem
file, in rows notation and heads first; a dialect is spelled out before it comes here.
"""

import math
from collections.abc import Iterable
from typing import Any

Vector = list[float]
Table = list[Vector]
Nested = Any
"""Lists in lists of numbers."""

NEVER = -math.inf


# --- one head


def attention(problem: dict[str, Any]) -> dict[str, Nested]:
    """Every step of one head, under the contract's names; a step that is off repeats the last one.

    The similarity is a mapping with its name and tables, `bias` a table `(n_queries n_keys)`,
    `{"slope": m}` (ALiBi of this head) or `{"relative": [2m + 1 numbers]}`; `mask` a table of
    booleans or of floats that are added; `key_lengths` a number or one a query.
    """
    steps: dict[str, Nested] = {}
    given = problem.get("scores")
    if given is None:
        query, key, value = vectors(problem)
        scores = [[similarity(q, k, problem) for k in key] for q in query]
        steps |= {"query": query, "key": key}
    else:
        value = problem.get("value")
        scores = [list(row) for row in given]
    n_queries, n_keys = len(scores), len(scores[0])
    n_real = n_keys - bool(problem.get("zero_key"))

    factor = scale(problem)
    scaled = [[score * factor for score in row] for row in scores]
    cap = problem.get("softcap")
    capped = [[cap * math.tanh(s / cap) for s in row] for row in scaled] if cap else scaled

    biased = [list(row) for row in capped]
    seen = [[True] * n_keys for _ in range(n_queries)]
    for i in range(n_queries):
        for j in range(n_real):
            biased[i][j] += bias(problem, i, j, n_queries, n_real)
            seen[i][j] = may_attend(problem, i, j, n_queries, n_real)
    masked = [
        [biased[i][j] if seen[i][j] else NEVER for j in range(n_keys)] for i in range(n_queries)
    ]
    weights = [normalized(row, problem) for row in masked]

    steps |= {"scores": scores, "scaled": scaled, "capped": capped}
    steps |= {"biased": biased, "masked": masked, "weights": weights}
    steps["lse"] = [log_sum_exp(row, problem) for row in masked]
    if value is None:
        return steps
    steps["value"] = value
    steps["output"] = [
        weighted_sum(weights[i], value, masked[i], problem) for i in range(n_queries)
    ]
    query_mask = problem.get("query_mask")
    if query_mask is not None:
        for i in range(n_queries):
            if not query_mask[i]:
                steps["output"][i] = [0.0] * len(value[0])
    return steps


def vectors(problem: dict[str, Any]) -> tuple[Table, Table, Table | None]:
    """Query, key and value: rotated, behind the cache, with the zero key last."""
    query, key, value = problem["query"], problem["key"], problem.get("value")
    past = problem.get("past")
    n_past = len(past["key"]) if past else 0
    rope = problem.get("rope")
    if rope:
        n_keys = n_past + len(key)
        query_places = [place(problem, i, len(query), n_keys) for i in range(len(query))]
        key_places = [n_past + j for j in range(len(key))]
        query = rotated(query, query_places, rope, "query")
        key = rotated(key, key_places, rope, "key")
    if past:
        key = past["key"] + key
        value = None if value is None else past["value"] + value
    if problem.get("zero_key"):
        key = [*key, [0.0] * len(key[0])]
        value = None if value is None else [*value, [0.0] * len(value[0])]
    return query, key, value


def rotated(table: Table, places: list[float], rope: dict[str, Any], side: str) -> Table:
    """RoFormer: the pair (x, y) turns by place · base^(−2i/width); features past width stay."""
    positions = rope.get("positions")
    if isinstance(positions, dict):
        positions = positions.get(side)
    if positions is not None:
        places = positions
    result = []
    for row, vector in enumerate(table):
        turned = list(vector)
        width = 2 * len(rope["cos"][0]) if "cos" in rope else rope.get("width", len(vector))
        half = width // 2
        for i in range(half):
            if rope.get("pairing", "halves") == "halves":
                first, second = i, i + half
            else:
                first, second = 2 * i, 2 * i + 1
            if "cos" in rope:
                at = int(places[row])
                cos, sin = rope["cos"][at][i], rope["sin"][at][i]
            else:
                angle = places[row] * rope.get("base", 10000.0) ** (-2 * i / width)
                cos, sin = math.cos(angle), math.sin(angle)
            turned[first] = vector[first] * cos - vector[second] * sin
            turned[second] = vector[first] * sin + vector[second] * cos
        result.append(turned)
    return result


# --- similarity and scale


def similarity(q: Vector, k: Vector, problem: dict[str, Any]) -> float:
    """The score of one query and one key, before the scale."""
    tables = similarity_of(problem)
    name = tables["name"]
    if name in ("dot", "scaled-dot"):
        return dot(q, k)
    if name == "cosine":
        return cosine(q, k, tables.get("epsilon", 0.0), problem.get("zero_norm", "error"))
    if name == "general":
        return dot(times(q, tables["weight"]), k) + tables.get("bias", 0.0)
    if name == "additive":
        left = times(q, tables["query_weight"]) if "query_weight" in tables else q
        right = times(k, tables["key_weight"]) if "key_weight" in tables else k
        shift = tables.get("bias", [0.0] * len(left))
        score_weight = tables.get("score_weight", [1.0] * len(left))
        return total(
            score_weight[d] * math.tanh(left[d] + right[d] + shift[d]) for d in range(len(left))
        )
    if name == "mlp":
        activity = q + k
        for layer in tables["layers"]:
            activity = times(activity, layer["weight"])
            if "bias" in layer:
                activity = [a + b for a, b in zip(activity, layer["bias"], strict=True)]
            activity = [activated(a, layer["activation"]) for a in activity]
        return activity[0]
    distance = total((a - b) ** 2 for a, b in zip(q, k, strict=True))
    return {"euclidean": -distance, "gaussian": -distance / 2}[name]


def similarity_of(problem: dict[str, Any]) -> dict[str, Any]:
    chosen = problem.get("similarity", "scaled-dot")
    return chosen if isinstance(chosen, dict) else {"name": chosen}


def dot(a: Vector, b: Vector) -> float:
    return total(x * y for x, y in zip(a, b, strict=True))


def total(parts: Iterable[float]) -> float:
    """The sum, rounded once; where infinities meet (under a mask), what floats say: NaN."""
    terms = list(parts)
    try:
        return math.fsum(terms)
    except (ValueError, OverflowError):
        return sum(terms)


def times(row: Vector, table: Table) -> Vector:
    """row · table, with a table `(d_in d_out)`."""
    return [total(row[i] * table[i][o] for i in range(len(row))) for o in range(len(table[0]))]


def cosine(q: Vector, k: Vector, epsilon: float, zero_norm: str) -> float:
    """q·k / (max(‖q‖, ε) max(‖k‖, ε)); math.hypot neither overflows nor underflows."""
    norms = [max(math.hypot(*vector), epsilon) for vector in (q, k)]
    if 0.0 in norms:
        if zero_norm == "error":
            raise ValueError("cosine of a zero vector")
        return 0.0
    return dot([x / norms[0] for x in q], [y / norms[1] for y in k])


def activated(x: float, activation: str) -> float:
    if activation == "tanh":
        return math.tanh(x)
    if activation == "relu":
        return max(x, 0.0)
    if activation == "gelu":
        return x * (1 + math.erf(x / math.sqrt(2))) / 2
    return x


def scale(problem: dict[str, Any]) -> float:
    """`auto` is 1/√d_k for scaled-dot and 1 for every other similarity."""
    chosen = problem.get("scale", "auto")
    if chosen == "none":
        return 1.0
    if chosen != "auto":
        return chosen
    if problem.get("scores") is None and similarity_of(problem)["name"] == "scaled-dot":
        return 1 / math.sqrt(len(problem["query"][0]))
    return 1.0


# --- places, biases and masks


def place(problem: dict[str, Any], i: int, n_queries: int, n_keys: int) -> int:
    """Where query i stands among the keys; the keys stand at 0, 1, … n_keys − 1."""
    if problem.get("past"):
        return len(problem["past"]["key"]) + i
    align = problem.get("align", "top-left")
    if align == "top-left":
        return i
    if align == "bottom-right":
        return real_keys(problem, n_keys) - n_queries + i
    return align + i


def real_keys(problem: dict[str, Any], n_keys: int) -> int:
    """How many keys are real: `key_lengths`, and up to the last True of `key_mask`."""
    real = problem.get("key_lengths", n_keys)
    key_mask = problem.get("key_mask")
    if key_mask is not None:
        real = min(real, max((j + 1 for j in range(n_keys) if key_mask[j]), default=0))
    return real


def bias(problem: dict[str, Any], i: int, j: int, n_queries: int, n_keys: int) -> float:
    """What is added to the score of query i and key j; −∞ is masked instead."""
    amount = 0.0
    added = problem.get("bias")
    distance = j - place(problem, i, n_queries, n_keys)
    if isinstance(added, dict):
        if "slope" in added:
            amount -= added["slope"] * abs(distance)
        if "relative" in added:
            m = len(added["relative"]) // 2
            amount += added["relative"][m + min(max(distance, -m), m)]
    elif added is not None:
        amount += added[i][j]
    mask = problem.get("mask")
    if mask is not None and not isinstance(mask[i][j], bool) and mask[i][j] != NEVER:
        amount += mask[i][j]
    return amount


def may_attend(problem: dict[str, Any], i: int, j: int, n_queries: int, n_keys: int) -> bool:
    """Whether query i may attend to key j: all the masks agree."""
    distance = j - place(problem, i, n_queries, n_keys)
    if problem.get("causal") and distance > 0:
        return False
    left, right = problem.get("window") or (None, None)
    if left not in (None, -1) and distance < -left:
        return False
    if right not in (None, -1) and distance > right:
        return False
    lengths = problem.get("key_lengths", n_keys)
    if j >= (lengths[i] if isinstance(lengths, list) else lengths):
        return False
    key_mask = problem.get("key_mask")
    if key_mask is not None and not key_mask[j]:
        return False
    mask = problem.get("mask")
    if mask is None:
        return True
    return mask[i][j] if isinstance(mask[i][j], bool) else mask[i][j] != NEVER


def alibi_slopes(n_heads: int) -> Vector:
    """Press et al. 2022: 2^(−8h/n) for h = 1 … n where n is a power of two; otherwise those of the
    next lower power m, then every other one of 2m, until there are n."""
    power = 1
    while 2 * power <= n_heads:
        power *= 2
    slopes = [2.0 ** (-8 * (h + 1) / power) for h in range(power)]
    between = [2.0 ** (-8 * (h + 1) / (2 * power)) for h in range(0, 2 * power, 2)]
    return slopes + between[: n_heads - power]


# --- normalizers


def normalized(row: Vector, problem: dict[str, Any]) -> Vector:
    """The weights of one query. The sink is one more score, without a weight of its own."""
    temperature = problem.get("temperature", 1.0)
    kept = [j for j, score in enumerate(row) if score != NEVER]
    if not kept:
        fill = {"zero": 0.0, "nan": math.nan, "uniform": 1 / len(row)}
        return [fill[problem.get("masked_row", "zero")]] * len(row)
    scores = [row[j] / temperature for j in kept]
    if problem.get("sink") is not None:
        scores.append(problem["sink"] / temperature)
    values = NORMALIZERS[problem.get("normalizer", "softmax")](scores)
    weights = [0.0] * len(row)
    for j, weight in zip(kept, values, strict=False):  # the sink's weight is dropped
        weights[j] = weight
    return weights


def softmax(scores: Vector) -> Vector:
    top = max(scores)
    parts = [math.exp(score - top) for score in scores]
    whole = total(parts)
    return [part / whole for part in parts]


def sparsemax(scores: Vector) -> Vector:
    """Martins & Astudillo 2016: max(0, s − τ), with the τ that makes them sum to 1."""
    return thresholded(scores, 1)


def entmax15(scores: Vector) -> Vector:
    """Peters et al. 2019, α = 1.5: max(0, s/2 − τ)², with the τ that makes them sum to 1."""
    return thresholded([score / 2 for score in scores], 2)


def thresholded(scores: Vector, power: int) -> Vector:
    """τ by bisection: the sum falls from at least 1 at max − 1 to 0 at max."""
    top = max(scores)
    shifted = [score - top for score in scores]
    low, high = -1.0, 0.0
    for _ in range(200):
        middle = (low + high) / 2
        if total(max(0.0, score - middle) ** power for score in shifted) >= 1:
            low = middle
        else:
            high = middle
    return [max(0.0, score - low) ** power for score in shifted]


def sigmoid(scores: Vector) -> Vector:
    return [
        1 / (1 + math.exp(-score)) if score >= 0 else math.exp(score) / (1 + math.exp(score))
        for score in scores
    ]


def hard(scores: Vector) -> Vector:
    """All the weight on the first maximum."""
    first = scores.index(max(scores))
    return [1.0 if j == first else 0.0 for j in range(len(scores))]


def none(scores: Vector) -> Vector:
    return list(scores)


NORMALIZERS = {
    "softmax": softmax,
    "sparsemax": sparsemax,
    "entmax15": entmax15,
    "sigmoid": sigmoid,
    "hard": hard,
    "none": none,
}


def log_sum_exp(row: Vector, problem: dict[str, Any]) -> float:
    """log Σ exp(score / temperature), the sink included; −∞ where there is nothing to add."""
    temperature = problem.get("temperature", 1.0)
    scores = [score / temperature for score in row if score != NEVER]
    if problem.get("sink") is not None:
        scores.append(problem["sink"] / temperature)
    if not scores:
        return NEVER
    top = max(scores)
    return top + math.log(total(math.exp(score - top) for score in scores))


def weighted_sum(weights: Vector, value: Table, masked: Vector, problem: dict[str, Any]) -> Vector:
    """Σ weight · value over the keys that are not masked: a masked value is never looked at."""
    kept = [j for j, score in enumerate(masked) if score != NEVER]
    if not kept:
        rule = problem.get("masked_row", "zero")
        if rule == "zero":
            return [0.0] * len(value[0])
        kept = list(range(len(masked)))
    return [total(weights[j] * value[j][d] for j in kept) for d in range(len(value[0]))]
