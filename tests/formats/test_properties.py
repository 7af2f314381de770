"""Any small trace, any labels, any width."""

import json
import re
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rich.cells import cell_len

from attncli.core.labels import Labels
from attncli.core.step import Step
from attncli.formats import render
from attncli.formats.display import Display
from attncli.formats.layout import Paper
from attncli.solve import Trace
from tests.formats.traces import trace

NAME = st.text(max_size=24)
FLOATS = st.floats(-1e300, 1e300) | st.integers(-50, 50).map(float)
WIDTHS = st.integers(20, 200)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Scores, weights and output with any numbers, or whole numbers, and any names."""
    lead = draw(st.sampled_from([(), (2,), (2, 3)]))
    axes = ("batch", "head")[: len(lead)]
    n, m, d = (draw(st.integers(1, 9)) for _ in range(3))
    kind = draw(st.sampled_from([np.float32, np.float64]))
    floats = st.floats(width=32) | st.integers(-50, 50).map(float)

    def values(*shape: int) -> Any:
        return draw(arrays(kind, (*lead, *shape), elements=floats, fill=st.just(0.5)))

    labels = Labels(
        tuple(draw(st.lists(NAME, min_size=n, max_size=n))) if draw(st.booleans()) else (),
        tuple(draw(st.lists(NAME, min_size=m, max_size=m))) if draw(st.booleans()) else (),
        tuple(draw(st.lists(NAME, min_size=d, max_size=d))) if draw(st.booleans()) else (),
    )
    columns = draw(st.booleans())
    pair, vector = ("query", "key"), ("query", "feature")
    steps = [
        Step(name, np.swapaxes(value, -1, -2), (*axes, *last[::-1]))
        if columns
        else Step(name, value, (*axes, *last))
        for name, value, last in (
            ("scores", values(n, m), pair),
            ("weights", np.abs(values(n, m)), pair),
            ("output", values(n, d), vector),
        )
    ]
    return trace(
        *steps,
        title=draw(NAME),
        labels=labels,
        notation="columns" if columns else "rows",
        notes=(draw(NAME),),
    )


@settings(max_examples=150, deadline=None)
@given(
    traces(), st.integers(20, 200), st.integers(0, 8), st.booleans(), st.booleans(), st.booleans()
)
def test_the_table_keeps_to_its_width(
    shown: Trace, width: int, digits: int, ascii: bool, color: bool, narrow: bool
) -> None:
    width = 20 + width % 40 if narrow else width
    display = Display(width=width, digits=digits, ascii=ascii, color=color)
    text = render(shown, display, "table")
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert text.replace("\n", "").isprintable()
    assert text.isascii() or not ascii
    for line in text.splitlines():
        assert cell_len(line) <= width
        assert line == line.rstrip(" ")


@settings(max_examples=100, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 30)), elements=FLOATS), WIDTHS
)
def test_no_number_is_cut(values: Any, width: int) -> None:
    """The columns that are shown are whole, and with those left out they are all."""
    shown = trace(Step("output", values, ("query", "feature")))
    text = render(shown, Display(width=width), "table")
    rows = [line.split()[1:] for line in text.splitlines() if re.match(r"  b\d", line)]
    total = values.shape[1]
    left_out = re.search(rf"… (\d+) of {total}\s+feature", text)
    for cells, row in zip(rows, values, strict=bool(rows)):
        gap = cells.index("…") if "…" in cells else len(cells)
        first, last = cells[:gap], cells[gap + 1 :]
        assert len(first) + len(last) + int(left_out[1] if left_out else 0) == total
        for cell, value in zip(first + last, [*row[:gap], *row[total - len(last) :]], strict=True):
            assert abs(float(cell) - value) <= max(0.0005, abs(value) * 0.0005) * 1.0001


@given(st.lists(FLOATS.filter(lambda x: abs(x) < 1e6), min_size=1), st.integers(12, 60))
def test_no_number_is_broken_across_lines(values: list[float], width: int) -> None:
    numbers = [f"{value:.3f}" for value in values]
    lines = Paper(Display(), cell_len).wrap("(" + "/".join(numbers) + ")", width)
    assert all(len(line) <= width for line in lines)
    assert [*re.findall(r"-?[\d.]+", " ".join(lines))] == numbers


@settings(max_examples=60, deadline=None)
@given(traces())
def test_json_comes_back_exactly(shown: Trace) -> None:
    text = render(shown, Display(), "json")
    read = json.loads(text, parse_constant=lambda constant: 1 / 0)
    assert read["problem"]["title"] == shown.problem.presentation.title
    for step, theirs in zip(shown.steps, read["steps"], strict=True):
        value = np.array(theirs["value"], dtype=object)
        lost = value == None  # noqa: E711
        assert np.array_equal(lost, ~np.isfinite(step.value))
        back = np.where(lost, 0, value).astype(step.value.dtype)
        assert np.array_equal(back, np.where(lost, 0, step.value))
