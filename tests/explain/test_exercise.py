"""Exercises: tidy by construction, the same for everybody, and marked by `verify --points`."""

import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncli.commands.boundary import run
from attncli.exercise import DIGITS, KINDS, LARGEST, exercise
from attncli.solve import solve


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9), kind=st.sampled_from(sorted(KINDS)))
def test_every_number_is_tidy(seed: int, kind: str) -> None:
    made = exercise(seed, kind)
    trace = solve(made.problem())
    for name in made.asked:
        value = trace[name]
        assert np.all(np.abs(value - np.round(value, DIGITS)) < 1e-12)
        if name in ("query", "key", "scores"):
            assert np.all(value == np.round(value))
            assert np.all(np.abs(value) <= LARGEST)
    assert np.any((trace["weights"] > 0) & (trace["weights"] < 1))
    assert made.file() == exercise(seed, kind).file()


def test_seeds_and_kinds_differ() -> None:
    files = {exercise(seed, kind).file() for seed in range(20) for kind in KINDS}
    assert len(files) == 20 * len(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_sheet_is_filled_in_and_marked(
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["new", "exercise", "--seed", "7", "--kind", kind, "-o", "w.yaml"]) == 0
    assert run(["attend", "w.yaml"]) == 0
    capsys.readouterr()
    assert run(["verify", "w.yaml", "w-key.yaml", "--points"]) == 0
    n = len(exercise(7, kind).asked)
    assert f"{n}/{n}" in capsys.readouterr().out
    # A blank sheet has no points and no mistakes; one blank in a filled one is a wrong step.
    assert run(["verify", "w.yaml", "w-sheet.yaml", "--points"]) == 1
    assert "no number" not in capsys.readouterr().out
    sheet = Path("w-sheet.yaml").read_text(encoding="utf-8")
    key = Path("w-key.yaml").read_text(encoding="utf-8")
    assert sheet.splitlines()[3:] != key.splitlines()[3:]
    head, _, tail = key.partition("weights:")
    half = head + "weights:" + sheet.partition("weights:")[2]
    Path("half.yaml").write_text(half, encoding="utf-8")
    assert run(["verify", "w.yaml", "half.yaml", "w-key.yaml", "--points", "--format", "csv"]) == 1
    table = capsys.readouterr().out
    assert "missing" in table
    assert "wrong" not in table
    del tail


class Balanced(HTMLParser):
    """Counts that every element ends."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("suffix", ["md", "tex", "html"])
def test_sheets_for_paper(
    kind: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["new", "exercise", "--seed", "11", "--kind", kind, "-o", f"w.{suffix}"]) == 0
    sheet = Path(f"w-sheet.{suffix}").read_text(encoding="utf-8")
    key = Path(f"w-key.{suffix}").read_text(encoding="utf-8")
    blank = {"md": r"\_\_\_", "tex": r"\underline{\hspace{3em}}", "html": "<td></td>"}[suffix]
    asked = exercise(11, kind)
    n_cells = sum(solve(asked.problem())[name].size for name in asked.asked)
    assert sheet.count(blank) == n_cells
    assert blank not in key
    if suffix == "html":
        for page in (sheet, key):
            parser = Balanced()
            parser.feed(page)
            assert not parser.open
            assert "http" not in page
    if suffix == "tex":
        for page in (sheet, key):
            assert page.count(r"\begin{") == page.count(r"\end{")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["exercise", "--kind", "self-atention"], 2, "did you mean self-attention?"),
        (["exercise", "--seed", "7", "-o", "w.npz"], 2, "expected .yaml .md .tex .html"),
        (["causal", "--seed", "7"], 2, "--seed and --kind are of exercises"),
    ],
)
def test_errors_teach(
    words: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["new", *words]) == code
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_nothing_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("w-key.md").write_text("mine", encoding="utf-8")
    assert run(["new", "exercise", "--seed", "7", "-o", "w.md"]) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["w-key.md"]


@pytest.mark.heavy
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_latex_compiles(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["new", "exercise", "--seed", "11", "--kind", kind, "-o", "w.tex"]) == 0
    for name in ("w-sheet.tex", "w-key.tex"):
        command = ["pdflatex", "-halt-on-error", "-interaction=batchmode", name]
        subprocess.run(command, check=True, capture_output=True)
