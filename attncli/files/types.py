"""What the values of a problem file are: one small class a kind of value.

A type reads its value where it stands in the schema, from a file or a flag (`read`), and holds a
Python object of the API to the same rules (`accept`). So `no` is a text under `labels`, a mistake
under `causal` and a file under `query`. Nothing here imports NumPy before a table is read:
`--help` loads this module.
"""

import re
from collections.abc import Iterable
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from math import isinf
from os import PathLike, fspath
from typing import Any, ClassVar, NoReturn

from yaml.events import (
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from attncli.errors import InputError, Place
from attncli.files.cells import NUMBER, TRUTH, Table, advice, is_plain, number, truth_advice
from attncli.files.scalars import (
    Boolean,
    Bounds,
    Choice,
    Integer,
    Number,
    Scalar,
    Text,
    Type,
    did_you_mean,
    either,
    kind_of,
    refuse,
    wrong,
)
from attncli.files.yaml import Cursor, quoted, read

__all__ = [
    "Boolean",
    "Bounds",
    "Choice",
    "Entry",
    "Integer",
    "Labels",
    "ListOf",
    "Mapping",
    "Number",
    "OneOf",
    "Reference",
    "Scalar",
    "Tables",
    "Tensor",
    "Text",
    "Type",
    "read_document",
    "read_flag",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a mapping, and where it stands."""

    value: Any
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A tensor that lies elsewhere: a path, `file.npz:name`, or another tensor's name."""

    text: str


@dataclass(frozen=True, eq=False)
class Tensor(Type):
    """A table of numbers to any depth, a `|` block of them, one number, or where it lies.

    `read` gives float64 (booleans for `true` and `false`, where `booleans`) or a `Reference`;
    `accept` keeps the type of an array of floats, integers or booleans.
    """

    booleans: bool = False
    metavar: ClassVar[str] = "TABLE|FILE"

    @property
    def noun(self) -> str:
        kind = "numbers or of true and false" if self.booleans else "numbers"
        return f"a table of {kind} such as [[1, 0], [0, 1]], or a file"

    def read(self, cursor: Cursor) -> Any:
        event = cursor.peek()
        if isinstance(event, SequenceStartEvent):
            return Table(cursor, cursor.name, self.booleans).read()
        cursor.next()
        if not isinstance(event, ScalarEvent):
            cursor.fail(event, f"{cursor.name} is {kind_of(event)}", expected=self.noun)
        if event.style == "|" and event.value.strip():
            return Table(cursor, cursor.name, self.booleans).read_block(event)
        with cursor.at(event):
            if event.style == ">":
                raise InputError(f"{cursor.name} is one folded line", hint="write | instead of >")
            return self._single(event.value, is_plain(event), cursor.name)

    def accept(self, value: Any, place: Place | None = None, name: str = "") -> Any:
        if isinstance(value, Reference):
            return value
        if isinstance(value, str | PathLike):
            text = fspath(value)
            return Reference(text) if isinstance(text, str) else refuse(self, value, place, name)
        import numpy as np

        try:
            array = np.asarray(value)
        except (ValueError, TypeError, RuntimeError, OverflowError):
            return refuse(self, value, place, name, "every row of a table is equally long")
        if array.dtype.name == "bfloat16":
            array = array.astype(np.float32)
        if array.dtype.kind not in ("fiub" if self.booleans else "fiu"):
            refuse(self, value, place, name)
        if not isinstance(value, np.ndarray) and array.size == 0:
            raise InputError(f"{name} is empty", subject=name, place=place)
        return array

    def fits(self, event: Event) -> bool:
        return isinstance(event, ScalarEvent | SequenceStartEvent)

    def _single(self, text: str, plain: bool, name: str) -> Any:
        value: float | bool | None = None
        if plain and NUMBER.fullmatch(text) and not (isinf(number(text)) and text[-1].isdigit()):
            value = number(text)
        elif plain and self.booleans:
            value = TRUTH.get(text)
        if value is not None:
            import numpy as np

            return np.array(value)
        hint = truth_advice(text) if self.booleans else ""
        hint = hint or ("a table stands in brackets" if text in TRUTH else advice(text))
        if not plain and text.strip():
            hint = "remove the quotes" if NUMBER.fullmatch(text) else ""
        if hint or not text.strip():
            raise wrong(self, text, name, hint)
        return Reference(text)


@dataclass(frozen=True, eq=False)
class Labels(Type):
    """Names, always text: a list, a string split at blanks, or one of these a batch entry."""

    metavar: ClassVar[str] = "LABELS"
    noun: ClassVar[str] = "names such as [the, animal]"

    def read(self, cursor: Cursor) -> tuple[str, ...] | tuple[tuple[str, ...], ...]:
        start = cursor.next()
        if isinstance(start, ScalarEvent):
            names = tuple(start.value.split())
        elif isinstance(start, SequenceStartEvent):
            names = _names(cursor)
            if not names and isinstance(cursor.peek(), SequenceStartEvent):
                return self._batch(cursor)
            self._end(cursor)
        else:
            cursor.fail(start, f"{cursor.name} is {kind_of(start)}", expected=self.noun)
        if not names:
            cursor.fail(start, f"{cursor.name} is empty", expected=self.noun)
        return names

    def accept(
        self, value: Any, place: Place | None = None, name: str = ""
    ) -> tuple[str, ...] | tuple[tuple[str, ...], ...]:
        if isinstance(value, str):
            value = value.split()
        elif isinstance(value, AbstractMapping) or not isinstance(value, Iterable):
            refuse(self, value, place, name)
        items = tuple(value)
        if items and all(isinstance(item, str) for item in items):
            return tuple(str(item) for item in items)
        if not items or any(isinstance(item, str) for item in items):
            refuse(self, value, place, name)
        nested = tuple(self.accept(item, place, name) for item in items)
        if any(isinstance(label, tuple) for item in nested for label in item):
            refuse(self, value, place, name)
        return nested  # type: ignore[return-value]  # every label was found to be a text

    def fits(self, event: Event) -> bool:
        return isinstance(event, ScalarEvent | SequenceStartEvent)

    def _batch(self, cursor: Cursor) -> tuple[tuple[str, ...], ...]:
        entries = []
        while isinstance(start := cursor.peek(), SequenceStartEvent):
            cursor.next()
            entries.append(_names(cursor))
            self._end(cursor)
            if not entries[-1]:
                cursor.fail(start, f"{cursor.name} has an empty list", expected=self.noun)
        self._end(cursor)
        return tuple(entries)

    def _end(self, cursor: Cursor) -> None:
        event = cursor.next()
        if not isinstance(event, SequenceEndEvent):
            hint = "a name with a colon stands in quotes" if kind_of(event) == "a mapping" else ""
            cursor.fail(
                event, f"{cursor.name} holds {kind_of(event)}", expected=self.noun, hint=hint
            )


def _names(cursor: Cursor) -> tuple[str, ...]:
    """The texts that come next."""
    names: list[str] = []
    while run := cursor.scalars():
        names += [event.value for event in run]
    return tuple(names)


@dataclass(frozen=True, eq=False)
class ListOf(Type):
    """A list of values of one type, a tuple when read."""

    item: Type

    @property
    def metavar(self) -> str:
        return f"'[{self.item.metavar}, …]'"

    @property
    def noun(self) -> str:
        return f"a list, each entry {self.item.noun}"

    def read(self, cursor: Cursor) -> tuple[Any, ...]:
        start = cursor.next()
        if not isinstance(start, SequenceStartEvent):
            with cursor.at(start):
                raise wrong(self, kind_of(start), cursor.name)
        values: list[Any] = []
        keys = list(cursor.keys)
        while not isinstance(cursor.peek(), SequenceEndEvent):
            cursor.keys[:] = [*keys[:-1], f"{keys[-1]}[{len(values)}]"]
            values.append(self.item.read(cursor))
        cursor.keys[:] = keys
        cursor.next()
        return tuple(values)

    def accept(self, value: Any, place: Place | None = None, name: str = "") -> tuple[Any, ...]:
        if isinstance(value, str | AbstractMapping) or not isinstance(value, Iterable):
            refuse(self, value, place, name)
        return tuple(
            self.item.accept(item, place, f"{name}[{at}]") for at, item in enumerate(value)
        )

    def fits(self, event: Event) -> bool:
        return isinstance(event, SequenceStartEvent)


@dataclass(frozen=True, eq=False)
class OneOf(Type):
    """The first of some types that the way a value begins leaves possible."""

    types: tuple[Type, ...]

    def __init__(self, *types: Type) -> None:
        object.__setattr__(self, "types", types)

    @property
    def metavar(self) -> str:
        return "|".join(kind.metavar for kind in self.types)

    @property
    def noun(self) -> str:
        return either([kind.noun for kind in self.types])

    def read(self, cursor: Cursor) -> Any:
        event = cursor.peek()
        kind = next((kind for kind in self.types if kind.fits(event)), None)
        text = event.value if isinstance(event, ScalarEvent) else ""
        near = did_you_mean(text, self._names(), 0.75)
        if kind is None or (near and text not in self._names() and kind.noun != Text.noun):
            with cursor.at(event):
                raise wrong(self, text or kind_of(event), cursor.name, near or advice(text))
        return kind.read(cursor)

    def accept(self, value: Any, place: Place | None = None, name: str = "") -> Any:
        is_mapping = isinstance(value, AbstractMapping)
        is_word = isinstance(value, str) and bool(self._names())
        for kind in self.types:
            if isinstance(kind, Mapping) != is_mapping:
                continue
            try:
                return kind.accept(value, place, name)
            except InputError:
                # The last says what is wrong, but of a word all that could be meant.
                if (is_mapping or kind is self.types[-1]) and not is_word:
                    raise
        return refuse(self, value, place, name)

    def fits(self, event: Event) -> bool:
        return any(kind.fits(event) for kind in self.types)

    def _names(self) -> list[str]:
        return [name for kind in self.types if isinstance(kind, Choice) for name in kind.names]


@dataclass(frozen=True, eq=False)
class Mapping(Type):
    """Known keys, each with its type: `dict[str, Entry]` when read.

    `foreign` has names of other libraries with ours.
    """

    keys: AbstractMapping[str, Type]
    foreign: AbstractMapping[str, str] = field(default_factory=dict)
    metavar: ClassVar[str] = "'{KEY: VALUE, …}'"

    @property
    def noun(self) -> str:
        names = list(self.keys)
        shown = names if len(names) <= 6 else [*names[:5], "…"]
        return f"a mapping with {', '.join(shown)}"

    def read(self, cursor: Cursor) -> dict[str, Entry]:
        start = cursor.next()
        if not isinstance(start, MappingStartEvent):
            self._refuse_start(cursor, start)
        entries: dict[str, Entry] = {}
        lines: dict[str, int | None] = {}
        while not isinstance(event := cursor.next(), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                cursor.fail(event, f"{kind_of(event)} stands as a key", expected="a name")
            key = event.value
            with cursor.at(event):
                if key == "<<" and is_plain(event):
                    raise InputError("merge keys are not read", hint="write the keys out")
                kind = self.type_of(key, name=".".join(cursor.keys))
                if key in entries:
                    first = "" if cursor.flag else f", first in line {lines[key]}"
                    raise InputError(
                        f"{key} is given twice{first}", hint="remove one of them", subject=key
                    )
            lines[key] = cursor.place(event).line
            held = cursor.peek()
            empty = isinstance(held, ScalarEvent) and not held.value
            place = cursor.place(event if empty else held)
            cursor.keys.append(key)
            entries[key] = Entry(kind.read(cursor), place)
            cursor.keys.pop()
        return entries

    def accept(self, value: Any, place: Place | None = None, name: str = "") -> dict[str, Entry]:
        if not isinstance(value, AbstractMapping):
            refuse(self, value, place, name)
        entries = {}
        for key, item in value.items():
            kind = self.type_of(str(key), place, name)
            full = f"{name}.{key}" if name else str(key)
            entries[str(key)] = Entry(kind.accept(item, place, full), place)
        return entries

    def fits(self, event: Event) -> bool:
        return isinstance(event, MappingStartEvent)

    def type_of(self, key: str, place: Place | None = None, name: str = "") -> Type:
        """The type of one of our keys; raises `InputError` with the nearest for another."""
        if key in self.keys:
            return self.keys[key]
        where = f" in {name}" if name else ""
        ours = self.foreign.get(key)
        hint = f"{key} is called {ours} here" if ours else did_you_mean(key, self.keys)
        if not hint and len(self.keys) <= 12:
            hint = f"keys{where} are {', '.join(self.keys)}"
        what = f"unknown key {quoted(key) or '(empty)'}{where}"
        raise InputError(what, hint=hint, subject=name, place=place)

    def _refuse_start(self, cursor: Cursor, start: Event) -> NoReturn:
        text = start.value if isinstance(start, ScalarEvent) else ""
        glued = re.match(r"([A-Za-z_]\w*):(\S.*)", text)
        hint = f"a space after the colon: {glued[1]}: {quoted(glued[2])}" if glued else ""
        if text and not glued and not cursor.keys:
            cursor.fail(start, "this line is not “key: value”", "such as query: [[1, 0], [0, 1]]")
        with cursor.at(start):
            raise wrong(self, text or kind_of(start), cursor.name, hint)


@dataclass(frozen=True, eq=False)
class Tables(Mapping):
    """A mapping from any names to tables, such as a state_dict."""

    def type_of(self, key: str, place: Place | None = None, name: str = "") -> Type:
        return Tensor()


def read_document(
    text: str | bytes, source: str, mapping: Mapping, *, c: bool | None = None
) -> dict[str, Entry]:
    """The entries of a whole file; raises `InputError` or `LimitError` with the place."""
    return read(text, source, mapping.read, c=c)


def read_flag(kind: Type, text: str, flag: str, name: str = "") -> Any:
    """The value of a flag such as `--window`, read as in a file; `name` is the key it sets."""

    def consume(cursor: Cursor) -> Any:
        cursor.keys.append(name or flag.split()[-1].lstrip("-").replace("-", "_"))
        return kind.read(cursor)

    return read(text, flag, consume, flag=True)
