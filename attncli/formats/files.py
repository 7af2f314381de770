"""What a file gets: the steps as arrays, or a report; its suffix chooses."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from attncli.errors import UsageError
from attncli.formats import FORMATS

if TYPE_CHECKING:
    from attncli.formats.display import Display
    from attncli.solve import Trace

ARRAYS = {".npy": "npy", ".npz": "npz", ".safetensors": "safetensors"}
"""Suffix → how arrays are written there."""


def format_of(path: Path) -> str:
    """How a file of this name is written; raises `UsageError` for an unknown suffix."""
    suffix = path.suffix.lower()
    if suffix in ARRAYS:
        return ARRAYS[suffix]
    for name, entry in FORMATS.items():
        if suffix in entry.suffixes:
            return name
    raise unknown_suffix(
        path, [*ARRAYS, *(suffix for entry in FORMATS.values() for suffix in entry.suffixes)]
    )


def unknown_suffix(path: Path, known: Iterable[str]) -> UsageError:
    """The error of an output whose suffix is none of those known."""
    return UsageError(
        f"-o {path}: the suffix says what to write",
        expected=" ".join(known),
        found=path.suffix.lower() or "none",
        hint="--format json names a report's format whatever the suffix",
    )


def arrays_of(trace: "Trace", display: "Display", *, steps: bool) -> dict[str, Any]:
    """The chosen steps, in focus, and always the output."""
    from attncli.formats.view import chosen, output, views

    if not steps:
        arrays = {}
    elif display.focus:
        arrays = {view.name: view.value for view in views(trace, display)}
    else:
        arrays = {step.name: step.value for step in chosen(trace, display)}
    return {**arrays, "output": output(trace, display)}


def write_arrays(format: str, file: BinaryIO, arrays: dict[str, Any]) -> None:
    """Write arrays to an open file: `npy` the output alone, `npz` and `safetensors` all."""
    if format == "npy":
        from attncli.files.npy import write_npy

        write_npy(file, arrays["output"])
    elif format == "npz":
        from attncli.files.npz import write_npz

        write_npz(file, arrays)
    else:
        from attncli.files.safetensors import write_safetensors

        write_safetensors(file, arrays)
