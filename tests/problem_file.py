"""Write a problem as a user would: a YAML file, with an NPZ beside it for the arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml


class _Plain(yaml.SafeDumper):
    """No anchors for a list that stands in two places: a problem file refuses them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write(folder: Path, problem: dict[str, Any], stem: str = "problem") -> Path:
    """Write `stem.yaml`; each array in it goes to `stem-arrays.npz` and is referred to."""
    arrays: dict[str, np.ndarray] = {}
    content = _referred(problem, "", f"{stem}-arrays.npz", arrays)
    text = yaml.dump(content, Dumper=_Plain, sort_keys=False, allow_unicode=True)
    if arrays:
        np.savez(folder / f"{stem}-arrays.npz", **arrays)
    path = folder / f"{stem}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _referred(part: Any, name: str, file: str, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(part, np.ndarray):
        arrays[name] = part
        return f"{file}:{name}"
    if isinstance(part, dict):
        return {k: _referred(v, f"{name}.{k}".strip("."), file, arrays) for k, v in part.items()}
    if isinstance(part, list):
        return [_referred(v, f"{name}.{i}", file, arrays) for i, v in enumerate(part)]
    return part
