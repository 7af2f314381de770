"""The lessons that ship: each is sound."""

from pathlib import Path

import pytest

from attncli.commands.boundary import run
from attncli.lessons import shelf


@pytest.mark.parametrize("path", shelf.paths().values(), ids=lambda path: path.stem)
def test_a_lesson_is_sound(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["learn", "--check", str(path)]) == 0
    assert "sound" in capsys.readouterr().out
