"""`projections` and `parameters` of a problem: the tables that make query, key, value and output.

Tables in a problem lie `(d_in d_out)` in rows notation, `(d_out d_in)` in columns; a third axis in
front is heads. A state_dict keeps PyTorch's layout, `(d_out d_in)`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from attncli.core.heads import Linear, Projections
from attncli.core.shapes import by
from attncli.errors import InputError, Place
from attncli.files.vectors import Source, Tensor, base_of, cast, refuse_nonfinite

NAMES = ("query", "key", "value", "output")
PACKED = ("in_proj_weight", "q_proj_weight")


@dataclass
class Tables:
    """The tables of the four projections as they are written, and the extra key and value."""

    weights: dict[str, Tensor] = field(default_factory=dict)
    biases: dict[str, Tensor] = field(default_factory=dict)
    extra: dict[str, Tensor] = field(default_factory=dict)
    """`extra_key` and `extra_value`, `(1 d)`."""
    columns: bool = False
    """Whether the weights are written in columns notation, `(d_out d_in)`."""

    def arrays(self) -> list[Tensor]:
        """All of them, for the computing type."""
        return [*self.weights.values(), *self.biases.values(), *self.extra.values()]

    def projections(self, dtype: str) -> Projections:
        """The projections in the computing type."""
        made = {}
        for name, weight in self.weights.items():
            bias = self.biases.get(name)
            table = cast(f"projections.{name}", weight, dtype)
            if self.columns:
                table = np.swapaxes(table, -1, -2)
            if name == "output" and table.ndim == 3:
                table = table.reshape(-1, table.shape[-1])  # heads side by side: (H·d_v d_model)
            made[name] = Linear(
                table,
                None if bias is None else cast(f"projection_biases.{name}", bias, dtype),
            )
        return Projections(**made)

    @property
    def n_heads(self) -> int | None:
        """How many heads the query's table makes; None for one table."""
        query = self.weights.get("query")
        return int(query.shape[0]) if query is not None and query.ndim == 3 else None


def read_tables(source: Source) -> Tables:
    """The tables that the problem gives; empty where it gives none."""
    if "parameters" in source.entries:
        if "projections" in source.entries:
            raise InputError("parameters and projections: one of the two", subject="parameters")
        state = state_dict(source)
        for name, array in state.items():
            refuse_nonfinite(f"parameters.{name}", array)
        return attention_tables(state)
    tables = Tables(columns=source.get("notation") == "columns")
    for name, entry in source.get("projections", {}).items():
        weight = source.tensor("projections", entry)
        assert weight is not None
        if weight.ndim not in (2, 3):
            raise InputError(
                f"projections.{name} has {weight.ndim} axes",
                expected="a table (d_in × d_out), or a list of tables, one a head",
                subject="projections",
                place=entry.place,
            )
        tables.weights[name] = weight
    for name, entry in source.get("projection_biases", {}).items():
        bias = source.tensor("projection_biases", entry)
        if name not in tables.weights:
            raise InputError(
                f"projection_biases.{name} has no table to go with",
                hint=f"projections: {{{name}: …}}",
                subject="projection_biases",
            )
        assert bias is not None
        tables.biases[name] = bias
    _refuse_mixed_heads(tables)
    _refuse_other_heads(source, tables)
    return tables


def _refuse_other_heads(source: Source, tables: Tables) -> None:
    """`heads` and `kv_heads` beside a list of tables must say what the list says."""
    for key, name in (("heads", "query"), ("kv_heads", "key")):
        table = tables.weights.get(name)
        said = source.get(key)
        if table is not None and table.ndim == 3 and said not in (None, table.shape[0]):
            raise InputError(
                f"{key} is {said}, projections.{name} has {table.shape[0]} tables",
                expected=f"a table for each head, {said}, or {key}: {table.shape[0]}",
                found=str(table.shape[0]),
                subject=key,
            )


def _refuse_mixed_heads(tables: Tables) -> None:
    per_head = {name for name, weight in tables.weights.items() if weight.ndim == 3}
    missing = [name for name in ("query", "key", "value") if name not in per_head]
    if per_head and missing:
        raise InputError(
            f"projections.{min(per_head)} has a table for each head, {missing[0]} has not",
            expected="tables for each head in query, key and value alike",
            found=", ".join(sorted(per_head)),
            subject="projections",
        )


def state_dict(source: Source) -> dict[str, Tensor]:
    """The arrays of `parameters`: a mapping in the file, `file.npz`, or `file.npz:prefix.`.

    Raises `InputError` also where `heads` is silent.
    """
    value = source.get("parameters")
    if isinstance(value, Mapping):
        arrays = {name: source.tensor("parameters", entry) for name, entry in value.items()}
        state = {name: array for name, array in arrays.items() if array is not None}
    else:
        state = _loaded(value, source.place("parameters"), source.base)
    if "heads" not in source.entries:
        raise InputError(
            "parameters without heads: a state_dict does not say how many there are",
            hint="heads: N (--heads N)",
            subject="parameters",
        )
    return state


def _loaded(reference: str, place: Place | None, base: Path) -> dict[str, Tensor]:
    from attncli.files.tensors import load, members

    base = base_of(place, base)
    file, prefix = reference, ""
    if ":" in reference and not os.path.exists(base / reference):
        file, _, prefix = reference.rpartition(":")
    names = list(members(base / file, place))
    chosen = [name for name in names if name.startswith(prefix)]
    if not chosen:
        raise InputError(
            f"{file} has no tensor whose name begins with {prefix!r}",
            expected="the beginning of a name: " + ", ".join(names[:6]),
            place=place,
        )
    return {name.removeprefix(prefix): load(f"{file}:{name}", base, place).array for name in chosen}


def attention_tables(state: Mapping[str, Tensor]) -> Tables:
    """The tables of a state_dict of torch.nn.MultiheadAttention (packed or separate)."""
    tables = Tables()
    known = {
        "in_proj_weight",
        "in_proj_bias",
        "bias_k",
        "bias_v",
        "out_proj.weight",
        "out_proj.bias",
    }
    known |= {f"{letter}_proj_weight" for letter in "qkv"}
    unknown = [name for name in state if name not in known]
    if unknown or not any(name in state for name in PACKED):
        raise InputError(
            f"parameters has an unknown tensor {unknown[0]}"
            if unknown
            else "parameters has no in_proj_weight",
            expected="the names of torch.nn.MultiheadAttention: " + ", ".join(sorted(known)),
            found=", ".join(list(state)[:6]),
            subject="parameters",
        )
    if "in_proj_weight" in state:
        packed = state["in_proj_weight"]
        if packed.ndim != 2 or packed.shape[0] % 3:
            raise InputError(
                f"in_proj_weight has the shape {by(packed.shape)}",
                expected="(3·d × d): query, key and value tables on top of each other",
                subject="parameters",
            )
        parts: list[Any] = np.split(packed, 3)
    else:
        parts = [_table(state, f"{letter}_proj_weight") for letter in "qkv"]
    tables.weights = {name: part.T for name, part in zip(NAMES, parts, strict=False)}
    widths = [part.shape[0] for part in parts]
    _check_vectors(state, widths)
    if "in_proj_bias" in state:
        biases = np.split(state["in_proj_bias"].reshape(-1), np.cumsum(widths)[:-1])
        tables.biases = dict(zip(NAMES, biases, strict=False))
    tables.weights["output"] = _table(state, "out_proj.weight").T
    if "out_proj.bias" in state:
        tables.biases["output"] = state["out_proj.bias"]
    for name, letter in (("extra_key", "k"), ("extra_value", "v")):
        if f"bias_{letter}" in state:
            tables.extra[name] = state[f"bias_{letter}"].reshape(1, -1)
    return tables


def _check_vectors(state: Mapping[str, Tensor], widths: list[int]) -> None:
    """Biases, and the extra key and value, are as wide as the projections that they go with."""
    if ("bias_k" in state) != ("bias_v" in state):
        raise InputError(
            "parameters has one of bias_k and bias_v",
            expected="both, or neither",
            found=next(name for name in ("bias_k", "bias_v") if name in state),
            subject="parameters",
        )
    sizes = {"in_proj_bias": sum(widths), "bias_k": widths[1], "bias_v": widths[2]}
    for name, size in sizes.items():
        if name in state and state[name].size != size:
            raise InputError(
                f"{name} has the shape {by(state[name].shape)}",
                expected=f"{size} numbers, as many as the projections make",
                found=str(state[name].size),
                subject="parameters",
            )


def _table(state: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in state:
        raise InputError(
            f"parameters has no {name}",
            expected=name,
            found=", ".join(list(state)[:6]),
            subject="parameters",
        )
    if state[name].ndim != 2:
        raise InputError(
            f"{name} has the shape {by(state[name].shape)}",
            expected="a table (d_out × d_in)",
            subject="parameters",
        )
    return state[name]
