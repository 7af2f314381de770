"""Markdown for pages on GitHub: one table for each step, head and batch entry."""

import re
from typing import TYPE_CHECKING

from attncli.formats.blocks import MOST_TABLES, shape_of
from attncli.formats.cells import Table, cut, tables
from attncli.formats.display import Display, plain, spelled
from attncli.formats.view import View, numbered, title_of

if TYPE_CHECKING:
    from attncli.solve import Trace

MOST = 24
EDGE = 8
"""First and last rows and columns of a table that has more than `MOST`."""
SPECIAL = re.compile(r"[\\`*_{}\[\]#~$]")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "@": "&#64;"}
LINKS = (("://", "&#58;//"), ("www.", "www&#46;"))
EMOJI = re.compile(r":(?=[\w+\\-]+:)")
BLOCK = re.compile(r"^(\d{0,9})([-+.)])(?=\s|$)")
"""What begins a list."""


def render(trace: "Trace", display: Display) -> str:
    """A heading, what was computed, and the steps."""
    own = spelled if display.ascii else str
    title = title_of(trace)
    facts = " · ".join([trace.notation, *trace.problem.facts()])
    parts = [f"## {_text(title, display)}", own(facts).replace("*", "\\*")]
    for number, view in numbered(trace, display):
        parts += _step(view, trace, display, number)
    if trace.notes:
        parts.append("\n".join(f"- {_text(own(note), display)}" for note in trace.notes))
    return "\n\n".join(parts) + "\n"


def _step(view: View, trace: "Trace", display: Display, number: str) -> list[str]:
    own = spelled if display.ascii else str
    title = trace.title(view.step)
    formula = f": `{own(title.formula)}`" if title.formula else ""
    parts = [f"### {number} {_text(title.title, display)}{formula}".replace("#  ", "# ")]
    view = view.tabular(trace.notation)
    if 0 in view.value.shape:
        return [*parts, "empty"]
    shape = shape_of(view, trace, display.digits)
    for table in tables(view, shape, display.digits, most=MOST, edge=EDGE, limit=MOST_TABLES):
        if heading := table.heading:
            heading = heading.replace(" · ", ", ") if display.ascii else heading
            parts.append(f"**{_text(heading, display)}**")
        parts.append(_table(table, display))
    if left_out := cut(view, most=MOST, edge=EDGE, limit=MOST_TABLES):
        parts.append(own(f"… {', '.join(left_out)} left out"))
    return parts


def _table(table: Table, display: Display) -> str:
    marks = {"−∞": "-inf", "∞": "inf", "·": "."} if display.ascii else {}
    sigma, dots = ("sum", "...") if display.ascii else ("Σ", "…")
    row_names = [_text(name, display) for name in table.row_names]
    names = [_text(name, display) for name in table.column_names] or [""] * len(table.columns)
    lines = [[marks.get(text, text) for text in row] for row in table.cells]
    if row_names:
        lines = [[name, *line] for name, line in zip(row_names, lines, strict=True)]
        names = ["", *names]
    if table.row_sums:
        names.append(sigma)
        lines = [[*line, total] for line, total in zip(lines, table.row_sums, strict=True)]
    if table.column_sums:
        lines.append([sigma, *table.column_sums] if row_names else table.column_sums)
    if table.column_gap is not None:
        for line in (names, *lines):
            line.insert(table.column_gap + bool(row_names), dots)
    if table.row_gap is not None:
        lines.insert(table.row_gap, [dots] * len(names))
    ruler = ["---:"] * len(names)
    if row_names:
        ruler[0] = ":---"
    return "\n".join("| " + " | ".join(line) + " |" for line in (names, ruler, *lines))


def _text(text: str, display: Display) -> str:
    return inert(text, ascii=display.ascii)


def inert(text: str, *, ascii: bool = False) -> str:
    """A text of an input that GitHub shows as it is: no markup, no HTML, no mention, no link."""
    text = SPECIAL.sub(r"\\\g<0>", plain(text, ascii=ascii))
    text = "".join(ENTITIES.get(letter, letter) for letter in text)
    for link, broken in LINKS:
        text = text.replace(link, broken)
    text = EMOJI.sub("&#58;", text)
    return BLOCK.sub(r"\1\\\2", text)
