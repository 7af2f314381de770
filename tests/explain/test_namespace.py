"""The namespace of worked arrays: NumPy's own numbers, whether or not a history goes with them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attncli.backends.worked import Worked, WorkedBackend, given, plain

X = np.array([[3.0, 1.0, 2.0], [0.5, 4.0, 4.0]])
Y = np.array([[1.0, 2.0, 8.0], [2.0, 0.25, 5.0]])
CALLS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "where": lambda xp, x, y: xp.where(X > 1.5, x, y),
    "maximum": lambda xp, x, y: xp.maximum(x, y),
    "concat": lambda xp, x, y: xp.concat([x, y], axis=1),
    "stack": lambda xp, x, y: xp.stack([x, y], axis=0),
    "take": lambda xp, x, y: xp.take(x, np.array([2, 0]), axis=1),
    "sort": lambda xp, x, y: xp.sort(x, axis=-1),
    "sum": lambda xp, x, y: xp.sum(x, axis=0, keepdims=True),
    "mean": lambda xp, x, y: xp.mean(x, axis=-1),
    "max": lambda xp, x, y: xp.max(x, axis=1),
    "largest of all": lambda xp, x, y: xp.max(x),
    "cumulative sum": lambda xp, x, y: xp.cumulative_sum(x, axis=1),
    "matmul": lambda xp, x, y: xp.matmul(x, xp.matrix_transpose(y)),
    "astype": lambda xp, x, y: xp.astype(x, np.float32),
    "asarray": lambda xp, x, y: xp.asarray(x),
    "full_like": lambda xp, x, y: xp.full_like(x, 0.5),
    "+": lambda xp, x, y: 2 + x + y,
    "-": lambda xp, x, y: 2 - x - y,
    "*": lambda xp, x, y: 2 * x * y,
    "/": lambda xp, x, y: 2 / x / y,
    "**": lambda xp, x, y: x**2,
    "negative": lambda xp, x, y: -x,
    "==": lambda xp, x, y: x == y,
    "!=": lambda xp, x, y: x != y,
    "<": lambda xp, x, y: x < y,
    "<=": lambda xp, x, y: x <= y,
    ">": lambda xp, x, y: x > y,
    ">=": lambda xp, x, y: x >= y,
}
FORGET = {"largest of all", "full_like", "==", "!=", "<", "<=", ">", ">="}
"""What no history goes with: a look at numbers, or none of them."""


@pytest.mark.parametrize("name", CALLS)
def test_a_function_gives_numpys_numbers(name: str) -> None:
    call, xp = CALLS[name], WorkedBackend.xp
    right = call(np, X, Y)
    without = call(xp, X, Y)
    assert not isinstance(without, Worked)
    assert np.array_equal(without, right)
    worked = call(xp, given(X), given(Y))
    assert isinstance(worked, Worked) == (name not in FORGET)
    assert np.array_equal(plain(worked), right)
    assert plain(worked).dtype == right.dtype
    if isinstance(worked, Worked):
        for index in np.ndindex(right.shape):
            assert worked.term(index).value == pytest.approx(float(right[index]), rel=1e-15)


@pytest.mark.parametrize(
    "function", [np.asarray, np.sum, lambda x: np.concatenate([x, x]), lambda x: np.where(x, 1, 0)]
)
def test_a_function_of_numpys_would_lose_the_history_and_is_refused(
    function: Callable[[Any], Any],
) -> None:
    with pytest.raises(TypeError):
        function(given(X))


def test_numbers_become_worked_and_places_stay_as_they_are() -> None:
    machine = WorkedBackend()
    assert isinstance(machine.upload(X), Worked)
    for places in (np.arange(3), X > 1):
        assert machine.upload(places) is places
    assert machine.download(machine.upload(X)) is X
