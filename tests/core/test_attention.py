"""What problems say of themselves, and corners of masks, heads, similarities and checks."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from attncli import attend, load
from attncli.core.attention import Attention
from attncli.core.heads import Linear, Projections
from attncli.core.masking import Addition, Lengths, Table
from attncli.core.step import result, run
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


def zero_at(shape: tuple[int, ...], *index: int) -> Any:
    vectors = normal(*shape)
    vectors[index] = 0
    return vectors


def test_a_zero_query_is_named_by_its_place() -> None:
    with pytest.raises(RefusedError, match="query 1 "):
        attend(query=zero_at((3, 2, 5), 2, 1), key=normal(3, 7, 5), similarity="cosine")


@pytest.mark.parametrize(
    ("key", "leading"),
    [
        ((7, 5), (3,)),  # one key of a whole batch
        ((3, 1, 7, 5), (3, 4)),  # one of all heads
        ((3, 4, 7, 5), (3, 4)),  # one a head
        ((1, 2, 7, 5), (3, 4)),  # one of two heads, in each batch entry
        ((3, 1, 2, 7, 5), (3, 11, 4)),  # the same with two batch axes
    ],
)
def test_a_zero_key_is_looked_at_where_any_query_that_it_serves_may_see_it(
    key: tuple[int, ...], leading: tuple[int, ...]
) -> None:
    last = tuple(size - 1 for size in key[:-2])
    keys: Keys = {
        "query": normal(*leading, 2, 5),
        "key": zero_at(key, *last, 3),
        "value": normal(*(key[:-1] if len(leading) > 1 else (7,)), 3),
        "similarity": "cosine",
    }
    hidden = np.ones((*leading, 2, 7), bool)
    hidden[..., 3] = False
    assert np.isfinite(attend(**keys, mask=hidden, mask_means="keep").output).all()
    seen = hidden.copy()
    seen[(*(size - 1 for size in leading), 1, 3)] = True  # of the last entry and head
    with pytest.raises(RefusedError, match="key 3 "):
        attend(**keys, mask=seen, mask_means="keep")
    with pytest.raises(RefusedError, match="key 3 "):
        attend(**keys)


@pytest.mark.parametrize("shape", [(2, 7), (2, 1), (1, 7), (3, 2, 7), (3, 2, 1), (3, 1, 1)])
def test_added_keys_are_seen_beside_whatever_a_mask_says_of_the_others(
    shape: tuple[int, ...],
) -> None:
    visible = RANDOM.random(shape) < 0.5
    visible[..., 0, 0] = False
    attention = Attention(**BATCH, masks=(Table(visible),), zero_key=True)
    whole = np.concatenate([np.broadcast_to(visible, (3, 2, 7)), np.ones((3, 2, 1), bool)], axis=-1)
    for first, stop in combinations(range(9), 2):
        seen = attention.seen(range(2), range(first, stop), np)
        part = whole[..., first:stop]
        assert np.array_equal(np.broadcast_to(seen, part.shape), part)
    none = Attention(**PLAIN, masks=(Lengths(0),), zero_key=True)
    assert none.seen(range(2), range(7), np) is False
    assert none.seen(range(2), range(7, 8), np) is True
    assert np.array_equal(none.seen(range(2), range(6, 8), np), [[False, True]])
    assert none.reach(range(2), np) == range(8)
    assert Attention(**PLAIN, masks=(Lengths(3),)).reach(range(2), np) == range(3)
    assert Attention(**PLAIN, masks=(Lengths(3),), masked_by=-5.0).reach(range(2), np) == range(7)


def test_what_is_added_to_scores_leaves_added_keys_alone() -> None:
    for table in (normal(2, 7), normal(2, 1), normal(1, 1)):
        biased = Attention(**PLAIN, biases=(Addition(table),), zero_key=True)
        steps = {step.name: step.value for step in run(biased.steps(np))}
        added = steps["biased"] - steps["scores"]
        expected = np.broadcast_to(table, (2, 7))
        np.testing.assert_allclose(added[:, :7], expected, rtol=0, atol=1e-14)
        assert not added[:, 7].any()


def test_a_mask_of_queries_goes_with_heads_that_are_joined() -> None:
    """Of a query mask with a head axis and no batch, one row a query is left at the end."""
    keys: Keys = {name: normal(n, 6) for name, n in (("query", 2), ("key", 7), ("value", 7))}
    table = Projections(output=Linear(normal(6, 6), normal(6)))
    mask = np.array([True, False])
    for shaped in (mask, mask[None, :]):
        attention = Attention(**keys, heads=3, projections=table, query_mask=shaped)
        output = result(attention.steps(np))
        assert output.shape == (2, 6)
        assert output[0].all()
        assert not output[1].any()


def test_rows_that_see_nothing_get_what_is_asked() -> None:
    table = np.ones((2, 7), bool)
    table[1] = False
    for masked_row, fill in (("zero", 0.0), ("nan", np.nan), ("uniform", 1 / 7)):
        attention = Attention(**PLAIN, masks=(Table(table),), masked_row=masked_row)
        with np.errstate(divide="ignore"):  # the logarithm of a sum of nothing
            steps = {step.name: step.value for step in run(attention.steps(np))}
        np.testing.assert_allclose(steps["weights"][1], np.full(7, fill))
        assert steps["weights"][0].sum() == pytest.approx(1)
        assert attention.leaves_out
    assert not Attention(**PLAIN).leaves_out
    assert not Attention(**PLAIN, masks=(Table(table),), masked_by=-1e9).leaves_out
    assert Attention(scores=normal(2, 7)).leaves_out


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
    with pytest.raises(InputError) as caught:
        load(**{**HEADS, "value": normal(3, 4, 7, 3)})
    assert caught.value.found == "4 and 2"
    with pytest.raises(InputError, match="value has 6 vectors, key has 7") as caught:
        load(**{**HEADS, "value": normal(3, 2, 6, 3)})
    assert caught.value.expected.startswith("7: ")
    assert caught.value.found == "6"
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


def test_the_place_of_a_zero_vector_is_that_among_its_vectors() -> None:
    query = np.ones((2, 3, 5, 2))
    query[1, 2, 4] = 0
    key = np.ones((2, 3, 7, 2))
    with pytest.raises(RefusedError, match="query 4 "):
        attend(query=query, key=key, value=key, similarity="cosine")
    key[0, 1, 6] = 0
    with pytest.raises(RefusedError, match="key 6 "):
        attend(query=np.ones_like(query), key=key, value=key, similarity="cosine")


def test_a_zero_key_is_asked_for_where_some_query_head_looks_at_it() -> None:
    query, key = np.ones((2, 6, 5, 2)), np.ones((2, 3, 7, 2))
    key[1, 2, 3] = 0
    seen = np.ones((2, 6, 5, 7), dtype=bool)
    seen[1, 4:6, :, 3] = False  # the two query heads of key head 2
    attend(query=query, key=key, value=key, mask=seen, similarity="cosine")
    seen[1, 5, 0, 3] = True
    with pytest.raises(RefusedError, match="key 3 "):
        attend(query=query, key=key, value=key, mask=seen, similarity="cosine")
