"""Where errors lie, in words and as a small picture: a pattern that says much.

A whole head, every row from 128 on, the last tile only, the diagonal only: each of these points at
another line of a kernel.
"""

import numpy as np

from attncli.core.labels import plural
from attncli.core.shapes import listed
from attncli.oracle.compare import Comparison, Numbers

SHADES = " ░▒▓█"
ASCII_SHADES = " .:*#"
MOST_ROWS, MOST_COLUMNS = 12, 40
"""Cells of a picture."""
MOST_PICTURES = 4
TILES = (256, 128, 64, 32, 16)


def sentence(comparison: Comparison) -> str:
    """Which places of each axis differ: `in heads 4–7 of 8, queries 128–200 of 201`."""
    wrong = comparison.wrong
    if not wrong.any():
        return ""
    if wrong.all():
        return "everywhere"
    parts = [
        part for axis, name in enumerate(comparison.axes) if (part := _places(wrong, axis, name))
    ]
    diagonal = _diagonal(comparison)
    if diagonal:
        parts.append(diagonal)
    if not parts:
        places = listed([*map(plural, comparison.axes[-2:])])
        return f"scattered over all {places}, {comparison.differing / wrong.size:.0%} of the cells"
    return ", ".join(parts)


def _places(wrong: Numbers, axis: int, name: str) -> str:
    """The places of one axis where anything differs; empty where that is all of them."""
    n = wrong.shape[axis]
    others = tuple(i for i in range(wrong.ndim) if i != axis)
    hit = wrong.any(axis=others)
    places = np.flatnonzero(hit)
    if len(places) == n:
        return ""
    if len(places) == 1:
        return f"{name} {places[0]} of {n}" + _last(places, n)
    first, last = int(places[0]), int(places[-1])
    if last - first + 1 == len(places):
        return f"{plural(name)} {first}–{last} of {n}" + _tile(first, last, n)
    stride = int(places[1] - places[0])
    if stride > 1 and len(places) > 2 and np.array_equal(places, np.arange(first, n, stride)):
        return f"every {_ordinal(stride)} {name} from {first} on"
    listed = ", ".join(map(str, places[:6])) + (", …" if len(places) > 6 else "")
    return f"{plural(name)} {listed} ({len(places)} of {n})"


def _last(places: Numbers, n: int) -> str:
    return ", the last" if places[0] == n - 1 > 0 else ""


def _tile(first: int, last: int, n: int) -> str:
    """Whether a range begins or ends where tiles of a kernel do."""
    for tile in TILES:
        if first and first % tile == 0:
            return f", from a multiple of {tile} on"
        if last < n - 1 and (last + 1) % tile == 0:
            return f", up to a multiple of {tile}"
    return ""


def _ordinal(n: int) -> str:
    return {2: "second", 3: "third", 4: "fourth"}.get(n, f"{n}th")


def _diagonal(comparison: Comparison) -> str:
    """Whether differences of a query × key step lie on one side of the diagonal."""
    if set(comparison.axes[-2:]) != {"query", "key"} or min(comparison.wrong.shape[-2:]) < 3:
        return ""
    wrong = comparison.wrong
    if comparison.axes[-1] == "query":
        wrong = np.swapaxes(wrong, -1, -2)
    places = np.argwhere(wrong.any(axis=tuple(range(wrong.ndim - 2))))
    apart = np.unique(places[:, 1] - places[:, 0])  # key less query
    if len(apart) == 1:
        where = {0: "on the diagonal", 1: "one right of it", -1: "one left of it"}
        return f"only where key − query is {apart[0]} ({where.get(int(apart[0]), 'one band')})"
    if apart[0] > 0:
        return "only right of the diagonal (keys after the query)"
    return "only left of the diagonal (keys before the query)" if apart[-1] < 0 else ""


def pictures(comparison: Comparison, *, ascii: bool = False) -> list[tuple[str, list[str]]]:
    """A heading and the lines of a picture for up to four heads or batch entries.

    Rows are queries, columns keys or features, several to a cell where there are many: the share
    of numbers that differ, from blank (none) to full (all).
    """
    wrong = np.atleast_2d(comparison.wrong)
    if not comparison.fits or max(wrong.shape[-2:]) < 3 or wrong.all():
        return []
    shades = ASCII_SHADES if ascii else SHADES
    drawn = []
    for index in np.ndindex(wrong.shape[:-2]):
        if not wrong[index].any():
            continue
        names = zip(comparison.axes, index, strict=False)
        heading = " · ".join(f"{axis} {place}" for axis, place in names)
        drawn.append((heading, _picture(wrong[index], shades)))
        if len(drawn) == MOST_PICTURES:
            break
    return drawn


def _picture(table: Numbers, shades: str) -> list[str]:
    rows = _edges(table.shape[0], MOST_ROWS)
    columns = _edges(table.shape[1], MOST_COLUMNS)
    share = np.add.reduceat(np.add.reduceat(table.astype(float), rows, 0), columns, 1)
    size = np.outer(
        np.diff([*rows, table.shape[0]]).astype(float), np.diff([*columns, table.shape[1]])
    )
    level = np.ceil(share / size * (len(shades) - 1)).astype(int)
    # A cell is full only where all of its numbers differ.
    level = np.where((share < size) & (level == len(shades) - 1), len(shades) - 2, level)
    return ["".join(shades[i] for i in line) for line in level]


def _edges(n: int, most: int) -> Numbers:
    """Where the cells of a picture begin along an axis."""
    return np.unique(np.linspace(0, n, min(n, most), endpoint=False).astype(int))
