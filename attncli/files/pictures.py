"""PNG and JPEG, through Pillow: pixels as floats from 0 to 1."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from attncli.errors import InputError, LimitError, Place
from attncli.files.reading import opened, refuse_oversize

FORMATS = ("PNG", "JPEG")
DEPTHS = {"I;16": 65535.0, "I;16B": 65535.0, "I;16L": 65535.0, "I": 65535.0}
"""Modes of more than 8 bits a channel, and their white."""
AS_THEY_ARE = ("L", "LA", "RGB", "RGBA")


@contextmanager
def _opened(path: Path, place: Place | None) -> Iterator[Any]:
    """The picture, of which only the header has been read; what is wrong becomes ours."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise InputError(
            f"reading {path.suffix} needs Pillow, which is not installed",
            hint="python -m pip install 'attncli[pictures]'",
            place=place or Place(str(path)),
        ) from None
    with opened(path, place) as file, warnings.catch_warnings():
        # Ours is a limit on the bytes that the pixels take; Pillow's own warns earlier.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(file, formats=FORMATS) as image:
                yield image
        except UnidentifiedImageError:
            raise InputError(
                "this is no PNG or JPEG picture", expected="a picture that its suffix names"
            ) from None
        except Image.DecompressionBombError:
            raise LimitError(
                "the picture has more pixels than Pillow reads", hint="make it smaller"
            ) from None
        except (OSError, SyntaxError, ValueError, ArithmeticError, EOFError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the system, not of Pillow
            raise InputError(f"the picture is damaged: {str(error)[:120]}") from None


def extent(path: Path, place: Place | None = None) -> tuple[int, int]:
    """Height and width, from the header alone; as the file lies, not as a viewer turns it."""
    with _opened(path, place) as image:
        width, height = image.size
        return int(height), int(width)


def read_picture(path: Path, place: Place | None = None) -> np.ndarray[Any, np.dtype[np.float32]]:
    """`(h w c)` of float32, 0 black to 1 full, as a viewer turns it.

    One channel for grey, three for colour, and one more where the picture has transparency. Raises
    `InputError` where Pillow is missing or the file is none, `LimitError` where it is too large.
    """
    with _opened(path, place) as image:
        from PIL import ImageOps

        width, height = image.size
        # Bytes and floats of up to four channels, and what Pillow decodes beside them.
        refuse_oversize("the picture", width * height * 4 * (4 + 4 + 2))
        upright = ImageOps.exif_transpose(image)
        depth = DEPTHS.get(upright.mode, 255.0)
        if upright.mode not in (*AS_THEY_ARE, *DEPTHS):
            upright = upright.convert(_mode(upright))
        result = np.asarray(upright).astype(np.float32)
    result /= np.float32(depth)
    return result[:, :, None] if result.ndim == 2 else result


def _mode(image: Any) -> str:
    """What to convert a picture to: palettes and inks to colour, one bit to grey."""
    if image.mode == "1":
        return "L"
    return "RGBA" if "transparency" in image.info or image.mode in ("PA", "La", "RGBa") else "RGB"
