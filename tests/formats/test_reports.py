"""JSON, YAML, CSV and Markdown."""

import csv
import json
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pytest
import yaml

from attncli.core.labels import Labels
from attncli.core.step import Step
from attncli.formats import FORMATS, render
from attncli.formats.display import Display, plain
from tests.formats.traces import causal, heads, lee, random, trace

EVIL = ("=1+1", "a|b*_`<b>", "\x1b]0;x\x07\u202e\x9b", "no")


def report(shown: Any, format: str, **display: Any) -> str:
    return render(shown, Display(**display), format)


def labelled(**changes: Any) -> Any:
    presentation = replace(causal().problem.presentation, labels=Labels(EVIL, EVIL))
    return causal(presentation=presentation, **changes)


def test_json_holds_the_steps() -> None:
    shown = lee()
    read = json.loads(report(shown, "json"))
    assert list(read) == ["attncli", "problem", "steps", "output", "notes"]
    assert read["attncli"] == 1
    assert read["problem"]["title"] == "Self-attention of four vectors"
    assert read["problem"]["kind"] == "attention"
    assert [step["name"] for step in read["steps"]] == [n for n in shown.names if n != "lse"]
    for step in read["steps"]:
        assert list(step) == ["name", "title", "formula", "axes", "shape", "labels", "value"]
        assert np.array_equal(np.array(step["value"]), shown.step(step["name"]).value)
    assert read["steps"][3]["axes"] == ["key", "query"]
    assert np.array_equal(np.array(read["output"]), shown.output)


def test_json_says_what_is_null() -> None:
    read = json.loads(report(causal(), "json", steps=("masked",)))
    assert read["steps"][0]["value"][0][1] is None
    assert "masked: every null is -inf (9 cells)" in read["notes"]
    values = np.array([[np.nan, 1.0], [np.inf, -np.inf]])
    notes = json.loads(report(trace(Step("output", values, ("query", "feature"))), "json"))["notes"]
    assert notes == [
        "output: null is NaN at [0, 0]",
        "output: null is -inf at [1, 1]",
        "output: null is inf at [1, 0]",
    ]


def test_json_keeps_float32_short() -> None:
    values = np.array([[0.1, 1e-30]], np.float32)
    text = report(trace(Step("output", values, ("query", "feature"))), "json")
    assert "[[0.1, 1e-30]]" in text


@pytest.mark.parametrize("name", ["json", "yaml"])
def test_axes_and_labels_in_focus(name: str) -> None:
    load = json.loads if name == "json" else yaml.safe_load
    shown = labelled()
    read = load(report(shown, name, steps=("weights",), focus={"query": 3, "key": slice(1, 3)}))
    (step,) = read["steps"]
    assert step["shape"] == [1, 2]
    assert step["labels"] == {"query": ["no"], "key": [*EVIL[1:3]]}
    assert np.array_equal(np.array(step["value"]), shown["weights"][3:, 1:3])
    assert np.array_equal(np.array(read["output"]), shown.output[3:])


@pytest.mark.parametrize("format", ["json", "yaml"])
@pytest.mark.parametrize("shown", [lee(), causal(), heads(), random(2, 3, 5)])
def test_every_number_comes_back(shown: Any, format: str) -> None:
    text = report(shown, format)
    read = json.loads(text) if format == "json" else yaml.safe_load(text)
    for step in read["steps"]:
        ours = shown.step(step["name"]).value
        theirs = np.array(step["value"], dtype=float)
        lost = np.where(np.isfinite(ours), ours, np.nan) if format == "json" else ours
        assert theirs.shape == ours.shape
        assert np.array_equal(theirs, lost, equal_nan=True)


def test_yaml_spells_numbers_its_way() -> None:
    values = np.array([[1e-5, -2e300, np.nan], [np.inf, -np.inf, -0.0]])
    text = report(trace(Step("output", values, ("query", "feature"))), "yaml")
    assert "[[1.0e-05, -2.0e+300, .nan]," in text
    assert "[.inf, -.inf, -0.0]]" in text
    assert np.array_equal(np.array(yaml.safe_load(text)["output"]), values, equal_nan=True)


def test_csv_is_long() -> None:
    rows = list(csv.DictReader(StringIO(report(causal(), "csv", steps=("key", "weights")))))
    assert list(rows[0]) == [
        *("step", "head", "query", "key", "feature", "value"),
        *("query_label", "key_label"),
    ]
    assert rows[1] == {
        **dict.fromkeys(rows[0], ""),
        "step": "key",
        "key": "0",
        "feature": "1",
        "value": "-2.0",
        "key_label": "the",
    }
    weights = [row for row in rows if row["step"] == "weights"]
    assert len(weights) == 16
    assert (weights[4]["query_label"], weights[4]["key_label"]) == ("animal", "the")
    assert float(weights[4]["value"]) == causal()["weights"][1, 0]


def test_csv_has_a_batch_where_there_is_one() -> None:
    rows = list(csv.DictReader(StringIO(report(heads(), "csv", focus={"head": 1}))))
    assert [*rows[0]][:4] == ["step", "batch", "head", "query"]
    assert {row["head"] for row in rows} == {"1"}
    assert {row["batch"] for row in rows} == {"0", "1"}


def test_csv_labels_one_list_a_batch() -> None:
    names = (("a", "b"), ("c", "d"))
    step = Step("weights", np.eye(2) * np.ones((2, 1, 1)), ("batch", "query", "key"))
    rows = list(csv.DictReader(StringIO(report(trace(step, labels=Labels(key=names)), "csv"))))
    assert [row["key_label"] for row in rows] == ["a", "b", "a", "b", "c", "d", "c", "d"]


def test_csv_labels_are_no_formulas() -> None:
    text = report(labelled(), "csv", steps=("query",))
    assert ",'=1+1\n" in text
    assert ",=1+1" not in text


def test_markdown_escapes_labels() -> None:
    text = report(labelled(), "markdown", steps=("weights",))
    assert "| a&#124;b\\*\\_\\`&lt;b&gt; |" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {7}
    assert rows[1] == "| :--- | ---: | ---: | ---: | ---: | ---: |"
    assert rows[2].split(" | ")[1:] == ["1.000", "·", "·", "·", "1 |"]


def test_markdown_shows_corners() -> None:
    text = report(random(40, 30, 4), "markdown", steps=("scores",))
    assert "… 24 of 40 queries, 14 of 30 keys left out" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 17
    assert {row.count("|") for row in rows} == {19}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("ascii", [True, False])
def test_no_format_lets_controls_through(format: str, ascii: bool) -> None:
    text = report(labelled(), format, ascii=ascii)
    assert text.replace("\n", "").isprintable()
    assert text.endswith("\n")
    assert text.isascii() or not ascii


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_honours_steps(format: str) -> None:
    assert report(lee(), format, steps=("scores",)) != report(lee(), format, steps=("weights",))
    assert report(lee(), format, steps=())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain [x]", "plain [x]"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\u200bb\u2066", r"a\u200bb\u2066"),
        ("\U000e0041", r"\U000e0041"),
        ("a\u00a0b\u3000", "a b "),
        ("\u0301x", "◌\u0301x"),
        ("\ud800", r"\ud800"),
    ],
)
def test_plain(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_what_must_be_kept() -> None:
    assert Display().kept() is None
    assert Display(steps=("weights",)).kept() == {"weights", "masked", "scores"}
    assert Display(steps=()).kept() == frozenset()
