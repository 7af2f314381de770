"""What kind of values the readers make: which may change, which compare, which are many."""

import importlib
import pkgutil
from typing import Any

import pytest

from attncli import files
from attncli.errors import InputError
from attncli.files.schema import KEYS, MASK, POSITIVE, ROPE, SIMILARITY, TENSOR
from attncli.files.types import Type


def dataclasses() -> dict[str, Any]:
    """Every dataclass of the readers, by its name."""
    names = [module.name for module in pkgutil.iter_modules(files.__path__)]
    modules = [importlib.import_module(f"attncli.files.{name}") for name in names]
    return {
        f"{module.__name__.rpartition('.')[2]}.{kind.__name__}": kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type)
        and kind.__module__ == module.__name__
        and "__dataclass_params__" in vars(kind)
    }


IN_THE_MAKING = {
    *("masks.Masking", "positions.Atlas", "projections.Tables", "staging.Stage", "urls.Remote"),
    *("vectors.Source", "vision.Vision"),
}
BY_THEMSELVES = {
    *("dialects.Dialect", "results.Result", "schema.Key"),
    *(f"scalars.{name}" for name in ("Boolean", "Bounds", "Choice", "Integer", "Number", "Text")),
    *(f"types.{name}" for name in ("Labels", "ListOf", "Mapping", "OneOf", "Tables", "Tensor")),
}
MANY = {"npy.Header", "tables.Row", "types.Entry", "types.Reference"}


def test_what_is_read_does_not_change() -> None:
    found = {name for name, kind in dataclasses().items() if not kind.__dataclass_params__.frozen}
    assert found == IN_THE_MAKING


def test_types_and_results_are_what_they_are_by_themselves() -> None:
    found = {name for name, kind in dataclasses().items() if not kind.__dataclass_params__.eq}
    assert found == BY_THEMSELVES


def test_what_there_are_many_of_takes_little_memory() -> None:
    assert {name for name, kind in dataclasses().items() if "__slots__" in vars(kind)} == MANY


FLAGS = [
    *("similarity", "scale", "causal", "align", "window", "mask", "key_lengths", "softcap"),
    *("temperature", "normalizer", "heads", "kv_heads", "layout", "dialect", "dtype", "notation"),
]
MASKS = ["mask", "key_mask", "source_mask", "source_key_mask", "query_mask"]
TINY = 5e-324
NUMBERS: list[tuple[str, Type, float, float]] = [
    *((key, KEYS[key].type, 1, 0) for key in ("heads", "kv_heads", "patch", "dilation", "stride")),
    *((key, KEYS[key].type, TINY, 0.0) for key in ("softcap", "temperature", "sharpness")),
    ("epsilon", KEYS["epsilon"].type, 0.0, -TINY),
    ("similarity.epsilon", SIMILARITY.keys["epsilon"], 0.0, -TINY),
    ("rope.base", ROPE.keys["base"], TINY, 0.0),
    ("rope.width", ROPE.keys["width"], 2, 1),
]


def test_the_keys_with_flags_of_their_own() -> None:
    assert [name for name, key in KEYS.items() if key.flag] == FLAGS


def test_masks_alone_hold_true_and_false() -> None:
    assert [name for name, key in KEYS.items() if key.type is MASK] == MASKS
    assert MASK.accept([[True, False]]).tolist() == [[True, False]]
    with pytest.raises(InputError):
        TENSOR.accept([[True, False]])


@pytest.mark.parametrize(
    ("name", "kind", "least", "below"), NUMBERS, ids=[one[0] for one in NUMBERS]
)
def test_a_number_is_taken_from_its_least(
    name: str, kind: Type, least: float, below: float
) -> None:
    assert kind.accept(least) == least
    with pytest.raises(InputError) as caught:
        kind.accept(below, None, name)
    assert caught.value.what.startswith(f"{name} is ")
    assert caught.value.expected == kind.noun


def test_how_help_writes_the_least() -> None:
    assert POSITIVE.noun == "a number above 0"
    assert KEYS["heads"].type.noun == "a whole number of at least 1"
    assert ROPE.keys["width"].noun == "a whole number of at least 2"
    assert KEYS["epsilon"].type.noun == "a number of at least 0"


def test_a_kind_without_choices_of_its_own_takes_all() -> None:
    assert [name for name, key in KEYS.items() if key.choices] == ["layout"]
