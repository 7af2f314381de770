"""Where libraries would disagree on one problem, by how much, and by which of their habits.

Each dialect is a set of choices; a choice matters here where the result becomes another without it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from attncli.core.problem import Problem
from attncli.core.step import Step
from attncli.errors import AttncliError
from attncli.files.dialects import DIALECTS, Dialect
from attncli.oracle.compare import FLOAT64, Comparison, Numbers, compare
from attncli.solve import solve

Opening = Callable[[Dialect | None], Problem]
"""Opens the problem under a dialect; None as it stands."""

HABITS: Mapping[str, Mapping[object, str]] = {
    "similarity": {"dot": "scores are not scaled", "scaled-dot": "scores are scaled by 1/√d"},
    "booleans": {"drop": "True in a mask hides", "keep": "True in a mask shows"},
    "numbers": {
        "keep": "1 in a numeric mask shows",
        "drop": "1 in a numeric mask hides",
        "add": "the numbers of a mask are added to the scores",
    },
    "three_axes": {
        "heads": "the first of a mask's three axes is heads",
        "batch": "the first of a mask's three axes is the batch",
        "batch-heads": "the first of a mask's three axes is batch and heads together",
    },
    "align": {
        "top-left": "the first query stands at the first key (top left)",
        "bottom-right": "the last query stands at the last key (bottom right)",
        "lengths": "queries stand at the bottom right where key lengths are given, else top left",
    },
    "masked_row": {
        "zero": "a query that may attend to nothing gets zeros",
        "nan": "a query that may attend to nothing gets NaN",
        "uniform": "a query that may attend to nothing gives all keys the same weight",
    },
    "short_mask": {True: "keys beyond a short mask are hidden"},
}


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one library would compute."""

    name: str
    """The dialect; empty for the problem as it stands."""
    source: str
    output: Numbers | None
    error: AttncliError | None = None
    """Why there is no output."""
    comparison: Comparison | None = None
    """Beside the first that computes; None for that one, and for a refusal."""
    because: tuple[str, ...] = ()
    """The habits that matter on this problem."""

    @property
    def refused(self) -> str:
        """Why the library would not compute it; empty where it would."""
        return "" if self.error is None else self.error.what

    @property
    def same(self) -> bool:
        return self.error is None and (self.comparison is None or self.comparison.same)


def outcomes(open_problem: Opening) -> list[Outcome]:
    """The problem as it stands, then under each dialect.

    Raises what is wrong with the problem as it stands where nothing computes it.
    """
    own = _outcome("", "as the problem stands", open_problem, None)
    found = [own]
    for name, dialect in DIALECTS.items():
        outcome = _outcome(name, dialect.source, open_problem, dialect)
        found.append(replace(outcome, because=_habits(dialect, outcome, open_problem)))
    reference = next((outcome for outcome in found if outcome.output is not None), None)
    if reference is None:
        assert own.error is not None
        raise own.error
    return [_beside(reference, outcome) for outcome in found]


def _outcome(name: str, source: str, open_problem: Opening, dialect: Dialect | None) -> Outcome:
    try:
        return Outcome(name, source, np.asarray(solve(open_problem(dialect), keep=()).output))
    except AttncliError as error:
        return Outcome(name, source, None, error)


def _habits(dialect: Dialect, outcome: Outcome, open_problem: Opening) -> tuple[str, ...]:
    """The choices without which the result would be another (or none)."""
    if outcome.output is None:
        return ()
    neutral = Dialect("", "")
    habits = []
    for field in fields(Dialect):
        choice = getattr(dialect, field.name)
        if field.name in ("name", "source") or choice == getattr(neutral, field.name):
            continue
        without = replace(dialect, **{field.name: getattr(neutral, field.name)})
        other = _outcome("", "", open_problem, without).output
        if other is None or _apart(outcome.output, other):
            if field.name == "masked_by":
                amount = f"{choice:.0e}".replace("-", "−").replace("e+0", "e")
                habits.append(f"{amount} is added to masked scores")
            else:
                habits.append(HABITS[field.name][choice])
    return tuple(habits)


def _apart(a: Numbers, b: Numbers) -> bool:
    return a.shape != b.shape or not _compared("", a, b).same


def _compared(name: str, ours: Numbers, theirs: Numbers) -> Comparison:
    axes = tuple(f"axis{i}" for i in range(ours.ndim))
    return compare(Step(name, ours, axes), np.asarray(theirs, dtype=np.float64), *FLOAT64)


def _beside(reference: Outcome, outcome: Outcome) -> Outcome:
    if outcome is reference or outcome.output is None or reference.output is None:
        return outcome
    comparison = _compared("output", reference.output, outcome.output)
    return replace(outcome, comparison=comparison)
