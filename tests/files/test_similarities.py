"""The parameters of a similarity: which it has, how they lie, and what is refused."""

from typing import Any

import numpy as np
import pytest

from attncli import load
from attncli.errors import InputError

PAIR = {"query": np.ones((2, 3)), "key": np.ones((4, 3))}
MLP = [{"weight": np.ones((6, 5)), "bias": np.ones(5)}, {"weight": np.ones(5)}]


def similarity(name: str | None, **parameters: Any) -> Any:
    given = {"name": name, **parameters} if name else parameters
    return load(**PAIR, similarity=given).similarity


def refusal(name: str | None, **parameters: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        similarity(name, **parameters)
    return caught.value


def test_layers_have_an_activation_of_their_own() -> None:
    first, second = similarity("mlp", layers=MLP).layers
    assert (first.activation, second.activation) == ("tanh", "tanh")
    assert (first.weight.shape, first.bias.tolist()) == ((6, 5), [1] * 5)
    assert (second.weight.shape, second.bias) == ((5,), None)
    other = similarity("mlp", layers=[MLP[0] | {"activation": "relu"}, MLP[1]]).layers
    assert [layer.activation for layer in other] == ["relu", "tanh"]


def test_a_layer_is_a_table_or_a_vector() -> None:
    for weight in (3.0, np.ones((1, 6, 5))):
        error = refusal("mlp", layers=[MLP[0], {"weight": weight}])
        n_axes = np.ndim(weight)
        assert (error.what, error.found) == (f"layers[1].weight has {n_axes} axes", str(n_axes))
    assert (
        refusal("mlp", layers=[MLP[0], {"bias": 1.0}]).what == "layers[1] of the mlp has no weight"
    )


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_bias_of_general_is_one_number_however_it_lies(shape: tuple[int, ...]) -> None:
    made = similarity("general", weight=np.ones((3, 3)), bias=np.full(shape, 2.0))
    assert np.ndim(made.bias) == 0
    assert made.bias == 2


def test_more_than_one_number_is_no_bias_of_general() -> None:
    for bias, shown in ((np.ones(2), "(2)"), (np.ones((2, 2)), "(2 × 2)")):
        error = refusal("general", weight=np.ones((3, 3)), bias=bias)
        assert error.what == f"bias of the similarity has the shape {shown}"
        assert (error.expected, error.found) == ("one number", shown)


@pytest.mark.parametrize("shape", [(5,), (1, 5), (5, 1)])
def test_a_vector_may_be_a_row_or_a_column(shape: tuple[int, ...]) -> None:
    tables = {"query_weight": np.ones((3, 5)), "key_weight": np.ones((3, 5))}
    vector = np.arange(5.0)
    made = similarity("additive", **tables, score_weight=vector.reshape(shape))
    np.testing.assert_array_equal(made.score_weight, vector)


def test_other_parameters_are_refused() -> None:
    error = refusal("dot", weight=np.eye(3))
    assert (error.what, error.expected) == ("dot has no parameter weight", "no parameters")
    error = refusal("general", epsilon=1.0)
    assert (error.what, error.expected) == ("general has no parameter epsilon", "bias, weight")
    assert refusal(None, weight=np.eye(3)).what == "similarity has parameters, but no name"
    assert similarity("cosine", epsilon=0.5).epsilon == 0.5
    assert similarity("cosine").zero_norm == "error"
    zero = load(**PAIR, similarity="cosine", zero_norm="zero").similarity
    assert zero.zero_norm == "zero"
