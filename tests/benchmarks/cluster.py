"""What a cluster on one machine costs: one long attention on 2 local workers, and in process.

`python tests/benchmarks/cluster.py [N …]`: N queries and keys of width 64, one head, float32; by
default 32768. Both are timed in turn, from the opened files to the output, the cluster with its
connection and its checks; the workers run before. Prints the ratio of the best times.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attncli.batch.cluster import Cluster as Reached
from attncli.batch.spread import Spread
from attncli.core.attention import Attention
from attncli.files.problem import open_problem
from attncli.solve import solve
from tests.batch.clusters import Cluster

if TYPE_CHECKING:
    from attncli.backends import Backend

WIDTH = 64
REPEATS = 5
WORKERS = 2


def made(directory: Path, n: int) -> Attention:
    rng = np.random.default_rng(n)
    for name in "qkv":
        np.save(directory / name, rng.normal(size=(n, WIDTH)).astype(np.float32))
    problem = open_problem([str(directory / f"{name}.npy") for name in "qkv"], {})
    assert isinstance(problem, Attention)
    return problem


def timed(compute: Callable[[], bytes]) -> tuple[float, bytes]:
    started = perf_counter()
    output = compute()
    return perf_counter() - started, output


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or [32768]
    with tempfile.TemporaryDirectory() as name, Cluster(Path(name) / "cluster") as cluster:
        for _ in range(WORKERS):
            cluster.add_worker()
        reached = Reached(cluster.address)
        with reached.client() as client:
            client.wait_for_workers(WORKERS, timeout=30)
        print(f"{os.cpu_count()} processors, {WORKERS} workers of one thread, width {WIDTH}")
        for n in sizes:
            problem = made(Path(name), n)

            def here(backend: "str | Backend" = "numpy", problem: Attention = problem) -> bytes:
                trace = solve(problem, backend=backend, tile=512, keep=())
                return bytes(np.asarray(trace.output).tobytes())

            def there(problem: Attention = problem, compute: Callable[..., bytes] = here) -> bytes:
                with reached.client() as client:
                    return compute(Spread(client, problem))

            # One after the other, again and again: what else the machine does meets both.
            runs = [(timed(here), timed(there)) for _ in range(REPEATS)]
            (_, expected), (_, found) = runs[0]
            alone, spread = (min(run[which][0] for run in runs) for which in (0, 1))
            same = "same bytes" if found == expected else "other bytes (keys are split)"
            print(
                f"n {n:6}: in process {alone:6.2f} s, cluster {spread:6.2f} s, "
                f"ratio {spread / alone:5.2f}, {same}"
            )


if __name__ == "__main__":
    main()
