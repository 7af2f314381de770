"""The public API as a program of somebody else uses it: read by a type checker, strictly.

`mypy --strict tests/typed_api.py`, which `.ci/run` does; `tests/test_api.py` runs what it says.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, assert_type

import numpy as np

from attncli import Problem, Trace, attend, load
from attncli.errors import AttncliError, InputError

LEAST = {"query": [[1.0]], "key": [[1.0]], "value": [[2.0]]}


def program() -> tuple[Trace, Problem]:
    """What people write."""
    trace = attend(query=[[1.0, 2.0]], key=np.eye(2), value=[[1], [2]], causal=False)
    assert_type(trace, Trace)
    problem = load(**LEAST)
    assert_type(problem, Problem)
    assert_type(attend(problem, tile="auto", backend="numpy", threads=1), Trace)
    assert_type(trace.names, tuple[str, ...])
    assert_type(problem.facts(), tuple[str, ...])
    assert_type(problem.memory(None), int)
    assert_type(trace.notes, tuple[str, ...])
    weights: Any = trace["weights"]
    assert weights.shape == (1, 2)
    with suppress(InputError):
        attend(Path("there is no such file.yaml"))
    assert_type(AttncliError("no").exit_code, int)
    return trace, problem
