"""How much faster a table of 5000 × 64 floats is read than `yaml.load` with libyaml reads it.

Prints, for lists in brackets and lists of dashes, the median of both over alternating runs and
their ratio, after holding every number bit for bit to `float()`.

    python tests/benchmarks/yaml_reader.py [RUNS]
"""

import random
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import yaml

from attncli.files.types import Mapping, Tensor, read_document

ROWS, COLUMNS = 5000, 64
SCHEMA = Mapping({"query": Tensor()})


def documents(table: list[list[str]]) -> dict[str, str]:
    """The same table as a problem file may write it."""
    return {
        "brackets": "query: [" + ",\n  ".join(f"[{', '.join(row)}]" for row in table) + "]\n",
        "dashes": "query:\n" + "".join(f"- [{', '.join(row)}]\n" for row in table),
        "dashes in dashes": "query:\n" + "".join("- - " + "\n  - ".join(r) + "\n" for r in table),
    }


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main(runs: int) -> int:
    rng = random.Random(0)
    table = [[repr(rng.gauss(0, 1)) for _ in range(COLUMNS)] for _ in range(ROWS)]
    exact = np.array([[float(cell) for cell in row] for row in table])
    slowest = float("inf")
    for name, text in documents(table).items():
        read = read_document(text, name, SCHEMA)["query"].value
        if read.tobytes() != exact.tobytes():
            print(f"{name}: not bit for bit float()")
            return 1
        ours, theirs = [], []
        for _ in range(runs):
            ours.append(seconds(lambda text=text: read_document(text, name, SCHEMA)))  # noqa: B023
            theirs.append(seconds(lambda text=text: yaml.load(text, Loader=yaml.CSafeLoader)))
        ratio = statistics.median(theirs) / statistics.median(ours)
        slowest = min(slowest, ratio)
        print(
            f"{name:<18} ours {statistics.median(ours):.3f} s   "
            f"CSafeLoader {statistics.median(theirs):.3f} s   {ratio:.1f} times as fast"
        )
    print(f"the smallest ratio is {slowest:.1f}; 3 is asked for")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7))
