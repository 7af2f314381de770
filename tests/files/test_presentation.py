"""Labels, titles and notation: where each name comes from, and for which vectors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attncli import attend, load
from attncli.errors import InputError
from attncli.files.presentation import COUNTS

EYE = [[1.0, 0.0], [0.0, 1.0]]
TALL = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("q.csv").write_text(",f,g\nit,1,0\nis,0,1\n")
    Path("k.csv").write_text("a,1,0\nb,0,1\nc,1,1\n")
    Path("v.csv").write_text("x,y\n1,0\n0,1\n1,1\n")
    Path("c.csv").write_text(",it,is\nf,1,0\ng,0,1\n")


def labels(**keys: Any) -> dict[str, tuple[str, ...]]:
    found = attend(**keys).labels
    return {axis: found.given(axis) for axis in ("query", "key", "feature") if found.given(axis)}


def test_the_labels_of_tables_are_those_of_their_vectors() -> None:
    given = {"query": "q.csv", "key": "k.csv", "value": "v.csv"}
    assert labels(**given) == {"query": ("it", "is"), "key": ("a", "b", "c"), "feature": ("f", "g")}
    del given["query"]
    assert labels(**given, query=EYE) == {"key": ("a", "b", "c"), "feature": ("x", "y")}
    assert labels(query=EYE, key=TALL, value="v.csv") == {"feature": ("x", "y")}
    assert labels(query=EYE, key=TALL, value="k.csv") == {"key": ("a", "b", "c")}


def test_labels_of_the_problem_go_before_those_of_tables() -> None:
    given = {"query": "q.csv", "key": "k.csv", "value": "v.csv"}
    mine = {"query": ["p", "q"], "key": ["r", "s", "t"], "feature": ["u", "v"]}
    for axis in mine:
        found = labels(**given, labels={axis: mine[axis]})
        assert found == labels(**given) | {axis: tuple(mine[axis])}


def test_in_columns_the_first_row_names_the_vectors() -> None:
    found = labels(query="c.csv", key=EYE, value=EYE, notation="columns")
    assert found == {"query": ("it", "is"), "feature": ("f", "g")}


PAST = {"key": EYE, "value": EYE}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, "abc"),
        ({"past": PAST}, ["past0", "past1", *"abc"]),
        ({"zero_key": True}, [*"abc", "zero"]),
        ({"past": PAST, "zero_key": True}, ["past0", "past1", *"abc", "zero"]),
    ],
)
def test_the_cache_and_the_zero_key_have_names_of_their_own(
    given: dict[str, Any], names: object
) -> None:
    problem = {"query": EYE, "key": TALL, "value": TALL, **given}
    wanted = tuple(names)  # type: ignore[arg-type]
    for written in (["a", "b", "c"], "a b c", list(wanted)):
        assert labels(**problem, labels={"key": written}) == {"key": wanted}
    for wrong in (["a", "b"], [*wanted, "d"]):
        if len(wrong) != 3:
            with pytest.raises(InputError) as caught:
                attend(**problem, labels={"key": wrong})
            n = len(wanted)
            assert caught.value.what == f"labels.key has {len(wrong)} labels, for {n} vectors"
            assert (caught.value.expected, caught.value.found) == (
                f"one a vector, {n}",
                str(len(wrong)),
            )


def test_labels_of_a_batch_are_one_list_an_entry() -> None:
    both = np.array([EYE, EYE])
    found = load(
        query=both, key=both, value=both, zero_key=True, labels={"key": [["a", "b"], ["c", "d"]]}
    ).presentation.labels
    assert found.key == (("a", "b", "zero"), ("c", "d", "zero"))
    with pytest.raises(InputError, match=r"labels\.key has 1 label, for 2 vectors"):
        load(query=both, key=both, value=both, labels={"key": [["a", "b"], ["c"]]})


def test_a_flat_list_names_the_input() -> None:
    assert labels(input=EYE, labels=["a", "b"]) == {"query": ("a", "b"), "key": ("a", "b")}
    assert labels(input=EYE, source=TALL, labels=["a", "b"]) == {"query": ("a", "b")}
    with pytest.raises(InputError, match="labels is a list, and there is no input"):
        load(query=EYE, key=EYE, labels=["a", "b"])


def test_features_are_as_many_as_one_of_the_tables_is_wide() -> None:
    given: dict[str, Any] = {"query": EYE, "key": EYE, "value": [[1.0, 2, 3], [4, 5, 6]]}
    for names in ("ab", "abc"):
        assert labels(**given, labels={"feature": [*names]}) == {"feature": tuple(names)}
    for names in ("a", "abcd"):
        with pytest.raises(InputError) as caught:
            load(**given, labels={"feature": [*names]})
        assert caught.value.what == f"labels.feature has {len(names)} labels"
        assert (caught.value.expected, caught.value.found) == (
            "one a feature: 2 or 3",
            str(len(names)),
        )


def test_features_of_a_batch_are_those_of_its_last_axis() -> None:
    given = {key: np.ones((2, 3, 4)) for key in ("query", "key", "value")}
    assert labels(**given, labels={"feature": [*"abcd"]}) == {"feature": (*"abcd",)}
    for names in ("ab", "abc"):
        with pytest.raises(InputError, match=r"labels\.feature has") as caught:
            load(**given, labels={"feature": [*names]})
        assert caught.value.expected == "one a feature: 4"


def title(**keys: Any) -> str:
    return str(load(**keys).presentation.title)


@pytest.mark.parametrize(
    ("n", "said"),
    [
        *((1, "one vector"), (2, "two vectors"), (9, "nine vectors")),
        *((10, "ten vectors"), (11, "11 vectors"), (12, "12 vectors")),
    ],
)
def test_a_title_counts_in_words_up_to_ten(n: int, said: str) -> None:
    assert title(input=np.ones((n, 2))) == f"Self-attention of {said}"
    assert len(COUNTS) == 11


def test_titles() -> None:
    assert title(query=EYE, key=EYE) == ""
    assert title(input=EYE, source=TALL) == "Cross-attention"
    assert title(input=EYE, title="Mine") == "Mine"
    Image.new("RGB", (3, 2)).save("p.png")
    assert title(input="p.png").startswith("Self-attention of ")
    assert "2 × 3" in title(input="p.png")
    assert title(input="p.png", source=[[1.0, 2, 3]]) == "Cross-attention"


def test_what_query_key_and_value_are_made_of() -> None:
    assert load(query=EYE, key=EYE).presentation.made_of == {}
    alone = load(input=EYE).presentation.made_of
    assert alone == {"query": "input", "key": "input", "value": "input"}
    across = load(input=EYE, source=TALL).presentation.made_of
    assert across == {"query": "input", "key": "source", "value": "source"}


def test_a_table_names_the_vectors_of_an_input() -> None:
    made = {"projections": {"query": EYE, "key": EYE, "value": EYE}}
    assert labels(input="q.csv", **made) == {"query": ("it", "is"), "key": ("it", "is")}
    crossed = labels(input="q.csv", source="k.csv", **made)
    assert crossed == {"query": ("it", "is"), "key": ("a", "b", "c")}
    named = labels(input="q.csv", labels=["you", "said"], **made)
    assert named["key"] == ("you", "said"), "what the problem says is stronger"
