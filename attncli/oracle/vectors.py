"""Test vectors for other people's kernels: inputs, the exact output, and the error that is normal.

Each case is a problem that attncli can read, its tensors rounded to one precision, the output in
float64 from just these tensors, and what a naive run of that precision errs. Masked keys and values
hold NaN, so that a kernel which multiplies them by zero is found; axes have different prime
lengths, so that swapped ones are found, too.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from attncli.core.problem import Problem
from attncli.errors import OutputError, Place
from attncli.files.build import build
from attncli.files.commit import commit
from attncli.files.npz import write_npz
from attncli.files.problem import keywords
from attncli.files.safetensors import write_safetensors
from attncli.oracle.compare import Numbers, distance
from attncli.oracle.precision import PRECISIONS, in_precision, rounding
from attncli.solve import solve

Random = np.random.Generator
Tensors = dict[str, Numbers]
Keys = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """Sizes of a case: batch, query heads, key heads, queries, keys, features of keys, values."""

    name: str
    batch: int
    heads: int
    kv_heads: int
    queries: int
    keys: int
    d_k: int
    d_v: int


SHAPES = (
    Shape("small", 1, 1, 1, 2, 3, 2, 5),
    Shape("prime", 2, 3, 3, 7, 13, 10, 11),
    Shape("grouped", 2, 6, 3, 11, 17, 14, 13),
    Shape("decode", 3, 4, 2, 1, 19, 22, 7),
    Shape("long", 1, 2, 2, 67, 131, 34, 29),
)
"""Every other axis is another prime; d_k is twice one, since rotary positions need pairs."""


@dataclass(frozen=True)
class Feature:
    """A setting, and the tensors that it needs beside query, key and value."""

    name: str
    about: str
    keys: Keys
    tensors: Callable[[Shape, Random], Tensors] = lambda shape, random: {}


def _lengths(shape: Shape, random: Random) -> Tensors:
    low = (shape.keys + 1) // 2
    return {"key_lengths": random.integers(low, shape.keys + 1, size=shape.batch)}


def _empty_lengths(shape: Shape, random: Random) -> Tensors:
    lengths = _lengths(shape, random)["key_lengths"]
    lengths[0] = 0
    return {"key_lengths": lengths}


def _key_mask(shape: Shape, random: Random) -> Tensors:
    mask = random.random((shape.batch, shape.keys)) < 0.7
    mask[:, 0] = True
    return {"key_mask": mask}


def _mask(shape: Shape, random: Random) -> Tensors:
    mask = random.random((shape.heads, shape.queries, shape.keys)) < 0.6
    mask[..., 0] = True
    return {"mask": mask[None]}


def _empty_rows(shape: Shape, random: Random) -> Tensors:
    mask = random.random((shape.queries, shape.keys)) < 0.6
    mask[0] = False
    return {"mask": mask}


def _float_mask(shape: Shape, random: Random) -> Tensors:
    mask = _mask(shape, random)["mask"]
    return {"mask": np.where(mask, random.normal(size=mask.shape), -np.inf)}


def _bias(shape: Shape, random: Random) -> Tensors:
    return {"bias": random.normal(size=(1, shape.heads, shape.queries, shape.keys))}


def _sink(shape: Shape, random: Random) -> Tensors:
    return {"sink": random.normal(size=shape.heads)}


def _past(shape: Shape, random: Random) -> Tensors:
    lead = (shape.batch, shape.kv_heads, 5)
    return {
        "past.key": random.normal(size=(*lead, shape.d_k)),
        "past.value": random.normal(size=(*lead, shape.d_v)),
    }


def _large(shape: Shape, random: Random) -> Tensors:
    """Queries thirty times as large: weights of nearly one, and exponents that overflow."""
    return {"query": 30 * random.normal(size=(shape.batch, shape.heads, shape.queries, shape.d_k))}


TOP, BOTTOM = {"align": "top-left"}, {"align": "bottom-right"}
FEATURES = (
    Feature("plain", "scaled dot products, softmax", {}),
    Feature("scale", "a scale of its own", {"scale": 0.3}),
    Feature("causal-top-left", "causal, first query at the first key", {"causal": True, **TOP}),
    Feature(
        "causal-bottom-right", "causal, last query at the last key", {"causal": True, **BOTTOM}
    ),
    Feature("causal-offset", "causal, first query at key 2", {"causal": True, "align": 2}),
    Feature("window", "two keys left, one right", {"window": [2, 1], **BOTTOM}),
    Feature("window-edge", "the own key alone", {"window": [0, 0], **TOP}),
    Feature("window-past", "a window beyond the first keys", {"window": [1, 0], "align": -1}),
    Feature("lengths", "key lengths; NaN behind them", {}, _lengths),
    Feature("lengths-empty", "a batch entry without keys: zeros", {}, _empty_lengths),
    Feature("lengths-causal", "causal at the last real key", {"causal": True, **BOTTOM}, _lengths),
    Feature("key-mask", "keys masked here and there; NaN in them", {}, _key_mask),
    Feature("mask", "booleans of heads, queries and keys; true shows", {}, _mask),
    Feature("mask-empty-rows", "a query that may attend to nothing: zeros", {}, _empty_rows),
    Feature("mask-float", "numbers that are added, −∞ hides", {}, _float_mask),
    Feature("bias", "a table that is added", {}, _bias),
    Feature("alibi", "−slope·distance", {"bias": {"alibi": True}, **BOTTOM}),
    Feature("softcap", "20 tanh(s / 20)", {"softcap": 20.0}),
    Feature("softcap-mask", "softcap before the mask", {"softcap": 2.0}, _mask),
    Feature("sink", "an extra score a head in the denominator", {}, _sink),
    Feature("rope", "rotary positions, halves", {"rope": {"base": 10000.0}, **BOTTOM}),
    Feature(
        "rope-interleaved",
        "rotary positions, neighbours, two features of all",
        {"rope": {"base": 500.0, "pairing": "interleaved", "width": 2}, **TOP},
    ),
    Feature("past", "a cache of five keys, causal", {"causal": True}, _past),
    Feature("large", "scores that overflow without the row's maximum", {}, _large),
    Feature(
        "together",
        "causal, window, lengths, softcap and sink at once",
        {"causal": True, "window": [5, 0], "softcap": 10.0, **BOTTOM},
        lambda shape, random: _lengths(shape, random) | _sink(shape, random),
    ),
)


@dataclass(frozen=True, eq=False)
class Case:
    """One problem in one precision, with what must come out."""

    id: str
    about: str
    keys: Keys
    tensors: Tensors
    precision: str
    output: Numbers
    lse: Numbers
    """The log-sum-exp of each query's scores; −∞ where it may attend to nothing."""
    error: float
    """The largest error of a naive run in that precision."""
    largest: float


def cases() -> Iterator[Case]:
    """Every case: features × shapes × precisions; the same ones each time."""
    for feature in FEATURES:
        for shape in SHAPES:
            random = np.random.default_rng([*feature.name.encode(), *shape.name.encode()])
            tensors = _vectors(shape, random) | feature.tensors(shape, random)
            for precision in PRECISIONS:
                yield _case(feature, shape, tensors, precision)


def _vectors(shape: Shape, random: Random) -> Tensors:
    keys = (shape.batch, shape.kv_heads, shape.keys)
    return {
        "query": random.normal(size=(shape.batch, shape.heads, shape.queries, shape.d_k)),
        "key": random.normal(size=(*keys, shape.d_k)),
        "value": random.normal(size=(*keys, shape.d_v)),
    }


def _case(feature: Feature, shape: Shape, tensors: Tensors, precision: str) -> Case:
    exact = PRECISIONS[precision].round
    rounded = {
        name: np.asarray(exact(array), np.float64) if array.dtype.kind == "f" else array
        for name, array in tensors.items()
    }
    keys = {**feature.keys, "dtype": "float64"}
    poisoned = _poisoned(rounded)
    if poisoned is not rounded:
        keys["allow_nonfinite"] = True
    problem = _problem(keys, poisoned)
    trace = solve(problem, keep=("lse",))
    output = np.asarray(trace.output)
    naive = solve(in_precision(problem, precision), change=rounding(precision)).output
    error = float(np.abs(distance(output, np.asarray(naive, np.float64))).max())
    return Case(
        f"{feature.name}.{shape.name}.{precision}",
        feature.about,
        keys,
        poisoned,
        precision,
        output,
        np.asarray(trace["lse"]),
        error if precision != "float64" else 0.0,
        float(np.abs(output).max()),
    )


def _poisoned(tensors: Tensors) -> Tensors:
    """NaN in every key and value that nobody may see."""
    n_keys = tensors["key"].shape[-2]
    if "key_lengths" in tensors:
        hidden = np.arange(n_keys) >= tensors["key_lengths"][:, None]
    elif "key_mask" in tensors:
        hidden = ~tensors["key_mask"]
    else:
        return tensors
    if not hidden.any():
        return tensors
    filled = {
        name: np.where(hidden[:, None, :, None], np.nan, tensors[name]) for name in ("key", "value")
    }
    return {**tensors, **filled}


def _problem(keys: Keys, tensors: Tensors) -> Problem:
    return build(keywords(_nested({**keys, **tensors})), Path())


def _nested(keys: Keys) -> Keys:
    """Keys of a problem, `past.key` as the key `key` inside `past`."""
    entries: Keys = {}
    for name, value in keys.items():
        outer, dot, inner = name.partition(".")
        entries[outer] = {**entries.get(outer, {}), inner: value} if dot else value
    return entries


# --- files


def write(folder: Path, *, force: bool = False) -> int:
    """Write every case into a folder, and `index.json` last; how many cases there are.

    For each: `ID.npz` and `ID.safetensors` (the tensors; `output` and `lse` in float64), and
    `ID.json`, a problem for attncli. NPZ has no bfloat16: there these numbers stand as float32.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise OutputError("it is not a directory", place=Place(str(folder)))
    if os.path.isdir(folder) and any(folder.iterdir()) and not force:
        raise OutputError(
            "the directory is not empty", hint="--force writes into it", place=Place(str(folder))
        )
    folder.mkdir(parents=True, exist_ok=True)
    index = []
    for case in cases():
        stored = {name: _stored(array, case.precision) for name, array in case.tensors.items()}
        tensors = {**stored, "output": case.output, "lse": case.lse}
        plain = {name: _widened(array) for name, array in tensors.items()}
        archive, tensor_file = (
            folder / f"{case.id}{suffix}" for suffix in (".npz", ".safetensors")
        )
        commit(archive, partial(write_npz, arrays=plain), force=force)
        commit(tensor_file, partial(write_safetensors, arrays=tensors), force=force)
        problem = _document(case)
        commit(folder / f"{case.id}.json", partial(_write_json, problem), force=force)
        index.append(_entry(case, problem, stored))
    whole = {"attncli_vectors": 1, "tolerance": TOLERANCE, "cases": index}
    commit(folder / "index.json", partial(_write_json, whole), force=force)
    return len(index)


TOLERANCE = (
    "a kernel passes where every number of its output is within `allowed` of `output`: twice the "
    "largest error of a naive run in that precision, or the rounding of the largest number; "
    "in float64 1e-12 + 1e-10 times the number. Zeros and all must be there: no NaN is right."
)


def _entry(case: Case, problem: Keys, stored: Tensors) -> Keys:
    epsilon = PRECISIONS[case.precision].epsilon
    allowed = max(2 * case.error, epsilon * case.largest)
    if case.precision == "float64":
        allowed = 1e-12 + 1e-10 * case.largest
    return {
        "id": case.id,
        "about": case.about,
        "precision": case.precision,
        "npz": f"{case.id}.npz",
        "safetensors": f"{case.id}.safetensors",
        "problem": f"{case.id}.json",
        "settings": {key: value for key, value in case.keys.items() if key != "dtype"},
        "shapes": {name: list(array.shape) for name, array in stored.items()},
        "output": list(case.output.shape),
        "naive_error": case.error,
        "allowed": allowed,
    }


def _document(case: Case) -> Keys:
    """The problem file of a case: its settings, and where its tensors lie."""
    references = {name: f"{case.id}.npz:{name}" for name in case.tensors}
    return _nested({"title": f"{case.id}: {case.about}", **case.keys, **references})


def _stored(array: Numbers, precision: str) -> Numbers:
    if array.dtype.kind != "f":
        return array
    if precision == "bfloat16":
        import ml_dtypes

        return array.astype(ml_dtypes.bfloat16)
    return array.astype(precision)


def _widened(array: Numbers) -> Numbers:
    is_plain = array.dtype.kind in "fiub"
    return array if is_plain else array.astype(np.float32)


def _write_json(content: Any, file: BinaryIO) -> None:
    file.write((json.dumps(content, indent=1) + "\n").encode("utf-8"))
