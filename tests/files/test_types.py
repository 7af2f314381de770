"""The types of values: what each reads, what it refuses and with which advice."""

import contextlib
import subprocess
import sys
from pathlib import PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncli.errors import AttncliError, InputError, Place
from attncli.files.scalars import did_you_mean
from attncli.files.types import (
    Boolean,
    Bounds,
    Choice,
    Entry,
    Integer,
    Labels,
    ListOf,
    Mapping,
    Number,
    OneOf,
    Reference,
    Scalar,
    Tensor,
    Text,
    Type,
    read_document,
    read_flag,
)

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
CHOICE = Choice(("auto", "none"))
ANY = OneOf(Number(), Boolean(), Bounds(), CHOICE)
ROPE = Mapping({"base": Number(above=0), "pairing": Choice(("halves", "interleaved"))})


def read(kind: Type, document: str, *, c: bool | None = None) -> object:
    """The value of `key: document`."""
    return read_document(f"key: {document}\n", "p.yaml", Mapping({"key": kind}), c=c)["key"].value


def refusal(kind: Type, document: str) -> InputError:
    with pytest.raises(InputError) as caught:
        read(kind, document)
    assert caught.value.exit_code == 3
    return caught.value


def written(value: float) -> str:
    text = repr(float(value))
    return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(text, text)


def nested(array: np.ndarray, brackets: bool, indent: int = 0) -> str:
    """An array as YAML, in brackets or as a list of dashes."""
    if array.ndim == 0:
        return written(array.item())
    items = [nested(part, brackets, indent + 2) for part in array]
    if brackets:
        return f"[{', '.join(items)}]"
    return "".join(f"\n{' ' * indent}- {item}" for item in items)


@given(st.data(), st.booleans(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_table_is_read_bit_for_bit(data: st.DataObject, brackets: bool, c: bool) -> None:
    shape = data.draw(SHAPES)
    size = int(np.prod(shape))
    cells = data.draw(st.lists(FLOATS, min_size=size, max_size=size))
    array = np.array(
        [float(written(cell).replace(".inf", "inf").replace(".nan", "nan")) for cell in cells]
    ).reshape(shape)
    got = read(Tensor(), nested(array, brackets), c=c)
    assert isinstance(got, np.ndarray)
    assert (got.shape, got.dtype, got.tobytes()) == (shape, np.float64, array.tobytes())


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_a_mask_is_read_as_booleans(data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    size = int(np.prod(shape))
    cells = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    array = np.array(cells).reshape(shape)
    got = read(Tensor(booleans=True), str(array.tolist()).lower())
    assert isinstance(got, np.ndarray)
    assert got.dtype == np.bool_
    assert got.tolist() == array.tolist()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1", 1.0), ("-1.5", -1.5), ("+.5", 0.5), ("1.", 1.0), ("1e-3", 1e-3), ("1E5", 1e5)],
        *[(".inf", np.inf), ("-.INF", -np.inf), ("+.Inf", np.inf), ("0.1", 0.1), ("0e0", 0.0)],
    ],
)
def test_a_cell_is_a_decimal_number(text: str, value: float) -> None:
    for document in (text, f"[{text}]", f"|\n  {text}"):
        got = read(Tensor(), document)
        assert isinstance(got, np.ndarray)
        assert got.item() == value


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_nan_is_a_cell(text: str) -> None:
    got = read(Tensor(), f"[{text}]")
    assert isinstance(got, np.ndarray)
    assert np.isnan(got).all()


@pytest.mark.parametrize(
    ("cell", "shown", "hint"),
    [
        ("1:30", "1:30", "a number has no colon in it"),
        ("010", "010", "write 10, without leading zeros"),
        ("-007.5", "-007.5", "write -7.5, without leading zeros"),
        ("0x10", "0x10", "write 16"),
        ("0o17", "0o17", "write 15"),
        ("0b_", "0b_", "write it in decimal digits"),
        ("1_000", "1_000", "write 1000"),
        ("1/2", "1/2", "write 0.5"),
        ("1/0", "1/0", "write it as a decimal number"),
        ("50%", "50%", "write it without %: a share of 1, not of 100"),
        ("inf", "inf", "write .inf"),
        ("-Infinity", "-Infinity", "write -.inf"),
        ("NaN", "NaN", "write .nan"),
        ("1e999", "1e999", "it is too large for float64; write .inf if that is meant"),
        ("-", "-", "write a number after the sign"),
        ("−1", "−1", "write -1, in plain digits"),
        ("١٢", "١٢", "write 12, in plain digits"),
        ("1.5d-3", "1.5d-3", "write 1.5e-3"),
        ("1.5f", "1.5f", "write 1.5"),
        ("1 2", "1 2", "write 1, 2: commas between numbers, brackets around a row"),
        ("null", "null", "write a number: no cell is empty"),
        ("~", "~", "write a number: no cell is empty"),
        ("''", "an empty cell", ""),
        ("'1'", "1 in quotes", "remove the quotes"),
        ('"x"', "x in quotes", ""),
        ("true", "true", "write 1"),
        ("false", "false", "write 0"),
        ("-1e999", "-1e999", "it is too large for float64; write .inf if that is meant"),
        ("q.npy", "q.npy", "a file stands alone, without brackets"),
        ("a.npz:q", "a.npz:q", "a file stands alone, without brackets"),
        ("1e", "1e", ""),
        ("one", "one", ""),
    ],
)
def test_a_cell_that_is_no_number_is_refused_with_advice(cell: str, shown: str, hint: str) -> None:
    error = refusal(Tensor(), f"[[2, 3], [4, {cell}]]")
    assert error.what == f"row 2 of key holds {shown}"
    assert (error.expected, error.hint) == ("a number", hint)
    assert (error.place, error.subject) == (
        Place("p.yaml", 1, 19, f"key: [[2, 3], [4, {cell}]]"),
        "key",
    )


RAGGED = "row 2 of table 2 of group 1 of key has 2 numbers, row 1 of table 1 of group 1 has 1"


@pytest.mark.parametrize(
    ("document", "place", "what"),
    [
        ("[[1, 2], [3]]", "1:15", "row 2 of key has 1 number, row 1 has 2"),
        ("\n- [1, 2]\n- [3, 4, 5]", "3:3", "row 2 of key has 3 numbers, row 1 has 2"),
        (
            "[[[1, 2], [3, 4]], [[5, 6], [7]]]",
            "1:34",
            "row 2 of table 2 of key has 1 number, row 1 of table 1 has 2",
        ),
        ("[[[1, 2], [3]]]", "1:16", "row 2 of table 1 of key has 1 number, row 1 has 2"),
        ("[[[1], [2]], [[3]]]", "1:19", "table 2 of key has 1 row, table 1 has 2"),
        ("|\n  1 2\n  3", "3:3", "row 2 of key has 1 number, row 1 has 2"),
        ("|\n  1 2\n\n  3 4", "3:1", "row 2 of key is empty"),
        ("|\n  1 2\n  3, x", "3:6", "row 2 of key holds x"),
        ("|\n\n  1,,2", "3:5", "row 1 of key holds an empty cell"),
        (">\n  1 2", "1:6", "key is one folded line"),
        ("[]", "1:6", "key is empty"),
        ("[[]]", "1:7", "row 1 of key is empty"),
        ("[[1], []]", "1:12", "row 2 of key is empty"),
        ("[1, [2]]", "1:10", "key mixes numbers and lists on one level"),
        ("[[1], 2]", "1:12", "key mixes numbers and lists on one level"),
        ("[[1, 2], [[3, 4]]]", "1:16", "key mixes numbers and lists on one level"),
        ("[[[1]], [2]]", "1:15", "key mixes numbers and lists on one level"),
        ("[[1, {a: 2}]]", "1:11", "row 1 of key holds a mapping"),
        ("{a: 1}", "1:6", "key is a mapping"),
        ("1:30", "1:6", "key is 1:30"),
        ("'1.5'", "1:6", "key is 1.5"),
        ("1 2 3", "1:6", "key is 1 2 3"),
        ("1e999", "1:6", "key is 1e999"),
        ("-1e999", "1:6", "key is -1e999"),
        ("[[true, false]]", "1:8", "row 1 of key holds true"),
        ("[[yes, 1]]", "1:8", "row 1 of key holds yes"),
        ("[[[[1]]], [[[2]], [[3]]]]", "1:16", "group 2 of key has 2 tables, group 1 has 1"),
        ("[[[[1], [2]], [[3], [4, 5]]]]", "1:26", RAGGED),
        ("[[[[[1]]]], [[[[2]]], [[[3]]]]]", "1:18", "group 2 of key has 2 groups, group 1 has 1"),
        ("[[[[[[1]]]]], [[[[[2]]]], 3]]", "1:32", "key mixes numbers and lists on one level"),
        (
            "[[[[[[1]]]]], [[[[[2]]]], [[[[3]]]]]]",
            "1:20",
            "group 2 of key has 2 groups, group 1 has 1",
        ),
        ("true", "1:6", "key is true"),
        ("", "1:5", "key has no value"),
        ("null", "1:6", "key is null"),
    ],
)
def test_a_table_that_is_none_is_refused_at_its_place(document: str, place: str, what: str) -> None:
    error = refusal(Tensor(), document)
    assert (error.what, str(error.place)) == (what, f"p.yaml:{place}")


@pytest.mark.parametrize(
    ("document", "what", "hint"),
    [
        ("[[true, 1]]", "row 1 of key mixes numbers with true and false", "true and false"),
        ("[[1, 0], [true, false]]", "row 2 of key mixes numbers with true and false", "true and"),
        ("[[true], [0]]", "row 2 of key mixes numbers with true and false", "true and"),
        ("[[True, False]]", "row 1 of key holds True", "write true"),
        ("[[true, yes]]", "row 1 of key holds yes", "write true"),
        ("no", "key is no", "write false"),
    ],
)
def test_a_mask_is_of_one_kind(document: str, what: str, hint: str) -> None:
    error = refusal(Tensor(booleans=True), document)
    assert error.what == what
    assert error.hint.startswith(hint)


@pytest.mark.parametrize(("document", "value"), [("true", True), ("false", False), ("1", 1.0)])
def test_a_mask_is_one_value(document: str, value: object) -> None:
    got = read(Tensor(booleans=True), document)
    assert isinstance(got, np.ndarray)
    assert (got.shape, got.item(), type(got.item())) == ((), value, type(value))


@pytest.mark.parametrize(
    "document", ["q.npy", "'q.npy'", "data.npz:name", "./key", "value", "2024_q.npy", "'null'"]
)
def test_a_text_that_is_no_number_says_where_the_tensor_lies(document: str) -> None:
    assert read(Tensor(), document) == Reference(document.strip("'"))


@pytest.mark.parametrize(
    "document", ["|\n  1 2\n  3 4", "|\n  1, 2\n  3,\t4\n", "|\n\n  1  2\n  3 4"]
)
def test_a_block_is_a_table(document: str) -> None:
    got = read(Tensor(), document)
    assert isinstance(got, np.ndarray)
    assert got.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("kind", "document", "value"),
    [
        (Number(), "1e-3", 1e-3),
        (Number(minimum=0), "0", 0.0),
        (Integer(minimum=1), "12", 12),
        (Integer(), "-3", -3),
        (Boolean(), "true", True),
        (Boolean(), "false", False),
        *[(Text(), text, text) for text in ("no", "null", "007", "~", "1e3", "yes")],
        (Text(), "'a: b'", "a: b"),
        (CHOICE, "none", "none"),
        (CHOICE, "'auto'", "auto"),
        (Bounds(), "[2, 0]", (2, 0)),
        (Bounds(), "[null, -1]", (None, None)),
        (Bounds(), "[~, 3]", (None, 3)),
        (Labels(), "[no, null, 007, it]", ("no", "null", "007", "it")),
        (Labels(), "the animal  street", ("the", "animal", "street")),
        (Labels(), "\n- the cat\n- 'a: b'", ("the cat", "a: b")),
        (Labels(), "[[a, b], [c]]", (("a", "b"), ("c",))),
        (Labels(), "[why?, '\\x1b']", ("why?", "\\x1b")),
        (Labels(), '["\\x1b[2J"]', ("\x1b[2J",)),
        (ListOf(Integer()), "[1, 2]", (1, 2)),
        (OneOf(CHOICE, Integer()), "auto", "auto"),
        (OneOf(CHOICE, Integer()), "3", 3),
        (OneOf(CHOICE, Tensor()), "s.npy", Reference("s.npy")),
        *[(ANY, "2.5", 2.5), (ANY, "true", True), (ANY, "[1, null]", (1, None))],
        (OneOf(ListOf(Text()), Text()), "[a]", ("a",)),
        *[(ANY, "auto", "auto"), (OneOf(CHOICE, OneOf(Integer())), "3", 3)],
    ],
)
def test_a_scalar_means_what_its_type_makes_of_it(kind: Type, document: str, value: object) -> None:
    got = read(kind, document)
    assert got == value
    assert type(got) is type(value)


ERRORS = [
    (Number(), "abc", "key is abc", "a number", ""),
    (Number(above=0), "0", "key is 0", "a number above 0", ""),
    (Number(minimum=0), "-1", "key is -1", "a number of at least 0", ""),
    (Number(), "'2'", "key is 2", "a number", "remove the quotes"),
    (Number(), "1,5", "key is 1,5", "a number", "write 1.5, with a point; or 1, 5"),
    (Number(), ".inf", "key is .inf", "a number", ""),
    (Number(), "1e999", "key is 1e999", "a number", "it is too large for float64"),
    (Number(), "[1]", "key is a list", "a number", ""),
    (Integer(), "1.0", "key is 1.0", "a whole number", "write 1"),
    (Integer(), "1.5", "key is 1.5", "a whole number", ""),
    (Integer(), "0x10", "key is 0x10", "a whole number", "write 16"),
    (Integer(), "9" * 19, "key is " + "9" * 19, "a whole number", "it has at most 18 digits"),
    (Integer(minimum=1), "0", "key is 0", "a whole number of at least 1", ""),
    (Boolean(), "yes", "key is yes", "true or false", "write true"),
    (Boolean(), "True", "key is True", "true or false", "write true"),
    (Boolean(), "off", "key is off", "true or false", "write false"),
    (Boolean(), "0", "key is 0", "true or false", "write false"),
    (Boolean(), "'true'", "key is true", "true or false", "remove the quotes"),
    (Boolean(), "", "key has no value", "true or false", ""),
    (CHOICE, "atuo", "key is atuo", "auto or none", "did you mean auto?"),
    (CHOICE, "NONE", "key is NONE", "auto or none", "did you mean none?"),
    (Bounds(), "2", "key is 2", Bounds.noun, ""),
    (Bounds(), "2,0", "key is 2,0", Bounds.noun, "write [2, 0], in brackets"),
    (Bounds(), "[2]", "key has length 1", Bounds.noun, ""),
    (Bounds(), "[1, 2, 3]", "key has length 3", Bounds.noun, ""),
    (Bounds(), "[2, -2]", "key is -2", Bounds.noun, ""),
    (Bounds(), "[none, 2]", "key is none", Bounds.noun, "write null for no bound"),
    (Bounds(), "[[1], 2]", "key holds a list", Bounds.noun, ""),
    (Labels(), "[]", "key is empty", Labels.noun, ""),
    (Labels(), "", "key is empty", Labels.noun, ""),
    (
        Labels(),
        "[a: b]",
        "key holds a mapping",
        Labels.noun,
        "a name with a colon stands in quotes",
    ),
    (Labels(), "[a, [b]]", "key holds a list", Labels.noun, ""),
    (Labels(), "[[a], b]", "key holds b", Labels.noun, ""),
    (ListOf(Integer()), "[1, x]", "key[1] is x", "a whole number", ""),
    (ListOf(Integer()), "1", "key is 1", "a list, each entry a whole number", ""),
    (OneOf(CHOICE, Integer()), "no", "key is no", "auto or none, or a whole number", ""),
    (OneOf(CHOICE, Tensor()), "atuo", "key is atuo", None, "did you mean auto?"),
    (ROPE, "{bas: 1}", "unknown key bas in key", "", "did you mean base?"),
    (ROPE, "{zz: 1}", "unknown key zz in key", "", "keys in key are base, pairing"),
    (ROPE, "{base: 0}", "key.base is 0", "a number above 0", ""),
    (ROPE, "halves", "key is halves", "a mapping with base, pairing", ""),
]


@pytest.mark.parametrize(("kind", "document", "what", "expected", "hint"), ERRORS)
def test_a_wrong_value_is_refused_with_what_was_expected(
    kind: Type, document: str, what: str, expected: str | None, hint: str
) -> None:
    error = refusal(kind, document)
    assert (error.what, error.hint) == (what, hint)
    assert expected in (None, error.expected)
    assert error.place is not None
    assert error.place.line == 1


def test_a_key_is_given_once() -> None:
    with pytest.raises(InputError) as caught:
        read_document("key: 1\n\nkey: 2\n", "p.yaml", Mapping({"key": Number()}))
    assert str(caught.value) == (
        "p.yaml:3:1: error: key is given twice, first in line 1\n  key: 2\nhint: remove one of them"
    )


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        ("querry: 1", "did you mean query?"),
        ("is_causal: true", "is_causal is called causal here"),
        ("xyz: 1", "keys are query, causal"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(document: str, hint: str) -> None:
    mapping = Mapping({"query": Tensor(), "causal": Boolean()}, {"is_causal": "causal"})
    with pytest.raises(InputError) as caught:
        read_document(document, "p.yaml", mapping)
    assert caught.value.what == f"unknown key {document.split(':')[0]}"
    assert caught.value.hint == hint


def test_an_entry_knows_its_place() -> None:
    entries = read_document("a: 1\nb:\n  base: 2\n", "p.yaml", Mapping({"a": Number(), "b": ROPE}))
    assert entries["a"] == Entry(1.0, Place("p.yaml", 1, 4, "a: 1"))
    assert entries["b"].value["base"] == Entry(2.0, Place("p.yaml", 3, 9, "  base: 2"))


def test_a_flag_is_read_as_a_file_is() -> None:
    assert read_flag(Bounds(), "[2, null]", "--window") == (2, None)
    with pytest.raises(InputError) as caught:
        read_flag(Number(above=0), "-1", "--set rope.base")
    assert str(caught.value) == (
        "--set rope.base: error: rope.base is -1\n  expected a number above 0"
    )
    assert caught.value.place == Place("--set rope.base", is_flag=True)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        (Number(), 2, 2.0),
        (Number(), np.float32(0.5), 0.5),
        (Integer(), np.int64(3), 3),
        (Boolean(), np.True_, True),
        (Text(), "no", "no"),
        (CHOICE, "auto", "auto"),
        (Bounds(), (2, None), (2, None)),
        (Bounds(), [-1, np.int32(0)], (None, 0)),
        (Tensor(), "q.npy", Reference("q.npy")),
        (Tensor(), PurePosixPath("a/q.npy"), Reference("a/q.npy")),
        (Tensor(), Reference("x"), Reference("x")),
        (Labels(), "the animal", ("the", "animal")),
        (Labels(), [["a", "b"], ["c"]], (("a", "b"), ("c",))),
        (ListOf(Integer()), [1, 2], (1, 2)),
        (OneOf(CHOICE, Tensor()), "auto", "auto"),
        (OneOf(CHOICE, Integer()), 4, 4),
        (ROPE, {"base": 3}, {"base": Entry(3.0)}),
        (OneOf(CHOICE, ROPE), {"base": 3}, {"base": Entry(3.0)}),
    ],
)
def test_a_python_object_is_held_to_the_same_rules(
    kind: Type, value: object, result: object
) -> None:
    assert kind.accept(value, None, "key") == result


@pytest.mark.parametrize(
    ("kind", "value", "what"),
    [
        (Number(), True, "key is bool True"),
        (Number(), "1e-3", "key is 1e-3"),
        (Number(above=0), -1, "key is -1"),
        (Number(), 10**400, "key is a huge one"),
        (Number(), [1], "key is list [1]"),
        (Integer(), 1.5, "key is float 1.5"),
        (Integer(minimum=1), 0, "key is 0"),
        (Boolean(), 1, "key is int 1"),
        (Text(), 3, "key is int 3"),
        (CHOICE, "atuo", "key is atuo"),
        (Bounds(), [1], "key is list [1]"),
        (Bounds(), 2, "key is int 2"),
        (Bounds(), [1, -2], "key is -2"),
        (Tensor(), [[1], [2, 3]], "key is list [[1], [2, 3]]"),
        (Tensor(), [["a"]], "key is list [['a']]"),
        (Tensor(), [True], "key is list [True]"),
        (Tensor(), [], "key is empty"),
        (Tensor(), [10**400], None),
        (Labels(), [1], "key is int 1"),
        (Labels(), [], "key is list []"),
        (Labels(), ["a", ["b"]], "key is list ['a', ['b']]"),
        (Labels(), [[["a"]]], "key is list [[['a']]]"),
        (ListOf(Integer()), [1, "x"], "key[1] is x"),
        (OneOf(CHOICE, Integer()), "x", "key is x"),
        (OneOf(CHOICE, Integer()), {}, "key is dict {}"),
        (ROPE, {"bas": 1}, "unknown key bas in key"),
        (ROPE, {"base": 0}, "key.base is 0"),
        (ROPE, 3, "key is int 3"),
    ],
)
def test_a_python_object_that_does_not_fit_is_refused(
    kind: Type, value: object, what: str | None
) -> None:
    place = Place("key")
    with pytest.raises(InputError) as caught:
        kind.accept(value, place, "key")
    assert what in (None, caught.value.what)
    assert caught.value.place == place


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8"])
def test_an_array_keeps_its_type(dtype: str) -> None:
    array = np.ones((2, 3), dtype=dtype)
    assert Tensor().accept(array, None, "key") is array


def test_bfloat16_becomes_float32() -> None:
    import ml_dtypes

    array = Tensor().accept(np.array([1.5, -2], dtype=ml_dtypes.bfloat16), None, "key")
    assert (array.dtype, array.tolist()) == (np.float32, [1.5, -2])


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
@settings(max_examples=300, deadline=None)
def test_no_python_object_breaks_a_type(value: object) -> None:
    kinds = (Number(), Integer(), Boolean(), Text(), CHOICE, Bounds(), Tensor(booleans=True))
    for kind in (*kinds, Labels(), ListOf(Number()), OneOf(CHOICE, Tensor()), ROPE):
        with contextlib.suppress(AttncliError):
            kind.accept(value, None, "key")


@pytest.mark.parametrize(
    ("kind", "metavar", "noun"),
    [
        (Number(), "NUMBER", "a number"),
        (Integer(), "N", "a whole number"),
        (Boolean(), "true|false", "true or false"),
        (Text(), "TEXT", "a text"),
        (CHOICE, "auto|none", "auto or none"),
        (Choice(("a", "b", "c")), "a|b|c", "one of a, b, c"),
        (Bounds(), "'[LEFT, RIGHT]'", Bounds.noun),
        (Labels(), "LABELS", "names such as [the, animal]"),
        (OneOf(CHOICE, Number()), "auto|none|NUMBER", "auto or none, or a number"),
        (ListOf(Number()), "'[NUMBER, …]'", "a list, each entry a number"),
        (ROPE, "'{KEY: VALUE, …}'", "a mapping with base, pairing"),
    ],
)
def test_a_type_says_how_help_and_messages_call_it(kind: Type, metavar: str, noun: str) -> None:
    assert (kind.metavar, kind.noun) == (metavar, noun)


def test_the_types_load_without_numpy() -> None:
    code = "import sys, attncli.files.types; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_hint_fits_the_kind_of_a_table() -> None:
    for level, name in enumerate(("row", "table", "group", "group")):
        inner = "[" * level + "1" + "]" * level
        hint = refusal(Tensor(), f"[[{inner}], [{inner}, {inner}]]").hint
        assert hint == f"every {name} is equally long"
    assert refusal(Tensor(), "[[yes, 1]]").hint == ""
    assert refusal(Tensor(booleans=True), "[[yes, 1]]").hint == "write true"


def test_a_whole_number_has_at_most_18_digits() -> None:
    for sign in (1, -1):
        largest = sign * (10**18 - 1)
        assert Integer().accept(largest) == read(Integer(), str(largest)) == largest
        with pytest.raises(InputError):
            Integer().accept(sign * 10**18)
        assert refusal(Integer(), str(sign * 10**18)).hint == "it has at most 18 digits"


def test_an_entry_of_a_list_is_named_with_all_its_keys() -> None:
    inner = Mapping({"b": ListOf(Mapping({"c": ListOf(Integer())}))})
    assert refusal(inner, "{b: [{c: [1]}, {c: [1, 2, x]}]}").what == "key.b[1].c[2] is x"
    assert read(inner, "{b: []}") == {"b": Entry((), Place("p.yaml", 1, 10, "key: {b: []}"))}


def test_six_keys_are_shown_and_twelve_are_listed() -> None:
    for n in (5, 6, 7, 12, 13):
        mapping = Mapping({f"k{at:02}": Number() for at in range(n)})
        names = [*mapping.keys]
        shown = ", ".join(names if n < 7 else [*names[:5], "…"])
        assert mapping.noun == f"a mapping with {shown}"
        hint = refusal(mapping, "{zzz: 1}").hint
        assert hint == (f"keys in key are {', '.join(names)}" if n < 13 else "")


def test_a_type_says_what_it_is() -> None:
    assert Type.__abstractmethods__ == {"metavar", "noun", "read", "accept"}
    assert Scalar.__abstractmethods__ == {"metavar", "noun", "parse"}


def test_a_name_is_near_where_six_tenths_are_the_same() -> None:
    assert did_you_mean("heads123456", ["heads", "title"]) == "did you mean heads?"  # 10 of 16
    assert did_you_mean("heads1234567", ["heads"]) == ""  # 10 of 17
    assert did_you_mean("HEADS", ["Heads"]) == "did you mean Heads?"
    assert did_you_mean("heads", []) == did_you_mean("heads" * 9, ["heads"]) == ""
