"""Places: a label, a position from 0, or a symbol from 1."""

import pytest

from attncli.core.labels import Labels, plural, symbol, whole
from attncli.errors import UsageError

LABELS = Labels(query=("the", "cat", "the", "2"))


def test_labels_before_symbols() -> None:
    assert LABELS.names("weights", "query", 4) == ("the", "cat", "the", "2")
    assert LABELS.names("weights", "key", 2) == ("k1", "k2")
    assert LABELS.names("value", "key", 2) == ("v1", "v2")
    assert Labels().names("layers.0.self_attention.output", "query", 2) == ("b1", "b2")
    assert LABELS.names("value", "feature", 3) == ()


@pytest.mark.parametrize(
    ("text", "place"), [("cat", 1), ("0", 0), ("2", 3), ("q1", 0), ("q4", 3), ("b2", 1)]
)
def test_a_place_is_a_label_a_position_or_a_symbol(text: str, place: int) -> None:
    assert LABELS.find("query", text, 4) == place


@pytest.mark.parametrize(
    "text",
    [
        "the",
        "dog",
        "4",
        "-1",
        "--1",
        "q0",
        "q5",
        "q-1",
        "k1",
        "",
        "٣",
        "9" * 5000,
        f"q{'9' * 5000}",
    ],
)
def test_what_is_not_there_or_there_twice_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        LABELS.find("query", text, 4)


def test_a_label_that_occurs_twice_names_its_positions() -> None:
    with pytest.raises(UsageError, match="names 2 query vectors") as refused:
        LABELS.find("query", "the", 4)
    assert refused.value.found == "positions 0, 2, counted from 0"


def test_what_is_not_there_is_told_with_what_would_be() -> None:
    def refused(axis: str, text: str, labels: Labels = LABELS) -> UsageError:
        with pytest.raises(UsageError) as caught:
            labels.find(axis, text, 4)
        return caught.value

    twice = refused("query", "the")
    assert twice.hint == "give the position instead, such as 0"
    unknown = refused("query", "dog")
    assert unknown.expected == "a label, a position from 0 to 3 or a symbol such as q1"
    assert unknown.found == "labels the, cat, the, 2"
    assert refused("feature", "dog").expected == "a label, a position from 0 to 3"
    assert refused("head", "dog").found == "'dog'"
    assert refused("query", "4").expected == "a position from 0 to 3"
    for most, end in ((12, "12"), (13, "12, …")):
        many = Labels(key=tuple(str(place) for place in range(1, most + 1)))
        assert refused("key", "dog", many).found.endswith(f"11, {end}")


def test_a_number_without_a_sign_has_at_most_eighteen_digits() -> None:
    assert [whole(text) for text in ("0", "07", "9" * 18)] == [0, 7, 10**18 - 1]
    assert {whole(text) for text in ("", "-1", "1.0", "9" * 19, "٣")} == {None}


def test_places_are_counted_by_the_words_and_letters_of_their_axis() -> None:
    axes = ("query", "key", "batch", "batch2", "head", "patch")
    assert [plural(axis) for axis in axes] == [
        "queries",
        "keys",
        "batch entries",
        "batch entries",
        "heads",
        "patches",
    ]
    assert symbol("layers.0.self_attention.query", "query") == "q"
    assert [symbol("heads", "query"), symbol("weights", "key"), symbol("output", "feature")] == [
        "b",
        "k",
        "",
    ]
    assert Labels().find("key", "v2", 2) == Labels().find("key", "a2", 2) == 1


def test_labels_of_each_batch_entry_are_the_firsts_where_no_entry_is_named() -> None:
    own = Labels(query=(("a", "b"), ("c", "d")), others={"class": ("x", "y", "z")})
    assert own.given("query") == own.names("weights", "query", 2) == ("a", "b")
    assert own.find("query", "b", 2) == 1
    assert own.find("query", "d", 2, 1) == 1
    assert own.names("weights", "query", 2, 1) == ("c", "d")
    assert own.names("output", "class", 3) == ("x", "y", "z")
    assert own.names("output", "class", 2) == ()
    assert own.at("layers.0.self_attention.weights").key == own.query
    assert own.at("layers.0.cross_attention.weights").key == ()
