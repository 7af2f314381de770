"""A problem with its arrays elsewhere: on another device, or of another namespace."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from attncli.core.labels import Labels
from attncli.core.problem import Presentation
from attncli.core.step import Array

Whole = TypeVar("Whole")


def moved(whole: Whole, move: Callable[[Array], Array]) -> Whole:
    """The same with every array in it moved; what is only shown stays where it is."""
    result: Whole = _moved(whole, move)
    return result


def _moved(part: Any, move: Callable[[Array], Array]) -> Any:
    if getattr(part, "shape", None) == ():
        return part.item()  # one number is a number everywhere
    if isinstance(part, Presentation | Labels | Mapping | str | int | float | bool | range | None):
        return part
    if isinstance(part, tuple):
        return tuple(_moved(item, move) for item in part)
    if is_dataclass(part) and not isinstance(part, type):
        own = {field.name: getattr(part, field.name) for field in fields(part) if field.init}
        changed = {name: _moved(value, move) for name, value in own.items()}
        return replace(part, **changed) if changed else part
    return move(part) if hasattr(part, "shape") else part
