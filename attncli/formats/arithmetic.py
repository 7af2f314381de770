"""Arithmetic as people write it: `1·2 + 0·3 = 2`, as text or in LaTeX.

A number is exact where its digits say all of it, else rounded. A line whose operands are exact says
=, one with a rounded operand says ≈.
"""

from dataclasses import dataclass, field
from math import exp, isfinite, isinf, isnan
from typing import TYPE_CHECKING

from attncli.backends.terms import Term
from attncli.formats.numbers import fixed

if TYPE_CHECKING:
    from attncli.core.problem import Notation, Problem
    from attncli.worked import Working

MOST = 8
"""Terms of a sum that are written; of a longer one the largest, and what the others make."""

SUM, PRODUCT, ATOM = 1, 2, 3
"""How tightly the parts of a text hold together."""


PROJECTED = frozenset({"query", "key", "value", "embedded", "hidden", "pooled"})
"""Steps whose terms are a table's numbers times a vector's."""


class Text:
    """Arithmetic in a line of text."""

    times, minus, equals, about, infinity = "·", "−", "=", "≈", "∞"
    more = "({} more: {})"
    smaller = "{} smaller"

    def number(self, digits: str) -> str:
        return digits

    def quotient(self, over: tuple[str, int], under: tuple[str, int]) -> tuple[str, int]:
        above = self.tight(over, PRODUCT, leads=True)
        wide = " " if " " in above + under[0] else ""
        return f"{above}{wide}/{wide}{self.tight(under, ATOM)}", PRODUCT

    def power(self, base: str, exponent: tuple[str, int]) -> str:
        text, level = exponent
        return f"{base}^{text}" if level == ATOM else f"{base}^({text})"

    def root(self, inside: tuple[str, int]) -> str:
        return "√" + self.tight(inside, ATOM)

    def square(self, base: tuple[str, int]) -> str:
        return self.tight(base, ATOM) + "²"

    def function(self, name: str, *arguments: str) -> str:
        return f"{name}({', '.join(arguments)})"

    def size(self, inside: str) -> str:
        return f"|{inside}|"

    def brackets(self, text: str) -> str:
        return f"({text})"

    def tight(self, part: tuple[str, int], level: int, *, leads: bool = False) -> str:
        """A part, in brackets where it would fall apart; a sign only `leads`."""
        text, own = part
        falls = own < level or (text.startswith(self.minus) and not leads)
        return self.brackets(text) if falls else text


class Latex(Text):
    """Arithmetic in LaTeX's mathematics, with amsmath."""

    times, minus, equals, about, infinity = r" \cdot ", "-", "=", r"\approx", r"\infty"
    more = r"\underbrace{{{1}}}_{{\text{{{0} more}}}}"
    smaller = r"\text{{{} smaller}}"

    def number(self, digits: str) -> str:
        mantissa, e, exponent = digits.partition("e")
        return rf"{mantissa} \cdot 10^{{{exponent}}}" if e else digits

    def quotient(self, over: tuple[str, int], under: tuple[str, int]) -> tuple[str, int]:
        return rf"\frac{{{over[0]}}}{{{under[0]}}}", ATOM

    def power(self, base: str, exponent: tuple[str, int]) -> str:
        return f"{base}^{{{exponent[0]}}}"

    def root(self, inside: tuple[str, int]) -> str:
        return rf"\sqrt{{{inside[0]}}}"

    def square(self, base: tuple[str, int]) -> str:
        return self.tight(base, ATOM) + "^2"

    def function(self, name: str, *arguments: str) -> str:
        known = name in ("ln", "tanh", "max")
        name = f"\\{name}" if known else rf"\operatorname{{{name}}}"
        return rf"{name}\left({', '.join(arguments)}\right)"

    def size(self, inside: str) -> str:
        return rf"\left|{inside}\right|"

    def brackets(self, text: str) -> str:
        return rf"\left({text}\right)"


TEXT, LATEX = Text(), Latex()


@dataclass
class Arithmetic:
    """The arithmetic of one cell: its value, its term, and how they are written."""

    value: float
    term: Term
    digits: int = 3
    precision: float = 1e-12
    """Relative: what differs by less is the same number."""
    roots: bool = False
    """Whether a factor 1/√n is written as such."""
    script: Text = field(default_factory=lambda: TEXT)
    tables_first: bool = False
    """Whether W x is written, as in columns notation, instead of x W."""

    def __post_init__(self) -> None:
        self.is_rounded = False
        self.asides: dict[int, tuple[str, Term]] = {}
        """Means, which stand as numbers in the line and are told beside it."""

    @classmethod
    def of(
        cls,
        working: "Working",
        step: str,
        index: tuple[int, ...],
        digits: int = 3,
        script: Text = TEXT,
        notation: "Notation" = "rows",
    ) -> "Arithmetic":
        """That of a cell of a worked problem."""
        problem = working.problem
        recipe, _, base = step.rpartition(".")
        projects = base in PROJECTED or (base == "output" and not _weighs(working, recipe))
        is_auto = problem.settings().get("scale", "auto") == "auto"
        return cls(
            working.value(step, index),
            working.term(step, index),
            digits,
            precision_of(problem),
            is_auto and base == "scaled",
            script,
            notation == "columns" and projects,
        )

    @property
    def is_given(self) -> bool:
        """Whether there is nothing to reckon."""
        return not self.term.of

    def line(self) -> str:
        """`1·2 + 0·3 = 2`, its means behind it; '' for a number that is given."""
        if self.is_given:
            return ""
        return "; ".join([self.main(), *self.beside()])

    def main(self) -> str:
        """The line without its means."""
        left = self.written()
        return f"{left} {self.sign} {self.number(self.value)}"

    def written(self) -> str:
        """The left side."""
        self.is_rounded = False
        return self.text(self.term)

    def text(self, part: Term) -> str:
        """A part of it, written."""
        return self._part(part)[0]

    @property
    def sign(self) -> str:
        """How the left side, as it was written last, relates to the value."""
        return self.script.about if self.is_rounded else self.script.equals

    def halfway(self) -> str | None:
        """A quotient of sums with both carried out, `2.718/7.437`; None elsewhere."""
        if self.term.op != "/" or not any(part.op in ("+", "exp") for part in self.term.of):
            return None
        self.is_rounded = False
        over, under = ((self.number(part.value), ATOM) for part in self.term.of)
        return self.script.quotient(over, under)[0]

    def beside(self) -> list[str]:
        """`mean = (1 + 2)/2 = 1.5` for each mean in the lines written so far."""
        lines = []
        told = 0
        while told < len(self.asides):
            name, mean = list(self.asides.values())[told]
            told += 1
            self.is_rounded = False
            left = self._carried(mean)
            sign = self.sign
            lines.append(f"{name} {self.script.equals} {left} {sign} {self.number(mean.value)}")
        return lines

    def _carried(self, part: Term) -> str:
        """A mean or a maximum, written out."""
        if part.op == "max":
            return self.script.function("max", *self._largest(part))
        total = self._part(Term("+", part.value * len(part.of), part.of))
        return self.script.quotient(total, (str(len(part.of)), ATOM))[0]

    def number(self, value: float) -> str:
        """A number with as many digits as it needs, at most those asked for."""
        text, is_rounded = decimals(value, self.digits, self.precision, self.script)
        self.is_rounded |= is_rounded
        return text

    def _part(self, part: Term) -> tuple[str, int]:
        """A term as text, and how tightly it holds together."""
        script = self.script
        match part.op:
            case "given" | "constant":
                return self.number(part.value), ATOM
            case "+":
                return self._part(part.of[0]) if len(part.of) == 1 else (self._sum(part), SUM)
            case "*":
                return self._product(part)
            case "-":
                left, right = map(self._part, part.of)
                return f"{left[0]} {script.minus} {script.tight(right, PRODUCT)}", SUM
            case "/":
                return script.quotient(*map(self._part, part.of))
            case "**":
                base, exponent = map(self._part, part.of)
                return script.power(script.tight(base, ATOM), exponent), ATOM
            case "negative":
                return script.minus + script.tight(self._part(part.of[0]), PRODUCT), PRODUCT
            case "exp":
                number, power = _power(part.of[0])
                return script.power(number, self._part(power)), ATOM
            case "sqrt":
                return script.root(self._part(part.of[0])), ATOM
            case "abs":
                return script.size(self._part(part.of[0])[0]), ATOM
            case "mean" | "max" if part is not self.term and len(part.of) > 2:
                self.asides.setdefault(id(part), (_name_of(part), part))
                return self.number(part.value), ATOM
            case "max" | "mean":
                text = self._carried(part)
                return text, PRODUCT if part.op == "mean" else ATOM
        name = {"log": "ln"}.get(part.op, part.op)
        return script.function(name, self._part(part.of[0])[0]), ATOM

    def _sum(self, whole: Term) -> str:
        script = self.script
        terms = self._told(whole.of)
        text = ""
        for part in terms:
            one, _ = self._part(part)
            if not text:
                text = one
            elif one.startswith(script.minus):
                text += f" {script.minus} {one.removeprefix(script.minus)}"
            else:
                text += f" + {one}"
        if len(terms) < len(whole.of):
            rest = sum(part.value for part in whole.of) - sum(part.value for part in terms)
            text += " + " + script.more.format(len(whole.of) - len(terms), self.number(rest))
        return text

    def _told(self, terms: tuple[Term, ...]) -> list[Term]:
        """The terms of a sum that are written: not too many, and none that drowns in the others."""
        largest = max(abs(part.value) if isfinite(part.value) else 0.0 for part in terms)
        told = [
            i for i, part in enumerate(terms) if not 0 < abs(part.value) < self.precision * largest
        ]
        if len(told) > MOST:
            told = sorted(sorted(told, key=lambda i: -abs(terms[i].value))[: MOST - 2])
        return [terms[i] for i in told]

    def _product(self, whole: Term) -> tuple[str, int]:
        script = self.script
        if len(whole.of) == 2 and whole.of[0] is whole.of[1]:
            return script.square(self._part(whole.of[0])), ATOM
        factors, roots = list(whole.of[::-1] if self.tables_first else whole.of), []
        if self.roots:
            roots = [n for factor in factors if (n := _under_root(factor))]
            factors = [factor for factor in factors if not _under_root(factor)]
        texts = [self._part(factor) for factor in factors]
        first, rest = texts[0], texts[1:]
        head = script.tight(first, PRODUCT, leads=True)
        text = script.times.join([head, *(script.tight(part, PRODUCT) for part in rest)])
        level = PRODUCT if rest else ATOM
        for n in roots:
            text, level = script.quotient((text, level), (script.root((str(n), ATOM)), ATOM))
        return text, level

    def _largest(self, whole: Term) -> list[str]:
        parts = sorted(whole.of, key=lambda part: -part.value) if len(whole.of) > MOST else whole.of
        texts = [self._part(part)[0] for part in parts[: MOST if len(parts) > MOST else None]]
        if len(parts) > MOST:
            texts.append(self.script.smaller.format(len(parts) - MOST))
        return texts


def precision_of(problem: "Problem") -> float:
    """How near, relatively, numbers of a problem are that people take for the same."""
    return 1e-12 if problem.dtype == "float64" else 3e-7


def decimals(value: float, digits: int, precision: float, script: Text = TEXT) -> tuple[str, bool]:
    """A number with as many digits as it needs, `digits` at most; and whether it is rounded."""
    if isnan(value):
        return "nan", False
    if isinf(value):
        return (script.minus if value < 0 else "") + script.infinity, False
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    exact = [f"{value:.{places}f}" for places in range(digits + 1)]
    exact.append(f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}")
    for text in exact:
        if abs(float(text) - value) <= precision * abs(value):
            return _signed(text, script), False
    rounded = exact[digits] if fixed([value], digits) else f"{mantissa}e{int(exponent)}"
    return _signed(rounded, script), True


def _signed(text: str, script: Text) -> str:
    if text.startswith("-") and not text.strip("-0."):
        text = text[1:]
    if text.startswith("-"):
        return script.minus + script.number(text[1:])
    return script.number(text)


def _weighs(working: "Working", recipe: str) -> bool:
    """Whether the output of a recipe is weights times values."""
    before = f"{recipe}." if recipe else ""
    return f"{before}weights" in working.steps and f"{before}heads" not in working.steps


def _power(exponent: Term) -> tuple[str, Term]:
    """e^x; or n^x, where x is divided by the recipe's own temperature of 1/ln n."""
    if exponent.op == "/" and exponent.of[1].op == "constant" and exponent.of[1].value > 0.4:
        base = exp(1 / exponent.of[1].value)
        if abs(base - round(base)) < 1e-6:
            return str(round(base)), exponent.of[0]
    return "e", exponent


def _under_root(factor: Term) -> int | None:
    """n, where the factor is the recipe's own 1/√n."""
    if factor.op != "constant" or not 0 < factor.value < 1:
        return None
    n = round(factor.value**-2)
    return n if abs(n**-0.5 - factor.value) <= 1e-7 * factor.value else None


def _name_of(mean: Term) -> str:
    if mean.op == "max":
        return "largest"
    square = all(part.op == "*" and part.of[0] is part.of[-1] for part in mean.of)
    return "variance" if square else "mean"
