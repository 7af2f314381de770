"""The page: inert texts, sound structure, the numbers of the JSON report, colours that can be read.

What only a browser can tell is in test_browser.py.
"""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from itertools import chain
from typing import Any

import numpy as np
import pytest

from attncli import load
from attncli.core.labels import Labels
from attncli.core.step import Step
from attncli.formats import html, origins, render
from attncli.formats.display import Display, plain
from attncli.solve import Trace, solve
from attncli.worked import Working
from tests.formats.traces import causal, heads, lee, random, trace
from tests.test_samples import SAMPLES

EVIL = (
    "<script>pwned = 1</script>",
    "</script><img src=x onerror='pwned = 1'>",
    '"><svg onload="pwned = 1"> & &lt; <!-- http://evil.test/x',
    "\x1b]0;x\x07\u202e\u2028",
)
VOID = {"meta", "input", "br", "img"}
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "h1", "p", "span", "form", "b"),
    *("fieldset", "legend", "label", "input", "main", "div", "section", "h2", "table", "thead"),
    *("tbody", "tr", "th", "td", "ul", "li", "footer", "aside", "script"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "id", "style", "role", "scope"),
    *("colspan", "aria-label", "aria-live", "hidden", "type", "value", "checked"),
}


class Reader(HTMLParser):
    """Reads a page and holds it to being well formed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, dict[str, str | None], str, str]] = []
        """Tag, attributes, the section it is in, text."""
        self.script = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))
            if tag in ("th", "td", "span"):
                self.texts.append((tag, dict(attrs), self.section(), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        tag, attributes = self.open[-1] if self.open else ("", {})
        if tag in ("th", "td", "span"):
            self.texts.append((tag, attributes, self.section(), self.texts.pop()[3] + data))
        if attributes.get("id") == "report":
            self.script += data

    def section(self) -> str:
        return next((a["id"] or "" for tag, a in reversed(self.open) if tag == "section"), "")

    @property
    def report(self) -> Any:
        return json.loads(self.script)


def page(shown: Trace, **display: Any) -> str:
    return render(shown, Display(**display), "html")


def sample(name: str) -> Trace:
    return solve(load(SAMPLES / f"{name}.yaml"))


def labelled() -> Trace:
    presentation = replace(causal().problem.presentation, labels=Labels(EVIL, EVIL), title=EVIL[1])
    return causal(presentation=presentation)


SHOWN = {
    "columns": lee,
    "masked, labelled": causal,
    "batch of heads": heads,
    "float32": lambda: solve(load(query=[[1, 2]], key=[[3, 0.1]], value=[[1, 2]], dtype="float32")),
    "two heads, joined": lambda: sample("two-heads"),
    "fewer key heads": lambda: sample("grouped-heads"),
    "layers": lambda: sample("encoder"),
    "images": lambda: sample("convolution"),
    "evil labels": labelled,
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_page_is_well_formed_and_fetches_nothing(name: str) -> None:
    text = page(SHOWN[name]())
    read = Reader(text)
    assert {tag for tag, _ in read.tags} <= TAGS
    assert {*chain.from_iterable(attributes for _, attributes in read.tags)} <= ATTRIBUTES
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len({*ids})
    assert [tag for tag, _ in read.tags].count("script") == 2
    policy = next(a["content"] for _, a in read.tags if "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    if name != "evil labels":
        assert not re.search(r"https?:|src=|href=|url\(|@import|fetch|XMLHttp|import\(", text)


@pytest.mark.parametrize("name", SHOWN)
def test_every_number_is_that_of_the_json_report(name: str) -> None:
    shown = SHOWN[name]()
    read = Reader(page(shown))
    theirs = json.loads(render(shown, Display(), "json"))["steps"]
    assert [step["name"] for step in read.report["steps"]] == [step["name"] for step in theirs]
    for number, (ours, step) in enumerate(zip(read.report["steps"], theirs, strict=True)):
        value = np.array(step["value"], dtype=float)
        if step["axes"][-3:] == ["row", "column", "feature"]:
            value = np.moveaxis(value, -1, -3)
        value = value.reshape(len(ours["tables"]), -1)
        ours_too = np.array([table["value"] for table in ours["tables"]], dtype=float)
        assert np.array_equal(ours_too, value, equal_nan=True)
        cells = [
            text
            for tag, attributes, section, text in read.texts
            if section == f"step-{number}" and tag == "td" and is_cell(attributes)
        ]
        assert cells == ours["tables"][0]["text"].split(" ")
        for table, numbers in zip(ours["tables"], value, strict=True):
            check_texts(table["text"].split(" "), numbers)


def is_cell(attributes: dict[str, str | None]) -> bool:
    return re.fullmatch(r"s[0-8a-e]", attributes.get("class") or "") is not None


def check_texts(texts: list[str], numbers: Any) -> None:
    """What is written is the number, rounded to the last digit that is written."""
    for text, number in zip(texts, numbers.tolist(), strict=True):
        if text == "·":
            assert number == 0 or np.isnan(number)
            continue
        written = text.replace("−", "-")
        mantissa, _, exponent = written.partition("e")
        decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
        assert abs(float(written) - number) <= 0.5 * 10.0**-decimals * (1 + 1e-9)


def test_labels_and_title_are_inert() -> None:
    text = page(labelled())
    read = Reader(text)
    assert read.script.count("<") == 0
    heads_of_weights = [t for tag, a, s, t in read.texts if tag == "th" and a["scope"] == "col"]
    assert heads_of_weights[:4] == [plain(label) for label in EVIL]
    assert read.report["steps"][0]["tables"][0]["rows"] == [plain(label) for label in EVIL]
    assert text.replace("\n", "").isprintable()


def test_ascii_pages_show_the_same_labels() -> None:
    presentation = replace(causal().problem.presentation, labels=Labels(("é", "中", "<", "b")))
    shown = causal(presentation=presentation)
    text = page(shown, ascii=True)
    assert text.isascii()
    ours, wide = Reader(text), Reader(page(shown))
    assert ours.texts == wide.texts
    assert ours.report == wide.report


@pytest.mark.parametrize("name", ["columns", "masked, labelled", "two heads, joined", "layers"])
def test_arithmetic_and_sources_of_every_cell(name: str) -> None:
    """The cells that are lit hold, by value, exactly the numbers of the arithmetic."""
    shown = SHOWN[name]()
    working = Working(shown.problem)
    steps = Reader(page(shown)).report["steps"]
    is_turned = shown.notation == "columns"
    lines = 0
    for step in steps:
        own = working.steps[step["name"]]
        extent = tuple(own.value.shape)
        for index in np.ndindex(extent):
            *lead, row, column = index
            if is_turned:
                row, column = column, row
            table = step["tables"][np.ravel_multi_index(lead, extent[:-2]) if lead else 0]
            place = row * step["columns"] + column
            assert table["line"][place] == working.line(step["name"], index)
            lines += bool(table["line"][place])
            sources = working.sources(step["name"], index)
            wanted = sorted((name, working.value(name, cell)) for name, cell in sources)
            assert sorted(lit(steps, table["from"][place])) == wanted
    assert lines > 10


def lit(steps: Any, boxes: list[list[int]]) -> list[tuple[str, float]]:
    found = []
    for number, table, top, bottom, first, last in boxes:
        step = steps[number]
        for row in range(top, bottom + 1):
            for column in range(first, last + 1):
                place = row * step["columns"] + column
                value = step["tables"][table]["value"][place]
                found.append((step["name"], -np.inf if value is None else value))
    return found


def test_a_score_comes_from_one_query_and_one_key() -> None:
    """In columns notation each vector is a column."""
    steps = Reader(page(lee())).report["steps"]
    assert [step["name"] for step in steps[:4]] == ["query", "key", "value", "scores"]
    third_key_first_query = 2 * 4
    boxes = steps[3]["tables"][0]["from"][third_key_first_query]
    assert boxes == [[0, 0, 0, 1, 0, 0], [1, 0, 0, 1, 2, 2]]


def test_focus_keeps_positions_and_drops_sources_out_of_sight() -> None:
    shown = causal()
    display = {"steps": ("key", "masked", "weights"), "focus": {"query": 3, "key": slice(1, 3)}}
    steps = Reader(page(shown, **display)).report["steps"]
    weights = steps[2]["tables"][0]
    assert weights["rows"] == ["cross"]
    assert weights["names"] == ["animal", "didn't"]
    assert weights["from"][0] == [[1, 0, 0, 0, 0, 1]]
    assert weights["value"] == shown["weights"][3, 1:3].tolist()


def test_room_for_arithmetic_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "the arithmetic of" not in page(lee())
    monkeypatch.setattr(origins, "MOST_WORKED", 30)
    text = page(lee())
    steps = {step["name"]: step["tables"][0] for step in Reader(text).report["steps"]}
    assert "Of 64 numbers, the arithmetic of 24 is in this page" in text
    assert {name for name, table in steps.items() if "line" in table} == {"weights", "output"}
    monkeypatch.setattr(origins, "LARGEST", 0)
    assert "Of 64 numbers, the arithmetic of none is in this page" in page(lee())


def test_long_axes_show_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = random(70, 66, 2)
    read = Reader(page(shown, steps=("weights",)))
    (step,) = read.report["steps"]
    assert step["columns"] == 64
    table = step["tables"][0]
    assert table["names"][31:33] == ["k32", "k35"]
    ends = np.r_[:32, 34:66]
    rows = np.r_[:32, 38:70]
    assert table["value"] == shown["weights"][np.ix_(rows, ends)].ravel().tolist()
    assert "6 of 70 queries, 2 of 66 keys left out" in page(shown, steps=("weights",))
    monkeypatch.setattr(html, "MOST_CELLS", 1000)
    assert Reader(page(shown, steps=("weights",))).report["steps"][0]["columns"] == 16


def test_numbers_that_are_none() -> None:
    values = np.array([[np.nan, 1.0, np.inf, -np.inf]])
    shown = trace(Step("output", values, ("query", "feature")))
    read = Reader(page(shown))
    table = read.report["steps"][0]["tables"][0]
    assert table["text"] == "nan 1 ∞ ·"
    assert table["value"] == [None, 1.0, None, None]


def test_empty_steps_say_so() -> None:
    shown = trace(Step("output", np.empty((0, 2)), ("query", "feature")))
    assert '<p class="cut">empty</p>' in page(shown)


CSS = files("attncli.formats").joinpath("page", "page.css").read_text(encoding="utf-8")
ROOTS = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
LIGHT, DARK, PRINT = (dict(re.findall(r"--([\w-]+): (#\w{6})", root)) for root in ROOTS)
THEMES = {"light": LIGHT, "dark": {**LIGHT, **DARK}, "print": {**LIGHT, **PRINT}}


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_and_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
def test_contrast_is_enough_to_read(theme: str) -> None:
    colours = THEMES[theme]
    assert {*DARK} == {*LIGHT}
    shades = [name for name in colours if re.fullmatch(r"[pn]\d", name)]
    assert len(shades) == 13
    for behind in ("paper", "raised", *shades):
        assert contrast(colours["ink"], colours[behind]) >= 4.5, behind
    for text in ("dim", "accent"):
        for behind in ("paper", "raised"):
            assert contrast(colours[text], colours[behind]) >= 4.5, (text, behind)
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
    for behind in ("paper", *shades):  # frames are no text: 3 is enough
        assert contrast(colours["accent"], colours[behind]) >= 3, behind


def test_every_shade_has_its_rule() -> None:
    for name in "12345678abcde":
        assert f"td.s{name} " in CSS


def test_shades_follow_the_numbers_of_their_table() -> None:
    values = np.array([[[0.0, 1.0, -10.0, 5.0]], [[0.25, np.nan, -np.inf, -0.5]]])
    shown = trace(Step("output", values, ("head", "query", "feature")))
    tables = Reader(page(shown)).report["steps"][0]["tables"]
    assert [table["shade"] for table in tables] == ["00e2", "200e"]
    weights = Reader(page(lee(), steps=("weights",))).report["steps"][0]["tables"][0]
    largest = max(weights["value"])
    expected = [str(int(8 * value / largest + 0.5)) for value in weights["value"]]
    assert [*weights["shade"]] == expected
