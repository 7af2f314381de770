"""YAML as a stream of events with places, so that types, not a resolver, decide what a scalar is.

PyYAML's C parser reads fast; its pure-Python twin stands in where libyaml is missing, and is the
judge wherever the two differ: what the C parser would have refused is read again by the twin, so
that the same document gets the same message on every machine. Anchors, aliases, tags and a second
document are refused here, once for all types; what the parser itself refuses becomes a sentence
for a reader who knows the problem file, not the YAML specification.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    ScalarEvent,
    StreamEndEvent,
)

from attncli.errors import AttncliError, InputError, LimitError, Place

T = TypeVar("T")

DEPTH = 64
"""Lists and mappings may be nested this deep."""

RUN = 4096
"""Scalars that are held at once: each takes ten times its own length."""

TWIN_LIMIT = 1 << 18
"""Up to this many characters the twin is asked about every refusal; that takes under a second."""

# Patterns are compiled by the first search that needs them: most documents need none.
BREAK = "\r\n|[\r\n\x85\u2028\u2029]"
UNREADABLE = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
"""What YAML does not allow, and a byte order mark in the middle, where the two parsers differ."""

SURROGATES = r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
"""How JSON writes a character beyond U+FFFF; YAML writes it as one."""


class Cursor:
    """The events of exactly one document, each with its place.

    `source` names the file, or the flag where `flag` is true (its places have no line). `c` chooses
    the parser; by default the C one where there is one. Raises `InputError` (`LimitError` for more
    than 64 levels) with the place of whatever is refused.
    """

    def __init__(
        self, text: str | bytes, source: str, *, flag: bool = False, c: bool | None = None
    ) -> None:
        self.source = source
        self.flag = flag
        self.keys: list[str] = []
        """The keys that lead to where the cursor stands."""
        self._lines: list[str] = []
        self._ahead: Event | None = None
        self._depth = 0
        self._original = self._decoded(text)
        self._text = _without_json_habits(self._original)
        # libyaml takes tabs in places where its twin does not: the twin reads what has any.
        c = (yaml.__with_libyaml__ if c is None else c) and "\t" not in self._text
        self._parser: Any = yaml.CSafeLoader(self._text) if c else _Twin(self._text)
        self._start()

    @property
    def name(self) -> str:
        """The key that the cursor stands at, such as `rope.base`, for messages."""
        return ".".join(self.keys) or (self.source if self.flag else "the document")

    def peek(self) -> Event:
        """The next event, which stays."""
        if self._ahead is None:
            self._ahead = self._pull()
        return self._ahead

    def next(self) -> Event:
        """The next event."""
        event = self.peek()
        self._ahead = None
        return event

    def scalars(self) -> list[ScalarEvent]:
        """The run of scalars that comes next, perhaps none: a row of cells, at most `RUN` of it."""
        run: list[ScalarEvent] = []
        event = self.peek()
        while type(event) is ScalarEvent and len(run) < RUN:
            run.append(event)
            event = self._pull()
            self._ahead = event
        return run

    def end(self) -> None:
        """The document ends here, and nothing follows."""
        self.next()
        event = self.next()
        if not isinstance(event, StreamEndEvent):
            self.fail(
                event,
                "a second document begins here",
                hint="remove the line of three dashes, or make two files",
            )

    def place(self, event: Event) -> Place:
        """Where an event begins."""
        return self.spot(*mark(event))

    def spot(self, line: int, column: int) -> Place:
        """A line and a column, both from 0 as parsers count, as a place."""
        if self.flag:
            return Place(self.source, is_flag=True)
        text = self.line(line)
        if self._text is not self._original:
            for pair in re.finditer(SURROGATES, text):
                column += 2 * (pair.start() < column)  # each was read as two characters less
        return Place(self.source, line + 1, column + 1, text)

    def line(self, line: int) -> str:
        """The text of a line, from 0; empty after the last."""
        self._lines = self._lines or re.split(BREAK, self._original)
        return self._lines[line] if line < len(self._lines) else ""

    def fail(self, event: Event, what: str, hint: str = "", *, expected: str = "") -> NoReturn:
        """Raise `InputError` at an event."""
        with self.at(event):
            raise InputError(what, expected=expected, hint=hint, subject=".".join(self.keys))

    @contextmanager
    def at(self, where: Event | tuple[int, int]) -> Iterator[None]:
        """Whatever is refused inside is refused at this event, or line and column from 0."""
        try:
            yield
        except AttncliError as error:
            spot = where if isinstance(where, tuple) else mark(where)
            raise error.at(self.spot(*spot)) from None

    def _start(self) -> None:
        self._pull()
        start = self._pull()
        if not isinstance(start, DocumentStartEvent):
            self.fail(start, f"{self.source if self.flag else 'the file'} is empty")
        if start.tags:
            self.fail(start, "%TAG has no meaning here", hint="remove that line")

    def _pull(self) -> Event:
        """The parser's next event, held to what a problem file may contain."""
        try:
            event: Any = self._parser.get_event()
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            raise self._refusal(error) from None
        kind = type(event)
        if kind is ScalarEvent:
            if event.anchor is not None or event.tag is not None:
                self._refuse_mark(event)
            if event.style in ("|", ">") and self._comment_glued(event):
                self.fail(event, *_AFTER_BLOCK)
            if event.style == '"' and any("\ud800" <= c <= "\udfff" for c in event.value):
                self.fail(event, "an escape in this text is half a character", hint=_WHOLE)
        elif isinstance(event, CollectionStartEvent):
            self._depth += 1
            if event.anchor is not None or event.tag is not None:
                self._refuse_mark(event)
            if self._depth > DEPTH:
                with self.at(event):
                    raise LimitError(f"lists are nested more than {DEPTH} deep")
        elif isinstance(event, CollectionEndEvent):
            self._depth -= 1
        elif kind is AliasEvent:
            self._refuse_mark(event)
        return event  # type: ignore[no-any-return]

    def _comment_glued(self, event: Event) -> bool:
        """Whether # follows | without a blank, which libyaml reads and its twin does not."""
        line, column = mark(event)
        return self.line(line)[column:].lstrip("|>+-0123456789").startswith("#")

    def _refuse_mark(self, event: Any) -> NoReturn:
        """Refuse an anchor, an alias or a tag."""
        if isinstance(event, AliasEvent):
            what, sign = f"the alias *{event.anchor} is", "*"
        elif event.anchor is not None:
            what, sign = f"the anchor &{event.anchor} is", "&"
        else:
            what, sign = "tags (!…) are", "!"
        self.fail(
            event,
            f"{quoted(what, 60)} not read here",
            hint=f"write the value out; text that begins with {sign} stands in quotes",
        )

    def _refusal(self, error: Exception) -> InputError:
        """A parser's error in the words of a problem file."""
        problem = str(getattr(error, "problem", None) or "")
        mark: Any = getattr(error, "problem_mark", None)
        opening: Any = getattr(error, "context_mark", None) or mark
        if mark is None or "\\x" in problem:
            where = mark and self.spot(mark.line, mark.column)
            return InputError("an escape names no character", hint=_WHOLE, place=where)
        line, start = self.line(mark.line), self.line(opening.line)
        at, what, hint = mark, "this is not YAML: " + problem, 'text with signs in it stands in "…"'
        begins = re.match(KEY, line) and not line[: mark.column].strip(" \"'")
        if "cannot start any token" in problem:
            sign = line[mark.column : mark.column + 1]
            what, hint = f"a value cannot begin with {sign}", f'put the text in quotes: "{sign}…"'
            if sign == "\t":
                what, hint = "a tab stands here", "use spaces: YAML does not indent with tabs"
        elif problem.count("',' or") and ("]" in problem[:35] or "}" in problem[:35]):
            closing = "]" if "or ']'" in problem else "}"
            if not begins and line[mark.column : mark.column + 1] not in ("", *":]}-"):
                what, hint = "a comma is missing before this", f"or a {closing} to close the list"
            else:
                kind = "list" if closing == "]" else "mapping"
                at, what = opening, f"the {kind} that begins here is not closed"
                hint = f"write {closing} at its end" + (
                    f", before line {mark.line + 1}" if mark.line > opening.line else ""
                )
        elif "end of stream" in problem or "document separator" in problem:
            at, what, hint = opening, "the quotation mark is not closed", "write one at the end"
        elif "expected ':'" in problem or "mapping values" in problem:
            return self._bad_colon(opening.line if "':'" in problem else mark.line, mark, line)
        elif "node content" in problem:
            what, hint = "a value is missing here", "remove the comma, or write what belongs there"
        elif "escape" in problem:
            what, hint = "a backslash does not stand for itself in double quotes", "use '…'"
        elif "alphabetic or numeric" in problem:
            what, hint = "* and & have a meaning of their own in YAML", "put the text in quotes"
        elif "line break" in problem or "indentation indicator" in problem:
            what, hint = _AFTER_BLOCK
        elif "block end" in problem or "expected key" in problem or "entries are not" in problem:
            what, hint = _MISFIT
            if line[: mark.column].strip(" -"):
                what, hint = "something follows the value", 'one pair of quotes holds all: "…"'
        elif "document start" in problem:
            what, hint = "this follows the end of the document", "remove it"
            if begins:
                hint = _MISFIT[1]
        elif "directive" in problem or "tag handle" in problem or "YAML document" in problem:
            at, what, hint = mark, "YAML directives and tags are not read", "remove this"
        elif start.lstrip().startswith("%"):
            what, hint = "YAML directives are not read", "remove this line"
        return InputError(what, hint=hint, place=self.spot(at.line, at.column))

    def _bad_colon(self, first: int, mark: Any, line: str) -> InputError:
        """A line that is not `key: value`: mostly a colon without a space after it."""
        for number in range(mark.line, max(first - 3, -1), -1):
            glued = re.match(GLUED, self.line(number))
            if glued:
                return InputError(
                    "a space is missing after the colon",
                    hint=f"write {glued[1]}: {quoted(glued[2])}",
                    place=self.spot(number, glued.end(1)),
                )
        if first < mark.line:
            return InputError(
                "this line is not “key: value”",
                hint="a colon and a space stand between the two",
                place=self.spot(first, 0),
            )
        if re.match(KEY, line) and line.find(":") == mark.column:
            return InputError(_MISFIT[0], hint=_MISFIT[1], place=self.spot(mark.line, 0))
        return InputError(
            "a second colon stands in this value",
            hint='text with a colon in it stands in quotes: "…"',
            place=self.spot(mark.line, mark.column),
        )

    def _decoded(self, document: str | bytes) -> str:
        """The characters of a document, without a byte order mark."""
        if isinstance(document, str):
            text = document
        else:
            if document.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise InputError(
                    "the file is UTF-16", hint="save it as UTF-8", place=Place(self.source)
                )
            try:
                text = document.decode()
            except UnicodeDecodeError as error:
                what = f"the byte 0x{document[error.start]:02X} is not UTF-8"
                index = len(document[: error.start].decode())
                self._refuse_character(
                    document.decode(errors="replace"), index, what, "save the file as UTF-8"
                )
        text = text.removeprefix("\ufeff")
        bad = None
        if not text.replace("\n", "").isprintable():
            bad = re.search(UNREADABLE, text)
        if bad:
            code = f"{ord(bad[0]):04X}"
            hint = f'remove it, or write "\\u{code}", in double quotes'
            self._refuse_character(
                text, bad.start(), f"the invisible character U+{code} stands here", hint
            )
        return text

    def _refuse_character(self, text: str, index: int, what: str, hint: str) -> NoReturn:
        self._text = self._original = text
        before = re.split(BREAK, text[:index])
        raise InputError(what, hint=hint, place=self.spot(len(before) - 1, len(before[-1])))


def read(
    text: str | bytes,
    source: str,
    consume: Callable[[Cursor], T],
    *,
    flag: bool = False,
    c: bool | None = None,
) -> T:
    """What `consume` makes of a document, to its end; the twin's word counts if it is refused."""
    try:
        return _read(Cursor(text, source, flag=flag, c=c), consume)
    except AttncliError:
        if c is False or not yaml.__with_libyaml__ or len(text) > TWIN_LIMIT:
            raise
    return _read(Cursor(text, source, flag=flag, c=False), consume)


def _read(cursor: Cursor, consume: Callable[[Cursor], T]) -> T:
    result = consume(cursor)
    cursor.end()
    return result


class _Twin(yaml.SafeLoader):
    """The pure-Python parser, where `[why?]` holds one text, as in libyaml and in YAML 1.2."""

    _inside_text = False

    def scan_plain(self) -> Any:
        self._inside_text = True
        try:
            return super().scan_plain()
        finally:
            self._inside_text = False

    def peek(self, index: int = 0) -> Any:
        character = super().peek(index)
        return "_" if character == "?" and self._inside_text else character


_AFTER_BLOCK = "after | the line must end", "write the numbers on the lines below it"
_MISFIT = "this line does not fit those above it", "keys of one level begin in the same column"
_WHOLE = "write the character itself, or its whole code: \\U0001F600"
KEY = r"""\s*["']?[\w.-]+["']?\s*:(\s|$)"""
GLUED = r"\s*([A-Za-z_][\w.]*):(?![\s/\\])(.+)"


def mark(event: Event, which: str = "start_mark") -> tuple[int, int]:
    """The line and the column, from 0, where an event begins (or ends, by its `end_mark`)."""
    found = getattr(event, which)
    return found.line, found.column


def quoted(text: str, width: int = 40) -> str:
    """A piece of an input as a message shows it: short, on one line, without control characters."""
    if len(text) > width:
        text = text[: width - 1] + "…"
    return text if text.isprintable() else repr(text)[1:-1]


def _without_json_habits(text: str) -> str:
    """JSON that PyYAML would refuse, in the YAML of the same meaning.

    Only where the document is one flow collection: lines indented with tabs, and characters
    beyond U+FFFF written as two escapes.
    """
    if text.lstrip()[:1] in ("{", "[") and ("\t" in text or "\\u" in text):
        text = re.sub(r"(?m)^[ \t]+", lambda indent: " " * len(indent[0]), text)
        text = re.sub(SURROGATES, _joined, text)
    return text


def _joined(pair: re.Match[str]) -> str:
    high, low = int(pair[2], 16), int(pair[3], 16)
    return f"{pair[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"
