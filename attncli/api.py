"""The Python API: the same reader, the same recipe and the same report as the command line."""

from os import PathLike, fspath
from pathlib import Path
from typing import Any

from attncli.core.problem import Problem
from attncli.files.build import build
from attncli.files.problem import keywords, open_problem
from attncli.solve import Tile, Trace, solve


def load(source: str | PathLike[str] | None = None, /, **keys: Any) -> Problem:
    """The problem of a file, with keywords in place of its keys; or of keywords alone.

    Keywords are the keys of a problem file (`query`, `causal`, `window`, …); tensors may be
    anything that NumPy can read as an array. Raises `attncli.errors.AttncliError`.
    """
    if source is None:
        return build(keywords(keys), Path())
    return open_problem([fspath(source)], keywords(keys))


def attend(
    source: str | PathLike[str] | Problem | None = None,
    /,
    *,
    backend: str = "numpy",
    threads: int | None = None,
    tile: Tile = "auto",
    **keys: Any,
) -> Trace:
    """Compute a problem and keep every step: `trace["weights"]`, `trace.output`.

    The source is a file, a problem from `load`, or nothing: then the keywords are the problem.
    """
    if source is None or isinstance(source, str | PathLike):
        problem = load(source, **keys)
    else:
        problem = source
        if keys:
            raise TypeError("keywords go with a file or stand alone: give them to load()")
    return solve(problem, backend=backend, threads=threads, tile=tile)
