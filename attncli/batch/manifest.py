"""A manifest: the list of jobs, as YAML, as JSON lines, or as the files of a command line.

An entry becomes one job, one a file that `each` finds, one a combination of its `sweep`. What a job
computes is decided by, the strongest first: the flags, its sweep, its own keys, its problem file,
the manifest's defaults.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import glob
from itertools import product
from os.path import abspath, basename, normpath, splitext
from pathlib import Path
from typing import Any

from yaml.events import SequenceEndEvent, SequenceStartEvent

from attncli.batch.template import filled, filled_entries, spelled
from attncli.errors import AttncliError, InputError, Place
from attncli.files.problem import Part, merge, read_content, sourced
from attncli.files.scalars import did_you_mean
from attncli.files.schema import FOREIGN, KEYS, PROBLEM
from attncli.files.types import (
    Entry,
    ListOf,
    OneOf,
    Reference,
    Text,
    Type,
    read_document,
    read_flag,
)
from attncli.files.types import Mapping as MappingType
from attncli.files.vectors import ALIASES
from attncli.files.yaml import Cursor

Entries = dict[str, Entry]
"""Keys of a problem, as a file or a flag gives them."""

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


@dataclass(frozen=True)
class Item:
    """One entry of `jobs`, and where it begins."""

    entries: Entries
    place: Place


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


@dataclass(frozen=True, slots=True)
class Job:
    """One computation and the file it fills. `output` is written as in the manifest."""

    index: int
    output: str
    problem: str
    """The problem file, relative to the manifest; empty where the manifest has its keys."""
    file: str
    """What it is made of in the first place: the file that `each` found, or the problem file."""
    own: Entries
    """The job's keys, with its file and its swept values in place."""
    defaults: Entries
    steps: str | tuple[str, ...] | None
    base: Path
    place: Place

    @property
    def path(self) -> Path:
        return self.base / self.output

    def entries(self, flags: Mapping[str, Entry]) -> tuple[Entries, Path, str]:
        """The whole problem: its entries, the directory of its paths, its name for messages."""
        if not self.problem:
            return merge(merge(self.defaults, self.own), flags), self.base, self.place.source
        given, base, name = sourced((str(self.base / self.problem),))
        under, over = (located(entries, self.base) for entries in (self.defaults, self.own))
        return merge(merge(merge(under, given), over), flags), base, name


@dataclass(frozen=True)
class Manifest:
    """Jobs in order. `base` is the directory that their paths are relative to."""

    jobs: tuple[Job, ...]
    base: Path = field(default_factory=Path)


def read_manifest(source: str) -> Manifest:
    """The jobs of a YAML file, or of JSON lines on standard input (`-`).

    Raises `InputError` with the place of what is wrong, and for two jobs with one output.
    """
    if source == "-":
        items, defaults = _lines(read_content("-")), {}
        base = Path()
    else:
        base = Path(source).parent
        entries = _document(source)
        defaults = entries["defaults"].value if "defaults" in entries else {}
        items = entries["jobs"].value
        if not items:
            raise InputError("the manifest lists no jobs", place=entries["jobs"].place)
    return _expanded(items, defaults, base)


def of_files(files: Sequence[str], template: str, sweeps: Iterable[str]) -> Manifest:
    """A job a file, as `batch FILES… -o TEMPLATE --sweep KEY=A,B` says."""
    place = Place("-o", is_flag=True)
    entries: Entries = {"output": Entry(template, place)}
    sweep: Entries = {}
    for text in sweeps:
        sweep |= _swept_by_flag(text)
    if sweep:
        entries["sweep"] = Entry(sweep, Place("--sweep", is_flag=True))
    entries["each"] = Entry(tuple(files), Place("FILES", is_flag=True))
    return _expanded((Item(entries, place),), {}, Path(), literal=True)


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


def located(entries: Entries, base: Path) -> Entries:
    """Entries whose files are named from the root, so that they stand in a problem elsewhere."""
    return {
        key: Entry(_located(entry.value, base, key == "parameters"), entry.place)
        for key, entry in entries.items()
    }


def _located(value: Any, base: Path, text: bool) -> Any:
    if isinstance(value, Reference):
        return value if value.text in ALIASES else Reference(abspath(base / value.text))
    if isinstance(value, str) and text:
        return abspath(base / value)
    if isinstance(value, dict):
        return type(value)(located(value, base))
    if isinstance(value, tuple):
        return tuple(_located(item, base, False) for item in value)
    return value


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
            if error.place is not None:
                error.place = replace(error.place, line=number)
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


# --- from entries to jobs


def _expanded(
    items: Iterable[Item], defaults: Entries, base: Path, *, literal: bool = False
) -> Manifest:
    under = dict(defaults)
    steps = under.pop("steps", None)
    jobs: list[Job] = []
    outputs: dict[str, Job] = {}
    for item in items:
        for job in _jobs(item, under, steps, base, len(jobs), literal):
            first = outputs.setdefault(normpath(job.output), job)
            if first is not job:
                raise _twice(first, job)
            jobs.append(job)
    for job in jobs:
        writer = outputs.get(normpath(job.file)) if job.file else None
        if writer is not None:
            raise InputError(
                f"{job.file} is the input of job {job.index} and the output of job {writer.index}",
                hint="write outputs into a directory of their own: out/{stem}.npz",
                place=job.place,
            )
    return Manifest(tuple(jobs), base)


def _twice(first: Job, second: Job) -> InputError:
    where = "the same entry" if first.place == second.place else str(first.place)
    return InputError(
        f"two jobs write {second.output}, jobs {first.index} and {second.index}",
        found=f"the first stands in {where}",
        hint="{stem}, {index} and the keys of a sweep tell outputs apart",
        place=second.place,
    )


def _jobs(
    item: Item, defaults: Entries, steps: Entry | None, base: Path, first: int, literal: bool
) -> Iterator[Job]:
    entries = dict(item.entries)
    output = entries.pop("output", None)
    if output is None:
        raise InputError("this job has no output", hint="output: out/a.npz", place=item.place)
    each, problem = entries.pop("each", None), entries.pop("problem", None)
    steps = entries.pop("steps", steps)
    swept = entries.pop("sweep", None)
    files = [""] if each is None else _files(each, base, literal)
    sweep: Entries = {} if swept is None else swept.value
    if each is not None and problem is None and not _has_vectors(entries):
        problem = Entry("{file}", each.place)
    if problem is None and not _has_vectors(entries):
        raise InputError(
            "this job computes nothing",
            expected="problem: a.yaml, or query, key and value",
            hint="attncli new manifest shows some jobs",
            place=item.place,
        )
    index = 0
    if any(not entry.value for entry in sweep.values()):
        raise InputError("a sweep over no values", hint="leave it out", place=swept and swept.place)
    for file in files:
        named = {"file": file, "stem": splitext(basename(file))[0]} if file else {}
        for chosen in product(*(enumerate(entry.value) for entry in sweep.values())):
            values = {"index": str(index), **named}
            own = entries
            for (key, entry), (position, value) in zip(sweep.items(), chosen, strict=True):
                values[key] = spelled(value, position)
                own = merge(own, _nested(key, value, entry.place))
            try:
                source = filled(problem.value, values) if problem is not None else ""
                yield Job(
                    first + index,
                    filled(output.value, values),
                    source,
                    file or source,
                    filled_entries(own, values),
                    filled_entries(defaults, values),
                    None if steps is None else steps.value,
                    base,
                    item.place,
                )
            except InputError as error:
                raise error.at(output.place) from None
            index += 1


def _has_vectors(entries: Mapping[str, Entry]) -> bool:
    return bool({"query", "key", "input", "scores", "image"} & {*entries})


def _nested(key: str, value: Any, place: Place | None) -> Entries:
    """One swept value as an entry; a part of a mapping where its key is dotted."""
    names = key.split(".")
    for name in reversed(names[1:]):
        value = Part({name: Entry(value, place)})
    return {names[0]: Entry(value, place)}


def _files(each: Entry, base: Path, literal: bool) -> list[str]:
    """The files that `each` finds, in the order of the alphabet; none found is refused."""
    patterns = each.value if isinstance(each.value, tuple) else (each.value,)
    if literal:
        return list(patterns)
    found: list[str] = []
    for pattern in patterns:
        names = sorted(glob(pattern, root_dir=base or None, recursive=True))
        names = [name for name in names if (base / name).is_file()]
        if not names:
            raise InputError(
                f"each: {pattern} finds no file",
                hint=f"paths are relative to {base if str(base) != '.' else 'this directory'}",
                place=each.place,
            )
        found += names
    return list(dict.fromkeys(found))
