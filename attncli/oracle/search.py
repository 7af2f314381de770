"""The search for a slip that reproduces a foreign result: single ones, then pairs of them.

A slip counts only where all is given back within the tolerance, where it is clearly another result
than ours, and where the numbers say more than chance could: so noise, and a slip that is not in the
list, end in none.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import log10, prod

import numpy as np

from attncli.core.attention import Attention
from attncli.core.problem import Problem
from attncli.core.step import Array, Step
from attncli.core.transformer import Encoder
from attncli.errors import AttncliError
from attncli.files.results import Result
from attncli.oracle.compare import CLEARLY, Comparison, Numbers, Rule, compared, distance, of
from attncli.oracle.precision import PRECISIONS, Precision
from attncli.oracle.slips import SLIPS, Evidence, Slip
from attncli.oracle.slips.layers import in_layers
from attncli.solve import Trace, solve

NEARER = 0.05
"""A slip is looked at closely where it explains all but this share of the difference."""

ALIKE = 0.35
"""Errors of two runs in a low precision that make the same roundings agree up to this share."""

ENOUGH = 8
"""Numbers that must be in a low precision before it is named for that."""

FURTHER = 8.0
"""How many tolerances of a low precision a run may err whose sums are in it, too."""

MOST_PAIRS = 6000
WORK = 4e8
"""Scores computed in the search for pairs, at most: half a minute or so."""
MORE_PAIRS = 300
"""Pairs that are tried after the first that fits."""

Progress = Callable[[str, int, int], None]
"""Told what is tried (`slips`, `pairs`), how many are done, and of how many."""
Applied = tuple[tuple[Slip, str], ...]


@dataclass(frozen=True, eq=False)
class Fit:
    """A slip, or a pair of slips, that gives the foreign result back."""

    slips: Applied
    problem: Problem
    max_abs: float
    """How far it is from theirs."""
    misfit: float = 0.0
    """The same, squared, as a share of what is allowed, on the average."""

    @property
    def name(self) -> str:
        return " + ".join(slip.name for slip, _ in self.slips)

    @property
    def sentence(self) -> str:
        return ", and ".join(
            slip.sentence + (f" ({detail})" if detail else "") for slip, detail in self.slips
        )

    @property
    def known_from(self) -> str:
        return "; ".join(dict.fromkeys(slip.known_from for slip, _ in self.slips))

    @property
    def rank(self) -> int:
        """Smaller is better; what only rounding tells apart has the same."""
        return round(4 * log10(max(self.misfit, 1e-6)))


@dataclass(eq=False)
class Search:
    """One foreign result, the problem it should have solved, and how near it must be."""

    problem: Problem
    ours: Trace
    theirs: Mapping[str, Result]
    rule: Rule
    progress: Progress = lambda what, done, of: None
    change: Callable[[Step], Array] | None = None
    """What every run makes of its steps: a sheet's own values before the step in question."""
    pairs: bool = True
    """Whether pairs are tried where no single slip fits."""
    tried: int = 0
    """How many slips, or pairs of them, were tried in the end."""

    @cached_property
    def base(self) -> dict[str, Comparison]:
        """Theirs beside ours."""
        found = compared(self.problem, self.ours, self.theirs, self.rule)
        return {comparison.name: comparison for comparison in found}

    def fits(self) -> list[Fit]:
        """What reproduces theirs, best first; pairs only where no single slip does."""
        singles = list(self._singles()) if self.base else []
        self.tried = len(singles)
        found, effective = [], []
        for done, (applied, made) in enumerate(singles):
            self.progress("slips", done, len(singles))
            trace = self._run(made)
            if trace is None or not self._differs(trace):
                continue
            effective.append(applied)
            if fit := self._judged((applied,), made, trace):
                found.append(fit)
        self.progress("slips", len(singles), len(singles))
        if not found and self.pairs and isinstance(self.problem, Attention):
            found = list(self._pairs(self.problem, effective))
        return ranked(found)

    def _singles(self) -> Iterator[tuple[tuple[Slip, str], Problem]]:
        """Every slip in every way that it can be made here."""
        if isinstance(self.problem, Attention):
            evidence = Evidence(self.ours, self.theirs)
            for slip in SLIPS.values():
                for detail, made in _variants(slip, self.problem, evidence):
                    yield (slip, detail), made
        elif isinstance(self.problem, Encoder):
            for slip, (detail, layers) in in_layers(self.problem):
                yield (slip, detail), layers

    def _pairs(self, problem: Attention, singles: list[tuple[Slip, str]]) -> Iterator[Fit]:
        """Pairs of slips of different parts, the common ones first, as many as the work allows."""
        order = {name: place for place, name in enumerate(SLIPS)}
        pairs = [
            (first, second)
            for i, first in enumerate(singles)
            for second in singles[i + 1 :]
            if first[0].part != second[0].part and first[0].pairs and second[0].pairs
        ]
        pairs.sort(key=lambda pair: order[pair[0][0].name] + order[pair[1][0].name])
        scores = problem.n_queries * problem.n_keys * prod(problem.leading)
        pairs = pairs[: max(100, min(MOST_PAIRS, int(WORK / max(scores, 1))))]
        self.tried += len(pairs)
        last = len(pairs)
        for done, (first, second) in enumerate(pairs):
            self.progress("pairs", done, len(pairs))
            if done > last:
                break
            made = remade((first, second), problem)
            if made is not None and (fit := self.judged((first, second), made)):
                last = min(last, done + MORE_PAIRS)
                yield fit
        self.progress("pairs", len(pairs), len(pairs))

    def judged(self, applied: Applied, made: Problem) -> Fit | None:
        """The slips as a fit; None where they do not reproduce theirs, or nothing else."""
        trace = self._run(made)
        if trace is None or not self._differs(trace):
            return None
        return self._judged(applied, made, trace)

    def _judged(self, applied: Applied, made: Problem, trace: Trace) -> Fit | None:
        if any(slip.part == "precision" for slip, _ in applied):
            return self._in_low_precision(applied, made, trace)
        if not self._is_near(trace):
            return None
        found = compared(made, trace, self.theirs, self.rule)
        there = {comparison.name for comparison in found}
        if not all(comparison.same for comparison in found) or self._wrong[-1] not in there:
            return None
        if not self._is_telling(found):
            return None
        return _fit(applied, made, found)

    # --- pieces

    @cached_property
    def _wrong(self) -> list[str]:
        """The steps of theirs that differ from ours, in order."""
        return [name for name, comparison in self.base.items() if not comparison.same]

    def _run(self, made: Problem) -> Trace | None:
        keep = {*self.base, "heads"} if "output" in self.base else {*self.base}
        try:
            return solve(made, keep=keep, notation=self.ours.notation, change=self.change)
        except (AttncliError, ValueError, IndexError):
            return None  # shapes that the slip made do not fit each other: nobody computed that

    def _beside(self, trace: Trace) -> Iterator[tuple[Comparison, Numbers]]:
        """Our comparisons, each with the slip's numbers for that step."""
        for name, comparison in self.base.items():
            step = of(trace, name, self.theirs[name])
            if step is not None:
                yield comparison, np.asarray(step.value, dtype=np.float64)

    def _differs(self, trace: Trace) -> bool:
        """Whether the slip is clearly another result than ours, in a step where theirs is, too."""
        for comparison, made in self._beside(trace):
            if made.shape != comparison.ours.shape:
                return True
            if comparison.same or not comparison.fits:
                continue
            apart = np.abs(distance(comparison.ours, made))
            if np.any(apart > CLEARLY * comparison.allowed):
                return True
        return False

    def _is_near(self, trace: Trace) -> bool:
        """Whether a closer look is worth its run in the precision of theirs."""
        for comparison, made in self._beside(trace):
            theirs = comparison.theirs
            if made.shape != theirs.shape:
                return False
            if not comparison.fits:
                continue
            apart = float(np.abs(distance(made, theirs)).max(initial=0.0))
            allowed = float(comparison.allowed.max(initial=0.0))
            if apart > max(NEARER * comparison.max_abs, 2 * allowed):
                return False
        return True

    def _is_telling(self, found: Iterable[Comparison]) -> bool:
        """Whether theirs has more digits to say than would fit one of all hypotheses by chance."""
        digits = 0.0
        for comparison in found:
            before = self.base[comparison.name]
            if before.fits:
                digits += before.evidence
            else:
                spread = np.nanstd(comparison.theirs)
                with np.errstate(all="ignore"):
                    ratio = np.log10(spread / comparison.allowed)
                digits += float(np.clip(np.nan_to_num(ratio), 0, 16).sum())
        return digits >= log10(max(self.tried, 1)) + 1

    def _in_low_precision(self, applied: Applied, made: Problem, trace: Trace) -> Fit | None:
        """A low precision is no single result: the order of its sums is not known.

        So theirs must be as near as that precision comes; and its numbers must be of that type, or
        err where its roundings do.
        """
        precision = PRECISIONS[applied[-1][1].partition(":")[0]]
        wrong = [comparison for comparison in self.base.values() if not comparison.same]
        if not self._says_more_than(precision) or not all(c.fits for c in self.base.values()):
            return None
        rule = Rule(computed_in=precision.name, notation=self.rule.notation, keep=self.rule.keep)
        allowed = compared(self.problem, self.ours, self.theirs, rule)
        if not all(c.max_abs <= FURTHER * c.allowed.max() for c in allowed):
            return None
        theirs = np.concatenate([c.theirs[c.wrong] for c in wrong])
        errors = theirs - np.concatenate([c.ours[c.wrong] for c in wrong])
        beside = [(c, numbers) for c, numbers in self._beside(trace) if not c.same]
        rest = theirs - np.concatenate([numbers[c.wrong] for c, numbers in beside])
        is_of_type = np.array_equal(precision.round(theirs), theirs)
        errs_alike = np.linalg.norm(rest) <= ALIKE * np.linalg.norm(errors)
        if theirs.size < ENOUGH or not (is_of_type or errs_alike):
            return None
        return _fit(applied, made, compared(made, trace, self.theirs, rule))

    def _says_more_than(self, precision: Precision) -> bool:
        """Whether theirs are written in a finer type than this one, all of them."""
        return self.rule.computed_in is None and all(
            result.half_digit is None
            and PRECISIONS[self.rule.precision(result)].epsilon < precision.epsilon
            for result in self.theirs.values()
        )


def _variants(
    slip: Slip, problem: Attention, evidence: Evidence | None = None
) -> Iterator[tuple[str, Attention]]:
    """What a slip makes of a problem; nothing more where its own changes no longer fit."""
    try:
        yield from slip.variants(problem, evidence)
    except (AttncliError, ValueError, IndexError):
        return


def remade(applied: Applied, problem: Attention) -> Attention | None:
    """What slips make of another problem; None for one that is fitted, or no longer matters."""
    for slip, detail in applied:
        if slip.is_fitted:
            return None
        made = next((made for text, made in _variants(slip, problem) if text == detail), None)
        if made is None:
            return None
        problem = made
    return problem


def _fit(applied: Applied, made: Problem, found: list[Comparison]) -> Fit:
    worst = max((comparison.max_abs for comparison in found), default=0.0)
    shares = []
    for comparison in found:
        apart = np.abs(distance(comparison.ours, comparison.theirs))
        allowed = comparison.allowed
        shares.append(np.divide(apart, allowed, out=np.zeros_like(apart), where=allowed > 0))
    misfit = float(np.mean(np.concatenate([share.ravel() for share in shares]) ** 2))
    return Fit(applied, made, worst, misfit)


def ranked(fits: Iterable[Fit]) -> list[Fit]:
    """Best first, each name once; what rounding alone tells apart stays in the registry's order."""
    best: dict[str, Fit] = {}
    for fit in sorted(fits, key=lambda fit: fit.rank):
        best.setdefault(fit.name, fit)
    return list(best.values())
