"""A directory of a Hugging Face Vision Transformer, as the keys of a problem.

`config.json` says the sizes, safetensors hold the tables (one file, or shards with an index). Both
become entries, as if the problem had written them; a key that the problem writes itself must agree.
"""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from attncli.core.shapes import by
from attncli.errors import InputError, LimitError, Place
from attncli.files.images import is_file
from attncli.files.reading import opened
from attncli.files.types import Entry
from attncli.files.vectors import Source, Tensor, base_of

LARGEST_JSON = 16 * 1024 * 1024
"""Bytes; the index of the largest sharded models has a tenth of it."""

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu-tanh",
    "gelu_pytorch_tanh": "gelu-tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}

NUMBERS = {"heads": "num_attention_heads", "epsilon": "layer_norm_eps", "patch": "patch_size"}
"""Our keys, and those of the configuration."""
SIZES = {
    "hidden_size": None,
    "intermediate_size": None,
    "num_hidden_layers": None,
    "patch_size": None,
    "image_size": 224,
    "num_channels": 3,
}
"""What decides the shapes of the tensors, and what transformers takes where one is missing."""
MOST_LAYERS = 1000
LEAST, GREATEST = 1e-18, 1e18
"""Numbers of a configuration lie between these, so that float32 can compute with them."""

LAYER = {
    "attention.output.dense": "self_attn.out_proj",
    "intermediate.dense": "linear1",
    "output.dense": "linear2",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
}
"""Their names in a layer, and PyTorch's."""

WHOLE = {
    "embeddings.cls_token": "class_token",
    "embeddings.position_embeddings": "positions",
    "embeddings.patch_embeddings.projection.weight": "embedding.weight",
    "embeddings.patch_embeddings.projection.bias": "embedding.bias",
    "layernorm.weight": "norm.weight",
    "layernorm.bias": "norm.bias",
    "pooler.dense.weight": "pooler.weight",
    "pooler.dense.bias": "pooler.bias",
    "classifier.weight": "head.weight",
    "classifier.bias": "head.bias",
}
"""Their names outside the layers, and ours."""

IN_LAYER = re.compile(r"encoder\.layer\.(0|[1-9][0-9]*)\.(.+)\.(weight|bias)", re.ASCII)
QKV = re.compile(r"attention\.attention\.(query|key|value)")


def expanded(source: Source) -> Source:
    """The problem with the entries of its checkpoint, where `parameters` is a directory."""
    value, place = source.get("parameters"), source.place("parameters")
    if not isinstance(value, str):
        return source
    directory = base_of(place, source.base) / value
    if not os.path.isdir(directory):
        return source
    if source.get("kind") != "encoder":
        raise InputError(
            f"{value} is a directory, of a Vision Transformer or another model",
            hint="a Vision Transformer is a kind: encoder",
            place=place,
        )
    config = _json(directory / "config.json", place)
    if config.get("model_type") != "vit":
        raise InputError(
            f"{value} holds a model of type {str(config.get('model_type'))[:40]!r}",
            expected="vit, a Vision Transformer",
            hint="of any other model, give the tensors: query: model.safetensors:NAME",
            place=place,
        )
    settings = _settings(config, directory)
    tensors = _checked(_tensors(directory, place), config, directory)
    entries = settings | _tables(tensors, source.get("notation", "rows"))
    for key, entry in source.entries.items():
        if key in entries and key not in ("parameters", "labels"):
            theirs, ours = entries[key].value, entry.value
            if isinstance(theirs, str | int | float) and theirs != ours:
                raise InputError(
                    f"{key}: {ours}, and {value} says {theirs}",
                    hint=f"leave {key} out: the directory decides it",
                    place=entry.place,
                )
    if is_file(source, "input"):
        entries["input"] = Entry(_normalised(source, directory), source.place("input"))
        source = replace(source, entries={**source.entries, "input": entries["input"]})
    return replace(source, entries={**entries, **_kept(source, entries)})


def _normalised(source: Source, directory: Path) -> Tensor:
    """(pixels − mean) / std as the model's processor does, of a picture read from its file."""
    path = directory / "preprocessor_config.json"
    if not os.path.exists(path):
        raise InputError(
            "the model does not say how its pictures are normalised",
            expected=f"preprocessor_config.json in {directory}",
            hint="give the pixels that its processor made: input: pixels.npy, layout: chw",
            subject="input",
        )
    config = _json(path, None)
    pixels = source.tensor("input")
    assert pixels is not None
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    if pixels.shape[-1] != 3:
        raise InputError(
            "the picture has transparency, which the model knows nothing of",
            hint="save it without an alpha channel",
            subject="input",
        )
    if not config.get("do_rescale", True):
        pixels = pixels * np.float32(255)
    elif isinstance(config.get("rescale_factor", 1 / 255), int | float):
        factor = _number(config, "rescale_factor", Place(str(path)), 1 / 255, whole=False)
        pixels = pixels * np.float32(255 * factor)
    if not config.get("do_normalize", True):
        return pixels
    mean, std = (_three(config, key, path) for key in ("image_mean", "image_std"))
    made: Tensor = (pixels - mean) / std
    return made


def _three(config: dict[str, Any], key: str, path: Path) -> Tensor:
    """A number for each of red, green and blue: a mean may be 0, a deviation is positive."""
    numbers = config.get(key, [0.5] * 3)
    or_zero = key == "image_mean"
    is_list = isinstance(numbers, list) and len(numbers) == 3
    if not is_list or not all(_is_sound(number, or_zero) for number in numbers):
        raise InputError(
            f"{key} is {str(numbers)[:60]}",
            expected="three numbers from 0" if or_zero else "three positive numbers",
            place=Place(str(path)),
        )
    return np.asarray(numbers, dtype=np.float32)


def _kept(source: Source, entries: dict[str, Entry]) -> dict[str, Entry]:
    """The problem's own entries; its labels beside those of the classes."""
    kept = {key: entry for key, entry in source.entries.items() if key != "parameters"}
    labels, classes = kept.get("labels"), entries.get("labels")
    if labels is not None and classes is not None and isinstance(labels.value, dict):
        kept["labels"] = Entry({**classes.value, **labels.value}, labels.place)
    return kept


def _settings(config: dict[str, Any], directory: Path) -> dict[str, Entry]:
    """Heads, patch, ε and activation of a configuration."""
    place = Place(str(directory / "config.json"))
    activation = config.get("hidden_act", "gelu")
    if activation not in ACTIVATIONS:
        raise InputError(
            f"hidden_act is {str(activation)[:40]!r}", expected=", ".join(ACTIVATIONS), place=place
        )
    settings: dict[str, Any] = {"norm": "pre", "activation": ACTIVATIONS[activation]}
    for ours, name in NUMBERS.items():
        settings[ours] = _number(config, name, place, whole=ours != "epsilon")
    entries = {key: Entry(value, place) for key, value in settings.items()}
    names = config.get("id2label")
    if isinstance(names, dict) and _classifies(config):
        labels = tuple(str(names[key]) for key in sorted(names, key=_position))
        entries["labels"] = Entry({"class": Entry(labels, place)}, place)
    return entries


def _number(
    config: dict[str, Any], name: str, place: Place, default: Any = None, *, whole: bool = True
) -> Any:
    """A positive number of a configuration."""
    number = config.get(name, default)
    if not _is_sound(number) or (whole and not isinstance(number, int)):
        raise InputError(f"{name} is {str(number)[:40]}", expected="a positive number", place=place)
    return number


def _is_sound(number: Any, or_zero: bool = False) -> bool:
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    return is_number and (LEAST <= number <= GREATEST or (or_zero and number == 0))


def _position(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _classifies(config: dict[str, Any]) -> bool:
    return "ForImageClassification" in str(config.get("architectures"))


def _shapes(config: dict[str, Any], place: Place) -> dict[str, tuple[int, ...]]:
    """Every tensor of such a model, and its shape; those of the heads are checked where they are
    used."""
    h, inner, n_layers, patch, size, channels = (
        _number(config, name, place, default) for name, default in SIZES.items()
    )
    if n_layers > MOST_LAYERS:
        raise InputError(f"num_hidden_layers is {n_layers}", place=place)
    projection = "embeddings.patch_embeddings.projection"
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.cls_token": (1, 1, h),
        "embeddings.position_embeddings": (1, (size // patch) ** 2 + 1, h),
        f"{projection}.weight": (h, channels, patch, patch),
        f"{projection}.bias": (h,),
        "layernorm.weight": (h,),
        "layernorm.bias": (h,),
    }
    tables = {"attention.output.dense": (h, h), "intermediate.dense": (inner, h)}
    tables["output.dense"] = (h, inner)
    for layer in range(n_layers):
        front = f"encoder.layer.{layer}."
        for name, shape in tables.items():
            shapes |= {f"{front}{name}.weight": shape, f"{front}{name}.bias": shape[:1]}
        for name in ("layernorm_before", "layernorm_after"):
            shapes |= {f"{front}{name}.weight": (h,), f"{front}{name}.bias": (h,)}
        for name in ("query", "key", "value"):
            shapes[f"{front}attention.attention.{name}.weight"] = (h, h)
            if config.get("qkv_bias", True):
                shapes[f"{front}attention.attention.{name}.bias"] = (h,)
    for head in ("pooler.dense", "classifier")[: 1 + _classifies(config)]:
        shapes |= {f"{head}.weight": (-1, h), f"{head}.bias": (-1,)}
    return shapes


def _checked(
    tensors: dict[str, Tensor], config: dict[str, Any], directory: Path
) -> dict[str, Tensor]:
    """The tensors without the model's name in front; raises `InputError` unless they are what the
    configuration says."""
    place = Place(str(directory / "config.json"))
    shapes = _shapes(config, place)
    named = {name.removeprefix("vit."): array for name, array in tensors.items()}
    for name, array in named.items():
        shape = shapes.get(name)
        if shape is None:
            raise InputError(
                f"the checkpoint's tensor {name[:80]} is unknown",
                expected="what config.json says of a ViTModel or ViTForImageClassification",
                subject="parameters",
            )
        sizes = zip(shape, array.shape, strict=False)
        if array.ndim != len(shape) or any(size not in (-1, there) for size, there in sizes):
            raise InputError(
                f"the checkpoint's tensor {name[:80]} has the shape {by(array.shape)}",
                expected=f"{by(shape).replace('-1', 'any')}, from config.json",
                subject="parameters",
            )
    missing = [name for name in shapes if name not in named and not name.startswith("pooler.")]
    if missing:
        raise InputError(
            f"the checkpoint has no tensor {missing[0]}",
            expected=f"the {len(shapes)} tensors that config.json speaks of",
            found=f"{len(named)}",
            subject="parameters",
        )
    return named


def _tables(tensors: dict[str, Tensor], notation: str) -> dict[str, Entry]:
    """Our keys and PyTorch's names of the tensors."""
    state: dict[str, Tensor] = {}
    packed: dict[str, dict[str, Tensor]] = {}
    entries: dict[str, Entry] = {}
    for name, array in tensors.items():
        inside = IN_LAYER.fullmatch(name)
        if inside is None:
            _place_whole(WHOLE[name], array, notation, entries, state)
        elif projection := QKV.fullmatch(inside[2]):
            whole = f"layers.{inside[1]}.self_attn.in_proj_{inside[3]}"
            packed.setdefault(whole, {})[projection[1]] = array
        else:
            state[f"layers.{inside[1]}.{LAYER[inside[2]]}.{inside[3]}"] = array
    for whole, parts in packed.items():
        state[whole] = np.concatenate([parts[name] for name in ("query", "key", "value")])
    entries["parameters"] = Entry({name: Entry(array) for name, array in state.items()})
    return entries


def _place_whole(
    ours: str, array: Tensor, notation: str, entries: dict[str, Entry], state: dict[str, Tensor]
) -> None:
    """A tensor outside the layers, under our name for it and as the file's tables lie."""
    key, _, part = ours.partition(".")
    if key == "norm":
        state[ours] = array
    elif key == "class_token":
        entries[key] = Entry(array.reshape(-1))
    elif key == "positions":
        entries[key] = Entry(array[0] if notation == "rows" else array[0].T)
    else:
        if ours == "embedding.weight":
            # (d channel row column) → (d, row·column·channel), as patches are flattened.
            array = np.moveaxis(array, 1, -1).reshape(array.shape[0], -1)
        inner = entries.setdefault(key, Entry({})).value
        inner[part] = Entry(array.T if notation == "rows" else array)


def _tensors(directory: Path, place: Place | None) -> dict[str, Tensor]:
    """Every tensor of `model.safetensors`, or of the shards that its index names."""
    from attncli.files import safetensors

    index = directory / "model.safetensors.index.json"
    files = {directory / "model.safetensors"}
    if not os.path.exists(directory / "model.safetensors") and os.path.exists(index):
        shards = _json(index, place).get("weight_map")
        if not isinstance(shards, dict) or not all(_is_name(name) for name in shards.values()):
            raise InputError("the index names no shards", place=Place(str(index)))
        files = {directory / name for name in shards.values()}
    return {
        name: safetensors.read_member(path, name, place)
        for path in sorted(files)
        for name in safetensors.members(path, place)
    }


def _is_name(name: object) -> bool:
    """Whether a shard lies in the directory itself."""
    return isinstance(name, str) and Path(name).name == name


def _json(path: Path, place: Place | None) -> dict[str, Any]:
    with opened(path, place) as file:
        content = file.read(LARGEST_JSON + 1)
        if len(content) > LARGEST_JSON:
            raise LimitError(f"the file is larger than {LARGEST_JSON >> 20} MiB")
        try:
            value = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InputError(f"this is no JSON: {str(error)[:80]}") from None
        if not isinstance(value, dict):
            raise InputError("this JSON is no object", expected="{…}")
        return value
