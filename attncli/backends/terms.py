"""Terms: a number, and the operation on other numbers that made it; with the little algebra that
brings them to the form that stands on paper."""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import erf, exp, inf, log, nan, prod, sqrt, tanh

Cell = tuple[str, tuple[int, ...]]
"""A step and a place in it, in rows notation."""


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """A number and how it was made. Terms are compared by identity: one object is one thing."""

    op: str
    """`given`, `constant` (of the recipe, not of the problem), or one of `OPERATIONS`."""
    value: float
    of: tuple["Term", ...] = ()
    cell: Cell | None = None
    """The cell of an earlier step that the number is."""


def _quotient(a: float, b: float) -> float:
    if b:
        return a / b
    return nan if a == 0 or a != a else inf if a > 0 else -inf


def _exp(x: float) -> float:
    try:
        return exp(x)
    except OverflowError:
        return inf


OPERATIONS: Mapping[str, Callable[..., float]] = {
    "+": lambda *terms: sum(terms),
    "*": lambda *terms: prod(terms),
    "-": operator.sub,
    "/": _quotient,
    "**": operator.pow,
    "negative": operator.neg,
    "exp": _exp,
    "log": lambda x: log(x) if x > 0 else -inf if x == 0 else nan,
    "sqrt": lambda x: sqrt(x) if x >= 0 else nan,
    "tanh": tanh,
    "erf": erf,
    "abs": abs,
    "max": max,
    "mean": lambda *terms: sum(terms) / len(terms),
}
"""What the operations of terms do with numbers."""


def term(op: str, *of: Term) -> Term:
    """An operation on terms, carried out."""
    return Term(op, float(OPERATIONS[op](*(part.value for part in of))), of)


def constant(value: float) -> Term:
    return Term("constant", value)


def numbers_of(whole: Term) -> Iterable[Term]:
    """The numbers that a term is made of in the end: given ones, and cells of earlier steps."""
    if not whole.of:
        yield whole
    for part in whole.of:
        yield from numbers_of(part)


class OnPaper:
    """Terms as they stand on paper.

    The recipe subtracts a row's maximum before it takes exponentials, and divides a vector by its
    largest entry before it squares, so that nothing overflows. Both are divisors that all terms of
    a sum share: they are pulled out of it, and cancel. What a sum adds from nowhere (the zero that
    a loop begins with, a key that is masked) is left out.
    """

    def __init__(self) -> None:
        # Terms are kept beside their forms, so that no id is given to another one.
        self._known: dict[int, tuple[Term, tuple[list[Term], list[Term]]]] = {}
        self._shifts: dict[int, tuple[Term, Term]] = {}

    def __call__(self, whole: Term) -> Term:
        """The same number, as one would write it."""
        return _quotient_of(*self._fraction(whole))

    def _fraction(self, whole: Term) -> tuple[list[Term], list[Term]]:
        """What stands over and under the line: factors, each in the form of paper."""
        key = id(whole)
        if key not in self._known:
            over, under = self._found(whole)
            self._known[key] = (whole, (_without(over, under), _without(under, over)))
        return self._known[key][1]

    def _found(self, whole: Term) -> tuple[list[Term], list[Term]]:
        of = whole.of
        match whole.op:
            case "*":
                parts = [self._fraction(part) for part in of]
                return [f for over, _ in parts for f in over], [f for _, u in parts for f in u]
            case "/":
                over, under = self._fraction(of[0])
                lower, upper = self._fraction(of[1])
                return [*over, *upper], [*under, *lower]
            case "+":
                return self._sum(self._unshifted(of))
            case "exp" if of[0].op == "-" and of[0].of[1].op == "max":
                return self._shifted(whole)
            case "sqrt":
                return self._root(of[0])
        if not of:
            return [whole], []
        return [replace(whole, of=tuple(map(self, of)))], []

    def _shifted(self, whole: Term) -> tuple[list[Term], list[Term]]:
        """exp(s − m) as exp(s) / exp(m), where neither is too large or too small to be written."""
        score, largest = whole.of[0].of
        if score.value == -inf:
            return [constant(0.0)], [self._same(largest)]
        if not all(abs(part.value) < 300 for part in largest.of if part.value != -inf):
            return [term("exp", term("-", self(score), self(largest)))], []
        return [term("exp", self(score))], [self._same(largest)]

    def _unshifted(self, of: tuple[Term, ...]) -> tuple[Term, ...]:
        """m + log(Σ / exp(m)) as log(Σ)."""
        if len(of) != 2 or of[0].op != "max" or of[1].op != "log":
            return of
        over, under = self._fraction(of[1].of[0])
        rest = _without(under, [self._same(of[0])])
        return of if rest or not under else (term("log", _product(over)),)

    def _same(self, largest: Term) -> Term:
        """exp(m), one object for one m."""
        if id(largest) not in self._shifts:
            self._shifts[id(largest)] = (largest, term("exp", largest))
        return self._shifts[id(largest)][1]

    def _sum(self, of: tuple[Term, ...]) -> tuple[list[Term], list[Term]]:
        parts = [self._fraction(part) for part in of]
        parts = [part for part in parts if not _is_nothing(part)]
        if not parts:
            return [constant(0.0)], []
        shared: list[Term] = []
        for divisor in parts[0][1]:
            if all(_count(divisor, under) > _count(divisor, shared) for _, under in parts):
                shared.append(divisor)
        terms = []
        for over, under in parts:
            terms.append(_quotient_of(over, _without(under, shared)))
        flat = [inner for part in terms for inner in (part.of if part.op == "+" else (part,))]
        # A sum of which one term is left stays a sum, so that it is not cancelled by that term.
        return [term("+", *flat)], shared

    def _root(self, square: Term) -> tuple[list[Term], list[Term]]:
        """√(a / (l·l)) as √a / l."""
        over, under = self._fraction(square)
        outside: list[Term] = []
        for divisor in under:
            if _count(divisor, under) >= 2 * (_count(divisor, outside) + 1):
                outside.append(divisor)
        inside = _quotient_of(over, _without(under, outside + outside))
        return [term("sqrt", inside)], outside


def _is_nothing(part: tuple[list[Term], list[Term]]) -> bool:
    """Whether a term is a zero that no number of the problem made."""
    return any(factor.op == "constant" and factor.value == 0 for factor in part[0])


def _quotient_of(over: list[Term], under: list[Term]) -> Term:
    divisor = _product(under)
    is_one = divisor.op == "constant" and divisor.value == 1
    return _product(over) if is_one else term("/", _product(over), divisor)


def _product(factors: list[Term]) -> Term:
    factors = [factor for factor in factors if factor.op != "constant" or factor.value != 1]
    if not factors:
        return constant(1.0)
    return factors[0] if len(factors) == 1 else term("*", *factors)


def _count(part: Term, parts: list[Term]) -> int:
    return sum(other is part for other in parts)


def _without(parts: list[Term], some: list[Term]) -> list[Term]:
    left = list(parts)
    for part in some:
        at = next((i for i, other in enumerate(left) if other is part), None)
        if at is not None:
            del left[at]
    return left
