"""Tables of numbers as a problem file writes them: nested lists, `|` blocks, single cells.

A cell is a decimal number, `.inf`, `-.inf` or `.nan`, and in a mask `true` or `false`; nothing is
guessed. The common row is checked and converted as a whole, which is what makes this reader fast;
only a row that fails is looked at cell by cell, to say what is wrong with which and what to write.
"""

import re
import unicodedata
from array import array
from math import inf, isinf
from typing import TYPE_CHECKING, Any, NoReturn

from yaml.events import Event, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from attncli.errors import InputError
from attncli.files.yaml import Cursor, mark, quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NUMBER = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
TRUTH = {"true": True, "false": False}
EMPTY = ("", "~", "null", "Null", "NULL")
FILE = r".*\.(?:npy|npz|csv|tsv|safetensors)(?::.*)?"
PLAIN_SIGNS = b"0123456789.eE+-\n"
LEADING_ZERO = re.compile(r"\n[-+]?0[0-9]")
LONGEST = 200
"""Letters of what was perhaps meant as a number; patterns of longer texts take much memory."""
LEVELS = ("number", "row", "table", "group")
"""What the levels of a nested list are called, from the innermost."""


def number(text: str) -> float:
    """The number that a text `NUMBER` matches stands for, exactly as `float` reads it."""
    return float(text.replace(".i", "i").replace(".I", "I").replace(".n", "n").replace(".N", "N"))


def is_plain(event: ScalarEvent) -> bool:
    """Whether a scalar stands without quotes and not as a block."""
    plain: bool = event.implicit[0]
    return plain


def advice(text: str) -> str:
    """What to write instead of something that was perhaps meant as a number; "" if it was not."""
    if len(text) > LONGEST:
        return ""
    ascii_text = "".join(str(unicodedata.decimal(c, c)) for c in text).replace("\u2212", "-")
    if text in EMPTY:
        return "write a number: no cell is empty"
    if ascii_text != text and NUMBER.fullmatch(ascii_text):
        return f"write {ascii_text}, in plain digits"
    if NUMBER.fullmatch(text):
        return "it is too large for float64; write .inf if that is meant"
    for pattern, remedy in MISTAKES:
        match = re.fullmatch(pattern, text, re.ASCII)
        if match:
            return str(remedy(match) if callable(remedy) else remedy)
    words = re.split(r"\s*,\s+|\s+", text.strip())
    if len(words) > 1 and all(NUMBER.fullmatch(word) for word in words):
        return f"write {quoted(', '.join(words))}: commas between numbers, brackets around a row"
    return ""


def _whole(match: re.Match[str]) -> str:
    try:
        return f"write {int(match[0].lower(), 0)}"
    except ValueError:
        return "write it in decimal digits"


def _share(match: re.Match[str]) -> str:
    try:
        return f"write {float(match[1]) / float(match[2])!r}"
    except ArithmeticError:
        return "write it as a decimal number"


MISTAKES: tuple[tuple[str, Any], ...] = (
    (r"[-+]?(?i:inf|infinity|\.infinity)", lambda m: f"write {'-' * (m[0][0] == '-')}.inf"),
    (r"[-+]?\.?(?i:nan)", "write .nan"),
    (r"[-+]?(?i:0x[\da-f_]+|0o[0-7_]+|0b[01_]+)", _whole),
    (
        r"([-+]?)0+(\d[\d.]*(?:[eE][-+]?\d+)?)",
        lambda m: f"write {m[1]}{m[2]}, without leading zeros",
    ),
    (r"[-+]?\d[\d_]*_[\d_]*(?:\.[\d_]*)?", lambda m: f"write {m[0].replace('_', '')}"),
    (r"[-+]?\d{1,3}(?:,\d{3})+\.\d*", lambda m: f"write {m[0].replace(',', '')}"),
    (r"([-+]?\d+),(\d+)", lambda m: f"write {m[1]}.{m[2]}, with a point; or {m[1]}, {m[2]}"),
    (r"[-+]?\d+(?::\d+)+(?:\.\d*)?", "a number has no colon in it"),
    (r"([-+]?\d{1,15})/(\d{1,15})", _share),
    (r"([-+]?[\d.]+)\s*%", "write it without %: a share of 1, not of 100"),
    (r"([-+]?[\d.]+)[dD]([-+]?\d+)", lambda m: f"write {m[1]}e{m[2]}"),
    (r"([-+]?[\d.]+)f", lambda m: f"write {m[1]}"),
    (r"[-+]", "write a number after the sign"),
)


def truth_advice(text: str) -> str:
    """What to write instead of something that was perhaps meant as true or false."""
    if text.lower() in ("true", "yes", "on", "1", "y"):
        return "write true"
    return "write false" if text.lower() in ("false", "no", "off", "0", "n") else ""


class Table:
    """A nested list of numbers (of true and false, where `booleans`) on its way to an array."""

    def __init__(self, cursor: Cursor, name: str, booleans: bool) -> None:
        self.cursor = cursor
        self.name = name
        self.booleans = booleans
        self.cells = array("d")
        self.counts: list[int | None] = []
        """The length of the first list of each level; None until it ends."""
        self.innermost: int | None = None
        self.holds_truth: bool | None = None

    def read(self) -> "NDArray[np.float64] | NDArray[np.bool_]":
        """The array of the list that begins at the cursor, shape as nested."""
        start = self.cursor.next()
        self._list(start, ())
        return self._array(tuple(count or 0 for count in self.counts))

    def read_block(self, event: ScalarEvent) -> "NDArray[np.float64] | NDArray[np.bool_]":
        """The array `(rows columns)` of a `|` block: a line a row, cells between blanks.

        One of its lines is not blank.
        """
        lines = event.value.rstrip().split("\n")
        top = mark(event)[0] + 1
        first = 0
        while not lines[first].strip():
            first += 1
        width = 0
        for number_of_row, line in enumerate(lines[first:], 1):
            where = top + first + number_of_row - 1
            texts = re.split(r"\s*,\s*|\s+", line.strip())
            width = width or len(texts)
            row = f"row {number_of_row} of {self.name}"
            with self.cursor.at((where, self._column(where, line, 0))):
                if not line.strip():
                    raise InputError(
                        f"{row} is empty", hint="remove the empty line", subject=self.name
                    )
            for at, text in enumerate(() if self._fast(texts) else texts):
                skipped = 0 if at == 0 else _end(line.lstrip(), texts[:at])
                with self.cursor.at((where, self._column(where, line, skipped))):
                    self._slow(text, True, row)
            if len(texts) != width:
                with self.cursor.at((where, self._column(where, line, 0))):
                    raise InputError(
                        f"{row} has {_count(len(texts), 'number')}, row 1 has {width}",
                        hint="every row is equally long",
                        subject=self.name,
                    )
        return self._array((len(lines) - first, width))

    def _column(self, line: int, row: str, skipped: int) -> int:
        start = max(0, self.cursor.line(line).find(row.strip()))
        return start + skipped

    def _list(self, start: Event, path: tuple[int, ...]) -> None:
        """Read one list, after its start, and hold its length to that of the first at its level."""
        cursor, level, count = self.cursor, len(path), 0
        if level == len(self.counts):
            self.counts.append(None)
        while row := cursor.scalars():
            if self.innermost not in (None, level):
                self._refuse_mixed(row[0])
            self.innermost = level
            self._row(row, path)
            count += len(row)
        while isinstance(event := cursor.peek(), SequenceStartEvent):
            if self.innermost is not None and self.innermost <= level:
                self._refuse_mixed(event)
            cursor.next()
            self._list(event, (*path, count))
            count += 1
        if not isinstance(event, SequenceEndEvent):
            if isinstance(event, ScalarEvent):
                self._refuse_mixed(event)
            cursor.fail(event, f"{self._title(path)} holds a mapping", expected="numbers")
        cursor.next()
        if not count:
            cursor.fail(start, f"{self._title(path)} is empty", hint="remove it, or fill it")
        if self.counts[level] is None:
            self.counts[level] = count
        elif count != self.counts[level]:
            self._refuse_ragged(start, path, count)

    def _row(self, events: list[ScalarEvent], path: tuple[int, ...]) -> None:
        if all(event.implicit[0] for event in events) and self._fast([e.value for e in events]):
            return
        title, event = self._title(path), events[0]
        try:
            for event in events:
                self._slow(event.value, is_plain(event), title)
        except InputError:
            with self.cursor.at(event):
                raise

    def _fast(self, texts: list[str]) -> bool:
        """Take a whole row of one kind at once; False if a cell needs a closer look."""
        if self.booleans and TRUTH.keys() >= set(texts):
            if self.holds_truth is False:
                return False
            self.holds_truth = True
            self.cells.extend(map(TRUTH.__getitem__, texts))
            return True
        joined = "\n" + "\n".join(texts)
        if self.holds_truth or joined.encode().translate(None, PLAIN_SIGNS):
            return False
        if LEADING_ZERO.search(joined):
            return False
        try:
            row = list(map(float, texts))
        except ValueError:
            return False
        if inf in row or -inf in row:
            return False
        self.holds_truth = False
        self.cells.extend(row)
        return True

    def _slow(self, text: str, plain: bool, row: str) -> None:
        """Take one cell, or say what is wrong with it."""
        is_truth = self.booleans and plain and text in TRUTH
        if is_truth and self.holds_truth in (None, True):
            self.holds_truth = True
            self.cells.append(TRUTH[text])
            return
        is_number = NUMBER.fullmatch(text) is not None
        value = number(text) if is_number and plain else 0.0
        sound = is_number and plain and (not isinf(value) or text.lower().endswith(".inf"))
        if sound and not self.holds_truth:
            self.holds_truth = False
            self.cells.append(value)
            return
        if is_truth or (sound and self.holds_truth):
            raise InputError(
                f"{row} mixes numbers with true and false",
                hint="true and false everywhere, or numbers that are added to the scores",
                subject=self.name,
            )
        if not plain:
            hint = "remove the quotes" if is_number else ""
        else:
            meant_truth = self.booleans and self.holds_truth is not False
            hint = truth_advice(text) if meant_truth else ""
            hint = hint or advice(text)
        if not self.booleans and plain and text in TRUTH:
            hint = f"write {TRUTH[text]:d}"
        if re.fullmatch(FILE, text):
            hint = "a file stands alone, without brackets"
        shown = "an empty cell" if text == "" else f"{quoted(text)} in quotes" if not plain else ""
        raise InputError(
            f"{row} holds {shown or quoted(text)}",
            expected=self._expected(),
            hint=hint,
            subject=self.name,
        )

    def _expected(self) -> str:
        if self.holds_truth:
            return "true or false"
        either = self.booleans and self.holds_truth is None
        return "a number, true or false" if either else "a number"

    def _array(self, shape: tuple[int, ...]) -> "NDArray[np.float64] | NDArray[np.bool_]":
        import numpy as np

        table = np.array(self.cells, dtype=np.float64).reshape(shape)
        return table.astype(np.bool_) if self.holds_truth else table

    def _title(self, path: tuple[int, ...]) -> str:
        """`row 2 of table 1 of query`, counted from 1 for reading."""
        depth = len(self.counts)
        levels = [
            f"{LEVELS[min(depth - 1 - at, 3)]} {index + 1} of " for at, index in enumerate(path)
        ]
        return "".join(reversed(levels)) + self.name

    def _refuse_ragged(self, start: Event, path: tuple[int, ...], count: int) -> NoReturn:
        unit = LEVELS[min(len(self.counts) - 1 - len(path), 3)]
        first = self._title((0,) * len(path)).removesuffix(f" of {self.name}")
        if not any(path[:-1]):
            first = first.split(" of ")[0]
        self.cursor.fail(
            start,
            f"{self._title(path)} has {_count(count, unit)}, {first} has {self.counts[len(path)]}",
            hint=f"every {LEVELS[min(len(self.counts) - len(path), 3)]} is equally long",
        )

    def _refuse_mixed(self, event: Event) -> NoReturn:
        self.cursor.fail(
            event,
            f"{self.name} mixes numbers and lists on one level",
            hint="every row stands in the same number of brackets: [[1, 2], [3, 4]]",
        )


def _end(line: str, texts: list[str]) -> int:
    """Where the next cell after some begins."""
    at = 0
    for text in texts:
        at = line.index(text, at) + len(text)
    gap = re.compile(r"\s*,\s*|\s+").match(line, at)
    return gap.end() if gap else at


def _count(count: int, unit: str) -> str:
    return f"{count} {unit}" + "s" * (count != 1)
