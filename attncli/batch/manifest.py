"""A manifest: the list of jobs, as YAML, as JSON lines, or as the files of a command line.

An entry becomes one job, or one a file that `each` finds and a combination of its `sweep`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from yaml.events import SequenceEndEvent, SequenceStartEvent

from attncli.batch.jobs import Entries, Item, Manifest, expanded
from attncli.errors import AttncliError, InputError, Place
from attncli.files.problem import read_content
from attncli.files.scalars import did_you_mean
from attncli.files.schema import FOREIGN, KEYS, PROBLEM
from attncli.files.types import (
    Entry,
    ListOf,
    OneOf,
    Text,
    Type,
    read_document,
    read_flag,
)
from attncli.files.types import Mapping as MappingType
from attncli.files.yaml import Cursor

NAMES = OneOf(ListOf(Text()), Text())


@dataclass(frozen=True)
class Sweep(MappingType):
    """Any key of a problem, dotted inside a mapping, with the list of its values."""

    def type_of(self, key: str, place: Place | None = None, name: str = "") -> Type:
        return ListOf(dotted(key, place))


SWEEP = Sweep({})
JOB = MappingType(
    {
        "problem": Text(),
        "each": NAMES,
        "output": Text(),
        "sweep": SWEEP,
        "steps": NAMES,
        **PROBLEM.keys,
    },
    FOREIGN,
)


class Items(Type):
    """The list of jobs."""

    metavar = "JOBS"
    noun = "a list of jobs, each a mapping with output and problem, or the keys of a problem"

    def read(self, cursor: Cursor) -> tuple[Item, ...]:
        start = cursor.next()
        if not isinstance(start, SequenceStartEvent):
            cursor.fail(start, "jobs is no list", "- problem: a.yaml", expected=self.noun)
        items = []
        while not isinstance(event := cursor.peek(), SequenceEndEvent):
            place = cursor.place(event)
            items.append(Item(JOB.read(cursor), place))
        cursor.next()
        return tuple(items)

    def accept(self, value: Any, place: Place | None = None, name: str = "") -> tuple[Item, ...]:
        raise NotImplementedError  # a manifest is always a text


MANIFEST = MappingType(
    {"defaults": MappingType({**PROBLEM.keys, "steps": NAMES}, FOREIGN), "jobs": Items()}
)


def read_manifest(source: str) -> Manifest:
    """The jobs of a YAML file, or of JSON lines on standard input (`-`).

    Raises `InputError` with the place of what is wrong, and for two jobs with one output.
    """
    if source == "-":
        defaults: Entries = {}
        items = _lines(read_content("-"))
        base = Path()
    else:
        base = Path(source).parent
        entries = _document(source)
        defaults = entries["defaults"].value if "defaults" in entries else {}
        items = entries["jobs"].value
        if not items:
            raise InputError("the manifest lists no jobs", place=entries["jobs"].place)
    return expanded(items, defaults, base)


def of_files(files: Sequence[str], template: str, sweeps: Iterable[str]) -> Manifest:
    """A job a file, as `batch FILES… -o TEMPLATE --sweep KEY=A,B` says."""
    place = Place("-o", is_flag=True)
    entries: Entries = {"output": Entry(template, place)}
    sweep: Entries = {}
    for text in sweeps:
        sweep |= _swept_by_flag(text)
    if sweep:
        entries["sweep"] = Entry(sweep, Place("--sweep", is_flag=True))
    entries["each"] = Entry(tuple(files))
    return expanded((Item(entries, place),), {}, Path(), literal=True)


def dotted(key: str, place: Place | None) -> Type:
    """The type of a key of a problem, dotted where it is inside a mapping."""
    kind: Type = PROBLEM
    for name in key.split("."):
        inner = kind
        if isinstance(kind, OneOf):
            inner = next((one for one in kind.types if isinstance(one, MappingType)), kind)
        if not isinstance(inner, MappingType):
            raise InputError(
                f"{key} is no key of a problem", hint=did_you_mean(key, KEYS), place=place
            )
        kind = inner.type_of(name, place)
    return kind


def _document(source: str) -> Entries:
    try:
        entries = read_document(read_content(source), source, MANIFEST)
    except InputError as error:
        if error.what.removeprefix("unknown key ") in PROBLEM.keys:
            error.what = "this is a problem, not a manifest"
            error.hint = "-o 'out/{stem}.npz' computes problem files; attncli new manifest"
        raise
    if "jobs" not in entries:
        raise InputError(
            "the manifest has no jobs",
            hint="attncli new manifest shows one",
            place=Place(source),
        )
    return entries


def _lines(content: bytes) -> tuple[Item, ...]:
    """A job a line; blank lines count, but say nothing."""
    items = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            entries = read_document(line, "stdin", JOB)
        except AttncliError as error:
            error.place = error.place and replace(error.place, line=number)
            raise
        items.append(Item(_at_line(entries, number), Place("stdin", number, 1)))
    if not items:
        raise InputError(
            "there are no jobs on standard input",
            expected='lines such as {"problem": "a.yaml", "output": "a.npz"}',
            found="nothing",
            place=Place("stdin"),
        )
    return tuple(items)


def _at_line(entries: Entries, number: int) -> Entries:
    moved = {}
    for key, entry in entries.items():
        value = entry.value
        place = entry.place and replace(entry.place, line=number)
        moved[key] = Entry(_at_line(value, number) if isinstance(value, dict) else value, place)
    return moved


def _swept_by_flag(text: str) -> Entries:
    """`--sweep KEY=A,B`, the values as in a list of a file."""
    key, equals, values = text.partition("=")
    place = Place("--sweep", is_flag=True)
    if not equals or not values:
        raise InputError(
            f"--sweep {text}", expected="KEY=A,B, such as temperature=0.5,1", place=place
        )
    kind = ListOf(dotted(key.strip(), place))
    listed = values if values.lstrip().startswith("[") else f"[{values}]"
    return {key.strip(): Entry(read_flag(kind, listed, "--sweep", key.strip()), place)}
