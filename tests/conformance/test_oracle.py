"""The plain-loop oracle against other people's outputs, before it judges anything."""

from typing import Any

import numpy as np
import pytest

from tests import oracle_heads
from tests.conformance.cases import Case, cases
from tests.conformance.comparison import assert_close

CASES = [case for case in cases() if "projections" not in case.problem]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_oracle_gives_what_the_source_computed(case: Case) -> None:
    problem = case.spelled or case.problem
    with np.load(case.file) as arrays:
        plain = resolved(problem, problem, dict(arrays))
    heads = plain.pop("heads", None)
    if heads:
        kv_heads = plain.pop("kv_heads", heads)
        for name, count in (("query", heads), ("key", kv_heads), ("value", kv_heads)):
            if name in plain:
                plain[name] = oracle_heads.split(plain[name], count)
    columns = plain.pop("notation", "rows") == "columns"
    if columns:
        plain["scores"] = np.swapaxes(plain["scores"], -1, -2).tolist()

    steps = oracle_heads.attend(plain)

    if heads and "output" in steps:
        steps["output"] = steps["joined"] = oracle_heads.join(steps["output"])
    for name, expected in case.expected.items():
        got = np.swapaxes(steps[name], -1, -2) if columns else steps[name]
        assert_close(name, got, expected, case.rtol, case.atol)


def resolved(part: Any, problem: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    """A problem with lists in place of references and arrays, vectors in place of thin tables."""
    if isinstance(part, dict):
        lists = {name: resolved(value, problem, arrays) for name, value in part.items()}
        if "score_weight" in lists:
            lists["score_weight"] = np.ravel(lists["score_weight"]).tolist()
        if lists.get("name") == "general" and "bias" in lists:
            lists["bias"] = float(np.ravel(lists["bias"])[0])
        return lists
    if isinstance(part, list):
        return [resolved(value, problem, arrays) for value in part]
    if isinstance(part, np.ndarray):
        return part.tolist()
    if isinstance(part, str) and ".npz:" in part:
        return arrays[part.partition(":")[2]].tolist()
    if part == "query":
        return resolved(problem["query"], problem, arrays)
    return part
