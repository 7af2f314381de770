"""What is suggested next to people at a terminal: commands that work."""

import re
import shlex
from pathlib import Path

import pytest

from attncli.commands.boundary import run
from tests.commands.test_learn import Terminal

PROBLEM = """\
query: [[1, 0], [0, 1], [1, 1], [2, 1]]
key: query
value: query
"""


def suggested(shown: str) -> list[str]:
    """The words of the command after `next: attncli`."""
    found = re.search(r"^next: attncli (.*)\r$", shown, re.M)
    assert found is not None, shown
    return shlex.split(found[1])


@pytest.mark.parametrize(
    ("name", "labels", "place"),
    [
        ("p.yaml", "", "q4"),
        ("my problem.yaml", "labels: {query: [the, cat, sat, down]}\n", "down"),
        ("p.yaml", "labels: {query: [a, cat, the, the]}\n", "cat"),  # of which `the`?
        ("p.yaml", "labels: {query: [a, cat, weights, scores]}\n", "cat"),  # steps are called so
        ("p.yaml", "labels: {query: ['?', '!', 'a b', '--']}\n", "0"),
    ],
)
def test_a_query_to_explain(
    name: str, labels: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_text(PROBLEM + labels)
    terminal = Terminal(tmp_path, "attend", name)
    assert terminal.code() == 0
    words = suggested(terminal.shown)
    assert words == ["explain", name, place]
    monkeypatch.chdir(tmp_path)
    assert run(words) == 0


@pytest.mark.parametrize("words", [["-q"], ["--causal"], ["--format", "csv"], ["-o", "o.txt"]])
def test_nothing_where_it_would_be_in_the_way_or_of_another_problem(
    words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "p.yaml").write_text(PROBLEM)
    terminal = Terminal(tmp_path, "attend", "p.yaml", *words)
    assert terminal.code() == 0
    assert "next:" not in terminal.shown


def test_a_problem_that_was_typed_has_no_name(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "attend", "-")
    terminal.type(f"{PROBLEM}\x04")
    assert terminal.code() == 0
    assert suggested(terminal.shown) == ["attend", "PROBLEM", "--focus", "q4"]


def test_a_sample_a_lesson_and_a_first_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for asked, answer in (
        (["new"], ["new", "soft-addressing", "-o", "first.yaml"]),
        (["learn"], ["learn", "1"]),
    ):
        terminal = Terminal(tmp_path, *asked)
        assert terminal.code() == 0
        assert suggested(terminal.shown) == answer
        assert run(answer) == 0
        quiet = Terminal(tmp_path, *asked, "-q")
        assert quiet.code() == 0
        assert "next:" not in quiet.shown
    shown = Terminal(tmp_path, "new", "soft-addressing")
    assert shown.code() == 0
    assert shown.shown.replace("\r\n", "\n") == (tmp_path / "first.yaml").read_text()
