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


BANDS = [
    (Places(offset), left, right)
    for offset in (-3, 0, 2)
    for left in (None, 0, 2)
    for right in (None, 0, 1)
]


@pytest.mark.parametrize(("places", "left", "right"), BANDS)
def test_each_tile_of_a_band_is_told_by_its_distances(
    places: Places, left: int | None, right: int | None
) -> None:
    """True and False where it is so throughout, for every tile; and no reach wider than it is."""
    band = Band(places, left, right)
    assert isinstance(places.offset, int)
    distance = np.arange(N_KEYS) - (np.arange(N_QUERIES)[:, None] + places.offset)
    seen = (distance >= -(99 if left is None else left)) & (
        distance <= (99 if right is None else right)
    )
    for top, bottom in combinations(range(N_QUERIES + 1), 2):
        keys = np.flatnonzero(seen[top:bottom].any(axis=0))
        reach = band.reach(range(top, bottom), N_KEYS, np)
        assert (len(reach) == 0) is (len(keys) == 0)
        if len(keys):
            assert (reach.start, reach.stop) == (keys[0], keys[-1] + 1)
        for first, stop in combinations(range(N_KEYS + 1), 2):
            part = seen[top:bottom, first:stop]
            answer = band.tile(range(top, bottom), range(first, stop), np)
            assert (answer is True) is bool(part.all())
            if answer is False:
                assert not part.any()
            assert np.array_equal(np.broadcast_to(answer, part.shape), part)


def test_lengths_are_told_by_their_extremes_and_reach_no_further_than_the_longest() -> None:
    each = Lengths(np.array([[2], [4], [3]]))
    assert each.tile(range(3), range(2), np) is True
    assert each.tile(range(1, 3), range(3), np) is True
    assert each.tile(range(3), range(4, 7), np) is False
    assert each.tile(range(1), range(2, 7), np) is False
    assert np.array_equal(each.tile(range(1, 3), range(2, 4), np), [[True, True], [True, False]])
    shared = Lengths(np.array([[[3]], [[5]]]))
    assert shared.tile(range(1, 4), range(3), np) is True
    assert shared.tile(range(1, 4), range(5, 7), np) is False
    reaches = [mask.reach(range(3), 7, np) for mask in (Lengths(4), each, shared, Lengths(11))]
    assert reaches == [range(4), range(4), range(5), range(7)]


@pytest.mark.parametrize("shape", [(2, 2), (3, 2, 2), (2, 1), (1, 2)])
def test_a_tile_of_a_small_table_is_cut_from_it(shape: tuple[int, ...]) -> None:
    table = RANDOM.random(shape)
    whole = np.broadcast_to(table, (*shape[:-2], 2, 2))
    for query, key in np.ndindex(2, 2):
        tile = Addition(table).bias(range(query, query + 1), range(key, key + 1), np)
        np.testing.assert_array_equal(tile, whole[..., query : query + 1, key : key + 1])


def test_the_reach_of_several_masks_is_what_all_reach() -> None:
    window, short = Band(Places(0), 1, 2), Lengths(4)
    assert masking.reach([], range(2, 4), 7, np) == range(7)
    assert masking.reach([window, short], range(2, 4), 7, np) == range(1, 4)
    assert masking.reach([short, window], range(2, 4), 7, np) == range(1, 4)
    assert not masking.reach([window, short], range(6, 7), 7, np)


def test_what_all_masks_let_through() -> None:
    tables = [Table(np.array(rows)) for rows in ([[1, 1, 0]], [[1], [0]])]
    masks = [Table(table.visible == 1) for table in tables]
    both = visible(masks, range(2), range(3), np)
    assert np.array_equal(both, [[True, True, False], [False, False, False]])
    assert visible([], range(2), range(3), np) is True
    assert visible([Lengths(3)], range(2), range(3), np) is True
    assert np.array_equal(visible([Lengths(3), masks[0]], range(2), range(3), np), [[1, 1, 0]])
    assert visible([*masks, Lengths(0)], range(2), range(3), np) is False


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
        (15, [*(2**-k for k in range(1, 9)), *(2 ** -(k + 0.5) for k in range(7))]),
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


SLOPES = np.array([[[0.5]], [[0.25]]])


@pytest.mark.parametrize("offset", [-1, 0, 2])
def test_alibi_is_a_line_on_one_side_of_all_places_and_nowhere_else(offset: int) -> None:
    bias = Alibi(Places(offset), SLOPES)
    for top, bottom in combinations(range(N_QUERIES + 1), 2):
        for first, stop in combinations(range(N_KEYS + 1), 2):
            queries, keys = range(top, bottom), range(first, stop)
            distance = [key - query - offset for query in queries for key in keys]
            line = bias.line(queries, keys, np)
            assert (line is None) is (min(distance) < 0 < max(distance))
            if line is not None:
                slope, start = line
                there = slope * (np.arange(first, stop) - first) + start
                np.testing.assert_array_equal(there, bias.bias(queries, keys, np))


def test_a_bias_of_a_batch_entry_and_head_is_its_part_of_the_whole() -> None:
    offsets = np.array([[[[1]]], [[[-1]]], [[[0]]]])
    biases: list[Any] = [
        Alibi(Places(offsets), SLOPES),
        Relative(Places(offsets), np.arange(10.0).reshape(2, 5)),
        Relative(Places(offsets), np.arange(5.0)),
        Relative(Places(1), np.arange(10.0).reshape(2, 5)),
        Relative(Places(1), np.arange(5.0)),
        Addition(RANDOM.normal(size=(3, 2, N_QUERIES, N_KEYS))),
        Addition(RANDOM.normal(size=(2, N_QUERIES, 1))),
        Addition(RANDOM.normal(size=(3, 1, 1, N_KEYS))),
    ]
    queries, keys = range(1, 4), range(2, 7)
    for bias in biases:
        whole = np.broadcast_to(bias.bias(queries, keys, np), (3, 2, 3, 5))
        for index in np.ndindex(3, 2):
            part = bias.entry(index).bias(queries, keys, np)
            np.testing.assert_array_equal(np.broadcast_to(part, (3, 5)), whole[index])


def test_a_relative_bias_of_each_head_looks_up_its_own_row() -> None:
    table = np.array([[10.0, 20.0, 30.0], [1.0, 2.0, 3.0]])
    for offset in (0, np.array([[[[0]]], [[[1]]]])):
        bias = Relative(Places(offset), table).bias(range(3), range(4), np)
        assert bias.shape == ((2, 3, 4) if isinstance(offset, int) else (2, 2, 3, 4))
        for entry, head, query, key in np.ndindex(2, 2, 3, 4):
            place = query + (0 if isinstance(offset, int) else entry)
            one = bias[head] if isinstance(offset, int) else bias[entry, head]
            assert one[query, key] == table[head, 1 + min(max(key - place, -1), 1)]


def test_minus_infinity_of_a_mask_excludes_and_adds_nothing() -> None:
    mask = Addition(np.array([[1.5, -np.inf, 0.0]]), excludes=True)
    assert np.array_equal(mask.tile(range(2), range(3), np), [[True, False, True]])
    assert np.array_equal(mask.bias(range(2), range(3), np), [[1.5, 0.0, 0.0]])


def test_an_entry_is_picked_from_the_right_and_what_is_one_serves_all() -> None:
    table = RANDOM.normal(size=(3, 1, 5, 7))
    np.testing.assert_array_equal(masking.picked(table, (2, 4)), table[2, 0])
    np.testing.assert_array_equal(masking.picked(table, (0, 1, 4)), table[1, 0])
    np.testing.assert_array_equal(masking.picked(table[:, 0], (4, 2)), table[2, 0])
    for whole in (table[0, 0], 3, None):
        assert masking.picked(whole, (1, 2)) is whole


def test_heads_that_share_a_relative_table_all_have_its_one_row() -> None:
    table = np.array([[3.0, 5.0, 7.0]])
    alone = Relative(Places(0), table[0]).bias(range(2), range(3), np)
    for head in range(4):
        of_head = Relative(Places(0), table).entry((head,))
        np.testing.assert_array_equal(of_head.bias(range(2), range(3), np), alone)
    two = Relative(Places(0), np.array([[3.0, 5.0, 7.0], [1.0, 2.0, 4.0]]))
    np.testing.assert_array_equal(two.entry((1,)).table, [1.0, 2.0, 4.0])
