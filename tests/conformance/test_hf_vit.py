"""Tiny Vision Transformers of Hugging Face, read from their own config.json and safetensors."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from attncli import attend
from attncli.errors import InputError
from tests import problem_file
from tests.conformance.comparison import assert_close

HERE = Path(__file__).parent / "hf_tiny"
TOLERANCE = {"rtol": 1e-4, "atol": 2e-5}
NAMES = ("vit-a", "vit-b-classify")


def opened(name: str) -> dict[str, np.ndarray]:
    with np.load(HERE / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def written(folder: Path, name: str, **keys: Any) -> Path:
    shutil.copytree(HERE / name, folder / name)
    pixels = opened(name)["in.pixel_values"]
    problem = {"kind": "encoder", "input": pixels, "layout": "chw", "parameters": name, **keys}
    return problem_file.write(folder, problem)


@pytest.mark.parametrize("name", NAMES)
def test_every_value_is_what_transformers_computed(name: str, tmp_path: Path) -> None:
    trace, theirs = attend(written(tmp_path, name)), opened(name)
    states = theirs["mid.hidden_states"]
    ours = ["positioned", *(f"layers.{n}.feed_forward_residual" for n in range(len(states) - 1))]
    for step, state in zip(ours, states, strict=True):
        assert_close(step, trace[step], state, **TOLERANCE)
    for layer, weights in enumerate(theirs["mid.attentions"]):
        step = f"layers.{layer}.self_attention.weights"
        assert_close(step, trace[step], weights, **TOLERANCE)
    results = {
        "norm": "out.last_hidden_state",
        "pooled": "out.pooler_output",
        "output": "out.logits" if "out.logits" in theirs else "out.last_hidden_state",
    }
    for step, result in results.items():
        if result in theirs:
            assert_close(step, trace[step], theirs[result], **TOLERANCE)


def test_the_classes_have_the_names_of_the_configuration(tmp_path: Path) -> None:
    labels = attend(written(tmp_path, "vit-b-classify")).labels
    assert labels.given("class") == tuple(f"LABEL_{i}" for i in range(5))


def test_shards_are_read_through_their_index(tmp_path: Path) -> None:
    path = written(tmp_path, "vit-a")
    whole = attend(path).output
    file = tmp_path / "vit-a" / "model.safetensors"
    tensors = load_file(file)
    file.unlink()
    names = sorted(tensors)
    shards = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(names)}
    for shard in sorted({*shards.values()}):
        save_file({n: tensors[n] for n in names if shards[n] == shard}, tmp_path / "vit-a" / shard)
    index = {"metadata": {}, "weight_map": shards}
    (tmp_path / "vit-a" / "model.safetensors.index.json").write_text(json.dumps(index))
    np.testing.assert_array_equal(attend(path).output, whole)


def test_a_picture_is_normalised_as_the_processor_says(tmp_path: Path) -> None:
    path = written(tmp_path, "vit-a", input="p.png", layout="hwc")
    pixels = np.random.default_rng(5).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    with pytest.raises(InputError, match="does not say how its pictures are normalised"):
        attend(path)
    config = {"do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.2, 0.25]}
    (tmp_path / "vit-a" / "preprocessor_config.json").write_text(json.dumps(config))
    made = (pixels / 255 - config["image_mean"]) / config["image_std"]
    wanted = attend(
        kind="encoder", input=made.astype(np.float32), parameters=str(tmp_path / "vit-a")
    )
    np.testing.assert_allclose(attend(path).output, wanted.output, rtol=1e-4, atol=1e-5)


BROKEN = {
    "config is no JSON": ("config.json", b"{", "this is no JSON"),
    "another model": ("config.json", b'{"model_type": "bert"}', "a model of type 'bert'"),
    "no heads": (
        "config.json",
        b'{"model_type": "vit", "patch_size": 8, "layer_norm_eps": 1e-12}',
        "num_attention_heads is None",
    ),
    "an odd activation": (
        "config.json",
        b'{"model_type": "vit", "hidden_act": "snake"}',
        "hidden_act is 'snake'",
    ),
    "tensors cut off": ("model.safetensors", b"\x10\0\0\0\0\0\0\0{}", "header|safetensors|cut"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_directory_is_an_error_that_says_what(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, "vit-a")
    file, content, words = BROKEN[name]
    (tmp_path / "vit-a" / file).write_bytes(content)
    with pytest.raises(InputError, match=words):
        attend(path)


@pytest.mark.parametrize(
    ("tensor", "shape"),
    [
        ("embeddings.cls_token", (2, 1, 32)),
        ("embeddings.position_embeddings", (1, 16, 32)),
        ("embeddings.patch_embeddings.projection.weight", (32, 192)),
        ("encoder.layer.0.attention.attention.key.weight", (32, 31)),
        ("encoder.layer.1.output.dense.weight", (48, 32)),
        ("layernorm.weight", (31,)),
        ("made.up", (2,)),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    tensor: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    path = written(tmp_path, "vit-a")
    file = tmp_path / "vit-a" / "model.safetensors"
    save_file({**load_file(file), tensor: np.zeros(shape, dtype=np.float32)}, file)
    with pytest.raises(InputError):
        attend(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_hidden_layers", 3),
        ("num_hidden_layers", 1),
        ("num_hidden_layers", -1),
        ("num_hidden_layers", 10**9),
        ("hidden_size", 64),
        ("intermediate_size", 10),
        ("num_channels", 1),
        ("image_size", 64),
        ("qkv_bias", False),
    ],
)
def test_a_configuration_that_contradicts_the_weights_is_refused(
    key: str, value: object, tmp_path: Path
) -> None:
    path = written(tmp_path, "vit-a")
    file = tmp_path / "vit-a" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    with pytest.raises(InputError):
        attend(path)


@pytest.mark.parametrize("name", sorted(load_file(HERE / "vit-b-classify" / "model.safetensors")))
def test_a_tensor_that_is_missing_is_named(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, "vit-b-classify")
    file = tmp_path / "vit-b-classify" / "model.safetensors"
    save_file({key: table for key, table in load_file(file).items() if key != name}, file)
    with pytest.raises(InputError, match=re.escape(name.removeprefix("vit."))):
        attend(path)
