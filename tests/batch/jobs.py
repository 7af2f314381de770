"""Inputs, manifests and reports that the tests of batches share."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from attncli.commands.boundary import run

N_QUERIES, N_KEYS, D_K, D_V = 3, 5, 2, 7


def make_inputs(directory: Path, n: int) -> list[Path]:
    """NPZ files of small random problems; the same for the same number."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(n):
        rng = np.random.default_rng(index)
        path = directory / f"{index:04}.npz"
        np.savez(
            path,
            query=rng.normal(size=(N_QUERIES, D_K)),
            key=rng.normal(size=(N_KEYS, D_K)),
            value=rng.normal(size=(N_KEYS, D_V)),
        )
        paths.append(path)
    return paths


def records(report: Path) -> list[dict[str, Any]]:
    """The lines of a report."""
    return [json.loads(line) for line in report.read_text().splitlines()]


def statuses(report: Path) -> list[str]:
    return [record["status"] for record in records(report)]


def contents(directory: Path) -> dict[str, bytes]:
    """Every file of a directory, hidden ones too."""
    return {name: (directory / name).read_bytes() for name in sorted(os.listdir(directory))}


def batch(*arguments: str) -> int:
    """`attncli batch …` in this process; its exit code."""
    return run(["batch", *arguments])


def process(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    """`attncli batch …` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "attncli", "batch", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finished(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """`attncli batch …` in a process of its own, to its end."""
    with process(*arguments, **options) as running:
        out, err = running.communicate()
    return subprocess.CompletedProcess(arguments, running.returncode, out, err)
