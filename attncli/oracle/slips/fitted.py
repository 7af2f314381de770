"""Slips with an unknown of their own, found from the foreign result: an order, a rate, a type.

The unknown is found from some of the numbers and holds for all of them, so that what is found by
chance does not fit.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from attncli.core.attention import Attention
from attncli.core.step import Array
from attncli.oracle.alter import Change, alter
from attncli.oracle.compare import Numbers, of
from attncli.oracle.precision import PRECISIONS, Precision, recast
from attncli.oracle.slips.slip import Evidence, Variant, slip

NEAR = 1e-2
"""How near, relative to its largest number, a part must come to be taken for another."""

MOST_KEYS = 12
"""Keys whose subsets are all tried where only the output is known."""


def _pairs(evidence: Evidence) -> Iterator[tuple[str, tuple[str, ...], Numbers, Numbers]]:
    """Name, axes, ours and theirs of every step whose shapes agree; the last step first."""
    for name in reversed([*evidence.ours.names, "output"]):
        if name not in evidence.theirs:
            continue
        result = evidence.theirs[name]
        step = of(evidence.ours, name, result)
        if step is not None and step.value.shape == result.value.shape:
            yield name, step.axes, np.asarray(step.value, np.float64), result.value


# --- order


def _order(ours: Numbers, theirs: Numbers, axis: int) -> list[int] | None:
    """Which part of ours each part of theirs is; None where it is not an order of its own."""
    ours, theirs = np.moveaxis(ours, axis, 0), np.moveaxis(theirs, axis, 0)
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        ours, theirs = (np.nan_to_num(x, nan=0, posinf=1e6, neginf=-1e6) for x in (ours, theirs))
    flat, other = ours.reshape(len(ours), -1), theirs.reshape(len(theirs), -1)
    apart = np.stack([np.abs(flat - row).max(axis=1) for row in other])
    order = [int(place) for place in np.argmin(apart, axis=1)]
    near = apart.min(axis=1).max() <= NEAR * np.abs(flat).max()
    return order if near and sorted(order) == [*range(len(order))] != order else None


def _ordered(problem: Attention, axis: str, order: list[int]) -> Attention:
    """The problem whose steps with this axis are shown in another order."""
    place = {"batch": -4 if problem.has_heads else -3, "head": -3, "query": -2}[axis]
    moved = problem
    for name in problem.step_names():
        if axis == "query" and name in ("key", "value"):
            continue

        def change(x: Array, sent: Any, name: str = name) -> Array:
            joined = place < -2 and problem.joins and name in ("joined", "output")
            at = place + joined + (name == "lse")
            fits = x.ndim >= -at and x.shape[at] == len(order) and not (joined and axis == "head")
            return np.take(x, order, axis=at) if fits else x

        moved = alter(moved, name, change, when="shown")
    return moved


def _permuted(problem: Attention, evidence: Evidence, axis: str) -> Iterator[Variant]:
    for _, axes, ours, theirs in _pairs(evidence):
        if axis in axes and ours.shape[axes.index(axis)] > 1:
            order = _order(ours, theirs, axes.index(axis))
            if order is not None:
                yield f"order {', '.join(map(str, order[:12]))}", _ordered(problem, axis, order)
            return


@slip(
    "batch-permuted",
    "the batch entries come in another order",
    "shown",
    "a sampler or a sort by length between the two runs",
    fitted=True,
)
def batch_permuted(problem: Attention, evidence: Evidence) -> Iterator[Variant]:
    yield from _permuted(problem, evidence, "batch")


@slip(
    "heads-permuted",
    "the heads come in another order",
    "shown",
    "checkpoints converted head by head",
    fitted=True,
)
def heads_permuted(problem: Attention, evidence: Evidence) -> Iterator[Variant]:
    yield from _permuted(problem, evidence, "head")


@slip(
    "queries-permuted",
    "the queries come in another order",
    "shown",
    "a permuted or reversed sequence",
    fitted=True,
)
def queries_permuted(problem: Attention, evidence: Evidence) -> Iterator[Variant]:
    yield from _permuted(problem, evidence, "query")


# --- dropout


@slip(
    "dropout",
    "dropout is left on: some weights are zero, the others a common factor larger",
    "dropout",
    "F.scaled_dot_product_attention with dropout_p outside of training; a model without eval()",
    fitted=True,
)
def dropout(problem: Attention, evidence: Evidence) -> Iterator[Variant]:
    for name, _, ours, theirs in _pairs(evidence):
        if name not in ("weights", "heads", "output"):
            continue
        kept, factor = _kept(ours, theirs)
        last = name if name in problem.step_names() else "output"
        if factor is not None and last in problem.step_names():
            what = "" if name == "weights" else " of the output"
            yield _rate(factor) + what, _dropped(problem, last, kept, factor, evidence)
        if name != "weights":
            kept, factor = _from_output(problem, evidence, theirs)
            if factor is not None:
                yield _rate(factor), _dropped(problem, "weights", kept, factor, evidence)


def _rate(factor: float) -> str:
    return f"rate {1 - 1 / factor:.3g}"


def _kept(ours: Numbers, theirs: Numbers) -> tuple[Numbers, float | None]:
    """Where theirs are not zero, and the common factor there; None where there is none."""
    with np.errstate(all="ignore"):
        size = np.abs(ours)
        counts = np.isfinite(ours) & (size > 1e-3 * size[np.isfinite(size)].max(initial=0))
        kept = np.abs(theirs) > 1e-6 * size
        ratio = theirs[counts & kept] / ours[counts & kept]
    if len(ratio) < 2:
        return kept, None
    factor = float(np.median(ratio))
    if float(np.abs(ratio - factor).max()) > NEAR * factor:
        return kept, None
    return kept, factor if _is_dropout(kept, counts, factor) else None


def _is_dropout(kept: Numbers, counts: Numbers, factor: float) -> bool:
    """Whether some are zero, as many as go with the factor 1 / (1 − rate) within 4 deviations."""
    dropped, of = int((counts & ~kept).sum()), int(counts.sum())
    rate = 1 - 1 / factor
    deviation = (of * rate * (1 - rate)) ** 0.5 if 0 < rate < 1 else 0.0
    return dropped > 0 and rate > 0.001 and abs(dropped - of * rate) <= 4 * deviation + 1


def _from_output(
    problem: Attention, evidence: Evidence, theirs: Numbers
) -> tuple[Numbers, float | None]:
    """Which weights were kept, found from the heads' outputs alone.

    With at least as many features as keys the weights follow from the output; with few keys each
    subset of a row's weights is tried.
    """
    nothing = np.zeros(0), None
    steps = {"weights", "value"} <= {*evidence.ours.names}
    simple = not problem.joins and problem.projections.output is None
    if not steps or not simple or evidence.ours.notation != "rows":
        return nothing
    weights = np.asarray(evidence.ours["weights"], np.float64)
    value = np.asarray(evidence.ours["value"], np.float64)
    if problem.has_heads and value.ndim > 2:
        value = np.repeat(value, problem.n_heads // value.shape[-3], axis=-3)
    value = np.broadcast_to(value, (*weights.shape[:-2], *value.shape[-2:]))
    if theirs.shape[:-1] != weights.shape[:-1] or not np.isfinite(theirs).all():
        return nothing
    if not np.isfinite(value).all():
        return nothing
    n_keys, d_v = value.shape[-2:]
    if d_v >= n_keys and int(np.min(np.linalg.matrix_rank(value))) == n_keys:
        return _kept(weights, theirs @ np.linalg.pinv(value))
    if n_keys > MOST_KEYS or d_v < 3:
        return nothing
    return _subsets(weights, value, theirs)


def _subsets(weights: Numbers, value: Numbers, theirs: Numbers) -> tuple[Numbers, float | None]:
    n_keys = weights.shape[-1]
    subsets = (np.arange(1, 1 << n_keys)[:, None] >> np.arange(n_keys) & 1).astype(np.float64)
    rows = weights.reshape(-1, weights.shape[-2], n_keys)
    values = value.reshape(-1, n_keys, value.shape[-1])
    outs = theirs.reshape(-1, theirs.shape[-2], theirs.shape[-1])
    kept, factors = np.zeros_like(rows), []
    for b, i in np.ndindex(rows.shape[:2]):
        made = (subsets * rows[b, i]) @ values[b]
        norm = np.sum(made * made, axis=-1)
        factor = np.divide(made @ outs[b, i], norm, out=np.zeros_like(norm), where=norm > 0)
        rest = np.sum((outs[b, i] - factor[:, None] * made) ** 2, axis=-1)
        rest = np.where(factor > 1.001, rest, np.inf)
        if not np.any(outs[b, i]):
            continue  # all of the row was dropped
        best = int(np.argmin(rest))
        if rest[best] > (NEAR * np.linalg.norm(outs[b, i])) ** 2:
            return kept, None
        kept[b, i] = subsets[best]
        factors.append(float(factor[best]))
    if not factors or np.ptp(factors) > NEAR * factors[0]:
        return kept, None
    is_kept, factor = kept.reshape(weights.shape) > 0, float(np.median(factors))
    return is_kept, factor if _is_dropout(is_kept, weights > 0, factor) else None


def _dropped(
    problem: Attention, step: str, kept: Numbers, factor: float, evidence: Evidence
) -> Attention:
    if evidence.ours.notation == "columns":
        kept = np.swapaxes(kept, -1, -2)

    def change(x: Array, sent: Any) -> Array:
        return np.where(kept, x * factor, 0.0) if kept.shape == x.shape else x

    return alter(problem, step, change)


# --- precision


@slip(
    "lower-precision",
    "it is computed in a lower precision",
    "precision",
    "autocast, float16 or bfloat16 inputs, TF32 matrix products",
)
def lower_precision(problem: Attention) -> Iterator[Variant]:
    for name in ("float32", "bfloat16", "float16"):
        precision = PRECISIONS[name]
        inputs = recast(problem, _round_inputs(precision))
        yield f"{name}: its inputs", inputs
        stepwise: Attention = inputs
        for step in problem.step_names():
            stepwise = alter(stepwise, step, _rounded(precision))
        yield f"{name}: each of its steps", stepwise


def _round_inputs(precision: Precision) -> Callable[[Numbers], Numbers]:
    return lambda x: precision.round(x).astype(np.float64)


def _rounded(precision: Precision) -> Change:
    return lambda x, sent: precision.round(x).astype(x.dtype)
