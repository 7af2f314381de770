"""Places: a label, a position from 0, or a symbol from 1."""

import pytest

from attncli.core.labels import Labels
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
