"""The verdict on a foreign result: the comparison of every step, and what explains a difference."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from attncli.core.attention import Attention
from attncli.core.problem import Problem
from attncli.errors import InputError, Place, UsageError
from attncli.files.results import Result
from attncli.oracle.compare import Comparison, Rule, compared, distance
from attncli.oracle.facts import facts
from attncli.oracle.search import Fit, Progress, Search, remade
from attncli.solve import Trace, solve

MOST_NAMED = 5
"""Fits that are told apart in words."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What `verify` found."""

    source: str
    """Theirs, as the user named it."""
    comparisons: tuple[Comparison, ...]
    fits: tuple[Fit, ...] = ()
    """Best first."""
    apart: tuple[str, ...] = ()
    """What would tell the fits apart."""
    facts: tuple[str, ...] = ()
    """What is known where nothing fits."""
    tried: int = 0
    precision: str = ""
    """How theirs was computed or written, and so how near it must be."""

    @property
    def same(self) -> bool:
        return all(comparison.same for comparison in self.comparisons)


@dataclass(frozen=True, eq=False)
class Judge:
    """A problem in float64, computed once, and how near others must come."""

    problem: Problem
    ours: Trace
    rule: Rule
    step: str | None = None
    """The one step that is looked at."""
    progress: Progress = field(default=lambda what, done, of: None)

    @np.errstate(all="ignore")
    def verdict(self, source: str, results: Mapping[str, Result]) -> Verdict:
        """Theirs beside ours. Raises `InputError` where there is nothing in common."""
        theirs = self._named(source, results)
        comparisons = compared(self.problem, self.ours, theirs, self.rule)
        if not comparisons:
            raise _nothing_in_common(source, theirs, self.ours)
        precision = self._precision(theirs)
        if all(comparison.same for comparison in comparisons):
            return Verdict(source, tuple(comparisons), precision=precision)
        seen = {comparison.name: theirs[comparison.name] for comparison in comparisons}
        search = Search(self.problem, self.ours, seen, self.rule, self.progress)
        fits = search.fits()
        apart = told_apart(self.problem, fits[:MOST_NAMED], {*seen})
        known = () if fits else facts(self.problem, self.ours, seen, self.rule, comparisons)
        return Verdict(
            source,
            tuple(comparisons),
            tuple(fits),
            tuple(apart),
            tuple(known),
            search.tried,
            precision,
        )

    def _named(self, source: str, results: Mapping[str, Result]) -> Mapping[str, Result]:
        """Theirs by the names of our steps: `--step`, the file's own, or what its name says."""
        names = {*self.ours.names, "output"}
        if self.step is not None:
            if self.step not in names:
                raise UsageError(
                    f"--step {self.step}: this problem has no such step",
                    expected=", ".join(dict.fromkeys([*self.ours.names, "output"])),
                    found=self.step,
                )
            chosen = results.get(self.step)
            if chosen is None and len(results) == 1:
                (chosen,) = results.values()
            if chosen is None:
                raise _nothing_in_common(source, results, self.ours)
            return {self.step: chosen}
        if len(results) == 1:
            ((name, result),) = results.items()
            if name not in names:
                stem = source.replace("\\", "/").rpartition("/")[2].partition(".")[0]
                return {stem if stem in names else "output": result}
        return results

    def _precision(self, theirs: Mapping[str, Result]) -> str:
        if self.rule.rtol is not None or self.rule.atol is not None:
            return f"rtol {self.rule.rtol or 0:g}, atol {self.rule.atol or 0:g}"
        kinds = []
        for result in theirs.values():
            kind = self.rule.precision(result)
            nearness = "1e-10 and 1e-12" if kind == "float64" else "twice a naive run"
            text = f"{kind}: {nearness}"
            kinds.append(text if result.half_digit is None else f"half a digit, {text}")
        return "; ".join(dict.fromkeys(kinds))


def told_apart(problem: Problem, fits: list[Fit], seen: set[str]) -> list[str]:
    """For each further fit, what would tell it from the first: a step, or other numbers."""
    sentences = []
    for other in fits[1:]:
        first = fits[0]
        where = _differing_step(first, other, seen)
        if where is not None:
            name, amount = where
            how = f"the step {name} tells them apart (by {amount:.3g}): give it, too"
        elif (change := _on_other_numbers(problem, first, other)) is not None:
            how = f"other numbers of these shapes do (random ones: by {change:.3g})"
        else:
            how = "nothing of these shapes does: they are the same computation here"
        sentences.append(f"{first.name} or {other.name}: {how}")
    return sentences


def _differing_step(a: Fit, b: Fit, seen: set[str]) -> tuple[str, float] | None:
    runs = [_run(fit.problem) for fit in (a, b)]
    for name in runs[0].names:
        if name in seen or name not in runs[1]:
            continue
        apart = _apart(runs[0][name], runs[1][name])
        if apart is not None:
            return name, apart
    return None


def _on_other_numbers(problem: Problem, a: Fit, b: Fit) -> float | None:
    """How far two slips are apart on random vectors of the same shapes, thrice as far spread."""
    if not isinstance(problem, Attention):
        return None
    random = np.random.default_rng(0)
    drawn: dict[str, Any] = {}
    for name in ("query", "key", "value", "scores"):
        array = getattr(problem, name)
        if array is not None:
            drawn[name] = np.where(np.isfinite(array), 3 * random.normal(size=array.shape), array)
    fresh = replace(problem, **drawn)
    made = [remade(fit.slips, fresh) for fit in (a, b)]
    outputs = [_run(other).output for other in made if other is not None]
    return _apart(*outputs) if len(outputs) == 2 else None


def _run(problem: Problem) -> Trace:
    return solve(problem, notation="rows")


def _apart(a: object, b: object) -> float | None:
    """The largest difference of two arrays; None where they are the same."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        return float("inf")
    amount = float(np.abs(distance(first, second)).max(initial=0.0))
    finite = first[np.isfinite(first)]
    return amount if amount > 1e-9 * (1 + np.abs(finite).max(initial=0.0)) else None


def _nothing_in_common(source: str, theirs: Mapping[str, Result], ours: Trace) -> InputError:
    return InputError(
        f"{source} has no step of this problem",
        expected=", ".join(dict.fromkeys([*ours.names, "output"])),
        found=", ".join(list(theirs)[:8]) or "nothing",
        hint="name it: --step output, or FILE:NAME",
        place=Place(source),
    )
