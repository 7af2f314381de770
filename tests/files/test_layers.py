"""Encoders and decoders: names of tensors, titles, labels, and what each attention sees."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli import attend, load
from attncli.errors import InputError

RANDOM = np.random.default_rng(29)
D, N, M, INNER = 4, 3, 5, 6
"""Features, vectors of the input and of the source, features inside."""


def layer(front: str = "", *, decoder: bool = False) -> dict[str, np.ndarray]:
    """A state_dict of one layer."""
    shapes: dict[str, tuple[int, ...]] = {
        "linear1.weight": (INNER, D),
        "linear1.bias": (INNER,),
        "linear2.weight": (D, INNER),
    }
    for name in ("self_attn", "multihead_attn")[: 1 + decoder]:
        shapes |= {f"{name}.in_proj_weight": (3 * D, D), f"{name}.in_proj_bias": (3 * D,)}
        shapes |= {f"{name}.out_proj.weight": (D, D)}
    shapes |= {f"norm{number}.weight": (D,) for number in range(1, 3 + decoder)}
    return {front + name: RANDOM.normal(size=shape) for name, shape in shapes.items()}


def stack(n: int) -> dict[str, np.ndarray]:
    return {name: array for at in range(n) for name, array in layer(f"layers.{at}.").items()}


GIVEN, SOURCE = RANDOM.normal(size=(N, D)), RANDOM.normal(size=(M, D))


def encoder(**keys: Any) -> dict[str, Any]:
    return {"kind": "encoder", "input": GIVEN, "heads": 2, "parameters": layer(), **keys}


def decoder(**keys: Any) -> dict[str, Any]:
    state = layer(decoder=True)
    return {**encoder(parameters=state), "kind": "decoder", "source": SOURCE, **keys}


@pytest.mark.parametrize(
    ("n", "said"), [(1, "one layer"), (2, "two layers"), (10, "ten layers"), (11, "11 layers")]
)
def test_a_title_counts_the_layers(n: int, said: str) -> None:
    made = load(**encoder(parameters=stack(n)))
    assert made.presentation.title == f"Encoder of {said}"
    assert load(**decoder()).presentation.title == "Decoder of one layer"
    assert load(**decoder(title="Mine")).presentation.title == "Mine"


def refusal(**keys: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        load(**keys)
    return caught.value


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("encoder.layers.0.norm1.weight", "that of a whole Transformer: parameters: FILE:encoder."),
        ("multihead_attn.in_proj_weight", "those of a decoder: kind: decoder"),
        ("decoder.norm1.weight", "parameters: FILE:PREFIX. takes the tensors whose names begin"),
    ],
)
def test_a_tensor_that_is_no_layer_s_is_refused_with_its_place(name: str, hint: str) -> None:
    error = refusal(**encoder(parameters={name: np.ones(D)} | layer()))
    assert error.what == f"parameters has an unknown tensor {name}"
    assert error.hint.startswith(hint)
    assert error.expected == (
        "the names of torch.nn.TransformerEncoderLayer, such as self_attn.in_proj_weight, "
        "self_attn.in_proj_bias, self_attn.out_proj.weight"
    )


def test_a_number_is_no_table_of_a_layer() -> None:
    error = refusal(**encoder(parameters={"linear1.weight": np.array(3.0)} | layer("x")))
    assert error.what == "linear1.weight has the shape a single number"
    assert error.expected == "(0 × 4), PyTorch's (d_out d_in), with d = 4"


@pytest.mark.parametrize("name", [name for name in layer(decoder=True) if "bias" not in name])
def test_every_table_of_a_layer_is_needed_and_has_its_shape(name: str) -> None:
    state = layer(decoder=True)
    error = refusal(**decoder(parameters={key: state[key] for key in state if key != name}))
    assert error.what in (f"parameters has no {name}", "linear1.bias has the shape (6)")
    if name != "linear1.weight":
        assert error.found == ", ".join([key for key in state if key != name][:4])
    wide = np.ones((*state[name].shape[:-1], D + 2))
    if name != "linear2.weight":
        error = refusal(**decoder(parameters=state | {name: wide}))
        assert error.what.startswith(f"{name} has the shape (")
        assert "d = 4" in error.expected


@pytest.mark.parametrize("numbers", [(1,), (0, 2), (1, 2)])
def test_layers_are_all_there(numbers: tuple[int, ...]) -> None:
    state = {name: table for at in numbers for name, table in layer(f"layers.{at}.").items()}
    error = refusal(**encoder(parameters=state))
    assert error.what == f"parameters has the layers {', '.join(map(str, numbers))}"


def test_layers_are_taken_by_number_and_the_last_norm_after_them() -> None:
    state = stack(11)
    turned = {name: state[name] for name in sorted(state)}
    whole = attend(**encoder(parameters=state))
    np.testing.assert_array_equal(attend(**encoder(parameters=turned)).output, whole.output)
    norm = {"norm.weight": np.arange(1.0, D + 1)}
    normed = attend(**encoder(parameters=state | norm))
    centred = np.asarray(whole.output)
    centred = centred - centred.mean(axis=-1, keepdims=True)
    made = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(normed.output, made * norm["norm.weight"])
    assert refusal(**encoder(parameters=state | {"norm.wait": np.ones(D)})).found == "norm.wait"


def test_columns_are_the_same_layer() -> None:
    keys = {"mask": np.tril(np.ones((N, N), bool)), "positions": RANDOM.normal(size=(N, D))}
    state = layer()
    rows = attend(**encoder(parameters=state, **keys))
    turned = {key: array.T for key, array in keys.items()}
    columns = attend(**encoder(parameters=state, input=GIVEN.T) | turned, notation="columns")
    np.testing.assert_allclose(np.asarray(columns.output).T, rows.output)


@pytest.mark.parametrize("b_input", [None, 1, 2])
@pytest.mark.parametrize("b_source", [None, 1, 2])
def test_masks_of_a_batch_go_to_their_attention(b_input: int | None, b_source: int | None) -> None:
    given = GIVEN if b_input is None else np.broadcast_to(GIVEN, (b_input, N, D))
    memory = SOURCE if b_source is None else np.broadcast_to(SOURCE, (b_source, M, D))
    batch = max(b_input or 1, b_source or 1)
    keys = np.ones((batch, M), bool)
    keys[-1, 2] = False
    mask = keys if b_input or b_source else keys[0]
    trace = attend(**decoder(input=given, source=memory, source_key_mask=mask, causal=True))
    cross = np.asarray(trace["layers.0.cross_attention.weights"])
    wanted = np.broadcast_to(keys[:, None, None], (batch, 2, N, M))
    np.testing.assert_array_equal(cross.reshape(-1, 2, N, M) != 0, wanted)
    own = np.asarray(trace["layers.0.self_attention.weights"]).reshape(-1, 2, N, N)
    np.testing.assert_array_equal(own != 0, np.broadcast_to(np.tril(np.ones((N, N))), own.shape))


def labels(**keys: Any) -> dict[str, tuple[str, ...]]:
    found = load(**keys).presentation.labels
    return {axis: getattr(found, axis) for axis in ("query", "key", "feature")}


def test_labels_of_vectors_features_and_source() -> None:
    names = ("a", "b", "c")
    own = {"query": names, "key": names, "feature": ()}
    assert labels(**encoder(labels=[*names])) == own
    assert labels(**encoder(labels={"query": [*names]})) == own
    given = {"query": [*names], "key": list("vwxyz"), "feature": list("pqrs")}
    wanted = {axis: tuple(written) for axis, written in given.items()}
    assert labels(**decoder(labels=given)) == wanted
    assert labels(**decoder(labels=[*names])) == own | {"key": ()}
    both = np.stack([GIVEN, GIVEN])
    batch = labels(**encoder(input=both, labels={"query": [["a", "b", "c"], ["d", "e", "f"]]}))
    assert batch["query"] == (("a", "b", "c"), ("d", "e", "f"))


@pytest.mark.parametrize(("axis", "n"), [("query", N), ("key", M), ("feature", D), ("class", 0)])
def test_labels_are_as_many_as_there_are(axis: str, n: int) -> None:
    for wrong in {n - 1, n + 1} - {0, -1}:
        error = refusal(**decoder(labels={axis: ["x"] * wrong}))
        assert error.what == f"labels.{axis} has {wrong} labels, there are {n}"
        assert (error.expected, error.found) == (f"{n} names", str(wrong))


def test_labels_of_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"v{n},1,2,3,{n}\n" for n in range(N))
    Path("i.csv").write_text("x,f,g,h,i\n" + rows)
    Path("s.csv").write_text("".join(f"s{n},1,2,3,{n}\n" for n in range(M)))
    wanted = {"query": ("v0", "v1", "v2"), "feature": tuple("fghi")}
    assert labels(**decoder(input="i.csv", source="s.csv")) == wanted | {
        "key": tuple(f"s{n}" for n in range(M))
    }
    assert labels(**encoder(input="i.csv")) == wanted | {"key": ("v0", "v1", "v2")}
    columns = "\n".join(
        ",".join(cells)
        for cells in zip(
            *(line.split(",") for line in Path("i.csv").read_text().split()), strict=True
        )
    )
    Path("c.csv").write_text(columns)
    assert labels(**encoder(input="c.csv", notation="columns")) == wanted | {
        "key": ("v0", "v1", "v2")
    }


def test_widths_and_heads_fit() -> None:
    error = refusal(**decoder(source=np.ones((M, D + 1))))
    assert (error.what, error.found) == ("source has 5 features, input has 4", "5")
    batch = np.ones((2, M + 2, D + 1))
    error = refusal(**decoder(input=np.stack([GIVEN, GIVEN]), source=batch))
    assert (error.what, error.found) == ("source has 5 features, input has 4", "5")
    error = refusal(**encoder(heads=3))
    assert error.what == "input has 4 features, which 3 heads cannot share"
    for key in ("input", "parameters"):
        given = encoder()
        del given[key]
        assert refusal(**given).what == f"{key} is missing"
    given = decoder()
    del given["source"]
    assert refusal(**given).what == "source is missing"
