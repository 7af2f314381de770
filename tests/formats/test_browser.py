"""The page in a real Chromium: pointing, the keyboard, the pickers, against the JSON report."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli.core.labels import Labels
from attncli.formats import render
from attncli.formats.display import Display
from attncli.solve import Trace
from attncli.worked import Working
from tests.formats.browser import Page, executable
from tests.formats.test_html import EVIL, sample
from tests.formats.traces import causal, heads, random

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(executable() is None, reason="no Chromium on this machine"),
]

CELLS = "[...document.querySelectorAll('#step-{} tbody td')].filter((c) => c.place !== undefined)"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    pages: list[Page] = []

    def open_page(shown: Trace, width: int = 1200, **display: Any) -> Page:
        path = tmp_path / f"page{len(pages)}.html"
        path.write_text(render(shown, Display(**display), "html"), encoding="utf-8")
        pages.append(Page(path, tmp_path / f"profile{len(pages)}", width))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


def report(shown: Trace) -> dict[str, Any]:
    steps = json.loads(render(shown, Display(), "json"))["steps"]
    return {step["name"]: np.array(step["value"], dtype=float) for step in steps}


def middle(page: Page, step: int, place: int) -> tuple[float, float]:
    """Where a cell is, brought into sight."""
    cell = f"{CELLS.format(step)}[{place}]"
    page.run(f"{cell}.scrollIntoView({{block: 'center'}})")
    x, y = page.run(
        f"(() => {{ const r = {cell}.getBoundingClientRect();"
        " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
    )
    return x, y


def said(page: Page) -> dict[str, Any]:
    """What the readout shows."""
    told: dict[str, Any] = page.run(
        "(() => { const q = (s) => document.querySelector('.readout ' + s);"
        " return {name: q('.name')?.textContent ?? null, exact: q('.exact')?.textContent,"
        " line: q('.sum-of')?.dataset.line, made: q('.made')?.textContent ?? ''}; })()"
    )
    return told


def frames(page: Page) -> list[tuple[str, str]]:
    """The step and the cells of each frame around sources."""
    found = page.run(
        "[...document.querySelectorAll('.from')].map((b) =>"
        " [b.closest('section').id, b.dataset.cells])"
    )
    return [(step, cells) for step, cells in found]


def number(text: str) -> float:
    return -np.inf if text == "−∞" else float(text.replace("−", "-"))


def test_pointing_shows_the_arithmetic_of_every_weight_of_both_heads(opened: Any) -> None:
    shown = sample("two-heads")
    weights, working = report(shown)["weights"], Working(shown.problem)
    page = opened(shown)
    for head in range(2):
        page.run(f"document.querySelector('input[name=head][value=\"{head}\"]').click()")
        for key, query in np.ndindex(3, 3):
            page.hover(*middle(page, 4, 3 * key + query))
            told = said(page)
            assert number(told["exact"]) == weights[head, key, query]
            assert told["line"] == working.line("weights", (head, query, key))
            assert told["name"] == f"Weights head {head}, q{query + 1}, k{key + 1}"
            assert told["made"] == f"from Scores q{query + 1}"
            assert frames(page) == [("step-3", f"0 2 {query} {query}")]
            lit = page.run("[...document.querySelectorAll('#step-4 .lit')].map(h => h.textContent)")
            assert lit == [f"q{query + 1}", f"k{key + 1}"] or lit == [
                f"k{key + 1}",
                f"q{query + 1}",
            ]
    page.hover(1, 1)
    assert said(page)["name"] is None
    assert not frames(page)


def test_frames_lie_around_their_cells(opened: Any) -> None:
    page = opened(sample("self-attention"))
    page.hover(*middle(page, 4, 6))
    found = page.run(
        "(() => { const box = document.querySelector('#step-3 .from');"
        f"const cells = {CELLS.format(3)}; const [t, b, f, l] = box.dataset.cells.split(' ');"
        "const a = cells[t * 4 + +f].getBoundingClientRect();"
        "const z = cells[b * 4 + +l].getBoundingClientRect();"
        "const r = box.getBoundingClientRect();"
        "return [r.left - a.left, r.top - a.top, r.right - z.right, r.bottom - z.bottom]; })()"
    )
    assert np.abs(found).max() < 1


def test_the_head_picker_changes_every_table_that_has_heads(opened: Any) -> None:
    shown = heads()
    steps = report(shown)
    page = opened(shown)
    for batch, head in ((0, 0), (1, 0), (1, 2), (0, 1)):
        for axis, place in (("batch", batch), ("head", head)):
            page.run(f"document.querySelector('input[name={axis}][value=\"{place}\"]').click()")
        for i, (name, value) in enumerate(steps.items()):
            texts = page.run(f"{CELLS.format(i)}.map((cell) => cell.textContent)")
            table = value[batch, head] if name != "joined" else value[batch]
            assert np.abs([number(text) for text in texts] - table.ravel()).max() <= 0.0005001
    assert page.run("document.querySelector('.which').textContent") == "batch 0 · head 1"


def test_fewer_key_heads_serve_several_query_heads(opened: Any) -> None:
    shown = sample("grouped-heads")
    steps = report(shown)
    n_heads, n_key_heads = len(steps["query"]), len(steps["key"])
    assert n_key_heads < n_heads
    page = opened(shown)
    page.run(f"document.querySelector('input[name=head][value=\"{n_heads - 1}\"]').click()")
    for i, name in enumerate(("query", "key")):
        texts = page.run(f"{CELLS.format(i)}.map((cell) => cell.textContent)")
        table = steps[name][-1].ravel()
        assert np.abs([number(text) for text in texts] - table).max() <= 0.0005001


def test_walking_with_the_keyboard(opened: Any) -> None:
    shown = causal()
    weights = report(shown)["weights"]
    page = opened(shown)
    step = [*report(shown)].index("weights")
    at = f"{CELLS.format(step)}.indexOf(document.activeElement)"
    page.run(f"{CELLS.format(step)}[0].focus()")
    ways = (
        ("ArrowRight", 1),
        ("ArrowDown", 5),
        ("ArrowLeft", 4),
        ("ArrowLeft", 4),
        ("ArrowUp", 0),
        ("ArrowUp", 0),
        ("End", 3),
        ("ArrowRight", 3),
        ("ArrowDown", 7),
        ("Home", 4),
    )
    for key, place in ways:
        page.press(key)
        assert page.run(at) == place
        assert number(said(page)["exact"]) == weights.ravel()[place]
    page.press("End", control=True)
    assert page.run(at) == 15
    page.press("Home", control=True)
    assert page.run(at) == 0
    stops = page.run(f"{CELLS.format(step)}.filter((cell) => cell.tabIndex === 0).length")
    assert stops == 1
    ring = page.run(
        "(() => { const s = getComputedStyle(document.activeElement);"
        " return [s.outlineStyle, parseFloat(s.outlineWidth)]; })()"
    )
    assert ring == ["solid", 3]
    page.press("Escape")
    assert page.run("document.activeElement.tagName") == "BODY"
    assert said(page)["name"] is None


def test_tab_stops_once_a_table_and_enter_goes_back_to_the_source(opened: Any) -> None:
    page = opened(sample("self-attention"))
    sections = []
    for _ in range(6):
        page.press("Tab")
        sections.append(page.run("document.activeElement.closest('section')?.id"))
    assert sections == [f"step-{i}" for i in range(6)]
    page.run(f"{CELLS.format(4)}[6].focus()")
    walked = [said(page)["name"]]
    for key in ("Enter", "Enter", "Enter", "Backspace", "Backspace", "Backspace"):
        page.press(key)
        walked.append(said(page)["name"])
    there = ["Weights q3, k2", "Scores q3, k1", "Queries q3, feature 0"]
    assert walked == [*there, there[2], there[1], there[0], there[0]]


def test_a_masked_weight_says_so(opened: Any) -> None:
    shown = causal()
    page = opened(shown)
    step = [*report(shown)].index("weights")
    page.hover(*middle(page, step, 3))
    assert page.run(f"{CELLS.format(step)}[3].textContent") == "·"
    assert said(page)["line"] == "This key is left out: it gets no weight."


def test_powers_stand_above_the_line(opened: Any) -> None:
    page = opened(sample("self-attention"))
    page.hover(*middle(page, 4, 0))
    powers = page.run("[...document.querySelectorAll('.readout sup')].map((s) => s.textContent)")
    assert powers == ["0", "0", "1", "1", "0"]


@pytest.mark.parametrize("ascii", [False, True])
def test_hostile_texts_do_nothing(opened: Any, ascii: bool) -> None:
    presentation = replace(causal().problem.presentation, labels=Labels(EVIL, EVIL), title=EVIL[1])
    page = opened(causal(presentation=presentation), ascii=ascii)
    for step in range(3, 6):
        page.hover(*middle(page, step, 5))
    assert page.run("typeof pwned") == "undefined"
    assert page.run("document.querySelectorAll('img, svg, iframe, a').length") == 0
    assert not page.errors
    assert {url.partition(":")[0] for url in page.requests} == {"file"}


@pytest.mark.parametrize("width", [400, 900, 1400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_wide_tables_scroll_in_their_box(opened: Any, width: int, theme: str) -> None:
    labels = tuple(f"a rather long label {i}" for i in range(24))
    shown = random(24, 24, 3)
    presentation = replace(shown.problem.presentation, labels=Labels(labels, labels))
    shown.problem = replace(shown.problem, presentation=presentation)
    page = opened(shown, width)
    page.theme(theme)
    assert page.run("document.documentElement.scrollWidth") <= width
    page.run(f"{CELLS.format(5)}[23].focus()")
    seen = page.run(
        "(() => { const r = document.activeElement.getBoundingClientRect();"
        " return [r.left, r.top, r.right, r.bottom, innerWidth, innerHeight]; })()"
    )
    assert seen[0] >= 0
    assert seen[1] >= 0
    assert seen[2] <= seen[4]
    top = page.run("document.querySelector('.readout').getBoundingClientRect().top")
    assert seen[3] <= top + 1
    assert not page.errors


def test_it_prints(opened: Any, tmp_path: Path) -> None:
    page = opened(sample("two-heads"))
    page.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    page.send("Emulation.setEmulatedMedia", media="print")
    shown = "getComputedStyle(document.querySelector('{}')).display"
    assert page.run(shown.format(".readout")) == "none"
    assert page.run(shown.format(".picks")) == "none"
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
