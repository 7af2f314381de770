"""How near is near enough: the tolerance of the conformance index."""

from typing import Any

import numpy as np


def assert_close(name: str, got: Any, expected: np.ndarray, rtol: float, atol: float) -> None:
    """|got − expected| ≤ atol + rtol·|expected|; what is not finite must be the very same."""
    got = np.asarray(got, dtype=np.float64)
    expected = np.asarray(expected, dtype=np.float64)
    assert got.shape == expected.shape, f"{name}: shape {got.shape}, expected {expected.shape}"
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(got[~finite], expected[~finite], err_msg=name)
    assert np.isfinite(got[finite]).all(), f"{name} is not finite where it must be"
    error = np.abs(got[finite] - expected[finite]) - rtol * np.abs(expected[finite])
    assert error.max(initial=0.0) <= atol, f"{name} errs by {error.max():.3g} beyond rtol"
