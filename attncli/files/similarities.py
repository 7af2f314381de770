"""`similarity` of a problem: its class and the tables that are its parameters."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from attncli.core.shapes import by
from attncli.core.similarity import SIMILARITIES, Cosine, Layer, Similarity
from attncli.errors import InputError
from attncli.files.schema import SIMILARITY, TENSOR
from attncli.files.types import Entry, Number
from attncli.files.vectors import Source, Tensor

TABLES = {key for key, kind in SIMILARITY.keys.items() if kind == TENSOR}
NUMBERS = {key for key, kind in SIMILARITY.keys.items() if isinstance(kind, Number)}


def similarity_tables(source: Source) -> dict[str, Tensor]:
    """The tables among the parameters; those of layers are `0.weight`, `0.bias`, `1.weight`, …."""
    given = source.get("similarity")
    if not isinstance(given, dict):
        return {}
    entries = {key: entry for key, entry in given.items() if key in TABLES}
    for number, layer in enumerate(given["layers"].value if "layers" in given else ()):
        entries |= {f"{number}.{part}": layer[part] for part in ("weight", "bias") if part in layer}
    tables = {key: source.tensor("similarity", entry) for key, entry in entries.items()}
    return {key: table for key, table in tables.items() if table is not None}


def similarity(source: Source, tables: Mapping[str, Tensor], default: str) -> Similarity:
    """The similarity with its parameters, the tables in the computing type."""
    given = source.get("similarity", default)
    parameters: Mapping[str, Entry] = given if isinstance(given, dict) else {}
    if isinstance(given, dict) and "name" not in given:
        raise InputError(
            "similarity has parameters, but no name",
            hint="similarity: {name: additive, …}",
            subject="similarity",
        )
    kind = SIMILARITIES[parameters["name"].value if parameters else given]
    _refuse_unknown(kind, parameters)
    chosen: dict[str, Any] = {key: table for key, table in tables.items() if "." not in key}
    for key in ("bias", "score_weight"):
        if key in chosen:
            chosen[key] = _vector(chosen[key], single=kind.name == "general")
    chosen |= {key: entry.value for key, entry in parameters.items() if key in NUMBERS}
    if "layers" in parameters:
        layers = enumerate(parameters["layers"].value)
        chosen["layers"] = tuple(_layer(number, layer, tables) for number, layer in layers)
    if kind is Cosine:
        chosen["zero_norm"] = source.get("zero_norm", "error")
    return kind(**chosen)


def _refuse_unknown(kind: type[Similarity], parameters: Mapping[str, Entry]) -> None:
    known = {item.name for item in fields(kind)} - {"zero_norm"}
    for key, entry in parameters.items():
        if key != "name" and key not in known:
            raise InputError(
                f"{kind.name} has no parameter {key}",
                expected=", ".join(sorted(known)) or "no parameters",
                found=key,
                place=entry.place,
            )


def _layer(number: int, layer: Mapping[str, Entry], tables: Mapping[str, Tensor]) -> Layer:
    if "weight" not in layer:
        raise InputError(f"layers[{number}] of the mlp has no weight", subject="similarity")
    weight = tables[f"{number}.weight"]
    if weight.ndim not in (1, 2):
        raise InputError(
            f"layers[{number}].weight has {weight.ndim} axes",
            expected="2, (d_in d_out), or 1 for a single output",
            found=str(weight.ndim),
            subject="similarity",
        )
    activation = layer["activation"].value if "activation" in layer else "tanh"
    return Layer(weight, tables.get(f"{number}.bias"), activation)


def _vector(table: Tensor, *, single: bool) -> Tensor:
    """A vector parameter, also when it is written as a table with one row or one column.

    The only number of it where it must be `single`.
    """
    flat = table.reshape(-1) if max(table.shape, default=1) == table.size else table
    if single and flat.size != 1:
        raise InputError(
            f"bias of the similarity has the shape {by(table.shape)}",
            expected="one number",
            found=by(table.shape),
            subject="similarity",
        )
    return flat[0] if single else flat
