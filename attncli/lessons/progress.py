"""How far somebody came in each lesson, under the user's data directory."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from attncli.files.commit import commit

DONE = -1
"""In place of a scene: the lesson was finished."""


def home(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The directory where programs keep a user's data, ours in it."""
    if base := environment.get("XDG_DATA_HOME", ""):
        return Path(base) / "attncli"
    if platform == "win32" and (base := environment.get("APPDATA", "")):
        return Path(base) / "attncli"
    if platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "attncli"
    return Path.home() / ".local" / "share" / "attncli"


def _file() -> Path:
    return home() / "lessons.json"


def read() -> dict[str, int]:
    """Slug → the scene that was reached, counted from 0, or `DONE`; empty where none is known."""
    try:
        held = json.loads(_file().read_bytes())
    except (OSError, ValueError, RecursionError, RuntimeError):
        return {}  # nothing yet, or not ours: there is nothing to lose
    if not isinstance(held, dict):
        return {}
    return {slug: scene for slug, scene in held.items() if type(scene) is int and scene >= DONE}


def write(slug: str, scene: int) -> None:
    """Remember a scene, or `DONE`, which stays; raises `OutputError` where that cannot be."""
    held = read()
    if held.get(slug) == DONE or held.get(slug) == scene:
        return
    text = json.dumps({**held, slug: scene}, indent=1, sort_keys=True)
    path = _file()
    path.parent.mkdir(parents=True, exist_ok=True)
    commit(path, lambda file: file.write(f"{text}\n".encode()), force=True)


def forget() -> None:
    """Forget all of it."""
    _file().unlink(missing_ok=True)
