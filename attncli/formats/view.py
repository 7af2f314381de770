"""Which numbers of a trace are shown: the chosen steps, their places in focus, and their names.

Every format starts here, so that `--steps` and `--focus` mean the same in all of them. A focus only
selects: places keep their positions, labels and symbols.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attncli.core.labels import Labels, symbol
from attncli.core.step import ON_REQUEST, Step
from attncli.formats.display import Display

if TYPE_CHECKING:
    from attncli.solve import Trace

Numbers = np.ndarray[Any, np.dtype[Any]]
Positions = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True, eq=False)
class View:
    """The part of a step that is shown. Every axis stays, also where one place is in focus."""

    step: Step
    axes: tuple[str, ...]
    value: Numbers
    places: tuple[Positions, ...]
    """For each axis, the original positions that are shown."""
    sizes: tuple[int, ...]
    """The original shape."""
    labels: Labels
    first: tuple[int, ...]
    """For each axis, the original position of the array's first place."""

    @property
    def name(self) -> str:
        return self.step.name

    def select(self, whole: Numbers) -> Numbers:
        """The same places of another array of the step's shape."""
        return whole[np.ix_(*within(self.places, self.first))]

    def names(self, axis: int, shown: Positions, batch: int) -> tuple[str, ...]:
        """Labels, else symbols, of some places (positions within the view) of an axis."""
        places = self.places[axis][shown]
        given = self.labels.given(self.axes[axis], batch)
        if len(given) == self.sizes[axis]:
            return tuple(given[place] for place in places)
        letter = symbol(self.name, self.axes[axis])
        return tuple(f"{letter}{place + 1}" for place in places) if letter else ()

    def given(self, axis: int) -> tuple[Any, ...]:
        """The user's labels of an axis: a tuple, one a batch entry where they differ, or ()."""
        whole: Any = self.labels.of(self.axes[axis])
        if not whole:
            return ()
        if isinstance(whole[0], str):
            return self._focused(whole, axis)
        if not self.axes[0].startswith("batch"):
            return ()
        rows = (whole[b] if b < len(whole) else () for b in self.places[0])
        return tuple(self._focused(row, axis) for row in rows)

    def _focused(self, names: tuple[str, ...], axis: int) -> tuple[str, ...]:
        if len(names) != self.sizes[axis]:
            return ()
        return tuple(names[place] for place in self.places[axis])

    def tables(self) -> Iterator[tuple[int, ...]]:
        """The index, within the view, of each table: all axes but the last two."""
        return np.ndindex(self.value.shape[:-2])

    def batch(self, index: tuple[int, ...]) -> int:
        """The batch entry, for labels, of the table at an index."""
        if index and self.axes[0].startswith("batch"):
            return int(self.places[0][index[0]])
        return 0

    def heading(self, index: tuple[int, ...]) -> str:
        """`batch 0 · head 2`, by label or counted from 0; empty for the only table."""
        names = (self.names(axis, np.array([i]), 0) for axis, i in enumerate(index))
        return " · ".join(
            f"{axis} {name[0] if name else places[i]}"
            for axis, places, i, name in zip(self.axes, self.places, index, names, strict=False)
        )

    @property
    def is_image(self) -> bool:
        """Whether it holds rows and columns of pixels."""
        return {"row", "column"} <= {*self.axes}

    def is_turned(self, notation: str) -> bool:
        """Whether its vectors are columns, so that a cell is named by its column, then its row."""
        return notation == "columns" and self.axes[-1] in ("query", "key", "patch")

    def tabular(self, notation: str) -> "View":
        """The view with two last axes that make tables for people.

        One number a query (lse) becomes a column, in columns notation a row; an image a table a
        channel.
        """
        n = self.value.ndim
        if self.axes[-3:] == ("row", "column", "feature"):
            order = (*range(n - 3), n - 1, n - 3, n - 2)
            return replace(
                self,
                axes=tuple(self.axes[i] for i in order),
                value=np.transpose(self.value, order),
                places=tuple(self.places[i] for i in order),
                sizes=tuple(self.sizes[i] for i in order),
                first=tuple(self.first[i] for i in order),
            )
        if n > 1:
            return self
        # A number a query goes down in rows notation; one vector of classes or features across.
        goes_down = (notation == "rows") == (self.axes[-1] not in ("class", "feature"))
        axis = n if goes_down else n - 1
        return replace(
            self,
            axes=(*self.axes[:axis], "", *self.axes[axis:]),
            value=np.expand_dims(self.value, axis),
            places=(*self.places[:axis], np.arange(1), *self.places[axis:]),
            sizes=(*self.sizes[:axis], 1, *self.sizes[axis:]),
            first=(*self.first[:axis], 0, *self.first[axis:]),
        )


def title_of(trace: "Trace") -> str:
    """What a report is called: the problem's title on one line."""
    return " ".join(trace.problem.presentation.title.split()) or "Attention"


def views(trace: "Trace", display: Display) -> Iterator[View]:
    """The chosen steps of a trace, in their order, in focus."""
    largest = _largest(trace)
    for step in chosen(trace, display):
        yield _view(step, trace, display, largest)


def chosen(trace: "Trace", display: Display) -> Iterator[Step]:
    """The chosen steps of a trace, in their order, whole."""
    names = display.steps
    for step in trace.steps:
        if step.name in names if names is not None else step.base not in ON_REQUEST:
            yield step


def numbered(trace: "Trace", display: Display) -> Iterator[tuple[str, View]]:
    """The chosen steps with their numbers, counted from 1; queries, keys and values share one."""
    number = 0
    for view in views(trace, display):
        shares = number > 0 and view.step.base in ("key", "value")
        number += not shares
        yield "" if shares else str(number), view


def output(trace: "Trace", display: Display) -> Numbers:
    """The output, in the layout and notation of the problem's inputs, in focus."""
    value = np.asarray(trace.output)
    if not display.focus:
        return value
    step = Step("output", value, trace.output_axes)
    return _view(step, trace, display, _largest(trace)).value


def _view(step: Step, trace: "Trace", display: Display, largest: dict[str, int]) -> View:
    value = np.asarray(step.value)
    rows = trace.queries
    cut = [rows is not None and axis == "query" for axis in step.axes]
    first = tuple(rows.start if rows is not None and is_cut else 0 for is_cut in cut)
    all_queries = trace.problem.sizes()["query"] if rows is not None else 0
    sizes = tuple(all_queries if is_cut else n for is_cut, n in zip(cut, value.shape, strict=True))
    places = tuple(
        _places(display.focus.get(axis), n, largest.get(axis, n))
        for axis, n in zip(step.axes, sizes, strict=True)
    )
    if rows is not None:
        places = tuple(
            place[(place >= rows.start) & (place < rows.stop)] if is_cut else place
            for is_cut, place in zip(cut, places, strict=True)
        )
    whole = all(len(place) == n for place, n in zip(places, value.shape, strict=True))
    part = value if whole else value[np.ix_(*within(places, first))]
    return View(step, step.axes, part, places, sizes, trace.labels.at(step.name), first)


def within(places: tuple[Positions, ...], first: tuple[int, ...]) -> tuple[Positions, ...]:
    """Original positions as positions in an array that begins at others."""
    return tuple(place - start for place, start in zip(places, first, strict=True))


def _places(chosen: slice | int | None, n: int, largest: int) -> Positions:
    """The positions of a choice on an axis of `n` places.

    Fewer places than others have on this axis serve several of them: query head h uses key head
    h // (n_heads / kv_heads), and a broadcast axis has place 0 for all.
    """
    if chosen is None:
        return np.arange(n)
    if isinstance(chosen, slice):
        wanted = np.arange(largest)[chosen]
    else:
        wanted = np.arange(chosen, chosen + 1) if chosen >= 0 else np.arange(largest)[[chosen]]
    return np.unique(np.minimum(wanted * n // max(largest, 1), n - 1))


def _largest(trace: "Trace") -> dict[str, int]:
    """For each axis, the most places that a step has on it."""
    sizes: dict[str, int] = {}
    for step in trace.steps:
        for axis, n in zip(step.axes, np.shape(step.value), strict=True):
            sizes[axis] = max(sizes.get(axis, 0), n)
    if trace.queries is not None:
        sizes["query"] = trace.problem.sizes()["query"]
    heads = trace.problem.settings().get("heads")
    if isinstance(heads, int) and not isinstance(heads, bool):
        sizes["head"] = max(sizes.get("head", 0), heads)
    return sizes
