"""What is known of a foreign result that no slip explains: facts, each of them computed."""

from collections.abc import Iterator, Mapping

import numpy as np

from attncli.core.attention import Attention
from attncli.core.problem import Problem
from attncli.core.shapes import by, count, listed
from attncli.core.step import Step
from attncli.files.results import Result
from attncli.oracle.carried import expected
from attncli.oracle.compare import Comparison, Numbers, Rule, compare
from attncli.solve import Trace, solve

NEAR = (1e-3, 1e-3)
"""rtol and atol at which numbers in another shape are taken for ours."""


def facts(
    problem: Problem,
    trace: Trace,
    theirs: Mapping[str, Result],
    rule: Rule,
    comparisons: list[Comparison],
) -> Iterator[str]:
    """Sentences: which steps are right, what follows from what, factors, sums, NaN."""
    right = [comparison.name for comparison in comparisons if comparison.same]
    wrong = [comparison for comparison in comparisons if not comparison.same]
    if right:
        yield (
            f"{listed(right)} {'is' if len(right) == 1 else 'are'} right; the first step that "
            f"differs is {wrong[0].name}"
        )
    for comparison in wrong:
        if not comparison.fits:
            yield from _reshaped(comparison)
    yield from _consequences(problem, trace, theirs, rule, wrong)
    for comparison in wrong:
        if comparison.fits:
            yield from _lost(comparison)
            yield from _factor(comparison)
    for comparison in comparisons:
        if comparison.name.rpartition(".")[2] == "weights" and comparison.fits:
            yield from _sums(comparison)
    if isinstance(problem, Attention) and "weights" not in {c.name for c in comparisons}:
        yield from _range(problem, wrong)


def _consequences(
    problem: Problem,
    trace: Trace,
    theirs: Mapping[str, Result],
    rule: Rule,
    wrong: list[Comparison],
) -> Iterator[str]:
    """Later steps that are right for somebody with their earlier ones."""
    if len(wrong) < 2 or not all(comparison.fits for comparison in wrong):
        return
    given = expected(problem, theirs, trace.notation)
    follows = []
    for comparison in wrong[1:]:
        step = given.get(comparison.name)
        if step is None or np.shape(step.value) != comparison.theirs.shape:
            return
        rtol, atol = rule.tolerance(problem, step, theirs[comparison.name])
        if compare(step, comparison.theirs, rtol, atol).same:
            follows.append(comparison.name)
    if follows:
        verb = "follows" if len(follows) == 1 else "follow"
        yield f"{listed(follows)} {verb} from what stands before: only the rest is to be explained"


def _reshaped(comparison: Comparison) -> Iterator[str]:
    """Whether theirs are our numbers in another shape: axes of 1, or batch and heads in one."""
    if comparison.theirs.size != comparison.ours.size:
        return
    step = Step(comparison.name, comparison.ours, comparison.axes)
    theirs = comparison.theirs.reshape(comparison.ours.shape)
    if compare(step, theirs, *NEAR).same:
        yield f"{comparison.name} has the right numbers: reshape it to {by(comparison.ours.shape)}"


def _lost(comparison: Comparison) -> Iterator[str]:
    for what, where in (
        ("NaN", np.isnan(comparison.theirs)),
        ("infinity", np.isinf(comparison.theirs)),
    ):
        new = where & np.isfinite(comparison.ours)
        if new.any():
            first = tuple(map(int, np.argwhere(new)[0]))
            yield f"{comparison.name} has {what} in {int(new.sum())} places, first {list(first)}"


def _factor(comparison: Comparison) -> Iterator[str]:
    """Whether theirs is ours times one number, or times one number a row."""
    ours, theirs = comparison.ours, comparison.theirs
    with np.errstate(all="ignore"):
        big = np.abs(ours) > 1e-6 * np.nanmax(np.abs(np.where(np.isfinite(ours), ours, 0)))
        ratio = np.where(big & np.isfinite(theirs), theirs / ours, np.nan)
    noise = comparison.allowed / np.where(big, np.abs(ours), np.inf)
    known = np.isfinite(ratio)
    if known.sum() < 3:
        return
    middle = float(np.median(ratio[known]))
    if np.all(np.abs(ratio - middle)[known] <= 2 * noise[known] + 1e-9 * abs(middle)):
        if not np.isclose(middle, 1):
            yield f"{comparison.name} is ours times {middle:.6g} everywhere"
        return
    if ratio.shape[-1] < 2:
        return
    counted = known | ~known.any(axis=-1, keepdims=True)  # a row without any has no factor
    rows = np.nanmedian(np.where(counted, np.where(known, ratio, 1.0), np.nan), axis=-1)
    apart = np.abs(ratio - rows[..., None])
    if np.all(apart[known] <= 2 * noise[known] + 1e-9 * np.abs(middle)):
        low, high = float(rows.min()), float(rows.max())
        yield (
            f"each vector of {comparison.name} is ours times a number of its own ({low:.4g} to "
            f"{high:.4g}): the weights have another sum"
        )


def _sums(comparison: Comparison) -> Iterator[str]:
    axis = comparison.axes.index("key") if "key" in comparison.axes else -1
    sums: Numbers = comparison.theirs.sum(axis=axis)
    ours: Numbers = comparison.ours.sum(axis=axis)
    slack = comparison.allowed.sum(axis=axis) + 1e-9
    what = "rows" if comparison.axes[-1] == "key" else "columns"
    if not np.isfinite(sums).all():
        return
    if np.all(np.abs(sums - ours) <= slack):
        yield f"the {what} of {comparison.name} have the right sums"
    else:
        low, high = float(sums.min()), float(sums.max())
        wrong = int((np.abs(sums - ours) > slack).sum())
        between = f"the sum {low:.4g}" if low == high else f"sums from {low:.4g} to {high:.4g}"
        told = f"the {what} of {comparison.name} have {between}"
        yield f"{told}: {wrong} of {sums.size} are wrong"
    if comparison.theirs.min() < 0 <= comparison.ours.min():
        yield f"{comparison.name} has negative numbers, down to {comparison.theirs.min():.4g}"


def _range(problem: Attention, wrong: list[Comparison]) -> Iterator[str]:
    """Weights that are no less than 0 and sum to 1 cannot leave the range of the values."""
    last = wrong[-1]
    projected = problem.projections.output is not None and last.name != "heads"
    if projected or problem.value is None or last.name not in ("output", "heads", "joined"):
        return
    if not last.fits or not np.isfinite(last.theirs).all():
        return
    value = np.asarray(solve(problem, keep=("value",)).step("value").value, dtype=np.float64)
    finite = value[np.isfinite(value)]
    if problem.sink is not None or not problem.normalizer.sums_to_one or not finite.size:
        return
    low, high = min(finite.min(), 0.0), max(finite.max(), 0.0)
    slack = float(last.allowed.max())
    outside = int(((last.theirs < low - slack) | (last.theirs > high + slack)).sum())
    if outside:
        lie = "lies" if outside == 1 else "lie"
        yield (
            f"{count(outside, 'number')} of {last.name} {lie} outside the range of the values "
            f"({low:.4g} to {high:.4g}): its weights are negative, or sum to more than 1"
        )
