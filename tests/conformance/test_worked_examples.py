"""The published worked examples, with the numbers their authors print."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from attncli import attend
from tests import problem_file
from tests.conformance.comparison import assert_close

EXAMPLES: dict[str, dict[str, Any]] = {
    example["name"]: example
    for example in yaml.safe_load(
        (Path(__file__).parent / "worked-examples.yaml").read_text(encoding="utf-8")
    )
}
KEYS = ("query", "key", "value", "input", "projections", "similarity", "scores")


def problem_of(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """An example, and what of it stands in a problem file as it is."""
    example = EXAMPLES[name]
    return example, {key: example[key] for key in KEYS if key in example}


def test_illustrated_self_attention(tmp_path: Path) -> None:
    example, problem = problem_of("illustrated self-attention, 3 inputs of 4")
    trace = attend(problem_file.write(tmp_path, problem))
    for step in ("weights", "output"):
        assert_close(step, trace[step], np.asarray(example[step]), 0, example["tolerance"])
    scaled = attend(problem_file.write(tmp_path, {**problem, "similarity": "scaled-dot"}))
    expected = np.asarray(example["output_row_0_if_scaled"])
    assert_close("output", scaled.output[0], expected, 0, example["tolerance"])


def test_three_queries_against_four_keys(tmp_path: Path) -> None:
    example, problem = problem_of("three queries against four keys")
    trace = attend(problem_file.write(tmp_path, problem))
    assert_close("output", trace.output, example["output"], 0, example["tolerance"])


def test_embeddings_of_a_sentence(tmp_path: Path) -> None:
    example, problem = problem_of("embeddings of a sentence, queries = keys = values")
    problem["labels"] = example["labels"]
    trace = attend(problem_file.write(tmp_path, problem))
    journey = example["labels"].index("journey")
    for step in ("weights", "output"):
        expected = np.asarray(example[f"{step}_row_{journey}"])
        assert_close(step, trace[step][journey], expected, 0, example["tolerance"])


@pytest.mark.parametrize("similarity", ["dot", "additive"])
def test_dot_and_additive_on_two_queries(similarity: str, tmp_path: Path) -> None:
    example, problem = problem_of("dot and additive on two queries")
    trace = attend(problem_file.write(tmp_path, {**problem, "similarity": similarity}))
    for step, expected in example[similarity].items():
        assert_close(step, trace[step], expected, 0, example["tolerance"])


def test_two_scores_through_scale_and_softmax(tmp_path: Path) -> None:
    example, problem = problem_of("two scores through scale and softmax")
    problem |= {"scores": [example["scores"]], "scale": example["d_k"] ** -0.5}
    trace = attend(problem_file.write(tmp_path, problem))
    for step in ("scaled", "weights"):
        assert_close(step, trace[step], [example[step]], 0, example["tolerance"])


def test_additive_attention_over_padded_keys(tmp_path: Path) -> None:
    """Equal keys have equal scores, whatever the queries and the tables are."""
    example = EXAMPLES["additive attention over padded keys"]
    random = np.random.default_rng(8)
    problem = {
        "query": random.normal(size=(2, 1, 20)),
        "key": np.ones((2, 10, 2)),
        "value": np.tile(np.arange(40.0).reshape(1, 10, 4), (2, 1, 1)),
        "similarity": {
            "name": "additive",
            "query_weight": random.normal(size=(20, 8)),
            "key_weight": random.normal(size=(2, 8)),
            "score_weight": random.normal(size=(8, 1)),
        },
        "key_lengths": [2, 6],
    }
    trace = attend(problem_file.write(tmp_path, problem))
    assert_close("output", trace.output[:, 0, :], example["output"], 0, 1e-12)


@pytest.mark.parametrize("normalizer", ["softmax", "sparsemax", "entmax15"])
def test_normalizers_of_one_row(normalizer: str, tmp_path: Path) -> None:
    example, _ = problem_of("softmax, sparsemax and 1.5-entmax of one row")
    problem = {"scores": [example["scores"]], "normalizer": normalizer}
    trace = attend(problem_file.write(tmp_path, problem))
    assert_close("weights", trace["weights"], [example[normalizer]], 0, example["tolerance"])
