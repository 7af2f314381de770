"""Normalizers: rows of scores by the formula, with what is left out, huge numbers and ties."""

from collections.abc import Callable
from math import exp, inf, log
from typing import Any

import numpy as np
import pytest

from attncli.core.normalize import NORMALIZERS

ROWS = (
    [0.3, -1.1, 0.9, 0.2, 0.85],
    [-inf, 2.0, -inf, 1.4, 1.9],
    [5.0, 5.0, -3.0, 5.0, -inf],
    [0.0, -2.0, -0.5, -1.0, -3.0],
    [700.0, -700.0, 699.5, 0.0, 700.0],
    [-inf, -inf, 4.0, -inf, -inf],
    [0.0, 0.0, 0.0, 0.0, 0.0],
)
Row = list[float]


def softmax(row: Row) -> Row:
    exponentials = [exp(score - max(row)) for score in row]
    return [one / sum(exponentials) for one in exponentials]


def threshold(row: Row, power: int) -> Row:
    """max(s − τ, 0) to a power, with the τ, found by halving, for which they sum to 1."""

    def weights(tau: float) -> Row:
        return [max(score - tau, 0.0) ** power for score in row]

    low, high = max(row) - 1, max(row)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(weights(middle)) > 1 else (low, middle)
    return weights(low)


def sigmoid(row: Row) -> Row:
    return [1 / (1 + exp(-score)) if score > -709 else 0.0 for score in row]


def hard(row: Row) -> Row:
    return [float(place == row.index(max(row))) for place in range(len(row))]


BY_HAND: dict[str, Callable[[Row], Row]] = {
    "softmax": softmax,
    "sparsemax": lambda row: threshold(row, 1),
    "entmax15": lambda row: threshold([score / 2 for score in row], 2),
    "sigmoid": sigmoid,
    "hard": hard,
    "none": lambda row: [0.0 if score == -inf else score for score in row],
}


def weights_of(name: str, scores: Any, temperature: float = 1.0) -> tuple[Any, Any]:
    with np.errstate(divide="ignore", over="ignore"):
        return NORMALIZERS[name](temperature).weights(np.asarray(scores), np)


@pytest.mark.parametrize("temperature", [1.0, 0.7, 2.0])
@pytest.mark.parametrize("name", NORMALIZERS)
def test_weights_are_the_formula_row_by_row(name: str, temperature: float) -> None:
    weights, log_sum = weights_of(name, ROWS, temperature)
    for place, row in enumerate(ROWS):
        divided = [score / temperature for score in row]
        np.testing.assert_allclose(weights[place], BY_HAND[name](divided), rtol=1e-9, atol=1e-12)
        if name == "softmax":
            most = max(divided)
            expected = most + log(sum(exp(score - most) for score in divided))
            assert log_sum[place] == pytest.approx(expected, rel=1e-14)
        else:
            assert log_sum is None


@pytest.mark.parametrize("name", NORMALIZERS)
def test_a_row_of_nothing_has_no_weight_and_what_is_left_out_has_exactly_none(name: str) -> None:
    weights, log_sum = weights_of(name, [[[-inf] * 3, [1.0, -inf, 2.0]]])
    assert not weights[0, 0].any()
    assert weights[0, 1, 1] == 0
    if name == "softmax":
        assert log_sum.shape == (1, 2)
        assert log_sum[0, 0] == -inf


@pytest.mark.parametrize("name", NORMALIZERS)
def test_whether_weights_sum_to_one_is_said(name: str) -> None:
    weights, _ = weights_of(name, ROWS)
    assert np.allclose(weights.sum(axis=-1), 1) is NORMALIZERS[name].sums_to_one


@pytest.mark.parametrize("name", NORMALIZERS)
def test_whether_tiles_can_be_merged_is_said(name: str) -> None:
    """Softmax by its sums; the others, where each key has its weight for itself."""
    row = np.array([ROWS[0]])
    halves = [weights_of(name, part)[0] for part in (row[:, :2], row[:, 2:])]
    alone = np.array_equal(np.concatenate(halves, axis=1), weights_of(name, row)[0])
    assert NORMALIZERS[name].mergeable is (alone or name == "softmax")
