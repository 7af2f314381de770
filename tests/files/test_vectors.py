"""Vectors as they lie in files: layouts, heads, types, projections and rotations, told by loops."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli import attend, load
from attncli.commands.boundary import run
from attncli.errors import InputError, RefusedError
from attncli.files import vectors
from attncli.files.vectors import Arrangement, refuse_nonfinite, widest

RANDOM = np.random.default_rng(23)
B, H, K, N, M, D = 2, 6, 3, 4, 5, 8
"""Batch entries, heads, heads of keys, queries, keys, features."""
QUERY, KEY = RANDOM.normal(size=(B, H, N, D)), RANDOM.normal(size=(B, K, M, D))
VALUE = RANDOM.normal(size=(B, K, M, 7))
GIVEN = {"query": QUERY, "key": KEY, "value": VALUE}


def packed(array: np.ndarray) -> np.ndarray:
    """`(B H n d)` with the heads side by side, `(B n H·d)`."""
    return np.concatenate([array[:, head] for head in range(array.shape[1])], axis=-1)


def tokens_first(array: np.ndarray) -> np.ndarray:
    return np.stack([array[:, head] for head in range(array.shape[1])], axis=2)


def sequence_first(array: np.ndarray) -> np.ndarray:
    return np.stack([*packed(array)], axis=1)


LAYOUTS: dict[str, tuple[dict[str, np.ndarray], dict[str, Any]]] = {
    "heads first": (GIVEN, {}),
    "heads first, said": (GIVEN, {"heads": H, "kv_heads": K}),
    "tokens first": (
        {name: tokens_first(array) for name, array in GIVEN.items()},
        {"layout": "tokens-first"},
    ),
    "tokens first, said": (
        {name: tokens_first(array) for name, array in GIVEN.items()},
        {"layout": "tokens-first", "heads": H, "kv_heads": K},
    ),
    "packed": (
        {name: packed(array) for name, array in GIVEN.items()},
        {"heads": H, "kv_heads": K},
    ),
    "tokens first, packed": (
        {name: packed(array) for name, array in GIVEN.items()},
        {"heads": H, "kv_heads": K, "layout": "tokens-first"},
    ),
    "sequence first": (
        {name: sequence_first(array) for name, array in GIVEN.items()},
        {"heads": H, "kv_heads": K, "layout": "sequence-first"},
    ),
    "columns": (
        {name: np.swapaxes(array, -1, -2) for name, array in GIVEN.items()},
        {"notation": "columns"},
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_the_same_attention(name: str) -> None:
    arrays, keys = LAYOUTS[name]
    weights = np.asarray(attend(**arrays, **keys)["weights"])
    if name == "columns":
        weights = np.swapaxes(weights, -1, -2)
    np.testing.assert_allclose(weights, attend(**GIVEN)["weights"], rtol=1e-12)


@pytest.mark.parametrize("layout", ["tokens-first", "sequence-first", "heads-first"])
def test_two_axes_lie_the_same_in_every_layout(layout: str) -> None:
    given = {name: array[0, 0] for name, array in GIVEN.items()}
    whole = attend(**given).output
    np.testing.assert_array_equal(attend(**given, layout=layout).output, whole)


def test_three_axes_of_tokens_first_are_heads_unless_they_are_packed() -> None:
    arrange = Arrangement(layout="tokens-first", heads=2).arrange
    three = RANDOM.normal(size=(5, 2, 3))
    array, has_heads = arrange("query", three)
    assert has_heads
    np.testing.assert_array_equal(array, three.transpose(1, 0, 2))
    batch = RANDOM.normal(size=(5, 3, 4))
    array, has_heads = arrange("query", batch)
    assert not has_heads
    assert array is batch
    array, has_heads = Arrangement(layout="tokens-first").arrange("query", batch)
    assert has_heads
    np.testing.assert_array_equal(array, batch.transpose(1, 0, 2))
    array, has_heads = Arrangement(layout="tokens-first", heads=4, kv_heads=2).arrange("key", three)
    assert has_heads


@pytest.mark.parametrize(
    ("name", "heads", "kv_heads", "sound"),
    [
        ("query", 2, None, True),
        ("query", 3, None, False),
        ("query", None, 3, True),
        ("key", None, 2, True),
        ("key", None, 3, False),
        ("value", 4, 2, True),
        ("key", 3, None, True),
    ],
)
def test_heads_are_as_many_as_is_said(
    name: str, heads: int | None, kv_heads: int | None, sound: bool
) -> None:
    array = RANDOM.normal(size=(1, 2, 3, 5))
    arrange = Arrangement(heads=heads, kv_heads=kv_heads).arrange
    if sound:
        assert arrange(name, array) == (array, True)
        return
    key = "heads" if name == "query" else "kv_heads"
    with pytest.raises(InputError) as caught:
        arrange(name, array)
    assert caught.value.what == f"{name} has 2 heads, {key} says 3"


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0), (2, 0, 3)])
def test_nothing_is_no_vector(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"is a single number|there is nothing in it"):
        Arrangement().arrange("query", np.ones(shape))


@pytest.mark.parametrize(
    ("types", "wide"),
    [
        (["f4"], "float32"),
        (["f2"], "float32"),
        (["f2", "f4"], "float32"),
        (["f4", "f8"], "float64"),
        (["f4", "i1"], "float64"),
        (["u2"], "float64"),
    ],
)
def test_the_computing_type_is_the_widest(types: list[str], wide: str) -> None:
    assert widest([np.ones(1, name) for name in types]) == wide
    query = np.ones((1, 2), types[0])
    trace = attend(query=query, key=np.ones((1, 2), types[-1]), value=query)
    assert str(np.asarray(trace.output).dtype) == wide


@pytest.mark.parametrize("part", [1, 2, 5, 11, 12, 13])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_bad_number_is_named_wherever_it_is(
    part: int, order: str, bad: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "PART", part)
    for place in np.ndindex(3, 4):
        array = np.zeros((3, 4), order=order)  # type: ignore[call-overload]
        refuse_nonfinite("query", array)
        array[place] = bad
        array[2, 3] = bad
        with pytest.raises(RefusedError) as caught:
            refuse_nonfinite("query", array)
        what = "NaN" if np.isnan(bad) else "infinity"
        assert caught.value.what == f"query[{place[0]}, {place[1]}] is {what}"
    with pytest.raises(RefusedError, match="scale is NaN"):
        refuse_nonfinite("scale", np.array(np.nan))


def test_numbers_beyond_float32_say_so() -> None:
    with pytest.raises(RefusedError) as caught:
        load(query=[[1, 1e39]], key=[[1, 0]], dtype="float32")
    assert caught.value.what == "query[0, 1] is infinity in float32"
    assert caught.value.hint == "it is too large for that type: --dtype float64"
    with pytest.raises(RefusedError) as caught:
        load(query=[[1, np.inf]], key=[[1, 0]], dtype="float32")
    assert caught.value.what == "query[0, 1] is infinity"
    assert caught.value.hint.startswith("mend it")


COS, SIN = np.cos(RANDOM.normal(size=(2, B, N, 2)))


@pytest.mark.parametrize(
    "rope",
    [
        {"positions": np.arange(B * N).reshape(B, N)},
        {"positions": np.arange(B * N).reshape(B, N) / 3, "width": 2},
        {"cos": COS, "sin": SIN},
        {"cos": COS, "sin": SIN, "pairing": "interleaved"},
    ],
)
@pytest.mark.parametrize("tile", [None, 2])
def test_keys_of_all_entries_stand_in_each_at_its_own_places(
    rope: dict[str, Any], tile: int | None
) -> None:
    query, key, value = RANDOM.normal(size=(B, N, 4)), RANDOM.normal(size=(N, 4)), np.ones((N, 3))
    value = value * np.arange(N)[:, None]
    each = attend(query=query, key=np.stack([key] * B), value=value, rope=rope)
    once = attend(query=query, key=key, value=value, rope=rope, tile=tile)
    np.testing.assert_allclose(once.output, each.output, rtol=1e-12)


@pytest.mark.parametrize("leading", [(), (1,)])
@pytest.mark.parametrize("tile", [None, 2])
def test_a_cache_that_a_batch_shares_stands_before_keys_that_turn_for_each_entry(
    leading: tuple[int, ...], tile: int | None
) -> None:
    query, key, past = (RANDOM.normal(size=(n, N, 4)) for n in (B, 1, 1))
    rope = {"positions": np.arange(B * N).reshape(B, N)}
    stacked = [np.concatenate([array] * B) for array in (key, past)]
    each = attend(
        query=query,
        key=stacked[0],
        value=stacked[0],
        past={"key": stacked[1], "value": stacked[1]},
        rope=rope,
    )
    key, past = (array.reshape(*leading, N, 4) for array in (key, past))
    cache = {"key": past, "value": past}
    once = attend(query=query, key=key, value=key, past=cache, rope=rope, tile=tile)
    np.testing.assert_allclose(once.output, each.output, rtol=1e-12)


@pytest.mark.parametrize(
    ("rope", "what"),
    [
        ({"cos": COS[0], "sin": SIN[0], "positions": [0, 9, 1, 1]}, "rope.cos has 4 rows"),
        ({"cos": COS[0], "sin": SIN[0], "positions": [0, 1e300, 1, 1]}, "rope.cos has 4 rows"),
        ({"cos": COS, "sin": SIN}, "rope.cos has the shape (2 × 4 × 2)"),
        ({"cos": COS[:1], "sin": SIN[:1]}, "rope.cos has the shape (1 × 4 × 2)"),
        (
            {"cos": COS[:1], "sin": SIN[:1], "positions": [0, 1, 1, 1]},
            "rope.positions choose rows of a table, and rope.cos has more axes",
        ),
    ],
)
def test_cosines_that_do_not_fit_are_refused(rope: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError) as caught:
        load(query=RANDOM.normal(size=(N, 4)), key=RANDOM.normal(size=(N, 4)), rope=rope)
    assert caught.value.what == what


def test_cosines_of_each_vector_have_a_column_for_two_features() -> None:
    query = RANDOM.normal(size=(B, N, 4))
    with pytest.raises(InputError) as caught:
        load(query=query, key=query, rope={"cos": np.ones((3, N, 2)), "sin": np.ones((3, N, 2))})
    assert caught.value.expected == "(2 × 4 × 2), or (positions × width/2)"


def test_tensors_of_no_attention_are_shown_up_to_six() -> None:
    state = {f"t{n}": np.eye(2) for n in range(7)}
    with pytest.raises(InputError, match="unknown tensor t0") as caught:
        load(query=np.eye(2), key=np.eye(2), heads=1, parameters=state)
    assert caught.value.found == "t0, t1, t2, t3, t4, t5"


def test_places_of_another_batch_are_refused() -> None:
    query = RANDOM.normal(size=(B, N, 4))
    with pytest.raises(InputError, match=r"rope.positions has the shape \(3 × 4\)"):
        load(query=query, key=query, rope={"positions": np.ones((3, N))})
    for one in (np.ones((1, N)), np.ones(N)):
        assert load(query=query, key=query, rope={"positions": one}) is not None


def test_the_output_s_table_fits_beside_scores_too() -> None:
    scores, value = np.ones((3, 3)), np.ones((3, 2))
    for table in (np.ones((3, 1)), np.ones((1, 2))):
        with pytest.raises(InputError, match=r"projections.output has . rows, its input 2 feat"):
            load(scores=scores, value=value, projections={"output": table})
    made = attend(scores=scores, value=value, projections={"output": np.ones((2, 5))})
    np.testing.assert_allclose(made.output, np.full((3, 5), 2.0))


@pytest.mark.parametrize("bias", [[1.0, 2.0], [[1.0], [2.0]], np.ones((2, 2))])
def test_the_bias_of_a_general_similarity_is_one_number(bias: Any) -> None:
    given = {"query": np.ones((3, 2)), "key": np.ones((3, 2))}
    with pytest.raises(InputError, match="bias of the similarity has the shape") as caught:
        load(**given, similarity={"name": "general", "bias": bias})
    assert caught.value.expected == "one number"
    for one in (2.0, [2.0], [[2.0]]):
        scores = attend(**given, similarity={"name": "general", "bias": one})["scores"]
        np.testing.assert_allclose(scores, np.full((3, 3), 4.0))


@pytest.mark.parametrize("table", ["query_weight", "key_weight"])
def test_a_number_is_no_table_of_an_additive_similarity(table: str) -> None:
    given = {"query": np.ones((3, 2)), "key": np.ones((3, 2))}
    with pytest.raises(InputError, match=f"{table} of the similarity has the shape a single"):
        load(**given, similarity={"name": "additive", table: 5})


@pytest.mark.parametrize("notation", ["rows", "columns"])
@pytest.mark.parametrize("scores", [5, np.ones((2, 0))])
def test_scores_are_a_table(scores: Any, notation: str) -> None:
    with pytest.raises(InputError, match="scores must be a table"):
        load(scores=scores, notation=notation)


NAN = np.nan
TABLE = [[1, 2], [3, 4], [5, NAN]]
LAYER = {"input": np.ones((2, 2)), "heads": 1}
SQUARE = np.ones((2, 2))
UNSOUND: dict[str, tuple[dict[str, Any], str, bool]] = {
    "input": ({"input": TABLE}, "input[2, 1] is NaN", True),
    "source": ({"input": [[1, 2]], "source": TABLE}, "source[2, 1] is NaN", True),
    "picture": (
        {"input": np.moveaxis(np.array([[TABLE]]), 0, -1), "patch": 1},
        "input[0, 2, 1, 0] is NaN",
        True,
    ),
    "scores in columns": ({"scores": TABLE, "notation": "columns"}, "scores[2, 1] is NaN", True),
    "scores beyond float32": (
        {"scores": [[1, -1e300, -np.inf]], "dtype": "float32"},
        "scores[0, 1] is infinity in float32",
        True,
    ),
    "past": (
        {
            **dict.fromkeys(("query", "key", "value"), SQUARE),
            "past": {"key": TABLE, "value": np.ones((3, 2))},
        },
        "past.key[2, 1] is NaN",
        True,
    ),
    "image": (
        {"kind": "convolution", "layout": "chw", "image": [TABLE], "kernel": [[1]]},
        "image[0, 2, 1] is NaN",
        True,
    ),
    "projection in columns": (
        {
            "notation": "columns",
            "input": SQUARE,
            "projections": dict.fromkeys(("query", "key", "value"), TABLE),
        },
        "projections.query[2, 1] is NaN",
        False,
    ),
    "parameters": (
        {**LAYER, "parameters": {"in_proj_weight": TABLE * 2, "out_proj.weight": SQUARE}},
        "parameters.in_proj_weight[2, 1] is NaN",
        False,
    ),
    "positions in columns": (
        {
            **LAYER,
            "kind": "encoder",
            "notation": "columns",
            "positions": TABLE,
            "parameters": {"linear1.weight": SQUARE},
        },
        "positions[2, 1] is NaN",
        False,
    ),
    "embedding in columns": (
        {
            **LAYER,
            "kind": "encoder",
            "notation": "columns",
            "embedding": {"weight": TABLE},
            "parameters": {"linear1.weight": SQUARE},
        },
        "embedding.weight[2, 1] is NaN",
        False,
    ),
    "bias in columns": (
        {"scores": np.ones((3, 2)), "notation": "columns", "bias": TABLE},
        "bias[2, 1] is NaN",
        False,
    ),
    "sink": ({"scores": SQUARE, "sink": [NAN]}, "sink[0] is NaN", False),
    "cosines": (
        {"query": SQUARE, "key": SQUARE, "rope": {"cos": [[1], [NAN]], "sin": [[0], [0]]}},
        "rope.cos[1, 0] is NaN",
        False,
    ),
    "sines": (
        {"query": SQUARE, "key": SQUARE, "rope": {"cos": [[1], [0]], "sin": [[0], [NAN]]}},
        "rope.sin[1, 0] is NaN",
        False,
    ),
    "places to rotate by": (
        {"query": SQUARE, "key": SQUARE, "rope": {"positions": [0, np.inf]}},
        "rope.positions[1] is infinity",
        False,
    ),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_a_bad_number_is_named_where_it_is_written(name: str) -> None:
    keys, what, can_be_allowed = UNSOUND[name]
    with pytest.raises(RefusedError) as caught:
        load(**keys)
    assert caught.value.what == what
    place = caught.value.place
    assert place is not None
    assert place.source == what.partition("[")[0].partition(".")[0]
    said = "or say allow_nonfinite" in caught.value.hint or "float64" in caught.value.hint
    assert said == can_be_allowed
    keys["allow_nonfinite"] = True
    if can_be_allowed:
        assert load(**keys) is not None
    else:
        with pytest.raises(RefusedError):
            load(**keys)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_are_finite_or_minus_infinity(bad: float) -> None:
    scores = np.array([[1.0, -np.inf, 2.0]])
    assert np.asarray(attend(scores=scores)["weights"])[0, 1] == 0
    scores[0, 0] = bad
    with pytest.raises(RefusedError, match=r"scores\[0, 0\]"):
        load(scores=scores)
    assert load(scores=scores, allow_nonfinite=True) is not None


@pytest.mark.parametrize(
    ("query", "key", "n"), [([1.0, 0.0], 3, 3), ([1.0, 0.0], 4, 4), (None, 3, 3), (None, 4, 4)]
)
def test_one_vector_for_values_is_asked_about(query: list[float] | None, key: int, n: int) -> None:
    keys = np.ones((key, 2))
    given = {"scores": np.ones((2, key))} if query is None else {"query": query, "key": keys}
    with pytest.raises(InputError) as caught:
        load(**given, value=np.arange(n) + 0.5)
    assert caught.value.what == f"value is one vector of {n} features, and there are {n} keys"
    shown = "[0.5], [1.5], [2.5]" + (", …" if n > 3 else "")
    assert caught.value.hint == f"one number a key is written [{shown}]"
    if query is not None:
        given["key"] = keys.T
    else:
        given["scores"] = np.ones((key, 2))
    with pytest.raises(InputError) as caught:
        load(**given, value=np.arange(n) + 0.5, notation="columns")
    in_one_row = "[0.5, 1.5, 2.5" + (", …]" if n > 3 else "]")
    assert caught.value.hint == f"one number a key is written [{in_one_row}]"


def test_heads_of_keys_are_told_by_heads_or_by_four_axes() -> None:
    whole = attend(**GIVEN)["weights"]
    np.testing.assert_array_equal(attend(**GIVEN, kv_heads=K)["weights"], whole)
    beside = {**GIVEN, "query": QUERY[:, 0]}  # one of them has four axes
    with pytest.raises(InputError, match="no head axis"):
        load(**beside, kv_heads=K)
    for n_axes in (2, 3):
        few = {name: array[(0,) * (4 - n_axes)] for name, array in GIVEN.items()}
        with pytest.raises(InputError) as caught:
            load(**few, kv_heads=K)
        assert (caught.value.what, caught.value.hint) == ("kv_heads without heads", "heads: N")


@pytest.mark.parametrize("notation", ["rows", "columns"])
@pytest.mark.parametrize("lead", [(), (6,), (6, 7)])
def test_scores_have_a_key_in_each_column_of_a_row(lead: tuple[int, ...], notation: str) -> None:
    scores = np.ones((*lead, 4, 3))
    if notation == "columns":
        scores = scores.swapaxes(-1, -2)
    with pytest.raises(InputError, match="of 3 features, and there are 3 keys"):
        load(scores=scores, value=np.ones(3), notation=notation)
    for n in (4, 6, 7):
        with pytest.raises(InputError) as caught:
            load(scores=scores, value=np.ones(n), notation=notation)
        assert "one vector of" not in caught.value.what


@pytest.mark.parametrize("n", [1, 2, 4])
def test_one_vector_of_another_size_is_no_value(n: int) -> None:
    with pytest.raises(InputError) as caught:
        load(query=[1.0, 0.0], key=np.ones((3, 2)), value=np.ones(n))
    assert "one vector" not in caught.value.what
    assert load(query=[1.0, 0.0], key=np.ones((1, 2)), value=np.ones(n)) is not None


def test_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "q.npy", np.eye(2))
    (tmp_path / "in" / "p.yaml").write_text("query: q.npy\nkey: q.npy\nvalue: ./q.npy\n")
    np.testing.assert_array_equal(load(tmp_path / "in" / "p.yaml").query, np.eye(2))


# --- scale and sink


def test_one_number_a_head() -> None:
    numbers = np.arange(1.0, H + 1)
    trace, plain = attend(**GIVEN, scale=numbers), attend(**GIVEN, scale="none")
    for head in range(H):
        np.testing.assert_allclose(
            np.asarray(trace["scaled"])[:, head],
            np.asarray(plain["scores"])[:, head] * numbers[head],
        )
    for one in (2.5, [2.5]):
        scaled = np.asarray(attend(**GIVEN, scale=one)["scaled"])
        np.testing.assert_allclose(scaled, np.asarray(plain["scores"]) * 2.5)
    sunk = np.asarray(attend(**GIVEN, sink=numbers)["weights"])
    scores = np.exp(np.asarray(attend(**GIVEN)["scaled"]))
    for head in range(H):
        whole = scores[:, head].sum(axis=-1, keepdims=True) + math.exp(numbers[head])
        np.testing.assert_allclose(sunk[:, head], scores[:, head] / whole)
    for key in ("scale", "sink"):
        with pytest.raises(InputError) as caught:
            load(**GIVEN, **{key: numbers[:-1]})
        assert caught.value.what == f"{key} has 5 numbers"
        assert caught.value.expected == "1, or one a query head (6)"


def test_without_heads_there_is_one_number() -> None:
    query = np.eye(2)
    assert np.asarray(attend(query=query, key=query, scale=[3.0])["scaled"]).shape == (2, 2)
    with pytest.raises(InputError, match="scale has 2 numbers"):
        load(query=query, key=query, scale=[3.0, 4.0])


# --- rotations


def turned(
    vector: np.ndarray, position: float, base: float, width: int, pairing: str
) -> np.ndarray:
    """A vector turned pair by pair (Su et al. 2021)."""
    result = vector.copy()
    for pair in range(width // 2):
        a, b = (pair, pair + width // 2) if pairing == "halves" else (2 * pair, 2 * pair + 1)
        angle = position * base ** (-2 * pair / width)
        result[a] = vector[a] * math.cos(angle) - vector[b] * math.sin(angle)
        result[b] = vector[a] * math.sin(angle) + vector[b] * math.cos(angle)
    return result


def check(
    rope: dict[str, Any],
    queries: np.ndarray,
    keys: np.ndarray,
    *,
    base: float = 10000,
    width: int = D,
    pairing: str = "halves",
    **more: Any,
) -> None:
    """The rotated vectors are those of a loop; positions are `(B n)`."""
    trace = attend(**GIVEN, rope=rope, **more)
    for name, given, positions in (("query", QUERY, queries), ("key", KEY, keys)):
        positions = np.broadcast_to(positions, (B, given.shape[2]))
        for b, h, i in np.ndindex(given.shape[:3]):
            wanted = turned(given[b, h, i], positions[b, i], base, width, pairing)
            np.testing.assert_allclose(np.asarray(trace[name])[b, h, i], wanted, atol=1e-12)


EACH = {"query": np.arange(N), "key": np.arange(M)}


@pytest.mark.parametrize(("align", "offset"), [(0, 0), (2, 2), ("bottom-right", M - N)])
def test_places_turn_the_vectors(align: object, offset: int) -> None:
    check({"base": 100.0}, EACH["query"] + offset, EACH["key"], base=100, align=align)


def test_the_base_is_ten_thousand_and_a_width_leaves_the_rest() -> None:
    check({"pairing": "halves"}, EACH["query"], EACH["key"], align=0)
    check({"width": 6}, EACH["query"], EACH["key"], align=0, width=6)
    rope = {"width": 2, "pairing": "interleaved"}
    check(rope, EACH["query"], EACH["key"], align=0, width=2, pairing="interleaved")


def test_positions_of_one_side_or_of_a_batch() -> None:
    queries, keys = np.array([3, 1, 4, 1]), np.array([5, 9, 2, 6, 5])
    check({"positions": {"query": queries, "key": keys}}, queries, keys)
    check({"positions": {"key": keys}}, EACH["query"] + 1, keys, align=1)
    check({"positions": {"query": queries}}, queries, EACH["key"])
    batch = RANDOM.integers(0, 9, (B, M))
    check({"positions": {"query": batch[:, :N], "key": batch}}, batch[:, :N], batch)


def test_lengths_of_a_batch_move_the_queries() -> None:
    lengths = np.array([4, 5])
    places = np.arange(N)[None, :] + (lengths - N)[:, None]
    check({"base": 50.0}, places, EACH["key"], base=50, align="bottom-right", key_lengths=lengths)


def tables(positions: np.ndarray, base: float = 30.0, width: int = D) -> dict[str, np.ndarray]:
    angle = positions[..., None] * base ** (-np.arange(0, width, 2) / width)
    return {"cos": np.cos(angle), "sin": np.sin(angle)}


@pytest.mark.parametrize("width", [4, D])
def test_given_cosines_are_looked_up_by_position(width: int) -> None:
    rope: dict[str, Any] = dict(tables(np.arange(9) * 2, width=width))
    check(rope, EACH["query"] * 2, EACH["key"] * 2, base=30, width=width, align=0)
    check(
        rope | {"width": width}, EACH["query"] * 2, EACH["key"] * 2, base=30, width=width, align=0
    )
    queries, keys = np.array([8, 0, 4, 1]), np.array([5, 8, 2, 6, 0])
    rope["positions"] = {"query": queries, "key": keys}
    check(rope, queries * 2, keys * 2, base=30, width=width)


def test_given_cosines_of_a_batch_are_taken_in_order() -> None:
    positions = RANDOM.integers(0, 9, (B, 3))
    given = {name: array[:, :, :3] for name, array in GIVEN.items()}
    trace = attend(**given, rope=tables(positions))
    for b, h, i in np.ndindex(B, H, 3):
        wanted = turned(QUERY[b, h, i], positions[b, i], 30, D, "halves")
        np.testing.assert_allclose(np.asarray(trace["query"])[b, h, i], wanted, atol=1e-12)


def test_keys_after_a_cache_stand_after_it() -> None:
    past = {"key": RANDOM.normal(size=(B, K, 3, D)), "value": RANDOM.normal(size=(B, K, 3, 7))}
    trace = attend(**GIVEN, rope={"base": 10.0}, past=past)
    key = np.asarray(trace["key"])
    np.testing.assert_array_equal(key[:, :, :3], past["key"])
    wanted = turned(KEY[1, 2, 4], 3 + 4, 10, D, "halves")
    np.testing.assert_allclose(key[1, 2, 7], wanted, atol=1e-12)
    wanted = turned(QUERY[1, 2, 3], 3 + 3, 10, D, "halves")
    np.testing.assert_allclose(np.asarray(trace["query"])[1, 2, 3], wanted, atol=1e-12)


@pytest.mark.parametrize(("width", "sound"), [(D, True), (D + 2, False), (3, False), (2, True)])
def test_an_even_width_of_at_most_the_features(width: int, sound: bool) -> None:
    if sound:
        load(**GIVEN, rope={"width": width}, align=0)
        return
    with pytest.raises(InputError) as caught:
        load(**GIVEN, rope={"width": width}, align=0)
    assert caught.value.what == f"rope turns {width} features of {D}"


# --- projections


def test_tables_of_torch_lie_the_other_way() -> None:
    d, given = 4, RANDOM.normal(size=(3, 4))
    parts = {name: RANDOM.normal(size=(d, d)) for name in ("query", "key", "value")}
    biases = {name: RANDOM.normal(size=d) for name in parts}
    out, bias = RANDOM.normal(size=(d, d)), RANDOM.normal(size=d)
    state = {
        "in_proj_weight": np.concatenate([*parts.values()]),
        "in_proj_bias": np.concatenate([*biases.values()]),
        "out_proj.weight": out,
        "out_proj.bias": bias,
    }
    ours = {
        "projections": {**{name: part.T for name, part in parts.items()}, "output": out.T},
        "projection_biases": {**biases, "output": bias},
    }
    whole = attend(input=given, heads=2, **ours)
    np.testing.assert_allclose(
        attend(input=given, heads=2, parameters=state).output, whole.output, rtol=1e-12
    )
    apart = {f"{name[0]}_proj_weight": part for name, part in parts.items()}
    apart |= {name: state[name] for name in ("in_proj_bias", "out_proj.weight", "out_proj.bias")}
    np.testing.assert_allclose(
        attend(input=given, heads=2, parameters=apart).output, whole.output, rtol=1e-12
    )
    for shape in ((d,), (1, 1, d)):
        extra = {f"bias_{letter}": RANDOM.normal(size=shape) for letter in "kv"}
        trace = attend(input=given, heads=2, parameters=state | extra)
        assert np.asarray(trace["weights"]).shape == (2, 3, 4)
        key = np.asarray(trace["key"])[:, -1].reshape(-1)
        np.testing.assert_allclose(key, extra["bias_k"].reshape(-1))


def test_tables_of_each_head_are_joined_side_by_side() -> None:
    given = RANDOM.normal(size=(3, 4))
    tables = {name: RANDOM.normal(size=(2, 4, 5)) for name in ("query", "key", "value")}
    output = RANDOM.normal(size=(2, 5, 6))
    whole = attend(input=given, projections={**tables, "output": output})
    heads = np.asarray(whole["heads"])
    np.testing.assert_allclose(whole.output, sum(heads[h] @ output[h] for h in range(2)))
    columns = {name: np.swapaxes(table, -1, -2) for name, table in tables.items()}
    columns["output"] = np.swapaxes(output, -1, -2)
    turned_over = attend(input=given.T, projections=columns, notation="columns")
    np.testing.assert_allclose(np.asarray(turned_over.output).T, whole.output)
    load(input=given, projections=tables, heads=2, kv_heads=2)
    for key in ("heads", "kv_heads"):
        with pytest.raises(InputError) as caught:
            load(input=given, projections=tables, **{"heads": 2, key: 1})
        assert caught.value.what.startswith(f"{key} is 1, projections.")


def test_a_prefix_chooses_the_tensors_of_a_module(tmp_path: Path) -> None:
    state = {"in_proj_weight": RANDOM.normal(size=(6, 2)), "out_proj.weight": np.eye(2)}
    np.savez(tmp_path / "s.npz", **{f"a.{name}": array for name, array in state.items()})
    np.savez(tmp_path / "t.npz", **state)
    text = "input: [[1, 2]]\nheads: 1\nparameters: "
    outputs = []
    for reference in ("s.npz:a.", "t.npz", "'t.npz:'"):
        (tmp_path / "p.yaml").write_text(text + reference + "\n")
        outputs.append(np.asarray(attend(tmp_path / "p.yaml").output))
    np.testing.assert_array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[0], outputs[2])


def test_parameters_of_a_flag_are_relative_to_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    state = {"in_proj_weight": RANDOM.normal(size=(6, 2)), "out_proj.weight": np.eye(2)}
    np.savez(tmp_path / "here.npz", **state)
    np.savez(tmp_path / "in" / "a:b.npz", **state)
    (tmp_path / "in" / "p.yaml").write_text("input: [[1, 2]]\nheads: 1\nparameters: 'a:b.npz'\n")
    monkeypatch.chdir(tmp_path)
    whole = attend("in/p.yaml").output
    command = ["attend", "in/p.yaml", "--set", "parameters=here.npz", "-o", "o.npy", "-q"]
    assert run(command) == 0
    np.testing.assert_array_equal(np.load("o.npy"), whole)


def test_biases_are_finite_and_fit(tmp_path: Path) -> None:
    tables = {name: np.eye(2) for name in ("query", "key", "value")}
    for bad in (np.nan, np.inf):
        with pytest.raises(RefusedError, match=r"projection_biases\.key\[1\]"):
            load(input=np.ones((1, 2)), projections=tables, projection_biases={"key": [0.0, bad]})


def test_the_extra_key_and_value_are_as_wide_as_theirs() -> None:
    shapes = {"q_proj_weight": (2, 2), "k_proj_weight": (2, 2), "v_proj_weight": (4, 2)}
    state = {name: RANDOM.normal(size=shape) for name, shape in shapes.items()}
    state |= {"out_proj.weight": RANDOM.normal(size=(2, 4))}
    state |= {"bias_k": np.ones(2), "bias_v": np.ones(4), "in_proj_bias": np.ones(8)[:8]}
    with pytest.raises(InputError) as caught:
        load(input=np.ones((1, 2)), heads=1, parameters=state | {"bias_v": np.ones(2)})
    assert caught.value.what == "bias_v has the shape (2)"
    assert caught.value.expected.startswith("4 numbers")
    with pytest.raises(InputError, match=r"bias_k has the shape \(4\)"):
        load(input=np.ones((1, 2)), heads=1, parameters=state | {"bias_k": np.ones(4)})
