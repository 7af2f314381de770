"""CSV and TSV tables as spreadsheets write them, and as they may read them without harm.

The first row and the first column may be labels. Nothing is guessed that could turn a typing
mistake into a label: a row or a column is labels only if none of its cells looks like a number, or
if the cell in the corner is empty.
"""

import codecs
import csv
import io
import re
from array import array as packed
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from math import inf, isinf, nan
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from attncli.errors import InputError, LimitError, Place
from attncli.files.cells import LEADING_ZERO, NUMBER, PLAIN_SIGNS, TRUTH, advice, truth_advice
from attncli.files.reading import opened
from attncli.files.yaml import quoted

LARGEST = 256 * 1024 * 1024
"""Bytes of a table; larger ones belong in NPY."""
SEPARATOR_LINE = re.compile(r"sep=([,;\t])", re.IGNORECASE)
ENDLESS = re.compile(r"([-+]?)\.?inf(?:inity)?", re.IGNORECASE)
NOT_A_NUMBER = re.compile(r"[-+]?\.?nan", re.IGNORECASE)
NUMBER_LIKE = re.compile(r"[-+−]?[.,]?\d[\d.,:_' ]*(?:[eE][-+]?\d*)?\s*%?")
"""What was meant as a number, also where it is none (1.234,5 or 010): never taken for a label."""
FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""How a text begins that a spreadsheet would take for a formula, or that was kept from it by '."""


@dataclass(frozen=True)
class Table:
    """Numbers or truth values `(n_rows n_columns)`, and the labels; () where there are none."""

    values: np.ndarray[Any, np.dtype[np.float64]] | np.ndarray[Any, np.dtype[np.bool_]]
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table, and the line on which it begins."""

    cells: list[str]
    line: int


def read_table(path: Path, place: Place | None = None) -> Table:
    """The table of a CSV or TSV file.

    UTF-8 or UTF-16; commas, semicolons (then also decimal commas) or tabs; any line ends; quoted
    cells; empty cells and rows at the end are left out. `place` is where the reference to the file
    stands. Raises `InputError` with line and column, and `LimitError` over 256 MiB.
    """
    with _opened(path, place) as reader:
        return reader.table()


def read_texts(path: Path) -> list[str]:
    """The cells of a table that `read_table` takes as they are written, with decimal points."""
    with _opened(path, None) as reader:
        return reader.texts()


@contextmanager
def _opened(path: Path, place: Place | None) -> "Iterator[Reader]":
    with opened(path, place) as file:
        content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise LimitError(
                f"the table is larger than {LARGEST >> 20} MiB",
                hint="keep large tensors in NPY files",
            )
        yield Reader(str(path), content, path.suffix.lower() == ".tsv")


def write_table(
    array: Any,
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    delimiter: str = ",",
) -> str:
    """The text of a table `(n_rows n_columns)`, a vector or a number; numbers read back exactly.

    A label that a spreadsheet would take for a formula, or `read_table` for a number, gets a ' in
    front, as people write it in a cell; `read_table` takes it away. Raises `InputError` for more
    than two axes.
    """
    values = np.asarray(array)
    if values.ndim > 2:
        raise InputError(
            f"a table has two axes, this array has {values.ndim}",
            hint="write .npy, or choose a part of it",
        )
    # An empty corner says: labels above, labels at the left.
    lines = [[*[""] * bool(rows), *map(_safe, columns)]] if columns else []
    for index, row in enumerate(np.atleast_2d(values).tolist()):
        lines.append([*map(_safe, rows[index : index + 1]), *map(_cell, row)])
    return "".join(delimiter.join(line) + "\n" for line in lines)


class Reader:
    """The lines of a table on their way to its numbers."""

    def __init__(self, source: str, content: bytes, is_tsv: bool) -> None:
        self.source = source
        self.content = content
        self.encoding = _encoding(content)
        self.first = 0
        """Lines before the table."""
        self.delimiter = self._delimiter(is_tsv)
        self.has_header: bool
        self.has_labels: bool
        self.n_rows: int
        """Rows up to the last that is not empty, with the header."""
        self.width = 0
        self.point: tuple[Row, int] | None = None
        self.comma: tuple[Row, int] | None = None
        """The first cells with a decimal point and with a decimal comma."""
        self.holds_truth: bool | None = None

    def table(self) -> Table:
        self._survey()
        skipped, labels, cells = int(self.has_labels), list[str](), packed("d")
        columns: tuple[str, ...] = ()
        for index, row in enumerate(islice(self._rows(), self.n_rows)):
            if index == 0 and self.has_header:
                columns = self._columns(row)[skipped:]
                continue
            self._refuse_ragged(row)
            cells.extend(self._values(row, row.cells[skipped : self.width], skipped))
            if self.has_labels:
                labels.append(_label(row.cells[0]))
        values = np.frombuffer(cells).reshape(-1, self.width - skipped)
        return Table(values.astype(np.bool_) if self.holds_truth else values, (*labels,), columns)

    def texts(self) -> list[str]:
        self._survey()
        rows = islice(self._rows(), int(self.has_header), self.n_rows)
        cells = (cell for row in rows for cell in row.cells[int(self.has_labels) : self.width])
        return [cell.replace(",", ".") if self.delimiter == ";" else cell for cell in cells]

    def _survey(self) -> None:
        """Find the size of the table, and whether it has labels; keep no row."""
        rows = self._rows()
        head = next(rows, Row([], self.first + 1))
        if not any(head.cells):
            empty = not any(any(row.cells) for row in rows)
            what = "the table is empty" if empty else "a row is empty"
            self._fail(head, 0, what, hint="" if empty else "remove the empty line")
        corner = not head.cells[0]
        self.has_header = corner or not any(map(_is_value, head.cells))
        only_numbers = only_labels = True
        for count, row in enumerate(chain([] if self.has_header else [head], rows), 1):
            length = _length(row.cells)
            if length:
                self.n_rows = count + self.has_header
                self.width = max(self.width, length)
                is_value = _is_value(row.cells[0])
                only_numbers &= is_value
                only_labels &= not is_value and row.cells[0] != ""
        self.has_labels = corner or only_labels
        if self.width <= self.has_labels:
            self._fail(head, 0, "the table has no numbers", expected="numbers beside its labels")
        if corner and only_numbers and all(map(_is_value, filter(None, head.cells))):
            # Otherwise a number forgotten in the corner would turn its row and column into labels.
            self._refuse(head, 0, "")

    def _delimiter(self, is_tsv: bool) -> str:
        """What a `sep=` line says, or the suffix, or what is there outside of quotes."""
        start = ""
        for number, start in enumerate(self._lines(), 1):
            if said := SEPARATOR_LINE.fullmatch(start.strip(" \r\n")):
                self.first = number
                return said[1]
            if start.strip():
                break
        bare = re.sub(r'"(?:[^"]|"")*(?:"|$)', "", start)
        return "\t" if is_tsv else next((sign for sign in (";", "\t") if sign in bare), ",")

    def _lines(self) -> io.TextIOWrapper:
        """The lines with their ends, whichever these are; decoded part by part to save memory."""
        return io.TextIOWrapper(io.BytesIO(self.content), self.encoding, newline="")

    def _rows(self) -> Iterator[Row]:
        lines = islice(self._lines(), self.first, None)
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        line = self.first + 1
        try:
            for cells in reader:
                yield Row([cell.strip() for cell in cells], line)
                line = self.first + reader.line_num + 1
        except csv.Error as error:
            raise InputError(
                f"the quotes do not match: {error}",
                hint='a quote inside a quoted cell is written twice: ""',
                place=self._place(line),
            ) from None

    def _values(self, row: Row, texts: list[str], skipped: int) -> list[float]:
        """The numbers or truth values of a row."""
        joined = "\n" + "\n".join(texts)
        if not (joined.encode().translate(None, PLAIN_SIGNS) or LEADING_ZERO.search(joined)):
            try:
                numbers = list(map(float, texts))
            except ValueError:
                numbers = [inf]
            if inf not in numbers and -inf not in numbers and not (self.holds_truth or self.comma):
                self.holds_truth = False
                if self.point is None and "." in joined:
                    at = next(at for at, text in enumerate(texts) if "." in text)
                    self.point = (row, at + skipped)
                return numbers
        return [self._value(row, text, at + skipped) for at, text in enumerate(texts)]

    def _value(self, row: Row, text: str, at: int) -> float:
        value = self._parsed(text)
        if value is None:
            self._refuse(row, at, text)
        is_truth = text.lower() in TRUTH
        if self.holds_truth is None:
            self.holds_truth = is_truth
        if is_truth != self.holds_truth:
            self._fail(row, at, "the table mixes numbers with TRUE and FALSE", hint="use one kind")
        if "," in text and self.comma is None:
            self.comma = (row, at)
        elif "." in text and text[-1].isdigit() and self.point is None:
            self.point = (row, at)
        if self.comma and self.point:
            other, where = self.point if self.comma == (row, at) else self.comma
            self._fail(
                row,
                at,
                f"{quoted(text)} and {quoted(other.cells[where])} in line {other.line}: "
                "one has a decimal comma, the other a decimal point",
                hint="write all numbers in one way",
            )
        return value

    def _parsed(self, text: str) -> float | None:
        return _parsed(text, commas=self.delimiter == ";")

    def _refuse(self, row: Row, at: int, text: str) -> NoReturn:
        """Say what is wrong with a cell, and what to write."""
        hint = advice(text).replace(".inf", "inf").replace(".nan", "nan")
        point = text.replace(",", ".", 1)
        if not text:
            hint = "write a number; nan stands for none"
        elif self.holds_truth:
            hint = truth_advice(text).upper().replace("WRITE", "write")
        elif self.delimiter == "\t" and len(row.cells) == 1:
            hint = "there is no tab in this row: call the file .csv if commas separate its cells"
        elif self.delimiter != ";" and point != text and NUMBER.fullmatch(point):
            hint = f"write {point}, or separate the cells with semicolons"
        elif re.fullmatch(r"-|#?n/?a|#?null!?|none", text, re.IGNORECASE):
            hint = "write nan, which stands for no number"
        elif not hint and (row.line == self.first + 1 or at == 0):
            hint = "labels stand alone in the first row or column, or beside an empty first cell"
        expected = "TRUE or FALSE" if self.holds_truth else "a number"
        self._fail(
            row,
            at,
            f"{quoted(text)} is not {expected}" if text else "a cell is empty",
            expected=expected,
            found=f"{quoted(text) or 'nothing'} in cell {at + 1}",
            hint=hint,
        )

    def _refuse_ragged(self, row: Row) -> None:
        length = _length(row.cells)
        if length == self.width:
            return
        if length == 0:
            self._fail(row, 0, "a row is empty", hint="remove the empty line")
        if len(row.cells) >= self.width:
            self._refuse(row, length, "")
        self._fail(
            row,
            0,
            f"a row has {_cells(length)}, the longest has {self.width}",
            expected=_cells(self.width),
            found=str(length),
            hint="every row of a table is equally long",
        )

    def _columns(self, head: Row) -> tuple[str, ...]:
        """The labels of a header, which may have empty cells, but as many as there are numbers."""
        if _length(head.cells) > self.width or len(head.cells) < self.width:
            self._fail(
                head,
                0,
                f"the labels are {_cells(_length(head.cells))}, the longest row has {self.width}",
                expected=_cells(self.width),
                found=str(_length(head.cells)),
                hint="with labels at the left, too, the first cell is empty",
            )
        return tuple(map(_label, head.cells[: self.width]))

    def _fail(
        self, row: Row, at: int, what: str, *, expected: str = "", found: str = "", hint: str = ""
    ) -> NoReturn:
        place = self._place(row.line, at)
        raise InputError(what, expected=expected, found=found, hint=hint, place=place)

    def _place(self, line: int, cell: int = 0) -> Place:
        """Line and column of a cell; of a cell after a line break, the line of its row."""
        text = next(islice(self._lines(), line - 1, None), "").rstrip("\r\n")
        column, inside = 1, False
        for position, character in enumerate(text, 2):
            if cell == 0:
                break
            inside ^= character == '"'
            if character == self.delimiter and not inside:
                cell, column = cell - 1, position
        return Place(self.source, line, column, text)


def _encoding(content: bytes) -> str:
    """The encoding that a byte order mark says, or UTF-8; the content is found to be sound."""
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    name, encoding = ("UTF-16", "utf-16") if is_wide else ("UTF-8", "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        line = "" if is_wide else f" (line {number})"
        raise InputError(f"the table is not in {name}{line}", hint="save it as CSV UTF-8") from None
    if "\0" in text:
        raise InputError("the table has zero bytes in it", hint="save it as CSV UTF-8")
    return encoding


def _length(cells: list[str]) -> int:
    """How many cells a row has without the empty ones at its end."""
    length = len(cells)
    while length and not cells[length - 1]:
        length -= 1
    return length


def _cells(count: int) -> str:
    return f"{count} cell" + "s" * (count != 1)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return repr(value)


def _parsed(text: str, *, commas: bool) -> float | None:
    """The value of a cell; None if it is neither a number nor a truth value."""
    if commas and "." not in text:
        text = text.replace(",", ".", 1)
    if NUMBER.fullmatch(text) and text[-1] in "0123456789.":
        value = float(text)
        return None if isinf(value) else value
    if match := ENDLESS.fullmatch(text):
        return -inf if match[1] == "-" else inf
    return nan if NOT_A_NUMBER.fullmatch(text) else TRUTH.get(text.lower())


def _is_value(text: str) -> bool:
    """Whether a cell was meant as a number or a truth value."""
    return NUMBER_LIKE.fullmatch(text) is not None or _parsed(text, commas=True) is not None


def _is_risky(label: str) -> bool:
    """Whether a label, without any ' in front, would be taken for a formula or a number."""
    return FORMULA.match(label) is not None or _is_value(label.lstrip("'"))


def _label(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _is_risky(cell) else cell


def _safe(label: str) -> str:
    """A label as a cell: quoted also for another delimiter than ours, since readers guess it."""
    cell = "'" + label if _is_risky(label) else label
    return '"' + cell.replace('"', '""') + '"' if re.search(r'[,;\t"\r\n]', cell) else cell
