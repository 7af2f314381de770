"""Masks answer by tile: pieced together, the tiles of any size are the whole answer."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncli.core import masking
from attncli.core.masking import (
    Addition,
    Alibi,
    Band,
    Lengths,
    Mask,
    Places,
    Relative,
    Table,
    alibi_slopes,
    visible,
)

N_QUERIES, N_KEYS = 5, 7
RANDOM = np.random.default_rng(3)
MASKS: dict[str, Mask] = {
    "causal": Band(Places(0), right=0),
    "causal, bottom right": Band(Places(2), right=0),
    "causal, one offset a batch entry": Band(Places(np.array([[[-1]], [[3]]])), right=0),
    "window": Band(Places(1), 2, 1),
    "left of a window is open": Band(Places(0), None, 1),
    "right of a window is open": Band(Places(0), 1, None),
    "window before all keys": Band(Places(-20), 1, 1),
    "length": Lengths(4),
    "lengths of a batch": Lengths(np.array([[[2]], [[7]], [[0]]])),
    "lengths of queries": Lengths(np.array([[1], [7], [0], [3], [5]])),
    "table": Table(RANDOM.random((N_QUERIES, N_KEYS)) < 0.5),
    "row": Table(RANDOM.random((1, N_KEYS)) < 0.5),
    "column": Table(RANDOM.random((N_QUERIES, 1)) < 0.5),
    "float": Addition(np.where(RANDOM.random((N_QUERIES, N_KEYS)) < 0.5, 1.0, -np.inf), True),
}


def whole(mask: Mask) -> np.ndarray[Any, Any]:
    """The booleans of all pairs, by asking for one pair at a time."""
    rows = []
    for query in range(N_QUERIES):
        cells = [
            np.asarray(mask.tile(range(query, query + 1), range(key, key + 1), np))
            for key in range(N_KEYS)
        ]
        lead = np.broadcast_shapes(*(cell.shape[:-2] for cell in cells))
        cells = [np.broadcast_to(cell, (*lead, 1, 1)) for cell in cells]
        rows.append(np.concatenate(cells, axis=-1))
    lead = np.broadcast_shapes(*(row.shape[:-2] for row in rows))
    return np.concatenate([np.broadcast_to(row, (*lead, 1, N_KEYS)) for row in rows], axis=-2)


@pytest.mark.parametrize("name", MASKS)
@given(tile=st.integers(1, 9))
@settings(max_examples=9, deadline=None)
def test_tiles_piece_together(name: str, tile: int) -> None:
    mask = MASKS[name]
    expected = whole(mask)
    for top in range(0, N_QUERIES, tile):
        queries = range(top, min(top + tile, N_QUERIES))
        for left in range(0, N_KEYS, tile):
            keys = range(left, min(left + tile, N_KEYS))
            part = expected[..., queries.start : queries.stop, keys.start : keys.stop]
            answer = mask.tile(queries, keys, np)
            assert np.array_equal(np.broadcast_to(answer, part.shape), part)


@pytest.mark.parametrize("name", MASKS)
def test_reach_leaves_out_only_what_nobody_sees(name: str) -> None:
    mask = MASKS[name]
    for first, stop in combinations(range(N_QUERIES + 1), 2):
        reach = mask.reach(range(first, stop), N_KEYS, np)
        outside = [key for key in range(N_KEYS) if key not in reach]
        assert not whole(mask)[..., first:stop, outside].any()


@pytest.mark.parametrize("name", MASKS)
def test_an_entry_is_that_of_its_batch_entry(name: str) -> None:
    seen = whole(MASKS[name])
    for index in np.ndindex(seen.shape[:-2] or (2,)):
        expected = seen[index] if seen.ndim > 2 else seen
        assert np.array_equal(whole(MASKS[name].entry(index)), expected)


def test_every_mask_is_tried_here() -> None:
    classes = {kind for kind in vars(masking).values() if hasattr(kind, "tile")}
    assert {type(mask) for mask in MASKS.values()} == classes - {Mask}


def test_a_tile_that_nobody_sees_is_skipped_without_arithmetic() -> None:
    causal = Band(Places(0), right=0)
    assert causal.tile(range(4), range(4, 8), np) is False
    assert causal.tile(range(8, 9), range(4), np) is True
    assert Lengths(4).tile(range(4), range(4, 8), np) is False
    hidden = Band(Places(-20), 1, 1)
    assert visible([causal, hidden], range(3), range(3), np) is False


@pytest.mark.parametrize(
    ("n_heads", "expected"),
    [
        (1, [2**-8]),
        (2, [2**-4, 2**-8]),
        (8, [2**-k for k in range(1, 9)]),
        (3, [2**-4, 2**-8, 2**-2]),
        (6, [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3]),
        (12, [*(2**-k for k in range(1, 9)), 2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]),
    ],
)
def test_alibi_slopes_are_the_published_ones(n_heads: int, expected: list[float]) -> None:
    assert alibi_slopes(n_heads) == pytest.approx(expected, rel=1e-15)


def test_alibi_falls_with_the_distance_on_both_sides() -> None:
    bias = Alibi(Places(1), np.array([[[0.5]], [[0.25]]])).bias(range(2), range(4), np)
    assert bias.tolist() == [
        [[-0.5, 0, -0.5, -1], [-1, -0.5, 0, -0.5]],
        [[-0.25, 0, -0.25, -0.5], [-0.5, -0.25, 0, -0.25]],
    ]


def test_relative_bias_looks_up_the_clamped_distance() -> None:
    table = np.array([10.0, 20.0, 30.0])
    bias = Relative(Places(0), table).bias(range(3), range(4), np)
    assert bias.tolist() == [[20, 30, 30, 30], [10, 20, 30, 30], [10, 10, 20, 30]]
