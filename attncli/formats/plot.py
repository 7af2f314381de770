"""Curves of measurements against n, both axes logarithmic: in letters, and as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, floor, log10

from attncli.formats.display import Display
from attncli.solve import size_of

Points = Sequence[tuple[float, float]]
Curves = Mapping[str, Points]

HEIGHT = 9
MARKS, ASCII_MARKS = "●○×◆", "*ox+"
COLOURS = ("#5b5bd6", "#b45309", "#0f766e", "#be185d")


def lettered(title: str, unit: str, curves: Curves, display: Display) -> str:
    """A plot of at most `display.width` columns; a legend names the marks."""
    marks = ASCII_MARKS if display.ascii else MARKS
    axes = _Axes.of(curves)
    margin = 9
    width = max(10, min(display.width, 64) - margin)
    canvas = [[" "] * width for _ in range(HEIGHT)]

    def place(x: float, y: float) -> tuple[int, int]:
        across, up = axes.place(x, y)
        return round((1 - up) * (HEIGHT - 1)), round(across * (width - 1))

    for curve in curves.values():
        for (x, y), (to_x, to_y) in pairwise(sorted(curve)):
            (row, column), (to_row, to_column) = place(x, y), place(to_x, to_y)
            for step in range(column + 1, to_column):
                part = (step - column) / (to_column - column)
                at = round(row + part * (to_row - row))
                canvas[at][step] = "." if display.ascii else "·"
    for mark, curve in zip(marks, curves.values(), strict=False):
        for x, y in curve:
            row, column = place(x, y)
            canvas[row][column] = mark
    legend = "  ".join(f"{mark} {name}" for mark, name in zip(marks, curves, strict=False))
    lines = [f"{title}   {legend}"]
    for i, letters in enumerate(canvas):
        tick = amount(axes.at(1 - i / (HEIGHT - 1)), unit) if i % 4 == 0 else ""
        bar = "|" if display.ascii else "│"
        lines.append(f"{tick:>{margin - 2}} {bar}{''.join(letters)}".rstrip())
    ticks = [" "] * (width + 8)
    for x in axes.xs:
        _, column = place(x, axes.at(0))
        text = f"{x:g}"
        start = min(max(0, column - len(text) // 2), width - len(text))
        ticks[start : start + len(text)] = text
    lines.append(" " * margin + "".join(ticks).rstrip())
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class _Axes:
    """Both logarithmic: the places of x, and from where to where y goes, in powers of ten."""

    xs: Sequence[float]
    low: float
    high: float

    @classmethod
    def of(cls, curves: Curves) -> "_Axes":
        points = [point for curve in curves.values() for point in curve]
        logs = [log10(y) for _, y in points]
        low = min(logs) // 1 if max(logs) - min(logs) > 0.7 else min(logs) - 0.2
        return cls(sorted({x for x, _ in points}), low, max(max(logs) + 0.1, low + 0.5))

    def place(self, x: float, y: float) -> tuple[float, float]:
        """How far across and up a point lies, 0 to 1."""
        first, last = log10(self.xs[0]), log10(self.xs[-1])
        across = (log10(x) - first) / ((last - first) or 1)
        return across, (log10(y) - self.low) / (self.high - self.low)

    def at(self, up: float) -> float:
        """The y that lies so far up."""
        return float(10 ** (self.low + up * (self.high - self.low)))


def amount(value: float, unit: str) -> str:
    """`12 ms`, `340 MB`."""
    if unit == "B":
        return size_of(value).replace("bytes", "B")
    for factor, name in ((1, "s"), (1e3, "ms")):
        if value * factor >= 0.9995:  # below, three digits do not say 1000 of the next unit
            return f"{value * factor:.3g} {name}"
    return f"{value * 1e6:.3g} µs"


W, H, PAD = 360, 240, 56


def svg(plots: Sequence[tuple[str, str, Curves]], heading: str) -> str:
    """All plots beside each other on one page, for light and dark."""
    across = min(2, len(plots))
    rows = -(-len(plots) // across)
    width, height = across * (W + PAD) + PAD, rows * (H + PAD + 24) + 72
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        f"<title>{escape(heading)}</title>",
        "<style>text{font:13px system-ui,sans-serif;fill:#1c1c28}.dim{fill:#5c5c6c}"
        ".head{font-size:16px;font-weight:600}.paper{fill:#fff}.grid{stroke:#d8d8e2}"
        "@media (prefers-color-scheme:dark){text{fill:#ececf4}.dim{fill:#a8a8b8}"
        ".paper{fill:#16161e}.grid{stroke:#3a3a4a}}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
        f'<text class="head" x="{PAD}" y="30">{escape(heading)}</text>',
    ]
    for number, (title, unit, curves) in enumerate(plots):
        x = PAD + number % across * (W + PAD)
        y = 66 + number // across * (H + PAD + 24)
        body += _drawn(title, unit, curves, x, y)
    return "\n".join([*body, "</svg>"]) + "\n"


def _drawn(title: str, unit: str, curves: Curves, left: float, top: float) -> list[str]:
    axes = _Axes.of(curves)

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = axes.place(x, y)
        return left + 8 + across * (W - 96), top + H - up * (H - 20)

    parts = [f'<text x="{left}" y="{top - 6}">{escape(title)}</text>']
    for decade in range(ceil(axes.low), floor(axes.high) + 1):
        _, y = place(axes.xs[0], 10**decade)
        parts.append(
            f'<line class="grid" x1="{left}" x2="{left + W - 80}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="dim" x="{left + W - 76}" y="{y + 4:.1f}">'
            f"{amount(10**decade, unit)}</text>"
        )
    for x in axes.xs:
        across, _ = place(x, axes.at(0))
        middle = f'text-anchor="middle" x="{across:.1f}"'
        parts.append(f'<text class="dim" {middle} y="{top + H + 18}">{x:g}</text>')
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        dots = [place(x, y) for x, y in sorted(curve)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{line}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in dots]
        parts.append(
            f'<circle cx="{left + 8 + number * 90}" cy="{top + H + 34}" r="4" fill="{colour}"/>'
            f'<text x="{left + 18 + number * 90}" y="{top + H + 38}">{escape(name)}</text>'
        )
    return parts
