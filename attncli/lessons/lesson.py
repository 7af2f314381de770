"""A lesson file: a problem, scenes that show parts of it, and questions that it answers."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from yaml.events import ScalarEvent

from attncli.errors import InputError, Place
from attncli.files import types
from attncli.files.problem import merge, read_content, sourced
from attncli.files.samples import names as sample_names
from attncli.files.scalars import Type, did_you_mean, refuse
from attncli.files.schema import PROBLEM
from attncli.files.types import Entry, ListOf, OneOf, read_document
from attncli.files.yaml import Cursor, mark
from attncli.lessons.computed import Computed
from attncli.lessons.placeholders import HOLE, Found, Passage, Reader

SHOWN = ("bars", "map")
"""Words before a step under `show`; without one it is a table."""


@dataclass(frozen=True, eq=False)
class Prose(Type):
    """A text that may hold placeholders, with its lines, so that each can be found again."""

    metavar: ClassVar[str] = "TEXT"
    noun: ClassVar[str] = "a text"

    def read(self, cursor: Cursor) -> Passage:
        event = cursor.peek()
        text = types.Text().read(cursor)
        assert isinstance(event, ScalarEvent)
        first, last = mark(event)[0], mark(event, "end_mark")[0]
        lines = tuple(cursor.line(number) for number in range(first, last + 1))
        place = cursor.place(event)
        if not text.strip():
            raise InputError(f"{cursor.name} has no text", expected=self.noun, place=place)
        return Passage(text, place, lines)

    def accept(self, value: Any, place: Place | None = None, name: str = "") -> Passage:
        if isinstance(value, str):
            return Passage(value, place or Place(name))
        return refuse(self, value, place, name)


PASSAGES = OneOf(Prose(), ListOf(Prose()))
QUESTION = types.Mapping(
    {
        "ask": Prose(),
        "options": PASSAGES,
        "answer": Prose(),
        "explain": Prose(),
        "with": PROBLEM,
    }
)
SCENE = types.Mapping({"text": Prose(), "show": PASSAGES, "with": PROBLEM, "question": QUESTION})
LESSON = types.Mapping(
    {
        "title": Prose(),
        "sources": PASSAGES,
        "problem": OneOf(PROBLEM, types.Text()),
        "scenes": ListOf(SCENE),
    }
)


@dataclass(frozen=True)
class Question:
    """Something to answer, in its own state of the problem."""

    ask: Passage
    answer: Passage
    options: tuple[Passage, ...] = ()
    are_listed: bool = False
    """Whether the options are texts of the file; else one names an axis or a step."""
    explain: Passage | None = None
    changes: Mapping[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True)
class Scene:
    """A text, what is shown below it, and perhaps a question."""

    text: Passage
    show: tuple[Passage, ...] = ()
    changes: Mapping[str, Entry] = field(default_factory=dict)
    question: Question | None = None


@dataclass(frozen=True)
class Lesson:
    """A lesson, read and not yet computed."""

    source: str
    title: Passage
    sources: tuple[Passage, ...]
    entries: Mapping[str, Entry]
    base: Path
    """The directory of the problem's paths."""
    problem: str
    """The problem's name, for messages and to try it."""
    scenes: tuple[Scene, ...]
    number: int = 0
    """Of a lesson that ships with attncli."""
    slug: str = ""

    @property
    def name(self) -> str:
        """The title on one line."""
        text = HOLE.sub(lambda match: match[1].strip("'"), self.title.text)
        return " ".join(text.split())

    @cached_property
    def whole(self) -> Computed:
        """The problem without any change."""
        return Computed(self.entries, self.base, self.problem)

    @cached_property
    def _computed(self) -> dict[tuple[int, bool], Computed]:
        return {}

    def at(self, scene: int, *, asking: bool = False) -> Computed:
        """The problem as a scene, or its question, has it."""
        own = self.question(scene).changes if asking else {}
        key = (scene, bool(own))
        if key not in self._computed:
            made = self.at(scene) if own else self.whole
            if changes := own or self.scenes[scene].changes:
                entries = merge(made.entries, changes)
                made = Computed(entries, self.base, self.problem, made)
            self._computed[key] = made
        return self._computed[key]

    def question(self, scene: int) -> Question:
        """The question of a scene that has one."""
        question = self.scenes[scene].question
        assert question is not None
        return question

    def options(self, scene: int) -> tuple[str, ...]:
        """What may be chosen as the answer to a scene's question; empty where it is a number."""
        question = self.question(scene)
        reader = Reader(self.at(scene, asking=True))
        if question.are_listed:
            return tuple(reader.told(option) for option in question.options)
        if not question.options:
            return ()
        (named,) = question.options
        try:
            return _rows(reader, named.text.strip())
        except InputError as error:
            raise error.at(named.place) from None

    def answer(self, scene: int) -> tuple[Found, int | None]:
        """The right answer to a scene's question, and which of its options that is."""
        question = self.question(scene)
        found = Reader(self.at(scene, asking=True)).answer(question.answer)
        options = self.options(scene)
        if not found.cells and not question.answer.text.lstrip().startswith("count "):
            raise InputError(
                f"the answer, {found.text!r}, is typed, not computed",
                expected="an answer of the problem, such as argmax weights[0]",
                place=question.answer.place,
            )
        if not options:
            if found.number is None:
                raise InputError(
                    f"the answer is {found.text!r}",
                    expected="a number, or options to choose from",
                    place=question.answer.place,
                )
            return found, None
        same = [place for place, option in enumerate(options) if option == found.text]
        if len(same) == 1:
            return found, same[0]
        if found.place is not None and found.of == len(options):
            return found, found.place
        raise InputError(
            f"the answer, {found.text!r}, is {'several' if same else 'not one'} of the options",
            expected=f"one of {', '.join(options)}",
            place=question.answer.place,
        )

    def texts(self) -> Iterator[Passage]:
        """Every text that people read, sources excepted."""
        yield self.title
        for scene in self.scenes:
            yield scene.text
            if scene.question:
                yield scene.question.ask
                yield from scene.question.options if scene.question.are_listed else ()
                yield from [scene.question.explain] if scene.question.explain else []


def _rows(reader: Reader, name: str) -> tuple[str, ...]:
    """The names of an axis, or the rows of a step."""
    if name in reader.sizes or reader.on.known(name) is None:
        return tuple(reader.names(name))
    n = len(reader.on.step(name).value)
    return tuple(reader.expression(f"{name}[{place}]").text for place in range(n))


def read_lesson(source: str) -> Lesson:
    """The lesson in a file; raises `InputError` with the place of what is wrong in it."""
    content = read_content(source)
    name = "stdin" if source == "-" else source
    entries = read_document(content, name, LESSON)
    for key in ("title", "problem", "scenes"):
        if key not in entries:
            raise InputError(
                f"the lesson has no {key}", hint="attncli new lesson starts one", place=Place(name)
            )
    if not entries["scenes"].value:
        raise InputError("the lesson has no scenes", place=entries["scenes"].place)
    base = Path() if source == "-" else Path(source).parent
    problem, base, called = _problem(entries["problem"], base, name)
    return Lesson(
        source=name,
        title=entries["title"].value,
        sources=_many(entries.get("sources")),
        entries=problem,
        base=base,
        problem=called,
        scenes=tuple(_scene(entry, name) for entry in entries["scenes"].value),
    )


def _problem(entry: Entry, base: Path, name: str) -> tuple[Mapping[str, Entry], Path, str]:
    """The entries of the problem, written here, a sample, or in a file of its own."""
    if not isinstance(entry.value, str):
        return entry.value, base, name
    if re.fullmatch(r"[\w-]+", entry.value):
        known = sample_names()
        if entry.value not in known:
            raise InputError(
                f"there is no sample {entry.value!r}",
                expected="a sample, a path such as ./p.yaml, or keys of a problem",
                hint=did_you_mean(entry.value, known) or "attncli new lists the samples",
                place=entry.place,
            )
        return sourced([str(known[entry.value])])
    try:
        return sourced([str(base / entry.value)])
    except InputError as error:
        raise error.at(entry.place) from None


def _scene(entries: Mapping[str, Entry], name: str) -> Scene:
    if "text" not in entries:
        where = next((entry.place for entry in entries.values()), None) or Place(name)
        raise InputError("a scene has no text", expected="text: |", place=where)
    asked = entries.get("question")
    return Scene(
        text=entries["text"].value,
        show=_many(entries.get("show")),
        changes=entries["with"].value if "with" in entries else {},
        question=_question(asked) if asked else None,
    )


def _question(entry: Entry) -> Question:
    entries = entry.value
    for key in ("ask", "answer"):
        if key not in entries:
            raise InputError(f"the question has no {key}", place=entry.place)
    options = entries.get("options")
    return Question(
        ask=entries["ask"].value,
        answer=entries["answer"].value,
        options=_many(options),
        are_listed=options is not None and isinstance(options.value, tuple),
        explain=entries["explain"].value if "explain" in entries else None,
        changes=entries["with"].value if "with" in entries else {},
    )


def _many(entry: Entry | None) -> tuple[Passage, ...]:
    if entry is None:
        return ()
    return entry.value if isinstance(entry.value, tuple) else (entry.value,)


def refuse_typed_numbers(lesson: Lesson) -> None:
    """Raise `InputError` for a digit, or a lone brace, outside of placeholders."""
    for passage in lesson.texts():
        bare = HOLE.sub(lambda match: " " * len(match[0]), passage.text)
        if number := re.search(r"\S*\d\S*", bare):
            raise InputError(
                f"{number[0]!r} is typed",
                expected="numbers that are computed, such as {weights[0, 1]} or {name key 0}",
                hint=f"{{'{number[0]}'}} says a number that is none of the problem's",
                place=passage.at(number[0]),
            )
        if brace := re.search(r"[{}]", bare):
            raise InputError(
                f"a {brace[0]} stands alone",
                hint=f"{{'{brace[0]}'}} says it",
                place=passage.at(brace[0]),
            )


def numbered(lesson: Lesson, number: int, slug: str) -> Lesson:
    """A lesson with its place among those that ship with attncli."""
    return replace(lesson, number=number, slug=slug)
