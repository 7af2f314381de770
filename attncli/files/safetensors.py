"""safetensors files, through their own library, which comes with an extra.

bfloat16 becomes float32, which holds each of its numbers exactly. Smaller floats are refused: what
they stand for depends on scales that lie elsewhere.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from attncli.errors import AttncliError, InputError, Place
from attncli.files.npy import NUMBERS, Header, refuse_odd_booleans
from attncli.files.reading import no_member, opened, refuse_oversize
from attncli.files.yaml import quoted

TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
"""The library's names of the types that are read."""


def members(path: Path, place: Place | None = None) -> dict[str, Header]:
    """Name → shape and type of every tensor; a type that is not read is shown as raw bytes (V1).

    Raises `InputError`, also where the extra is missing.
    """
    with _tensors(path, place) as tensors:
        return {name: _header(tensors, name)[0] for name in sorted(tensors.keys())}


def read_member(
    path: Path, name: str, place: Place | None = None
) -> np.ndarray[Any, np.dtype[Any]]:
    """One tensor; bfloat16 as float32.

    `place` is where the reference to the file stands. Raises `InputError`, and `LimitError` if the
    tensor exceeds the free memory.
    """
    with _tensors(path, place) as tensors:
        names = set(tensors.keys())
        if name not in names:
            raise no_member(path, name, names, place)
        header, kind = _header(tensors, name)
        if kind not in TYPES:
            raise InputError(
                f"{quoted(name)} is of type {kind}",
                expected=f"bfloat16, {NUMBERS}",
                found=kind,
                hint="convert it to float32 where the model's scales are known",
            )
        wide = 2 if kind == "BF16" else 1
        refuse_oversize(quoted(name), header.nbytes * wide)
        array = np.asarray(tensors.get_tensor(name))
        refuse_odd_booleans(array, quoted(name))
        return array.astype(np.float32) if kind == "BF16" else array


def write_safetensors(file: BinaryIO, arrays: Mapping[str, Any]) -> None:
    """Write arrays under their names; the same bytes for the same arrays.

    Raises `InputError` where the extra is missing.
    """
    _library()
    from safetensors.numpy import save

    contiguous = {
        name: np.asarray(array, dtype=np.asarray(array).dtype.newbyteorder("="), order="C")
        for name, array in arrays.items()
    }
    file.write(save(contiguous))


def _library() -> Any:
    try:
        # Older versions of the library find bfloat16 only once ml_dtypes has registered it.
        import ml_dtypes  # noqa: F401
        import safetensors
    except ImportError:
        raise InputError(
            "safetensors files need the safetensors extra",
            hint="python -m pip install 'attncli[safetensors]'",
        ) from None
    return safetensors


@contextmanager
def _tensors(path: Path, place: Place | None) -> Iterator[Any]:
    """The file, opened by the library, whose exceptions become `InputError`."""
    with opened(path, place):
        library = _library()
        try:
            with library.safe_open(path, framework="np") as tensors:
                yield tensors
        except (AttncliError, OSError):
            raise
        except Exception as error:  # the library's own, and those of the types it looks up
            raise InputError(
                "this is no sound safetensors file",
                found=f"it says: {quoted(' '.join(str(error).split()), 120)}",
                hint="copy the file again, or save it again",
            ) from None


def _header(tensors: Any, name: str) -> tuple[Header, str]:
    """The header, and the library's name of the type."""
    part = tensors.get_slice(name)
    kind = str(part.get_dtype())
    shape = tuple(int(n) for n in part.get_shape())
    return Header(shape, np.dtype(TYPES.get(kind, "V1"))), kind
