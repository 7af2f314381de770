"""From a problem's entries to the problem itself: one builder a kind."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import cast

from attncli.core.problem import Problem
from attncli.errors import AttncliError, InputError, Place
from attncli.files.schema import KEYS, KINDS
from attncli.files.types import Entry
from attncli.files.vectors import Source


def build(
    entries: Mapping[str, Entry], base: Path, name: str = "", *, source: type[Source] = Source
) -> Problem:
    """The problem that the entries of a file, flags or keywords describe.

    `name` is the file as the user named it; `source` loads its tensors. Raises `AttncliError` with
    the place of the key that is wrong.
    """
    opened = source(entries, base)
    kind = opened.get("kind", "attention")
    for key, entry in entries.items():
        if kind not in KEYS[key].kinds:
            raise InputError(
                f"{key} is no key of kind: {kind}",
                hint=f"it belongs to kind: {' or '.join(KEYS[key].kinds)}",
                place=entry.place,
            )
        names = KEYS[key].choices.get(kind)
        if names is not None and entry.value not in names:
            raise InputError(
                f"{key}: {entry.value} means nothing for kind: {kind}",
                expected=" or ".join(names),
                found=str(entry.value),
                place=entry.place,
            )
    try:
        return cast("Problem", import_module(KINDS[kind]).build(opened, name))
    except AttncliError as error:
        whole = Place(name) if name else None
        raise error.at(opened.place(error.subject.split(".")[0]) or whole) from None
