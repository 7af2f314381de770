"""Error budgets: what rounding a step adds, against rounding by hand."""

import numpy as np
import pytest

from attncli import load
from attncli.oracle.budget import Line, budget
from tests.verify.wrong import draw, problem


def lines(precision: str, **keys: object) -> dict[str, Line]:
    q, k, v = draw(np.random.default_rng(2), batch=1, heads=1)
    made = load(**{**problem(q[0, 0], k[0, 0], v[0, 0]), **keys})
    return {line.name: line for line in budget(made, precision)}


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_each_step_is_rounded_and_the_next_goes_on_from_there(dtype: str) -> None:
    q, k, v = (x[0, 0] for x in draw(np.random.default_rng(2), batch=1, heads=1))
    low = [x.astype(dtype).astype(np.float64) for x in (q, k, v)]
    scores = low[0] @ low[1].T
    rounded = scores.astype(dtype).astype(np.float64)
    scaled = rounded / 5**0.5
    told = lines(dtype)
    assert told["inputs"].added == max(
        np.abs(a - b).max() for a, b in zip((q, k, v), low, strict=True)
    )
    assert told["scores"].added == pytest.approx(np.abs(rounded - scores).max(), rel=1e-9)
    assert told["scores"].total == pytest.approx(np.abs(rounded - q @ k.T).max(), rel=1e-9)
    added = np.abs(scaled.astype(dtype) - scaled).max()
    assert told["scaled"].added == pytest.approx(added, rel=1e-9)
    assert told["output"].total > 0


def test_a_coarser_precision_errs_more() -> None:
    errors = [lines(name)["output"].total for name in ("float32", "float16", "bfloat16")]
    assert errors == sorted(errors)
    assert errors[0] < errors[1] / 1000


def test_overflow_is_found_where_it_happens() -> None:
    told = lines("float16", scale=1e5)
    assert told["scores"].overflows == 0
    assert told["scaled"].overflows > 0
    assert told["scaled"].first_overflow is not None
    assert lines("bfloat16", scale=1e5)["scaled"].overflows == 0


def test_what_becomes_zero_is_counted() -> None:
    assert lines("float16", scale=20.0)["weights"].vanishes > 0
