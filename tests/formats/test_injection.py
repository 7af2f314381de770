"""Texts of an input are inert in every output: shown as they are, and never obeyed.

Labels, a title, a note, names of files and words of a command line hold what terminals, browsers,
spreadsheets, TeX, Markdown and Rich would act on, mixed with any other characters.
"""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.cells import cell_len

from attncli.commands.boundary import run
from attncli.core.labels import Labels
from attncli.formats import marks, render
from attncli.formats.arithmetic import LATEX, TEXT
from attncli.formats.csv import FORMULA
from attncli.formats.display import Display, plain
from attncli.formats.teller import Teller
from attncli.formats.told import FORMATS as TOLD
from attncli.oracle.marking import Marked
from attncli.solve import Trace
from attncli.worked import Working
from tests.commands.surroundings import STYLE
from tests.formats import test_latex
from tests.formats.test_html import ATTRIBUTES, TAGS, Reader
from tests.formats.traces import causal

PIECES = [
    # terminals
    *("\x1b[31m", "\x1b]0;owned\x07", "\x1b]8;;http://evil.test\x1b\\x", "\x9b31m", "\x90q"),
    *"\x00\x07\b\t\n\r\x0b\x0c\x7f\x85",
    # directions, what has no width, halves of characters, and letters that are none of these
    *"\u202a\u202e\u2066\u2069\u200e\u200f\u061c\u200b\u200d\ufeff\u2028\u2029\u0301\u00ad",
    *"\ud800\udcff\U000e0041\ufffe\u115f😀日é",
    # Rich
    *("[red]x[/red]", "[link=http://evil.test]x[/link]", "[/]", "\\[b]", ":smile:", "[b]"),
    # HTML and SVG
    *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style>", "</script>"),
    *("javascript:alert(1)", "&amp;", "&#27;", "<!--", "]]>", "<svg onload='x'>", "{height}"),
    # TeX
    *("\\input{/etc/passwd}", "\\write18{id}", "^^5c", "``", *"$%#_~{}\\"),
    # spreadsheets
    *("=cmd|'/C calc'!A1", "+1", "-1.5", "@SUM(A1)", "＝1", "  =1", *"'\",;"),
    # Markdown
    *("[x](http://evil.test)", "![x](y)", "| a | b |", "```", "~~~", "# x", "- x", "12. x"),
    *("> x", "*x*", "__x__", "<b>", "www.evil.test", "---", "===", "@someone", "`x`"),
    # YAML and JSON
    *("no", "null", "1e3", ": ", "- ", "!!python/object:os.system", "&a *a", "%YAML", "..."),
]
NAMES = st.lists(st.sampled_from(PIECES) | st.text(st.characters(), max_size=4), max_size=3).map(
    "".join
)
FOUR = st.tuples(NAMES, NAMES, NAMES, NAMES)
ALL = tuple("".join(PIECES[place::8]) for place in range(8))
"""Every piece in one of eight names."""


def any_names(test: Any) -> Any:
    """Any names of four queries and four keys; and each time those with all of the pieces."""
    for ascii in (False, True):
        test = example(ALL[:4], ALL[4:], ascii)(test)
    return given(FOUR, FOUR, st.booleans())(test)


some = settings(max_examples=30, deadline=None)
shared = settings(some, suppress_health_check=[HealthCheck.function_scoped_fixture])


def labelled(queries: tuple[str, ...], keys: tuple[str, ...]) -> Trace:
    """Four queries and keys of these names; the first is the title, too, a note names the third."""
    presentation = causal().problem.presentation
    shown = replace(presentation, labels=Labels(queries, keys), title=queries[0])
    return causal(presentation=shown)


def written(queries: Any, keys: Any, form: str, ascii: bool, **display: Any) -> str:
    """A report, which holds nothing that steers, in the letters that it may have."""
    text = render(labelled(queries, keys), Display(ascii=ascii, **display), form)
    unstyled = STYLE.sub("", text) if display.get("color") else text
    assert unstyled.replace("\n", "").isprintable()
    assert text.isascii() or not ascii
    return text


def joined(text: str) -> str:
    """Two halves of a character that stand together are that character to JSON and YAML."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@some
@any_names
def test_on_a_terminal(queries: Any, keys: Any, ascii: bool) -> None:
    for width in (20, 80):
        text = written(queries, keys, "table", ascii, color=True, width=width)
        assert all(cell_len(line) <= width for line in STYLE.sub("", text).splitlines())
    wide = written(queries, keys, "table", ascii, width=2000)
    for name in (*queries, *keys):
        assert plain(name, ascii=ascii).rstrip() in wide


@pytest.mark.parametrize(("form", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
@some
@any_names
def test_in_json_and_yaml_they_come_back(
    form: str, load: Any, queries: Any, keys: Any, ascii: bool
) -> None:
    read = load(written(queries, keys, form, ascii))
    assert joined(read["problem"]["title"]) == joined(queries[0])
    weights = next(step for step in read["steps"] if step["name"] == "weights")
    assert [*map(joined, weights["labels"]["query"])] == [*map(joined, queries)]
    assert [*map(joined, weights["labels"]["key"])] == [*map(joined, keys)]
    assert any(joined(queries[2]) in joined(note) for note in read["notes"])


@some
@any_names
def test_in_a_spreadsheet_they_are_texts_and_numbers_are_numbers(
    queries: Any, keys: Any, ascii: bool
) -> None:
    rows = list(csv.DictReader(StringIO(written(queries, keys, "csv", ascii), newline="")))
    shown = labelled(queries, keys)
    for row in rows:
        float(row["value"])  # -1.5 stays a number
        for axis, names in (("query", queries), ("key", keys)):
            cell = row[f"{axis}_label"]
            assert not cell.lstrip().startswith(FORMULA[:-1])
            if row[axis]:
                name = plain(names[int(row[axis])], ascii=ascii)
                assert cell == ("'" + name if name.lstrip().startswith(FORMULA) else name)
    values = [float(row["value"]) for row in rows if row["step"] == "scores"]
    assert values == shown["scores"].ravel().tolist()
    assert any(value < 0 for value in values)


class Markup(HTMLParser):
    """The tags of a page that Markdown made, and the texts of its cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        html = MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"])
        self.feed(html.render(text))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        self.open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]][-1] += data


IN_TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
REPORTED = {"h2", "h3", "p", "code", "strong", "ul", "li"} | IN_TABLES


@some
@any_names
def test_in_markdown(queries: Any, keys: Any, ascii: bool) -> None:
    text = written(queries, keys, "markdown", ascii)
    read = Markup(text)
    assert read.tags <= REPORTED
    (title,) = read.texts["h2"]
    named = plain(" ".join(queries[0].split()), ascii=ascii).strip()
    assert title.strip() == (named or "Attention")
    stated = {cell for tag in ("th", "td") for cell in read.texts[tag]}
    assert {plain(name, ascii=ascii).strip() for name in (*queries, *keys)} <= stated
    assert not re.search(r"://|www\.|(?<!\\)[$]|:smile:", text)


@pytest.mark.parametrize("label", ["12. x", "- x", "+", "3) y", "1."])
def test_a_label_begins_no_list_in_markdown(label: str) -> None:
    teller = Teller(Working(labelled(("a", "b", "c", "d"), (label,) * 4).problem), "rows")
    read = Markup(TOLD["markdown"](teller.output("", (), 0), f"{label}.yaml", Display()))
    assert read.tags <= STORIES
    assert f"{label} holds all of the weight." in read.texts["p"]


@some
@any_names
def test_in_html(queries: Any, keys: Any, ascii: bool) -> None:
    read = Reader(written(queries, keys, "html", ascii, steps=("weights",)))
    assert {tag for tag, _ in read.tags} <= TAGS
    assert {name for _, attributes in read.tags for name in attributes} <= ATTRIBUTES
    heads = [text for tag, attributes, _, text in read.texts if tag == "th"]
    assert heads == [*map(plain, keys), *map(plain, queries)]
    assert read.report["steps"][0]["tables"][0]["rows"] == [*map(plain, queries)]


DRAWN = {"circle", "svg", "style", "defs", "clipPath", "rect", "g", "text", "title"}


@some
@any_names
def test_in_svg(queries: Any, keys: Any, ascii: bool) -> None:
    text = written(queries, keys, "svg", ascii, steps=("weights",))
    tree = ElementTree.fromstring(text)
    assert {element.tag.rpartition("}")[2] for element in tree.iter()} <= DRAWN
    for element in tree.iter():
        assert not any(name.startswith("on") or "href" in name for name in element.attrib)
        assert all("javascript" not in value for value in element.attrib.values())
    (style,) = (element for element in tree.iter() if element.tag.endswith("style"))
    assert "evil" not in (style.text or "")


@some
@any_names
def test_in_latex(queries: Any, keys: Any, ascii: bool) -> None:
    text = written(queries, keys, "latex", ascii)
    test_latex.check(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*\\(?:input|write|openout|immediate)", text)
    assert "^^" not in text


STORIES = {"h2", "p", "code", "pre"} | IN_TABLES


@pytest.mark.parametrize("form", TOLD)
@some
@example(("\\input{/etc/passwd}",) * 4, ("\\input{x}", "b", "c", "d"), False)
@any_names
def test_in_worked_arithmetic(form: str, queries: Any, keys: Any, ascii: bool) -> None:
    working = Working(labelled(queries, keys).problem)
    teller = Teller(working, "rows", script=LATEX if form == "latex" else TEXT)
    for story in (teller.output("", (), 3), teller.cell("weights", (3, 0), 1)):
        text = TOLD[form](story, f"{queries[2]}.yaml", Display(ascii=ascii))
        assert text.replace("\n", "").isprintable()
        if form == "latex":
            assert text.isascii()
            commands = {*re.findall(r"\\([A-Za-z]+)", text.replace(r"\\", " "))}
            assert commands <= test_latex.COMMANDS | IN_STORIES
            assert not re.search(r"(?<!\\)[#%]", text)
        elif form == "markdown":
            read = Markup(text)
            assert read.tags <= STORIES
            assert read.texts["h2"][0].strip() == plain(story.title).strip()
            cells = {cell for tag in ("th", "td") for cell in read.texts.get(tag, ())}
            assert {plain(key.name, ascii=ascii).strip() for key in story.keys} <= cells
        else:
            assert all(cell_len(line) <= 80 for line in text.splitlines())


IN_STORIES = {"section", "allowdisplaybreaks", "align", "tabular", "center", "hline", "underbrace"}


@some
@given(NAMES, NAMES, st.booleans())
def test_of_answer_sheets(source: str, problem: str, ascii: bool) -> None:
    sheets = [Marked(source, problem=problem or "unreadable")]
    told = marks.text(sheets, Display(ascii=ascii))
    assert told.replace("\n", "").isprintable()
    (row,) = csv.DictReader(StringIO(marks.as_csv(sheets), newline=""))
    for cell in row.values():
        assert cell.isprintable()
        assert not cell.lstrip().startswith(FORMULA[:-1])
    (read,) = json.loads(json.dumps(marks.as_json(sheets)))
    assert joined(read["sheet"]) == joined(source)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("words")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        problem = {"query": [[1, 0]], "key": [[1, 0], [0, 1]], "value": [[1], [2]]}
        Path("p.json").write_text(json.dumps(problem))
        yield made


@shared
@given(name=NAMES, other=NAMES)
def test_in_files_that_are_read_and_shown(
    name: str, other: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = json.loads(Path("p.json").read_text())
    problem |= {"title": name, "labels": {"query": [name], "key": [other, f"{other}2"]}}
    Path("n.json").write_text(json.dumps(problem))
    for command in (["attend"], ["inspect"], ["verify", "--dialects"], ["explain", "b1"]):
        run([command[0], "n.json", *command[1:]])
        said(capsys)


WORDS = [
    "attend {}",
    "explain p.json {}",
    "explain p.json weights {} {}",
    "attend p.json --window {}",
    "attend p.json --set {}=1",
    "attend p.json --focus {}",
    "attend p.json --steps {}",
    "attend p.json --format {}",
    "attend p.json -o nowhere/{}.npz",
    "attend p.json --backend {}",
    "attend p.json --max-memory {}",
    "verify p.json {}",
    "inspect {}",
    "new {}",
    "learn {}",
    "batch {}",
    "bench --cases {}",
    "backends test {}",
    "{} p.json",
]


@settings(shared, max_examples=12)
@given(name=NAMES)
@pytest.mark.parametrize("line", WORDS)
def test_in_what_is_said_of_a_command_line(
    line: str, name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assume(not name.startswith("-") and name not in ("", ".", ".."))
    assume(not Path(name.replace("\0", "")).exists())
    code = run([word.replace("{}", name) for word in line.split()])
    out, err = said(capsys)
    assert code in (0, 2, 3, 4, 5, 6, 7)
    assert code == 0 or (1 <= len(err.splitlines()) <= 4 and not out)


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert "a bug in attncli" not in err, err
    for text in (out, err):
        assert text.replace("\n", "").isprintable()
    return out, err


@pytest.mark.parametrize("name", ["\ud800", "a\0b"])
def test_a_name_that_no_file_can_have(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["attend", "p.json", "-o", f"{name}.npz"]) == 5
    assert run(["attend", f"{name}.yaml"]) == 3
    said(capsys)
