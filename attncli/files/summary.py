"""What is in a tensor, in a few numbers, read part by part so that a mapped file stays on disk."""

from dataclasses import dataclass

import numpy as np

from attncli.files.vectors import PART, Tensor

BINS = 16


@dataclass(frozen=True)
class Summary:
    """Range, mean and distribution of the finite elements; how many are NaN or infinite."""

    shape: tuple[int, ...]
    dtype: str
    least: float | None
    greatest: float | None
    mean: float | None
    n_nan: int
    n_infinite: int
    counts: tuple[int, ...]
    """Elements in each of `BINS` equal bins from least to greatest."""


@np.errstate(over="ignore", invalid="ignore")
def summarize(array: Tensor) -> Summary:
    """The summary of an array; `least`, `greatest` and `mean` are None where nothing is finite.

    A range or a sum beyond float64 is infinite; the mean of sums beyond it on both sides is NaN.
    """
    flat = array.reshape(-1)
    least, greatest, total, n_nan, n_infinite = np.inf, -np.inf, 0.0, 0, 0
    parts = range(0, flat.size, PART)
    for start in parts:
        part = flat[start : start + PART].astype(np.float64)
        finite = part[np.isfinite(part)]
        n_nan += int(np.isnan(part).sum())
        n_infinite += int(np.isinf(part).sum())
        if finite.size:
            least, greatest = min(least, finite.min()), max(greatest, finite.max())
            total += finite.sum()
    n_finite = flat.size - n_nan - n_infinite
    counts = np.zeros(BINS, dtype=np.int64)
    span = greatest - least
    if n_finite and np.isfinite(span):
        for start in parts:
            part = flat[start : start + PART].astype(np.float64)
            part = part[np.isfinite(part)]
            # Not np.histogram, which refuses a range that holds fewer than BINS numbers.
            bins = (part - least) / span * BINS if span else np.full(part.size, BINS // 2)
            counts += np.bincount(np.minimum(bins.astype(np.int64), BINS - 1), minlength=BINS)
    known = n_finite > 0
    return Summary(
        shape=array.shape,
        dtype=str(array.dtype),
        least=float(least) if known else None,
        greatest=float(greatest) if known else None,
        mean=float(total) / n_finite if known else None,
        n_nan=n_nan,
        n_infinite=n_infinite,
        counts=tuple(int(count) for count in counts),
    )
