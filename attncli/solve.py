"""A problem and a backend become a trace: the one driver that runs every recipe."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attncli.backends import find
from attncli.core.arrangement import laid_out, shown
from attncli.core.labels import Labels
from attncli.core.notes import Notes
from attncli.core.problem import Notation, Problem
from attncli.core.step import BESIDE, ON_REQUEST, Array, Step, run
from attncli.errors import AttncliError, InputError, LimitError, Place

if TYPE_CHECKING:
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
    ) -> None:
        self.problem = problem
        self.steps = tuple(steps)
        self.output = output.value
        """The result, as the steps are shown, in the layout of the problem's inputs."""
        self.output_axes = output.axes
        self.notation: Notation = notation
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
        from attncli.formats.titles import describe

        known = {**self.problem.settings(), **self.problem.traits()}
        return describe(step.name, known, self.notation)

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


def solve(
    problem: Problem,
    *,
    backend: str = "numpy",
    threads: int | None = None,
    notation: Notation | None = None,
    keep: Collection[str] | None = None,
    max_memory: int | None = None,
    change: Callable[[Step], Array] | None = None,
    notes: bool = True,
) -> Trace:
    """Run a problem's recipe on a backend.

    `notation` is how the steps are shown (the problem's own by default); `keep` names the steps
    that are kept (all by default; the output always is); `change` makes another value of a step
    before the recipe goes on with it; without `notes` the steps are not looked at for a reader.
    Raises `LimitError` before anything is computed where the kept steps need more than
    `max_memory` bytes (what is free by default).
    """
    machine = find(backend)
    xp = machine.xp
    keep = None if keep is None else {*keep, "output"}
    refuse_oversize(problem.memory(keep), machine.memory() if max_memory is None else max_memory)
    presentation = problem.presentation
    notation = notation or presentation.notation
    watch = _notes(problem) if notes else None
    steps: list[Step] = []
    with machine.session(threads):
        last: Step | None = None
        for step in _placed(run(problem.steps(xp), change), presentation.source):
            if watch is not None:
                watch.see(step, xp)
            last = step if step.base not in ON_REQUEST | BESIDE else last
            if keep is None or step.name in keep:
                host = Step(step.name, machine.download(step.value), step.axes)
                steps.append(shown(host, notation, xp))
        assert last is not None, "a recipe has at least one step"
        output = shown(laid_out(last, presentation.layout, xp), notation, xp)
    output = replace(output, value=machine.download(output.value))
    return Trace(problem, steps, output, notation, watch.sentences if watch else [])


def _notes(problem: Problem) -> Notes:
    settings = problem.settings()
    return Notes(
        problem.presentation.labels,
        settings.get("masked_row", "zero"),
        settings.get("normalizer") == "softmax",
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
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} TB"
