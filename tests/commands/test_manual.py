"""The manual page says all that the commands and the schema say, and is roff."""

import re
import shutil
import subprocess

import pytest

from attncli.commands import COMMANDS
from attncli.commands.boundary import run
from attncli.files.schema import KEYS


@pytest.fixture
def page(capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["--show-manual"]) == 0
    return capsys.readouterr().out


def test_it_has_every_command_key_and_exit_code(page: str) -> None:
    for name in COMMANDS:
        assert f'.SS "attncli {name}' in page
    for name in KEYS:
        assert rf"\fB{name}\fR" in page
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 70, 75, 130, 143):
        assert rf"\fB{code}\fR" in page
    for option in ("--similarity", "--tile", "--depth", "--points", "--sweep", "--against"):
        assert option.replace("-", r"\-") in page


def test_no_line_is_a_command_by_accident(page: str) -> None:
    known = re.compile(r"\.(TH|SH|SS|TP|B)\b")
    for line in page.splitlines():
        assert not line.startswith("'")
        assert not line.startswith(".") or known.match(line), line
        assert "[bold]" not in line
        assert "[dim]" not in line


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_has_no_complaint(page: str) -> None:
    command = ["groff", "-man", "-Tutf8", "-ww", "-K", "utf8"]
    done = subprocess.run(command, input=page, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "similarity" in re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
