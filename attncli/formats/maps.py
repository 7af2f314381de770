"""Where a query looks in a picture: its weights laid out as the picture is.

`Map` is what both the terminal (half blocks in colour, shades without) and SVG draw.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING

import numpy as np

from attncli.core.picture import Picture
from attncli.formats.layout import Panel, Paper, Span, packed
from attncli.formats.view import Numbers, View

if TYPE_CHECKING:
    from attncli.solve import Trace

MOST_MAPS = 16
"""Heads and batch entries whose maps are drawn; focus chooses others."""
WIDE = 24
"""Cells across that a small picture is enlarged to."""
WIDEST = 64
SHADES = "·░▒▓█"
ASCII_SHADES = ".:+*#"
RAMP = ((0.0, (24, 24, 64)), (0.5, (95, 95, 255)), (1.0, (240, 240, 255)))
"""From no weight to the most: one hue, as in the tables."""


@dataclass(frozen=True, eq=False)
class Map:
    """The weights of one query on one picture, `(rows columns)`."""

    weights: Numbers
    colours: Numbers
    """The picture's pixels, `(h w 3)`, 0 to 1."""
    name: str
    """Of the query."""
    heading: str
    """Batch entry and head."""
    layer: str
    """Of a stack: `layers.0`."""
    most: str
    """The largest weight and where."""
    own: tuple[int, int] | None
    """Row and column of the query's own patch, where it is one of this picture."""

    @property
    def shares(self) -> Numbers:
        """The weights as parts of the largest; zero where nothing is seen."""
        largest = float(self.weights.max())
        if not 0 < largest < np.inf:
            return np.zeros(self.weights.shape)
        return np.asarray(np.clip(self.weights.astype(np.float64) / largest, 0, 1))


def maps(view: View, trace: "Trace") -> Iterator[Map]:
    """The maps of a step of weights with one query in focus; none for any other step."""
    pictures = trace.problem.presentation.pictures
    picture = pictures.get("key")
    if picture is None or view.step.base != "weights" or "cross_attention" in view.step.recipe:
        return
    query, key = view.axes.index("query"), view.axes.index("key")
    n = view.sizes[key]
    rows, columns = picture.extent
    whole = len(view.places[key]) == n and n == rows * columns + picture.skip
    if len(view.places[query]) != 1 or not whole:
        return
    place = int(view.places[query][0])
    own = picture.place(place) if pictures.get("query") is picture else None
    labels = view.labels.given("query")
    for index in view.tables():
        weights = view.value[index].reshape(-1)
        name = labels[place] if labels else f"q{place + 1}"
        yield Map(
            weights=weights[picture.skip :].reshape(rows, columns),
            colours=colours(_entry(picture, view, index)),
            name=name,
            heading=view.heading(index),
            layer=view.step.recipe.rpartition(".")[0].replace("layers.", "layer "),
            most=_most(weights, picture),
            own=own,
        )


def _entry(picture: Picture, view: View, index: tuple[int, ...]) -> Numbers:
    """The pixels `(h w c)` of the batch entry at an index."""
    lead = picture.pixels.shape[:-3]
    axes = [axis for axis, name in enumerate(view.axes[: len(index)]) if name != "head"]
    places = [int(view.places[axis][index[axis]]) for axis in axes]
    at = zip(reversed(lead), reversed(places), strict=False)
    pixels: Numbers = picture.pixels[tuple(min(place, n - 1) for n, place in at)[::-1]]
    return pixels


def _most(weights: Numbers, picture: Picture) -> str:
    names = picture.names()
    best = picture.skip + int(np.argmax(weights[picture.skip :]))
    text = f"most {weights[best]:.3f} at {names[best]}"
    if picture.skip:
        text += f", {weights[: picture.skip].sum():.3f} at the class token"
    return text


def colours(pixels: Numbers) -> Numbers:
    """`(h w c)` → `(h w 3)` from 0 to 1; a range beyond is scaled, odd channels become grey."""
    shown = np.asarray(pixels[..., :3] if pixels.shape[-1] in (3, 4) else pixels, dtype=np.float64)
    if shown.shape[-1] != 3:
        shown = np.repeat(np.mean(shown, axis=-1, keepdims=True), 3, axis=-1)
    low, high = float(shown.min()), float(shown.max())
    if low < 0 or high > 1:
        shown = (shown - low) / max(high - low, 1e-300)
    return shown


def panel(drawn: Iterator[Map], paper: Paper) -> Panel:
    """The maps beside the picture, under a heading; empty where there are none."""
    shown = list(islice(drawn, MOST_MAPS + 1))
    if not shown:
        return []
    first = shown[0]
    heading = paper.wrap(f"Where {paper.theirs(first.name)} looks,", paper.width - 2)
    light = "lighter" if paper.display.color else "fuller"
    panels = [_drawn(first.colours, "the picture", "", first, paper)]
    for one in shown[:MOST_MAPS]:
        title = paper.theirs(one.heading or "weights")
        panels.append(_drawn(ramp(one.shares), title, one.most, one, paper))
    lines = [paper.line(Span("  "), Span(text, "title")) for text in heading]
    lines.append(paper.line(Span(f"  {light} is more", "dim")))
    for row, block in enumerate(packed(panels, paper.width, 3)):
        lines += [*([paper.line()] if row else []), *block]
    if len(shown) > MOST_MAPS:
        lines.append(paper.line(Span(paper.own("  … more are left out"), "dim")))
    return lines


def ramp(share: Numbers) -> Numbers:
    """Colours `(… 3)` of shares from 0 to 1."""
    points, tones = [point for point, _ in RAMP], np.array([tone for _, tone in RAMP]) / 255
    return np.stack([np.interp(share, points, tones[:, c]) for c in range(3)], axis=-1)


def resampled(values: Numbers, rows: int, columns: int) -> Numbers:
    """`(h w c)` → `(rows columns c)`: each cell is the mean of the pixels that it covers."""
    for axis, n in ((0, rows), (1, columns)):
        size = values.shape[axis]
        if n == size:
            continue
        starts = np.arange(n) * size // n
        stops = np.maximum(starts + 1, -(-(np.arange(n) + 1) * size // n))
        values = np.stack(
            [values.take(range(a, b), axis).mean(axis) for a, b in zip(starts, stops, strict=True)],
            axis,
        )
    return values


def _drawn(image: Numbers, title: str, caption: str, of: Map, paper: Paper) -> Panel:
    """A picture of colours, with marks at the query's own row and column."""
    rows, columns = of.weights.shape
    blocks = paper.display.color and not paper.display.ascii
    room = min(paper.width - 4, WIDEST) // (1 if blocks else 2)
    zoom = max(1, min(WIDE // (1 if blocks else 2), room) // columns)
    across = columns * zoom if columns <= room else room
    down = max(1, round(rows * across / columns))
    cells = resampled(image, down, across)
    lines = _half_blocks(cells) if blocks else _shaded(cells, paper)
    top, side = ("v", ">") if paper.display.ascii else ("▾", "▸")
    marked: Panel = [paper.line(Span(f"  {title}", "dim"))]
    at = (-1, -1)
    if of.own is not None:
        column = (2 * of.own[1] + 1) * across // (2 * columns)
        row = (2 * of.own[0] + 1) * down // (2 * rows)
        at = (row // 2 if blocks else row, column if blocks else 2 * column)
        marked.append(paper.line(Span(" " * (2 + at[1])), Span(top, "title")))
    for number, line in enumerate(lines):
        mark = side if number == at[0] else " "
        marked.append(paper.line(Span(f"{mark} ", "title"), *line))
    wide = min(max(across if blocks else 2 * across, 20), paper.width - 2)
    marked += [paper.line(Span(f"  {text}", "dim")) for text in paper.wrap(caption, wide)]
    return marked


def _half_blocks(cells: Numbers) -> list[tuple[Span, ...]]:
    """Two rows a line: the upper in the colour of the letter, the lower in that behind it."""
    codes = [[_code(cell) for cell in row] for row in cells]
    lines = []
    for top in range(0, len(codes), 2):
        low = codes[top + 1] if top + 1 < len(codes) else [None] * len(codes[top])
        styles = [f"{a} on {b}" if b else a for a, b in zip(codes[top], low, strict=True)]
        lines.append(tuple(Span("▀" * len([*run]), style) for style, run in groupby(styles)))
    return lines


def _code(cell: Numbers) -> str:
    """A colour as `#rrggbb`."""
    r, g, b = (round(255 * min(max(float(part), 0.0), 1.0)) for part in cell)
    return f"#{r:02x}{g:02x}{b:02x}"


def _shaded(cells: Numbers, paper: Paper) -> list[tuple[Span, ...]]:
    """Two letters a cell, the fuller the lighter."""
    shades = ASCII_SHADES if paper.display.ascii else SHADES
    light = np.clip(cells @ np.array([0.299, 0.587, 0.114]), 0, 1)
    steps = np.minimum((light * len(shades)).astype(int), len(shades) - 1)
    return [(Span("".join(2 * shades[step] for step in row)),) for row in steps]
