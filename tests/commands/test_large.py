"""What is shown of a problem whose steps are too large to be kept: here, all are."""

import re
from pathlib import Path

import numpy as np
import pytest

from attncli import attend, load, machine, solve
from attncli.commands.boundary import run

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
CAUSAL = str(SAMPLES / "causal.yaml")


@pytest.fixture
def _all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solve, "BUDGET", 0)
    monkeypatch.setattr(machine, "_allowed", None)  # --max-memory holds for a process
    monkeypatch.setenv("COLUMNS", "80")


def titles(shown: str) -> list[str]:
    """The names of the tables."""
    return re.findall(r"(?:^| {2,})(?:\d )?([A-Z][a-z]+) {2}", shown, re.M)


VECTORS = ["Queries", "Keys", "Values"]
STEPS = [*VECTORS, "Scores", "Scaled", "Masked", "Weights", "Output"]
NOTE = "! all steps need 1.63 kB: computed by tiles; scores and weights are shown for a\n"


@pytest.mark.usefixtures("_all_are_large")
@pytest.mark.parametrize(
    ("words", "shown", "note"),
    [
        ([], [*VECTORS, "Output"], NOTE),
        (["--focus", "sat"], STEPS, ""),
        (["--focus", "sat", "--steps", "weights"], ["Weights"], ""),
        (["--steps", "weights"], ["Weights"], ""),
        (["--steps", "output"], ["Output"], ""),
        (["--tile", "none"], STEPS, ""),
        (["--tile", "2"], [*VECTORS, "Output"], "! tiles have no scores and no weights: "),
        (["--tile", "2", "--focus", "sat"], [*VECTORS, "Output"], "! tiles have no scores"),
    ],
)
def test_the_steps_that_there_is_room_for_are_shown(
    words: list[str], shown: list[str], note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["attend", CAUSAL, *words]) == 0
    out = capsys.readouterr().out
    assert titles(out.partition("\n")[2]) == shown
    assert note in out
    assert ("!" in out) == bool(note)
    if "Output" in shown:
        sat = next(line for line in out.split("Output")[1].splitlines() if "sat" in line)
        assert sat.split() == ["sat", "0.752", "0.752"]


@pytest.mark.usefixtures("_all_are_large")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([CAUSAL, "--tile", "2", "--steps", "scores,output"], "--tile 2 with the steps scores"),
        (
            [str(SAMPLES / "encoder.yaml"), "--tile", "2"],
            "--tile 2: only an attention with values is computed by tiles",
        ),
    ],
)
def test_steps_that_tiles_do_not_have_are_refused(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["attend", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert "hint: --tile auto" in err


@pytest.mark.usefixtures("_all_are_large")
def test_of_a_long_problem_only_the_query_in_focus_is_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 2))
    np.savez(tmp_path / "p.npz", query=vectors, key=vectors, value=vectors)
    words = ["attend", str(tmp_path / "p.npz"), "--focus", "7", "--max-memory", "500kB"]
    assert run([*words, "--tile", "none"]) == 6
    assert run(words) == 0
    assert "q8" in capsys.readouterr().out


@pytest.mark.usefixtures("_all_are_large")
@pytest.mark.parametrize("labels", [[["a", "b"], ["c", "d"]], ["a", "b"]])
def test_a_query_in_focus_keeps_its_name_and_its_numbers(labels: list[object]) -> None:
    random = np.random.default_rng(0)
    vectors = {name: random.normal(size=(2, 2, 3)) for name in ("query", "key", "value")}
    problem = load(**vectors, labels={"query": labels})
    whole = solve.solve(problem, tile="none")
    one = solve.solve(problem, queries=range(1, 2))
    np.testing.assert_array_equal(one["weights"], whole["weights"][:, 1:])
    for batch in range(2):
        names = solve.excerpt(problem, range(1, 2)).presentation.labels.given("query", batch)
        assert names == whole.labels.given("query", batch)[1:]


def test_a_trace_is_a_collection_of_its_steps() -> None:
    trace = attend(CAUSAL)
    assert len(trace) == len(list(trace)) == len(trace.names)
    assert "weights" in trace
    assert "hidden" not in trace


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (999_600, "1 MB"),
        (1.26e7, "12.6 MB"),
        (3e15, "3e+03 TB"),
    ],
)
def test_bytes_for_people(n: float, words: str) -> None:
    assert solve.size_of(n) == words
