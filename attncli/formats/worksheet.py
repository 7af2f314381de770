"""Work sheets: what is given and asked, with blanks; and the key, with its arithmetic."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from attncli.formats.arithmetic import LATEX, TEXT, Arithmetic
from attncli.formats.letters import text as escaped
from attncli.formats.told import PREAMBLE
from attncli.worked import Working

if TYPE_CHECKING:
    from attncli.exercise import Exercise
    from attncli.solve import Trace

BLANK = "___"


@dataclass(frozen=True)
class Grid:
    """A table: its heading, the names beside and above it, and its cells as text."""

    heading: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...] = ()
    """The arithmetic of its cells, on a key."""


@dataclass(frozen=True)
class Sheet:
    """A work sheet, or its key."""

    title: str
    rule: str
    given: tuple[Grid, ...]
    asked: tuple[Grid, ...]
    command: str
    """What marks it."""


def sheet(exercise: "Exercise", trace: "Trace", source: str, *, key: bool, form: str) -> Sheet:
    """The sheet of an exercise, whose problem file is `source`; with its results as a key."""
    working = Working(trace.problem) if key else None
    given = [grid for name, value in _given(exercise) for grid in _plain(name, value)]
    asked = []
    for name in exercise.asked:
        step = trace.step(name)
        title = trace.title(step)
        heading = f"{title.title}  {title.formula}".strip()
        for place in np.ndindex(*step.value.shape[:-2]):
            part = f"{heading}, head {place[-1]}" if place else heading
            rows = trace.labels.names(name, step.axes[-2], step.value.shape[-2])
            columns = trace.labels.names(name, step.axes[-1], step.value.shape[-1])
            values = step.value[place]
            cells = tuple(
                tuple(number(value) if key else BLANK for value in row) for row in values.tolist()
            )
            lines = () if working is None else tuple(_lines(working, name, place, form))
            asked.append(Grid(part, rows, columns, cells, lines))
    return Sheet(
        exercise.title + (", the key" if key else ""),
        f"Weights are powers of {exercise.base}: {exercise.base}^s divided by their sum"
        + (", over the keys up to the query's own place" if "causal" in exercise.keys else ""),
        tuple(given),
        tuple(asked),
        f"attncli verify {source} ANSWERS.yaml --points",
    )


def _given(exercise: "Exercise") -> Iterator[tuple[str, object]]:
    keys = exercise.keys
    for name, title in (("input", "X"), ("query", "Q"), ("key", "K"), ("value", "V")):
        if name in keys:
            yield title, keys[name]
    for name, table in keys.get("projections", {}).items():
        yield f"W{name[0]}", table


def _plain(name: str, value: object) -> Iterator[Grid]:
    array = np.asarray(value)
    for place in np.ndindex(*array.shape[:-2]):
        cells = tuple(tuple(map(str, row)) for row in array[place].tolist())
        yield Grid(f"{name}, head {place[-1]}" if place else name, (), (), cells)


def _lines(working: Working, name: str, place: tuple[int, ...], form: str) -> Iterator[str]:
    shape = working.steps[name].value.shape[-2:]
    script = LATEX if form == "latex" else TEXT
    for cell in np.ndindex(*shape):
        arithmetic = Arithmetic.of(working, name, (*place, *cell), script=script)
        if not arithmetic.is_given:
            yield arithmetic.main()


def number(value: float) -> str:
    """A tidy number with the digits that it needs."""
    return f"{round(value, 6):g}"


# --- written


def answers(exercise: "Exercise", trace: "Trace", source: str, *, key: bool) -> str:
    """The asked steps as YAML: blanks (`_`) to be replaced by numbers, or the numbers."""
    lines = [
        f"# {exercise.title}: " + ("the key" if key else "put a number in place of each _"),
        f"# Powers of {exercise.base} instead of e; the problem is in {source}.",
        f"# attncli verify {source} THIS-FILE --points",
    ]
    for name in exercise.asked:
        step = trace.step(name)
        lines.append(f"{name}:" + f"    # {trace.title(step).formula}")
        lines += _nested(step.value.tolist(), "  ", key=key)
    return "\n".join(lines) + "\n"


def _nested(value: list[Any], indent: str, *, key: bool) -> list[str]:
    if value and isinstance(value[0], list) and isinstance(value[0][0], list):
        return [
            line
            for part in value
            for line in (f"{indent}-", *_nested(part, indent + "  ", key=key))
        ]
    rows = [", ".join(number(cell) if key else "_" for cell in row) for row in value]
    return [f"{indent}- [{row}]" for row in rows]


def markdown(page: Sheet) -> str:
    """A page that GitHub renders and a browser prints."""
    parts = [f"# {page.title}", page.rule + "."]
    parts += ["## Given", *(_table(grid) for grid in page.given), "## Asked"]
    for grid in page.asked:
        parts.append(_table(grid))
        if grid.lines:
            parts.append("```\n" + "\n".join(grid.lines) + "\n```")
    parts.append(f"Marked by `{page.command}`.")
    return "\n\n".join(parts) + "\n"


def _table(grid: Grid) -> str:
    columns = grid.columns or ("",) * len(grid.cells[0])
    rows = grid.rows or ("",) * len(grid.cells)
    lines = [("", *columns), ("---",) * (len(columns) + 1)]
    lines += [(name, *cells) for name, cells in zip(rows, grid.cells, strict=True)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"**{grid.heading}**\n\n{table.replace('_', chr(92) + '_')}"


def latex(page: Sheet) -> str:
    """A document that compiles with amsmath."""
    parts = [rf"\section*{{{escaped(page.title)}}}", escaped(page.rule + ".")]
    parts += [r"\subsection*{Given}", _row_of_matrices(page.given), r"\subsection*{Asked}"]
    for grid in page.asked:
        parts.append(rf"\noindent {escaped(grid.heading)}")
        parts.append(rf"\[ {_matrix(grid)} \]")
        if grid.lines:
            body = " \\\\\n".join(f"&{line}" for line in grid.lines)
            parts.append(f"\\begin{{align*}}\n{body}\n\\end{{align*}}")
    return PREAMBLE + "\n\n".join(parts) + "\n\\end{document}\n"


def _row_of_matrices(grids: tuple[Grid, ...]) -> str:
    rows = (rf"\text{{{escaped(grid.heading)}}} = {_matrix(grid)}" for grid in grids)
    return r"\[ " + r" \] \[ ".join(rows) + r" \]"


def _matrix(grid: Grid) -> str:
    blank = r"\underline{\hspace{3em}}"
    lines = [" & ".join(blank if c == BLANK else c for c in row) for row in grid.cells]
    return r"\begin{pmatrix} " + r" \\ ".join(lines) + r" \end{pmatrix}"


STYLE = """\
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
section { display: inline-block; vertical-align: top; margin: 0 2.5rem 1rem 0 }
h3 { font-size: 1rem; font-weight: 600; margin: 0 0 .3rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th { font-weight: 400; opacity: .75; padding: .1rem .6rem }
td { border: 1px solid; min-width: 3rem; height: 1.8rem; padding: 0 .6rem; text-align: right }
pre { font-size: .85rem; line-height: 1.35; overflow-x: auto }
@media print { body { margin: 0; max-width: none } }"""


def html(page: Sheet) -> str:
    """One page without anything from elsewhere, to print or to read."""
    title = escape(page.title)
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>{title}</h1>",
        f"<p>{escape(page.rule)}.</p>\n<h2>Given</h2>",
        *map(_section, page.given),
        "<h2>Asked</h2>",
        *map(_section, page.asked),
        f"<p>Marked by <code>{escape(page.command)}</code></p>\n</body>\n</html>",
    ]
    return "\n".join(parts) + "\n"


def _section(grid: Grid) -> str:
    rows = []
    if grid.columns:
        heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in grid.columns)
        rows.append(f"<tr><th></th>{heads}</tr>")
    for i, row in enumerate(grid.cells):
        name = f'<th scope="row">{escape(grid.rows[i])}</th>' if grid.rows else ""
        cells = "".join(f"<td>{'' if cell == BLANK else escape(cell)}</td>" for cell in row)
        rows.append(f"<tr>{name}{cells}</tr>")
    lines = f"<pre>{escape(chr(10).join(grid.lines))}</pre>" if grid.lines else ""
    table = "\n".join(rows)
    return (
        f"<section>\n<h3>{escape(grid.heading)}</h3>\n<table>\n{table}\n</table>{lines}\n</section>"
    )


PAGES: Mapping[str, Callable[[Sheet], str]] = {
    ".md": markdown,
    ".tex": latex,
    ".html": html,
}
"""The suffix of a work sheet that is printed → how it is written; `.yaml` is `answers`."""
