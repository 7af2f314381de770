"""The slips: one entry each, a family a file. Importing this registers them all, in their order."""

from attncli.oracle.slips import (  # noqa: I001  the order is that of the search
    scale,
    masks,
    places,
    vectors,
    heads,
    rotary,
    scores,
    fitted,
)
from attncli.oracle.slips.slip import SLIPS, Evidence, Slip, Variant

__all__ = [
    "SLIPS",
    "Evidence",
    "Slip",
    "Variant",
    "fitted",
    "heads",
    "masks",
    "places",
    "rotary",
    "scale",
    "scores",
    "vectors",
]
