"""What tiles contribute, and that it merges: against one softmax over all keys."""

import numpy as np
import pytest

from attncli.backends.numpy import Functions
from attncli.core.partial import Partial

XP = Functions()
N_QUERIES, N_KEYS, D_V = 3, 7, 2
RANDOM = np.random.default_rng(5)
SCORES = RANDOM.normal(scale=3.0, size=(N_QUERIES, N_KEYS))
VALUE = RANDOM.normal(size=(N_KEYS, D_V))


def expected(scores: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The output by plain loops; zero for a query that sees nothing."""
    made = np.zeros((len(scores), value.shape[1]))
    for query, row in enumerate(scores):
        seen = [key for key, score in enumerate(row) if score != -np.inf]
        total = sum(np.exp(row[key]) for key in seen)
        for key in seen:
            made[query] += np.exp(row[key]) / total * value[key]
    return made


def output(whole: Partial) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.where(whole.row_sum == 0, 0.0, whole.weighted / whole.row_sum)


@pytest.mark.parametrize("cut", [1, 3, 6])
def test_parts_merge_to_the_softmax_over_all_keys(cut: int) -> None:
    parts = [
        Partial.of(SCORES[:, keys], VALUE[keys], XP, leaves_out=False)
        for keys in (slice(0, cut), slice(cut, None))
    ]
    made = output(parts[0].merge(parts[1], XP))
    np.testing.assert_allclose(made, expected(SCORES, VALUE), rtol=1e-12)
    other = output(parts[1].merge(parts[0], XP))
    np.testing.assert_allclose(other, made, rtol=1e-12)


def test_what_is_left_out_is_never_multiplied() -> None:
    scores, value = SCORES.copy(), VALUE.copy()
    scores[:, 2], scores[1, :], value[2] = -np.inf, -np.inf, np.nan
    with np.errstate(all="ignore"):
        made = output(Partial.of(scores, value, XP, leaves_out=True))
    np.testing.assert_allclose(made, expected(scores, value), rtol=1e-12)
    assert not made[1].any()


def test_no_keys_change_nothing() -> None:
    nothing = Partial.identity(N_QUERIES, D_V, np.float64, XP)
    part = Partial.of(SCORES, VALUE, XP, leaves_out=False)
    with np.errstate(all="ignore"):
        for whole in (part.merge(nothing, XP), nothing.merge(part, XP)):
            for name in ("row_max", "row_sum", "weighted"):
                np.testing.assert_array_equal(getattr(whole, name), getattr(part, name))
