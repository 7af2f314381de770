"""Tensors from one kind of file to another, number for number."""

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from attncli.errors import InputError, Place, UsageError
from attncli.files.problem import TEXT_SUFFIXES, read_entries
from attncli.files.reading import no_member
from attncli.files.schema import ARCHIVES, FOREIGN, KEYS, TABLES
from attncli.files.tensors import Loaded, load, members
from attncli.files.types import Entry, Reference
from attncli.files.vectors import Source, Tensor, widest

SUFFIXES = (".yaml", ".yml", ".json", ".npy", *TABLES, *ARCHIVES)
PLAIN_KEY = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
"""A key that YAML reads as it stands; any other is quoted."""


def is_problem(source: str) -> bool:
    """Whether a file is a problem rather than tensors."""
    return source == "-" or Path(source).suffix.lower() in TEXT_SUFFIXES


def tensors(source: str) -> dict[str, Tensor]:
    """Every tensor of a file, by its name; those inside a mapping are `past.key`, `rope.cos`, …."""
    return dict(each_tensor(source))


def each_tensor(source: str) -> Iterator[tuple[str, Tensor]]:
    """The same one after the other, so that an archive's need not lie in memory together."""
    if is_problem(source):
        yield from problem_tensors(_opened(source)).items()
        return
    file, colon, name = source.rpartition(":")
    if colon and is_problem(file) and not os.path.exists(source):
        arrays = tensors(file)
        if name not in arrays:
            raise no_member(Path(file), name, arrays, Place(source))
        yield name, arrays[name]
        return
    path = Path(source)
    if os.path.isfile(path) and path.suffix.lower() in ARCHIVES:
        place = Place(source)
        for name in members(path):
            yield name, load(f"{source}:{name}", Path(), place).array
        return
    name = source.rpartition(":")[2] if ":" in source else path.stem
    yield name, load(source, Path(), Place(source)).array


def _opened(source: str) -> Source:
    """A problem file; or a table as a problem: the tensor of its name, else the input."""
    if is_problem(source):
        return Source(read_entries(source), Path() if source == "-" else Path(source).parent)
    name = FOREIGN.get(Path(source).stem, Path(source).stem)
    return Source({name if name in KEYS else "input": Entry(Reference(source), Place(source))})


def problem_tensors(source: Source) -> dict[str, Tensor]:
    """The tensors of a problem's entries, in its `dtype` where it names one."""
    dtype = source.get("dtype")
    found: dict[str, Tensor] = {}
    for name, entry in _leaves(source.entries):
        if _is_tensor(entry):
            array = source.tensor(name, entry)
            assert array is not None
            is_float = dtype is not None and array.dtype.kind == "f"
            found[name] = array.astype(dtype) if is_float else array
    return found


def settings(entries: Mapping[str, Entry]) -> list[str]:
    """The keys of a problem that are no tensors."""
    return [name for name, entry in _leaves(entries) if not _is_tensor(entry)]


def writer(source: str, target: Path) -> tuple[Callable[[BinaryIO], object], list[str]]:
    """What writes the tensors of a file as `target`, and the keys that such a file cannot hold.

    Raises `UsageError` for a suffix that is unknown, and `InputError` where several tensors would
    have to go in a file that holds one.
    """
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"-o {target}: the suffix says what to write",
            expected=" ".join(SUFFIXES),
            found=suffix or "none",
        )
    if suffix in TEXT_SUFFIXES:
        text = _document(source, suffix)
        return (lambda file: file.write(text.encode("utf-8"))), []
    if Path(source).suffix.lower() in TABLES:
        table = load(source, Path(), Place(source))
        labelled = bool(table.row_labels or table.column_labels)
        if suffix in TABLES:
            return _table_writer(suffix, table), []
        arrays, lost = {Path(source).stem: table.array}, ["labels"] * labelled
    else:
        arrays = tensors(source)
        lost = settings(read_entries(source)) if is_problem(source) else []
    if suffix in ARCHIVES:
        return _archive_writer(suffix, arrays), lost
    if len(arrays) != 1:
        raise InputError(
            f"{source} holds {len(arrays)} tensors, {suffix} holds one",
            expected="one of " + ", ".join(arrays),
            found="all",
            hint=shlex.join(
                ["attncli", "inspect", f"{source}:{next(iter(arrays), 'NAME')}", "-o", str(target)]
            ),
            place=Place(source),
        )
    (array,) = arrays.values()
    if suffix in TABLES:
        return _table_writer(suffix, Loaded(array)), lost
    from attncli.files.npy import write_npy

    return (lambda file: write_npy(file, array)), lost


def _archive_writer(suffix: str, arrays: dict[str, Tensor]) -> Callable[[BinaryIO], object]:
    if suffix == ".npz":
        from attncli.files.npz import write_npz

        return lambda file: write_npz(file, arrays)
    from attncli.files.safetensors import write_safetensors

    return lambda file: write_safetensors(file, arrays)


def _table_writer(suffix: str, table: Loaded) -> Callable[[BinaryIO], object]:
    from attncli.files.tables import write_table

    delimiter = "\t" if suffix == ".tsv" else ","
    rows, columns = table.row_labels, table.column_labels
    text = write_table(table.array, rows=rows, columns=columns, delimiter=delimiter)
    return lambda file: file.write(text.encode("utf-8"))


def _document(source: str, suffix: str) -> str:
    """A problem file with every tensor inside it."""
    if is_problem(source) or Path(source).suffix.lower() in TABLES:
        problem = _opened(source)
        arrays = problem_tensors(problem)
        content = _resolved(problem.entries, arrays)
        if (names := problem.table_names()) and isinstance(content.get("labels", {}), dict):
            content["labels"] = {**names, **content.get("labels", {})}
    else:
        content = {FOREIGN.get(name, name): array for name, array in tensors(source).items()}
        if len(content) == 1 and not {*content} & {*KEYS}:
            content = {"input": next(iter(content.values()))}
        unknown = [name for name in content if name not in KEYS]
        if unknown:
            raise InputError(
                f"a problem file has no key {unknown[0]!r}",
                expected="tensors called query, key, value, scores, mask, …",
                found=", ".join(unknown[:8]),
                place=Place(source),
            )
        arrays = content
    # Numbers in a text are float64: what was computed in float32 must say so.
    floats = [array for array in arrays.values() if array.dtype.kind == "f"]
    if floats and "dtype" not in content and widest(floats) == "float32":
        content["dtype"] = "float32"
    return _json(content) if suffix == ".json" else _yaml(content)


def _resolved(
    entries: Mapping[str, Entry], arrays: Mapping[str, Tensor], prefix: str = ""
) -> dict[str, Any]:
    """Entries as plain values, with arrays in place of references."""
    plain: dict[str, Any] = {}
    for key, entry in entries.items():
        name = prefix + key
        if name in arrays:
            plain[key] = arrays[name]
        elif isinstance(entry.value, dict):
            plain[key] = _resolved(entry.value, arrays, f"{name}.")
        elif _is_list_of_mappings(entry):
            plain[key] = [
                _resolved(item, arrays, f"{name}.{number}.")
                for number, item in enumerate(entry.value)
            ]
        else:
            plain[key] = entry.value
    return plain


def _leaves(entries: Mapping[str, Entry], prefix: str = "") -> list[tuple[str, Entry]]:
    """Every entry that is no mapping, by its dotted name."""
    leaves: list[tuple[str, Entry]] = []
    for key, entry in entries.items():
        if isinstance(entry.value, dict):
            leaves += _leaves(entry.value, f"{prefix}{key}.")
        elif _is_list_of_mappings(entry):
            for number, item in enumerate(entry.value):
                leaves += _leaves(item, f"{prefix}{key}.{number}.")
        else:
            leaves.append((prefix + key, entry))
    return leaves


def _is_list_of_mappings(entry: Entry) -> bool:
    return isinstance(entry.value, tuple) and any(isinstance(item, dict) for item in entry.value)


def _is_tensor(entry: Entry) -> bool:
    return isinstance(entry.value, np.ndarray | Reference)


# --- text


def _yaml(content: Mapping[str, Any], indent: str = "") -> str:
    lines = []
    for name, value in content.items():
        key = name if PLAIN_KEY.fullmatch(name) else _quoted(name)
        if isinstance(value, Mapping):
            lines.append(f"{indent}{key}:\n{_yaml(value, indent + '  ')}")
        elif isinstance(value, np.ndarray) and value.ndim > 1:
            rows = "".join(f"{indent}  - {_flow(row)}\n" for row in value)
            lines.append(f"{indent}{key}:\n{rows}")
        else:
            lines.append(f"{indent}{key}: {_flow(value)}\n")
    return "".join(lines)


def _flow(value: Any) -> str:
    """A value in YAML's flow style; numbers are written so that they read back exactly."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return value if value.replace("-", "").replace("_", "").isalnum() else _quoted(value)
    return repr(value).replace("nan", ".nan").replace("inf", ".inf")


def _quoted(text: str) -> str:
    return _printable(json.dumps(text, ensure_ascii=False), lambda sign: f"\\U{ord(sign):08X}")


def _printable(text: str, escape: Callable[[str], str]) -> str:
    """A text in which only printable signs and line ends stand for themselves."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\n" else escape(sign) for sign in text)


def _json(content: Mapping[str, Any]) -> str:
    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            if not np.isfinite(value).all():
                raise InputError(
                    "JSON has no NaN and no infinity", hint="write YAML, NPZ or safetensors"
                )
            return value.tolist()
        if isinstance(value, Mapping):
            return {key: plain(inner) for key, inner in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    text = json.dumps(plain(content), ensure_ascii=False, indent=1) + "\n"
    return _printable(text, lambda sign: json.dumps(sign)[1:-1])
