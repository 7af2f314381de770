"""The house: imports go down only, files stay small, and nothing heavy is loaded for help."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "attncli"
FLOORS = [
    {"errors", "machine"},
    {"core"},
    {"backends", "files"},
    {"solve", "api", "worked"},
    {"oracle", "bench"},
    {"formats", "batch", "exercise"},
    {"lessons"},
    {"testing"},
    {"commands"},
]
APART = {"backends": {"files"}, "files": {"backends"}}
CONTRIBUTING = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
MODULES = sorted(PACKAGE.rglob("*.py"))


def part(module: str) -> str:
    """The part of the house of a dotted module name."""
    return module.split(".")[1] if "." in module else ""


def floor(name: str) -> int:
    return next(height for height, names in enumerate(FLOORS) if name in names)


def imports(path: Path) -> list[tuple[str, bool]]:
    """The modules that a file imports, and whether at its top rather than when a function runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, id(node) in top))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if here in ("__init__", "__main__"):
        return
    for module, at_top in imports(path):
        if not module.startswith("attncli.") or not at_top:
            continue
        there = part(module)
        assert floor(there) <= floor(here), f"{here} imports {module}"
        assert there not in APART.get(here, set()), f"{here} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_their_floors_know_typer_rich_and_numpy(path: Path) -> None:
    where = path.relative_to(PACKAGE).as_posix()
    names = {module.split(".")[0] for module, _ in imports(path)}
    if not where.startswith("commands/"):
        assert "typer" not in names
        assert "rich" not in names or where.startswith("formats/")
    if where.startswith("core/"):
        assert "numpy" not in names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_small_and_open_with_their_reason(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 450
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("name", sorted({*re.findall(r"`((?:\w+/)+\w+(?:\.\w+)?)`", CONTRIBUTING)}))
def test_what_contributing_names_is_there(name: str) -> None:
    """A file, or a module and perhaps what is in it: `core/tiled.py`, `files/commit`."""
    if (PACKAGE.parent / name).exists() or (PACKAGE / name).exists():
        return
    module, _, member = name.partition(".")
    found = importlib.import_module(f"attncli.{module.replace('/', '.')}")
    assert not member or hasattr(found, member)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_help_and_version_load_neither_numpy_nor_a_backend(arguments: list[str]) -> None:
    code = (
        "import sys; from attncli.commands.boundary import run; run(sys.argv[1:]); "
        "bad = {'numpy', 'yaml', 'attncli.core.attention'} & {*sys.modules}; "
        "sys.exit(f'loaded {bad}' if bad else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_help_of_a_command_loads_no_numpy() -> None:
    code = (
        "import sys; from attncli.commands.boundary import run; run(['attend', '--help']); "
        "sys.exit('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--similarity" in done.stdout
