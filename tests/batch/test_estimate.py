"""What a job will take is known before anything of that size is allocated."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from attncli.batch.estimate import estimate
from attncli.files.problem import read_entries

N = 1200


@pytest.mark.parametrize(
    "keys",
    [
        "query: a.npy\nkey: a.npy\nvalue: a.npy\n",
        "query: a.npy\nkey: a.npy\nvalue: a.npy\ndtype: float64\n",
        "kind: convolution\nimage: a.npy\nkernel: [[[[1]]]]\n",
    ],
)
def test_an_estimate_takes_no_memory_of_the_size_of_its_inputs(keys: str, tmp_path: Path) -> None:
    array = np.ones((N, N), dtype=np.float32)
    np.save(tmp_path / "a.npy", array)
    (tmp_path / "a.yaml").write_text(keys)
    entries = read_entries(str(tmp_path / "a.yaml"))
    tracemalloc.start()
    needed = estimate(entries, tmp_path, "a.yaml").needed(None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < array.nbytes < needed
