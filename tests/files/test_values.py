"""What kind of values the readers make: which may change, which compare, which are many."""

import importlib
import pkgutil
from typing import Any

from attncli import files


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
