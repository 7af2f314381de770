"""What PROBLEM stands for: a file, three files, an archive; and what flags make of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli import load
from attncli.errors import AttncliError, InputError, UsageError
from attncli.files.problem import flag, merge, open_problem, read_entries, setting, sourced
from attncli.files.snapshot import taking
from attncli.files.types import Entry, Reference

Q, K = np.eye(2), np.arange(6.0).reshape(3, 2)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, array in {"q": Q, "k": K, "v": K}.items():
        np.save(f"{name}.npy", array)
    Path("p.yaml").write_text("query: q.npy\nkey: k.npy\nvalue: v.npy\nrope: {base: 7}\nalign: 0\n")


def refusal(*sources: str) -> AttncliError:
    with pytest.raises(AttncliError) as caught:
        open_problem(sources, {})
    return caught.value


def test_three_files_are_query_key_and_value() -> None:
    made: Any = open_problem(("q.npy", "k.npy", "v.npy"), {})
    np.testing.assert_array_equal(made.key, K)
    entries, base, name = sourced(["q.npy", "k.npy", "v.npy"])
    assert (base, name) == (Path(), "")
    assert {key: entry.value for key, entry in entries.items()} == {
        "query": Reference("q.npy"),
        "key": Reference("k.npy"),
        "value": Reference("v.npy"),
    }


@pytest.mark.parametrize("n", [0, 2, 4, 5])
def test_other_numbers_of_files_are_refused(n: int) -> None:
    error = refusal(*["a.npy"] * n)
    assert isinstance(error, UsageError)
    assert error.what == f"PROBLEM is {n} files"
    assert error.found == " ".join(["a.npy"] * min(n, 4))


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["q.npy", "Q.NPY", "t.csv", "t.tsv"], "one tensor, a problem needs query, key and value"),
        (["p.png", "p.JPG", "p.jpeg"], "a picture, not a problem"),
    ],
)
def test_one_tensor_is_no_problem(names: list[str], what: str) -> None:
    for name in names:
        error = refusal(name)
        assert error.what == f"{name} is {what}"
        assert error.exit_code == 3


@pytest.mark.parametrize("snapshot", [False, True])
def test_an_archive_is_its_tensors(snapshot: bool) -> None:
    np.savez("a.npz", query=Q, key=K, value=K, mask=np.array([[True, False, True]]), other=Q)
    if snapshot:
        with taking():
            made: Any = open_problem(("a.npz",), {})
    else:
        made = open_problem(("a.npz",), {})
    np.testing.assert_array_equal(made.value, K)
    assert len(made.masks) == 1
    assert made.presentation.source == "a.npz"
    np.savez("s.npz", scores=K)
    assert open_problem(("s.npz",), {}) is not None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("attn_mask", "call it mask"),
        ("Q", "call it query"),
        ("heads", "write a problem file with heads: … (or --set heads=…)"),
        ("num_heads", "write a problem file with heads: … (or --set heads=…)"),
    ],
)
def test_a_tensor_with_another_s_name_is_not_passed_over(name: str, hint: str) -> None:
    np.savez("a.npz", query=Q, key=K, value=K, **{name: Q})
    error = refusal("a.npz")
    assert error.what == f"a.npz has a tensor called {name}, which is not read from there"
    assert error.hint == hint


@pytest.mark.parametrize("names", [["image", "kernel", "class_token"], ["kernel", "image"]])
def test_the_tensors_of_an_archive_keep_their_order(names: list[str]) -> None:
    np.savez("a.npz", query=Q, **dict.fromkeys(names, Q))
    assert [*sourced(("a.npz",))[0]] == ["query", *names]
    assert refusal("a.npz").what == f"{names[0]} is no key of kind: attention"


@pytest.mark.parametrize("n", [0, 8, 9])
def test_an_archive_without_a_query_lists_eight_names(n: int) -> None:
    np.savez("a.npz", **{f"t{at}": Q for at in range(n)})
    error = refusal("a.npz")
    assert error.what == "a.npz has no tensor called query"
    assert error.found == (", ".join(f"t{at}" for at in range(min(n, 8))) or "none")


def plain(entries: Any) -> Any:
    """Entries without their places."""
    if isinstance(entries, dict):
        return {key: plain(entry.value) for key, entry in entries.items()}
    return entries


@pytest.mark.parametrize(
    ("assignments", "rope"),
    [
        (["rope.base=5"], {"base": 5.0}),
        (["rope.width=2"], {"base": 7.0, "width": 2}),
        (["rope.width=2", "rope.base=3"], {"base": 3.0, "width": 2}),
        (["rope={width: 2}"], {"width": 2}),
        (["rope={width: 2}", "rope.pairing=interleaved"], {"width": 2, "pairing": "interleaved"}),
    ],
)
def test_a_setting_inside_a_mapping_leaves_the_rest(assignments: list[str], rope: object) -> None:
    entries = read_entries("p.yaml")
    for assignment in assignments:
        entries = merge(entries, setting(assignment))
    assert plain(entries)["rope"] == rope
    assert plain(entries)["query"] == Reference("q.npy")


def test_settings_are_put_together_before_the_file() -> None:
    both = merge(merge({}, setting("rope.width=2")), setting("rope.base=3"))
    assert plain(merge(read_entries("p.yaml"), both))["rope"] == {"base": 3.0, "width": 2}


def test_a_parameter_beside_a_similarity_that_is_a_word() -> None:
    entries = {"similarity": Entry("cosine")}
    merged = merge(entries, setting("similarity.epsilon=0.5"))
    assert plain(merged)["similarity"] == {"name": "cosine", "epsilon": 0.5}


@pytest.mark.parametrize(
    ("assignment", "what"),
    [
        ("causal", "--set causal"),
        ("softcap.x=1", "--set softcap.x: softcap has no keys inside"),
        ("rope.base.x=1", "--set rope.base.x: rope.base has no keys inside"),
        ("rope.bse=1", "unknown key bse"),
        ("nonsense=1", "unknown key nonsense"),
        ("rope.base=x", "rope.base is x"),
    ],
)
def test_a_setting_that_is_none(assignment: str, what: str) -> None:
    with pytest.raises(AttncliError) as caught:
        setting(assignment)
    assert caught.value.what.startswith(what)
    assert caught.value.exit_code == 2


def test_a_flag_is_its_key_with_dashes() -> None:
    entry = flag("key_lengths", "3")
    assert entry.value.item() == 3
    assert entry.place is not None
    assert (str(entry.place), entry.place.is_flag) == ("--key-lengths", True)


def test_keywords_that_are_none_are_silent() -> None:
    made = load(query=Q, key=K, value=K, mask=None, causal=None)
    assert made.masks == ()
    with pytest.raises(InputError, match="unknown key is_causal"):
        load(query=Q, key=K, is_causal=True)


def test_in_a_snapshot_a_file_is_read_as_it_is() -> None:
    with taking():
        first = plain(read_entries("p.yaml"))
    Path("p.yaml").write_text("query: k.npy\n")
    with taking():
        second = plain(read_entries("p.yaml"))
    assert (first["query"], second) == (Reference("q.npy"), {"query": Reference("k.npy")})
