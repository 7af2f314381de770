"""Every bad input gets its exact words and its exit code, and leaves nothing behind.

`ATTNCLI_REGENERATE=1 python -m pytest tests/bad_inputs` writes what is said now to `expected.txt`:
read the difference before you commit it.
"""

import os
from pathlib import Path

import pytest

from attncli.commands.boundary import run
from tests.bad_inputs import cases, misfits
from tests.bad_inputs.cases import Case

EXPECTED = Path(__file__).parent / "expected.txt"
REGENERATE = "ATTNCLI_REGENERATE" in os.environ
HEAD = "=== "
CASES = (*cases.CASES, *misfits.CASES)


def recorded() -> dict[str, str]:
    """What was said of each case, and with which exit code, in the last line."""
    parts = EXPECTED.read_text(encoding="utf-8").split(HEAD)[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2].strip("\n") for part in parts}


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    return {} if REGENERATE else recorded()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(
    case: Case,
    said: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in case.files.items():
        (tmp_path / name).write_bytes(content)
    code = run(case.arguments)
    out, err = capsys.readouterr()
    assert out == ""
    assert code in (2, 3, 4, 5, 6, 7)
    assert 1 <= len(err.splitlines()) <= 4
    assert "Traceback" not in err
    assert err.replace("\n", "").isprintable()
    assert str(tmp_path) not in err
    for name, content in case.files.items():
        assert (tmp_path / name).read_bytes() == content
    assert {path.name for path in tmp_path.iterdir()} == set(case.files)
    words = f"{err.rstrip()}\nexit {code}"
    if REGENERATE:
        with EXPECTED.open("a", encoding="utf-8") as file:
            file.write(f"{HEAD}{case.name}\n{words}\n\n")
        return
    assert words == said[case.name]


def test_there_are_enough_and_each_has_its_own_name() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) >= 150
    assert set(recorded()) == set(names)
