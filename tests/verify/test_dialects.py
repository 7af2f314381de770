"""Where libraries disagree: each dialect against the conformance cases of its source."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli import load
from attncli.core.problem import Problem
from attncli.errors import AttncliError
from attncli.files.build import build
from attncli.files.dialects import DIALECTS, Dialect
from attncli.files.problem import keywords
from attncli.files.types import Entry
from attncli.oracle.dialects import Outcome, outcomes
from tests.conformance.cases import Case, cases

OF_DIALECT = [case for case in cases() if case.problem.get("dialect")]


def opening(keys: dict[str, Any]) -> Any:
    def opened(dialect: Dialect | None) -> Problem:
        entries = keywords(keys)
        if dialect is not None:
            entries["dialect"] = Entry(dialect)
        return build(entries, Path())

    return opened


def found(**keys: Any) -> dict[str, Outcome]:
    return {outcome.name: outcome for outcome in outcomes(opening(keys))}


@pytest.mark.parametrize("case", OF_DIALECT, ids=lambda case: case.id)
def test_a_dialect_gives_what_its_source_computed(case: Case, tmp_path: Path) -> None:
    """Without its own `dialect:` line, each case comes out right under that dialect."""
    name = case.problem["dialect"]
    bare = {key: value for key, value in case.problem.items() if key != "dialect"}
    path = str(case.write(tmp_path, bare))
    told = outcomes(lambda dialect: load(path, dialect=dialect and dialect.name))
    outcome = next(outcome for outcome in told if outcome.name == name)
    last = list(case.expected)[-1]
    expected = case.expected.get("output", case.expected[last])
    if "output" in case.expected:
        assert outcome.output is not None
        np.testing.assert_allclose(outcome.output, expected, case.rtol, case.atol)


Q, K = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[1.0, 1.0], [0.0, 1.0], [2.0, 0.0]])
V = np.array([[1.0], [2.0], [5.0]])


def test_true_in_a_mask() -> None:
    told = found(query=Q, key=K, value=V, mask=np.array([[True, False, True]] * 2))
    assert told["torch"].same
    assert not told["torch-mha"].same
    assert told["torch-mha"].because == ("True in a mask hides",)


def test_causal_masks_of_unequal_lengths() -> None:
    told = found(query=Q, key=K, value=V, causal=True)
    assert told[""].refused
    top, bottom = "top left", "bottom right"
    for name, corner in (("torch", top), ("jax", top), ("flash", bottom), ("onnx", top)):
        assert any(corner in because for because in told[name].because), name
    assert told["torch-mha"].refused
    assert told["jax"].same
    assert not told["flash"].same


def test_rows_that_see_nothing() -> None:
    mask = np.array([[True, True, True], [False, False, False]])
    told = found(query=Q, key=K, value=V, mask=mask)
    assert told["torch"].same
    for name in ("jax", "transformers", "d2l"):
        outcome = told[name]
        assert outcome.output is not None
        np.testing.assert_allclose(outcome.output[1], V.mean(axis=0))
        assert outcome.because == (
            "a query that may attend to nothing gives all keys the same weight",
        )


def test_scales_and_finite_masks_of_keras() -> None:
    told = found(query=Q, key=K, value=V, key_lengths=2)
    assert "scores are not scaled" in told["keras"].because
    assert told["keras-mha"].same


def test_where_all_agree() -> None:
    told = found(query=Q, key=K, value=V, similarity="dot")
    assert {name: outcome.same for name, outcome in told.items()} == dict.fromkeys(
        ["", *DIALECTS], True
    )


def test_numbers_of_a_mask() -> None:
    told = found(query=Q, key=K, value=V, mask=np.array([[1.0, 0.0, 1.0]] * 2))
    assert "0 and 1" in told[""].refused
    assert told["torch"].because == ("the numbers of a mask are added to the scores",)
    assert told["keras-mha"].because == ("1 in a numeric mask shows",)


def test_what_all_of_them_refuse_is_raised() -> None:
    """Also where the problem can be read and is refused while it is computed."""
    with pytest.raises(AttncliError, match=r"query 0 .* is a zero vector"):
        found(query=np.zeros((1, 2)), key=K, value=V, similarity="cosine")
