"""Guards are proved: a deliberate defect in a copy of the house makes the named test fail.

Each file beside this one lists defects: what it is (`defect`), the `file` with the `old` text that
becomes `new`, and the test that `fails` for it. The default run sees that every text is there
still, once; the heavy one puts each defect into a copy of the house and runs its test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
HOUSE = HERE.parent.parent
DEFECTS = [
    entry for file in sorted(HERE.glob("*.yaml")) for entry in yaml.safe_load(file.read_text())
]
names = pytest.mark.parametrize("entry", DEFECTS, ids=lambda entry: entry["defect"])


@names
def test_the_text_that_a_defect_changes_is_there_once(entry: dict[str, str]) -> None:
    assert (HOUSE / entry["file"]).read_text().count(entry["old"]) == 1
    assert entry["old"] != entry["new"]
    assert (HOUSE / entry["fails"].partition("::")[0]).exists()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The house without its history, which a defect may be put into and taken out of."""
    house = tmp_path_factory.mktemp("house")
    for name in ("attncli", "tests", "samples"):
        shutil.copytree(HOUSE / name, house / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(HOUSE / name, house)
    return house


@pytest.mark.heavy
@names
def test_a_defect_makes_its_test_fail(entry: dict[str, str], copy: Path) -> None:
    file = copy / entry["file"]
    sound = file.read_text()
    assert outcome(copy, entry["fails"]) == pytest.ExitCode.OK, "it fails without the defect, too"
    file.write_text(sound.replace(entry["old"], entry["new"]))
    try:
        assert outcome(copy, entry["fails"]) == pytest.ExitCode.TESTS_FAILED
    finally:
        file.write_text(sound)


def outcome(house: Path, test: str) -> int:
    """How pytest ends on one test of this house; a test that hangs for it has failed."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    command += ["-m", "heavy or not heavy"]
    try:
        run = subprocess.run(
            command,
            cwd=house,
            env=os.environ | {"PYTHONPATH": str(house)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=300,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return pytest.ExitCode.TESTS_FAILED
    return run.returncode
