"""The arithmetic of one cell in a line: what a corrected sheet shows beside a wrong number."""

from collections.abc import Mapping

import numpy as np

from attncli.core.attention import Attention
from attncli.core.normalize import Softmax
from attncli.core.problem import Problem
from attncli.core.similarity import Dot, ScaledDot
from attncli.oracle.compare import Numbers

MOST_TERMS = 6
BEFORE = ("masked", "biased", "capped", "scaled", "scores")
"""What the weights are made of: the last of these that there is."""


def worked(problem: Problem, sent: Mapping[str, Numbers], name: str, place: tuple[int, ...]) -> str:
    """How the cell of a step comes about from the steps before it: `1·2 + 0·3 = 2`, or ''.

    `sent` are the values in rows, heads first, from which the recipe went on; the place is one of
    the core's, too.
    """
    if not isinstance(problem, Attention):
        return ""
    lead, i, j = place[:-2], place[-2], place[-1]
    match name:
        case "query" | "key" | "value":
            return _projected(problem, name, lead, i, j)
        case "scores" if type(problem.similarity) in (Dot, ScaledDot):
            return _sum(_row(problem, sent["query"], lead, i), _row(problem, sent["key"], lead, j))
        case "scaled":
            return _scaled(problem, sent["scores"][place], lead)
        case "capped" if problem.softcap is not None:
            before = sent["scaled" if "scaled" in sent else "scores"][place]
            cap = problem.softcap
            return f"{_n(cap)}·tanh({_n(before)}/{_n(cap)}) = {_n(cap * np.tanh(before / cap))}"
        case "weights" if isinstance(problem.normalizer, Softmax) and problem.sink is None:
            return _softmax(problem, sent, lead, i, j)
        case "heads" | "output" if name == "heads" or "heads" not in sent:
            weights = sent["weights"][(*lead, i)]
            value = _table(problem, sent["value"], lead)
            used = weights != 0
            return _sum(weights[used], value[used, j])
        case "output" if problem.projections.output is not None:
            table = problem.projections.output
            before = sent["joined" if "joined" in sent else "heads"]
            return _sum(before[(*lead, i)], table.weight[:, j], table.bias, j)
    return ""


def _projected(problem: Attention, name: str, lead: tuple[int, ...], i: int, j: int) -> str:
    linear = getattr(problem.projections, name)
    beside = (problem.past_key, problem.extra_key, problem.rotary)
    if linear is None or any(part is not None for part in beside):
        return ""
    raw = getattr(problem, name)
    if i >= raw.shape[-2]:
        return ""
    batch = lead[:-1] if problem.joins else lead
    row = _at(raw, batch)[i]
    if linear.n_heads is not None:
        head = lead[-1]
        bias = linear.bias if linear.bias is None or linear.bias.ndim == 1 else linear.bias[head]
        return _sum(row, linear.weight[head][:, j], bias, j)
    column = j + (lead[-1] * problem.shape(name)[-1] if problem.joins else 0)
    return _sum(row, linear.weight[:, column], linear.bias, column)


def _scaled(problem: Attention, score: float, lead: tuple[int, ...]) -> str:
    scale = problem.scale
    if scale is None:
        return ""
    if np.ndim(scale):
        scale = float(np.broadcast_to(scale, (*problem.leading, 1, 1))[(*lead, 0, 0)])
    if problem.d_k and np.isclose(scale, problem.d_k**-0.5):
        return f"{_n(score)}/√{problem.d_k} = {_n(score * scale)}"
    return f"{_n(score)}·{_n(scale)} = {_n(score * scale)}"


def _softmax(
    problem: Attention, sent: Mapping[str, Numbers], lead: tuple[int, ...], i: int, j: int
) -> str:
    before = next(sent[name] for name in BEFORE if name in sent)
    row = before[(*lead, i)] / problem.normalizer.temperature
    if row[j] == -np.inf:
        return "masked: 0"
    seen = [x for x in row if x != -np.inf]
    total = float(np.sum(np.exp(seen)))
    terms = [f"e^{_n(x)}" for x in seen]
    if len(terms) > MOST_TERMS:
        terms = [*terms[: MOST_TERMS - 1], "…"]
    if not np.isfinite(total):
        return ""
    return f"e^{_n(row[j])} / ({' + '.join(terms)}) = {_n(np.exp(row[j]) / total)}"


def _sum(a: Numbers, b: Numbers, bias: Numbers | None = None, at: int = 0) -> str:
    pairs = list(zip(a, b, strict=True))
    terms = [f"{_n(x)}·{_n(y)}" for x, y in pairs]
    result = float(sum(x * y for x, y in pairs))
    if bias is not None:
        terms.append(_n(bias[at]))
        result += float(bias[at])
    if len(terms) > MOST_TERMS:
        terms = [*terms[: MOST_TERMS - 1], "…"]
    joined = " + ".join(terms).replace("+ -", "− ").replace("-", "−") or "0"
    return f"{joined} = {_n(result)}"


def _table(problem: Attention, vectors: Numbers, lead: tuple[int, ...]) -> Numbers:
    """The `(n d)` vectors that serve these leading places, also where heads share them."""
    if problem.has_heads and vectors.ndim > 2 and vectors.shape[-3] not in (1, problem.n_heads):
        group = problem.n_heads // vectors.shape[-3]
        lead = (*lead[:-1], lead[-1] // group)
    return _at(vectors, lead)


def _row(problem: Attention, vectors: Numbers, lead: tuple[int, ...], i: int) -> Numbers:
    row: Numbers = _table(problem, vectors, lead)[i]
    return row


def _at(array: Numbers, lead: tuple[int, ...]) -> Numbers:
    """The last two axes at leading places; axes of 1 and absent ones stand for all."""
    own = array.shape[:-2]
    places = lead[len(lead) - len(own) :]
    found: Numbers = array[tuple(p if n > 1 else 0 for p, n in zip(places, own, strict=True))]
    return found


def _n(x: float) -> str:
    return f"{float(x):.4g}".replace("-", "−") if x < 0 else f"{float(x):.4g}"
