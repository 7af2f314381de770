"""The tuned loop of one unit: what it takes and what it leaves, and its rows beside plain tiles."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attncli import load
from attncli.core import tiled
from attncli.core.attention import Attention
from attncli.core.masking import Alibi, Places
from attncli.core.step import result
from attncli.core.tuned import SAMPLE, Loop

RANDOM = np.random.default_rng(11)
N, M, D, D_V = 13, 47, 5, 3
"""More keys than a reference looks at: it must serve scores that it has not seen."""
Keys = dict[str, Any]


def normal(*shape: int) -> Any:
    return RANDOM.normal(size=shape)


PLAIN: Keys = {"query": normal(N, D), "key": normal(M, D), "value": normal(M, D_V)}
HEADS: Keys = {
    "query": normal(1, 3, N, D),
    "key": normal(1, 3, M, D),
    "value": normal(1, 3, M, D_V),
}
ALIBI: Keys = {"bias": {"alibi": True}, "align": "top-left"}
LATE: Keys = {"causal": True, "align": "bottom-right"}


def unit(keys: Keys, index: tuple[int, ...] = ()) -> tiled.Unit:
    attention = load(**keys)
    assert isinstance(attention, Attention)
    return unit_of(attention, index)


def unit_of(attention: Attention, index: tuple[int, ...] = ()) -> tiled.Unit:
    query, key, value = result(attention.vectors(np))
    if query is not None:
        query, key = attention.similarity.prepare(query, key, np)
    return tiled.of(attention, query, key, value, index)


def loop(keys: Keys, tile: int, index: tuple[int, ...] = ()) -> Loop:
    made = Loop.of(unit(keys, index), np, tile)
    assert made is not None
    return made


SERVED: dict[str, Keys] = {
    "plain": {},
    "unscaled": {"scale": "none"},
    "scaled": {"scale": 0.7},
    "cosine": {"similarity": "cosine", "scale": 3.0},
    "general": {"similarity": {"name": "general", "weight": normal(D, D)}},
    "temperature": {"temperature": 0.7},
    "temperature above 1": {"temperature": 2.0},
    "softcap": {"softcap": 1.5},
    "softcap, temperature above 1": {"softcap": 1.5, "temperature": 2.0},
    "softcap, temperature": {"softcap": 1.5, "temperature": 0.7},
    "bias": {"bias": normal(N, M)},
    "bias, temperature": {"bias": normal(N, M), "temperature": 0.7},
    "bias, softcap, temperature": {"bias": normal(N, M), "softcap": 1.5, "temperature": 0.7},
    "causal": LATE,
    "window": {"window": [5, 3], "align": "top-left"},
    "holes": {"mask": np.arange(M) % 11 < 4, "mask_means": "keep"},
    "lengths": {"key_lengths": 29},
    "sink": {"sink": 0.3},
    "sink, temperature": {"sink": 0.3, "temperature": 0.7},
    "zero key": {"zero_key": True},
    "zero key, bias": {"zero_key": True, "bias": normal(N, M)},
    "relative": {"bias": {"relative": normal(7)}, "align": "top-left"},
}
OF_HEADS: dict[str, Keys] = {
    "alibi": ALIBI,
    "alibi, temperature": {**ALIBI, "temperature": 0.7},
    "alibi, softcap": {**ALIBI, "softcap": 1.5},
    "alibi, causal": {**ALIBI, **LATE},
    "alibi, zero key": {**ALIBI, "zero_key": True},
    "sinks": {"sink": [0.1, 0.5, -2.0]},
}


def assert_serves(keys: Keys, index: tuple[int, ...] = ()) -> None:
    """The loop's rows are those of the plain recipe, for tiles that divide the keys and not."""
    of = unit(keys, index)
    for tile in (5, 16, 64):
        made = loop(keys, tile, index)
        for rows in tiled.cut(range(N), tile):
            got = made.rows(rows)
            assert got is not None, "the reference serves all of these"
            np.testing.assert_allclose(got, of.rows(rows, tile, np), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", SERVED)
def test_rows_are_those_of_plain_tiles(name: str) -> None:
    assert_serves({**PLAIN, **SERVED[name]})


@pytest.mark.parametrize("head", range(3))
@pytest.mark.parametrize("name", OF_HEADS)
def test_rows_of_a_head_are_those_of_plain_tiles(name: str, head: int) -> None:
    assert_serves({**HEADS, **OF_HEADS[name]}, (0, head))


LEFT: dict[str, Keys] = {
    "no product": {"similarity": "euclidean"},
    "a product and a number": {"similarity": {"name": "general", "bias": 0.5}},
    "no softmax": {"normalizer": "sigmoid"},
    "rows that see nothing": {"masked_row": "nan"},
    "keys that take part though masked": {"dialect": "keras", "key_lengths": 29},
    "query": {"query": np.where(np.eye(N, D) > 0, np.inf, PLAIN["query"]), "allow_nonfinite": True},
    "key": {"key": np.where(np.eye(M, D) > 0, np.inf, PLAIN["key"]), "allow_nonfinite": True},
    "value": {"value": np.where(np.eye(M, D_V) > 0, np.inf, 0.0), "allow_nonfinite": True},
}


@pytest.mark.parametrize("name", LEFT)
def test_what_only_the_plain_recipe_can_do_is_left_to_it(name: str) -> None:
    assert Loop.of(unit({**PLAIN, **LEFT[name]}), np, 16) is None


def test_given_scores_are_left_to_the_plain_recipe() -> None:
    assert Loop.of(unit({"scores": normal(N, M), "value": normal(M, D_V)}), np, 16) is None


def of_scores(scores: Any, dtype: str = "float64", **keys: Any) -> Loop:
    """A loop over one query, whose scores are these numbers."""
    column = np.asarray(scores, dtype)[:, None]
    one = {"query": np.ones((1, 1), dtype), "key": column, "value": np.ones_like(column)}
    return loop({**one, "scale": "none", "dtype": dtype, **keys}, 16)


@pytest.mark.parametrize(
    ("dtype", "fits", "lost"), [("float64", 400.0, 500.0), ("float32", 40.0, 50.0)]
)
def test_a_reference_far_above_what_is_seen_does_not_serve(
    dtype: str, fits: float, lost: float
) -> None:
    """It is taken among all keys, and the greatest of these is masked: e⁻⁵⁰⁰ has lost digits."""
    mask: Keys = {"mask": [False, True], "mask_means": "keep"}
    served = of_scores([fits, 0.0], dtype, **mask).rows(range(1))
    assert served is not None
    np.testing.assert_allclose(served, [[1.0]], rtol=1e-6)
    assert of_scores([lost, 0.0], dtype, **mask).rows(range(1)) is None


@pytest.mark.parametrize("keys", [{}, {"sink": 1000.0}], ids=["key", "sink"])
def test_a_reference_far_below_does_not_serve(keys: Keys) -> None:
    """Of a key that it was not taken from, or of the sink, the exponential overflows."""
    scores = np.zeros(SAMPLE + 3)
    assert of_scores(scores, sink=0.5).rows(range(1)) is not None
    scores[-1] = 0.0 if keys else 1000.0
    with np.errstate(over="ignore", invalid="ignore"):
        assert of_scores(scores, **keys).rows(range(1)) is None


def test_a_weighted_sum_that_overflows_does_not_serve() -> None:
    """Divided first, as the plain recipe's merge has it, the same numbers may be finite."""
    scores = np.zeros(SAMPLE + 2)
    scores[-1] = 9.0
    value = np.zeros((len(scores), 1))
    for largest, serves in ((1e304, True), (1e305, False)):
        value[-1] = largest
        with np.errstate(over="ignore"):
            assert (of_scores(scores, value=value).rows(range(1)) is not None) is serves


def test_queries_that_reach_no_key_are_left_to_the_plain_recipe() -> None:
    empty = loop({**PLAIN, "key_lengths": 0}, 16)
    assert empty.rows(range(N)) is None


@pytest.mark.parametrize("late", [0, 7])
def test_a_bias_that_favours_near_keys_has_its_reference_there(late: int) -> None:
    """The greatest score of a row is at its own place, which no sample from the front has."""
    n = 2 * SAMPLE
    value = normal(n + late, 2)
    flat = load(query=np.zeros((n, 1)), key=np.zeros((n + late, 1)), value=value)
    assert isinstance(flat, Attention)
    steep = replace(flat, biases=(Alibi(Places(late), np.full((1, 1), 3000.0)),))
    made = Loop.of(unit_of(steep), np, n)
    assert made is not None
    got = made.rows(range(SAMPLE, n))
    np.testing.assert_allclose(got, value[SAMPLE + late :], rtol=1e-9)
