"""How fast `batch` does 10,000 small jobs, beside a bare loop and beside a shell loop.

`python tests/benchmarks/batch.py [N]`. A job reads 16 queries, keys and values of width 8 from an
NPZ and writes the output as NPZ. The bare loop is `np.load`, the same mathematics and `np.save` in
one process: no checks, no hashes, no report, nothing synced. Directories lie in TMPDIR.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

SHELL_JOBS = 20
REPEATS = 3


def make(directory: Path, n: int) -> None:
    rng = np.random.default_rng(0)
    directory.mkdir()
    for index in range(n):
        query, key, value = rng.normal(size=(3, 16, 8))
        np.savez(directory / f"{index:05}.npz", query=query, key=key, value=value)


def bare(inputs: Path, outputs: Path) -> float:
    outputs.mkdir()
    started = perf_counter()
    for path in sorted(inputs.iterdir()):
        with np.load(path) as arrays:
            query, key, value = arrays["query"], arrays["key"], arrays["value"]
        scores = query @ key.T / np.sqrt(query.shape[-1])
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        np.save(outputs / (path.stem + ".npy"), weights @ value)
    return perf_counter() - started


def batch(inputs: Path, outputs: Path, *options: str) -> float:
    outputs.mkdir()
    files = [str(path) for path in sorted(inputs.iterdir())]
    started = perf_counter()
    subprocess.run(
        [
            *(sys.executable, "-m", "attncli", "batch", *files, "--steps", "output", "-q"),
            *("-o", str(outputs / "{stem}.npz"), "--report", str(outputs / "report.jsonl")),
            *options,
        ],
        check=True,
    )
    return perf_counter() - started


def shell(inputs: Path, outputs: Path) -> float:
    outputs.mkdir()
    started = perf_counter()
    for path in sorted(inputs.iterdir())[:SHELL_JOBS]:
        subprocess.run(
            [
                *(sys.executable, "-m", "attncli", "attend", str(path), "--steps", "output", "-q"),
                *("-o", str(outputs / path.name)),
            ],
            check=True,
        )
    return perf_counter() - started


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make(root / "in", n)
        one_by_one = SHELL_JOBS / shell(root / "in", root / "shell")
        print(f"shell loop of attend   {one_by_one:8.0f} jobs/s")
        for repeat in range(REPEATS):
            loop = n / bare(root / "in", root / f"bare{repeat}")
            print(f"bare loop              {loop:8.0f} jobs/s")
            for threads in ("1", str(os.cpu_count())):
                rate = n / batch(root / "in", root / f"batch{repeat}-{threads}", "-j", threads)
                print(
                    f"batch -j {threads:<2}            {rate:8.0f} jobs/s"
                    f"   {rate / loop:.2f} of the bare loop, {rate / one_by_one:.0f} x the shell's"
                )


if __name__ == "__main__":
    main()
