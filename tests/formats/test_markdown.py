"""Markdown as a renderer of GitHub's tables reads it: one cell a number, texts without effect."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from markdown_it import MarkdownIt

from attncli.core.labels import Labels
from attncli.formats import render
from attncli.formats.display import Display, plain
from attncli.solve import Trace
from tests.formats.traces import causal, heads, lee

EVIL = (
    "a|b *c* _d_ `e` ~~f~~",
    "<script>x</script> <!-- &amp;",
    "[link](http://evil.test) ![](x) www.evil.test @someone #12",
    "- 1. # > $x$ \\",
)


class Tables(HTMLParser):
    """The tables of a page, row by row, and which tags there are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.tags: set[str] = set()
        self.in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.in_cell:
            self.tables[-1][-1][-1] += data


def rendered(shown: Trace, **display: object) -> Tables:
    text = render(shown, Display(**display), "markdown")  # type: ignore[arg-type]
    return Tables(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))


@pytest.mark.parametrize("shown", [lee(), causal(), heads()], ids=["columns", "rows", "heads"])
def test_every_number_is_a_cell(shown: Trace) -> None:
    read = rendered(shown, steps=("weights",))
    values = shown["weights"].reshape(-1, *shown["weights"].shape[-2:])
    assert read.tables
    for table, value in zip(read.tables, values, strict=False):
        rows, columns = value.shape
        cells = [row[1 : columns + 1] for row in table[1 : rows + 1]]
        numbers = np.array([[0.0 if cell == "·" else float(cell) for cell in row] for row in cells])
        assert np.abs(numbers - value).max() <= 0.0005001


def test_labels_are_shown_as_they_are() -> None:
    presentation = causal().problem.presentation
    evil = replace(presentation, labels=Labels(EVIL, EVIL), title=EVIL[3])
    read = rendered(causal(presentation=evil), steps=("weights",))
    (table,) = read.tables
    assert table[0][1:5] == [plain(label) for label in EVIL]
    assert [row[0] for row in table[1:]] == [plain(label) for label in EVIL]
    allowed = {"h2", "h3", "p", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    assert read.tags <= allowed
