"""What the command line says about all jobs, and what of it their results depend on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from attncli.batch.jobs import Entries, Job
from attncli.core.problem import Notation
from attncli.files.types import Entry, Reference


@dataclass(frozen=True)
class Settings:
    """The options of a batch."""

    flags: Entries = field(default_factory=dict)
    """Keys that override every job's."""
    steps: str | None = None
    format: str | None = None
    """Of every output, whatever its suffix."""
    digits: int = 3
    notation: Notation | None = None
    backend: str = "numpy"
    force: bool = False
    """Replace files that no run of this batch wrote."""
    retries: int = 0
    timeout: float | None = None
    """Seconds that one attempt at a job may take."""

    @cached_property
    def _common(self) -> list[Any]:
        how = [self.steps, self.format, self.digits, self.notation, self.backend]
        return [canonical(self.flags), how]

    def parameters(self, job: Job) -> str:
        """SHA-256 of all that a job's result depends on, but for the contents of its inputs."""
        described = [job.problem, canonical(job.own), canonical(job.defaults), job.steps]
        text = _encode([*described, *self._common])
        return hashlib.sha256(text.encode("ascii")).hexdigest()


_encode = json.JSONEncoder(sort_keys=True).encode


def canonical(entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Entries as JSON has them: the same for the same meaning, wherever they stand."""
    return {key: _canonical(entry.value) for key, entry in entries.items()}


def _canonical(value: Any) -> Any:
    if isinstance(value, Reference):
        return {"file": value.text}
    if isinstance(value, dict):
        return canonical(value)
    if isinstance(value, tuple | list):
        return [_canonical(item) for item in value]
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return {"array": digest, "shape": value.shape, "dtype": value.dtype.str}
    return value
