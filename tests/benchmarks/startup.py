"""Start-up, as ratios: `attncli` against bare imports of the libraries that it stands on.

    python tests/benchmarks/startup.py [RUNS]

Runs alternate, so that a machine that slows down slows all of them; medians are compared. Install
the package first: from a checkout Python may have to compile it at every start.
"""

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "soft-addressing.yaml"
COMMAND = shutil.which("attncli") or f"{sys.executable} -m attncli"
BARE = [sys.executable, "-c", "import typer, rich.console"]
FULL = [sys.executable, "-c", "import numpy, yaml, typer, rich.table, rich.console"]
PAIRS = [
    ("attncli --help", [*COMMAND.split(), "--help"], BARE, 1.5),
    ("attncli --version", [*COMMAND.split(), "--version"], BARE, 1.5),
    ("attncli attend soft-addressing.yaml", [*COMMAND.split(), "attend", str(SAMPLE)], FULL, 1.35),
]


def seconds(command: list[str]) -> float:
    """The wall time of one run."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for name, ours, theirs, target in PAIRS:
        times = [(seconds(ours), seconds(theirs)) for _ in range(runs)]
        mine, other = (statistics.median(column) for column in zip(*times, strict=True))
        print(
            f"{name:<38} {mine * 1e3:4.0f} ms, imports alone {other * 1e3:4.0f} ms: "
            f"{mine / other:.2f} times (at most {target})"
        )


if __name__ == "__main__":
    main()
