"""Pictures as inputs: which tensors are pictures, and how their axes lie."""

import numpy as np

from attncli.core.picture import Picture
from attncli.errors import LimitError
from attncli.files.schema import IMAGE_LAYOUTS, PICTURES
from attncli.files.types import Reference
from attncli.files.vectors import Source, Tensor, as_rows, base_of, refuse_nonfinite

MOST = 1 << 16
"""Vectors of a picture: pairs of more would take hours."""


def is_file(source: Source, key: str) -> bool:
    """Whether a tensor is read from a PNG or JPEG."""
    value = source.get(key)
    return isinstance(value, Reference) and value.text.lower().endswith(PICTURES)


def is_picture(source: Source, key: str, array: Tensor) -> bool:
    """Whether an input is a picture: by its file, or because `patch` or `layout` say so.

    Beside a `source`, they speak of what has an axis of channels: the other may be plain vectors.
    """
    if is_file(source, key):
        return True
    says_so = "patch" in source.entries or source.get("layout") in IMAGE_LAYOUTS
    return says_so and (array.ndim > 2 or "source" not in source.entries)


def refuse_large(source: Source, key: str) -> None:
    """Raise `LimitError` for a picture file of too many pixels or patches, before it is read."""
    if not is_file(source, key):
        return
    from attncli.files.pictures import extent

    place = source.place(key)
    height, width = extent(base_of(place, source.base) / source.get(key).text, place)
    patch = source.get("patch", 1)
    _refuse_many((height // patch) * (width // patch), f"{height} × {width} pixels")


def _refuse_many(n: int, size: str) -> None:
    if n > MOST:
        raise LimitError(
            f"the picture of {size} makes {n} vectors",
            expected=f"at most {MOST}",
            found=str(n),
            hint="cut it into larger patches (patch: 16), or make it smaller",
            subject="input",
        )


def pixels(source: Source, key: str, array: Tensor) -> Tensor:
    """`(… h w c)` of an image as it lies; a table of two axes is an image of one channel.

    Raises `RefusedError` for NaN and infinity, at their places in what is written.
    """
    if not source.get("allow_nonfinite", False):
        refuse_nonfinite(key, array, can_be_allowed=True)
    if array.dtype == np.uint8:
        array = array.astype(np.float32) / np.float32(255)  # bytes, as in any picture
    if array.ndim == 2:
        return array[:, :, None]
    chw = source.get("layout") == "chw" and not is_file(source, key) and array.ndim > 2
    return np.moveaxis(array, -3, -1) if chw else array


def picture(source: Source, key: str, array: Tensor) -> Picture:
    """The picture that an input is; raises `InputError` where patches do not fill it."""
    made = Picture(pixels(source, key, array), source.get("patch", 1))
    rows, columns = made.extent
    _refuse_many(rows * columns, " × ".join(map(str, made.pixels.shape[-3:-1])) + " pixels")
    return made


def as_vectors(made: Picture, notation: str) -> Tensor:
    """Its patches as vectors, lying as the file's tables do: what turns columns to rows also turns
    rows to columns."""
    array: Tensor = as_rows(made.vectors(np), notation)
    return array
