"""Shapes in words and checked; heads split, joined and served; places and axes named."""

import numpy as np
import pytest

from attncli.core import shapes
from attncli.core.arrangement import laid_out, shown
from attncli.core.heads import Linear, join, serve, split, split_shape
from attncli.core.rotary import Rotary, angles
from attncli.core.step import Step
from attncli.errors import InputError

RANDOM = np.random.default_rng(19)


def test_shapes_and_counts_in_words() -> None:
    assert shapes.by((2, 3, 5)) == "(2 × 3 × 5)"
    assert shapes.by(()) == "a single number"
    assert shapes.batch_fact((2, 3)) == ("batch 2 × 3",)
    assert shapes.batch_fact(()) == ()
    assert [shapes.batch_names(n) for n in range(3)] == [(), ("batch",), ("batch1", "batch2")]
    words = [
        ("query", 1),
        ("query", 2),
        ("key", 1),
        ("key", 0),
        ("vector", 2),
        ("encoder layer", 2),
    ]
    assert [shapes.count(n, noun) for noun, n in words] == [
        "1 query",
        "2 queries",
        "1 key",
        "0 keys",
        "2 vectors",
        "2 encoder layers",
    ]
    assert [shapes.listed("abc"[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_a_sketch_has_the_axes_of_its_shape() -> None:
    assert [shapes.Sketch((2, 3, 5)[:n]).ndim for n in range(4)] == [0, 1, 2, 3]


def test_shapes_broadcast_from_the_right() -> None:
    assert shapes.broadcast([]) == ()
    assert shapes.broadcast([[], [3]]) == (3,)
    assert shapes.broadcast([[5], [2, 1], [1, 1, 1]]) == (1, 2, 5)


def test_the_first_place_that_is_flagged() -> None:
    flags = np.zeros((2, 3, 5), bool)
    for place in ((1, 2, 4), (1, 2, 3), (1, 0, 4), (0, 2, 1), (0, 0, 0)):
        flags[place] = True
        assert shapes.first(flags, np) == place
    assert shapes.first(np.array(True), np) == ()


@pytest.mark.parametrize(
    ("shape", "of", "head_axis"),
    [
        ((7, 5), (2, 5), False),
        ((3, 7, 5), (3, 2, 5), False),
        ((3, 7, 5), (2, 5), False),
        ((1, 7, 5), (3, 2, 5), False),
        ((3, 7, 5), (1, 2, 5), False),
        ((2, 7, 5), (6, 2, 5), True),
        ((3, 2, 7, 5), (1, 6, 2, 5), True),
        ((1, 7, 5), (2, 5), True),
        ((7, 5), (6, 2, 5), True),
    ],
)
def test_leading_axes_that_fit(
    shape: tuple[int, ...], of: tuple[int, ...], head_axis: bool
) -> None:
    shapes.check_leading("key", shape, "query", of, head_axis)


@pytest.mark.parametrize(
    ("shape", "of", "head_axis", "found"),
    [
        ((2, 7, 5), (3, 2, 5), False, "2"),
        ((3, 2, 7, 5), (5, 2, 2, 5), False, "3"),
        ((3, 2, 7, 5), (5, 2, 2, 5), True, "3"),
        ((4, 7, 5), (6, 2, 5), True, "6 / 4"),
        ((2, 7, 5), (2, 5), True, "1 / 2"),
    ],
)
def test_leading_axes_that_do_not_fit(
    shape: tuple[int, ...], of: tuple[int, ...], head_axis: bool, found: str
) -> None:
    with pytest.raises(InputError) as refused:
        shapes.check_leading("key", shape, "query", of, head_axis)
    assert refused.value.found == found


# --- heads


@pytest.mark.parametrize("lead", [(), (3,), (3, 2)])
def test_heads_are_contiguous_parts_of_the_features_and_join_again(lead: tuple[int, ...]) -> None:
    packed = RANDOM.normal(size=(*lead, 7, 10))
    parts = split(packed, 5, np)
    assert parts.shape == split_shape("query", packed.shape, 5) == (*lead, 5, 7, 2)
    for head in range(5):
        np.testing.assert_array_equal(parts[..., head, :, :], packed[..., 2 * head : 2 * head + 2])
    np.testing.assert_array_equal(join(parts, np), packed)


def test_each_query_head_is_served_by_the_key_head_of_its_group() -> None:
    keys = RANDOM.normal(size=(3, 2, 7, 5))
    served = serve(keys, 6, np)
    for head in range(6):
        np.testing.assert_array_equal(served[:, head], keys[:, head // 3])
    for as_it_is in (keys[:, :1], keys[0, 0]):
        assert serve(as_it_is, 6, np) is as_it_is
    assert serve(keys, 2, np) is keys


def test_a_table_of_each_head_makes_heads() -> None:
    x, weight, bias = (RANDOM.normal(size=shape) for shape in ((3, 7, 5), (2, 5, 11), (2, 11)))
    for linear in (Linear(weight), Linear(weight, bias), Linear(weight, bias[0])):
        made = linear.apply(x, np)
        assert made.shape == linear.shape(x.shape, "weight", "bias") == (3, 2, 7, 11)
        for batch, head, place in np.ndindex(3, 2, 7):
            row = x[batch, place] @ weight[head]
            if linear.bias is not None:
                row = row + (bias[head] if linear.bias.ndim == 2 else bias[0])
            np.testing.assert_allclose(made[batch, head, place], row, rtol=1e-12)


def test_tables_and_biases_that_do_not_fit() -> None:
    weight = np.zeros((5, 11))
    with pytest.raises(InputError, match="W has 5 rows, its input 7 features") as refused:
        Linear(weight).shape((2, 7), "W", "b")
    assert (refused.value.expected[:10], refused.value.found) == ("5 features", "7")
    with pytest.raises(InputError, match=r"b has the shape \(5\)") as refused:
        Linear(weight, np.zeros(5)).shape((2, 5), "W", "b")
    assert (refused.value.expected, refused.value.found) == ("(11)", "(5)")
    with pytest.raises(InputError, match=r"b has the shape \(2 × 5\)") as refused:
        Linear(np.zeros((2, 5, 11)), np.zeros((2, 5))).shape((2, 5), "W", "b")
    assert (refused.value.expected, refused.value.found) == ("(2 × 11)", "(2 × 5)")
    with pytest.raises(InputError, match="heads") as refused:
        split_shape("query", (2, 7), 3)
    assert (refused.value.expected, refused.value.found) == ("a multiple of 3", "7")


# --- rotary


@pytest.mark.parametrize("pairing", ["halves", "interleaved"])
@pytest.mark.parametrize(
    ("x_lead", "turned"), [((), ()), ((2,), ()), ((3, 2), (1, 1)), ((2,), (3, 1)), ((), (3, 1))]
)
def test_each_pair_of_features_is_turned_by_its_angle(
    pairing: str, x_lead: tuple[int, ...], turned: tuple[int, ...]
) -> None:
    n, d, width = 5, 7, 4
    x = RANDOM.normal(size=(*x_lead, n, d))
    positions = RANDOM.integers(0, 50, size=(*turned, n)).astype(float)
    by = angles(positions, width, 100.0, np)
    assert by.shape == (*turned, n, 2)
    for index in np.ndindex(by.shape):
        assert by[index] == pytest.approx(positions[index[:-1]] * 100.0 ** (-index[-1] / 2))
    rotary = Rotary(np.cos(by), np.sin(by), np.cos(2 * by), np.sin(2 * by), pairing)
    assert rotary.width == width
    lead = np.broadcast_shapes(x_lead, turned)
    pairs = [(0, 2), (1, 3)] if pairing == "halves" else [(0, 1), (2, 3)]
    for made, factor in ((rotary.query(x, np), 1), (rotary.key(x, np), 2)):
        assert made.shape == (*lead, n, d)
        wide, whole = np.broadcast_to(by, (*lead, n, 2)), np.broadcast_to(x, made.shape)
        np.testing.assert_array_equal(made[..., width:], whole[..., width:])
        for i, (a, b) in enumerate(pairs):
            complex_pair = (whole[..., a] + 1j * whole[..., b]) * np.exp(1j * factor * wide[..., i])
            got = made[..., a] + 1j * made[..., b]
            np.testing.assert_allclose(got, complex_pair, rtol=1e-12)


# --- arrangement


def step(*axes: str, name: str = "output") -> Step:
    sizes = {"batch": 2, "batch1": 2, "batch2": 3, "head": 5, "query": 7, "feature": 11, "key": 13}
    return Step(name, RANDOM.normal(size=[sizes.get(axis, 3) for axis in axes]), axes)


@pytest.mark.parametrize("lead", [(), ("batch",), ("batch1", "batch2")])
def test_tokens_first_swaps_heads_and_tokens_only(lead: tuple[str, ...]) -> None:
    given = step(*lead, "head", "query", "feature")
    made = laid_out(given, "tokens-first", np)
    assert made.axes == (*lead, "query", "head", "feature")
    for head in range(5):
        np.testing.assert_array_equal(made.value[..., head, :], given.value[..., head, :, :])
    joined = step(*lead, "query", "feature")
    assert laid_out(joined, "tokens-first", np) is joined


def test_sequence_first_swaps_batch_and_tokens_only() -> None:
    given = step("batch", "query", "feature")
    made = laid_out(given, "sequence-first", np)
    assert made.axes == ("query", "batch", "feature")
    np.testing.assert_array_equal(made.value[:, 1], given.value[1])
    others = (
        step("query", "feature"),
        step("head", "query", "feature"),
        step("batch", "head", "query", "feature"),
    )
    for other in (*others, given):
        layout = "heads-first" if other is given else "sequence-first"
        assert laid_out(other, layout, np) is other


def test_columns_turn_vectors_and_leave_what_has_none() -> None:
    for axes in (("batch", "query", "key"), ("key", "feature"), ("patch", "feature")):
        given = step(*axes)
        made = shown(given, "columns", np)
        assert made.axes == (*axes[:-2], axes[-1], axes[-2])
        np.testing.assert_array_equal(made.value, np.swapaxes(given.value, -1, -2))
        assert shown(given, "rows", np) is given
    for as_it_is in (step("row", "column", "feature"), step("query", name="lse"), step("class")):
        assert shown(as_it_is, "columns", np) is as_it_is
