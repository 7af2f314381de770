"""A Dask cluster of real processes on this machine, for tests."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0


class Cluster:
    """A scheduler and workers of one thread each; all are killed at the end."""

    def __init__(
        self, directory: Path, options: Sequence[str] = (), protocol: str = "tcp", **environ: str
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.options = tuple(options)
        self.protocol = protocol
        self.file = directory / "scheduler.json"
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        patience = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s"}  # for workers that died
        self.environ = {**os.environ, **patience, "PYTHONPATH": path, **environ}
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start(
            *("scheduler", "--host", f"{protocol}://127.0.0.1", "--port", "0"),
            *("--protocol", protocol, "--scheduler-file", str(self.file), *self.options),
        )

    @property
    def address(self) -> str:
        """The scheduler's address, when it is there."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                return str(json.loads(self.file.read_text())["address"])
            except (OSError, ValueError):
                time.sleep(0.05)
        raise TimeoutError("the scheduler does not come up")

    def add_worker(self, *options: str, **environ: str) -> "subprocess.Popen[bytes]":
        """One worker more, without a nanny: a kill kills it."""
        worker = self._start(
            *("worker", self.address, "--nthreads", "1", "--local-directory"),
            *(str(self.directory / f"worker{len(self.workers)}"), *self.options),
            *(options or ("--no-nanny",)),
            **environ,
        )
        self.workers.append(worker)
        return worker

    def kill_worker(self) -> None:
        kill(self.workers.pop())

    def _start(self, *arguments: str, **environ: str) -> "subprocess.Popen[bytes]":
        log = open(self.directory / "log.txt", "ab")  # noqa: SIM115  (the process keeps it)
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env={**self.environ, **environ},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in (*self.workers, self.scheduler):
            kill(process)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process and what it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def until_done(report: Path, n: int) -> None:
    """Wait until a report says that so many jobs are done."""
    until = time.monotonic() + PATIENCE
    while not report.exists() or report.read_bytes().count(b'"ok"') < n:
        assert time.monotonic() < until
        time.sleep(0.01)


def long_inputs(n_queries: int, n_keys: int, *leading: int) -> None:
    """q.npy, k.npy and v.npy in the current directory."""
    rng = np.random.default_rng(n_queries)
    for name, shape in (
        ("q", (*leading, n_queries, 127)),
        ("k", (*leading, n_keys, 127)),
        ("v", (*leading, n_keys, 7)),
    ):
        np.save(name, rng.normal(size=shape).astype(np.float32))
