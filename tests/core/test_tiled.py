"""Tiles against steps: every combination of features, widths from 1 on, hard numbers, laws."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncli import load
from attncli.backends import find
from attncli.core import tiled as recipe
from attncli.core.attention import Attention
from attncli.core.partial import Partial
from attncli.core.step import result
from attncli.errors import LimitError, RefusedError
from attncli.solve import excerpt, solve
from tests import problem_file
from tests.judging import assert_same
from tests.random_problems import NORMALIZER_NAMES, generators, problems, sizes, vectors

RANDOM = np.random.default_rng(0)


def opened(problem: dict[str, Any]) -> Attention:
    with tempfile.TemporaryDirectory() as folder:
        made = load(problem_file.write(Path(folder), problem))
    assert isinstance(made, Attention)
    return made


def by_tiles(problem: Attention, tile: int, *, tuned: bool = True, threads: int = 2) -> np.ndarray:
    machine = find("numpy")
    machine.writes_in_place = tuned
    with machine.session(threads):
        output: np.ndarray = result(recipe.tiled(problem, machine, tile))
    return output


def by_steps(problem: Attention) -> np.ndarray:
    output: np.ndarray = solve(problem, tile="none").step("output").value
    return output


@given(problem=problems(), tile=st.integers(1, 8), tuned=st.booleans())
@settings(max_examples=400, deadline=None)
def test_tiles_give_what_steps_give(problem: dict[str, Any], tile: int, tuned: bool) -> None:
    attention = opened(problem)
    got = by_tiles(attention, tile, tuned=tuned)
    assert_same("output", got, by_steps(attention), 1e-9, 1e-11)


@pytest.mark.parametrize("masked_row", ["zero", "nan", "uniform"])
@pytest.mark.parametrize("normalizer", NORMALIZER_NAMES)
@given(s=sizes(), random=generators(), tile=st.integers(1, 8))
@settings(max_examples=6, deadline=None)
def test_rows_that_see_nothing(
    normalizer: str, masked_row: str, s: Any, random: np.random.Generator, tile: int
) -> None:
    mask = random.random((s.n_queries, s.n_keys)) < 0.6
    mask[random.integers(s.n_queries)] = False
    keys = {"mask": mask, "masked_row": masked_row, "normalizer": normalizer}
    attention = opened({**vectors(s, random), **keys})
    assert_same("output", by_tiles(attention, tile), by_steps(attention), 1e-9, 1e-11)


@pytest.mark.parametrize(
    "given",
    [{"scores": (1, 4, 5, 7)}, {"query": (1, 4, 5, 3), "key": (7, 3)}],
    ids=["scores", "one key of all heads"],
)
def test_values_in_groups_serve_the_same_heads(given: dict[str, tuple[int, ...]]) -> None:
    arrays = {name: RANDOM.normal(size=shape) for name, shape in given.items()}
    problem = load(**arrays, value=RANDOM.normal(size=(1, 2, 7, 3)))
    assert_same("output", by_tiles(problem, 2), by_steps(problem), 1e-9, 1e-11)


@pytest.mark.parametrize("lengths", [[0, 4], [[0, 3, 5, 2], [1, 2, 0, 1]]])
@pytest.mark.parametrize("tile", [1, 2, 5])
def test_keys_that_are_masked_by_a_number_take_part_in_every_tile(
    lengths: list[Any], tile: int
) -> None:
    """Keras adds −1e9: of a query that sees nothing the scores decide as if nothing were masked."""
    q, k, v = (RANDOM.normal(size=(2, n, 3)) for n in (4, 5, 5))
    problem = load(query=q, key=k, value=v, dialect="keras", key_lengths=lengths)
    assert_same("output", by_tiles(problem, tile), by_steps(problem), 1e-9, 1e-11)


def test_a_row_that_sees_nothing_can_be_an_error() -> None:
    problem = load(query=np.eye(3), key=np.eye(3), value=np.eye(3), mask=[False, False, False])
    refused = load(
        query=np.eye(3), key=np.eye(3), value=np.eye(3), mask=[False] * 3, masked_row="error"
    )
    assert not by_tiles(problem, 2).any()
    with pytest.raises(RefusedError, match="may attend to no key"):
        by_tiles(refused, 2)


@pytest.mark.parametrize("tile", [2, 3])
@pytest.mark.parametrize("masked_row", ["zero", "nan", "uniform"])
@pytest.mark.parametrize("normalizer", NORMALIZER_NAMES)
def test_fixed_rows_that_see_nothing(normalizer: str, masked_row: str, tile: int) -> None:
    """One among others in its tile, and all of a tile."""
    random = np.random.default_rng(29)
    mask = random.random((5, 7)) < 0.7
    mask[[0, 1, 3]] = False
    attention = load(
        query=random.normal(size=(5, 3)),
        key=random.normal(size=(7, 3)),
        value=random.normal(size=(7, 2)),
        mask=mask,
        mask_means="keep",
        masked_row=masked_row,
        normalizer=normalizer,
        temperature=0.7 if tile == 2 else 2.0,
    )
    assert_same("output", by_tiles(attention, tile), by_steps(attention), 1e-12, 1e-14)


def test_the_query_that_sees_nothing_is_named_in_whatever_tile_it_is() -> None:
    mask = np.ones((5, 7), bool)
    mask[3] = False
    arrays = {name: RANDOM.normal(size=(n, 2)) for name, n in (("query", 5), ("key", 7))}
    value = RANDOM.normal(size=(7, 3))
    problem = load(**arrays, value=value, mask=mask, mask_means="keep", masked_row="error")
    for tile in (1, 2, 5):
        with pytest.raises(RefusedError, match="query 3 "):
            by_tiles(problem, tile)


def test_tiles_and_units_go_in_order() -> None:
    assert [*recipe.cut(range(3, 10), 3)] == [range(3, 6), range(6, 9), range(9, 10)]
    assert [*recipe.cut(range(3, 3), 3)] == []
    assert [*recipe.indices(())] == [()]
    assert [*recipe.indices((2, 3))] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_what_is_masked_cannot_reach_the_output(poison: float) -> None:
    value = RANDOM.normal(size=(7, 3))
    value[5:] = poison
    key = RANDOM.normal(size=(7, 2))
    key[6] = poison
    keys = {"query": RANDOM.normal(size=(5, 2)), "key": key, "key_lengths": 5}
    problem = load(**keys, value=value, allow_nonfinite=True)
    for tile in range(1, 9):
        got = by_tiles(problem, tile)
        assert np.isfinite(got).all()
        assert_same("output", got, by_steps(problem), 1e-12, 1e-14)


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "causal": {"causal": True},
    "late": {"mask": np.arange(101)[None, :] >= np.minimum(np.arange(101)[:, None], 90)},
    "alibi": {"bias": {"alibi": True}},
    "window": {"window": (5, 0)},
}


@pytest.mark.parametrize("height", [1.0, 1e2, 1e4])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tuned", [True, False])
def test_in_float32_it_errs_no_more_than_twice_a_naive_run(
    height: float, kind: str, tuned: bool
) -> None:
    """Also for scores of ±10⁴, and for rows that see their first key late.

    On average over forty draws: which of two sums rounds better in a single one is luck, and with
    large scores the few near ties of two keys make nearly all of the error.
    """
    n, d, errors = 101, 8, np.zeros(2)
    for seed in range(40):
        random = np.random.default_rng(seed)
        q, k, v = (random.normal(size=(n, d)).astype(np.float32) for _ in range(3))
        keys = {"query": q * np.float32(height), "key": k, "value": v, **KINDS[kind]}
        exact = solve(load(**keys, dtype="float64"), tile="none").output
        single = load(**keys)
        runs = by_tiles(single, 37, tuned=tuned), by_steps(single)
        errors += [np.abs(run - exact).mean() for run in runs]
    ours, naive = errors / 40
    assert ours <= 2 * naive + np.finfo(np.float32).eps / 16


def test_the_same_tiles_give_the_same_bytes_whatever_the_threads() -> None:
    shape = (2, 3, 211, 8)
    q, k, v = (RANDOM.normal(size=shape).astype(np.float32) for _ in range(3))
    problem = load(query=q, key=k, value=v, causal=True)
    first = by_tiles(problem, 32, threads=1).tobytes()
    assert all(by_tiles(problem, 32, threads=n).tobytes() == first for n in (1, 2, 3))


@given(s=sizes(), problem=problems(), data=st.data())
@settings(max_examples=100, deadline=None)
def test_some_queries_alone_have_the_rows_that_they_have_among_all(
    s: Any, problem: dict[str, Any], data: st.DataObject
) -> None:
    attention = opened(problem)
    n = attention.n_queries
    first = data.draw(st.integers(0, n - 1))
    rows = range(first, data.draw(st.integers(first + 1, n)))
    whole, part = solve(attention), solve(excerpt(attention, rows))
    for step in whole.steps:
        if "query" in step.axes:
            axis = step.axes.index("query")
            wanted = step.value.take(rows, axis)
            assert_same(step.name, part[step.name], wanted, 1e-12, 1e-14)


def test_fixed_queries_alone_have_the_rows_that_they_have_among_all() -> None:
    """With places, turned vectors, tables and masks of each entry; by steps and by tiles."""
    random = np.random.default_rng(31)
    q, k, v = (random.normal(size=(2, 3, n, 4)) for n in (5, 7, 7))
    seen = random.random((2, 3, 5, 7)) < 0.7
    seen[..., 0] = True
    rows = np.ones((2, 5), bool)
    rows[1, 3] = False
    problem = load(
        query=q,
        key=k,
        value=v,
        rope={"width": 2},
        align="bottom-right",
        window=[3, 2],
        mask=seen,
        mask_means="keep",
        bias=random.normal(size=(5, 7)),
        query_mask=rows,
    )
    given = load(scores=random.normal(size=(2, 5, 7)), value=random.normal(size=(2, 7, 3)))
    for whole in (problem, given):
        part = excerpt(whole, range(2, 4))
        expected = by_steps(whole)[..., 2:4, :]
        assert_same("output", by_steps(part), expected, 1e-12, 1e-14)
        for tile in (1, 3):
            assert_same("output", by_tiles(part, tile), expected, 1e-12, 1e-14)


def test_masks_that_see_little_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles that no query looks at are never scored."""
    pairs = 0
    original = recipe.Unit.modified

    def counted(self: Any, queries: range, keys: range, xp: Any) -> Any:
        nonlocal pairs
        pairs += len(queries) * len(keys)
        return original(self, queries, keys, xp)

    monkeypatch.setattr(recipe.Unit, "modified", counted)
    q, k, v = (RANDOM.normal(size=(128, 4)) for _ in range(3))
    seen = {}
    for name, keys in {
        "full": {},
        "causal": {"causal": True},
        "window": {"window": (8, 0)},
        "lengths": {"key_lengths": 16},
    }.items():
        pairs = 0
        by_tiles(load(query=q, key=k, value=v, **keys), 16, tuned=False)
        seen[name] = pairs
    assert seen == {
        "full": 128**2,
        "causal": 128**2 * 9 // 16,
        "window": 16 * 16 + 7 * 16 * 24,
        "lengths": 2048,
    }


class Rows:
    """Takes rows, as a file does; `mapped` then gives them back."""

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self.array, self.is_mapped = np.full(shape, np.nan, dtype), False

    def __setitem__(self, index: Any, rows: Any) -> None:
        self.array[index] = rows

    def mapped(self) -> np.ndarray:
        self.is_mapped = True
        return self.array


def test_rows_go_to_what_is_given_for_them_where_they_are_the_output_themselves() -> None:
    q, k, v = (RANDOM.normal(size=(2, n, 6)) for n in (5, 7, 7))
    machine, made = find("numpy"), list[Rows]()

    def into(shape: tuple[int, ...], dtype: str) -> Rows:
        made.append(Rows(shape, dtype))
        return made[-1]

    for changes in ({}, {"heads": 3}, {"query_mask": [True] * 4 + [False]}):
        problem = load(query=q, key=k, value=v, **changes)
        with machine.session(2):
            output = result(recipe.tiled(problem, machine, 2, into=into))
        assert_same("output", output, by_steps(problem), 1e-12, 1e-14)
        assert len(made) == 1, "heads are joined and rows zeroed after the tiles"
    assert made[0].is_mapped


def test_each_query_that_sees_nothing_is_told_once_with_its_entry() -> None:
    mask = np.ones((2, 5, 7), bool)
    mask[0, [1, 4]] = mask[1, 2] = False
    arrays = [RANDOM.normal(size=(2, n, 3)) for n in (5, 7, 7)]
    keys = dict(zip(("query", "key", "value"), arrays, strict=True))
    problem, machine = load(**keys, mask=mask, mask_means="keep"), find("numpy")
    told: list[tuple[int, int]] = []

    def blind(index: tuple[int, ...], queries: range, nothing: Any) -> None:
        told.extend(
            (*index, query) for query, one in zip(queries, nothing[:, 0], strict=True) if one
        )

    with machine.session(1):
        result(recipe.tiled(problem, machine, 2, blind=blind))
    assert sorted(told) == [(0, 1), (0, 4), (1, 2)]


# --- memory


@pytest.mark.parametrize("most", [16, 8, 4])
def test_where_memory_is_short_tiles_are_halved(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    original, widths = recipe.Unit.rows, []

    def hungry(self: Any, queries: range, tile: int, xp: Any) -> Any:
        widths.append(tile)
        if tile > most:
            raise MemoryError
        return original(self, queries, tile, xp)

    monkeypatch.setattr(recipe.Unit, "rows", hungry)
    q, k, v = (RANDOM.normal(size=(37, 4)) for _ in range(3))
    problem = load(query=q, key=k, value=v, causal=True)
    got = by_tiles(problem, 32, tuned=False)
    assert_same("output", got, by_steps(problem), 1e-12, 1e-14)
    assert {*widths} == {width for width in (32, 16, 8, 4) if width >= most}


@pytest.mark.parametrize(
    ("first", "last", "wanted"), [(32, 2, 32), (48, 3, 72), (33, 2, 32), (7, 1, 8)]
)
def test_after_four_halvings_it_says_what_is_wanted_and_what_is_free(
    first: int, last: int, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(recipe.Unit, "rows", hungry)
    q, k, v = (RANDOM.normal(size=(37, 4)) for _ in range(3))
    with pytest.raises(LimitError, match=f"even for tiles of {last} queries and keys") as caught:
        by_tiles(load(query=q, key=k, value=v), first, tuned=False)
    assert caught.value.expected == f"{wanted} bytes for the scores of one tile"
    assert "free" in caught.value.found


# --- partial results


def part(random: np.random.Generator, n_keys: int) -> Partial:
    scores = random.normal(size=(3, n_keys)) * 20
    scores[random.random((3, n_keys)) < 0.3] = -np.inf
    return Partial.of(scores, random.normal(size=(n_keys, 2)), np, leaves_out=True)


def test_parts_merged_with_a_sink_are_the_softmax_of_all() -> None:
    scores = np.array([[1.0, 2.5, -np.inf, 0.5], [-np.inf] * 4, [800.0, -np.inf, -700.0, 799.0]])
    value = RANDOM.normal(size=(4, 3))
    sink = np.array([[0.7]])
    parts = [
        Partial.of(scores[:, keys], value[keys], np, leaves_out=True)
        for keys in (slice(0, 1), slice(1, 3), slice(3, 4))
    ]
    merged = parts[0].merge(parts[1], np).merge(parts[2], np)
    for part, extra in ((merged, -np.inf), (merged.beside(sink, np), 0.7)):
        for row in range(3):
            best = max(*scores[row], extra)
            weights = np.exp(scores[row] - (best if best > -np.inf else 0))
            total = weights.sum() + np.exp(extra - (best if best > -np.inf else 0))
            expected = weights @ value / (total or 1.0)
            np.testing.assert_allclose(part.output(np)[row], expected, rtol=1e-13)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 5), min_size=3, max_size=3))
def test_merging_is_associative_and_has_an_identity(seed: int, counts: list[int]) -> None:
    random = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        a, b, c = (part(random, n) for n in counts)
        nothing = Partial.identity(3, 2, np.float64, np)
        left, right = a.merge(b, np).merge(c, np), a.merge(b.merge(c, np), np)
        np.testing.assert_allclose(left.output(np), right.output(np), rtol=1e-12, atol=1e-15)
        for same in (a.merge(nothing, np), nothing.merge(a, np)):
            for name in ("row_max", "row_sum", "weighted"):
                np.testing.assert_array_equal(getattr(same, name), getattr(a, name))


@given(problem=problems(), tile=st.integers(1, 8))
@settings(max_examples=150, deadline=None)
def test_tiles_say_which_queries_see_nothing(problem: dict[str, Any], tile: int) -> None:
    attention = opened(problem)
    by_steps, tiles = (
        [note for note in solve(attention, tile=how, keep=()).notes if "attend to nothing" in note]
        for how in ("none", tile)
    )
    assert tiles == by_steps
