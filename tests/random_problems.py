"""Random problems for the property tests: every axis another prime, every feature by its name.

A feature is a function of the sizes and a random generator; it returns keys of a problem file.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests import oracle

Problem = dict[str, Any]
Random = np.random.Generator
Feature = Callable[["Sizes", Random], Problem]


@dataclass(frozen=True)
class Sizes:
    """Lengths of the axes; `heads` 0 means that there is no head axis."""

    batch: int
    heads: int
    kv_heads: int
    n_queries: int
    n_keys: int
    """Without the cache."""
    d_k: int
    d_v: int
    n_past: int = 0

    @property
    def all_keys(self) -> int:
        return self.n_past + self.n_keys

    @property
    def lead(self) -> tuple[int, ...]:
        return (self.batch, self.heads) if self.heads else (self.batch,)

    @property
    def kv_lead(self) -> tuple[int, ...]:
        return (self.batch, self.kv_heads) if self.heads else (self.batch,)


@st.composite
def sizes(draw: st.DrawFn, *, heads: bool | None = None) -> Sizes:
    """Distinct primes for every axis; grouped heads are a multiple of the prime of key heads."""
    batch, kv_heads = draw(st.permutations([2, 3]))
    n_queries, n_keys = draw(st.permutations([5, 7]))
    d_k, d_v = draw(st.permutations([11, 13]))
    with_heads = draw(st.booleans()) if heads is None else heads
    group = draw(st.sampled_from([1, 2]))
    return Sizes(
        batch,
        kv_heads * group if with_heads else 0,
        kv_heads if with_heads else 0,
        n_queries,
        n_keys,
        d_k,
        d_v,
    )


def generators() -> st.SearchStrategy[Random]:
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


def vectors(s: Sizes, random: Random) -> Problem:
    """Query, key and value of these sizes, and a cache where there is one."""
    problem: Problem = {
        "query": random.normal(size=(*s.lead, s.n_queries, s.d_k)),
        "key": random.normal(size=(*s.kv_lead, s.n_keys, s.d_k)),
        "value": random.normal(size=(*s.kv_lead, s.n_keys, s.d_v)),
    }
    if s.n_past:
        problem["past"] = {
            "key": random.normal(size=(*s.kv_lead, s.n_past, s.d_k)),
            "value": random.normal(size=(*s.kv_lead, s.n_past, s.d_v)),
        }
    return problem


# --- similarities


def similarities(s: Sizes, random: Random) -> dict[str, Any]:
    """Every similarity of the contract with random tables; additive and mlp also bare or deep."""
    width = 3

    def table(*shape: int) -> np.ndarray:
        return random.normal(size=shape) / 2

    return {
        "dot": "dot",
        "scaled-dot": "scaled-dot",
        "cosine": "cosine",
        "general": {"name": "general", "weight": table(s.d_k, s.d_k), "bias": 0.7},
        "additive": {
            "name": "additive",
            "query_weight": table(s.d_k, width),
            "key_weight": table(s.d_k, width),
            "bias": table(width),
            "score_weight": table(width, 1),
        },
        "additive-bare": "additive",
        "mlp": {
            "name": "mlp",
            "layers": [
                {"weight": table(2 * s.d_k, width), "bias": table(width), "activation": "gelu"},
                {"weight": table(width, width), "activation": "relu"},
                {"weight": table(width, width), "bias": table(width), "activation": "tanh"},
                {"weight": table(width, 1), "bias": table(1), "activation": "none"},
            ],
        },
        "euclidean": "euclidean",
        "gaussian": "gaussian",
    }


SIMILARITY_NAMES = tuple(similarities(Sizes(2, 0, 0, 5, 7, 11, 13), np.random.default_rng(0)))
NORMALIZER_NAMES = tuple(oracle.NORMALIZERS)
WITHOUT_DENOMINATOR = ("sigmoid", "none")
SUM_TO_ONE = tuple(name for name in NORMALIZER_NAMES if name not in WITHOUT_DENOMINATOR)


# --- features


def number(random: Random) -> float:
    return float(random.uniform(0.2, 3))


def pairs(s: Sizes) -> tuple[int, ...]:
    return (*s.lead, s.n_queries, s.all_keys)


def visible(random: Random, *shape: int) -> np.ndarray:
    return random.random(shape) < 0.6


def aligned(s: Sizes, random: Random) -> Problem:
    """A place for the queries, where no cache says it."""
    if s.n_past:
        return {}
    return {"align": ["top-left", "bottom-right", int(random.integers(0, 4))][random.integers(3)]}


def float_mask(s: Sizes, random: Random) -> Problem:
    mask = random.normal(size=pairs(s))
    return {"mask": np.where(visible(random, *mask.shape), mask, -np.inf)}


def window(s: Sizes, random: Random) -> Problem:
    left, right = (None if random.random() < 0.3 else int(random.integers(0, 4)) for _ in range(2))
    return {"window": [left, -1 if right is None else right], **aligned(s, random)}


def lengths(s: Sizes, random: Random, *shape: int) -> Problem:
    counts = random.integers(0, s.all_keys + 1, size=shape)
    return {"key_lengths": counts if shape else int(counts)}


def rope(s: Sizes, random: Random, **more: Any) -> Problem:
    width = int(random.choice([2, 4, s.d_k - 1]))
    return {"rope": {"base": float(random.choice([10000, 100])), "width": width, **more}}


def placed_rope(s: Sizes, random: Random) -> Problem:
    """Given positions, one set a batch entry, not whole numbers."""
    places = {
        "query": random.uniform(0, 9, size=(s.batch, s.n_queries)),
        "key": random.uniform(0, 9, size=(s.batch, s.n_keys)),
    }
    return rope(s, random, positions=places)


def tabled_rope(s: Sizes, random: Random) -> Problem:
    """Given cosines and sines, looked up by position; the cache is in front of them."""
    cos, sin = random.normal(size=(2, s.all_keys + s.n_queries + 4, 3))
    places = aligned(s, random)
    places = {"align": "top-left"} if places.get("align") == "bottom-right" else places
    return {"rope": {"cos": cos, "sin": sin, "pairing": "interleaved"}, **places}


def placed_by_batch(s: Sizes, random: Random, **settings: Any) -> Problem:
    """The last query stands at the last real key, which is another in each batch entry."""
    if s.n_past:
        return settings
    by = [lengths(s, random, s.batch), {"key_mask": visible(random, s.batch, s.n_keys)}]
    return {**by[random.integers(2)], "align": "bottom-right", **settings}


FEATURES: dict[str, Feature] = {
    "scale": lambda s, random: {"scale": number(random)},
    "no scale": lambda s, random: {"scale": "none"},
    "scale a head": lambda s, random: {"scale": random.normal(size=max(s.heads, 1))},
    "softcap": lambda s, random: {"softcap": number(random)},
    "temperature": lambda s, random: {"temperature": number(random)},
    "bias": lambda s, random: {"bias": random.normal(size=pairs(s))},
    "bias of two axes": lambda s, random: {"bias": random.normal(size=pairs(s)[-2:])},
    "alibi": lambda s, random: {"bias": {"alibi": True}, **aligned(s, random)},
    "relative": lambda s, random: {
        "bias": {"relative": random.normal(size=5)},
        **aligned(s, random),
    },
    "relative a head": lambda s, random: {
        "bias": {"relative": random.normal(size=(s.heads, 7) if s.heads else 7)},
        **aligned(s, random),
    },
    "causal": lambda s, random: {"causal": True, **aligned(s, random)},
    "window": window,
    "mask": lambda s, random: {"mask": visible(random, *pairs(s))},
    "mask of two axes": lambda s, random: {"mask": visible(random, *pairs(s)[-2:])},
    "mask of keys": lambda s, random: {"mask": visible(random, s.all_keys)},
    "mask a head": lambda s, random: {"mask": visible(random, *pairs(s)[1:])},
    "float mask": float_mask,
    "key lengths": lambda s, random: lengths(s, random),
    "key lengths of a batch": lambda s, random: lengths(s, random, s.batch),
    "key lengths of queries": lambda s, random: lengths(s, random, s.batch, s.n_queries),
    "key mask": lambda s, random: {"key_mask": visible(random, s.batch, s.all_keys)},
    "causal up to real keys": lambda s, random: placed_by_batch(s, random, causal=True),
    "alibi from real keys": lambda s, random: placed_by_batch(s, random, bias={"alibi": True}),
    "relative to real keys": lambda s, random: placed_by_batch(
        s, random, bias={"relative": random.normal(size=(s.heads, 7) if s.heads else 7)}
    ),
    "rope up to real keys": lambda s, random: placed_by_batch(s, random, rope={"width": 4}),
    "query mask": lambda s, random: {"query_mask": visible(random, s.batch, s.n_queries)},
    "sink": lambda s, random: {"sink": number(random)},
    "sink a head": lambda s, random: {"sink": random.normal(size=max(s.heads, 1))},
    "zero key": lambda s, random: {"zero_key": True},
    "rope in halves": lambda s, random: {
        **rope(s, random, pairing="halves"),
        **aligned(s, random),
    },
    "rope interleaved": lambda s, random: {
        **rope(s, random, pairing="interleaved"),
        **aligned(s, random),
    },
    "rope at positions": placed_rope,
    "rope from tables": tabled_rope,
}


class Drawn(dict[str, Any]):
    """A problem that says in a failing test how it was drawn, not its thousands of numbers."""

    def __init__(self, problem: Problem, how: str) -> None:
        super().__init__(problem)
        self.how = how

    def __repr__(self) -> str:
        return self.how


@st.composite
def problems(
    draw: st.DrawFn,
    similarity: str | None = None,
    normalizer: str | None = None,
    features: tuple[str, ...] | None = None,
) -> Problem:
    """A random problem with the given choices; what is not given is drawn."""
    s = draw(sizes())
    s = replace(s, n_past=draw(st.sampled_from([0, 4])))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    if similarity is None:
        similarity = draw(st.sampled_from(SIMILARITY_NAMES))
    if normalizer is None:
        normalizer = draw(st.sampled_from(NORMALIZER_NAMES))
    if features is None:
        features = tuple(draw(st.lists(st.sampled_from(list(FEATURES)), max_size=5, unique=True)))
    problem = vectors(s, random)
    problem |= {"similarity": similarities(s, random)[similarity], "normalizer": normalizer}
    for feature in features:
        problem |= FEATURES[feature](s, random)
    how = f"{similarity}, {normalizer}, features={features}, {s}, default_rng({seed})"
    return Drawn(consistent(problem, s), how)


def consistent(problem: Problem, s: Sizes) -> Problem:
    """The problem without what the contract refuses together, and without ties made by rounding."""
    if problem["normalizer"] in WITHOUT_DENOMINATOR:
        problem.pop("sink", None)
    if problem["normalizer"] == "hard":
        problem.pop("softcap", None)  # where tanh saturates, the last bit would choose the key
    if problem.get("zero_key") and problem["similarity"] == "cosine":
        problem["zero_norm"] = "zero"
    per_query = isinstance(problem.get("key_lengths"), np.ndarray) and (
        problem["key_lengths"].ndim == 2
    )
    tabled = "cos" in problem.get("rope", {})
    if problem.get("align") == "bottom-right" and (per_query or tabled):
        problem["align"] = "top-left"
    placed = problem.keys() & {"causal", "window", "bias", "rope"}
    if not placed:
        problem.pop("align", None)
    if s.n_past:
        problem.pop("align", None)
    return problem
