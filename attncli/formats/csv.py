"""CSV, long: one line a number, for spreadsheets and data frames.

`step,batch,head,query,key,feature,value`: positions from 0, empty where a step has no such axis;
then the user's labels, if there are any, in columns of their own.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np

from attncli.formats.display import Display, plain
from attncli.formats.numbers import exact
from attncli.formats.view import View, views

if TYPE_CHECKING:
    from attncli.solve import Trace

ALWAYS = ("head", "query", "key", "feature")
FORMULA = (*"=+-@", *"＝＋－＠", "'")
"""First letters that a spreadsheet takes for a formula, or for a quote already there."""


def render(trace: "Trace", display: Display) -> str:
    """A header line, and one line for each number of the chosen steps."""
    shown = list(views(trace, display))
    extra = {axis for view in shown for axis in view.axes} - set(ALWAYS)
    axes = (*sorted(extra), *ALWAYS)
    labelled = [axis for axis in axes if any(_labels(view, axis) for view in shown)]
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *axes, "value", *(f"{axis}_label" for axis in labelled)])
    for view in shown:
        writer.writerows(_lines(view, axes, labelled, ascii=display.ascii))
    return text.getvalue()


def _labels(view: View, axis: str) -> bool:
    return axis in view.axes and bool(view.given(view.axes.index(axis)))


def _lines(
    view: View, axes: Sequence[str], labelled: Sequence[str], *, ascii: bool
) -> Iterator[list[object]]:
    places = [positions.tolist() for positions in view.places]
    slots = [1 + axes.index(axis) for axis in view.axes]
    blank: list[object] = [view.name, *[""] * len(axes)]
    names = [_names(view, axis, ascii) for axis in labelled]
    for index, number in zip(np.ndindex(view.value.shape), exact(view.value), strict=True):
        line = blank.copy()
        for slot, positions, i in zip(slots, places, index, strict=True):
            line[slot] = positions[i]
        line.append(number)
        line += (name(index) for name in names)
        yield line


def _names(view: View, axis: str, ascii: bool) -> Callable[[tuple[int, ...]], str]:
    """The label along an axis of the cell at an index; empty where there is none."""
    if not _labels(view, axis):
        return lambda index: ""
    at = view.axes.index(axis)
    given = view.given(at)
    if isinstance(given[0], str):
        names = [harmless(name, ascii=ascii) for name in given]
        return lambda index: names[index[at]]
    batches = [[harmless(name, ascii=ascii) for name in entry] for entry in given]
    return lambda index: batches[index[0]][index[at]] if batches[index[0]] else ""


def harmless(label: str, *, ascii: bool = False) -> str:
    """A text of an input that no spreadsheet reads as a formula."""
    text = plain(label, ascii=ascii)
    return "'" + text if text.lstrip().startswith(FORMULA) else text
