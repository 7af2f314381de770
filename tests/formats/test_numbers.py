"""Numbers as people read them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attncli.formats.numbers import aligned, all_integers, exact, fixed, split, total

FLOATS = st.floats(width=64)
SMALLER = st.floats(-1e300, 1e300) | st.sampled_from([np.nan, np.inf, -np.inf, -0.0])


@given(st.lists(SMALLER, min_size=1, max_size=8), st.integers(0, 17), st.booleans())
def test_a_column_is_aligned_and_right(values: list[float], digits: int, as_fixed: bool) -> None:
    if any(abs(value) > 1e15 for value in values if np.isfinite(value)):
        as_fixed = False
    texts = aligned(split(values, digits, integers=False, as_fixed=as_fixed), {})
    assert len({len(text) for text in texts}) == 1
    numbers = [text for text, value in zip(texts, values, strict=True) if np.isfinite(value)]
    if digits:
        assert len({text.index(".") for text in numbers}) <= 1
    for text, value in zip(texts, values, strict=True):
        if np.isnan(value):
            assert text.strip() == "nan"
        elif np.isinf(value):
            assert text.strip() == ("−∞" if value < 0 else "∞")
        else:
            assert text.strip() != "-0.000"
            tolerance = 10.0**-digits if as_fixed else abs(value) * 10.0**-digits
            assert abs(float(text) - value) <= tolerance


@given(arrays(np.float32, 5, elements=st.floats(width=32)))
def test_float32_comes_back(values: np.ndarray) -> None:
    texts = exact(values)
    assert np.array_equal(np.array([np.float32(text) for text in texts]), values, equal_nan=True)


@given(arrays(np.float64, 5, elements=FLOATS))
def test_float64_comes_back(values: np.ndarray) -> None:
    assert np.array_equal(np.array(list(map(float, exact(values)))), values, equal_nan=True)


def test_float32_is_short() -> None:
    assert exact(np.array([0.1], np.float32)) == ["0.1"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0], True), ([0.5, -3], True), ([1e7], False), ([1e-4, 0], False), ([1e-4, 1], True)],
)
def test_when_decimals_say_enough(values: list[float], expected: bool) -> None:
    assert fixed(values, 3) is expected


def test_integers() -> None:
    assert all_integers(np.array([1.0, -2.0, np.inf]))
    assert not all_integers(np.array([1.0, 0.5]))
    assert not all_integers(np.array([np.nan]))
    assert not all_integers(np.array([1e12]))


def test_totals() -> None:
    eps = float(np.finfo(np.float64).eps)
    assert total(1 - 4 * eps, 8, eps, 3).before == "1"
    assert total(0.0, 8, eps, 3).before == "0"
    assert total(0.9996, 8, eps, 3).after == ".000"
