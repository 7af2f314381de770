"""Summaries of tensors, part by part, are those of the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from attncli.files import summary
from attncli.files.summary import summarize

CELLS = st.floats(-100, 100) | st.sampled_from([np.nan, np.inf, -np.inf])


@given(
    array=npst.arrays(np.float64, npst.array_shapes(max_dims=3, max_side=7), elements=CELLS),
    part=st.integers(1, 50),
)
def test_a_summary_is_that_of_the_finite_numbers(array: np.ndarray, part: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary, "PART", part)
        made = summarize(array)
    finite = array[np.isfinite(array)]
    assert (made.shape, made.dtype) == (array.shape, "float64")
    assert made.n_nan == np.isnan(array).sum()
    assert made.n_infinite == np.isinf(array).sum()
    assert sum(made.counts) == finite.size
    if finite.size:
        assert (made.least, made.greatest) == (finite.min(), finite.max())
        assert made.mean == pytest.approx(finite.mean(), abs=1e-12)
        span = finite.max() - finite.min()
        bins = [min(int((x - finite.min()) / span * 16), 15) if span else 8 for x in finite]
        assert made.counts == tuple(bins.count(number) for number in range(16))
    else:
        assert (made.least, made.greatest, made.mean) == (None, None, None)
        assert made.counts == (0,) * 16


def test_a_part_without_a_finite_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "PART", 2)
    made = summarize(np.array([np.nan, np.inf, 3.0, 5.0, -np.inf, np.nan]))
    assert (made.least, made.greatest, made.mean) == (3, 5, 4)
    assert (made.n_nan, made.n_infinite, made.counts[0], made.counts[-1]) == (2, 2, 1, 1)


def test_a_range_beyond_float64_has_no_bins() -> None:
    made = summarize(np.array([-1.5e308, 1.5e308]))
    assert (made.least, made.greatest) == (-1.5e308, 1.5e308)
    assert made.counts == (0,) * 16


def test_sums_beyond_float64_on_both_sides_have_no_mean() -> None:
    assert np.isnan(summarize(np.repeat([1.5e308, -1.5e308], 1000)).mean)


def test_narrow_numbers_are_summed_in_float64() -> None:
    made = summarize(np.full(70_000, 1, dtype=np.float16))
    assert (made.mean, made.dtype) == (1, "float16")
    made = summarize(np.array([[True, False]]))
    assert (made.least, made.greatest, made.mean, made.dtype) == (0, 1, 0.5, "bool")


@pytest.mark.parametrize("least", [0.0, 1.0, -1.0, 1e300])
def test_numbers_that_differ_by_their_last_bit_have_bins(least: float) -> None:
    made = summarize(np.array([least, np.nextafter(least, np.inf), least]))
    assert (made.counts[0], made.counts[-1], sum(made.counts)) == (2, 1, 3)


def test_sixteen_bins_are_equal() -> None:
    assert summarize(np.arange(33.0)).counts == (2,) * 15 + (3,)
    assert summarize(np.full(5, 7.0)).counts == (0,) * 8 + (5,) + (0,) * 7
