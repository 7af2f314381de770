"""Convolutions as attention (Cordonnier et al. 2020): held to torch's conv2d and to NumPy's heads.

Images and results of the source lie (B C H W); our steps (… h w c).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli import attend
from attncli.core.convolution import Convolution
from attncli.core.step import result, run
from tests.conformance.cases import Case, Entry, Problem, entries
from tests.conformance.comparison import assert_close

ENTRIES = list(entries("cnn_attention"))
WITH_WEIGHTS = [entry for entry in ENTRIES if "mid.attention_probs_alpha1" in entry]
every = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)


def case(entry: Entry, **changes: Any) -> Case:
    """The case as a problem file that a user would write."""
    attributes = entry.attributes
    problem: Problem = {
        "kind": "convolution",
        "layout": "chw",
        **entry.some(image="in.X", kernel="param.conv_weight", kernel_bias="param.conv_bias"),
        **{key: attributes[key] for key in ("padding", "dilation", "stride")},
        "sharpness": attributes["alpha"],
    }
    results = {"convolution": "out.conv", "attention": "mid.attention_output"}
    expected = {step: channels_last(entry[name]) for step, name in results.items()}
    return entry.case(problem | changes, expected)


def channels_last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1)


def solved(case: Case, folder: Path) -> Any:
    return attend(case.write(folder, case.problem))


def recipe(entry: Entry, folder: Path) -> Convolution:
    """The problem in double precision, for what is no step."""
    problem = solved(case(entry, dtype="float64"), folder).problem
    assert isinstance(problem, Convolution)
    return problem


@every
def test_both_results_are_what_the_source_computed(entry: Entry, tmp_path: Path) -> None:
    wanted = case(entry)
    trace = solved(wanted, tmp_path)
    for name, expected in wanted.expected.items():
        assert_close(name, trace[name], expected, wanted.rtol, wanted.atol)
    assert_close("output", trace.output, trace["attention"], 0, 0)
    attention, convolution = trace["attention"], wanted.expected["convolution"]
    assert_close("attention as convolution", attention, convolution, wanted.rtol, wanted.atol)


@every
def test_a_blunt_attention_errs_like_the_source_s(entry: Entry, tmp_path: Path) -> None:
    wanted = case(entry, sharpness=1, dtype="float64")
    attention = solved(wanted, tmp_path)["attention"]
    expected = channels_last(entry["mid.attention_output_alpha1"])
    assert_close("attention", attention, expected, wanted.rtol, wanted.atol)


@every
def test_the_difference_falls_as_the_source_s(entry: Entry, tmp_path: Path) -> None:
    problem = recipe(entry, tmp_path)
    convolution = problem.direct(np)
    theirs = entry.attributes["largest_difference"]
    ours = [np.abs(problem.attended(a, np) - convolution).max() for a in theirs["alpha"]]
    np.testing.assert_allclose(ours, theirs["float64"], rtol=2e-3, atol=2e-14)


@every
def test_the_heads_have_the_source_s_centres_and_tables(entry: Entry, tmp_path: Path) -> None:
    problem = recipe(entry, tmp_path)
    projections = problem.attention(1.0, np).projections
    assert projections.query is not None
    assert projections.output is not None
    np.testing.assert_array_equal(projections.query.bias, entry["param.centers"])
    np.testing.assert_array_equal(projections.output.weight, entry["param.w_out"])


@pytest.mark.parametrize("entry", WITH_WEIGHTS, ids=lambda entry: entry.id)
def test_the_weights_are_the_source_s_without_the_rows_that_are_cropped(
    entry: Entry, tmp_path: Path
) -> None:
    steps = run(recipe(entry, tmp_path).attention(1.0, np).steps(np))
    weights = next(step.value for step in steps if step.name == "weights")
    top, left, height, width = entry.attributes["crop"]
    stride = entry.attributes["stride"]
    theirs = entry["mid.attention_probs_alpha1"]
    square = theirs.reshape(len(theirs), *entry.attributes["token_grid"], -1)
    cropped = square[:, top : top + height : stride, left : left + width : stride]
    expected = cropped.reshape(*weights.shape)
    assert_close("weights", weights, expected, 1e-10, 1e-12)


@every
def test_dot_products_with_places_are_the_same_attention(entry: Entry, tmp_path: Path) -> None:
    """The source's other form: plain dot products, softmax, values, table."""
    problem = recipe(entry, tmp_path)
    attention = problem.attention(entry.attributes["alpha"], np)
    scores = entry["mid.pos_query"] @ entry["mid.pos_key"].T
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    heads = weights / weights.sum(-1, keepdims=True) @ entry["in.tokens"][:, None].astype(float)
    joined = np.moveaxis(heads, 1, 2).reshape(*entry["in.tokens"].shape[:2], -1)
    theirs = joined @ entry["param.w_out"].astype(float) + entry["param.conv_bias"]
    top, left, height, width = entry.attributes["crop"]
    stride = entry.attributes["stride"]
    square = theirs.reshape(len(theirs), *entry.attributes["token_grid"], -1)
    cropped = square[:, top : top + height : stride, left : left + width : stride]
    ours = result(attention.steps(np))
    assert_close("output", ours, cropped.reshape(ours.shape), 1e-10, 1e-12)


def test_every_case_of_the_index_is_here() -> None:
    assert (len(ENTRIES), len(WITH_WEIGHTS)) == (10, 7)
