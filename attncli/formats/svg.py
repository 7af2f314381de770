"""The report as one SVG file without fonts or scripts from elsewhere.

A picture with a query in focus becomes maps of where that query looks; anything else the terminal
view, drawn by Rich.
"""

from collections.abc import Iterator
from html import escape
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from attncli.formats import table
from attncli.formats.display import Display, plain
from attncli.formats.maps import Map, maps, ramp
from attncli.formats.view import Numbers, views

if TYPE_CHECKING:
    from attncli.solve import Trace

SIDE = 240
"""Width of a map, in SVG units."""
GAP = 24
LINE = 18
ACROSS = 4
"""Maps beside each other."""
MOST_CELLS = 40_000
"""Rectangles of one map; a larger picture is drawn by means of its pixels."""

# Rich's own format, without the fonts that it would fetch.
TERMINAL = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" \
xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""

STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #1c1c28; }
.head { font-size: 16px; font-weight: 600; }
.dim { fill: #5c5c6c; }
.own { fill: none; stroke: #ffffff; stroke-width: 2; }
.halo { fill: none; stroke: #000000; stroke-width: 5; }
.paper { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  text { fill: #ececf4; } .dim { fill: #a8a8b8; } .paper { fill: #16161e; }
}
</style>"""


def render(trace: "Trace", display: Display) -> str:
    """The maps of a query in focus on a picture; else the terminal view."""
    drawn = [one for view in views(trace, display) for one in maps(view, trace)]
    text = _maps(drawn) if drawn else _terminal(trace, display)
    return text.encode("ascii", "xmlcharrefreplace").decode() if display.ascii else text


def _maps(drawn: list[Map]) -> str:
    first = drawn[0]
    rows, columns = first.weights.shape
    height = SIDE * rows / columns
    tiles = [("the picture", "", first.colours, True)]
    for one in drawn:
        title = ", ".join(filter(None, [one.layer, one.heading])) or "weights"
        tiles.append((title, one.most, ramp(one.shares), False))
    cell_w, cell_h = SIDE + GAP, height + 3 * LINE + GAP
    across = min(ACROSS, len(tiles))
    width = across * cell_w + GAP
    total = -(-len(tiles) // across) * cell_h + 2 * GAP + LINE
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {total:g}" '
        f'width="{width:g}" height="{total:g}" role="img">',
        f"<title>{_safe(f'Where {first.name} looks')}</title>",
        STYLE,
        f'<rect class="paper" width="{width:g}" height="{total:g}"/>',
        f'<text class="head" x="{GAP}" y="{GAP + 6}">{_safe(f"Where {first.name} looks")}</text>',
    ]
    for number, (title, caption, image, is_picture) in enumerate(tiles):
        x = GAP + number % across * cell_w
        y = GAP + LINE + number // across * cell_h
        top = y + LINE
        body.append(f'<text x="{x:g}" y="{y + 12:g}">{_safe(title)}</text>')
        body += _cells(image, x, top, height, None if is_picture else drawn[number - 1])
        if first.own is not None:
            body.append(_own(first.own, (rows, columns), x, top, height))
        for line, text in enumerate(filter(None, caption.split(", "))):
            below = top + height + 14 + line * 16
            body.append(f'<text class="dim" x="{x:g}" y="{below:g}">{_safe(text)}</text>')
    return "\n".join([*body, "</svg>"]) + "\n"


def _cells(image: Numbers, x: float, y: float, height: float, of: Map | None) -> Iterator[str]:
    """A rectangle a cell; one of weights says its number to whoever points at it."""
    while image.shape[0] * image.shape[1] > MOST_CELLS:
        image = image[::2, ::2]
    rows, columns = image.shape[:2]
    w, h = SIDE / columns, height / rows
    yield '<g shape-rendering="crispEdges">'
    for row, column in np.ndindex(rows, columns):
        r, g, b = (round(255 * float(part)) for part in image[row, column].clip(0, 1))
        place = f'x="{x + column * w:.2f}" y="{y + row * h:.2f}" width="{w:.2f}" height="{h:.2f}"'
        rect = f'<rect {place} fill="#{r:02x}{g:02x}{b:02x}"'
        if of is None or image.shape[:2] != of.weights.shape:
            yield rect + "/>"
        else:
            number = f"r{row}c{column}: {float(of.weights[row, column]):.6g}"
            yield f"{rect}><title>{number}</title></rect>"
    yield "</g>"


def _own(own: tuple[int, int], extent: tuple[int, int], x: float, y: float, height: float) -> str:
    """A frame around the query's own patch."""
    w, h = SIDE / extent[1], height / extent[0]
    place = f'x="{x + own[1] * w:.2f}" y="{y + own[0] * h:.2f}" width="{w:.2f}" height="{h:.2f}"'
    return f'<rect class="halo" {place}/><rect class="own" {place}/>'


def _safe(text: str) -> str:
    return escape(plain(text))


def _terminal(trace: "Trace", display: Display) -> str:
    from dataclasses import replace

    text = table.render(trace, replace(display, color=True))
    return recorded(text, display.width, trace.problem.presentation.title or "attncli")


def recorded(text: str, width: int, title: str) -> str:
    """What a terminal of this width shows of a text with ANSI colours, as SVG."""
    console = Console(
        width=width, file=StringIO(), record=True, color_system="truecolor", emoji=False
    )
    console.print(Text.from_ansi(text), soft_wrap=True)
    return console.export_svg(
        title=plain(title), theme=MONOKAI, code_format=TERMINAL, unique_id="attncli"
    )
