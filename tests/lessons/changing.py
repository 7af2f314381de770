"""A lesson whose problem has other numbers: the same shapes and names, everything else random."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from attncli.files.tensors import load
from attncli.files.types import Entry, Reference
from attncli.lessons.lesson import Lesson

FIXED = ("labels", "window", "mask", "source_key_mask")


def changed(lesson: Lesson, seed: int) -> Lesson:
    """The lesson with every number of its tables turned into another."""
    random = np.random.default_rng(seed)
    entries = {
        key: entry if key in FIXED else Entry(_other(entry.value, lesson, random), entry.place)
        for key, entry in lesson.entries.items()
    }
    return replace(lesson, entries=entries)


def _other(value: Any, lesson: Lesson, random: np.random.Generator) -> Any:
    if isinstance(value, Reference) and ":" in value.text:
        value = load(value.text, lesson.base).array
    if isinstance(value, Entry):
        return Entry(_other(value.value, lesson, random), value.place)
    if isinstance(value, Mapping):
        return {key: _other(inner, lesson, random) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(_other(inner, lesson, random) for inner in value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return random.normal(0.2, 1, value.shape).astype(value.dtype)
    if isinstance(value, float):
        return value * random.uniform(0.5, 0.9)
    return value
