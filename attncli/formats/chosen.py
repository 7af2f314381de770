"""Which steps a problem shall show, by the names that people write."""

from collections.abc import Iterable

from attncli.core.problem import Problem
from attncli.core.step import BESIDE, ON_REQUEST
from attncli.errors import UsageError
from attncli.files.scalars import did_you_mean


def names(text: str | None) -> tuple[str, ...] | None:
    """`--steps`: None for all, () for none, else the names."""
    if text is None or text == "all":
        return None
    if not text.strip(" ,"):
        raise UsageError("--steps is empty", expected="all, none or names of steps")
    return () if text == "none" else tuple(name.strip() for name in text.split(",") if name.strip())


def known_steps(chosen: Iterable[str] | None, problem: Problem) -> tuple[str, ...] | None:
    """The chosen steps, `output` by the name that it has in this problem.

    Raises `UsageError` for a step that the problem does not have.
    """
    if chosen is None:
        return None
    known = problem.step_names()
    result = [name for name in known if name.rpartition(".")[2] not in BESIDE | ON_REQUEST][-1]
    steps = []
    for name in chosen:
        if name not in known and name != "output":
            raise UsageError(
                f"--steps {name}: this problem has no such step",
                expected=", ".join(known),
                found=name,
                hint=did_you_mean(name, known) or "--steps all",
            )
        steps.append(name if name in known else result)
    return tuple(steps)
