"""Pictures as inputs: which tensors are pictures, and how their axes lie."""

import numpy as np

from attncli.core.picture import Picture
from attncli.files.schema import IMAGE_LAYOUTS
from attncli.files.types import Reference
from attncli.files.vectors import Source, Tensor, as_rows

PICTURES = (".png", ".jpg", ".jpeg")
"""Suffixes of pictures."""


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


def pixels(source: Source, key: str, array: Tensor) -> Tensor:
    """`(… h w c)` of an image as it lies; a table of two axes is an image of one channel."""
    if array.ndim == 2:
        return array[:, :, None]
    chw = source.get("layout") == "chw" and not is_file(source, key) and array.ndim > 2
    return np.moveaxis(array, -3, -1) if chw else array


def picture(source: Source, key: str, array: Tensor) -> Picture:
    """The picture that an input is; raises `InputError` where patches do not fill it."""
    return Picture(pixels(source, key, array), source.get("patch", 1))


def as_vectors(made: Picture, notation: str) -> Tensor:
    """Its patches as vectors, lying as the file's tables do: what turns columns to rows also turns
    rows to columns."""
    array: Tensor = as_rows(made.vectors(np), notation)
    return array
