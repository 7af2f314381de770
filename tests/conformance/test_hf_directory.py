"""What a directory of Hugging Face may say: settings one by one, and exactly what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from attncli import attend, load
from attncli.errors import AttncliError
from attncli.files import huggingface
from attncli.files.types import Entry, Reference
from attncli.files.vectors import Source

TINY = Path(__file__).parent / "hf_tiny"
PIXELS = np.random.default_rng(11).integers(1, 255, (32, 32, 3), dtype=np.uint8)


@pytest.fixture(params=["vit-a"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model that each test may change."""
    return Path(shutil.copytree(TINY / request.param, tmp_path / "m"))


classified = pytest.mark.parametrize("model", ["vit-b-classify"], indirect=True)


def changed(model: Path, name: str = "config.json", /, **values: Any) -> None:
    """Other values in one of its files; None takes a key away."""
    file = model / name
    content = {**json.loads(file.read_text() if file.exists() else "{}"), **values}
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def problem(model: Path, text: str = "", given: str = "p.npy") -> Path:
    """A problem beside the model, of a picture that lies beside it, too."""
    np.save(model.parent / "p.npy", PIXELS / np.float32(255))
    path = model.parent / "p.yaml"
    lines = f"kind: encoder\ninput: {given}\npatch: 8\nparameters: {model.name}\n{text}"
    path.write_text(lines, encoding="utf-8")
    return path


def refusal(model: Path, text: str = "") -> AttncliError:
    with pytest.raises(AttncliError) as caught:
        load(problem(model, text))
    return caught.value


def normalised(model: Path, pixels: np.ndarray) -> np.ndarray:
    """What the model's processor makes of a PNG of these pixels."""
    Image.fromarray(pixels).save(model.parent / "p.png")
    source = Source({"input": Entry(Reference("p.png"))}, model.parent)
    return huggingface._normalised(source, model)


EXPECTED = {"image_mean": "three numbers from 0", "image_std": "three positive numbers"}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


@pytest.mark.parametrize(
    ("config", "white"),
    [
        ({}, [1, 1, 1]),
        ({"do_normalize": False}, [1, 1, 1]),
        ({"do_rescale": False, "do_normalize": False}, [255, 255, 255]),
        ({"rescale_factor": 1 / 127.5, "do_normalize": False}, [2, 2, 2]),
        ({"rescale_factor": "1/255", "do_normalize": False}, [1, 1, 1]),
        ({"image_mean": [0.25, 0.5, 1], "image_std": [0.5, 0.25, 2]}, [1.5, 2, 0]),
        ({"image_mean": [0, 0.0, 0.5], "image_std": [1, 0.5, 0.5]}, [1, 2, 1]),
    ],
)
def test_pixels_are_scaled_and_normalised_as_the_processor_says(
    config: dict[str, Any], white: list[float], model: Path
) -> None:
    changed(model, "preprocessor_config.json", **config)
    pixels = np.zeros((2, 2, 3), dtype=np.uint8)
    pixels[0] = 255
    made = normalised(model, pixels)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made[0], [white, white], rtol=1e-6)
    mean, std = (np.array(config.get(key, HALF[key])) for key in HALF)
    plain = not config.get("do_normalize", True)
    np.testing.assert_allclose(made[1], [[0.0] * 3 if plain else -mean / std] * 2, rtol=1e-6)


def test_grey_is_three_equal_colours(model: Path) -> None:
    changed(model, "preprocessor_config.json")
    grey = PIXELS[:, :, 0]
    colours = np.repeat(grey[:, :, None], 3, axis=-1)
    np.testing.assert_array_equal(normalised(model, grey), normalised(model, colours))


def test_transparency_is_refused(model: Path) -> None:
    changed(model, "preprocessor_config.json")
    for channels in (2, 4):
        with pytest.raises(AttncliError, match="has transparency"):
            normalised(model, np.ones((2, 2, channels), dtype=np.uint8))


@pytest.mark.parametrize(
    "numbers",
    [
        *([1, 1], [1, 1, 1, 1], [1, -1, 1], [1, "1", 1], 0.5, "x" * 99, [0, False, 0]),
        *([1, 10**400, 1], [1, 1e-300, 1], [1e300] * 3, [np.nan] * 3, [True] * 3),
    ],
)
@pytest.mark.parametrize("key", ["image_mean", "image_std"])
def test_mean_and_deviation_are_three_numbers(key: str, numbers: object, model: Path) -> None:
    changed(model, "preprocessor_config.json", **{key: numbers})
    with pytest.raises(AttncliError) as caught:
        normalised(model, PIXELS)
    assert caught.value.what == f"{key} is {str(numbers)[:60]}"
    assert caught.value.expected == EXPECTED[key]
    assert Path(str(caught.value.place)).name.startswith("preprocessor_config.json")


def test_a_deviation_is_not_zero(model: Path) -> None:
    changed(model, "preprocessor_config.json", image_std=[1, 0, 1])
    with pytest.raises(AttncliError, match="image_std is"):
        normalised(model, PIXELS)


@pytest.mark.parametrize("factor", [0, -1, 10**400, 1e-300, np.nan, np.inf, True])
def test_a_factor_that_no_picture_survives_is_refused(factor: object, model: Path) -> None:
    changed(model, "preprocessor_config.json", rescale_factor=factor)
    with pytest.raises(AttncliError) as caught:
        normalised(model, PIXELS)
    assert caught.value.what == f"rescale_factor is {str(factor)[:40]}"
    assert caught.value.expected == "a positive number"


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_huge_file_of_settings_is_not_read(
    name: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(model, "preprocessor_config.json")
    size = (model / name).stat().st_size
    monkeypatch.setattr(huggingface, "LARGEST_JSON", size)
    assert huggingface._json(model / name, None) == json.loads((model / name).read_text())
    monkeypatch.setattr(huggingface, "LARGEST_JSON", size - 1)
    with pytest.raises(AttncliError, match="larger than") as caught:
        huggingface._json(model / name, None)
    assert caught.value.exit_code == 6


def test_the_limit_is_16_mib(model: Path) -> None:
    (model / "config.json").write_bytes(b"{}" + b" " * (16 * 1024**2 - 2))
    assert "of type 'None'" in refusal(model).what
    (model / "config.json").write_bytes(b"{}" + b" " * (16 * 1024**2 - 1))
    assert refusal(model).what == "the file is larger than 16 MiB"


def test_numbers_of_classes_have_at_most_18_digits() -> None:
    texts = ("0", "12", "9" * 18, "9" * 19, "-1", "x", "")
    assert [huggingface._position(text) for text in texts] == [0, 12, 10**18 - 1, 0, 0, 0, 0]


def test_shards_lie_in_the_directory_itself() -> None:
    for name in ("a.safetensors", "a b"):
        assert huggingface._is_name(name)
    for other in ("../a", "b/a", "/a", ".", 3, None):
        assert not huggingface._is_name(other)


def test_what_is_wrong_with_json_is_said_in_80_letters(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(content: bytes) -> None:
        raise ValueError("x" * 81)

    monkeypatch.setattr(huggingface.json, "loads", failing)
    with pytest.raises(AttncliError) as caught:
        huggingface._json(model / "config.json", None)
    assert caught.value.what == "this is no JSON: " + "x" * 80


@classified
def test_labels_of_the_problem_stand_beside_those_of_the_classes(model: Path) -> None:
    names = {"10": "eleventh", "0": "first", "2": "third", "1": "second", "x": "odd"}
    changed(model, id2label=names)
    tokens = "[" + ", ".join(f"t{n}" for n in range(17)) + "]"
    labels = attend(problem(model, f"labels: {{query: {tokens}}}\n")).labels
    assert labels.given("class") == ("first", "odd", "second", "third", "eleventh")
    assert labels.given("query")[:2] == ("t0", "t1")
    mine = "labels: {class: [a, b, c, d, e]}\n"
    assert attend(problem(model, mine)).labels.given("class") == tuple("abcde")


def test_a_plain_model_has_no_classes(model: Path) -> None:
    changed(model, id2label={"0": "no"})
    assert attend(problem(model)).labels.given("class") == ()


@classified
def test_a_class_of_a_number_without_end(model: Path) -> None:
    changed(model, id2label={"9" * 5000: "endless", "1": "b", "2": "c", "3": "d", "4": "e"})
    labels = attend(problem(model)).labels
    assert labels.given("class") == ("endless", "b", "c", "d", "e")


@pytest.mark.parametrize(
    ("written", "theirs"),
    [("heads: 2", 2), ("patch: 8", 8), ("activation: gelu", "gelu"), ("norm: pre", "pre")],
)
def test_what_the_directory_says_may_be_said_again(
    written: str, theirs: object, model: Path
) -> None:
    key, _, value = written.partition(": ")
    text = "" if key == "patch" else f"{written}\n"
    whole = attend(problem(model)).output
    np.testing.assert_array_equal(attend(problem(model, text)).output, whole)
    other = {"heads": "4", "patch": "4", "activation": "relu", "norm": "post"}[key]
    path = problem(model, f"{key}: {other}\n")
    path.write_text(path.read_text().replace("patch: 8\n", "", key == "patch"))
    with pytest.raises(AttncliError) as caught:
        load(path)
    assert caught.value.what == f"{key}: {other}, and {model.name} says {theirs}"
    assert value == str(theirs)


@pytest.mark.parametrize(("theirs", "ours"), huggingface.ACTIVATIONS.items())
def test_activations_by_their_names(theirs: str, ours: str, model: Path) -> None:
    changed(model, hidden_act=theirs)
    found = attend(problem(model)).output
    state = huggingface.expanded(load_source(model)).entries
    assert state["activation"].value == ours
    changed(model, hidden_act="gelu" if ours != "gelu" else "relu")
    assert not np.array_equal(attend(problem(model)).output, found)


def load_source(model: Path) -> Source:
    entries = {"kind": Entry("encoder"), "parameters": Entry(model.name)}
    return Source(entries, model.parent)


@pytest.mark.parametrize(
    ("values", "what", "expected"),
    [
        ({"model_type": "b" * 50}, f"m holds a model of type '{'b' * 40}'", "vit, a Vision"),
        ({"hidden_act": "s" * 50}, f"hidden_act is '{'s' * 40}'", "gelu, gelu_new, gelu_pyto"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0", "a positive number"),
        ({"num_attention_heads": True}, "num_attention_heads is True", "a positive number"),
        ({"num_attention_heads": 4.0}, "num_attention_heads is 4.0", "a positive number"),
        ({"num_attention_heads": "4" * 50}, f"num_attention_heads is {'4' * 40}", "a positive"),
        ({"layer_norm_eps": 0}, "layer_norm_eps is 0", "a positive number"),
        ({"layer_norm_eps": [1]}, "layer_norm_eps is [1]", "a positive number"),
        ({"layer_norm_eps": np.nan}, "layer_norm_eps is nan", "a positive number"),
        ({"layer_norm_eps": np.inf}, "layer_norm_eps is inf", "a positive number"),
        ({"layer_norm_eps": 10**400}, f"layer_norm_eps is 1{'0' * 39}", "a positive number"),
        ({"patch_size": 10**400}, f"patch_size is 1{'0' * 39}", "a positive number"),
        ({"num_hidden_layers": 1001}, "num_hidden_layers is 1001", ""),
        ({"num_hidden_layers": 1000}, "the checkpoint has no tensor encoder.layer.2.", "the 16008"),
        ({"num_hidden_layers": 3}, "the checkpoint has no tensor encoder.layer.2.", "the 56 "),
        (
            {"hidden_size": 64},
            "the checkpoint's tensor embeddings.cls_token has the",
            "(1 × 1 × 64",
        ),
    ],
)
def test_a_configuration_is_refused_in_exact_words(
    values: dict[str, Any], what: str, expected: str, model: Path
) -> None:
    changed(model, **values)
    error = refusal(model)
    assert error.what.startswith(what)
    assert error.what == what or what.endswith((".", "the"))
    assert error.expected.startswith(expected)


def test_sizes_that_are_not_said_are_those_of_transformers(model: Path) -> None:
    changed(model, num_channels=None, qkv_bias=None)
    whole = attend(problem(model)).output
    changed(model, num_channels=3, qkv_bias=True)
    np.testing.assert_array_equal(attend(problem(model)).output, whole)
    changed(model, image_size=None)
    assert refusal(model).expected == "(1 × 785 × 32), from config.json"


@pytest.mark.parametrize(
    ("name", "shape", "what", "expected"),
    [
        ("u" * 90, (2,), f"the checkpoint's tensor {'u' * 80} is unknown", "what config.json says"),
        ("pooler.dense.weight", (3, 31), "has the shape (3 × 31)", "(any × 32), from config.json"),
        ("layernorm.weight", (1, 32), "has the shape (1 × 32)", "(32), from config.json"),
    ],
)
def test_a_tensor_is_refused_in_exact_words(
    name: str, shape: tuple[int, ...], what: str, expected: str, model: Path
) -> None:
    file = model / "model.safetensors"
    save_file({**load_file(file), name: np.zeros(shape, dtype=np.float32)}, file)
    error = refusal(model)
    assert error.what.endswith(what)
    assert error.expected.startswith(expected)


def test_a_pooler_of_any_width_may_be_there_or_not(model: Path) -> None:
    file = model / "model.safetensors"
    tensors = {n: t for n, t in load_file(file).items() if not n.startswith("pooler.")}
    save_file(tensors, file)
    plain = attend(problem(model))
    assert "pooled" not in plain.names
    pooler = {"pooler.dense.weight": np.ones((7, 32), "f"), "pooler.dense.bias": np.ones(7, "f")}
    save_file({**tensors, **pooler}, file)
    assert attend(problem(model))["pooled"].shape[-1] == 7


def test_columns_are_the_same_model(model: Path) -> None:
    rows = attend(problem(model))
    columns = attend(problem(model, "notation: columns\n"))
    np.testing.assert_allclose(columns.output, rows.output.swapaxes(-1, -2), rtol=1e-6, atol=1e-6)


def test_one_file_goes_before_shards(model: Path) -> None:
    whole = attend(problem(model)).output
    index = {"weight_map": {"a": "nowhere.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    np.testing.assert_array_equal(attend(problem(model)).output, whole)
    (model / "model.safetensors").unlink()
    assert "there is no file" in refusal(model).what
