"""The base of all types, those whose value is a scalar or two, and how a wrong value is refused.

A scalar means what its type makes of it: `no` is a text for `Text` and a mistake for `Boolean`.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from math import isfinite, isinf
from numbers import Integral, Real
from typing import Any, ClassVar, NoReturn

from yaml.events import Event, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from attncli.errors import InputError, Place
from attncli.files.cells import EMPTY, NUMBER, TRUTH, advice, is_plain, number, truth_advice
from attncli.files.yaml import Cursor, mark, quoted


class Type(ABC):
    """A kind of value. `read` and `accept` raise `InputError` for any other."""

    @property
    @abstractmethod
    def metavar(self) -> str:
        """How `--help` writes the value."""

    @property
    @abstractmethod
    def noun(self) -> str:
        """How a message calls the value: "a number"."""

    @abstractmethod
    def read(self, cursor: Cursor) -> Any:
        """The value at the cursor, which moves behind it."""

    @abstractmethod
    def accept(self, value: Any, place: Place | None = None, name: str = "") -> Any:
        """The value of a Python object, by the same rules."""

    def fits(self, event: Event) -> bool:
        """Whether a value that begins so may be meant as this type."""
        return isinstance(event, ScalarEvent)


class Scalar(Type):
    """A type whose value is one scalar."""

    @abstractmethod
    def parse(self, text: str, plain: bool, name: str) -> Any:
        """The value of a scalar; `plain` if it stands without quotes."""

    def read(self, cursor: Cursor) -> Any:
        event = cursor.next()
        if not isinstance(event, ScalarEvent):
            cursor.fail(event, f"{cursor.name} is {kind_of(event)}", expected=self.noun)
        with cursor.at(event):
            try:
                return self.parse(event.value, is_plain(event), cursor.name)
            except InputError as error:
                if is_plain(event) and mark(event, "end_mark")[0] > mark(event)[0]:
                    error.hint = "it goes on in the next line: keys begin in the same column"
                raise

    def accept(self, value: Any, place: Place | None = None, name: str = "") -> Any:
        if isinstance(value, str):
            try:
                return self.parse(value, True, name)
            except InputError as error:
                raise error.at(place) from None
        return refuse(self, value, place, name)


@dataclass(frozen=True, eq=False)
class Number(Scalar):
    """A finite number, at least `minimum`, greater than `above`, where they are given."""

    minimum: float | None = None
    above: float | None = None
    metavar: ClassVar[str] = "NUMBER"

    @property
    def noun(self) -> str:
        if self.above is not None:
            return f"a number above {self.above:g}"
        return "a number" if self.minimum is None else f"a number of at least {self.minimum:g}"

    def parse(self, text: str, plain: bool, name: str) -> float:
        if not NUMBER.fullmatch(text) or not plain:
            quotes = "remove the quotes" if NUMBER.fullmatch(text) else ""
            raise wrong(self, text, name, quotes or advice(text))
        return self._held(number(text), text, name)

    def accept(self, value: Any, place: Place | None = None, name: str = "") -> float:
        if is_truth(value) or not isinstance(value, Real):
            refuse(self, value, place, name)
        try:
            return self._held(float(value), str(value), name)
        except OverflowError:
            raise wrong(self, "a huge one", name).at(place) from None
        except InputError as error:
            raise error.at(place) from None

    def fits(self, event: Event) -> bool:
        return isinstance(event, ScalarEvent) and NUMBER.fullmatch(event.value) is not None

    def _held(self, value: float, text: str, name: str) -> float:
        low = self.minimum is not None and value < self.minimum
        if low or (self.above is not None and value <= self.above) or not isfinite(value):
            large = isinf(value) and not text.lower().endswith("inf")
            raise wrong(self, text, name, "it is too large for float64" if large else "")
        return value


@dataclass(frozen=True, eq=False)
class Integer(Scalar):
    """A whole number of at most 18 digits, at least `minimum` where it is given."""

    minimum: int | None = None
    metavar: ClassVar[str] = "N"

    @property
    def noun(self) -> str:
        return "a whole number" + ("" if self.minimum is None else f" of at least {self.minimum}")

    def parse(self, text: str, plain: bool, name: str) -> int:
        if not plain or not re.fullmatch(r"[-+]?(0|[1-9][0-9]{0,17})", text):
            hint = advice(text)
            if not plain and NUMBER.fullmatch(text):
                hint = "remove the quotes"
            elif re.fullmatch(r"[-+]?[0-9]{1,18}\.0*", text):
                hint = f"write {text.split('.')[0]}"
            elif NUMBER.fullmatch(text):
                hint = "it has at most 18 digits" if text.strip("+-").isdigit() else ""
            raise wrong(self, text, name, hint)
        return self._held(int(text), name)

    def accept(self, value: Any, place: Place | None = None, name: str = "") -> int:
        if is_truth(value) or not isinstance(value, Integral) or abs(int(value)) >= 10**18:
            refuse(self, value, place, name)
        try:
            return self._held(int(value), name)
        except InputError as error:
            raise error.at(place) from None

    def fits(self, event: Event) -> bool:
        return isinstance(event, ScalarEvent) and NUMBER.fullmatch(event.value) is not None

    def _held(self, value: int, name: str) -> int:
        if self.minimum is not None and value < self.minimum:
            raise wrong(self, str(value), name)
        return value


@dataclass(frozen=True, eq=False)
class Boolean(Scalar):
    """`true` or `false`, written so."""

    metavar: ClassVar[str] = "true|false"
    noun: ClassVar[str] = "true or false"

    def parse(self, text: str, plain: bool, name: str) -> bool:
        if text not in TRUTH or not plain:
            quotes = "remove the quotes" if text in TRUTH else ""
            raise wrong(self, text, name, quotes or truth_advice(text))
        return TRUTH[text]

    def accept(self, value: Any, place: Place | None = None, name: str = "") -> bool:
        return bool(value) if is_truth(value) else refuse(self, value, place, name)

    def fits(self, event: Event) -> bool:
        return isinstance(event, ScalarEvent) and event.value in TRUTH


@dataclass(frozen=True, eq=False)
class Text(Scalar):
    """Any text, as it stands: `no`, `null` and `007` too."""

    metavar: ClassVar[str] = "TEXT"
    noun: ClassVar[str] = "a text"

    def parse(self, text: str, plain: bool, name: str) -> str:
        return text


@dataclass(frozen=True, eq=False)
class Choice(Scalar):
    """One of some names."""

    names: tuple[str, ...]

    @property
    def metavar(self) -> str:
        return "|".join(self.names)

    @property
    def noun(self) -> str:
        return either(self.names) if len(self.names) < 3 else f"one of {', '.join(self.names)}"

    def parse(self, text: str, plain: bool, name: str) -> str:
        if text not in self.names:
            raise wrong(self, text, name, did_you_mean(text, self.names))
        return text

    def fits(self, event: Event) -> bool:
        return isinstance(event, ScalarEvent) and event.value in self.names


@dataclass(frozen=True, eq=False)
class Bounds(Type):
    """Two counts, left and right; `null` or -1 is unbounded and becomes `None`."""

    metavar: ClassVar[str] = "'[LEFT, RIGHT]'"
    noun: ClassVar[str] = "two counts such as [2, 0], null where there is no bound"

    def read(self, cursor: Cursor) -> tuple[int | None, int | None]:
        start = cursor.next()
        if not isinstance(start, SequenceStartEvent):
            text = start.value if isinstance(start, ScalarEvent) else ""
            pair = re.fullmatch(r"\[?\s*([-\w]+)[\s,]+([-\w]+)\s*\]?", text)
            hint = f"write [{quoted(pair[1])}, {quoted(pair[2])}], in brackets" if pair else ""
            with cursor.at(start):
                raise wrong(self, text or kind_of(start), cursor.name, hint)
        bounds = []
        for event in cursor.scalars():
            with cursor.at(event):
                bounds.append(self._bound(event.value, is_plain(event), cursor.name))
        end = cursor.next()
        if not isinstance(end, SequenceEndEvent):
            cursor.fail(end, f"{cursor.name} holds {kind_of(end)}", expected=self.noun)
        if len(bounds) != 2:
            cursor.fail(start, f"{cursor.name} has length {len(bounds)}", expected=self.noun)
        return bounds[0], bounds[1]

    def accept(
        self, value: Any, place: Place | None = None, name: str = ""
    ) -> tuple[int | None, int | None]:
        if isinstance(value, str | AbstractMapping) or not isinstance(value, Iterable):
            refuse(self, value, place, name)
        items = tuple(value)
        if len(items) != 2:
            refuse(self, value, place, name)
        left, right = (
            None if item is None else Integer(minimum=-1).accept(item, place, name)
            for item in items
        )
        return (None if left == -1 else left, None if right == -1 else right)

    def fits(self, event: Event) -> bool:
        return isinstance(event, SequenceStartEvent)

    def _bound(self, text: str, plain: bool, name: str) -> int | None:
        if plain and text in (*EMPTY, "-1"):
            return None
        hint = "write null for no bound" if text.lower() in ("none", "inf", ".inf") else ""
        try:
            return Integer(minimum=0).parse(text, plain, name)
        except InputError as error:
            raise wrong(self, text, name, hint or error.hint) from None


def kind_of(event: Event) -> str:
    """What stands there, in a message: the text itself, "empty", "a list" or "a mapping"."""
    if isinstance(event, ScalarEvent):
        return quoted(event.value) if event.value.strip() else "empty"
    return "a mapping" if isinstance(event, MappingStartEvent) else "a list"


def wrong(kind: Type, text: str, name: str, hint: str = "") -> InputError:
    """The one shape of "this value is not of that type"."""
    if text == "":
        return InputError(f"{name or 'the value'} has no value", expected=kind.noun, subject=name)
    return InputError(
        f"{name or 'the value'} is {quoted(text)}", expected=kind.noun, hint=hint, subject=name
    )


def refuse(kind: Type, value: Any, place: Place | None, name: str, hint: str = "") -> NoReturn:
    """Raise `wrong` for a Python object, which shows its type."""
    shown = value if isinstance(value, str) else f"{type(value).__name__} {value!r}"
    raise wrong(kind, shown, name, hint).at(place)


def is_truth(value: Any) -> bool:
    """Whether a value is Python's or NumPy's true or false; NumPy is not imported for it."""
    return type(value).__name__ == "bool"


def did_you_mean(text: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """The hint that names the nearest of some names; "" where none is near."""
    by_lower = {name.lower(): name for name in names}
    if len(text) > 3 * max(map(len, by_lower), default=0):
        return ""  # too long to be near, and a long text takes difflib a hundred times its size
    from difflib import get_close_matches

    near = get_close_matches(text.lower(), by_lower, 1, cutoff)
    return f"did you mean {by_lower[near[0]]}?" if near else ""


def either(names: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = names
    comma = "," if any(" " in name for name in names) else ""
    return f"{', '.join(most)}{comma} or {last}" if most else last
