"""Compute a problem with attncli and hold every step to the plain loops of the oracle."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from attncli import attend
from attncli.solve import Trace
from tests import oracle_heads, problem_file

RTOL, ATOL = 1e-10, 1e-12


def solved(problem: dict[str, Any]) -> Trace:
    """The trace of a problem, written to disk and read as a user's file."""
    with tempfile.TemporaryDirectory() as folder:
        return attend(problem_file.write(Path(folder), problem))


def assert_same(name: str, got: Any, expected: Any, rtol: float = RTOL, atol: float = ATOL) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, f"{name}: shape {got.shape}, expected {expected.shape}"
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol, err_msg=name)


def judge(problem: dict[str, Any]) -> Trace:
    """Every step against the oracle's, and just the steps that the contract promises."""
    trace = solved(problem)
    truth = oracle_heads.attend(plain(problem))
    got = {step.name: step.value for step in trace.steps}
    assert [name for name in got if name != "lse"] == promised(problem)
    for name, value in got.items():
        assert_same(name, value, truth[name])
    if "output" in truth:
        assert_same("output", trace.output, truth["output"])
    return trace


def promised(problem: dict[str, Any]) -> list[str]:
    """The steps that exist: those whose setting is on, whatever the values."""
    given = "scores" in problem
    similarity = problem.get("similarity", "scaled-dot")
    scale = problem.get("scale", "auto" if similarity == "scaled-dot" and not given else "none")
    mask = np.asarray(problem.get("mask", False))
    masks = {"causal", "window", "key_lengths", "key_mask", "mask"}
    is_on = {
        "query": not given,
        "key": not given,
        "value": "value" in problem,
        "scores": True,
        "scaled": not isinstance(scale, str) or scale != "none",
        "capped": "softcap" in problem,
        "biased": "bias" in problem or mask.dtype.kind == "f",
        "masked": bool(masks & set(problem)),
        "weights": True,
        "output": "value" in problem,
    }
    return [name for name, on in is_on.items() if on]


def plain(part: Any) -> Any:
    """The problem in nested lists; vectors of one number or thin tables as the oracle wants."""
    if isinstance(part, np.ndarray):
        return part.tolist()
    if isinstance(part, dict):
        lists = {name: plain(value) for name, value in part.items()}
        if "score_weight" in lists:
            lists["score_weight"] = np.ravel(lists["score_weight"]).tolist()
        return lists
    return [plain(value) for value in part] if isinstance(part, list) else part
