"""Corrected answer sheets: one line a sheet for people, or JSON and CSV for a whole class."""

import csv
from collections.abc import Sequence
from io import StringIO
from typing import Any

from rich.cells import cell_len

from attncli.formats.csv import harmless
from attncli.formats.display import Display, plain, spelled
from attncli.formats.json import finite
from attncli.formats.layout import Panel, Paper, Span, fitting, missing
from attncli.formats.table import written
from attncli.oracle.marking import Marked, Mistake

SIGNS = {"right": "✓", "carried": "→", "wrong": "✗", "missing": "·"}
ASCII_SIGNS = {"right": "+", "carried": ">", "wrong": "x", "missing": "."}
LEGEND = "✓ right   → right given an earlier mistake   ✗ wrong   · missing"
ASCII_LEGEND = "+ right   > right given an earlier mistake   x wrong   . missing"


def text(sheets: Sequence[Marked], display: Display) -> str:
    """A header, one line a sheet, and what the signs mean."""
    own = spelled if display.ascii else str
    signs = ASCII_SIGNS if display.ascii else SIGNS
    names = _steps(sheets)
    rows = [["sheet", "points", *names, "first mistake"]]
    for sheet in sheets:
        row = [plain(sheet.source, ascii=display.ascii)]
        if sheet.problem:
            rows.append([*row, "–", *[""] * len(names), plain(sheet.problem, ascii=display.ascii)])
            continue
        row.append(f"{sheet.points}/{len(sheet.marks)}")
        row += [signs[sheet.marks[name]] if name in sheet.marks else "" for name in names]
        rows.append([*row, _remark(sheet, display)])
    paper = Paper(display, cell_len)
    widths = [max(map(paper.measure, column)) for column in zip(*rows, strict=True)]
    shown = fitting(widths, paper, len(widths) - 1)
    is_beside = shown == len(widths)  # else a remark stands below its sheet
    if not is_beside:
        shown = fitting(widths[:-1], paper, 2)
    lines: Panel = []
    for row in rows:
        cells = zip(row[:shown], widths, strict=False)
        lines.append(paper.line(Span("  ".join(paper.pad(own(c), width) for c, width in cells))))
        if not is_beside and row is not rows[0]:
            remark = paper.wrap(row[-1], paper.width - 4)
            lines += [paper.line(Span(f"    {part}")) for part in remark]
    lines += missing(rows[0][shown:-1], paper)
    legend = ASCII_LEGEND if display.ascii else LEGEND
    return written([*lines, paper.line(), *paper.prose(legend)], display)


def _remark(sheet: Marked, display: Display) -> str:
    if sheet.first is None:
        return ""
    first = sheet.first
    place = f"{first.step}{list(first.place)}" if first.place else first.step
    told = f"{place}: {_should(first)}"
    if sheet.slip is not None:
        told += f" (as if {sheet.slip.sentence})"
    return spelled(told) if display.ascii else told


def _should(first: Mistake) -> str:
    if first.remark:
        return first.remark
    ours, theirs = _short(first.expected), _short(first.written)
    if not first.arithmetic:
        return f"{ours}, not {theirs}"
    return f"{first.arithmetic}, not {theirs}"


def _short(value: float) -> str:
    return f"{value:.4g}".replace("-", "−").replace("−inf", "−∞").replace("inf", "∞")


def _steps(sheets: Sequence[Marked]) -> list[str]:
    """Every step of the problem, in order."""
    return list(dict.fromkeys(name for sheet in sheets for name in sheet.marks))


def as_json(sheets: Sequence[Marked]) -> list[dict[str, Any]]:
    """One object a sheet; numbers that JSON lacks are null."""
    return [
        {
            "sheet": sheet.source,
            "points": None if sheet.problem else sheet.points,
            "of": len(sheet.marks),
            "steps": dict(sheet.marks),
            "first": _mistake(sheet.first),
            "slip": None
            if sheet.slip is None
            else {"name": sheet.slip.name, "sentence": sheet.slip.sentence},
            "error": sheet.problem or None,
        }
        for sheet in sheets
    ]


def _mistake(first: Mistake | None) -> dict[str, Any] | None:
    if first is None:
        return None
    return {
        "step": first.step,
        "place": list(first.place),
        "expected": finite(first.expected),
        "written": finite(first.written),
        "arithmetic": first.arithmetic or first.remark,
    }


def as_csv(sheets: Sequence[Marked]) -> str:
    """One line a sheet: points, a column a step, the first wrong cell, the slip."""
    names = _steps(sheets)
    lines = StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    last = ["first_step", "first_place", "expected", "written", "arithmetic", "slip", "error"]
    writer.writerow(["sheet", "points", "of", *names, *last])
    for sheet in sheets:
        first = sheet.first
        cells: list[Any] = [harmless(sheet.source)]
        cells += ["", ""] if sheet.problem else [sheet.points, len(sheet.marks)]
        cells += [sheet.marks.get(name, "") for name in names]
        if first is None:
            cells += [""] * 5
        else:
            place = " ".join(map(str, first.place))
            numbers = [repr(first.expected), repr(first.written)]
            cells += [first.step, place, *numbers, first.arithmetic or first.remark]
        cells += [sheet.slip.name if sheet.slip else "", harmless(sheet.problem)]
        writer.writerow(cells)
    return lines.getvalue()
