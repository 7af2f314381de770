"""Reports of what is seldom shown: one axis, no digits left, many maps, shapes that do not fit."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from attncli import attend, load
from attncli.commands.boundary import run
from attncli.core.problem import Notation
from attncli.formats import titles
from attncli.formats.display import spelled
from attncli.formats.plot import amount
from attncli.formats.timings import LEGEND
from attncli.formats.titles import described
from attncli.oracle.slips import SLIPS
from attncli.oracle.slips.layers import LAYER_SLIPS
from attncli.solve import solve

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
HEAD = {"layers": 1, "head": True}
SHIFTED = {
    "projected": ["query", "key", "value", "output"],
    "shifted": ["query", "key", "output"],
    "made_of": dict.fromkeys(("query", "key", "value"), "input"),
}
CONVOLVED = {"kind": "convolution", "kernel_bias": True}


@pytest.fixture
def vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """A problem `p.npz` in the directory where one stands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    random = np.random.default_rng(0)
    made = {
        name: random.normal(size=(n, 3)) for name, n in (("query", 4), ("key", 5), ("value", 5))
    }
    np.savez("p.npz", **made)
    return made


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_a_step_of_one_axis_is_a_list(
    form: str,
    read: object,
    vectors: dict[str, np.ndarray],  # type: ignore[type-arg]
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert callable(read)
    assert run(["attend", "p.npz", "--steps", "lse", "--format", form]) == 0
    (step,) = read(capsys.readouterr().out)["steps"]
    assert (step["name"], step["shape"]) == ("lse", [4])
    assert step["value"] == attend(load(**vectors))["lse"].tolist()


@pytest.mark.parametrize(
    ("step", "settings", "notation", "formula"),
    [
        (
            "output",
            {"layers": 1, "head": True, "class_token": True},
            "rows",
            "y = x Wh, x of the class token",
        ),
        ("output", HEAD, "rows", "Y = X Wh"),
        ("output", {**HEAD, "head_bias": True}, "columns", "Y = Wh X + bh"),
        ("convolution", CONVOLVED, "rows", " + bias"),
        ("scaled", {"scale": [2.0]}, "rows", "S · 2"),
        ("query", SHIFTED, "rows", "Q = X Wq + bq"),
        ("value", SHIFTED, "columns", "V = Wv I"),
        ("key", SHIFTED, "columns", "K = Wk I + bk"),
        ("output", SHIFTED, "columns", "O = Wo B + bo"),
        ("weights", {"normalizer": "none", "temperature": 2.0}, "rows", "A = S / T, T = 2"),
        ("weights", {"normalizer": "none", "temperature": 2.0}, "columns", "A′ = A / T, T = 2"),
        (
            "lse",
            {"temperature": 2.0, "sink": [0.0]},
            "rows",
            "log (Σ exp(S / T) + exp(sink / T)), T = 2",
        ),
    ],
)
def test_a_formula_of_a_rare_setting(
    step: str, settings: dict[str, object], notation: Notation, formula: str
) -> None:
    assert described(step, settings, notation).formula.endswith(formula)


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (2.5, "s", "2.5 s"),
        (0.0123, "s", "12.3 ms"),
        (4e-6, "s", "4 µs"),
        (4.4e-8, "s", "0.044 µs"),
        (3.4e9, "B", "3.4 GB"),
        (999, "B", "999 B"),
        (999_600, "B", "1 MB"),
        (0.9997, "s", "1 s"),
        (0.0009997, "s", "1 ms"),
    ],
)
def test_an_amount_has_the_unit_that_fits(value: float, unit: str, words: str) -> None:
    assert amount(value, unit) == words


OWN = [
    *(
        text
        for tables in (*titles.FORMULAS.values(), titles.LAYERS)
        for t in tables.values()
        for text in t.values()
    ),
    *(
        text
        for slip in (*SLIPS.values(), *LAYER_SLIPS.values())
        for text in (slip.sentence, slip.known_from)
    ),
    *("4 µs", "± ÷ full", LEGEND),
]
"""Texts of ours; `bench` heads its columns with the last but one."""


@pytest.mark.parametrize("text", OWN)
def test_in_ascii_our_own_texts_have_no_escape(text: str) -> None:
    assert "\\" not in spelled(text)


def verdict(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(["verify", *words]) == 1
    return capsys.readouterr().out


def test_a_step_of_another_shape_is_a_difference_that_has_no_place(
    vectors: dict[str, np.ndarray],  # type: ignore[type-arg]
    capsys: pytest.CaptureFixture[str],
) -> None:
    trace = solve(load(**vectors))
    np.savez("theirs.npz", output=trace.output, weights=trace["weights"][:2, :3])
    told = verdict(capsys, "p.npz", "theirs.npz")
    assert re.search(r"^weights +differs +shape \(2 × 3\), not \(4 × 5\)$", told, re.M)
    assert re.search(r"^output +same +0 +0 +0 +12$", told, re.M)
    assert "\nweights has another shape\n" in told
    narrow = verdict(capsys, "p.npz", "theirs.npz", "--width", "32")
    assert "weights  differs  shape (2 × 3),\nnot (4 × 5)\n" in narrow
    assert max(map(len, narrow.splitlines())) <= 32
    told = json.loads(verdict(capsys, "p.npz", "theirs.npz", "--format", "json"))
    assert told["steps"][0]["first"] is None


def test_columns_without_room_are_named(
    vectors: dict[str, np.ndarray],  # type: ignore[type-arg]
    capsys: pytest.CaptureFixture[str],
) -> None:
    trace = solve(load(**vectors))
    np.save("theirs.npy", trace.output)
    np.savez("o.npz", **{step.name: step.value for step in trace})  # type: ignore[arg-type]
    for words, gone in (
        (["verify", "p.npz", "theirs.npy"], "differ, of"),
        (["verify", "p.npz", "o.npz", "--points"], "scaled, weights, output"),
        (["attend", "p.npz", "--simulate", "float16"], "overflow, to zero"),
    ):
        assert run([*words, "--width", "40"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= 40
        assert f"… left out: {gone} (a larger --width)" in " ".join(lines)
        assert run(words) == 0
        assert "left out" not in capsys.readouterr().out


def test_slips_that_fit_equally_well_are_all_named_with_what_tells_them_apart(
    vectors: dict[str, np.ndarray],  # type: ignore[type-arg]
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.save("theirs.npy", solve(load(**vectors, scale=0.5)).output)
    told = verdict(capsys, "p.npz", "theirs.npy", "--scale", "0.5", "--temperature", "2")
    assert "Your output is what you get when the scale is left out." in told
    assert "Or: the temperature is left out.\n  · with it, 0 apart; slip: temp" in told
    assert "the step scaled tells them apart (by" in told


def test_of_a_kind_without_slips_only_the_difference_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = str(SAMPLES / "convolution.yaml")
    np.save(tmp_path / "theirs.npy", attend(sample).output + 1)
    told = verdict(capsys, sample, str(tmp_path / "theirs.npy"))
    assert "output differs everywhere" in told
    assert told.endswith("No slips are known for this kind of problem.\n")
