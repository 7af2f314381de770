"""torch's MultiheadAttention and Transformer: outputs, and every value inside that torch shows."""

from pathlib import Path

import pytest

from attncli import attend
from tests.conformance.cases import Case, Entry, Problem, entries
from tests.conformance.comparison import assert_close
from tests.conformance.layers import cases

CASES = list(cases())
SPELLED = [case for case in CASES if case.spelled]
AVERAGED = [
    entry
    for entry in entries("torch_layers")
    if entry.attributes.get("average_attn_weights") and "out.attn_weights" in entry
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_step_is_what_torch_computed(case: Case, tmp_path: Path) -> None:
    assert_computed(case, case.problem, tmp_path)


@pytest.mark.parametrize("case", SPELLED, ids=lambda case: case.id)
def test_the_dialect_is_short_for_what_a_problem_can_spell_out(case: Case, tmp_path: Path) -> None:
    assert "dialect" not in case.spelled
    assert_computed(case, case.spelled, tmp_path)


def assert_computed(case: Case, problem: Problem, folder: Path) -> None:
    trace = attend(case.write(folder, problem))
    for name, expected in case.expected.items():
        ours = trace[name]
        if name in ("key", "value"):  # torch's hooks stand before what it appends
            ours = ours[..., : expected.shape[-2], :]
        assert_close(name, ours, expected, case.rtol, case.atol)


@pytest.mark.parametrize("entry", AVERAGED, ids=lambda entry: entry.id)
def test_averaged_weights_are_the_mean_over_the_heads(entry: Entry, tmp_path: Path) -> None:
    case = next(case for case in CASES if case.id == entry.id)
    weights = attend(case.write(tmp_path, case.problem))["weights"]
    assert_close("mean", weights.mean(-3), entry["out.attn_weights"], case.rtol, case.atol)


def test_where_nothing_is_padded_the_fast_path_of_torch_gives_the_same(tmp_path: Path) -> None:
    (entry,) = (e for e in entries("torch_layers") if "mid.output_fast_path" in e)
    case = next(case for case in CASES if case.id == entry.id)
    output = attend(case.write(tmp_path, case.problem)).output
    real = ~entry["in.src_key_padding_mask"]
    theirs = entry["mid.output_fast_path"]
    assert_close("output", output[real], theirs[real], case.rtol, case.atol)


def test_every_case_of_the_index_is_here() -> None:
    kinds = [case.problem.get("kind", "attention") for case in CASES]
    counts = {kind: kinds.count(kind) for kind in sorted({*kinds})}
    assert counts == {"attention": 23, "decoder": 10, "encoder": 16}
    assert len(AVERAGED) == 7
