"""Titles and formulas."""

import pytest

from attncli.core.normalize import NORMALIZERS
from attncli.core.problem import Notation
from attncli.core.similarity import SIMILARITIES
from attncli.formats import titles
from attncli.formats.titles import Title, describe


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
        ("weights", {"sink": [0.0]}, "rows", Title("Weights", "A = softmax([S, sink])")),
        ("output", {}, "rows", Title("Output", "O = A V")),
        ("output", {}, "columns", Title("Output", "O = V A′")),
        ("layers.0.norm1", {}, "rows", Title("Norm1", "")),
    ],
)
def test_titles(step: str, settings: dict, notation: Notation, expected: Title) -> None:
    assert describe(step, settings, notation) == expected


@pytest.mark.parametrize("notation", ["rows", "columns"])
def test_every_similarity_and_normalizer_has_its_formula(notation: Notation) -> None:
    assert {*SIMILARITIES} <= {*titles.SIMILARITIES[notation]}
    assert {*NORMALIZERS} == {*titles.NORMALIZERS}
    assert {*titles.FORMULAS[notation], "scores"} == {*titles.TITLES}
