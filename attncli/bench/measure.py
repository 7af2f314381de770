"""Alternating runs on the same cores, the machine's own peak, and memory in a fresh process."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from attncli.bench.cases import Trial
from attncli.bench.peers import Run, peer
from attncli.machine import free_memory
from attncli.solve import Tile, solve

PEAK_N = 2048
"""Rows of the matrices whose product tells the machine's peak."""
PEAK_RUNS = 5
APART = {"float32": 1e-4, "float64": 1e-10}
"""How far a peer's numbers may be from ours; beyond, the two have not computed the same."""


@dataclass(frozen=True)
class Times:
    """Seconds of several runs."""

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.runs)

    @property
    def spread(self) -> float:
        """Half of what lies between the fastest and the slowest, as a part of the median."""
        return (max(self.runs) - min(self.runs)) / 2 / self.median


@dataclass
class Row:
    """One case at one size: us, and each peer."""

    trial: Trial
    ours: Times
    memory: int | None = None
    """Bytes at most beside the inputs, in a process of its own."""
    share: float = 0.0
    """Of the machine's matrix-product peak of the same type."""
    to_full: float | None = None
    """Our time by our time of `full` at the same size, where both were run."""
    peers: dict[str, Times] = field(default_factory=dict)
    peer_memory: dict[str, int | None] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """Peers that could not run, and why."""

    @property
    def gflops(self) -> float:
        return self.trial.operations / self.ours.median / 1e9

    def ratio(self, name: str) -> float:
        """Our time by a peer's: below 1 we are faster."""
        return self.ours.median / self.peers[name].median


@dataclass(frozen=True)
class Settings:
    """How is measured."""

    backend: str
    threads: int
    tile: Tile
    repeat: int
    peers: tuple[str, ...]


def ours(trial: Trial, settings: Settings) -> Run:
    """How we compute a trial: as `attend` does, for the output alone."""
    problem = trial.problem()

    def run() -> Any:
        trace = solve(
            problem,
            backend=settings.backend,
            threads=settings.threads,
            tile=settings.tile,
            keep=(),
            notes=False,
        )
        return trace.output[0]

    return run


def measured(trial: Trial, settings: Settings, say: Callable[[str], None]) -> Row:
    """Time a trial: each in turn, we first, `repeat` times after a run that does not count.

    Raises `AssertionError` where a peer's numbers are not ours: then the times say nothing.
    """
    say(f"{trial.case.name}, n {trial.n}")
    runs: dict[str, Run] = {"": ours(trial, settings)}
    row = Row(trial, Times(()))
    for name in settings.peers:
        fused = name == "torch" and trial.case.is_fused and "bias" not in trial.case.keys
        if not fused and trial.naive_bytes > free_memory() // 2:
            row.left_out[name] = "memory"
            continue
        runs[name] = peer(name, trial, settings.threads)
    reference: Any = None
    for name, run in runs.items():
        result = np.asarray(run())
        reference = result if reference is None else reference
        apart = float(np.max(np.abs(result - reference)))
        assert apart <= APART[trial.case.dtype], f"{name} is {apart:.2g} apart from us"
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(settings.repeat):
        for name, run in runs.items():
            started = perf_counter()
            run()
            times[name].append(perf_counter() - started)
    row.ours = Times(tuple(times.pop("")))
    row.peers = {name: Times(tuple(seconds)) for name, seconds in times.items()}
    row.memory = _fresh(trial, settings, "")
    row.peer_memory = {name: _fresh(trial, settings, name) for name in row.peers}
    return row


def peak(dtype: str, threads: int) -> float:
    """GFLOP/s of a square matrix product: the best of some runs on as many threads."""
    from threadpoolctl import threadpool_limits

    random = np.random.default_rng(1)
    a, b = (random.standard_normal((PEAK_N, PEAK_N)).astype(dtype) for _ in range(2))
    out = np.empty_like(a)
    best = float("inf")
    with threadpool_limits(threads):
        for _ in range(PEAK_RUNS):
            started = perf_counter()
            np.matmul(a, b, out=out)
            best = min(best, perf_counter() - started)
    return 2 * PEAK_N**3 / best / 1e9


def related(rows: Sequence[Row], peaks: Mapping[str, float]) -> None:
    """Fill in what rows say of each other: shares of the peak, times by that of `full`."""
    full = {row.trial.n: row.ours.median for row in rows if row.trial.case.name == "full"}
    for row in rows:
        row.share = row.gflops / peaks[row.trial.case.dtype]
        case, n = row.trial.case, row.trial.n
        same = n in full and case.name != "full" and not case.one_head
        row.to_full = row.ours.median / full[n] if same else None


def _fresh(trial: Trial, settings: Settings, name: str) -> int | None:
    """Bytes that a run takes at most beside its inputs, measured in a process of its own."""
    arguments = {
        "case": trial.case.name,
        "n": trial.n,
        "n_heads": trial.n_heads,
        "d": trial.d,
        "backend": settings.backend,
        "threads": settings.threads,
        "tile": settings.tile,
        "peer": name,
    }
    command = [sys.executable, "-m", "attncli.bench.memory", json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, check=False)
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip() else None
