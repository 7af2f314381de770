"""The report as a LaTeX article that needs amsmath and nothing else.

Each step: its formula, its tables as labelled matrices, and some of its numbers worked. A matrix
wider than the page goes on below; no number is cut.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attncli.formats.arithmetic import LATEX, Arithmetic
from attncli.formats.blocks import MOST_TABLES, shape_of
from attncli.formats.cells import Table, cut, tables
from attncli.formats.display import Display, plain
from attncli.formats.layout import Paper
from attncli.formats.letters import formula, text, width
from attncli.formats.markdown import EDGE, MOST
from attncli.formats.origins import Sheet, places, working
from attncli.formats.view import View, numbered, title_of

if TYPE_CHECKING:
    from attncli.solve import Trace
    from attncli.worked import Working

ROOM = 68
"""Digits of a matrix that fit beside each other on the page."""
LONGEST = 24
"""Digits as wide as the widest label; a longer one is cut."""
MOST_WORKED = 4
"""Numbers of a step that are worked: those of one vector."""
LONG_LINE = 120
LONGEST_LINE = 900
"""Characters of LaTeX: what is longer may break inside brackets, or is no help to anyone."""

PREAMBLE = r"""\documentclass[11pt,a4paper,fleqn]{article}
\usepackage{amsmath}
\setlength{\textwidth}{17cm}
\setlength{\oddsidemargin}{-0.5cm}
\setlength{\topmargin}{-1.5cm}
\setlength{\textheight}{25cm}
\setlength{\parindent}{0pt}
\setlength{\parskip}{5pt}
\setlength{\arraycolsep}{4pt}
\renewcommand{\arraystretch}{1.15}
\raggedright
\begin{document}
"""


def render(trace: "Trace", display: Display) -> str:
    """The article; ASCII, whatever the labels."""
    title = title_of(trace)
    facts = r" \(\cdot\) ".join(map(text, [trace.notation, *trace.problem.facts()]))
    worked = working(trace)
    parts = [rf"{{\LARGE {text(title)}\par}}", facts]
    for number, view in numbered(trace, display):
        parts += _step(number, view, trace, display, worked)
    if trace.notes:
        parts += [r"\bigskip", *(text(note) for note in trace.notes)]
    return PREAMBLE + "\n" + "\n\n".join(parts) + "\n\n\\end{document}\n"


def _step(
    number: str, view: View, trace: "Trace", display: Display, worked: "Working | None"
) -> Iterator[str]:
    title = trace.title(view.step)
    heading = f"{number}\\quad {text(title.title)}" if number else text(title.title)
    if title.formula:
        heading += rf"\quad \mdseries\(\displaystyle {formula(title.formula)}\)"
    yield rf"\subsection*{{{heading}}}"
    tabular = view.tabular(trace.notation)
    if 0 in tabular.value.shape:
        yield "empty"
        return
    shape = shape_of(tabular, trace, display.digits)
    limits = {"most": MOST, "edge": EDGE, "limit": MOST_TABLES}
    shown = [*tables(tabular, shape, display.digits, **limits)]
    for table in shown:
        if table.heading:
            yield rf"\textit{{{text(table.heading)}}}"
        yield from _matrices(table, display)
    if left_out := cut(tabular, **limits):
        yield rf"\dots{{}} {text(', '.join(left_out))} left out"
    if worked is not None:
        yield from _worked(view, tabular, shown[0], trace, display, worked)


def _matrices(table: Table, display: Display) -> Iterator[str]:
    """The table, as many columns beside each other as the page takes, then the next ones."""
    rows = _short(table.row_names, table.rows.tolist(), display)
    names = _short(table.column_names, table.columns.tolist(), display)
    columns = [[*column] for column in zip(*table.cells, strict=True)]
    heads = names or [""] * len(columns)
    feet = table.column_sums or [""] * len(columns)
    widths = [
        max(width(head), *map(len, (foot, *column))) + 2
        for head, foot, column in zip(heads, feet, columns, strict=True)
    ]
    room = ROOM - max(map(width, rows), default=0) - (8 if table.row_sums else 0)
    start = 0
    while start < len(columns):
        stop = start + 1
        while stop < len(columns) and sum(widths[start : stop + 1]) <= room:
            stop += 1
        yield _matrix(table, rows, heads if names else [], columns, feet, range(start, stop))
        start = stop


def _matrix(
    table: Table,
    rows: Sequence[str],
    names: Sequence[str],
    columns: Sequence[Sequence[str]],
    feet: Sequence[str],
    shown: range,
) -> str:
    """Some columns of a table as an array with its labels."""
    lines = [[_number(columns[j][i]) for j in shown] for i in range(len(columns[0]))]
    head = [_label(names[j]) for j in shown] if names else []
    foot = [_number(feet[j]) for j in shown]
    gap, is_last = table.column_gap, shown.stop == len(columns)
    if gap is not None and shown.start < gap <= shown.stop:
        at = gap - shown.start
        for line, dots in (*((line, r"\cdots") for line in lines), (head, r"\cdots"), (foot, "")):
            if line:
                line.insert(at, dots)
    wide = len(lines[0])
    layout = ("r|" if rows else "") + "r" * wide
    if is_last and table.row_sums:
        layout += "|r"
        head = [*head, r"\Sigma"] if head else []
        lines = [[*line, _number(s)] for line, s in zip(lines, table.row_sums, strict=True)]
    if table.row_gap is not None:
        lines.insert(table.row_gap, [r"\vdots"] * len(lines[0]))
        rows = [*rows[: table.row_gap], "", *rows[table.row_gap :]] if rows else rows
    if rows:
        labels = [_label(name) if name else "" for name in rows]
        lines = [[label, *line] for label, line in zip(labels, lines, strict=True)]
        head = ["", *head] if head else []
    body = [" & ".join(line) + r" \\" for line in lines]
    if head:
        body.insert(0, " & ".join(head) + r" \\ \hline")
    if table.column_sums:
        body.append(r"\hline " + " & ".join([r"\Sigma", *foot] if rows else foot) + r" \\")
    return "\n".join([r"\[", rf"\begin{{array}}{{{layout}}}", *body, r"\end{array}", r"\]"])


def _short(names: Sequence[str], places: Sequence[int], display: Display) -> list[str]:
    """The names, cut where they are long; those that differ stay different."""
    at = places[: len(names)]
    return Paper(display, width).shorten([plain(name) for name in names], at, LONGEST)


def _label(name: str) -> str:
    return rf"\text{{{text(name)}}}"


def _number(number: str) -> str:
    """A number of a table in mathematics."""
    signs = {"·": r"\cdot", "−∞": r"-\infty", "∞": r"\infty", "nan": r"\text{nan}"}
    mantissa, e, exponent = number.partition("e")
    if number in signs or not e:
        return signs.get(number, number)
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}"


def _worked(
    view: View,
    tabular: View,
    table: Table,
    trace: "Trace",
    display: Display,
    worked: "Working",
) -> Iterator[str]:
    """The arithmetic of one vector: the first, or the last where the first ones see little."""
    ids = places(Sheet(view, (table.rows, table.columns), 1), trace, worked)
    if ids is None:
        return
    is_down = tabular.is_turned(trace.notation)
    at = -1 if trace.problem.settings().get("causal") else 0
    names = [
        _short(table.row_names, table.rows.tolist(), display),
        _short(table.column_names, table.columns.tolist(), display),
    ]
    numbered = ids[0].T if is_down else ids[0]
    extent = tuple(worked.steps[view.name].value.shape)
    for place, cell in enumerate(numbered[at][:MOST_WORKED].tolist()):
        index = tuple(int(i) for i in np.unravel_index(cell, extent))
        arithmetic = Arithmetic.of(worked, view.name, index, display.digits, LATEX)
        lines = [] if arithmetic.is_given else [arithmetic.main(), *arithmetic.beside()]
        if lines and sum(map(len, lines)) <= LONGEST_LINE:
            own, other = names[:: -1 if is_down else 1]
            pair = [own[at] if own else "", other[place] if other else ""]
            name = text(", ".join(filter(None, pair)))
            lines = [rf"\(\displaystyle {_breakable(line)}\)" for line in lines]
            yield rf"\hspace*{{\mathindent}}{name}{':' * bool(name)}\quad " + "; ".join(lines)


def _breakable(line: str) -> str:
    """Arithmetic that may go on in a next line: TeX breaks nothing between left and right."""
    line = re.sub(r"^(largest|mean|variance)", r"\\text{\1}", line)
    if len(line) > LONG_LINE:
        line = line.replace(r"\left(", "(").replace(r"\right)", ")")
    return line
