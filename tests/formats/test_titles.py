"""Titles and formulas."""

import pytest

from attncli.core.normalize import NORMALIZERS
from attncli.core.problem import Notation
from attncli.core.similarity import SIMILARITIES
from attncli.formats import titles
from attncli.formats.titles import Title, described

LAYERS = {
    "layers": 12,
    "biased": True,
    "activation": "gelu",
    "projected": ["query", "key", "value", "output"],
}


@pytest.mark.parametrize(
    ("step", "settings", "notation", "expected"),
    [
        ("scores", {"similarity": "dot"}, "rows", Title("Scores", "S = Q Kᵀ")),
        ("scores", {"similarity": "dot"}, "columns", Title("Scores", "A = KᵀQ")),
        ("scores", {"similarity": "given"}, "rows", Title("Scores", "S, given")),
        ("scaled", {"scale": "auto"}, "rows", Title("Scaled", "S / √d_k")),
        ("scaled", {"scale": 0.5}, "columns", Title("Scaled", "A · 0.5")),
        ("scaled", {"scale": [1.0, 2.0]}, "rows", Title("Scaled", "S · the scale of each head")),
        ("capped", {"softcap": 30.0}, "rows", Title("Capped", "c · tanh(S / c), c = 30")),
        ("weights", {}, "rows", Title("Weights", "A = softmax(S)")),
        ("weights", {}, "columns", Title("Weights", "A′ = softmax(A), down each column")),
        (
            "weights",
            {"temperature": 2.0, "normalizer": "softmax"},
            "rows",
            Title("Weights", "A = softmax(S / T), T = 2"),
        ),
        ("weights", {"normalizer": "none"}, "columns", Title("Weights", "A′ = A")),
        (
            "weights",
            {"normalizer": "none", "temperature": 2.0},
            "rows",
            Title("Weights", "A = S / T, T = 2"),
        ),
        (
            "weights",
            {"sink": [0.0], "temperature": 2.0},
            "columns",
            Title("Weights", "A′ = softmax([A, sink] / T), T = 2, down each column"),
        ),
        ("weights", {"sink": [0.0]}, "rows", Title("Weights", "A = softmax([S, sink])")),
        ("output", {}, "rows", Title("Output", "O = A V")),
        ("output", {}, "columns", Title("Output", "O = V A′")),
        ("layers.0.norm1", {}, "rows", Title("Norm1", "")),
        (
            "layers.0.norm1",
            {**LAYERS, "biased": False},
            "rows",
            Title("Norm 1, layer 0", "(x − mean) / √(variance + ε) · weight"),
        ),
        (
            "layers.11.feed_forward.output",
            LAYERS,
            "columns",
            Title("Output, layer 11, feed-forward", "W2 gelu(H) + b2"),
        ),
        (
            "layers.0.self_attention.key",
            LAYERS,
            "rows",
            Title("Keys, layer 0, self-attention", "K = X Wk"),
        ),
        (
            "layers.0.cross_attention.value",
            LAYERS,
            "columns",
            Title("Values, layer 0, cross-attention", "V = Wv M"),
        ),
        ("output", LAYERS, "rows", Title("Output", "what the last step gave")),
        ("output", {"kind": "of somebody else"}, "rows", Title("Output", "")),
    ],
)
def test_titles(step: str, settings: dict, notation: Notation, expected: Title) -> None:
    assert described(step, settings, notation) == expected


@pytest.mark.parametrize("notation", ["rows", "columns"])
def test_every_similarity_and_normalizer_has_its_formula(notation: Notation) -> None:
    assert {*SIMILARITIES} <= {*titles.SIMILARITIES[notation]}
    assert {*NORMALIZERS} == {*titles.NORMALIZERS}
    found = {step for formulas in titles.FORMULAS.values() for step in formulas[notation]}
    assert found == {*titles.TITLES}


@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_every_normalizer_shows_its_temperature(normalizer: str) -> None:
    settings = {"normalizer": normalizer, "temperature": 2.0}
    assert "S / T" in described("weights", settings, "rows").formula


def test_every_step_of_the_layers_has_its_title_and_formula() -> None:
    known = {*titles.LAYERS["rows"]}
    assert known - {"feed_forward"} | {"hidden"} == {*titles.LAYER_TITLES}
    assert {*titles.LAYERS["columns"]} <= known


def test_formulas_say_the_scale_and_the_sink_that_are_given() -> None:
    from attncli import attend

    vectors = {"query": [[1.0, 0.0]], "key": [[1.0, 0.0], [0.0, 1.0]]}
    trace = attend(**vectors, scale=5, sink=1)
    formulas = {step.name: trace.title(step).formula for step in trace.steps}
    assert formulas["scaled"] == "S · 5"
    assert formulas["weights"] == "A = softmax([S, sink])"
    assert formulas["lse"] == "log (Σ exp(S) + exp(sink))"
    assert attend(**vectors).title(attend(**vectors).step("scaled")).formula == "S / √d_k"
