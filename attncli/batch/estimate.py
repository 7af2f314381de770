"""What a job will take, from the headers of its inputs: nothing is read, nothing allocated.

The problem is built as always, but of arrays that are one zero seen many times, so every kind of
problem knows its own sizes.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attncli.core.problem import Problem
from attncli.errors import Place
from attncli.files.build import build
from attncli.files.problem import Entries
from attncli.files.snapshot import SMALL
from attncli.files.tensors import file_of, header
from attncli.files.types import Entry, Reference
from attncli.files.vectors import ALIASES, Source, Tensor, base_of, widest

UNREAD = ("mask", "bias", "key_mask", "query_mask", "source_mask", "source_key_mask")
"""Tensors that are looked at when a problem is built; without them its sizes are the same."""


class Headers(Source):
    """A problem whose large tensors are only known by their headers."""

    def _loaded(self, key: str, text: str, place: Place | None) -> Tensor:
        base = base_of(place, self.base)
        if not _is_large(file_of(text, base, place)):
            return super()._loaded(key, text, place)
        there = header(text, base, place)
        zero = np.zeros((), there.dtype)
        if zero.dtype.kind != "b":  # who asks for numbers refuses these
            zero = zero.astype(widest([zero]))
        return np.broadcast_to(zero, there.shape)


@dataclass(frozen=True)
class Estimate:
    """What is known of a job before it runs."""

    problem: Problem
    inputs: int
    """Bytes of its inputs, in the computing type."""

    def needed(self, keep: Collection[str] | None) -> int:
        """Bytes that the job takes at once where it keeps these steps (None: all)."""
        return self.problem.memory(keep) + self.inputs


def estimate(entries: Entries, base: Path, name: str) -> Estimate:
    """The problem of some entries, known by its sizes only. Raises what building it raises."""
    known = dict(entries)
    headers = [
        header(text, base_of(place, base), place)
        for text, place in references(entries)
        if _is_large(file_of(text, base_of(place, base), place))
    ]
    known["allow_nonfinite"] = Entry(True)  # so that nobody looks at the numbers
    for key in UNREAD:
        entry = known.get(key)
        if entry is not None and any(text for text, _ in references({key: entry})):
            del known[key]
    problem = build(known, base, name, source=Headers)
    size = np.dtype(problem.dtype).itemsize
    return Estimate(problem, sum(int(np.prod(each.shape)) * size for each in headers))


def has_large_inputs(entries: Entries, base: Path) -> bool:
    """Whether an input is too large to be read before it is known to fit."""
    paths = {file_of(text, base_of(place, base), place) for text, place in references(entries)}
    return any(map(_is_large, paths))


def references(entries: Mapping[str, Entry]) -> Iterator[tuple[str, Place | None]]:
    """The files that entries name, at any depth, and where."""
    for entry in entries.values():
        yield from _references(entry.value, entry.place)


def _references(value: Any, place: Place | None) -> Iterator[tuple[str, Place | None]]:
    if isinstance(value, Reference) and value.text not in ALIASES:
        yield value.text, place
    elif isinstance(value, dict):
        yield from references(value)
    elif isinstance(value, tuple):
        for item in value:
            yield from _references(item, place)


def _is_large(path: Path) -> bool:
    try:
        return os.path.getsize(path) > SMALL
    except OSError:
        return False  # reading it will say what is wrong
