"""`bench`: what is timed is right, what is counted is right; never how long it took."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from attncli.bench.cases import CASES, Trial
from attncli.bench.measure import Row, Settings, Times, measured, ours, related
from attncli.bench.peers import peer
from attncli.commands.boundary import run
from attncli.core.shapes import count
from attncli.formats.display import Display
from attncli.formats.plot import lettered, svg
from attncli.machine import cores

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS = ("naive", "torch") if find_spec("torch") else ("naive",)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("case", sorted(CASES))
@pytest.mark.parametrize("n", [7, 311])
def test_a_peer_computes_the_same(case: str, n: int, name: str) -> None:
    trial = Trial(CASES[case], n, 8, 5)
    result = np.asarray(ours(trial, Settings("numpy", 2, 64, 1, ()))())
    theirs = np.asarray(peer(name, trial, 2)())
    assert result.shape == theirs.shape == (trial.heads, n, 5)
    assert result.dtype == trial.case.dtype
    assert np.max(np.abs(result - theirs)) < 2e-5


@pytest.mark.parametrize("case", sorted(CASES))
@pytest.mark.parametrize("n", [1, 2, 257, 258, 311])
def test_pairs_are_counted_as_the_mask_has_them(case: str, n: int) -> None:
    trial = Trial(CASES[case], n, 8, 3)
    keys = CASES[case].keys
    left = keys.get("window", (n, 0))[0]
    count = 0
    for query in range(n):
        for key in range(n):
            distance = key - query
            hidden = "causal" in keys and distance > 0
            count += not (hidden or distance < -left)
    assert trial.n_pairs == count
    per_pair = 5 if case == "additive" else 4
    assert trial.operations == trial.heads * count * 3 * per_pair


def test_help_names_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--help"]) == 0
    words = {*re.findall(r"[\w-]+", capsys.readouterr().out)}
    assert words >= {*CASES}


def test_rows_know_each_other() -> None:
    full = Row(Trial(CASES["full"], 64, 2, 4), Times((2.0, 4.0, 3.0)))
    causal = Row(Trial(CASES["causal"], 64, 2, 4), Times((1.5,)))
    causal.peers = {"naive": Times((6.0,))}
    related([full, causal], {"float32": 1e-3})
    assert full.ours.median == 3.0
    assert full.ours.spread == pytest.approx(1 / 3)
    assert (full.to_full, causal.to_full) == (None, 0.5)
    assert causal.ratio("naive") == 0.25
    assert full.share == pytest.approx(full.gflops / 1e-3)


def test_who_computes_something_else_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attncli.bench.measure.peer", lambda *_: lambda: np.zeros((2, 5, 3)))
    trial = Trial(CASES["full"], 5, 2, 3)
    with pytest.raises(AssertionError, match=r"naive is .* apart from us"):
        measured(trial, Settings("numpy", 1, 64, 1, ("naive",)), lambda _: None)


def bench(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    small = ["--n", "64,128", "--heads", "4", "--d", "8", "--repeat", "2", "--against", "naive"]
    assert run(["bench", *small, *words]) == 0
    return capsys.readouterr().out


def test_the_table_and_its_plots(capsys: pytest.CaptureFixture[str]) -> None:
    text = bench(capsys, "--cases", "full,window", "--width", "80")
    assert re.search(r"^case +n +time +± +GFLOP/s +of peak +memory +÷ full +× naive$", text, re.M)
    assert len(re.findall(r"^(?:full|window) +(?:64|128) +[\d.]+ [µm]?s", text, re.M)) == 4
    for title in ("full: time", "full: memory", "window: time"):
        assert f"{title}   ● attncli  ○ naive" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_json_has_every_run(capsys: pytest.CaptureFixture[str]) -> None:
    whole = json.loads(bench(capsys, "--cases", "gqa,additive", "--format", "json"))
    assert [row["case"] for row in whole["rows"]] == ["gqa", "gqa", "additive", "additive"]
    for row in whole["rows"]:
        assert len(row["runs"]) == 2
        assert row["heads"] == (1 if row["case"] == "additive" else 4)
        assert row["kv_heads"] == 1
        assert row["peers"]["naive"]["ratio"] == pytest.approx(
            row["seconds"] / row["peers"]["naive"]["seconds"]
        )
        assert row["memory"] is not None
        assert row["share_of_peak"] == pytest.approx(
            row["gflops"] / whole["peak_gflops"]["float32"]
        )


def test_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, start in (("b.svg", "<svg "), ("b.md", "| case |"), ("b.txt", "Attention on")):
        path = tmp_path / name
        bench(capsys, "--cases", "full", "-o", str(path))
        assert path.read_text(encoding="utf-8").startswith(start)
    assert run(["bench", "-o", str(tmp_path / "b.svg")]) == 5
    assert run(["bench", "-o", str(tmp_path / "b.npz")]) == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--cases", "ful"], 2, "did you mean full?"),
        (["--n", "0"], 2, "expected numbers from 1"),
        (["--against", "jax"], 2, "expected naive, torch, none"),
        (["--format", "csv"], 2, "expected table, json, markdown, svg"),
        (["--backend", "nump"], 7, "there is no backend 'nump'"),
        *([] if find_spec("torch") else [(["--against", "torch"], 3, "attncli[torch]")]),
    ],
)
def test_errors_teach(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", *words]) == code
    assert said in capsys.readouterr().err


def test_memory_is_that_of_the_run_alone() -> None:
    """A naive run makes arrays of n² scores; ours does not."""
    trial = {"case": "full", "n": 1500, "n_heads": 2, "d": 8, "backend": "numpy", "threads": 1}
    sizes = {}
    for name in ("", "naive"):
        arguments = json.dumps({**trial, "tile": 128, "peer": name})
        command = [sys.executable, "-m", "attncli.bench.memory", arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        sizes[name] = int(done.stdout)
    scores = 2 * 1500 * 1500 * 4
    assert sizes["naive"] >= 2 * scores
    assert sizes[""] < scores


@pytest.mark.parametrize("ascii", [True, False])
def test_plots(ascii: bool) -> None:
    curves = {"attncli": [(10.0, 1e-3), (1000.0, 1.0)], "naive": [(10.0, 2e-3)]}
    text = lettered("time", "s", curves, Display(width=60, ascii=ascii))
    marks = "*o" if ascii else "●○"
    for mark in marks:
        assert mark in text.splitlines()[0]
    assert sum(line.count(marks[0]) for line in text.splitlines()[1:]) == 2
    assert text.splitlines()[-1].split() == ["10", "1000"]
    assert not ascii or text.isascii()
    assert all(len(line) <= 60 for line in text.splitlines())
    picture = svg([("a < b", "s", curves)], "x & y")
    assert "a &lt; b" in picture
    assert picture.count("<circle") == 3 + 2
    assert "http://www.w3.org/2000/svg" in picture
    assert picture.count("http") == 1


def test_threads_are_as_many_as_the_machine_has_by_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = json.loads(bench(capsys, "--cases", "full", "--format", "json"))
    assert whole["machine"]["threads"] == count(cores(), "thread")
