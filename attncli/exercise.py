"""Exercises whose numbers are tidy: integer scores, and weights that come out with few digits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import log
from random import Random
from typing import Any

from attncli.core.problem import Problem
from attncli.errors import UsageError
from attncli.files.scalars import did_you_mean

Table = list[list[int]]
DIGITS = 3
"""Decimals that every number of an exercise has at most."""
TRIES = 100_000
TRIES_A_HEAD = 100
LARGEST = 9
"""Nothing that has to be multiplied by hand is larger."""


@dataclass(frozen=True)
class Exercise:
    """A problem to be computed by hand, and what is asked."""

    kind: str
    seed: int
    keys: Mapping[str, Any]
    """The problem, by the keys of its file."""
    base: int
    """Weights are base^score / Σ base^score: softmax with the temperature 1/ln base."""
    asked: tuple[str, ...]
    """The steps to be filled in."""

    @property
    def title(self) -> str:
        return f"Exercise {self.seed}: {self.kind.replace('-', ' ')}"

    def problem(self) -> Problem:
        from attncli.api import load

        return load(**self.keys)

    def file(self) -> str:
        """The problem file, which says how it is computed by hand."""
        lines = [
            f"# {self.title}; attncli new exercise --seed {self.seed} --kind {self.kind}",
            "#",
            f"# Powers of {self.base} instead of e: the temperature is 1/ln {self.base}.",
        ]
        return "\n".join([*lines, *_written(self.keys)]) + "\n"


def _written(keys: Mapping[str, Any], indent: str = "") -> list[str]:
    lines = []
    for key, value in keys.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}:", *_written(value, indent + "  ")]
        elif isinstance(value, bool):
            lines.append(f"{indent}{key}: {str(value).lower()}")
        else:
            lines.append(f"{indent}{key}: {value}")
    return lines


@dataclass(frozen=True)
class _Drawn:
    """Numbers of one try: what goes into the file, and the score rows that must be tidy."""

    keys: dict[str, Any]
    rows: list[list[int]]
    """The scores that each query sees."""
    shown: list[Table]
    """What is computed on the way and must stay small."""


def _given(random: Random, _base: int, *, n_queries: int) -> _Drawn:
    """Queries, keys and values as they are, three keys."""
    query, key = _table(random, n_queries, 2), _table(random, 3, 2)
    value = _table(random, 3, 2, low=0, high=8)
    scores = _times(query, _turned(key))
    return _Drawn({"query": query, "key": key, "value": value}, scores, [scores])


def _projected(random: Random, base: int, *, heads: int = 1, causal: bool = False) -> _Drawn:
    """Three vectors, projected."""
    given = _table(random, 3, 2)
    names = ("query", "key", "value")
    tables: dict[str, list[Table]] = {name: [] for name in names}
    rows: list[list[int]] = []
    shown: list[Table] = []
    for _ in range(heads):
        # Head by head: heads that are tidy by chance at the same time are rare.
        for _ in range(TRIES_A_HEAD):
            made = [_table(random, 2, 2 // heads) for _ in names]
            query, key, value = (_times(given, table) for table in made)
            scores = _times(query, _turned(key))
            seen = [row[: i + 1] if causal else row for i, row in enumerate(scores)]
            if _is_tidy(seen, [query, key, value, scores], base):
                break
        for name, table in zip(names, made, strict=True):
            tables[name].append(table)
        rows += seen
        shown += [query, key, value, scores]
    one = {name: made[0] if heads == 1 else made for name, made in tables.items()}
    keys: dict[str, Any] = {"input": given, "projections": one}
    return _Drawn(keys | ({"causal": True} if causal else {}), rows, shown)


GIVEN = ("scores", "weights", "output")
MADE = ("query", "key", "value", *GIVEN)
KINDS: Mapping[str, tuple[Callable[[Random, int], _Drawn], tuple[str, ...]]] = {
    "soft-addressing": (partial(_given, n_queries=1), GIVEN),
    "cross-attention": (partial(_given, n_queries=2), GIVEN),
    "self-attention": (_projected, MADE),
    "masked-self-attention": (partial(_projected, causal=True), MADE),
    "two-heads": (partial(_projected, heads=2), (*MADE[:-1], "heads", "output")),
}
"""Kind → how it is drawn, and the steps that are asked."""


def exercise(seed: int, kind: str = "self-attention") -> Exercise:
    """The exercise of a seed: the same numbers for everybody.

    Numbers are drawn until all of them are tidy: every weight has at most `DIGITS` decimals, so
    that nothing is rounded. Raises `UsageError` for an unknown kind.
    """
    if kind not in KINDS:
        raise UsageError(
            f"--kind {kind}",
            expected=", ".join(KINDS),
            found=kind,
            hint=did_you_mean(kind, list(KINDS)) or "attncli new exercise --seed 7",
        )
    random = Random(f"{kind} {seed}")
    draw, asked = KINDS[kind]
    for _ in range(TRIES):
        base = random.choice((2, 2, 3))
        drawn = draw(random, base)
        vectors = (drawn.keys.get(name, []) for name in ("input", "query", "key", "value"))
        if any(len({*map(tuple, table)}) < len(table) for table in vectors):
            continue
        if _is_tidy(drawn.rows, drawn.shown, base):
            keys = {"title": f"Exercise {seed}", "similarity": "dot", **drawn.keys}
            keys["temperature"] = 1 / log(base)
            return Exercise(kind, seed, keys, base, asked)
    raise AssertionError(f"no tidy {kind} in {TRIES} draws")


def _is_tidy(rows: list[list[int]], shown: list[Table], base: int) -> bool:
    """Whether the weights of these score rows have few digits, and nothing shown is large."""
    small = all(abs(n) <= LARGEST for table in shown for row in table for n in row)
    if not small or all(len({*row}) == 1 for row in rows):
        return False
    for row in rows:
        powers = [base ** (score - min(row)) for score in row]
        if any(power * 10**DIGITS % sum(powers) for power in powers):
            return False
    # Farther apart, powers are large and the smaller weights nearly nothing.
    return all(len(row) == 1 or max(row) - min(row) <= 4 for row in rows)


def _table(random: Random, rows: int, columns: int, low: int = -1, high: int = 2) -> Table:
    return [[random.randint(low, high) for _ in range(columns)] for _ in range(rows)]


def _turned(table: Table) -> Table:
    return [list(column) for column in zip(*table, strict=True)]


def _times(a: Table, b: Table) -> Table:
    return [
        [sum(x * y for x, y in zip(row, column, strict=True)) for column in _turned(b)] for row in a
    ]
