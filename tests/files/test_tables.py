"""Tables: as spreadsheets write them, bit for bit as `float` reads them, and mistakes in words."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from attncli.errors import AttncliError, InputError, LimitError, Place
from attncli.files import tables
from attncli.files.tables import Table, read_table, write_table

LABELS = (
    st.text(min_size=1, max_size=6).map(str.strip).filter(lambda text: text and "\0" not in text)
)
DELIMITERS = st.sampled_from(",;\t")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(content: str | bytes, name: str = "t.csv") -> Table:
    raw = content if isinstance(content, bytes) else content.encode()
    Path(name).write_bytes(raw)
    return read_table(Path(name))


def table_or_error(content: bytes) -> Table | AttncliError:
    """What reading gives; it may fail in no other way."""
    try:
        return read(content)
    except AttncliError as error:
        return error


def error_of(content: str | bytes, name: str = "t.csv") -> str:
    with pytest.raises(InputError) as caught:
        read(content, name)
    return str(caught.value)


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    nan = np.isnan(one) & np.isnan(other)
    return bool((nan | (one.view(np.uint64) == other.view(np.uint64))).all())


@settings(deadline=None)
@given(npst.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 7))), DELIMITERS)
def test_numbers_come_back_exactly(values: np.ndarray, delimiter: str) -> None:
    table = read(
        write_table(values, delimiter=delimiter), "t.tsv" if delimiter == "\t" else "t.csv"
    )
    assert (table.rows, table.columns) == ((), ())
    assert table.values.shape == values.shape
    assert same_bits(table.values, values)


@settings(deadline=None)
@given(npst.arrays(np.float32, (3, 2)))
def test_float32_comes_back_exactly(values: np.ndarray) -> None:
    np.testing.assert_array_equal(read(write_table(values)).values.astype(np.float32), values)


@settings(deadline=None)
@given(npst.arrays(np.bool_, st.tuples(st.integers(1, 5), st.integers(1, 7))))
def test_truth_values_come_back(values: np.ndarray) -> None:
    table = read(write_table(values))
    assert table.values.dtype == np.bool_
    np.testing.assert_array_equal(table.values, values)


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(LABELS, min_size=2, max_size=2) | st.just([]),
    columns=st.lists(LABELS, min_size=3, max_size=3) | st.just([]),
)
def test_labels_come_back(rows: list[str], columns: list[str]) -> None:
    values = np.arange(6.0).reshape(2, 3)
    table = read(write_table(values, rows=rows, columns=columns))
    np.testing.assert_array_equal(table.values, values)
    assert table.rows == tuple(rows)
    assert table.columns == tuple(columns)


@pytest.mark.parametrize("label", ["=1+1", "+x", "-x", "@sum", "\tx", "\rx", "'=x"])
def test_no_label_is_a_formula(label: str) -> None:
    text = write_table([[-1.0, 2.0]], rows=[label], columns=["a", label])
    assert text.replace('"', "") == f",a,'{label}\n'{label},-1.0,2.0\n"


def test_a_table_is_written() -> None:
    table = write_table(np.array([[1, -2]]), rows=["it"], columns=["the", "animal, tired"])
    assert table == ',the,"animal, tired"\nit,1,-2\n'
    labelled = write_table([[1, 2], [3, 4]], rows=["it", "is"], columns=["a", "b"])
    assert labelled == ",a,b\nit,1,2\nis,3,4\n"
    assert write_table([[1], [2]], rows=["it", "is"]) == "it,1\nis,2\n"
    assert write_table([1.5, math.inf], delimiter="\t") == "1.5\tinf\n"
    assert write_table(np.float32(0.1)) == "0.10000000149011612\n"
    with pytest.raises(InputError) as caught:
        write_table(np.zeros((2, 3, 5)))
    assert str(caught.value) == (
        "error: a table has two axes, this array has 3\nhint: write .npy, or choose a part of it"
    )


@settings(deadline=None)
@given(st.text("0123456789.eE+-", max_size=9) | st.floats().map(repr))
def test_a_cell_is_what_float_reads(text: str) -> None:
    try:
        value = read(f"0,{text}").values[0, -1]
    except InputError:
        return
    if text:
        assert np.float64(text).tobytes() == value.tobytes() or math.isnan(value)


@pytest.mark.parametrize(
    "content",
    [
        "1,2.5\n3,-4e-1",
        "1,2.5\r\n3,-4e-1\r\n",
        "1,2.5\r3,-4e-1\r",
        "\ufeff1,2.5\n3,-4e-1\n",
        "\ufeff1\t2.5\r\n3\t-4e-1\r\n".encode("utf-16-le"),
        "\ufeff1;2,5\r\n3;-4e-1\r\n".encode("utf-16-be"),
        "1;2,5\n3;-0,4\n",
        "sep=;\n1;2,5\n3;-0,4\n",
        "sep=,\r\n1,2.5\r\n3,-0.4\r\n",
        '"1","2.5"\n"3","-.4"\n',
        " 1 , 2.5\n3,  -0.4\n",
        "1,2.5,,\n3,-0.4,,\n,,,\n\n",
        "+1,25e-1\n3.,-0.4\n",
    ],
)
def test_what_spreadsheets_write(content: str | bytes) -> None:
    table = read(content)
    assert table.values.tolist() == [[1, 2.5], [3, -0.4]]
    assert (table.rows, table.columns) == ((), ())


def test_tabs_by_the_suffix() -> None:
    assert read("a;b\tc\n1\t2\n", "t.TSV").columns == ("a;b", "c")


def test_numbers_that_are_none() -> None:
    values = read("inf,-inf,nan,+inf\n.inf,-.Inf,.NaN,Infinity\n").values
    np.testing.assert_array_equal(values, [[math.inf, -math.inf, math.nan, math.inf]] * 2)


@pytest.mark.parametrize(
    ("content", "rows", "columns"),
    [
        ("a,b\n1,2\n", (), ("a", "b")),
        ("it,1,2\n", ("it",), ()),
        ("token,a,b\nit,1,2\n", ("it",), ("a", "b")),
        (",a,b\nit,1,2\n", ("it",), ("a", "b")),
        (",2019,b\n7,1,2\n", ("7",), ("2019", "b")),
        (",2019,2020\nit,1,2\n", ("it",), ("2019", "2020")),
        ('"a\nb",c\n1,2\n', (), ("a\nb", "c")),
        ("a,,\n1,2\n", (), ("a", "")),
        ("the,the\n1,2\n", (), ("the", "the")),
        ("'=a,'007\n1,2\n", (), ("=a", "007")),
        ("'s,''\n1,2\n", (), ("'s", "''")),
    ],
)
def test_labels(content: str, rows: tuple[str, ...], columns: tuple[str, ...]) -> None:
    table = read(content)
    assert table.values.tolist() == [[1, 2]]
    assert (table.rows, table.columns) == (rows, columns)


LABELS_HINT = "hint: labels stand alone in the first row or column, or beside an empty first cell"
MESSAGES: dict[str, tuple[str | bytes, str]] = {
    "ragged": (
        "1,2,3\n4,5\n",
        """\
t.csv:2:1: error: a row has 2 cells, the longest has 3
  4,5
  expected 3 cells, found 2
hint: every row of a table is equally long""",
    ),
    "word": (
        "1,2\n3,four\n",
        """\
t.csv:2:3: error: four is not a number
  3,four
  expected a number, found four in cell 2""",
    ),
    "typing mistake": (
        "1,2\nl,4\n",
        f"""\
t.csv:2:1: error: l is not a number
  l,4
  expected a number, found l in cell 1
{LABELS_HINT}""",
    ),
    "mixed first row": (
        "a,2\n3,4\n",
        f"""\
t.csv:1:1: error: a is not a number
  a,2
  expected a number, found a in cell 1
{LABELS_HINT}""",
    ),
    "comma": (
        "1\t2\n1\t2,5\n",
        """\
t.csv:2:3: error: 2,5 is not a number
  1 2,5
  expected a number, found 2,5 in cell 2
hint: write 2.5, or separate the cells with semicolons""",
    ),
    "both": (
        "1,5;2\n1;2.5\n",
        """\
t.csv:2:3: error: 2.5 and 1,5 in line 1: one has a decimal comma, the other a decimal point
  1;2.5
hint: write all numbers in one way""",
    ),
    "both, other way": (
        "1.5;2\n1;2,5\n",
        """\
t.csv:2:3: error: 2,5 and 1.5 in line 1: one has a decimal comma, the other a decimal point
  1;2,5
hint: write all numbers in one way""",
    ),
    "both, beside labels": (
        "x;1;1.5\ny;2,5;3\n",
        """\
t.csv:2:3: error: 2,5 and 1.5 in line 1: one has a decimal comma, the other a decimal point
  y;2,5;3
hint: write all numbers in one way""",
    ),
    "both, in one row": (
        "1,5;2.5\n",
        """\
t.csv:1:5: error: 2.5 and 1,5 in line 1: one has a decimal comma, the other a decimal point
  1,5;2.5
hint: write all numbers in one way""",
    ),
    "after a line of the separator": (
        "sep=;\n1;2\n3;x4\n",
        """\
t.csv:3:3: error: x4 is not a number
  3;x4
  expected a number, found x4 in cell 2""",
    ),
    "label after a line of the separator": (
        "sep=;\na;2\n3;4\n",
        f"""\
t.csv:2:1: error: a is not a number
  a;2
  expected a number, found a in cell 1
{LABELS_HINT}""",
    ),
    "quotes after a line of the separator": (
        'sep=,\n1,2\n3,"4\n',
        """\
t.csv:3:1: error: the quotes do not match: unexpected end of data
  3,"4
hint: a quote inside a quoted cell is written twice: \"\"""",
    ),
    "third cell": (
        '1,"2",x3\n1,2,3\n',
        f"""\
t.csv:1:7: error: x3 is not a number
  1,"2",x3
  expected a number, found x3 in cell 3
{LABELS_HINT}""",
    ),
    "thousands": (
        "1;1.234,5\n",
        """\
t.csv:1:3: error: 1.234,5 is not a number
  1;1.234,5
  expected a number, found 1.234,5 in cell 2
"""
        + LABELS_HINT,
    ),
    "leading zero": (
        "1,2\n3,010\n",
        """\
t.csv:2:3: error: 010 is not a number
  3,010
  expected a number, found 010 in cell 2
hint: write 10, without leading zeros""",
    ),
    "too large": (
        "1,2\n3,1e999\n",
        """\
t.csv:2:3: error: 1e999 is not a number
  3,1e999
  expected a number, found 1e999 in cell 2
hint: it is too large for float64; write inf if that is meant""",
    ),
    "not available": (
        "1,2\n3,#N/A\n",
        """\
t.csv:2:3: error: #N/A is not a number
  3,#N/A
  expected a number, found #N/A in cell 2
hint: write nan, which stands for no number""",
    ),
    "empty cell": (
        "1,2,3\n4,,6\n",
        """\
t.csv:2:3: error: a cell is empty
  4,,6
  expected a number, found nothing in cell 2
hint: write a number; nan stands for none""",
    ),
    "empty last cell": (
        "1,2\n3,\n",
        """\
t.csv:2:3: error: a cell is empty
  3,
  expected a number, found nothing in cell 2
hint: write a number; nan stands for none""",
    ),
    "empty corner of numbers": (
        ",2\n3,4\n",
        """\
t.csv:1:1: error: a cell is empty
  ,2
  expected a number, found nothing in cell 1
hint: write a number; nan stands for none""",
    ),
    "empty row": ("1,2\n\n3,4\n", "t.csv:2:1: error: a row is empty\nhint: remove the empty line"),
    "empty first row": ("\n1,2\n", "t.csv:1:1: error: a row is empty\nhint: remove the empty line"),
    "nothing": (" \n,,\n", "t.csv:1:1: error: the table is empty"),
    "labels only": (
        "the,animal\n",
        """\
t.csv:1:1: error: the table has no numbers
  the,animal
  expected numbers beside its labels""",
    ),
    "short header": (
        "a,b\n1,2,3\n",
        """\
t.csv:1:1: error: the labels are 2 cells, the longest row has 3
  a,b
  expected 3 cells, found 2
hint: with labels at the left, too, the first cell is empty""",
    ),
    "truth and numbers": (
        "TRUE,FALSE\n1,0\n",
        """\
t.csv:2:1: error: the table mixes numbers with TRUE and FALSE
  1,0
hint: use one kind""",
    ),
    "truth and words": (
        "TRUE,FALSE\nTRUE,no\n",
        """\
t.csv:2:6: error: no is not TRUE or FALSE
  TRUE,no
  expected TRUE or FALSE, found no in cell 2
hint: write FALSE""",
    ),
    "quotes": (
        '1,2\n3,"4\n5,6\n',
        """\
t.csv:2:1: error: the quotes do not match: unexpected end of data
  3,"4
hint: a quote inside a quoted cell is written twice: \"\"""",
    ),
    "column after quotes": (
        '"1";"2;2"\n',
        """\
t.csv:1:5: error: 2;2 is not a number
  "1";"2;2"
  expected a number, found 2;2 in cell 2
"""
        + LABELS_HINT,
    ),
    "latin 1": (
        b"a,b\n1,\xe9\n",
        "t.csv: error: the table is not in UTF-8 (line 2)\nhint: save it as CSV UTF-8",
    ),
    "half a character": (
        b"\xff\xfe1\0,",
        "t.csv: error: the table is not in UTF-16\nhint: save it as CSV UTF-8",
    ),
    "no byte order mark": (
        b"1\0,\x002\0",
        "t.csv: error: the table has zero bytes in it\nhint: save it as CSV UTF-8",
    ),
    "empty": (b"", "t.csv: error: the file is empty\nhint: save it again: nothing was written"),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_messages(case: str) -> None:
    content, expected = MESSAGES[case]
    assert error_of(content) == expected


def test_no_tabs_in_a_tsv() -> None:
    assert error_of("1,2\n3,4\n", "t.tsv") == (
        "t.tsv:1:1: error: 1,2 is not a number\n"
        "  1,2\n"
        "  expected a number, found 1,2 in cell 1\n"
        "hint: there is no tab in this row: call the file .csv if commas separate its cells"
    )


def test_a_huge_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LARGEST", 1 << 20)
    with pytest.raises(LimitError) as caught:
        read(b"1,2\n" * (1 << 18) + b"3")
    assert str(caught.value) == (
        "t.csv: error: the table is larger than 1 MiB\nhint: keep large tensors in NPY files"
    )


@settings(max_examples=500, deadline=None)
@given(
    st.binary(max_size=60)
    | st.text("0123.,;\t\n\r\"' eEa-+=", max_size=60).map(str.encode)
    | st.text(max_size=30).map(lambda text: text.encode("utf-16"))
)
def test_anything_is_read_or_refused(content: bytes) -> None:
    result = table_or_error(content)
    if isinstance(result, Table):
        n_rows, n_columns = result.values.shape
        assert len(result.rows) in (0, n_rows)
        assert len(result.columns) in (0, n_columns)
    else:
        assert result.place is not None
        assert (result.place.source, result.exit_code) == ("t.csv", 3)
        assert len(result.lines()) <= 4


def test_the_place_is_that_of_the_cell() -> None:
    with pytest.raises(InputError) as caught:
        read('x,y\n"1,5",2\n')
    assert caught.value.place == Place("t.csv", 2, 1, '"1,5",2')
