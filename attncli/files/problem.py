"""Opening a problem: one file, a file of tensors, three files, standard input, or keywords."""

import os
import sys
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from functools import cache, lru_cache
from os.path import splitext
from pathlib import Path
from typing import Any

from attncli.core.problem import Problem
from attncli.errors import InputError, LimitError, Place, UsageError
from attncli.files.build import build
from attncli.files.schema import ARCHIVES, FOREIGN, KEYS, PICTURES, PROBLEM, TABLES
from attncli.files.snapshot import SMALL, current
from attncli.files.types import (
    Entry,
    Mapping,
    OneOf,
    Reference,
    Tensor,
    Type,
    read_document,
    read_flag,
)
from attncli.files.vectors import HERE, VECTORS, Source

Entries = dict[str, Entry]

TEXT_SUFFIXES = (".yaml", ".yml", ".json")
LARGEST_TEXT = 256 * 1024 * 1024
"""Bytes of a problem file; larger tables belong in NPY."""


class Part(Entries):
    """Some keys of a mapping: when merged, the other keys of the mapping stay as they are."""


def open_problem(
    sources: Sequence[str], overrides: MappingABC[str, Entry], source: type[Source] = Source
) -> Problem:
    """The problem that the files describe, with the flags' keys in place of the file's.

    `source` loads its tensors.
    """
    entries, base, name = sourced(sources)
    return build(merge(entries, overrides), base, name, source=source)


def sourced(sources: Sequence[str]) -> tuple[Entries, Path, str]:
    """What PROBLEM stands for: its entries, the directory of their paths, and what to call it."""
    if len(sources) == 3:
        entries = {
            key: Entry(Reference(source), Place(source))
            for key, source in zip(VECTORS, sources, strict=True)
        }
        return entries, Path(), ""
    if len(sources) != 1:
        raise UsageError(
            f"PROBLEM is {len(sources)} files",
            expected="one problem file, or three files: Q K V",
            found=" ".join(sources[:4]),
            hint="attncli batch FILES… -o 'out/{stem}.npz' does many problems",
        )
    (source,) = sources
    if source == "-":
        return read_entries(source), Path(), ""
    path, suffix = Path(source), splitext(source)[1].lower()
    if suffix in ARCHIVES:
        return _archive(source, path, suffix), HERE, source
    if suffix in (".npy", *TABLES):
        raise InputError(
            f"{source} is one tensor, a problem needs query, key and value",
            hint="give three files: attncli attend q.npy k.npy v.npy",
            place=Place(source),
        )
    if suffix in PICTURES:
        raise InputError(
            f"{source} is a picture, not a problem",
            hint=f"write a problem file with input: {path.name}",
            place=Place(source),
        )
    return read_entries(source), path.parent, source


def read_entries(source: str) -> Entries:
    """The entries of a YAML or JSON problem file, or of standard input (`-`)."""
    content, name = read_content(source), "stdin" if source == "-" else source
    if current() is None or len(content) > SMALL:
        return read_document(content, name, PROBLEM)
    return _document(content, name)


@lru_cache(maxsize=8)
def _document(content: bytes, name: str) -> Entries:
    """The entries of a file that a sweep reads again and again."""
    return read_document(content, name, PROBLEM)


def merge(entries: MappingABC[str, Entry], overrides: MappingABC[str, Entry]) -> Entries:
    """Entries with overrides; a `--set` inside a mapping leaves its other keys as they are."""
    merged = dict(entries)
    for key, entry in overrides.items():
        old = merged.get(key)
        if isinstance(entry.value, Part) and old is not None:
            inner = old.value if isinstance(old.value, dict) else _named(key, old)
            joined = merge(inner, entry.value)
            entry = Entry(Part(joined) if isinstance(inner, Part) else joined, entry.place)
        merged[key] = entry
    return merged


def flag(key: str, text: str) -> Entry:
    """The entry of `--key text`."""
    name = "--" + key.replace("_", "-")
    return Entry(read_flag(KEYS[key].type, text, name), Place(name, is_flag=True))


def setting(assignment: str) -> Entries:
    """The entries of `--set KEY=VALUE`, KEY dotted where it is inside a mapping."""
    path, equals, text = assignment.partition("=")
    place = Place("--set", is_flag=True)
    if not equals:
        raise UsageError(
            f"--set {assignment}",
            expected="KEY=VALUE, such as rope.base=500",
            found=assignment,
        )
    kind: Type = PROBLEM
    names = path.strip().split(".")
    for depth, name in enumerate(names):
        mapping = _mapping_of(kind)
        if mapping is None:
            raise UsageError(f"--set {path}: {'.'.join(names[:depth])} has no keys inside")
        kind = mapping.type_of(name, place)
    value: Any = read_flag(kind, text, f"--set {path}")
    for name in reversed(names):
        value = Part({name: Entry(value, place)})
    return value  # type: ignore[no-any-return]


def keywords(keys: MappingABC[str, Any]) -> Entries:
    """The entries of Python keywords: the keys of a file, with arrays where a file has tables."""
    return {
        key: Entry(PROBLEM.type_of(key).accept(value, Place(key), key), Place(key))
        for key, value in keys.items()
        if value is not None
    }


def _mapping_of(kind: Type) -> Mapping | None:
    if isinstance(kind, OneOf):
        return next((inner for inner in kind.types if isinstance(inner, Mapping)), None)
    return kind if isinstance(kind, Mapping) else None


def _named(key: str, entry: Entry) -> Entries:
    """`similarity: cosine` as `{name: cosine}`, so that a parameter can be set beside it."""
    return {"name": entry} if key == "similarity" else {}


def read_content(source: str) -> bytes:
    """The bytes of a text file, or of standard input (`-`)."""
    if source == "-":
        content = _stdin()
    else:
        from attncli.files.reading import opened

        try:
            with opened(Path(source), Place(source)) as file:
                size = file.seek(0, os.SEEK_END)  # reading takes room for all that it is asked for
                file.seek(0)
                content = file.read(min(size, LARGEST_TEXT) + 1)
        except InputError as error:
            if not os.path.isfile(source):
                error.expected = ""
                if "did you mean" not in error.hint:
                    error.hint = "attncli new lists problems that run"
            raise
    if len(content) > LARGEST_TEXT:
        raise LimitError(
            f"the file is larger than {LARGEST_TEXT >> 20} MiB",
            hint="keep large tables in NPY files and name them: query: q.npy",
            place=Place(source),
        )
    return content


@cache
def _stdin() -> bytes:
    """Standard input, which can be read once and is opened again in another precision."""
    return sys.stdin.buffer.read(LARGEST_TEXT + 1)


def _archive(source: str, path: Path, suffix: str) -> Entries:
    """The tensors of an NPZ or safetensors file that are keys of a problem."""
    from attncli.files.npz import read_plain
    from attncli.files.tensors import members

    place = Place(source)
    names = members(path)
    known = [name for name in names if name in _tensor_keys()]
    for name in names:
        ours = FOREIGN.get(name, name)
        if name not in known and ours in KEYS:
            raise InputError(
                f"{source} has a tensor called {name}, which is not read from there",
                hint=f"call it {ours}"
                if ours in _tensor_keys()
                else f"write a problem file with {ours}: … (or --set {ours}=…)",
                place=place,
            )
    if "query" not in known and "scores" not in known:
        raise InputError(
            f"{source} has no tensor called query",
            expected="tensors called query, key and value",
            found=", ".join(list(names)[:8]) or "none",
            hint=f"name them in a problem file: query: {Path(source).name}:NAME",
            place=place,
        )
    arrays = read_plain(path) if suffix == ".npz" else {}
    return {
        name: Entry(arrays[name] if name in arrays else Reference(f"{source}:{name}"), place)
        for name in known
    }


@cache
def _tensor_keys() -> frozenset[str]:
    return frozenset(key for key, entry in KEYS.items() if _takes_tensor(entry.type))


def _takes_tensor(kind: Type) -> bool:
    return isinstance(kind, Tensor) or (
        isinstance(kind, OneOf) and any(isinstance(inner, Tensor) for inner in kind.types)
    )
