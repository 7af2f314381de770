"""`explain`: one cell, vector or step worked by hand, back to the inputs."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from attncli.commands.options import (
    COMPUTATION,
    DISPLAY,
    MACHINE,
    OUTPUT,
    Options,
    accepts,
    option,
    parted,
)
from attncli.core.labels import whole
from attncli.errors import LimitError, UsageError

if TYPE_CHECKING:
    from attncli.core.problem import Problem
    from attncli.core.step import Step
    from attncli.formats.story import Story
    from attncli.formats.teller import Teller

EPILOG = """\
[bold]Examples[/bold]

attncli explain problem.yaml b1                     (the whole story of the first output)

attncli explain problem.yaml weights it animal      (one cell)

attncli explain problem.yaml scores                 (every cell of a step)

attncli explain problem.yaml 'weights\\[2,1]' --depth all"""

VECTORS = {"q": "query", "k": "key", "v": "value"}
"""The symbol of a vector → the step that has it; b is an output, whose story is told."""


FORMATS = {".txt": "text", ".md": "markdown", ".tex": "latex"}
"""The suffix of a file → how a story is written there."""


@accepts(
    COMPUTATION,
    DISPLAY,
    OUTPUT,
    MACHINE,
    but=("steps", "verbose", "backend", "tile", "threads"),
    formats=FORMATS.values(),
)
def explain(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="PROBLEM STEP [QUERY [KEY]]",
            help="A problem file (or three files Q K V, or - for stdin); then a step, a cell such "
            "as 'weights\\[2,1]', a vector (b1, q1, k2) or a label; then which query (of keys and "
            "values: which key), and which key or feature.",
            show_default=False,
        ),
    ],
    depth: Annotated[
        str,
        option(
            "--depth",
            help="how many generations of cells: 1 the cell itself, 2 what it was made of, … all",
            panel=DISPLAY,
            metavar="N|all",
        ),
    ] = "",
    *,
    options: Options,
) -> None:
    """Work one cell, vector or step by hand, back to the inputs."""
    from attncli.commands.output import form, put
    from attncli.formats import told
    from attncli.formats.arithmetic import LATEX, TEXT
    from attncli.formats.display import command
    from attncli.formats.teller import Teller
    from attncli.worked import Working

    format = form(options, FORMATS)
    sources, asked = parted(words)
    if not 1 <= len(asked) <= 3:
        raise UsageError(
            f"explain {' '.join(words)}",
            expected="PROBLEM STEP [QUERY [KEY]]",
            found=f"{len(asked)} words after the problem",
            hint=command("explain", *sources, "b1"),
        )
    step, query, key = (*asked, None, None)[:3]
    assert step is not None
    opened = options.problem(sources)
    display = options.display(opened)
    opened, query = _readable(opened, step, query)
    working = Working(opened, options.memory_limit())
    teller = Teller(
        working,
        options.notation or opened.presentation.notation,
        display.digits,
        LATEX if format == "latex" else TEXT,
    )
    lead = {axis: place for axis, place in display.focus.items() if isinstance(place, int)}
    story = _Asked(teller, lead, _depth(depth)).story(step, query, key)
    source = "stdin" if sources == ["-"] else " ".join(sources)
    put(told.FORMATS[format](story, source, display), options, story.title)


def _depth(text: str) -> int | None:
    """How many generations; None where it is left to the story."""
    if text == "all":
        return 1000
    if not text:
        return None
    number = whole(text)
    if not number:
        raise UsageError(f"--depth {text}", expected="a number from 1, or all", found=text)
    return number


def _readable(problem: "Problem", step: str, query: str | None) -> "tuple[Problem, str | None]":
    """The problem; of an attention that is too long to work whole, the query in question."""
    from attncli.core.attention import Attention
    from attncli.solve import BUDGET, excerpt

    if type(problem) is not Attention or problem.memory(None) <= BUDGET:
        return problem, query
    labels = problem.presentation.labels
    if query is None or step in ("key", "value"):
        raise LimitError(
            f"{problem.n_queries} queries × {problem.n_keys} keys are too many to work by hand",
            hint="name a query: attncli explain PROBLEM weights 17 3",
        )
    place = labels.find("query", query, problem.n_queries)
    return excerpt(problem, range(place, place + 1)), "0"


class _Asked:
    """What the words after PROBLEM ask for."""

    def __init__(self, teller: "Teller", lead: dict[str, int], depth: int | None) -> None:
        self.teller = teller
        self.lead = lead
        self.depth = depth
        self.steps = teller.working.steps

    def story(self, step: str, query: str | None, key: str | None) -> "Story":
        bracket = re.fullmatch(r"(.+?)\[([^\]]*)\]", step)
        if bracket is not None and bracket[1] in self._known():
            if query is not None:
                raise UsageError(f"{step} {query}: the place stands twice", expected=step)
            return self._indexed(self._named(bracket[1]), bracket[2])
        if step in self._known():
            return self._placed(self._named(step), query, key)
        return self._vector(step, query)

    def _known(self) -> list[str]:
        """Names of steps, whole or by their ends where only one has it."""
        names = list(self.steps)
        ends = [name.split(".", i)[-1] for name in names for i in range(1, name.count(".") + 1)]
        return [*names, *(end for end in ends if ends.count(end) == 1), "output"]

    def _named(self, name: str) -> "Step":
        if name in self.steps:
            return self.steps[name]
        if name == "output":
            problem = self.teller.working.problem
            from attncli.formats.chosen import known_steps

            chosen = known_steps(["output"], problem)
            assert chosen is not None
            return self.steps[chosen[0]]
        return next(step for known, step in self.steps.items() if known.endswith("." + name))

    def _lead(self, step: "Step") -> tuple[int, ...]:
        """Batch entry and head: those in focus, else the first."""
        lead = []
        for axis in step.axes:
            if axis != "head" and not axis.startswith("batch"):
                break
            lead.append(self.lead.get(axis, 0))
        return tuple(lead)

    def _indexed(self, step: "Step", text: str) -> "Story":
        """`weights[2,1]`; batch entry and head in front, or in focus."""
        shape = step.value.shape
        places = [place for part in text.split(",") if (place := whole(part.strip())) is not None]
        if len(places) <= text.count(",") or len(places) > len(shape):
            raise UsageError(
                f"{step.name}[{text}]",
                expected=f"positions from 0 on {', '.join(step.axes)}",
                found=text,
            )
        index = tuple(places)
        if len(index) < len(shape):
            index = (*self._lead(step)[: len(shape) - len(index)], *index)
        for place, n, axis in zip(index, shape, step.axes, strict=False):
            if place >= n:
                raise UsageError(
                    f"{step.name}[{text}]: there is no {axis} {place}",
                    expected=f"a position from 0 to {n - 1}",
                    found=str(place),
                )
        return self._told(step, index)

    def _placed(self, step: "Step", query: str | None, key: str | None) -> "Story":
        index = self._lead(step)
        labels = self.teller.working.problem.presentation.labels.at(step.name)
        batch = self.lead.get("batch", 0)
        for text, axis in zip((query, key), step.axes[len(index) :], strict=False):
            if text is None:
                break
            n = step.value.shape[len(index)]
            index = (*index, labels.find(axis, text, n, batch))
        if key is not None and len(index) == len(self._lead(step)) + 1:
            raise UsageError(f"{step.name} {query} {key}: {step.name} has no second place")
        return self._told(step, index)

    def _told(self, step: "Step", index: tuple[int, ...]) -> "Story":
        if len(index) == len(step.value.shape):
            return self.teller.cell(step.name, index, self.depth or 2)
        recipe = step.name.removesuffix(step.base)
        is_output = step.base in ("heads", "output") and f"{recipe}weights" in self.steps
        if is_output and step.axes[len(index) - 1 : len(index)] == ("query",):
            return self.teller.output(recipe, self._lead(self.steps[f"{recipe}weights"]), index[-1])
        return self.teller.vector(step.name, index, self.depth or 1)

    def _vector(self, text: str, second: str | None) -> "Story":
        """`b1`, `q1`, `k2`, `v2`, or a label: of a query its output, of a key the key."""
        labels = self.teller.working.problem.presentation.labels
        batch = self.lead.get("batch", 0)
        kind = VECTORS.get(text[:1]) if text[1:].isdecimal() else None
        is_query = text in labels.given("query", batch) or text.isdecimal()
        if is_query or (text[:1] == "b" and text[1:].isdecimal()):
            weights = [name for name in self.steps if name.rpartition(".")[2] == "weights"]
            if weights and second is None:
                step = self.steps[weights[-1]]
                names = labels.at(step.name)
                query = names.find("query", text, step.value.shape[-2], batch)
                recipe = step.name.removesuffix("weights")
                result = f"{recipe}output" in self.steps or f"{recipe}heads" in self.steps
                if result:
                    return self.teller.output(recipe, self._lead(step), query)
                return self.teller.vector(step.name, (*self._lead(step), query), self.depth or 1)
        if text in labels.given("key", batch):
            kind = "key"
        owners = [name for name in self.steps if name.rpartition(".")[2] == kind]
        if not owners:
            raise self._unknown(text)
        return self._placed(self.steps[owners[-1]], text, second)

    def _unknown(self, text: str) -> UsageError:
        from attncli.files.scalars import did_you_mean

        ends = [name for name in self.steps if name.endswith(f".{text}")]
        names = ends or list(self.steps)
        some = ", ".join(names[:8]) + ", …" * (len(names) > 8)
        hint = did_you_mean(text, self._known())
        has_weights = any(name.endswith("weights") for name in self.steps)
        others = "a label, or a vector such as b1" if has_weights else "or a label"
        return UsageError(
            f"this problem has no step, label or vector {text!r}"
            if not ends
            else f"{len(ends)} steps end with {text!r}",
            expected=some if ends else f"{some}, {others}",
            found=text,
            hint="" if ends else hint or "attncli attend PROBLEM shows the steps",
        )
