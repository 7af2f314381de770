"""`bench` where something is missing: memory for a peer, room for a column, a second size."""

import json
import re
import resource
import sys
from pathlib import Path

import pytest

from attncli.bench import measure, memory, peers
from attncli.bench.cases import CASES, Trial
from attncli.bench.measure import Row, Times
from attncli.commands.boundary import run
from attncli.formats.display import Display
from attncli.formats.timings import Bench, as_json, picture, table

TINY = ["--heads", "1", "--d", "4", "--repeat", "1", "--against", "naive"]


@pytest.fixture(autouse=True)
def _peak_is_soon_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PEAK_N", 64)


def row(case: str, n: int, size: int | None = 2**20) -> Row:
    """A measurement that was never made."""
    made = Row(Trial(CASES[case], n, 2, 4), Times((1e-3 * n,)), memory=size, share=0.5)
    made.peers, made.peer_memory = {"naive": Times((2e-3 * n,))}, {"naive": size}
    return made


def shown(rows: list[Row], width: int = 80) -> str:
    bench = Bench(rows, ("naive",), {"float32": 9.0}, {"threads": "2 threads"})
    return table(bench, Display(width=width))


def test_a_peer_that_memory_is_too_short_for_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        measure, "free_memory", lambda: 2 * Trial(CASES["full"], 20, 1, 4).naive_bytes
    )
    assert run(["bench", "--cases", "full", "--n", "20,21", *TINY, "--width", "100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    last = {line.split()[1]: line.split()[-1] for line in lines if line.startswith("full  ")}
    assert last["21"] == "memory"
    assert float(last["20"]) > 0


@pytest.mark.parametrize(
    ("width", "gone"), [(80, ""), (50, "left out: × naive "), (40, "left out: memory, × naive ")]
)
def test_columns_without_room_are_left_out_whole_and_named(width: int, gone: str) -> None:
    text = shown([row("full", 10), row("causal", 10)], width=width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert gone in " ".join(lines)
    assert ("left out" in text) == bool(gone)
    assert "●" not in text  # one size makes no curve


def test_a_run_whose_memory_is_unknown_has_times_all_the_same() -> None:
    rows = [row("full", n, None) for n in (10, 20)]
    text = shown(rows)
    assert re.search(r"^full +10 +10 ms .* – ", text, re.M)
    assert "full: time" in text
    assert "full: memory" not in text
    made = json.loads(as_json(Bench(rows, ("naive",), {}, {})))
    assert [each["memory"] for each in made["rows"]] == [None, None]


def test_a_picture_of_one_size_has_its_points() -> None:
    bench = Bench([row("full", 10), row("causal", 10)], (), {}, {"threads": "2 threads"})
    drawn = picture(bench)
    assert "Attention on this machine: 2 threads" in drawn
    assert ">time</text>" in drawn
    assert drawn.count("<circle") == 2 + 1  # and one in the legend


def test_without_peers_nothing_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert peers.chosen("none") == ()
    words = ["bench", "--cases", "full", "--n", "8", *TINY[:-1], "none", "--format", "json"]
    assert run(words) == 0
    (only,) = json.loads(capsys.readouterr().out)["rows"]
    assert only["peers"] == {}


def test_where_there_is_no_proc_the_system_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STATUS", "CLEAR"):
        monkeypatch.setattr(memory, name, tmp_path / "nothing")
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.setattr(sys, "platform", "linux")
    assert memory.forget() >= largest * 1024
    monkeypatch.setattr(sys, "platform", "darwin")
    assert largest <= memory.most() < largest * 1024
