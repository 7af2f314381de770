"""The report as one HTML page that needs nothing else: no network, no fonts, no library.

Every step is a shaded table. Pointing at a number, or walking there with the arrow keys, shows how
it was made and where from. Without its script the page still shows the first table of each step.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from attncli import __version__
from attncli.core.labels import plural
from attncli.formats.blocks import STAGES, shape_of
from attncli.formats.cells import Table, cut, tables
from attncli.formats.display import Display, plain
from attncli.formats.grid import Shape
from attncli.formats.numbers import exact
from attncli.formats.origins import Origin, Origins, Sheet
from attncli.formats.view import Numbers, Positions, View, numbered, title_of

if TYPE_CHECKING:
    from attncli.formats.titles import Title
    from attncli.solve import Trace

MOST, EDGE = 64, 32
"""A longer axis shows its first and last `EDGE` places …"""
MOST_OF_MANY, EDGE_OF_MANY = 24, 8
"""… and these where the page would have more than `MOST_CELLS` cells at once."""
MOST_CELLS = 60_000
MOST_TABLES = 64
"""Heads and batch entries of one step that can be picked."""
STRONG, WEAK = 8, 5
"""Levels of shade: of weights, which are the point of the page, and of all other numbers."""
WIDE = 12
"""Columns beyond which a table is set closer."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The browser itself holds the page to its promise: nothing is fetched."""


@dataclass(frozen=True, eq=False)
class Part:
    """A step on the page."""

    number: str
    title: "Title"
    view: View
    """Tabular."""
    is_turned: bool
    shape: Shape | None
    tables: list[Table]
    cut: list[str]


def render(trace: "Trace", display: Display) -> str:
    """The page. It never has a character that an input could use as markup."""
    parts, sheets = _parts(trace, display)
    origins = Origins(trace, sheets, display.digits)
    title = plain(title_of(trace))
    facts = [trace.notation, *trace.problem.facts()]
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_asset('page.css')}</style>",
        "</head>",
        "<body>",
        f"<header>\n<h1>{escape(title)}</h1>",
        f'<p class="facts">{"".join(f"<span>{escape(plain(fact))}</span>" for fact in facts)}</p>',
        "</header>",
        *_picks(_axes(parts)),
        "<main>",
        *_stages(parts),
        "</main>",
        *_notes(trace),
        *_footer(origins, display),
        '<aside class="readout idle" aria-live="polite" hidden></aside>',
    ]
    body = "\n".join(lines)
    data = _data(parts, origins)
    if display.ascii:
        body = body.encode("ascii", "xmlcharrefreplace").decode("ascii")
        data = "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in data)
    # Inside a script nothing is an entity; a < could end it.
    data = data.replace("<", "\\u003c").replace("&", "\\u0026")
    return (
        f'{body}\n<script type="application/json" id="report">{data}</script>\n'
        f"<script>\n{_asset('page.js')}</script>\n</body>\n</html>\n"
    )


def _asset(name: str) -> str:
    return files("attncli.formats").joinpath("page", name).read_text(encoding="utf-8")


def _parts(trace: "Trace", display: Display) -> tuple[list[Part], list[Sheet]]:
    """The steps, and the places of theirs that the page shows."""
    shown = [
        (number, view, view.tabular(trace.notation)) for number, view in numbered(trace, display)
    ]
    at_once = sum(min(a, MOST) * min(b, MOST) for _, _, v in shown for a, b in [v.value.shape[-2:]])
    most, edge = (MOST, EDGE) if at_once <= MOST_CELLS else (MOST_OF_MANY, EDGE_OF_MANY)
    parts, sheets = [], []
    for number, view, tabular in shown:
        title = trace.title(view.step)
        is_turned = tabular.is_turned(trace.notation)
        if 0 in tabular.value.shape:
            parts.append(Part(number, title, tabular, is_turned, None, [], []))
            sheets.append(Sheet(view, (np.arange(0), np.arange(0)), 0))
            continue
        shape = shape_of(tabular, trace, display.digits)
        made = [*tables(tabular, shape, display.digits, most=most, edge=edge, limit=MOST_TABLES)]
        left_out = cut(tabular, most=most, edge=edge, limit=MOST_TABLES)
        parts.append(Part(number, title, tabular, is_turned, shape, made, left_out))
        sheets.append(Sheet(view, (made[0].rows, made[0].columns), len(made)))
    return parts, sheets


def _axes(parts: Sequence[Part]) -> dict[str, list[str]]:
    """The axes that have several tables, and the names of their places."""
    axes: dict[str, list[str]] = {}
    for part in parts:
        for axis, name in enumerate(part.view.axes[:-2]):
            n = part.view.value.shape[axis]
            if len(part.tables) == 0 or n == 1 or n <= len(axes.get(name, ())):
                continue
            given = part.view.names(axis, np.arange(n), 0)
            axes[name] = [*given] if given else [str(place) for place in part.view.places[axis]]
    return axes


def _picks(axes: dict[str, list[str]]) -> Iterator[str]:
    """A row of buttons an axis; they are radio buttons, so that the keyboard knows them."""
    if not axes:
        return
    yield '<form class="picks" hidden>'
    for axis, names in axes.items():
        yield f"<fieldset><legend>{escape(axis)}</legend>"
        for place, name in enumerate(names):
            checked = " checked" if place == 0 else ""
            yield (
                f'<label><input type="radio" name="{escape(axis)}" value="{place}"{checked}>'
                f"<span>{_text(name)}</span></label>"
            )
        yield "</fieldset>"
    yield "</form>"


def _stages(parts: Sequence[Part]) -> Iterator[str]:
    """The sections; those of one stage beside each other where there is room."""
    within = ""
    for _, stage in groupby(enumerate(parts), lambda item: _stage(item[1].view)):
        shown = [*stage]
        # "Queries, layer 0, self-attention": what a stage is in is said once.
        inside = shown[0][1].title.title.partition(", ")[2]
        if inside and inside != within:
            yield f'<h2 class="group">{escape(inside[:1].upper() + inside[1:])}</h2>'
        within = inside
        yield '<div class="stage">'
        for number, part in shown:
            yield from _section(number, part)
        yield "</div>"


def _stage(view: View) -> tuple[str, ...]:
    base = view.step.base
    # Steps that belong to no stage follow each other like lines of a text.
    return (view.step.recipe, *next((names for names in STAGES if base in names), ()))


def _section(number: int, part: Part) -> Iterator[str]:
    title = escape(part.title.title)
    short = escape(part.title.title.partition(", ")[0])
    yield f'<section class="step" id="step-{number}">'
    count = f'<span class="number">{part.number}</span> ' if part.number else ""
    which = _text(part.tables[0].heading) if len(part.tables) > 1 else ""
    of = f' <span class="which">{which}</span>' if which else ""
    yield f"<h2>{count}{short}{of}</h2>"
    formula = escape(part.title.formula)
    yield f'<p class="formula">{formula}</p>' if formula else ""
    if not part.tables:
        yield '<p class="cut">empty</p></section>'
        return
    first = part.tables[0]
    dense = " dense" if len(first.columns) > WIDE else ""
    yield f'<div class="scroll"><div class="sheet{dense}" style="--chars: {_characters(first)}">'
    yield f'<table role="grid" aria-label="{title}">'
    yield from _head(part, first)
    yield "<tbody>"
    yield from _body(part, first)
    yield "</tbody></table></div></div>"
    if part.cut:
        yield f'<p class="cut">… {escape(", ".join(part.cut))} left out</p>'
    yield "</section>"


def _characters(table: Table) -> int:
    """About how wide the table is, so that print can make it fit."""
    names = max(map(len, table.row_names), default=0)
    widths = [max(map(len, column)) for column in zip(*table.cells, strict=True)]
    heads = map(len, table.column_names or [""] * len(widths))
    return names + sum(max(pair) + 2 for pair in zip(widths, heads, strict=True)) + 8


def _head(part: Part, table: Table) -> Iterator[str]:
    """What the axes are, then the names of the columns."""
    down, across = (plural(axis) if axis else "" for axis in part.view.axes[-2:])
    names = [f'<th scope="col">{_text(name)}</th>' for name in table.column_names]
    wide = len(table.columns) + (table.column_gap is not None) + bool(table.row_sums)
    corner = [f'<td class="corner">{down}</td>'] if table.row_names else []
    if table.column_gap is not None and names:
        names.insert(table.column_gap, '<td class="gap">…</td>')
    if table.row_sums:
        names.append('<td class="sigma">Σ</td>')
    yield "<thead>"
    blank = '<td class="corner"></td>' if corner and names else "".join(corner)
    yield f'<tr class="axis">{blank}<td colspan="{wide}">{across}</td></tr>'
    if names:
        yield f"<tr>{''.join([*corner, *names])}</tr>"
    yield "</thead>"


def _body(part: Part, table: Table) -> Iterator[str]:
    shades = _shades(part, table)
    n_columns = len(table.columns)
    for row, texts in enumerate(table.cells):
        if row == table.row_gap:
            wide = n_columns + (table.column_gap is not None) + bool(table.row_sums)
            blank = '<td class="gap"></td>' if table.row_names else ""
            yield f"<tr>{blank}{'<td class=gap>⋮</td>' * wide}</tr>"
        cells = [
            f'<td class="s{shades[row * n_columns + column]}">{_number(text)}</td>'
            for column, text in enumerate(texts)
        ]
        if table.column_gap is not None:
            cells.insert(table.column_gap, '<td class="gap">…</td>')
        if table.row_names:
            cells.insert(0, f'<th scope="row">{_text(table.row_names[row])}</th>')
        if table.row_sums:
            cells.append(f'<td class="sum">{_number(table.row_sums[row])}</td>')
        yield f"<tr>{''.join(cells)}</tr>"
    if table.column_sums:
        cells = [f'<td class="sum">{_number(text)}</td>' for text in table.column_sums]
        if table.column_gap is not None:
            cells.insert(table.column_gap, '<td class="gap">…</td>')
        sigma = '<td class="sigma">Σ</td>' if table.row_names else ""
        yield f"<tr>{sigma}{''.join(cells)}</tr>"


def _number(text: str) -> str:
    """As people read it: a true minus; what is masked is a dot."""
    return "·" if text == "−∞" else text.replace("-", "−")


def _text(text: str) -> str:
    return escape(plain(text))


def _shades(part: Part, table: Table) -> str:
    """A letter a cell: `0` … up to the largest number of the table, `a` … for negative ones."""
    values = _values(part, table).astype(np.float64)
    whole = part.view.value[table.index]
    whole = np.abs(whole[np.isfinite(whole)])
    largest = float(whole.max()) if whole.size else 0.0
    levels = STRONG if part.view.step.base == "weights" else WEAK
    if part.view.axes[-1] == "measure":
        levels = 0  # its columns are different things
    with np.errstate(invalid="ignore", over="ignore"):
        share = np.where(np.isfinite(values), values, 0.0) / (largest or 1.0)
    steps = np.rint(np.abs(share) * levels).clip(0, levels).astype(int)
    pairs = zip(share.ravel().tolist(), steps.ravel().tolist(), strict=True)
    return "".join("0abcdefgh"[step] if value < 0 else str(step) for value, step in pairs)


def _values(part: Part, table: Table) -> Numbers:
    values: Numbers = part.view.value[table.index][np.ix_(table.rows, table.columns)]
    return values


def _notes(trace: "Trace") -> Iterator[str]:
    if trace.notes:
        yield '<ul class="notes">'
        yield from (f"<li>{_text(note)}</li>" for note in trace.notes)
        yield "</ul>"


def _footer(origins: Origins, display: Display) -> Iterator[str]:
    rounded = f"Numbers to {display.digits} decimals; pointing at one shows it exactly. "
    rounded += "The fullest shade is the largest number of a table, grey is negative."
    if origins.worked < origins.total:
        has = _spaced(origins.worked) if origins.worked else "none"
        rounded += (
            f" Of {_spaced(origins.total)} numbers, the arithmetic of {has} is in this page:"
            " --steps and --focus choose others."
        )
    yield f"<footer><p>{escape(rounded)}</p><p>attncli {__version__}</p></footer>"


def _spaced(n: int) -> str:
    """A count for people: 16 384."""
    return f"{n:,}".replace(",", " ")


def _data(parts: Sequence[Part], origins: Origins) -> str:
    """All tables for the script: texts, shades, exact numbers, names, arithmetic."""
    axes = {name: len(places) for name, places in _axes(parts).items()}
    steps = [_step_data(i, part, origins) for i, part in enumerate(parts)]
    return f'{{"axes":{_json(axes)},"steps":[{",".join(steps)}]}}'


def _step_data(number: int, part: Part, origins: Origins) -> str:
    lead = part.view.axes[:-2]
    counts = part.view.value.shape[:-2]
    entries = [
        _table_data(part, table, origins.tables.get((number, i)), i)
        for i, table in enumerate(part.tables)
    ]
    about = {
        "name": part.view.name,
        "title": part.title.title,
        "axes": lead,
        "counts": counts,
        "columns": len(part.tables[0].columns) if part.tables else 0,
        "turned": part.is_turned,
        "weights": part.view.step.base == "weights",
    }
    return f'{_json(about)[:-1]},"tables":[{",".join(entries)}]}}'


def _table_data(part: Part, table: Table, origin: Origin | None, place: int) -> str:
    texts = [_number(text) for row in table.cells for text in row]
    values = _values(part, table)
    numbers = exact(values)
    for i in np.flatnonzero(~np.isfinite(values)):
        numbers[i] = "null"
    first = part.tables[0]
    about: dict[str, Any] = {
        "heading": plain(table.heading),
        "text": " ".join(texts),
        "shade": _shades(part, table),
        "sums": [_number(text) for text in table.row_sums or table.column_sums],
    }
    if place == 0 or table.row_names != first.row_names:
        about["rows"] = _said(part, -2, table.rows, table.row_names)
    if place == 0 or table.column_names != first.column_names:
        about["names"] = _said(part, -1, table.columns, table.column_names)
    if origin is not None:
        about["line"] = origin.lines
        about["from"] = origin.boxes
    return f'{_json(about)[:-1]},"value":[{",".join(numbers)}]}}'


def _said(part: Part, axis: int, shown: Positions, names: Sequence[str]) -> list[str]:
    """What the rows or columns are called; those without a name by their position."""
    if names:
        return [plain(name) for name in names]
    what = part.view.axes[axis]
    return [f"{what} {place}" if what else "" for place in part.view.places[axis][shown].tolist()]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
