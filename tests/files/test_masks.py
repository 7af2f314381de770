"""Masks of a problem: which axis is which, what each value means, and where queries stand.

What each query may see is told by a loop over all batch entries, heads, queries and keys.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attncli import attend
from attncli.errors import AttncliError, InputError, RefusedError

RANDOM = np.random.default_rng(17)
B, H, N, M, D = 2, 3, 5, 7, 2
"""Batch entries, heads, queries, keys, features."""
Sees = Callable[[int, int, int, int], Any]
"""Whether, in a batch entry and a head, a query sees a key."""


def vectors(batch: int | None = B, heads: int | None = H, n_keys: int = M) -> dict[str, Any]:
    lead = tuple(n for n in (batch, heads) if n is not None)
    return {
        "query": RANDOM.normal(size=(*lead, N, D)),
        "key": RANDOM.normal(size=(*lead, n_keys, D)),
        "value": RANDOM.normal(size=(*lead, n_keys, D)),
    }


def booleans(*shape: int) -> np.ndarray:
    return RANDOM.random(shape) < 0.5


def seen(batch: int | None = B, heads: int | None = H, **keys: Any) -> np.ndarray:
    """What is not masked, `(batch heads n_queries n_keys)`."""
    trace = attend(**vectors(batch, heads), **keys)
    visible = np.isfinite(np.asarray(trace["masked"]))
    lead = tuple(n for n in (batch, heads) if n is not None)
    visible = np.broadcast_to(visible, (*lead, N, M))
    return visible.reshape(batch or 1, heads or 1, N, M)


def looped(sees: Sees, batch: int = B, heads: int = H) -> np.ndarray:
    cells = np.ndindex(batch, heads, N, M)
    return np.array([bool(sees(*cell)) for cell in cells]).reshape(batch, heads, N, M)


MASK = {shape: booleans(*shape) for shape in [(M,), (1, M), (N, 1), (N, M), (H, N, M), (B, N, M)]}
MASK |= {shape: booleans(*shape) for shape in [(1, N, M), (B, 1, N, M), (1, H, N, M), (B, H, N, M)]}
MEANINGS: dict[tuple[int, ...], Sees] = {
    (M,): lambda b, h, i, j: MASK[M,][j],
    (1, M): lambda b, h, i, j: MASK[1, M][0, j],
    (N, 1): lambda b, h, i, j: MASK[N, 1][i, 0],
    (N, M): lambda b, h, i, j: MASK[N, M][i, j],
    (H, N, M): lambda b, h, i, j: MASK[H, N, M][h, i, j],
    (B, N, M): lambda b, h, i, j: MASK[B, N, M][b, i, j],
    (1, N, M): lambda b, h, i, j: MASK[1, N, M][0, i, j],
    (B, 1, N, M): lambda b, h, i, j: MASK[B, 1, N, M][b, 0, i, j],
    (1, H, N, M): lambda b, h, i, j: MASK[1, H, N, M][0, h, i, j],
    (B, H, N, M): lambda b, h, i, j: MASK[B, H, N, M][b, h, i, j],
}


@pytest.mark.parametrize("shape", MEANINGS, ids=str)
def test_each_shape_of_a_mask_has_its_meaning(shape: tuple[int, ...]) -> None:
    mask, wanted = MASK[shape], looped(MEANINGS[shape])
    np.testing.assert_array_equal(seen(mask=mask), wanted)
    np.testing.assert_array_equal(seen(mask=~mask, mask_means="drop"), wanted)
    np.testing.assert_array_equal(seen(mask=mask.astype(float), mask_means="keep"), wanted)
    np.testing.assert_array_equal(seen(mask=1 - mask.astype(int), mask_means="drop"), wanted)
    np.testing.assert_array_equal(seen(mask=np.where(mask, 0.25, -np.inf)), wanted)


@pytest.mark.parametrize("shape", [(M,), (N, M), (B, N, M)], ids=str)
def test_a_problem_without_heads_reads_three_axes_as_batch(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(seen(B, None, mask=MASK[shape]), looped(MEANINGS[shape], heads=1))


def test_a_problem_without_a_batch_reads_three_axes_as_heads() -> None:
    sees = looped(MEANINGS[H, N, M], batch=1)
    np.testing.assert_array_equal(seen(1, H, mask=MASK[H, N, M]), sees)


def test_three_axes_that_fit_twice_are_decided_by_a_dialect() -> None:
    mask = booleans(H, N, M)
    by_head = looped(lambda b, h, i, j: mask[h, i, j], batch=H)
    by_entry = looped(lambda b, h, i, j: mask[b, i, j], batch=H)
    with pytest.raises(InputError) as caught:
        seen(H, mask=mask)
    assert caught.value.what == "mask has three axes, and its first, 3, fits batch and heads both"
    assert "(3 × 1 × 5 × 7) for one a batch entry, (1 × 3 × 5 × 7) for one a head" in (
        caught.value.expected
    )
    np.testing.assert_array_equal(seen(H, mask=mask, dialect="torch"), by_head)
    np.testing.assert_array_equal(seen(H, mask=mask, dialect="keras-mha"), by_entry)
    packed = booleans(B * H, N, M)
    sees = looped(lambda b, h, i, j: not packed[b * H + h, i, j])
    np.testing.assert_array_equal(seen(mask=packed, dialect="torch-mha"), sees)
    np.testing.assert_array_equal(
        seen(H, mask=mask[:1]), looped(lambda b, h, i, j: mask[0, i, j], batch=H)
    )


def test_a_mask_in_columns_is_turned() -> None:
    trace = attend(
        **{name: np.swapaxes(array, -1, -2) for name, array in vectors(None, None).items()},
        mask=MASK[N, M].T,
        notation="columns",
    )
    np.testing.assert_array_equal(np.isfinite(np.asarray(trace["masked"])), MASK[N, M].T)


@pytest.mark.parametrize("shape", [(H, N, M), (B, 1, N, M), (B, H, N, M)], ids=str)
def test_heads_and_batch_stay_in_front_in_columns(shape: tuple[int, ...]) -> None:
    given = {name: np.swapaxes(array, -1, -2) for name, array in vectors().items()}
    for key in ("mask", "bias"):
        table = np.where(MASK[shape], 0.5, -np.inf if key == "mask" else 0.25)
        turned = attend(**given, **{key: np.swapaxes(table, -1, -2)}, notation="columns")
        step = "masked" if key == "mask" else "biased"
        added = np.asarray(turned[step]) - np.asarray(turned["scaled"])
        wanted = np.broadcast_to(table, (B, H, N, M))
        np.testing.assert_allclose(np.swapaxes(added, -1, -2), wanted, atol=1e-12)


def test_a_mask_or_a_bias_of_keys_lies_the_same_in_columns() -> None:
    given = {name: np.swapaxes(array, -1, -2) for name, array in vectors(None, None).items()}
    mask = np.append(booleans(M - 1), True)
    trace = attend(**given, mask=mask, bias=np.arange(M) * 1.0, notation="columns")
    masked = np.asarray(trace["masked"]).T
    np.testing.assert_array_equal(np.isfinite(masked), np.broadcast_to(mask, (N, M)))
    added = np.asarray(trace["biased"]).T - np.asarray(trace["scaled"]).T
    np.testing.assert_allclose(added, np.broadcast_to(np.arange(M), (N, M)), atol=1e-12)


def test_one_head_of_one_entry_has_one_meaning() -> None:
    np.testing.assert_array_equal(seen(1, 1, mask=MASK[1, N, M])[0, 0], MASK[1, N, M][0])
    mine = seen(mask=MASK[1, N, M], dialect="torch-mha")
    np.testing.assert_array_equal(mine, ~looped(MEANINGS[1, N, M]))


@pytest.mark.parametrize("dialect", ["torch", "keras-mha", "onnx"])
def test_numbers_of_0_and_1_mean_what_a_library_says(dialect: str) -> None:
    numbers = MASK[N, M].astype(float)
    wanted = np.ones((B, H, N, M), bool) if dialect in ("torch", "onnx") else MASK[N, M]
    found = seen(mask=numbers, dialect=dialect)
    np.testing.assert_array_equal(found, np.broadcast_to(wanted, (B, H, N, M)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_a_number_masks_cannot_reach_the_output(bad: float) -> None:
    given = vectors(None, None)
    given["value"][3] = given["key"][3, 0] = bad
    mask = np.full(M, 0.5)
    mask[3] = -np.inf
    for kind in (mask, np.isfinite(mask)):
        assert np.isfinite(attend(**given, mask=kind, allow_nonfinite=True).output).all()


def test_numbers_are_added() -> None:
    mask = np.where(booleans(N, M), 0.0, RANDOM.normal(size=(N, M)))
    mask[0, 1] = -np.inf
    given = vectors()
    plain, added = attend(**given), attend(**given, mask=mask)
    finite = np.isfinite(mask)
    np.testing.assert_allclose(
        np.asarray(added["masked"])[..., finite], (np.asarray(plain["scaled"]) + mask)[..., finite]
    )
    assert (np.asarray(added["masked"])[..., 0, 1] == -np.inf).all()


KEYS = {shape: booleans(*shape) for shape in [(M,), (1, M), (B, M)]}


@pytest.mark.parametrize("heads", [None, H])
@pytest.mark.parametrize("shape", KEYS, ids=str)
def test_a_key_mask_is_of_keys_or_of_batch_entries(
    shape: tuple[int, ...], heads: int | None
) -> None:
    keys = np.broadcast_to(KEYS[shape], (B, M))
    wanted = looped(lambda b, h, i, j: keys[b, j], heads=heads or 1)
    np.testing.assert_array_equal(seen(B, heads, key_mask=KEYS[shape]), wanted)
    numbers = np.where(KEYS[shape], 0.5, -np.inf)
    np.testing.assert_array_equal(seen(B, heads, key_mask=numbers), wanted)


LENGTHS = {
    (): np.array(4),
    (B,): np.array([0, M]),
    (1, N): np.array([[1, 2, 3, 4, 5]]),
    (B, N): RANDOM.integers(0, M + 1, (B, N)),
}


@pytest.mark.parametrize("heads", [None, H])
@pytest.mark.parametrize("shape", LENGTHS, ids=str)
def test_lengths_are_one_a_batch_entry_or_one_a_query(
    shape: tuple[int, ...], heads: int | None
) -> None:
    given = LENGTHS[shape]
    full = np.broadcast_to(given[..., None] if shape == (B,) else given, (B, N))
    wanted = looped(lambda b, h, i, j: j < full[b, i], heads=heads or 1)
    np.testing.assert_array_equal(seen(B, heads, key_lengths=given), wanted)


def test_without_a_batch_a_list_of_lengths_is_one_a_query() -> None:
    lengths = np.array([7, 0, 3, 2, 5])
    wanted = looped(lambda b, h, i, j: j < lengths[i], 1, 1)
    np.testing.assert_array_equal(seen(None, None, key_lengths=lengths), wanted)


@pytest.mark.parametrize("lengths", [-1, M + 1, [0, M + 1], [-1, 0], 2.5, np.inf, np.nan, 1e300])
def test_lengths_beyond_the_keys_are_refused(lengths: object) -> None:
    with pytest.raises(InputError, match="key_lengths"):
        seen(key_lengths=lengths)


def test_eight_lengths_are_shown_of_those_that_are_beyond_the_keys() -> None:
    with pytest.raises(InputError) as caught:
        seen(key_lengths=np.arange(9) + M)
    assert caught.value.expected == "whole numbers from 0 to 7, the number of keys"
    assert caught.value.found == "7, 8, 9, 10, 11, 12, 13, 14"


def test_masks_of_another_shape_say_which_they_could_have() -> None:
    for lead, shapes, batch in (
        ((B, H), "a number, (2) (batch) or (2 × 5) (batch and queries)", True),
        ((None, None), "a number or (5), one a query", False),
    ):
        with pytest.raises(InputError) as caught:
            seen(*lead, key_lengths=np.ones((4, 1)))
        assert (caught.value.what, caught.value.found) == (
            "key_lengths has the shape (4 × 1)",
            "(4 × 1)",
        )
        assert caught.value.expected == shapes
        with pytest.raises(InputError) as caught:
            seen(*lead, key_mask=np.ones((4, M), dtype=bool))
        expected = "(2 × 7): batch entries, then keys" if batch else "(7): keys"
        assert (caught.value.expected, caught.value.found) == (expected, "(4 × 7)")
        with pytest.raises(InputError) as caught:
            seen(*lead, query_mask=np.ones((4, N), dtype=bool))
        assert caught.value.expected == ("(2 × 5)" if batch else "(5)")
        with pytest.raises(InputError, match="query_mask cannot be added"):
            seen(*lead, query_mask=np.full(N, 0.5))


@pytest.mark.parametrize("heads", [None, H])
@pytest.mark.parametrize("shape", [(N,), (1, N), (B, N)], ids=str)
def test_a_query_mask_sets_rows_to_zero(shape: tuple[int, ...], heads: int | None) -> None:
    mask = booleans(*shape)
    mask[..., 0], mask[..., 1] = True, False
    full = np.broadcast_to(mask, (B, N))
    for given, means in ((mask, None), (~mask, "drop"), (mask.astype(int), "keep")):
        more = {} if means is None else {"mask_means": means}
        output = np.asarray(attend(**vectors(B, heads), query_mask=given, **more).output)
        kept = (output != 0).any(axis=-1).reshape(B, heads or 1, N)
        np.testing.assert_array_equal(kept, np.repeat(full[:, None], heads or 1, axis=1))


def band(offset: Callable[[int], int]) -> np.ndarray:
    """What causal attention sees where the first query stands at a key."""
    return looped(lambda b, h, i, j: j <= i + offset(b))


def test_bottom_right_counts_what_is_real() -> None:
    causal = {"causal": True, "align": "bottom-right"}
    np.testing.assert_array_equal(seen(**causal), band(lambda b: M - N))
    lengths = np.array([5, 6])
    wanted = looped(lambda b, h, i, j: j <= i + lengths[b] - N and j < lengths[b])
    np.testing.assert_array_equal(seen(**causal, key_lengths=lengths), wanted)
    wanted = looped(lambda b, h, i, j: j <= i + 6 - N and j < 6)
    np.testing.assert_array_equal(seen(**causal, key_lengths=6), wanted)


@pytest.mark.parametrize("heads", [None, H])
@pytest.mark.parametrize("shape", [(M,), (1, M), (B, M)], ids=str)
def test_bottom_right_counts_up_to_the_last_key_that_is_kept(
    shape: tuple[int, ...], heads: int | None
) -> None:
    keys = np.ones(shape, dtype=bool)
    keys[..., 2] = keys[..., 6] = False
    keys.reshape(-1, M)[-1, 5] = False
    full = np.broadcast_to(keys, (B, M))
    last = [max(j + 1 for j in range(M) if full[b, j]) for b in range(B)]
    wanted = looped(lambda b, h, i, j: full[b, j] and j <= i + last[b] - N, heads=heads or 1)
    causal = {"causal": True, "align": "bottom-right", "key_mask": keys}
    np.testing.assert_array_equal(seen(B, heads, **causal), wanted)
    real = [min(5, n) for n in last]
    wanted = looped(
        lambda b, h, i, j: full[b, j] and j < 5 and j <= i + real[b] - N, heads=heads or 1
    )
    np.testing.assert_array_equal(seen(B, heads, **causal, key_lengths=5), wanted)


def test_nothing_kept_is_nothing_real() -> None:
    none = np.zeros((B, M), dtype=bool)
    assert not seen(causal=True, align="bottom-right", key_mask=none).any()


def test_beside_nothing_real_the_last_query_stands_before_the_first_key() -> None:
    given = vectors(None, None)
    align = {"align": "bottom-right", "key_mask": np.zeros(M, dtype=bool)}
    made = attend(**given, bias={"alibi": True}, **align)
    np.testing.assert_array_equal(
        made["biased"], attend(**given, bias={"alibi": True}, align=-N)["biased"]
    )


@pytest.mark.parametrize(
    ("keys", "offset"),
    [
        ({"align": 1}, 1),
        ({"align": -2}, -2),
        ({"align": "top-left"}, 0),
        ({"dialect": "torch"}, 0),
        ({"dialect": "flash"}, M - N),
        ({"dialect": "onnx"}, 0),
    ],
)
def test_queries_stand_where_align_or_a_dialect_says(keys: dict[str, Any], offset: int) -> None:
    np.testing.assert_array_equal(seen(causal=True, **keys), band(lambda b: offset))


def test_onnx_aligns_by_lengths_where_there_are_any() -> None:
    wanted = looped(lambda b, h, i, j: j <= i + 6 - N and j < 6)
    lengths = np.array([6, 6])
    np.testing.assert_array_equal(seen(causal=True, dialect="onnx", key_lengths=lengths), wanted)


@pytest.mark.parametrize(
    ("window", "sees"),
    [
        ([1, 0], lambda b, h, i, j: i - 1 <= j <= i),
        ([0, 2], lambda b, h, i, j: i <= j <= i + 2),
        ([None, 1], lambda b, h, i, j: j <= i + 1),
        ([2, None], lambda b, h, i, j: i - 2 <= j),
        ([-1, -1], lambda b, h, i, j: True),
    ],
)
def test_windows(window: list[int | None], sees: Sees) -> None:
    align = {} if window == [-1, -1] else {"align": 0}
    np.testing.assert_array_equal(seen(window=window, **align), looped(sees))


def test_unequal_lengths_are_refused_with_both_places() -> None:
    keys: dict[str, dict[str, Any]] = {
        "causal": {"causal": True},
        "window": {"causal": False, "window": [1, 0]},
        "bias": {"bias": {"alibi": True}},
        "rope": {"rope": {"base": 10.0}},
    }
    for name, given in keys.items():
        with pytest.raises(RefusedError) as caught:
            seen(**given)
        error = caught.value
        assert error.what == f"{name}: n_queries is 5, n_keys is 7: where do the queries stand?"
        assert error.choices == (
            "align: top-left      the first query stands at key 0, the last at key 4",
            "align: bottom-right  the first stands at key 2, the last at key 6",
        )


@pytest.mark.parametrize("width", [1, 4, 6, 7])
@pytest.mark.parametrize("rows", [1, N])
def test_onnx_masks_what_a_short_mask_leaves_out(width: int, rows: int) -> None:
    mask = np.ones((rows, width), dtype=bool)
    stop = M if width == 1 else width
    wanted = looped(lambda b, h, i, j: j < stop)
    np.testing.assert_array_equal(seen(mask=mask, dialect="onnx"), wanted)
    for numbers in (np.full((rows, width), 0.5), np.full((rows, width), 2)):
        np.testing.assert_array_equal(seen(mask=numbers, dialect="onnx"), wanted)
    if width not in (1, M):
        with pytest.raises(InputError, match="the scores have"):
            seen(mask=mask)


def test_a_mask_that_is_too_long_or_no_table_is_refused() -> None:
    for shape in ((M + 1,), (N, M + 1), (N + 1, M), (H + 1, N, M), (B, H, N, 2, M)):
        for dialect in ({}, {"dialect": "onnx"}):
            with pytest.raises(InputError):
                seen(mask=booleans(*shape), **dialect)
    with pytest.raises(InputError, match="the scores have"):
        seen(mask=np.array(True))


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((M, N), "looks transposed"), ((H, M, N), "looks transposed"), ((4, 4), "rank 1 is keys")],
)
def test_a_transposed_mask_is_known(shape: tuple[int, ...], hint: str) -> None:
    with pytest.raises(InputError) as caught:
        seen(mask=booleans(*shape))
    assert hint in caught.value.hint
    assert caught.value.expected.endswith("2 batch entries, 3 heads, 5 queries, 7 keys")


@pytest.mark.parametrize("numbers", [[0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
def test_numbers_of_0_and_1_have_no_one_meaning(numbers: list[float]) -> None:
    mask = np.resize(numbers, M)
    with pytest.raises(RefusedError, match="only the numbers 0 and 1"):
        seen(mask=mask)
    assert seen(mask=mask, mask_means="add").all()
    for other in (2.0, 0.5, -1.0):
        odd = np.append(mask[1:], other)
        assert seen(mask=odd).all()
        with pytest.raises(InputError, match="other numbers than 0 and 1"):
            seen(mask=odd, mask_means="keep")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_mask_has_no_other_number_than_minus_infinity(bad: float) -> None:
    for mask in (np.array([bad, *[0.5] * 6]), np.array([bad, *[0.0] * 6])):
        with pytest.raises(RefusedError, match=r"NaN or \+infinity"):
            seen(mask=mask)


def test_numbers_beyond_the_computing_type_are_refused() -> None:
    given = {name: array.astype(np.float32) for name, array in vectors().items()}
    sound = np.array([3e38, -3e38, -np.inf, 0.5, 0, 0, 0])
    assert attend(**given, mask=sound)["masked"].dtype == np.float32
    for bad in (1e39, -1e39):
        with pytest.raises(RefusedError, match="beyond the range of float32"):
            attend(**given, mask=np.where(sound == 0.5, bad, sound))


# --- biases


def biased(**keys: Any) -> np.ndarray:
    """What is added to the scores."""
    given = vectors()
    with_bias, plain = attend(**given, **keys), attend(**given)
    return np.asarray(with_bias["biased"]) - np.asarray(plain["scaled"])


def added(number: Callable[[int, int, int, int], float]) -> np.ndarray:
    return np.array([number(*cell) for cell in np.ndindex(B, H, N, M)]).reshape(B, H, N, M)


def test_a_bias_is_a_table() -> None:
    for shape in ((N, M), (H, N, M), (B, 1, N, M)):
        table = RANDOM.normal(size=shape)
        full = np.broadcast_to(table, (B, H, N, M))
        np.testing.assert_allclose(biased(bias=table), full, atol=1e-12)
    with pytest.raises(RefusedError):
        biased(bias=np.full((N, M), np.nan))


def test_a_bias_in_columns_is_turned() -> None:
    given = {name: np.swapaxes(array, -1, -2) for name, array in vectors(None, None).items()}
    table = RANDOM.normal(size=(N, M))
    made = attend(**given, bias=table.T, notation="columns")
    plain = attend(**given, notation="columns")
    difference = np.asarray(made["biased"]) - np.asarray(plain["scaled"])
    np.testing.assert_allclose(difference, table.T, atol=1e-12)


@pytest.mark.parametrize("m", [0, 1, 3])
@pytest.mark.parametrize("lead", [(), (1,), (H,)], ids=str)
def test_relative_numbers_by_the_distance(m: int, lead: tuple[int, ...]) -> None:
    table = RANDOM.normal(size=(*lead, 2 * m + 1))
    full = np.broadcast_to(table, (H, 2 * m + 1))
    wanted = added(lambda b, h, i, j: full[h, m + min(max(j - (i + 1), -m), m)])
    np.testing.assert_allclose(biased(bias={"relative": table}, align=1), wanted, atol=1e-12)


@pytest.mark.parametrize("shape", [(2,), (H + 1, 3), (B, H, 3), (H, 4)], ids=str)
def test_relative_tables_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"bias\.relative has the shape"):
        biased(bias={"relative": np.ones(shape)}, align=0)


def test_relative_numbers_are_finite_and_without_heads_one_row() -> None:
    with pytest.raises(AttncliError, match="relative"):
        biased(bias={"relative": [0.0, np.inf, 0.0]}, align=0)
    given = vectors(None, None)
    one = attend(**given, bias={"relative": [[1.0, 2.0, 3.0]]}, align=0)["biased"]
    flat = attend(**given, bias={"relative": [1.0, 2.0, 3.0]}, align=0)["biased"]
    np.testing.assert_array_equal(one, flat)
    assert np.asarray(one).shape == (N, M)


def test_alibi_falls_with_the_distance() -> None:
    slopes = [2 ** (-8 * (h + 1) / 4) for h in range(4)]
    given = {name: RANDOM.normal(size=(4, n, D)) for name, n in (("query", N), ("key", M))}
    given = {name: array[None] for name, array in given.items()}
    given["value"] = given["key"]
    made = attend(**given, bias={"alibi": True}, align=1)
    plain = attend(**given)
    difference = np.asarray(made["biased"]) - np.asarray(plain["scaled"])
    wanted = [[[-slopes[h] * abs(j - i - 1) for j in range(M)] for i in range(N)] for h in range(4)]
    np.testing.assert_allclose(difference[0], wanted, atol=1e-12)
    off = attend(**given, bias={"alibi": False})
    assert "biased" not in off.names


def test_a_cache_places_the_queries_after_it() -> None:
    given = vectors(None, None)
    past = {"key": RANDOM.normal(size=(4, D)), "value": RANDOM.normal(size=(4, D))}
    trace = attend(**given, past=past, causal=True)
    wanted = [[j <= i + 4 for j in range(M + 4)] for i in range(N)]
    np.testing.assert_array_equal(np.isfinite(np.asarray(trace["masked"])), wanted)
