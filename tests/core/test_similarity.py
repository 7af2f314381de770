"""Similarities and activations, one number at a time, and the words for what does not fit."""

from math import erf, exp, hypot, pi, sqrt, tanh
from typing import Any

import numpy as np
import pytest

from attncli.backends import find
from attncli.core.similarity import (
    MLP,
    Additive,
    Cosine,
    Dot,
    Euclidean,
    Gaussian,
    General,
    Layer,
    ScaledDot,
    Similarity,
    activate,
)
from attncli.errors import InputError

RANDOM = np.random.default_rng(17)
Vector = list[float]


def normal(*shape: int) -> Any:
    return RANDOM.normal(size=shape)


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def times(x: Vector, table: Any) -> Vector:
    return [dot(x, column) for column in np.transpose(table).tolist()]


QUERY, KEY = normal(2, 5, 3), normal(2, 7, 3)
W, B = normal(3, 3), 0.3
W_Q, W_K, HIDDEN, V = normal(3, 11), normal(3, 11), normal(11), normal(11)
FIRST, SECOND, LAST = normal(6, 11), normal(11, 2), normal(2)
B_1, B_2 = normal(11), normal(2)


def additive(q: Vector, k: Vector) -> float:
    sums = zip(times(q, W_Q), times(k, W_K), HIDDEN, V, strict=True)
    return sum(v * tanh(a + b + c) for a, b, c, v in sums)


def network(q: Vector, k: Vector) -> float:
    hidden = [tanh(a + b) for a, b in zip(times([*q, *k], FIRST), B_1, strict=True)]
    hidden = [max(a + b, 0.0) for a, b in zip(times(hidden, SECOND), B_2, strict=True)]
    return dot(hidden, LAST.tolist())


CASES: dict[str, tuple[Similarity, Any]] = {
    "dot": (Dot(), dot),
    "scaled-dot": (ScaledDot(), dot),
    "cosine": (Cosine(), lambda q, k: dot(q, k) / hypot(*q) / hypot(*k)),
    "cosine, norms of 2": (
        Cosine(epsilon=2.0),
        lambda q, k: dot(q, k) / max(hypot(*q), 2) / max(hypot(*k), 2),
    ),
    "general": (General(weight=W, bias=B), lambda q, k: dot(times(q, W), k) + B),
    "additive": (
        Additive(query_weight=W_Q, key_weight=W_K, bias=HIDDEN, score_weight=V),
        additive,
    ),
    "additive, bare": (
        Additive(),
        lambda q, k: sum(tanh(a + b) for a, b in zip(q, k, strict=True)),
    ),
    "mlp": (
        MLP(layers=(Layer(FIRST, B_1), Layer(SECOND, B_2, "relu"), Layer(LAST, None, "none"))),
        network,
    ),
    "euclidean": (Euclidean(), lambda q, k: -sum((a - b) ** 2 for a, b in zip(q, k, strict=True))),
    "gaussian": (
        Gaussian(),
        lambda q, k: -sum((a - b) ** 2 for a, b in zip(q, k, strict=True)) / 2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_scores_are_the_formula_pair_by_pair(name: str) -> None:
    similarity, by_hand = CASES[name]
    similarity.check(3, 3)
    scores = similarity.scores(QUERY, KEY, np)
    assert scores.shape == (2, 5, 7)
    for batch, i, j in np.ndindex(scores.shape):
        expected = by_hand(QUERY[batch, i].tolist(), KEY[batch, j].tolist())
        assert scores[batch, i, j] == pytest.approx(expected, rel=1e-12, abs=1e-14)


def test_only_scaled_dot_is_scaled_of_itself_and_only_mlp_holds_many_numbers() -> None:
    for similarity, _ in CASES.values():
        scale = 0.5 if isinstance(similarity, ScaledDot) else None
        assert similarity.auto_scale(4) == scale
        assert similarity.numbers(3) == (22 if isinstance(similarity, MLP) else 1)


@pytest.mark.parametrize("size", [1e300, 1e-300])
def test_the_cosine_of_huge_and_tiny_vectors_is_theirs(size: float) -> None:
    got = Cosine().scores(QUERY * size, KEY / size, np)
    np.testing.assert_allclose(got, Cosine().scores(QUERY, KEY, np), rtol=1e-13)


def test_a_zero_vector_has_the_cosine_0_where_that_is_asked_or_epsilon_says_so() -> None:
    zero = np.zeros((1, 3))
    for cosine in (Cosine(zero_norm="zero"), Cosine(epsilon=0.5)):
        assert not cosine.refuses_zero
        np.testing.assert_array_equal(cosine.scores(zero, KEY[0], np), np.zeros((1, 7)))
    assert Cosine().refuses_zero


POINTS = (-3.0, -1.0, -0.1, 0.0, 0.5, 2.0, 5.0)
ACTIVATIONS = {
    "tanh": tanh,
    "relu": lambda x: max(x, 0.0),
    "gelu": lambda x: x * (1 + erf(x / sqrt(2))) / 2,
    "gelu-tanh": lambda x: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + exp(-x)),
    "none": lambda x: x,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_their_formulas(name: str) -> None:
    got = activate(name, np.array([POINTS]), find("numpy").xp)
    np.testing.assert_allclose(got, [[ACTIVATIONS[name](x) for x in POINTS]], rtol=1e-14)


Misfit = tuple[Similarity, str, str, str]
MISFITS: dict[str, Misfit] = {
    "dot": (Dot(), "key has 4 features, query has 3", "keys of 3 features", "4"),
    "general": (
        General(weight=normal(3, 3)),
        "weight of the similarity has the shape (3 × 3)",
        "(3 × 4)",
        "(3 × 3)",
    ),
    "additive, unequal": (
        Additive(query_weight=normal(3, 11), key_weight=normal(4, 13)),
        "q W_q has 11 hidden features, k W_k has 13",
        "equal numbers",
        "11 and 13",
    ),
    "additive, rows": (
        Additive(query_weight=normal(5, 11)),
        "query_weight of the similarity has the shape (5 × 11)",
        "(3 × 11)",
        "(5 × 11)",
    ),
    "additive, one number": (
        Additive(key_weight=np.array(2.0)),
        "key_weight of the similarity has the shape a single number",
        "(4 × 1)",
        "a single number",
    ),
    "mlp, rows": (
        MLP(layers=(Layer(normal(6, 2)),)),
        "layers[0].weight of the similarity has the shape (6 × 2)",
        "(7 × 2) (the first layer reads [q; k])",
        "(6 × 2)",
    ),
    "mlp, one number": (
        MLP(layers=(Layer(np.array(2.0)),)),
        "layers[0].weight of the similarity has the shape a single number",
        "(7)",
        "a single number",
    ),
    "mlp, a later layer": (
        MLP(layers=(Layer(normal(7, 2)), Layer(normal(3)))),
        "layers[1].weight of the similarity has the shape (3)",
        "(2) (a layer reads what the one before it gives)",
        "(3)",
    ),
    "mlp, bias": (
        MLP(layers=(Layer(normal(7, 2), normal(7)), Layer(normal(2)))),
        "layers[0].bias of the similarity has the shape (7)",
        "(2) (one number an output)",
        "(7)",
    ),
    "mlp, wide end": (
        MLP(layers=(Layer(normal(7, 2)),)),
        "the last layer of the mlp gives 2 numbers",
        "1, the score",
        "2",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_told_with_what_is_there_and_what_should_be(name: str) -> None:
    similarity, sentence, expected, found = MISFITS[name]
    with pytest.raises(InputError) as refused:
        similarity.check(3, 4)
    assert refused.value.what == sentence
    assert refused.value.expected.startswith(expected)
    assert refused.value.found == found


def test_a_layer_takes_one_number_as_its_bias() -> None:
    MLP(layers=(Layer(normal(7, 2), np.array(0.5)), Layer(normal(2, 1), normal(1)))).check(3, 4)
    one = MLP(layers=(Layer(normal(6), np.array(0.5)),))
    two = MLP(layers=(Layer(one.layers[0].weight[:, None], np.array([0.5])),))
    np.testing.assert_array_equal(one.scores(QUERY, KEY, np), two.scores(QUERY, KEY, np))
    assert one.numbers(3) == 2
