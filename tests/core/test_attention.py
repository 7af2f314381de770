"""What problems say of themselves, and corners of masks, heads, similarities and checks."""

from typing import Any

import numpy as np
import pytest

from attncli import attend, load
from attncli.errors import InputError, RefusedError
from tests.core.test_transformer import state_dict

Keys = dict[str, Any]
RANDOM = np.random.default_rng(5)


def normal(*shape: int) -> Any:
    return RANDOM.normal(size=shape)


PLAIN: Keys = {"query": normal(2, 5), "key": normal(7, 5), "value": normal(7, 3)}
BATCH: Keys = {"query": normal(3, 2, 5), "key": normal(3, 7, 5), "value": normal(3, 7, 3)}
HEADS: Keys = {"query": normal(3, 4, 2, 5), "key": normal(3, 2, 7, 5), "value": normal(3, 2, 7, 3)}
PICTURE: Keys = {"kind": "convolution", "kernel": normal(3, 2, 3, 3)}
SIZES = "2 queries × 7 keys"

END = ("dot, scaled", "float64")


def encoder(layers: int, heads: int, *shape: int) -> Keys:
    """An encoder of some layers over inputs of this shape and 6 features."""
    state = {
        f"layers.{n}.{name}": array
        for n in range(layers)
        for name, array in state_dict(RANDOM, 6, 5, decoder=False, bias=True).items()
    }
    return {"kind": "encoder", "heads": heads, "input": normal(*shape, 6), "parameters": state}


FACTS: dict[str, tuple[Keys, tuple[str, ...]]] = {
    "plain": (PLAIN, (SIZES, "d 5", "dot, scaled", "float64")),
    "one": (
        {"query": [[1.0]], "key": [[2.0]], "value": [[3.0]], "scale": "none"},
        ("1 query × 1 key", "d 1", "dot, unscaled", "float64"),
    ),
    "scores": (
        {"scores": normal(2, 7), "normalizer": "sparsemax", "dtype": "float32"},
        (SIZES, "given scores, unscaled", "sparsemax", "float32"),
    ),
    "batch": (BATCH, ("batch 3", SIZES, "d 5", "dot, scaled", "float64")),
    "heads": (
        {**HEADS, "similarity": "euclidean"},
        ("batch 3", "4 heads on 2", SIZES, "d 5", "euclidean, unscaled", "float64"),
    ),
    "batch of pictures": (
        {
            **PICTURE,
            "image": normal(5, 2, 7, 6),
            "layout": "chw",
            "stride": 2,
            "dilation": 2,
            "sharpness": 50,
        },
        (
            "batch 5",
            "7 × 6 pixels",
            "2 → 3 channels",
            "3 × 3 kernel, 9 heads",
            "dilation 2",
            "stride 2",
            "zero padding",
            "α 50",
            "float64",
        ),
    ),
    "a picture": (
        {
            "kind": "convolution",
            "kernel": normal(1, 1, 1, 1),
            "image": normal(1, 2, 3),
            "layout": "chw",
        },
        (
            "2 × 3 pixels",
            "1 → 1 channels",
            "1 × 1 kernel, 1 head",
            "zero padding",
            "α 46",
            "float64",
        ),
    ),
    "a layer": (
        encoder(1, 1, 5),
        ("1 encoder layer", "1 head", "5 vectors", "d 6", "post-norm, relu", *END),
    ),
    "layers": (
        encoder(3, 2, 2, 5) | {"norm": "pre", "activation": "gelu"},
        ("3 encoder layers", "batch 2", "2 heads", "5 vectors", "d 6", "pre-norm, gelu", *END),
    ),
}


@pytest.mark.parametrize("name", FACTS)
def test_facts_name_what_is_there_and_nothing_else(name: str) -> None:
    keys, facts = FACTS[name]
    assert load(**keys).facts() == facts


def test_the_mask_of_queries_zeroes_the_output_of_joined_and_projected_heads() -> None:
    """A table's bias would otherwise stand in the rows that are left out."""
    for lead in ((), (3,)):
        keys: Keys = {
            "query": normal(*lead, 2, 6),
            "key": normal(*lead, 7, 6),
            "value": normal(*lead, 7, 6),
            "heads": 2,
            "projections": {"output": normal(6, 6)},
            "projection_biases": {"output": normal(6)},
        }
        mask = np.ones((*lead, 2), bool)
        mask[..., 0] = False
        if lead:
            mask[1] = [True, False]
        whole = attend(**keys).output
        output = attend(**keys, query_mask=mask).output
        assert np.array_equal(output, np.where(mask[..., None], whole, 0.0))
        assert whole.all()


@pytest.mark.parametrize("steps", [True, False], ids=["steps", "tiles"])
def test_a_query_that_sees_nothing_is_named_where_that_is_an_error(steps: bool) -> None:
    mask = np.ones((2, 7), bool)
    mask[1] = False
    keys: Keys = {**BATCH, "mask": mask, "mask_means": "keep", "masked_row": "error"}
    with pytest.raises(RefusedError, match=r"query 1 \(counted from 0\) may attend to no key"):
        attend(**keys) if steps else attend(**keys, tile=2)
    mask[1, 6] = True
    assert attend(**keys).output.shape == (3, 2, 3)


def test_a_zero_key_matters_to_cosine_only_where_it_is_seen() -> None:
    keys: Keys = {**HEADS, "key": HEADS["key"].copy(), "similarity": "cosine"}
    keys["key"][1, 1, 3] = 0
    with pytest.raises(RefusedError, match="key 3"):
        attend(**keys)
    seen = np.ones((3, 4, 2, 7), bool)
    seen[1, 2:, :, 3] = False  # both queries of both heads that share the key's head
    assert np.isfinite(attend(**keys, mask=seen, mask_means="keep").output).all()
    for head in (2, 3):
        one = seen.copy()
        one[1, head, 1, 3] = True
        with pytest.raises(RefusedError, match="key 3"):
            attend(**keys, mask=one, mask_means="keep")
    others = np.zeros((3, 4, 2, 7), bool)
    others[..., 0] = True
    others[0, :, :, 3] = others[1, :2, :, 3] = others[2, :, :, 3] = True
    assert np.isfinite(attend(**keys, mask=others, mask_means="keep").output).all()


def refused(words: str, **changes: Any) -> None:
    with pytest.raises(InputError, match=words):
        load(**{**PLAIN, **changes})


def test_tables_of_similarities_that_do_not_fit() -> None:
    additive = {"name": "additive", "query_weight": normal(5, 11), "key_weight": normal(5, 11)}
    load(**{**PLAIN, "similarity": {**additive, "score_weight": normal(11)}})
    refused("score_weight", similarity={**additive, "score_weight": normal(5)})
    refused("bias", similarity={**additive, "bias": normal(5)})
    refused(
        "11 hidden features, k W_k has 5",
        similarity={"name": "additive", "query_weight": normal(5, 11)},
    )


def test_a_network_whose_layers_do_not_fit() -> None:
    def network(*layers: Keys) -> Keys:
        return {"name": "mlp", "layers": list(layers)}

    first, last = {"weight": normal(10, 11), "bias": normal(11)}, {"weight": normal(11)}
    assert attend(**{**PLAIN, "similarity": network(first, last)}).output.shape == (2, 3)
    one = {"weight": normal(11, 1), "bias": normal(1)}
    assert attend(**{**PLAIN, "similarity": network(first, one)}).output.shape == (2, 3)
    refused("layers", similarity={"name": "mlp"})
    refused(r"layers\[0\].weight", similarity=network({"weight": normal(9, 11)}, last))
    refused(r"layers\[1\].weight", similarity=network(first, {"weight": normal(10)}))
    refused(r"layers\[0\].bias", similarity=network(first | {"bias": normal(10)}, last))
    refused("last layer of the mlp gives 11 numbers", similarity=network(first))


def test_a_cache_that_does_not_fit() -> None:
    past = {"key": normal(4, 5), "value": normal(4, 3)}
    assert attend(**PLAIN, past=past).output.shape == (2, 3)
    refused("past has no value", past={"key": past["key"]})
    refused("past.key has the shape", past=past | {"key": normal(4, 6)})
    refused("past.value has the shape", past=past | {"value": normal(4, 2)})
    refused("past.value has 3 vectors, past.key has 4", past=past | {"value": normal(3, 3)})


def test_values_that_do_not_fit_given_scores() -> None:
    def misfit(words: str, **keys: Any) -> None:
        with pytest.raises(InputError, match=words):
            load(**keys)

    heads = normal(3, 4, 2, 7)
    misfit("value has 3 heads, scores has 4", scores=heads, value=normal(3, 3, 7, 5))
    misfit("value has 2 heads, scores has 1", scores=normal(2, 7), value=normal(7, 6), heads=2)
    misfit("value has the shape", scores=normal(3, 2, 7), value=normal(2, 7, 5))
    misfit(
        "projections.output has 4 rows",
        scores=normal(2, 7),
        value=normal(7, 5),
        projections={"output": normal(4, 3)},
    )
    grouped = load(scores=heads, value=normal(3, 2, 7, 5))
    assert grouped.facts()[1] == "4 heads on 2"


def test_heads_that_do_not_fit() -> None:
    def misfit(words: str, **changes: Any) -> None:
        with pytest.raises(InputError, match=words):
            load(**{**HEADS, **changes})

    misfit("key has 3 heads, query has 4", key=normal(3, 3, 7, 5), value=normal(3, 3, 7, 3))
    misfit("value has 4 heads, key has 2", value=normal(3, 4, 7, 3))
    misfit("key has the shape", key=normal(2, 2, 7, 5))
    misfit("value has 6 vectors, key has 7", value=normal(3, 2, 6, 3))
    misfit("key has 2 heads, query has 1", query=normal(2, 5))
    assert load(**{**HEADS, "key": normal(1, 1, 7, 5), "value": normal(1, 1, 7, 3)}).facts()[1] == (
        "4 heads on 1"
    )


def test_traits_name_the_projections_that_have_a_bias() -> None:
    eye = [[1.0, 0.0], [0.0, 1.0]]
    problem = load(
        input=eye,
        projections={"query": eye, "key": eye, "value": eye},
        projection_biases={"key": [1.0, 2.0]},
    )
    assert problem.traits()["projected"] == ["query", "key", "value"]
    assert problem.traits()["shifted"] == ["key"]
