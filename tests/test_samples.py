"""The samples: each runs as it lies, is explained, and is the one that `new` gives."""

import re
from pathlib import Path

import numpy as np
import pytest

from attncli import attend
from attncli.commands.boundary import run

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
FILES = sorted(SAMPLES.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_sample_runs_and_is_explained(path: Path) -> None:
    trace = attend(path)
    assert np.isfinite(trace.output).all()
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(r"# .{10,78}", first)
    assert f"]({path.name})" in (SAMPLES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_new_copies_a_sample_that_runs_alone(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "mine.yaml"
    assert run(["new", path.stem, "-o", str(target)]) == 0
    assert target.read_bytes() == path.read_bytes()
    capsys.readouterr()
    assert run(["attend", str(target), "--steps", "output"]) == 0
    assert capsys.readouterr().out
    assert run(["new", path.stem, "-o", str(target)]) == 5
    assert run(["new", path.stem, "-o", str(target), "--force"]) == 0


def test_new_lists_every_sample(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [
        *(path.stem for path in FILES),
        *("manifest", "exercise", "lesson", "vectors"),
    ]
