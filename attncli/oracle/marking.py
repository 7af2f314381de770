"""Answer sheets: each step right, wrong, or right given an earlier mistake.

A step that follows from what stands before it on the sheet is right given that: the recipe is
driven with the sheet's own values and must come to the same. So a sheet with one mistake has one
step wrong, not all that follow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from attncli.core.attention import Attention
from attncli.core.problem import Problem
from attncli.core.step import Step
from attncli.errors import AttncliError, InputError, Place
from attncli.files.results import Result
from attncli.oracle.carried import expected, theirs_sent
from attncli.oracle.compare import Comparison, Numbers, Rule, beside, distance, of
from attncli.oracle.search import Fit, Search
from attncli.solve import Trace, solve
from attncli.worked import Working

Mark = Literal["right", "carried", "wrong", "missing"]

TRIALS = 6
"""Ways in which the digits left out of the steps before are tried, to see how much they matter."""
SLACK = 1.5


@dataclass(frozen=True, eq=False)
class Mistake:
    """The first wrong cell of a sheet."""

    step: str
    place: tuple[int, ...]
    """As it lies on the sheet; empty where the shape is wrong."""
    expected: float
    written: float
    arithmetic: str = ""
    remark: str = ""


@dataclass(frozen=True, eq=False)
class Marked:
    """A sheet with its marks."""

    source: str
    marks: Mapping[str, Mark] = field(default_factory=dict)
    first: Mistake | None = None
    slip: Fit | None = None
    blank: tuple[str, ...] = ()
    """Steps that stand on the sheet without a number."""
    problem: str = ""
    """Why the sheet could not be read; empty where it could."""

    @property
    def points(self) -> int:
        """Steps that are right, or right given an earlier mistake."""
        return sum(mark in ("right", "carried") for mark in self.marks.values())

    @property
    def all_right(self) -> bool:
        return not self.problem and {*self.marks.values()} <= {"right"}


def unread(source: str, error: AttncliError) -> Marked:
    """A sheet that cannot be read: the others are marked all the same."""
    return Marked(source, problem=error.what)


def asked(sheets: Sequence[Marked]) -> list[Marked]:
    """The sheets with the steps that were asked for: those that at least one of them has."""
    there = {name for sheet in sheets for name, mark in sheet.marks.items() if mark != "missing"}
    there |= {name for sheet in sheets for name in sheet.blank}
    return [
        replace(sheet, marks={name: sheet.marks[name] for name in sheet.marks if name in there})
        for sheet in sheets
    ]


def _is_blank(result: Result) -> bool:
    """Whether nothing of a step was filled in."""
    return result.blank is not None and bool(np.all(result.blank))


@dataclass(frozen=True, eq=False)
class Marker:
    """Marks sheets of one problem."""

    problem: Problem
    ours: Trace
    rule: Rule

    @np.errstate(all="ignore")
    def marked(self, source: str, results: Mapping[str, Result]) -> Marked:
        """A sheet with its marks. Raises `InputError` where no step of it is one of ours."""
        names = [name for name in self.ours.names if name != "lse"]
        alone = results.get("", results.get("output"))
        if len(results) == 1 and alone is not None:
            results = {names[-1]: alone}
        sheet = {name: results[name] for name in names if name in results}
        if not sheet:
            raise InputError(
                "the sheet has no step of this problem",
                expected=", ".join(names),
                found=", ".join(list(results)[:8]) or "nothing",
                place=Place(source),
            )
        blank = tuple(name for name, result in sheet.items() if _is_blank(result))
        sheet = {name: result for name, result in sheet.items() if name not in blank}
        given = self._given(sheet)
        slack = self._slack(sheet, given)
        marks: dict[str, Mark] = {}
        first: Comparison | None = None
        for name in names:
            if name not in sheet:
                marks[name] = "missing"
                continue
            theirs, ours = sheet[name], of(self.ours, name, sheet[name])
            assert ours is not None
            whole = beside(self.problem, name, ours, theirs, self.rule)
            follows = beside(self.problem, name, given[name], theirs, self.rule, slack.get(name))
            if whole.same:
                marks[name] = "right"
            elif follows.same:
                marks[name] = "carried" if "wrong" in marks.values() else "right"
            else:
                marks[name] = "wrong"
                first = first or whole
        if first is None:
            return Marked(source, marks, blank=blank)
        return Marked(source, marks, self._mistake(first), self._slip(first, sheet), blank)

    # --- pieces

    def _given(self, sheet: Mapping[str, Result]) -> dict[str, Step]:
        return expected(self.problem, sheet, self.ours.notation)

    def _slack(self, sheet: Mapping[str, Result], given: dict[str, Step]) -> dict[str, Numbers]:
        """How far the digits that a sheet leaves out of a step may move those that follow."""
        if all(result.half_digit is None for result in sheet.values()):
            return {}
        moved = {name: np.zeros(np.shape(step.value)) for name, step in given.items()}
        for trial in range(TRIALS):
            random = np.random.default_rng(trial)
            unrounded = {
                name: result
                if result.half_digit is None
                else replace(
                    result,
                    value=result.value
                    + result.half_digit * random.choice([-1.0, 1.0], result.value.shape),
                )
                for name, result in sheet.items()
            }
            for name, step in self._given(unrounded).items():
                apart = np.abs(distance(np.asarray(given[name].value), np.asarray(step.value)))
                moved[name] = np.maximum(moved[name], np.where(np.isfinite(apart), apart, 0.0))
        return {name: SLACK * amount for name, amount in moved.items()}

    def _mistake(self, wrong: Comparison) -> Mistake:
        if wrong.first is None:
            shapes = (" × ".join(map(str, side.shape)) for side in (wrong.ours, wrong.theirs))
            remark = "the table is {1}, not {0}".format(*shapes)
            return Mistake(wrong.name, (), float("nan"), float("nan"), remark=remark)
        place = wrong.first
        # All that stands before the first mistake is right: the solution's own numbers show why.
        working = Working(self.problem)
        is_ours = wrong.name in working.steps
        axes = working.steps[wrong.name].axes if is_ours else wrong.axes
        at = tuple(place[wrong.axes.index(axis)] for axis in axes)
        return Mistake(
            wrong.name,
            place,
            float(wrong.ours[place]),
            float(wrong.theirs[place]),
            working.line(wrong.name, at) if is_ours else "",
        )

    def _slip(self, wrong: Comparison, sheet: Mapping[str, Result]) -> Fit | None:
        """The slip that gives the first wrong step, from what stands before it on the sheet."""
        if not isinstance(self.problem, Attention):
            return None
        names = list(self.ours.names)
        earlier = {name: sheet[name] for name in names[: names.index(wrong.name)] if name in sheet}
        change = theirs_sent(earlier, self.ours.notation)
        notation = self.ours.notation
        ours = solve(self.problem, keep=(wrong.name,), notation=notation, change=change)
        theirs = {wrong.name: sheet[wrong.name]}
        rule = replace(self.rule, keep=frozenset({wrong.name}))
        search = Search(self.problem, ours, theirs, rule, change=change, pairs=False)
        fits = search.fits()
        return fits[0] if fits else None
