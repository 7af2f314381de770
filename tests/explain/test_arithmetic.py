"""The arithmetic of cells, read by an independent evaluator: what is printed was computed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncli.api import load
from attncli.core.normalize import NORMALIZERS
from attncli.core.similarity import SIMILARITIES
from attncli.solve import solve
from attncli.worked import Working
from tests.explain.evaluate import holds

SAMPLES = Path(__file__).parent.parent.parent / "samples"
EVERY_CELL = ("self-attention", "two-heads", "encoder")
"""Samples of which every cell is worked; of the others, up to `SOME` cells a step."""
SOME = 12


def hold(working: Working, cells_of_a_step: int | None) -> int:
    """Check cells of every step against the evaluator; how many had arithmetic."""
    count = 0
    for name, step in working.steps.items():
        places = list(np.ndindex(*step.value.shape))
        if cells_of_a_step is not None:
            places = places[:: max(1, len(places) // cells_of_a_step)]
        for place in places:
            line = working.line(name, place)
            if not line:
                continue
            count += 1
            for part in line.split("; "):
                is_aside = part.startswith(("mean = ", "variance = ", "largest = "))
                text = part.partition(" = ")[2] if is_aside else part
                if is_aside:
                    shown = float(text.replace("−", "-").split()[-1])
                    holds(text, shown)
                else:
                    holds(text, working.value(name, place))
    return count


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_arithmetic_of_samples_is_right(path: Path) -> None:
    working = Working(load(path))
    assert hold(working, None if path.stem in EVERY_CELL else SOME) > 0


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_numbers_are_those_of_attend(path: Path) -> None:
    problem = load(path)
    working = Working(problem)
    for step in solve(problem, notation="rows", tile="none"):
        worked = working.steps[step.name].value
        assert np.array_equal(getattr(worked, "value", worked), step.value, equal_nan=True)


small = st.integers(-4, 4).map(float) | st.floats(-3, 3).map(lambda x: round(x, 2))


def table(n: int, d: int) -> st.SearchStrategy[list[list[float]]]:
    return st.lists(st.lists(small, min_size=d, max_size=d), min_size=n, max_size=n)


PARAMETERS = {
    "general": {"weight": [[1.0, 0.5, 0.0], [0.0, 1.0, -1.0], [2.0, 0.0, 1.0]]},
    "additive": {"score_weight": [1.0, -0.5, 2.0]},
    "mlp": {"layers": [{"weight": [[0.5, -1.0]] * 6}, {"weight": [[1.0], [2.0]]}]},
}


@settings(max_examples=25, deadline=None)
@given(
    query=table(2, 3),
    key=table(5, 3),
    value=table(5, 2),
    similarity=st.sampled_from(sorted(SIMILARITIES)),
    normalizer=st.sampled_from(sorted(NORMALIZERS)),
    causal=st.booleans(),
    softcap=st.none() | st.just(2.5),
    temperature=st.sampled_from([1.0, 0.5, 3.0]),
)
def test_any_attention_is_worked_rightly(
    query: list[list[float]],
    key: list[list[float]],
    value: list[list[float]],
    similarity: str,
    normalizer: str,
    causal: bool,
    softcap: float | None,
    temperature: float,
) -> None:
    more = {} if softcap is None else {"softcap": softcap}
    named = {"name": similarity, **PARAMETERS.get(similarity, {})}
    if similarity == "cosine":
        more["zero_norm"] = "zero"
    problem = load(
        query=query,
        key=key,
        value=value,
        similarity=named,
        normalizer=normalizer,
        causal=causal,
        align="bottom-right",
        temperature=temperature,
        **more,
    )
    assert hold(Working(problem), None) > 0


def test_lines_are_written_as_on_paper() -> None:
    problem = load(
        query=[[1.0, 2.0]],
        key=[[2.0, 0.0], [0.0, -1.0]],
        value=[[10.0], [20.0]],
        similarity="cosine",
    )
    working = Working(problem)
    assert working.line("scores", (0, 0)) == "(1·2 + 2·0) / (√(1² + 2²)·√(2² + 0²)) = 0.447"
    assert working.line("query", (0, 0)) == ""
    assert working.sources("scores", (0, 1)) == (
        ("query", (0, 0)),
        ("key", (1, 0)),
        ("query", (0, 1)),
        ("key", (1, 1)),
    )
    working = Working(load(query=[[1.0, 2.0]], key=[[2.0, 0.0], [0.0, -1.0]], value=[[3], [4]]))
    assert working.line("scores", (0, 1)) == "1·0 + 2·(−1) = −2"
    assert working.line("scaled", (0, 1)) == "−2/√2 = −1.414"
    assert working.line("weights", (0, 0)) == "e^1.414 / (e^1.414 + e^−1.414) ≈ 0.944"
    assert working.line("lse", (0,)) == "ln(e^1.414 + e^−1.414) ≈ 1.472"


@pytest.mark.parametrize("similarity", ["euclidean", "additive"])
def test_a_sum_of_hundreds_of_features_can_be_told(similarity: str) -> None:
    """The recipe adds one feature at a time."""
    query, key = np.ones((1, 700)), np.full((1, 700), 2.0)
    working = Working(load(query=query, key=key, value=[[1.0]], similarity=similarity))
    assert working.term("scores", (0, 0)).value == pytest.approx(working.value("scores", (0, 0)))
    assert len(working.sources("scores", (0, 0))) == 1400


def test_huge_scores_keep_their_shift() -> None:
    working = Working(load(scores=[[1000.0, 999.0]], value=[[1.0], [2.0]]))
    least, most = "e^(999 − max(1000, 999))", "e^(1000 − max(1000, 999))"
    assert working.line("weights", (0, 1)) == f"{least} / ({most} + {least}) = 0.269"


def test_masked_keys_are_left_out_of_the_sum() -> None:
    problem = load(query=[[1], [2]], key=[[1], [3]], value=[[1], [2]], causal=True)
    working = Working(problem)
    assert working.line("weights", (0, 0)) == "e^1/e^1 = 1"
    assert working.line("weights", (0, 1)) == "0/e^1 = 0"
