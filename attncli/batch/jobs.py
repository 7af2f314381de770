"""From the entries of a manifest to its jobs: one a file, one a combination of swept values.

What a job computes is decided by, the strongest first: the flags, its sweep, its own keys, its
problem file, the manifest's defaults.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from glob import glob
from itertools import product
from os.path import abspath, basename, isfile, join, normpath, splitext
from pathlib import Path
from typing import Any

from attncli.batch.template import filled, filled_entries, spelled
from attncli.errors import InputError, Place
from attncli.files.problem import Part, merge, sourced
from attncli.files.types import Entry, Reference
from attncli.files.vectors import ALIASES, HERE

Entries = dict[str, Entry]
"""Keys of a problem, as a file or a flag gives them."""


@dataclass(frozen=True)
class Item:
    """One entry of `jobs`, and where it begins."""

    entries: Entries
    place: Place


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
        given, base, name = sourced(
            (join(self.base, self.problem) if self.base != HERE else self.problem,)
        )
        under, over = (located(entries, self.base) for entries in (self.defaults, self.own))
        return merge(merge(merge(under, given), over), flags), base, name


@dataclass(frozen=True)
class Manifest:
    """Jobs in order. `base` is the directory that their paths are relative to."""

    jobs: tuple[Job, ...]
    base: Path = field(default_factory=Path)


def expanded(
    items: Iterable[Item], defaults: Entries, base: Path, *, literal: bool = False
) -> Manifest:
    """All jobs of the entries of a manifest; with `literal`, `each` lists files, not patterns.

    Raises `InputError` for two jobs with one output, or an output that is another's input.
    """
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
    sweep = _swept(entries.pop("sweep", None))
    files = [""] if each is None else _files(each, base, literal)
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


def _swept(sweep: Entry | None) -> Entries:
    """The keys that a job sweeps, with their values."""
    if sweep is None:
        return {}
    swept: Entries = sweep.value
    if not all(entry.value for entry in swept.values()):
        raise InputError("a sweep over no values", hint="leave it out", place=sweep.place)
    return swept


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
        names = sorted(glob(pattern, root_dir=base, recursive=True))
        names = [name for name in names if isfile(base / name)]
        if not names:
            raise InputError(
                f"each: {pattern} finds no file",
                hint=f"paths are relative to {base if str(base) != '.' else 'this directory'}",
                place=each.place,
            )
        found += names
    return list(dict.fromkeys(found))


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
