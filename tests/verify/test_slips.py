"""Each slip, made by plain loops, is named first; what is no slip is none."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from attncli import load
from attncli.files.results import Result
from attncli.oracle.compare import Rule
from attncli.oracle.slips import SLIPS
from attncli.oracle.verdict import Judge, Verdict
from attncli.solve import solve
from tests.verify import heads, masks, rotary, scores
from tests.verify.cases import CASES as ALL

NAMED = [(name, number) for name, made in ALL.items() for number in range(len(made))]
FAMILIES = (heads, masks, rotary, scores)
"""Importing them registers their cases."""

DRAWS, MANY = 3, 50
NOT_FOUND = 0.05
"""The share of draws that may be explained by another slip."""


def judge(problem: Mapping[str, Any], **rule: Any) -> Judge:
    opened = load(**{**problem, "dtype": "float64"})
    return Judge(opened, solve(opened), Rule(**rule))


def verdict(problem: Mapping[str, Any], theirs: Any, dtype: str = "float64") -> Verdict:
    result = Result(np.asarray(theirs, dtype=np.float64), dtype)
    return judge(problem).verdict("theirs", {"output": result})


def named(name: str, number: int, draws: int) -> list[str]:
    """The first name for each draw of a case."""
    found = []
    for seed in range(draws):
        random = np.random.default_rng([seed, number, *name.encode()])
        told = verdict(*ALL[name][number](random))
        assert not told.same, f"{name}: the slip does not matter in draw {seed}"
        found.append(told.fits[0].name if told.fits else "none")
    return found


def test_every_slip_has_a_case() -> None:
    assert set(ALL) == set(SLIPS)


@pytest.mark.parametrize(("name", "number"), NAMED)
def test_a_slip_is_named_first(name: str, number: int) -> None:
    assert named(name, number, DRAWS) == [name] * DRAWS


@pytest.mark.heavy
@pytest.mark.parametrize(("name", "number"), NAMED)
def test_a_slip_is_named_first_in_many_draws(name: str, number: int) -> None:
    found = named(name, number, MANY)
    assert sum(first != name for first in found) <= NOT_FOUND * MANY, found
