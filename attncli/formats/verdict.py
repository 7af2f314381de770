"""The report of `verify`: how near each step is, where errors lie, and what explains them."""

import json
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len

from attncli.core.labels import Labels
from attncli.core.shapes import by
from attncli.formats.display import Display
from attncli.formats.json import finite
from attncli.formats.layout import Panel, Paper, Span, fitting, missing, packed
from attncli.formats.table import written
from attncli.oracle.compare import Comparison
from attncli.oracle.pattern import pictures, sentence
from attncli.oracle.verdict import Verdict

MOST_SLIPS = 5


def text(verdict: Verdict, display: Display, source: str, labels: Labels) -> str:
    """The report for people, its lines at most `display.width` cells wide."""
    paper = Paper(display, cell_len)
    word = "the same" if verdict.same else "different"
    head = paper.theirs(f"{verdict.source} against {source or 'the problem'}") + f": {word}"
    lines: Panel = [paper.line(Span(line, "head")) for line in paper.wrap(head, paper.width)]
    lines += paper.prose(f"allowed: {verdict.precision}", "dim")
    lines += [paper.rule(), *_table(verdict.comparisons, paper)]
    wrong = [comparison for comparison in verdict.comparisons if not comparison.same]
    if wrong:
        lines += [paper.line(), *_first(wrong[0], paper, labels), *_where(wrong[0], paper)]
        lines += [paper.line(), *_explained(verdict, paper)]
    return written(lines, display)


def _table(comparisons: Sequence[Comparison], paper: Paper) -> Panel:
    """One line a step, columns as wide as they must be; those that do not fit are named."""
    rows = [["step", "", "largest error", "relative", "differ", "of"]]
    for comparison in comparisons:
        mark = "same" if comparison.same else "differs"
        if not comparison.fits:
            shapes = f"shape {by(comparison.theirs.shape)}, not {by(comparison.ours.shape)}"
            rows.append([comparison.name, mark, shapes])
            continue
        rows.append(
            [
                comparison.name,
                mark,
                f"{comparison.max_abs:.3g}",
                f"{comparison.max_rel:.3g}",
                str(comparison.differing),
                str(comparison.wrong.size),
            ]
        )
    whole = [row for row in rows if len(row) == 6]
    widths = [max(paper.measure(row[i]) for row in whole) for i in range(6)]
    widths[0] = max(paper.measure(row[0]) for row in rows)
    widths[1] = max(paper.measure(row[1]) for row in rows)
    shown = fitting(widths, paper, 3)
    lines: Panel = []
    for number, row in enumerate(rows):
        cells = [
            paper.pad(paper.own(cell), width, right=i > 1 and len(row) == 6)
            for i, (cell, width) in enumerate(zip(row[:shown], widths, strict=False))
        ]
        style = "dim" if number == 0 else "warning" if row[1] == "differs" else ""
        start = "  ".join(cells[:1])
        rest = "  ".join(["", *cells[1:]])
        wrapped = paper.wrap((start + rest).rstrip(), paper.width) if len(row) == 3 else None
        if wrapped is not None and len(wrapped) > 1:
            lines += [paper.line(Span(line, style)) for line in wrapped]
        else:
            lines.append(paper.line(Span(start), Span(rest, style)))
    return [*lines, *missing(rows[0][shown:], paper)]


def _first(comparison: Comparison, paper: Paper, labels: Labels) -> Panel:
    if comparison.first is None:
        return paper.prose(f"{comparison.name} has another shape", "head")
    place = comparison.first
    ours, theirs = (float(side[place]) for side in (comparison.ours, comparison.theirs))
    cell = f"first at {comparison.name}{list(place)}"
    named = _named(comparison, labels)
    told = f" ({paper.theirs(named)})" if named else ""
    return paper.prose(f"{cell}{told}: ours {ours:.9g}, theirs {theirs:.9g}", "head")


def _named(comparison: Comparison, labels: Labels) -> str:
    """The labels of the first place that differs, where the problem gives any."""
    assert comparison.first is not None
    names = []
    axes = comparison.axes
    batch = comparison.first[0] if axes[0].startswith("batch") else 0
    for axis, place, n in zip(axes, comparison.first, comparison.ours.shape, strict=True):
        if axis in ("query", "key") and labels.given(axis):
            names.append(labels.names(comparison.name, axis, n, batch)[place])
    return ", ".join(names)


def _where(comparison: Comparison, paper: Paper) -> Panel:
    where = sentence(comparison) if comparison.fits else ""
    lines = paper.prose(f"{comparison.name} differs {_in(where)}") if where else []
    panels: list[Panel] = []
    bar = "|" if paper.display.ascii else "│"
    for heading, rows in pictures(comparison, ascii=paper.display.ascii):
        shown = heading.replace(" · ", " | ") if paper.display.ascii else heading
        panel = [paper.line(Span("  " + shown, "dim"))] if heading else []
        panel += [
            paper.line(Span("  "), Span(bar, "dim"), Span(row), Span(bar, "dim")) for row in rows
        ]
        if all(line.width <= paper.width for line in panel):
            panels.append(panel)
    for row_of_panels in packed(panels, paper.width):
        lines += row_of_panels
    return lines


def _in(where: str) -> str:
    return where if where.startswith(("everywhere", "scattered", "only")) else f"in {where}"


def _explained(verdict: Verdict, paper: Paper) -> Panel:
    if not verdict.fits:
        none = f"No known slip gives these numbers ({verdict.tried} tried)."
        if not verdict.tried:
            none = "No slips are known for this kind of problem."
        lines = paper.prose(none, "head")
        return [*lines, *(line for fact in verdict.facts for line in _item(paper, fact))]
    best, *others = verdict.fits
    last = [comparison.name for comparison in verdict.comparisons if not comparison.same][-1]
    verb = "are" if last.endswith("s") else "is"
    lines = paper.prose(f"Your {last} {verb} what you get when {best.sentence}.", "head")
    lines += _item(paper, f"with it, {best.max_abs:.3g} apart", f"slip: {best.name}")
    lines += _item(paper, f"known from: {best.known_from}")
    for other in others[: MOST_SLIPS - 1]:
        lines += paper.prose(f"Or: {other.sentence}.")
        lines += _item(paper, f"with it, {other.max_abs:.3g} apart", f"slip: {other.name}")
    for apart in verdict.apart:
        lines += _item(paper, apart)
    return lines


def _item(paper: Paper, *texts: str) -> Panel:
    joined = "; ".join(texts)
    wrapped = paper.wrap(paper.own(joined), paper.width - 4)
    mark = paper.own("·")
    return [
        paper.line(Span(f"  {mark} " if i == 0 else "    ", "dim"), Span(line))
        for i, line in enumerate(wrapped)
    ]


# --- for scripts


def as_json(verdict: Verdict) -> dict[str, Any]:
    """`{"same", "steps": […], "slips": […]}` (CONTRACT, verify); NaN and infinities are null."""
    return {
        "same": verdict.same,
        "steps": [_step(comparison) for comparison in verdict.comparisons],
        "slips": [
            {"name": fit.name, "sentence": fit.sentence, "max_abs": finite(fit.max_abs)}
            for fit in verdict.fits
        ],
    }


def _step(comparison: Comparison) -> dict[str, Any]:
    place = comparison.first
    ours = theirs = None
    if place is not None:
        ours, theirs = float(comparison.ours[place]), float(comparison.theirs[place])
    return {
        "name": comparison.name,
        "same": comparison.same,
        "max_abs": finite(comparison.max_abs),
        "max_rel": finite(comparison.max_rel),
        "first": None if place is None else list(place),
        "ours": finite(ours),
        "theirs": finite(theirs),
        "differing": comparison.differing,
        "of": int(comparison.wrong.size),
    }


def dumped(report: Any) -> str:
    """A report as JSON text."""
    return json.dumps(report, ensure_ascii=True, indent=2) + "\n"
