"""Random problems against the plain loops of the oracle, in float64, every step of them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncli.errors import RefusedError
from tests import oracle
from tests.judging import assert_same, judge, solved
from tests.random_problems import (
    FEATURES,
    NORMALIZER_NAMES,
    SIMILARITY_NAMES,
    Random,
    Sizes,
    generators,
    problems,
    sizes,
    vectors,
)


@pytest.mark.parametrize("normalizer", NORMALIZER_NAMES)
@pytest.mark.parametrize("similarity", SIMILARITY_NAMES)
@given(draws=st.data())
@settings(max_examples=4, deadline=None)
def test_every_similarity_with_every_normalizer(
    similarity: str, normalizer: str, draws: st.DataObject
) -> None:
    judge(draws.draw(problems(similarity, normalizer, features=())))


@pytest.mark.parametrize("feature", FEATURES)
@given(draws=st.data())
@settings(max_examples=20, deadline=None)
def test_every_feature(feature: str, draws: st.DataObject) -> None:
    judge(draws.draw(problems("scaled-dot", "softmax", features=(feature,))))


@given(problem=problems())
@settings(max_examples=600, deadline=None)
def test_features_together(problem: dict[str, Any]) -> None:
    judge(problem)


@pytest.mark.parametrize("masked_row", ["zero", "nan", "uniform"])
@given(s=sizes(), random=generators())
@settings(max_examples=8, deadline=None)
def test_a_query_that_may_attend_to_nothing(masked_row: str, s: Sizes, random: Random) -> None:
    mask = random.random((s.n_queries, s.n_keys)) < 0.7
    mask[random.integers(s.n_queries)] = False
    judge({**vectors(s, random), "mask": mask, "masked_row": masked_row})


@given(s=sizes(), random=generators(), normalizer=st.sampled_from(NORMALIZER_NAMES))
@settings(max_examples=30, deadline=None)
def test_given_scores(s: Sizes, random: Random, normalizer: str) -> None:
    """Scores instead of query and key are not scaled unless a scale is given."""
    problem = {
        "scores": random.normal(size=(*s.lead, s.n_queries, s.n_keys)),
        "value": vectors(s, random)["value"],
        "normalizer": normalizer,
    }
    if s.heads:
        problem["value"] = np.repeat(problem["value"], s.heads // s.kv_heads, axis=1)
    judge(problem)
    judge({**problem, "scale": 0.3, "softcap": 2.0, "mask": random.random(s.n_keys) < 0.7})


@given(s=sizes(), random=generators())
@settings(max_examples=10, deadline=None)
def test_without_values_the_weights_are_the_result(s: Sizes, random: Random) -> None:
    problem = vectors(s, random)
    del problem["value"]
    trace = judge(problem)
    assert_same("output", trace.output, trace["weights"], 0, 0)


@pytest.mark.parametrize("factor", [1e-200, 1e-150, 1e150, 1e200])
@given(s=sizes(), random=generators())
@settings(max_examples=5, deadline=None)
def test_cosine_of_huge_and_tiny_vectors(factor: float, s: Sizes, random: Random) -> None:
    """A cosine knows no lengths: neither the squares nor the norms may overflow."""
    problem = vectors(s, random)
    problem |= {"similarity": "cosine", "key": problem["key"] * factor}
    judge(problem)
    judge({**problem, "query": problem["query"] * factor})


@pytest.mark.parametrize("hidden", ["mask", "mask of two axes", "float mask", "key_mask", "causal"])
@given(s=sizes(), random=generators())
@settings(max_examples=5, deadline=None)
def test_a_zero_key_that_nobody_looks_at_needs_no_cosine(
    hidden: str, s: Sizes, random: Random
) -> None:
    """The last key is zero: refused when it takes part, unless its norm has a meaning."""
    problem = {**vectors(s, random), "similarity": "cosine"}
    problem["key"][..., -1, :] = 0
    with pytest.raises(RefusedError, match="zero vector"):
        solved(problem)
    real = np.arange(s.n_keys) < s.n_keys - 1
    table = np.tile(real, (s.n_queries, 1))
    problem |= {
        "mask": {"mask": real},
        "mask of two axes": {"mask": table},
        "float mask": {"mask": np.where(table, random.normal(size=table.shape), -np.inf)},
        "key_mask": {"key_mask": np.tile(real, (s.batch, 1))},
        "causal": {"causal": True, "align": -s.n_queries + s.n_keys - 1},
    }[hidden]
    judged = judge({**problem, "zero_norm": "zero"})
    assert_same("output", solved(problem).output, judged.output)


@given(s=sizes(), random=generators(), epsilon=st.sampled_from([1e-8, 0.5, 4.0]))
@settings(max_examples=12, deadline=None)
def test_epsilon_clamps_the_norms_of_a_cosine(s: Sizes, random: Random, epsilon: float) -> None:
    judge({**vectors(s, random), "similarity": {"name": "cosine", "epsilon": epsilon}})


@pytest.mark.parametrize(
    ("n_heads", "slopes"),
    [
        (1, [2**-8]),
        (2, [2**-4, 2**-8]),
        (3, [2**-4, 2**-8, 2**-2]),
        (6, [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3]),
        (8, [2**-1, 2**-2, 2**-3, 2**-4, 2**-5, 2**-6, 2**-7, 2**-8]),
    ],
)
def test_alibi_slopes_of_the_paper(n_heads: int, slopes: list[float]) -> None:
    """Press et al. 2022, also for head counts that are no power of two."""
    assert oracle.alibi_slopes(n_heads) == slopes
    random = np.random.default_rng(n_heads)
    s = Sizes(1, n_heads, n_heads, 5, 5, 11, 13)
    trace = judge({**vectors(s, random), "bias": {"alibi": True}})
    added = trace["biased"] - trace["scaled"]
    assert_same("slopes", added[0, :, 0, 1], np.negative(slopes))


@pytest.mark.parametrize("normalizer", ["softmax", "sparsemax", "entmax15"])
@given(random=generators(), spread=st.sampled_from([1e-3, 1.0, 30.0, 1e4]))
@settings(max_examples=40, deadline=None)
def test_weights_sum_to_one_and_are_never_negative(
    normalizer: str, random: Random, spread: float
) -> None:
    scores = random.normal(size=(5, 17)) * spread
    trace = judge({"scores": scores, "normalizer": normalizer})
    assert (trace["weights"] >= 0).all()
    assert_same("sums", trace["weights"].sum(axis=-1), np.ones(5))


@pytest.mark.parametrize("normalizer", NORMALIZER_NAMES)
@pytest.mark.parametrize("spread", [1e-300, 1e3, 1e15, 1e300])
def test_scores_of_every_size(spread: float, normalizer: str) -> None:
    """No overflow and no cancellation, ties, one key, and rows of −∞ among them."""
    random = np.random.default_rng(3)
    value = random.normal(size=(5, 3))
    judge({"scores": random.normal(size=(7, 5)) * spread, "normalizer": normalizer, "value": value})
    judge({"scores": np.full((7, 5), spread), "normalizer": normalizer, "value": value})
    judge({"scores": [[spread]], "normalizer": normalizer, "value": [[2.0, 3.0]]})
    partly = np.array([[0.0, -np.inf, spread, 1.0, -np.inf], [-np.inf] * 5])
    judge({"scores": partly, "normalizer": normalizer, "value": value})


@pytest.mark.parametrize("similarity", ["euclidean", "gaussian"])
@given(s=sizes(), random=generators(), offset=st.sampled_from([1e3, 1e8]))
@settings(max_examples=5, deadline=None)
def test_distances_far_from_the_origin(
    similarity: str, s: Sizes, random: Random, offset: float
) -> None:
    """‖q‖² + ‖k‖² − 2 q·k would cancel; the differences do not."""
    problem = {**vectors(s, random), "similarity": similarity}
    judge({**problem, "query": problem["query"] + offset, "key": problem["key"] + offset})


@given(s=sizes(), random=generators())
@settings(max_examples=10, deadline=None)
def test_float16_files_are_computed_in_float32(s: Sizes, random: Random) -> None:
    half = {name: table.astype(np.float16) for name, table in vectors(s, random).items()}
    single = {name: table.astype(np.float32) for name, table in half.items()}
    trace = solved(half)
    assert trace.output.dtype == np.float32
    assert_same("output", trace.output, solved(single).output, 0, 0)


@given(s=sizes(), random=generators())
@settings(max_examples=15, deadline=None)
def test_float32_files_are_computed_in_float32(s: Sizes, random: Random) -> None:
    problem = {**vectors(s, random), "mask": random.random((s.n_queries, s.n_keys)) < 0.7}
    exact = solved(problem)
    narrow = {key: problem[key].astype(np.float32) for key in ("query", "key", "value")}
    trace = solved({**problem, **narrow})
    assert {step.value.dtype for step in trace.steps} == {np.dtype(np.float32)}
    assert_same("output", trace.output, exact.output, 1e-4, 1e-5)
    wide = solved({**problem, **narrow, "dtype": "float64"})
    assert wide.output.dtype == np.float64


def test_every_similarity_and_normalizer_has_its_loop_here() -> None:
    from attncli.core.normalize import NORMALIZERS
    from attncli.core.similarity import SIMILARITIES

    assert {*NORMALIZER_NAMES} == {*NORMALIZERS}
    assert {name.partition("-bare")[0] for name in SIMILARITY_NAMES} == {*SIMILARITIES}
