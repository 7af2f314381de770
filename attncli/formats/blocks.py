"""A step becomes a panel: a heading, and one grid for each head and batch entry."""

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from attncli.core.labels import plural
from attncli.core.normalize import NORMALIZERS
from attncli.core.step import BESIDE
from attncli.formats.grid import Shape, Source, grid
from attncli.formats.layout import Line, Panel, Paper, Span, packed
from attncli.formats.numbers import all_integers, fixed
from attncli.formats.view import Numbers, View

if TYPE_CHECKING:
    from attncli.formats.titles import Title
    from attncli.solve import Trace

MOST_TABLES = 4
"""Heads and batch entries of one step that are shown; focus chooses others."""
TABLE_GAP = 3

STAGES = (
    ("query", "key", "value"),
    ("scores", "scaled", "capped", "biased", "masked", "weights", "lse"),
    ("heads", "joined", "output"),
    ("convolution", "attention", "difference"),
    ("shifts", "falloff"),
)
"""Steps of different stages never stand beside each other."""


def shape_of(view: View, trace: "Trace", digits: int) -> Shape:
    """How the numbers of a step are to be shown."""
    integers = all_integers(view.value)
    finite = view.value[np.isfinite(view.value)]
    extremes = [] if not finite.size else [float(finite.min()), float(finite.max())]
    if view.step.base != "weights" or view.is_image:
        # The columns of what is measured are different things; those of vectors are read together.
        same = None if view.step.base in BESIDE else fixed(extremes, digits)
        return Shape(integers, same, False, None, None)
    settings = trace.problem.settings()
    return Shape(
        integers,
        fixed(extremes, digits),
        bars=not extremes or (extremes[0] >= 0 and extremes[1] <= 1.0001),
        sums=_sums(view, settings),
        masked=_masked(view, trace),
    )


def _sums(view: View, settings: Mapping[str, Any]) -> Numbers | None:
    """Sums over all keys, where they must be 1 and all keys are in focus."""
    if not NORMALIZERS[settings.get("normalizer", "softmax")].sums_to_one:
        return None
    if "key" not in view.axes:
        return None
    axis = view.axes.index("key")
    if len(view.places[axis]) != view.sizes[axis]:
        return None
    return np.asarray(np.sum(view.value, axis=axis, dtype=np.float64))


def _masked(view: View, trace: "Trace") -> Numbers | None:
    """Where a key is left out: the scores before the weights are −∞ there, the weight is 0."""
    steps = {step.base: step for step in trace.steps if step.recipe == view.step.recipe}
    given = trace.problem.settings().get("similarity") == "given"
    before = steps.get("masked") or (steps.get("scores") if given else None)
    if before is None or before.axes[-2:] != view.axes[-2:]:
        return None
    left_out = np.asarray(before.value) == -np.inf
    if not left_out.any():
        return None
    whole = np.broadcast_to(left_out, view.step.value.shape)
    masked: Numbers = view.select(whole) & (view.value == 0)
    return masked


def panel(view: View, trace: "Trace", paper: Paper, number: str) -> tuple[Panel, bool]:
    """The panel of a step, and whether something of it is left out."""
    lines = heading(number, trace.title(view.step), paper)
    view = view.tabular(trace.notation)
    if 0 in view.value.shape:
        return [*lines, paper.line(Span("  empty", "dim"))], False
    shape = shape_of(view, trace, paper.display.digits)
    tables: list[Panel] = []
    remarks: list[str] = []
    for index in islice(view.tables(), MOST_TABLES):
        fitted = grid(Source(view, index, shape), paper)
        table = fitted.lines()
        if title := view.heading(index):
            title = title.replace(" · ", " | ") if paper.display.ascii else title
            title = paper.theirs(title)
            table = [*(_indented(text, "dim", paper) for text in _wrapped(title, paper)), *table]
        tables.append(table)
        remarks.append(fitted.remark)
    for row, table in enumerate(packed(tables, paper.width, TABLE_GAP)):
        lines += [*([paper.line()] if row else []), *table]
    left_out = _left_out(view, remarks, paper)
    return [*lines, *left_out], bool(left_out)


def heading(number: str, title: "Title", paper: Paper) -> Panel:
    """`3 Weights  A = softmax(S)`, in as many lines as it needs."""
    start = f"{number or ' '} {title.title}"
    formula = paper.own(title.formula)
    first = paper.line(Span(start, "title"))
    whole = paper.line(*first.spans, Span("  " + formula, "formula"))
    if formula and whole.width <= paper.width:
        return [whole]
    lines = [first]
    if first.width > paper.width:
        indent = len(number or " ") + 1
        parts = paper.wrap(title.title, paper.width - indent)
        starts = [start[:indent], *[" " * indent] * (len(parts) - 1)]
        lines = [paper.line(Span(s + part, "title")) for s, part in zip(starts, parts, strict=True)]
    wrapped = paper.wrap(formula, paper.width - 2)
    return [*lines, *(_indented(text, "formula", paper) for text in wrapped)]


def _left_out(view: View, remarks: list[str], paper: Paper) -> Panel:
    """How much of each table, and how many tables, are not shown."""
    lines: Panel = []
    for remark in dict.fromkeys(remark for remark in remarks if remark):
        lines += [_indented(text, "dim", paper) for text in _wrapped(remark, paper)]
    total = int(np.prod(view.value.shape[:-2], dtype=np.int64))
    if total > MOST_TABLES:
        what = "tables"
        if len(view.axes) == 3:
            what = "channels" if view.axes[0] == "feature" else plural(view.axes[0])
        remark = paper.own(f"… {total - MOST_TABLES} of {total} {what} left out")
        lines += [_indented(text, "dim", paper) for text in _wrapped(remark, paper)]
    return lines


def _wrapped(text: str, paper: Paper) -> list[str]:
    return paper.wrap(text, paper.width - 2)


def _indented(text: str, style: str, paper: Paper) -> Line:
    return paper.line(Span("  "), Span(text, style))
