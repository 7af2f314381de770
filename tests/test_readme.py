"""The README is true: its screen is the real one, its commands and its Python run."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from attncli.commands import COMMANDS
from attncli.commands.boundary import run
from attncli.core.normalize import NORMALIZERS
from attncli.core.similarity import SIMILARITIES
from attncli.files.dialects import DIALECTS
from attncli.files.schema import KINDS
from attncli.formats import FORMATS
from attncli.formats.files import ARRAYS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.startswith("attncli ") and "--against torch" not in line
]
PROBLEM = re.search(r"```yaml\n(title: Two queries.*?)```", README, re.S)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the README speaks of."""
    shutil.copytree(ROOT / "samples", tmp_path, dirs_exist_ok=True)
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    assert PROBLEM
    for name in ("mine.yaml", "p.yaml"):
        (tmp_path / name).write_text(PROBLEM[1], encoding="utf-8")
    random = np.random.default_rng(5)
    for name in "qkv":
        np.save(tmp_path / f"{name}.npy", random.normal(size=(2, 8, 5, 4)))
    tensors = {"query": (2, 5, 8, 4), "key": (2, 5, 2, 4), "value": (2, 5, 2, 4)}
    arrays = {name: random.normal(size=shape) for name, shape in tensors.items()}
    np.savez(tmp_path / "data.npz", **arrays)
    heads = {name: random.normal(size=(2, 11, 4)) for name in ("query", "key", "value")}
    np.savez(tmp_path / "big.npz", **{name: array[None] for name, array in heads.items()})
    shutil.copy(ROOT / "samples" / "batch" / "manifest.yaml", tmp_path)
    shutil.copy(ROOT / "attncli" / "lessons" / "my-lesson.yaml", tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "progress"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_the_readme_runs(line: str, folder: Path) -> None:
    arguments = shlex.split(line)[1:]
    for target in ("-o", "--output"):
        if target in arguments:
            Path(arguments[arguments.index(target) + 1]).unlink(missing_ok=True)
    assert run(arguments) == 0


def test_there_are_commands() -> None:
    assert len(LINES) >= 12


@pytest.mark.parametrize(
    "words",
    [
        *(f"`{name}`" for name in (*SIMILARITIES, *NORMALIZERS)),
        *(f"`{suffix}`" for suffix in (*ARRAYS, *(made.suffixes[0] for made in FORMATS.values()))),
        *(f"kind: {kind}`" for kind in KINDS if kind != "attention"),
        *(f"{name}`" for name in DIALECTS),
        *(f"attncli {name}" for name in COMMANDS),
    ],
)
def test_what_there_is_is_named(words: str) -> None:
    assert words in README


def test_the_problem_of_the_readme_runs(folder: Path) -> None:
    assert run(["attend", "mine.yaml"]) == 0
    block = re.search(r"```yaml\n(input:.*?)```", README, re.S)
    assert block
    (folder / "input.yaml").write_text(block[1], encoding="utf-8")
    assert run(["attend", "input.yaml"]) == 0
