"""A problem and a backend become a trace: the one driver that runs every recipe."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attncli.backends import find
from attncli.core.arrangement import laid_out, shown
from attncli.core.attention import Attention
from attncli.core.labels import Labels, Names
from attncli.core.notes import Notes
from attncli.core.problem import Notation, Problem
from attncli.core.step import BESIDE, ON_REQUEST, Array, Step, run
from attncli.errors import AttncliError, InputError, LimitError, Place, UsageError
from attncli.files.mapped import check

if TYPE_CHECKING:
    from attncli.backends import Backend
    from attncli.core.tiled import Into
    from attncli.formats.titles import Title


class Trace:
    """A problem with its steps, as they are shown: NumPy arrays in the problem's notation."""

    def __init__(
        self,
        problem: Problem,
        steps: list[Step],
        output: Step,
        notation: Notation,
        notes: list[str],
        queries: range | None = None,
    ) -> None:
        self.problem = problem
        self.steps = tuple(steps)
        self.output = output.value
        """The result, as the steps are shown, in the layout of the problem's inputs."""
        self.output_axes = output.axes
        self.notation: Notation = notation
        self.queries = queries
        """The queries that the steps are about, where not all."""
        self.notes = tuple(notes)
        """Sentences that a reader should see: masked rows, saturated weights, lost numbers."""

    @property
    def labels(self) -> Labels:
        return self.problem.presentation.labels

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the steps, in order."""
        return tuple(step.name for step in self.steps)

    def step(self, name: str) -> Step:
        """The step of this name; raises `InputError` naming those there are."""
        for step in self.steps:
            if step.name == name:
                return step
        raise InputError(
            f"there is no step {name!r}", expected=", ".join(self.names), found=name, subject=name
        )

    def title(self, step: Step) -> "Title":
        """A step's title and formula."""
        from attncli.formats.titles import title

        return title(self.problem, step.name, self.notation)

    def __getitem__(self, name: str) -> Any:
        return self.output if name == "output" else self.step(name).value

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __repr__(self) -> str:
        from attncli.formats import render
        from attncli.formats.display import Display

        return render(self, Display(), "table")

    def _repr_markdown_(self) -> str:
        from attncli.formats import render
        from attncli.formats.display import Display

        return render(self, Display(), "markdown")


Tile = int | Literal["auto", "none"]
"""`auto`, `none`, or how many queries and keys a tile has."""

BUDGET = 512 * 1024**2
"""Bytes up to which `tile: auto` keeps all steps; beyond, an output is computed by tiles."""

WHOLE = frozenset({"query", "key", "value", "heads", "joined", "output"})
"""The steps that the tiled recipe has."""


def solve(
    problem: Problem,
    *,
    backend: "str | Backend" = "numpy",
    threads: int | None = None,
    notation: Notation | None = None,
    keep: Collection[str] | None = None,
    max_memory: int | None = None,
    tile: Tile = "auto",
    queries: range | None = None,
    progress: Callable[[int, int], None] | None = None,
    change: Callable[[Step], Array] | None = None,
    into: "Into | None" = None,
    notes: bool = True,
) -> Trace:
    """Run a problem's recipe on a backend.

    `notation` is how the steps are shown (the problem's own by default); `keep` names the steps
    that are kept (all by default; the output always is). An attention whose steps exceed `BUDGET`
    is computed by tiles where only its vectors and output are wanted; where no step is named
    either, a note says so. `queries` are the only ones that will be looked at: of a long problem
    only their rows are then computed. `progress` is told how many rows of how many are done.
    `into` makes what the rows of an output computed by tiles are written to, instead of an array.
    `change` makes another value of a step before the recipe goes on with it. Without `notes`,
    nothing is looked for that a reader should be told.
    Raises `LimitError` before anything is computed where the kept steps need more than
    `max_memory` bytes (what is free by default).
    """
    machine = find(backend) if isinstance(backend, str) else backend
    # What changes steps wants them all.
    plan = _plan(problem, keep, tile if change is None else "none", queries)
    keep = None if plan.keep is None else {*plan.keep, "output"}
    allowed = machine.memory() if max_memory is None else max_memory
    problem_run = problem
    if plan.queries is not None:
        problem_run = excerpt(problem, plan.queries)
    if plan.tile is None:
        refuse_oversize(problem_run.memory(keep), allowed)
    presentation = problem_run.presentation
    notation = notation or presentation.notation
    watch = _notes(problem_run, by_tiles=plan.tile is not None) if notes else None
    steps: list[Step] = []
    xp = machine.xp
    with machine.session(threads):
        if not machine.is_host:
            from attncli.core.moving import moved

            problem_run = moved(problem_run, machine.upload)
        recipe = problem_run.steps(xp)
        blind: _Blind | None = None
        if plan.tile is not None:
            from attncli.core.tiled import tiled

            to = into if machine.is_host else None
            wide = None if plan.tile == "auto" else int(plan.tile)
            assert isinstance(problem_run, Attention)
            if watch is not None and problem_run.leaves_out:
                blind = _Blind(problem_run)
            told = None if blind is None else blind.told
            recipe = tiled(problem_run, machine, wide, progress, to, told)
        last: Step | None = None
        for step in _placed(run(recipe, change), presentation.source):
            if watch is not None:
                watch.see(step, xp)
            last = step if step.base not in ON_REQUEST | BESIDE else last
            if keep is None or step.name in keep:
                host = replace(step, value=machine.download(step.value))
                steps.append(shown(host, notation, np))
        assert last is not None, "a recipe has at least one step"
        if watch is not None and blind is not None:
            watch.nothing_to_see(blind.step, blind.step.value, np)
        output = replace(last, value=machine.download(last.value))
    check()
    output = shown(laid_out(output, presentation.layout, np), notation, np)
    sentences = [*(watch.sentences if watch else []), *plan.notes]
    return Trace(problem, steps, output, notation, sentences, plan.queries)


class _Blind:
    """Which queries of an attention by tiles may attend to nothing."""

    def __init__(self, attention: Attention) -> None:
        flags = np.zeros((*attention.leading, attention.n_queries), dtype=bool)
        self.step = attention.step("weights", flags, "query")

    def told(self, index: tuple[int, ...], queries: range, nothing: Array) -> None:
        flags = self.step.value[index]
        flags[queries.start : queries.stop] = [bool(one) for one in nothing[:, 0]]


@dataclass(frozen=True)
class _Plan:
    """How a problem is run."""

    keep: Collection[str] | None
    tile: Tile | None = None
    """None: the recipe of steps."""
    queries: range | None = None
    notes: tuple[str, ...] = ()


def _plan(
    problem: Problem, keep: Collection[str] | None, tile: Tile, queries: range | None
) -> _Plan:
    """Steps or tiles, and of which queries."""
    # Of the very kind: one whose steps are altered has its own recipe.
    can = type(problem) is Attention and problem.value is not None
    if tile not in ("auto", "none") and not can:
        raise UsageError(
            f"--tile {tile}: only an attention with values is computed by tiles",
            hint="--tile auto",
        )
    if tile == "none" or not can:
        return _Plan(keep)
    large = problem.memory(None) > BUDGET
    wanted = None if keep is None else {*keep} - WHOLE
    if tile == "auto" and not large:
        return _Plan(keep)
    if wanted == set():
        return _Plan(keep, tile)
    if queries is not None and tile == "auto":
        return _Plan(keep, queries=queries)
    if wanted is None:
        whole = [name for name in problem.step_names() if name in WHOLE]
        note = "tiles have no scores and no weights: --tile auto keeps them where memory allows"
        if tile == "auto":
            note = (
                f"all steps need {size_of(problem.memory(None))}: computed by tiles; scores and "
                "weights are shown for a query in focus (--focus 0)"
            )
        return _Plan(whole, tile, notes=(note,))
    if tile != "auto":
        raise UsageError(
            f"--tile {tile} with the steps {', '.join(sorted(wanted))}: tiles have no such steps",
            hint="--tile auto, or --focus a query",
        )
    return _Plan(keep)


def excerpt(problem: Problem, queries: range) -> Problem:
    """The problem of these queries alone, with their names."""
    from attncli.core.excerpt import only

    assert isinstance(problem, Attention)
    part = only(problem, queries)
    labels = problem.presentation.labels
    if labels.differ("query"):
        entries = range(len(labels.query))
        names: Names = tuple(
            labels.given("query", e)[queries.start : queries.stop] for e in entries
        )
    else:
        every = labels.names("query", "query", problem.n_queries)
        names = every[queries.start : queries.stop]
    presentation = replace(part.presentation, labels=replace(labels, query=names))
    return replace(part, presentation=presentation)


def _notes(problem: Problem, *, by_tiles: bool) -> Notes:
    settings = problem.settings()
    return Notes(
        problem.presentation.labels,
        settings.get("masked_row", "zero"),
        settings.get("normalizer") == "softmax" and not by_tiles,
    )


def _placed(steps: Iterator[Step], source: str) -> Iterator[Step]:
    """The steps; what refuses its numbers on the way names the file."""
    try:
        yield from steps
    except AttncliError as error:
        raise error.at(Place(source) if source else None) from None


def refuse_oversize(needed: int, allowed: int) -> None:
    """Raise `LimitError` where a computation would need more memory than is allowed."""
    if needed > allowed:
        raise LimitError(
            f"the steps need {size_of(needed)} of memory, {size_of(allowed)} are allowed",
            hint="keep fewer --steps, or --dtype float32; --max-memory SIZE allows more",
        )


def size_of(n: float) -> str:
    """Bytes for people: 12.3 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 999.5:  # from there on three digits say 1000
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} TB"
