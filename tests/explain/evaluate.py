"""A small evaluator of the arithmetic that `explain` prints, which knows nothing of attncli.

Numbers are intervals: one that is written with decimals stands for all that round to it, where the
line says ≈; in a line with = it is exactly what it says.
"""

import math
import re

Interval = tuple[float, float]
TOKEN = re.compile(
    r"\s*(\d+(?:\.\d+)?(?:e-?\d+)?|∞|nan|\(\d+ more: |tanh|ln|erf|max|\d+ smaller|[e()^·+−/√²|,])"
)


def half_unit(text: str) -> float:
    """Half a unit of the last digit of a written number."""
    mantissa, _, exponent = text.partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 0.5 * 10.0 ** (int(exponent or 0) - decimals)


class Evaluator:
    """sum := product (± product)*, product := power (· or / power)*, power := atom ² or e^atom."""

    def __init__(self, text: str, *, is_rounded: bool) -> None:
        self.tokens: list[str] = []
        at = 0
        while at < len(text.rstrip()):
            match = TOKEN.match(text, at)
            assert match, f"cannot read {text[at:]!r} of {text!r}"
            self.tokens.append(match[1])
            at = match.end()
        self.at = 0
        self.is_rounded = is_rounded

    def value(self) -> Interval:
        result = self.sum()
        assert self.at == len(self.tokens), f"left over: {self.tokens[self.at :]}"
        return result

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def sum(self) -> Interval:
        total = self.product()
        while self.peek() in ("+", "−"):
            sign, term = self.next(), self.product()
            total = add(total, term if sign == "+" else negative(term))
        return total

    def product(self) -> Interval:
        if self.peek() == "−":
            self.next()
            return negative(self.product())
        total = self.factor()
        while self.peek() in ("·", "/"):
            sign, factor = self.next(), self.factor()
            total = times(total, factor if sign == "·" else inverse(factor))
        return total

    def factor(self) -> Interval:
        value = self.atom()
        while self.peek() == "²":
            self.next()
            low, high = min(map(abs, value)), max(map(abs, value))
            value = (0.0 if value[0] <= 0 <= value[1] else low**2, high**2)
        return value

    def atom(self) -> Interval:
        token = self.next()
        if token == "(" or token.endswith("more: "):
            return self.closed()
        if token == "|":
            low, high = self.sum()
            assert self.next() == "|"
            return (0.0 if low <= 0 <= high else min(abs(low), abs(high)), max(abs(low), abs(high)))
        if token == "√":
            low, high = self.atom()
            return (math.sqrt(max(low, 0)), math.sqrt(max(high, 0)))
        if token in ("tanh", "ln", "erf"):
            assert self.next() == "("
            function = {"tanh": math.tanh, "ln": math.log, "erf": math.erf}[token]
            low, high = self.closed()
            return (function(low), function(high))
        if token == "max":
            return self.maximum()
        if token == "e":
            assert self.next() == "^"
            if self.peek() == "−":
                self.next()
                low, high = negative(self.atom())
            else:
                low, high = self.atom()
            return (math.exp(low), math.exp(high))
        if token == "∞":
            return (math.inf, math.inf)
        slack = half_unit(token) if self.is_rounded and ("." in token or "e" in token) else 0.0
        if self.is_rounded and token == "0":
            slack = 0.0
        return (float(token) - slack, float(token) + slack)

    def closed(self) -> Interval:
        result = self.sum()
        assert self.next() == ")"
        return result

    def maximum(self) -> Interval:
        assert self.next() == "("
        parts = []
        while True:
            if self.peek().endswith("smaller"):
                self.next()
            else:
                parts.append(self.sum())
            if self.next() == ")":
                return (max(low for low, _ in parts), max(high for _, high in parts))


def add(a: Interval, b: Interval) -> Interval:
    return (a[0] + b[0], a[1] + b[1])


def negative(a: Interval) -> Interval:
    return (-a[1], -a[0])


def times(a: Interval, b: Interval) -> Interval:
    products = [x * y if x and y else 0.0 for x in a for y in b]
    return (min(products), max(products))


def inverse(a: Interval) -> Interval:
    if a[0] <= 0 <= a[1]:
        return (-math.inf, math.inf)
    return (1 / a[1], 1 / a[0])


def holds(line: str, cell: float) -> None:
    """Assert that a line `left = result` or `left ≈ result` is right, and says the cell."""
    left, sign, right = re.fullmatch(r"(.*) ([=≈]) ([^=≈]*)", line).groups()  # type: ignore[union-attr]
    shown = right.replace("−", "-").replace("∞", "inf")
    written = float(shown)
    slack = half_unit(shown.removeprefix("-")) if math.isfinite(written) else 0.0
    close = 1e-6 * max(1.0, abs(cell)) * slack
    assert cell == written or abs(cell - written) <= slack + close, (line, cell)
    low, high = Evaluator(left, is_rounded=sign == "≈").value()
    room = slack + 1e-6 * max(1e-9, abs(cell)) + 1e-9 * (sign == "=")
    assert low - room <= cell <= high + room, (line, cell, low, high)
