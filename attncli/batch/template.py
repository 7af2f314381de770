"""Names with places in them, such as `out/{stem}-{temperature}.npz`: what each job puts there."""

import re
from collections.abc import Mapping
from typing import Any

from attncli.errors import InputError
from attncli.files.types import Entry, Reference

PLACE = re.compile(r"\{\{|\}\}|\{([\w.-]+)\}")
BRACES = {"{{": "{", "}}": "}"}
TEXTS = ("parameters", "title")
"""Keys that are texts, and may have places in them as the names of files do."""

Values = Mapping[str, str]


def filled(template: str, values: Values) -> str:
    """The template filled; `{{` is a brace. Raises `InputError` for a name without a value."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return BRACES[match[0]]
        if name not in values:
            raise InputError(
                f"{{{name}}} stands for nothing here",
                expected=", ".join(f"{{{known}}}" for known in values),
                found=match[0],
                hint="a sweep's keys, and {file} and {stem} of `each`, can stand in a name",
            )
        return values[name]

    return PLACE.sub(value, template)


def filled_entries(entries: Mapping[str, Entry], values: Values) -> dict[str, Entry]:
    """Entries whose file names (and title) have their places filled, at any depth."""
    return {
        key: Entry(_filled(entry.value, values, key in TEXTS), entry.place)
        for key, entry in entries.items()
    }


def _filled(value: Any, values: Values, text: bool) -> Any:
    if isinstance(value, Reference):
        return Reference(_known(value.text, values))
    if isinstance(value, str) and text:
        return _known(value, values)
    if isinstance(value, dict):
        return type(value)(filled_entries(value, values))
    if isinstance(value, tuple):
        return tuple(_filled(item, values, False) for item in value)
    return value


def _known(text: str, values: Values) -> str:
    """A text where only known names are filled: a file may have braces in its name."""
    if "{" not in text:
        return text
    return PLACE.sub(lambda match: values.get(match[1] or "", match[0]), text)


def spelled(value: Any, position: int) -> str:
    """How a swept value stands in a name: as it is written; a table or mapping by its position."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | str):
        return str(value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, Reference):
        return re.sub(r"[^\w.-]+", "-", value.text)
    if isinstance(value, dict) and "name" in value:
        return str(value["name"].value)
    if getattr(value, "ndim", None) == 0:
        return spelled(value.item(), position)
    return str(position)
