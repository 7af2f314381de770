"""Small tables of findings: error budgets, and where libraries disagree."""

import csv
from collections.abc import Sequence
from io import StringIO
from math import isfinite
from typing import Any

from rich.cells import cell_len

from attncli.formats.display import Display
from attncli.formats.json import finite
from attncli.formats.layout import NARROWEST, Panel, Paper, Span, columns
from attncli.formats.table import written
from attncli.oracle.budget import Line
from attncli.oracle.dialects import Outcome
from attncli.oracle.precision import PRECISIONS


def _head(paper: Paper, title: str, remark: str) -> Panel:
    lines = [paper.line(Span(line, "head")) for line in paper.wrap(title, paper.width)]
    return [*lines, *paper.prose(remark, "dim"), paper.rule()]


# --- error budgets


def budget_text(lines: Sequence[Line], precision: str, source: str, display: Display) -> str:
    """A line a step: what its rounding adds, and how far it is from float64."""
    paper = Paper(display, cell_len)
    limits = PRECISIONS[precision]
    told = f"ε {limits.epsilon:.3g} · largest {limits.largest:.5g} · each step rounded"
    title = paper.theirs(f"{source or 'The problem'} in {precision}, beside float64")
    rows = [["step", "largest", "adds", "in all", "overflow", "to zero"]]
    rows += [
        [
            line.name,
            f"{line.largest:.3g}",
            f"{line.added:.3g}",
            f"{line.total:.3g}",
            str(line.overflows or ""),
            str(line.vanishes or ""),
        ]
        for line in lines
    ]
    panel = [*_head(paper, title, told), *columns(rows, paper, least=2)]
    lost = next((line for line in lines if line.overflows), None)
    if lost is not None:
        place = f", first at {list(lost.first_overflow)}" if lost.first_overflow else ""
        sentence = (
            f"! {lost.name} overflows in {lost.overflows} places{place}: "
            f"{lost.largest:.5g} is more than {limits.largest:.5g}"
        )
        panel += [paper.line(), *paper.prose(sentence)]
    elif known := [line for line in lines[1:] if isfinite(line.added) and line.name != "lse"]:
        most = max(known, key=lambda line: line.added / line.largest if line.largest else 0)
        if most.added:
            sentence = f"{most.name} adds most for its size: {most.added / most.largest:.2g} of it"
            panel += [paper.line(), *paper.prose(sentence)]
    return written(panel, display)


def budget_json(lines: Sequence[Line], precision: str) -> dict[str, Any]:
    """The budget for scripts."""
    return {
        "precision": precision,
        "steps": [
            {
                "name": line.name,
                "largest": line.largest,
                "added": finite(line.added),
                "total": finite(line.total),
                "overflows": line.overflows,
                "first_overflow": None if line.first_overflow is None else [*line.first_overflow],
                "to_zero": line.vanishes,
            }
            for line in lines
        ],
    }


def budget_csv(lines: Sequence[Line]) -> str:
    """The budget for spreadsheets."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "largest", "added", "total", "overflows", "to_zero"])
    for line in lines:
        numbers = [line.largest, line.added, line.total]
        writer.writerow([line.name, *map(repr, numbers), line.overflows, line.vanishes])
    return text.getvalue()


# --- dialects


def dialects_text(found: Sequence[Outcome], source: str, display: Display) -> str:
    """A block a library: how far it is from the first that computes, and why."""
    paper = Paper(display, cell_len)
    reference = next(o for o in found if not o.refused)
    beside = "as it stands" if not reference.name else f"dialect: {reference.name}"
    title = paper.theirs(f"{source or 'The problem'}: what libraries would compute")
    panel = _head(paper, title, f"differences from the problem {beside}")
    width = max(paper.measure(_name(o)) for o in found) + 2
    if is_narrow := paper.width - width < NARROWEST:
        width = 2
    for outcome in found:
        told = _told(outcome, reference)
        lines = [*paper.wrap(paper.theirs(paper.own(told)), paper.width - width)]
        for because in outcome.because if not outcome.same else ():
            lines += paper.wrap(paper.own(f"because {because}"), paper.width - width)
        name = _name(outcome)
        if is_narrow:
            panel.append(paper.line(Span(name)))
            name = ""
        for line in lines:
            style = "dim" if outcome.same else ""
            panel.append(paper.line(Span(paper.pad(name, width)), Span(line, style)))
            name = ""
    return written(panel, display)


def _name(outcome: Outcome) -> str:
    return outcome.name or "as it stands"


def _told(outcome: Outcome, reference: Outcome) -> str:
    if outcome is reference:
        return "the reference"
    if outcome.refused:
        return f"refused: {outcome.refused}"
    comparison = outcome.comparison
    if comparison is None or comparison.same:
        return "the same"
    if comparison.first is None:
        return "another shape"
    amount = f"by {comparison.max_abs:.3g} " if isfinite(comparison.max_abs) else ""
    ours, theirs = comparison.ours[comparison.first], comparison.theirs[comparison.first]
    return (
        f"differs {amount}in {comparison.differing} of "
        f"{comparison.wrong.size} numbers, first output{list(comparison.first)}: "
        f"{ours:.6g} becomes {theirs:.6g}"
    )


def dialects_json(found: Sequence[Outcome]) -> dict[str, Any]:
    """The outcomes for scripts."""
    reference = next(o for o in found if not o.refused)
    return {
        "reference": reference.name or None,
        "dialects": [
            {
                "name": outcome.name or None,
                "source": outcome.source,
                "same": outcome.same,
                "max_abs": _largest(outcome),
                "first": None
                if outcome.comparison is None or outcome.comparison.first is None
                else list(outcome.comparison.first),
                "because": list(outcome.because),
                "refused": outcome.refused or None,
            }
            for outcome in found
        ],
    }


def _largest(outcome: Outcome) -> Any:
    if outcome.refused:
        return None
    return 0.0 if outcome.comparison is None else finite(outcome.comparison.max_abs)
