"""The cursor: places, refusals, and one result from both parsers."""

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attncli.errors import AttncliError, InputError, LimitError
from attncli.files.types import (
    Boolean,
    Bounds,
    Choice,
    Entry,
    Integer,
    Labels,
    ListOf,
    Mapping,
    Number,
    OneOf,
    Tensor,
    Text,
    read_document,
    read_flag,
)
from attncli.files.yaml import TWIN_LIMIT, Cursor, quoted

SCHEMA = Mapping(
    {
        "title": Text(),
        "query": Tensor(),
        "mask": Tensor(booleans=True),
        "causal": Boolean(),
        "window": Bounds(),
        "labels": Mapping({"query": Labels(), "key": Labels()}),
        "scale": OneOf(Choice(("auto", "none")), Tensor()),
        "heads": Integer(minimum=1),
        "layers": ListOf(Mapping({"weight": Tensor(), "cap": Number(above=0)})),
    }
)

DOCUMENTS = (
    'title: What does "it" attend to?\nquery: [[1, 0, 2]]\nlabels: {query: [it?], key: a b}\n',
    "query:\n- [1.5, .inf]\n- - 2e3\n  - -0\ncausal: true\nmask: [[true, false]]\n",
    '{"query": [[1, 2], [3, 4]], "title": "\\ud83d\\ude00 \\u00e9", "causal": true}\n',
    "layers: [{weight: [[1]], cap: 3}]\nwindow: [2, null]\ntitle: 'it''s'\nscale: auto\n",
    "query: |  # rows\n  1 2\n\n  3, 4\ntitle: >-\n  x\n  y\n",
    "? title\n: x\n--- # c\nheads: 4\n...\n",
)
PIECES = (
    *"[]{}:,-#&*!|>'\"%@`\t\n ~<?=0.1eat\\\r\x00\x85\u2028\ufeffé😀",
    *("---", "...", "\n  ", "\n- ", ": ", "<<: ", "null", "true", "\\u", "\\ud83d", "|\n", " #"),
)


def outcome(document: str | bytes, c: bool) -> object:
    """What a document comes to: comparable values with places, or the text of the error."""
    try:
        return comparable(read_document(document, "p.yaml", SCHEMA, c=c))
    except AttncliError as error:
        return str(error)


def comparable(value: object) -> object:
    if isinstance(value, dict):
        return {key: comparable(inner) for key, inner in value.items()}
    if isinstance(value, Entry):
        return comparable(value.value), str(value.place)
    if isinstance(value, tuple):
        return tuple(map(comparable, value))
    return (value.shape, value.dtype.str, value.tobytes()) if hasattr(value, "dtype") else value


@st.composite
def mutated(draw: st.DrawFn) -> str:
    document = draw(st.sampled_from(DOCUMENTS))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(document)))
        cut = draw(st.integers(0, 3))
        document = document[:at] + draw(st.sampled_from(("", *PIECES))) + document[at + cut :]
    return document


def test_libyaml_is_here_so_that_both_parsers_are_compared() -> None:
    assert yaml.__with_libyaml__


@given(mutated())
@settings(max_examples=800, deadline=None)
@example("title: |#\n  a\n")
@example("query: [[1, 2],\n\t[3, 4]]\n")
@example("labels: {query: [why?, is, it?]}\n")
@example('title: "\\ud83d"\n')
@example('title: "\\UFFFFFFFF"\n')
@example("{title: }\n")
@example("layers: [{weight: , cap: 1}]\n")
def test_both_parsers_agree_on_values_places_and_messages(document: str) -> None:
    assert outcome(document, True) == outcome(document, False)


@given(st.text() | st.binary() | st.lists(st.sampled_from(PIECES)).map("".join))
@settings(max_examples=500, deadline=None)
def test_any_input_is_read_or_refused(document: str | bytes) -> None:
    for c in (True, False):
        read = outcome(document, c)
        assert isinstance(read, dict) or len(str(read).splitlines()) <= 4


@pytest.mark.parametrize("c", [True, False])
@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            "query: [[1, 2], [3, 4]\nheads: 2\n",
            "p.yaml:1:8: error: the list that begins here is not closed\n"
            "  query: [[1, 2], [3, 4]\n"
            "hint: write ] at its end, before line 2",
        ),
        (
            "labels: {query: a\n",
            "p.yaml:1:9: error: the mapping that begins here is not closed\n"
            "  labels: {query: a\n"
            "hint: write } at its end, before line 2",
        ),
        (
            "query: [[1, 2] [3, 4]]\n",
            "p.yaml:1:16: error: a comma is missing before this\n"
            "  query: [[1, 2] [3, 4]]\n"
            "hint: or a ] to close the list",
        ),
        (
            "query: [1, , 2]\n",
            "p.yaml:1:12: error: a value is missing here\n"
            "  query: [1, , 2]\n"
            "hint: remove the comma, or write what belongs there",
        ),
        (
            "heads: 2\nquery:[[1, 2]]\ncausal: true\n",
            "p.yaml:2:6: error: a space is missing after the colon\n"
            "  query:[[1, 2]]\n"
            "hint: write query: [[1, 2]]",
        ),
        (
            "query:[[1, 2]]\n",
            "p.yaml:1:1: error: the document is query:[[1, 2]]\n"
            "  query:[[1, 2]]\n"
            "  expected a mapping with title, query, mask, causal, window, …\n"
            "hint: a space after the colon: query: [[1, 2]]",
        ),
        (
            "labels:\n\tquery: a\n",
            "p.yaml:2:1: error: a tab stands here\n"
            "  query: a\n"
            "hint: use spaces: YAML does not indent with tabs",
        ),
        (
            "title: What: it\n",
            "p.yaml:1:12: error: a second colon stands in this value\n"
            "  title: What: it\n"
            'hint: text with a colon in it stands in quotes: "…"',
        ),
        (
            "heads\ncausal: true\n",
            "p.yaml:1:1: error: this line is not “key: value”\n"
            "  heads\n"
            "hint: such as query: [[1, 0], [0, 1]]",
        ),
        (
            'title: "What\n',
            "p.yaml:1:8: error: the quotation mark is not closed\n"
            '  title: "What\n'
            "hint: write one at the end",
        ),
        (
            'title: "a" b\n',
            "p.yaml:1:12: error: something follows the value\n"
            '  title: "a" b\n'
            'hint: one pair of quotes holds all: "…"',
        ),
        (
            "title: @x\n",
            "p.yaml:1:8: error: a value cannot begin with @\n"
            "  title: @x\n"
            'hint: put the text in quotes: "@…"',
        ),
        (
            'query: "C:\\data"\n',
            "p.yaml:1:12: error: a backslash does not stand for itself in double quotes\n"
            '  query: "C:\\data"\n'
            "hint: use '…'",
        ),
        (
            " heads: 1\ncausal: true\n",
            "p.yaml:2:1: error: this follows the end of the document\n"
            "  causal: true\n"
            "hint: keys of one level begin in the same column",
        ),
        (
            "labels:\n  query: a\n   key: b\n",
            "p.yaml:3:1: error: this line does not fit those above it\n"
            "  key: b\n"
            "hint: keys of one level begin in the same column",
        ),
        (
            "title: |x\n  a\n",
            "p.yaml:1:9: error: after | the line must end\n"
            "  title: |x\n"
            "hint: write the numbers on the lines below it",
        ),
        (
            "query: &q [1]\n",
            "p.yaml:1:8: error: the anchor &q is not read here\n"
            "  query: &q [1]\n"
            "hint: write the value out; text that begins with & stands in quotes",
        ),
        (
            "title: &t it\n",
            "p.yaml:1:8: error: the anchor &t is not read here\n"
            "  title: &t it\n"
            "hint: write the value out; text that begins with & stands in quotes",
        ),
        (
            "title: !!str it\n",
            "p.yaml:1:8: error: tags (!…) are not read here\n"
            "  title: !!str it\n"
            "hint: write the value out; text that begins with ! stands in quotes",
        ),
        (
            "labels: &l {query: a}\n",
            "p.yaml:1:9: error: the anchor &l is not read here\n"
            "  labels: &l {query: a}\n"
            "hint: write the value out; text that begins with & stands in quotes",
        ),
        (
            "query: *q\n",
            "p.yaml:1:8: error: the alias *q is not read here\n"
            "  query: *q\n"
            "hint: write the value out; text that begins with * stands in quotes",
        ),
        (
            "query: !!python/object/apply:os.system [ls]\n",
            "p.yaml:1:8: error: tags (!…) are not read here\n"
            "  query: !!python/object/apply:os.system [ls]\n"
            "hint: write the value out; text that begins with ! stands in quotes",
        ),
        (
            "<<: {heads: 1}\n",
            "p.yaml:1:1: error: merge keys are not read\n"
            "  <<: {heads: 1}\n"
            "hint: write the keys out",
        ),
        (
            "%TAG !e! tag:e,2000:\n---\nheads: 1\n",
            "p.yaml:1:1: error: %TAG has no meaning here\n"
            "  %TAG !e! tag:e,2000:\n"
            "hint: remove that line",
        ),
        (
            "heads: 1\n---\nheads: 2\n",
            "p.yaml:2:1: error: a second document begins here\n"
            "  ---\n"
            "hint: remove the line of three dashes, or make two files",
        ),
        ("", "p.yaml:1:1: error: the file is empty"),
        ("# nothing\n", "p.yaml:2:1: error: the file is empty"),
        (
            "title: a\x1bb\n",
            "p.yaml:1:9: error: the invisible character U+001B stands here\n"
            "  title: a\\x1bb\n"
            'hint: remove it, or write "\\u001B", in double quotes',
        ),
        (
            b"heads: 1\ntitle: caf\xe9\n",
            "p.yaml:2:11: error: the byte 0xE9 is not UTF-8\n"
            "  title: caf\ufffd\n"
            "hint: save the file as UTF-8",
        ),
        (
            "heads: 1\n".encode("utf-16"),
            "p.yaml: error: the file is UTF-16\nhint: save it as UTF-8",
        ),
        (
            'title: "\\ud83d"\n',
            "p.yaml:1:8: error: an escape in this text is half a character\n"
            '  title: "\\ud83d"\n'
            "hint: write the character itself, or its whole code: \\U0001F600",
        ),
        (
            "? [1]\n: 2\n",
            "p.yaml:1:3: error: a list stands as a key\n  ? [1]\n  expected a name",
        ),
    ],
)
def test_a_refusal_says_where_what_and_what_to_do(
    document: str | bytes, message: str, c: bool
) -> None:
    with pytest.raises(InputError) as caught:
        read_document(document, "p.yaml", SCHEMA, c=c)
    assert str(caught.value) == message
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("c", [True, False])
@pytest.mark.parametrize("depth", [64, 100_000])
def test_depth_over_64_is_a_limit(depth: int, c: bool) -> None:
    with pytest.raises(LimitError) as caught:
        read_document("query: " + "[" * depth, "p.yaml", SCHEMA, c=c)
    assert str(caught.value).splitlines()[0] == (
        "p.yaml:1:71: error: lists are nested more than 64 deep"
    )
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("c", [True, False])
def test_depth_64_is_read(c: bool) -> None:
    document = "query: " + "[" * 63 + "7" + "]" * 63
    array = read_document(document, "p.yaml", SCHEMA, c=c)["query"].value
    assert array.shape == (1,) * 63
    assert array.item() == 7


@pytest.mark.parametrize("c", [True, False])
def test_json_is_read_as_json_writes_it(c: bool) -> None:
    document = '{\n\t"title": "a \\ud83d\\ude00 \\/",\n\t"query": [[1, 2],\n\t\t[3, 4]]\n}\n'
    entries = read_document(document, "p.json", SCHEMA, c=c)
    assert entries["title"].value == "a 😀 /"
    assert entries["query"].value.tolist() == [[1, 2], [3, 4]]
    assert str(entries["query"].place) == "p.json:3:11"


@pytest.mark.parametrize("c", [True, False])
def test_a_column_counts_what_stands_in_the_file(c: bool) -> None:
    document = '{"title": "\\ud83d\\ude00", "heads": x}'
    with pytest.raises(InputError) as caught:
        read_document(document, "p.json", SCHEMA, c=c)
    assert caught.value.place is not None
    assert document[(caught.value.place.column or 0) - 1 :] == "x}"


@pytest.mark.parametrize("c", [True, False])
@pytest.mark.parametrize("document", ["\ufeffheads: 2\n", "\ufeffheads: 2\n".encode(), "heads: 2"])
def test_a_byte_order_mark_is_no_part_of_the_text(document: str | bytes, c: bool) -> None:
    entry = read_document(document, "p.yaml", SCHEMA, c=c)["heads"]
    assert (entry.value, str(entry.place)) == (2, "p.yaml:1:8")


def test_a_long_document_is_refused_without_the_twin() -> None:
    document = "title: '" + "x" * TWIN_LIMIT + "'\nquery: [[1, 2]\n"
    with pytest.raises(InputError) as caught:
        read_document(document, "p.yaml", SCHEMA, c=True)
    assert str(caught.value).splitlines()[0] == (
        "p.yaml:2:8: error: the list that begins here is not closed"
    )


def test_a_flag_has_no_line() -> None:
    with pytest.raises(InputError) as caught:
        read_flag(Bounds(), "[2, null", "--window")
    assert str(caught.value) == (
        "--window: error: the list that begins here is not closed\nhint: write ] at its end"
    )
    assert caught.value.exit_code == 2


def test_the_cursor_gives_events_one_by_one() -> None:
    cursor = Cursor("[1, x]", "p.yaml")
    assert cursor.peek() is cursor.next()
    assert [event.value for event in cursor.scalars()] == ["1", "x"]
    assert str(cursor.place(cursor.next())) == "p.yaml:1:6"
    cursor.end()


@pytest.mark.parametrize(
    ("text", "shown"), [("a\x1b[2J", r"a\x1b[2J"), ("é", "é"), ("x" * 50, "x" * 39 + "…")]
)
def test_a_quoted_piece_is_short_and_without_control_characters(text: str, shown: str) -> None:
    assert quoted(text) == shown


def drain(cursor: Cursor) -> None:
    while True:
        cursor.next()


@pytest.mark.parametrize("c", [True, False])
def test_only_lists_that_are_open_count(c: bool) -> None:
    for depth, error in ((64, InputError), (65, LimitError)):
        cursor = Cursor("[" + "[[1], 2], " * 70 + "[" * (depth - 1), "p.yaml", c=c)
        with pytest.raises(AttncliError) as caught:
            drain(cursor)
        assert type(caught.value) is error


@pytest.mark.parametrize("c", [True, False])
@pytest.mark.parametrize("half", ["d800", "dbff", "dc00", "dfff"])
def test_half_a_character_is_refused(half: str, c: bool) -> None:
    with pytest.raises(InputError, match="half a character"):
        read_document(f'title: "\\u{half}"', "p.yaml", SCHEMA, c=c)


@pytest.mark.parametrize("c", [True, False])
@pytest.mark.parametrize("whole", ["d7ff", "e000"])
def test_the_characters_beside_halves_are_whole(whole: str, c: bool) -> None:
    title = read_document(f'title: "\\u{whole}"', "p.yaml", SCHEMA, c=c)["title"].value
    assert title == chr(int(whole, 16))


@pytest.mark.parametrize("c", [True, False])
@pytest.mark.parametrize(
    ("document", "place", "what", "hint"),
    [
        (
            "%YAML 2.0\n---\nheads: 1\n",
            "1:1",
            "YAML directives and tags are not read",
            "remove this",
        ),
        (
            "%YAML 1.1\n%YAML 1.1\n---\na: 1\n",
            "2:1",
            "YAML directives and tags are not",
            "remove this",
        ),
        (
            "%TAG ! x\n%TAG ! y\n---\na: 1\n",
            "2:1",
            "YAML directives and tags are not",
            "remove this",
        ),
        ("title: !e!x y\n", "1:8", "YAML directives and tags are not read", "remove this"),
        ("%YAML x\n---\na: 1\n", "1:7", "YAML directives are not read", "remove this line"),
    ],
)
def test_directives_are_not_read(document: str, place: str, what: str, hint: str, c: bool) -> None:
    with pytest.raises(InputError) as caught:
        read_document(document, "p.yaml", SCHEMA, c=c)
    assert caught.value.what.startswith(what)
    assert (caught.value.hint, str(caught.value.place)) == (hint, f"p.yaml:{place}")


@pytest.mark.parametrize("c", [True, False])
@pytest.mark.parametrize(("n", "place"), [(0, "2:3"), (1, "2:3"), (2, "5:1")])
def test_a_glued_colon_is_looked_for_two_lines_above(n: int, place: str, c: bool) -> None:
    with pytest.raises(InputError) as caught:
        read_document("title: a\n b:c\n" + " x\n" * n + "  d: e\n", "p.yaml", SCHEMA, c=c)
    glued = "a space is missing after the colon"
    misfit = "this line does not fit those above it"
    assert caught.value.what == (misfit if n == 2 else glued)
    assert str(caught.value.place) == f"p.yaml:{place}"


def test_scalars_come_in_runs_of_4096() -> None:
    cursor = Cursor("[" + "1, " * 4097 + "]", "p.yaml")
    cursor.next()
    assert [len(cursor.scalars()) for _ in range(3)] == [4096, 1, 0]
    for n in (4096, 4097):
        text = f"query: [[{'1, ' * n}], [{'2, ' * n}]]"
        assert read_document(text, "p.yaml", SCHEMA)["query"].value.shape == (2, n)
    labels = read_document(f"labels: {{key: [{'a, ' * 4097}]}}", "p.yaml", SCHEMA)["labels"]
    assert labels.value["key"].value == ("a",) * 4097
