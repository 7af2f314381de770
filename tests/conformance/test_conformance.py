"""Other people's attention, through the same problem files and the same reader that users have.

Every case is written as a YAML file beside its NPZ, computed with `attncli.attend`, and held to
the tolerance of its index. Where a source's habit differs from our rules, its problem names the
dialect; a second test spells the dialect's choices out instead and expects the same numbers. The
README of this folder lists these habits.
"""

from pathlib import Path

import pytest

from attncli import attend
from tests.conformance.cases import Case, Problem, cases
from tests.conformance.comparison import assert_close

CASES = list(cases())
SPELLED = [case for case in CASES if case.spelled]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_attend_gives_what_the_source_computed(case: Case, tmp_path: Path) -> None:
    assert_computed(case, case.problem, tmp_path)


@pytest.mark.parametrize("case", SPELLED, ids=lambda case: case.id)
def test_a_dialect_is_short_for_choices_that_a_problem_can_spell_out(
    case: Case, tmp_path: Path
) -> None:
    assert "dialect" not in case.spelled
    assert_computed(case, case.spelled, tmp_path)


def assert_computed(case: Case, problem: Problem, folder: Path) -> None:
    trace = attend(case.write(folder, problem))
    for name, expected in case.expected.items():
        assert_close(name, trace[name], expected, case.rtol, case.atol)
    last = case.expected.get("output")
    if last is not None:
        assert_close("output", trace.output, last, case.rtol, case.atol)


def test_every_case_of_the_indexes_is_here() -> None:
    counts = dict.fromkeys(("onnx", "torch", "similarity", "minilm"), 0)
    for case in CASES:
        counts[case.id.partition("/")[0]] += 1
    assert counts == {"onnx": 117, "torch": 25, "similarity": 38, "minilm": 3}
