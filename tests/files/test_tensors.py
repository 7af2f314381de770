"""References: every kind of file by what a problem writes for it, and help where there is none."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import ml_dtypes  # noqa: F401  (registers bfloat16)
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from attncli.errors import AttncliError, InputError, Place
from attncli.files.npz import write_npz
from attncli.files.reading import opened
from attncli.files.safetensors import write_safetensors
from attncli.files.tensors import header, is_reference_path, load, members

QUERY = np.arange(6, dtype=np.float32).reshape(2, 3)
KEY = np.arange(15.0).reshape(5, 3)
PLACE = Place("p.yaml", 2, 8)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    np.save("data/q.npy", QUERY)
    np.savez("data/p.npz", query=QUERY, key=KEY)
    np.savez("data/one.npz", only=KEY)
    np.savez("data/none.npz")
    with Path("data/p.safetensors").open("wb") as file:
        write_safetensors(file, {"query": QUERY, "a:b": KEY})
    Path("data/t.csv").write_text(",x,y,z\nit,1,2,3\n")
    Path("data/t.tsv").write_text("1\t2\n3\t4\n")


def error_of(reference: str, place: Place | None = PLACE) -> str:
    with pytest.raises(InputError) as caught:
        load(reference, Path("data"), place)
    assert caught.value.exit_code == 3
    return str(caught.value)


def refusal(read: Callable[..., object], *arguments: object) -> AttncliError | None:
    """The error of a call that may fail in no other way."""
    try:
        read(*arguments)
    except AttncliError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("q.npy", QUERY),
        ("./q.npy", QUERY),
        ("../data/q.npy", QUERY),
        ("p.npz:query", QUERY),
        ("p.npz:key", KEY),
        ("one.npz", KEY),
        ("one.npz:only", KEY),
        ("p.safetensors:query", QUERY),
        ("p.safetensors:a:b", KEY),
        ("t.csv", [[1, 2, 3]]),
        ("t.tsv", [[1, 2], [3, 4]]),
    ],
)
def test_references(reference: str, expected: object) -> None:
    np.testing.assert_array_equal(load(reference, Path("data")).array, expected)


def test_an_absolute_path_ignores_the_base() -> None:
    path = Path("data/p.npz").resolve()
    np.testing.assert_array_equal(load(f"{path}:key", Path("elsewhere")).array, KEY)


def test_labels_come_along() -> None:
    loaded = load("t.csv", Path("data"))
    assert (loaded.row_labels, loaded.column_labels) == (("it",), ("x", "y", "z"))
    assert load("q.npy", Path("data")).row_labels == ()


def test_suffixes_in_capitals() -> None:
    os.rename("data/p.npz", "data/P.NPZ")
    np.testing.assert_array_equal(load("P.NPZ:key", Path("data")).array, KEY)


def test_a_colon_in_a_file_name() -> None:
    np.save("data/a:q.npy", KEY)
    np.save("data/p.npz:q.npy", QUERY)
    np.savez("C:x.npz", key=KEY)
    np.testing.assert_array_equal(load("a:q.npy", Path("data")).array, KEY)
    np.testing.assert_array_equal(load("p.npz:q.npy", Path("data")).array, QUERY)
    np.testing.assert_array_equal(load("C:x.npz:key", Path()).array, KEY)


def test_members() -> None:
    def of(name: str) -> dict[str, str]:
        headers = members(Path("data") / name)
        return {member: str(header) for member, header in headers.items()}

    assert of("q.npy") == {"q": "2 × 3 of float32"}
    assert of("p.npz") == {"query": "2 × 3 of float32", "key": "5 × 3 of float64"}
    assert of("p.safetensors") == {"a:b": "5 × 3 of float64", "query": "2 × 3 of float32"}
    assert of("t.csv") == {"t": "1 × 3 of float64"}
    assert of("none.npz") == {}
    with pytest.raises(InputError, match=r"q\.txt is no file of a tensor"):
        members(Path("q.txt"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("q.npy", True),
        ("p.npz:query", True),
        ("Q.CSV", True),
        ("./key", True),
        ("a/b", True),
        ("query", False),
        ("1e-3", False),
        ("npy", False),
        ("it:animal", False),
    ],
)
def test_what_looks_like_a_file(text: str, expected: bool) -> None:
    assert is_reference_path(text) is expected


SUFFIXES = ".npy, .npz, .safetensors, .csv, .tsv, .png, .jpg, .jpeg"
MESSAGES = {
    "qq.npy": """\
p.yaml:2:8: error: there is no file data/qq.npy
hint: did you mean data/q.npy?""",
    "xyz.npy": """\
p.yaml:2:8: error: there is no file data/xyz.npy
hint: a path is relative to the file that names it""",
    "no/q.npy": """\
p.yaml:2:8: error: there is no file data/no/q.npy
hint: there is no directory data/no either""",
    "pp.npz:query": """\
p.yaml:2:8: error: there is no file data/pp.npz
hint: did you mean data/p.npz?""",
    "p.npz": """\
p.yaml:2:8: error: p.npz holds 2 tensors
  expected the name of one: key, query
hint: write p.npz:key""",
    "none.npz": """\
p.yaml:2:8: error: none.npz has no tensor called (empty)
  it holds no tensors""",
    "p.npz:": """\
p.yaml:2:8: error: p.npz has no tensor called (empty)
  expected key, query
hint: write p.npz:key""",
    "p.safetensors:qury": """\
p.yaml:2:8: error: p.safetensors has no tensor called qury
  expected a:b, query
hint: did you mean query?""",
    "q.npy:query": """\
p.yaml:2:8: error: q.npy holds one tensor, which has no name
  the name query after the colon
hint: write q.npy""",
    "../data": """\
p.yaml:2:8: error: data/../data is a directory
  expected a file .npy, .npz, .safetensors, .csv, .tsv, .png or .jpg
hint: did you mean data/../data/none.npz?""",
    "q.pt": f"""\
p.yaml:2:8: error: q.pt is no file of a tensor
  expected a name that ends in {SUFFIXES}, found .pt
hint: save it from torch with np.save('q.npy', tensor.numpy())""",
    "quer": f"""\
p.yaml:2:8: error: quer is no file of a tensor
  expected a name that ends in {SUFFIXES}, found no suffix
hint: save it with np.save, and write q.npy""",
    "./quer": """\
p.yaml:2:8: error: there is no file data/quer
hint: a path is relative to the file that names it""",
    "a\0b.npy": "p.yaml:2:8: error: data/a\\x00b.npy cannot be read: embedded null byte",
    "x" * 300 + ".npy": (f"p.yaml:2:8: error: data/{'x' * 74}… cannot be read: file name too long"),
}


@pytest.mark.parametrize("reference", MESSAGES)
def test_messages(reference: str) -> None:
    assert error_of(reference) == MESSAGES[reference]


def test_a_file_on_the_command_line_is_its_own_place() -> None:
    assert error_of("nil.npy", None) == (
        "data/nil.npy: error: there is no such file\n"
        "hint: a path is relative to the file that names it"
    )


def test_what_is_wrong_inside_a_file_is_said_of_the_file() -> None:
    Path("data/q.npy").write_bytes(b"")
    assert error_of("q.npy") == (
        "data/q.npy: error: the file is empty\nhint: save it again: nothing was written"
    )


@pytest.mark.parametrize("name", ["q.npy", "p.npz:x", "p.safetensors:x", "t.csv"])
def test_a_pipe_never_hangs(name: str) -> None:
    path = Path("data") / name.partition(":")[0]
    path.unlink()
    os.mkfifo(path)
    assert error_of(name) == (
        f"p.yaml:2:8: error: {path} is not an ordinary file\n"
        "  expected a file .npy, .npz, .safetensors, .csv, .tsv, .png or .jpg\n"
        "hint: save what it gives to a file first"
    )


def test_no_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert error_of("q.npy") == "p.yaml:2:8: error: data/q.npy cannot be read: permission denied"


@settings(deadline=None)
@given(st.text(max_size=12) | st.text("qp.npz:/csv\\C ", max_size=12))
def test_any_text_is_a_tensor_or_refused(text: str) -> None:
    is_reference_path(text)
    error = refusal(load, text, Path("data"), PLACE)
    assert error is None or error.place is not None


def test_the_header_of_a_reference() -> None:
    base = Path("data")
    assert str(header("p.npz:key", base)) == "5 × 3 of float64"
    assert str(header("one.npz", base)) == str(header("one.npz:only", base))
    assert str(header("q.npy", base)) == "2 × 3 of float32"
    for reference, name in (("p.npz", "(empty)"), ("p.npz:quary", "quary"), ("one.npz:a", "a")):
        with pytest.raises(InputError, match=re.escape(f"has no tensor called {name}")) as caught:
            header(reference, base, PLACE)
        assert caught.value.place == PLACE


def test_the_members_of_a_picture() -> None:
    Image.new("RGB", (5, 3)).save("data/p.png")
    assert {n: str(h) for n, h in members(Path("data/p.png")).items()} == {
        "p": "3 × 5 × 3 of float32"
    }


def test_a_name_that_ends_like_a_file() -> None:
    with Path("data/p.npz").open("wb") as file:
        write_npz(file, {"q.npy": KEY})
    np.testing.assert_array_equal(load("p.npz:q.npy", Path("data")).array, KEY)


def test_a_file_without_a_suffix_is_no_tensor() -> None:
    Path("data/quer").write_bytes(b"1")
    assert error_of("./quer").startswith("p.yaml:2:8: error: ./quer is no file of a tensor")


def test_eight_names_are_shown() -> None:
    for n, dots in ((8, False), (9, True)):
        np.savez("data/many.npz", **{f"t{number}": KEY for number in range(n)})
        names = ", ".join(f"t{number}" for number in range(8)) + ", …" * dots
        for reference, what in (("many.npz", "the name of one: "), ("many.npz:x", "")):
            with pytest.raises(InputError) as caught:
                load(reference, Path("data"), PLACE)
            assert caught.value.expected == what + names


def test_a_disk_that_fails_while_a_file_is_read() -> None:
    reading = opened(Path("data/q.npy"))
    reading.__enter__()
    error = OSError(5, "Input/output error")
    with pytest.raises(InputError) as caught:
        reading.__exit__(OSError, error, None)
    assert str(caught.value) == "data/q.npy: error: cannot be read: input/output error"


def test_a_directory_that_cannot_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    assert error_of("../data") == (
        "p.yaml:2:8: error: data/../data is a directory\n"
        "  expected a file .npy, .npz, .safetensors, .csv, .tsv, .png or .jpg"
    )


@pytest.mark.parametrize("length", [80, 81])
def test_long_names_are_cut_after_80_characters(length: int) -> None:
    def name(suffix: str, used: int = 0) -> str:
        return "n" * (length - used - len(suffix)) + suffix

    def shown(text: str) -> str:
        return text if length == 80 else text[:79] + "…"

    np.savez("data/" + name(".npz"), a=KEY, b=KEY)
    np.save("data/" + name(".npy"), KEY)
    for reference, words in {
        name(".npz"): f"{shown(name('.npz'))} holds 2 tensors",
        name(".npz") + ":c": f"{shown(name('.npz'))} has no tensor called c",
        name(".npy") + ":c": f"{shown(name('.npy'))} holds one tensor, which has no name",
        name(".pt"): f"{shown(name('.pt'))} is no file of a tensor",
        name(".csv", 5): f"there is no file {shown('data/' + name('.csv', 5))}",
    }.items():
        assert error_of(reference).startswith(f"p.yaml:2:8: error: {words}\n")
    with pytest.raises(InputError) as caught:
        load(name(".npz"), Path("data"), PLACE)
    assert caught.value.hint == f"write {shown(name('.npz'))}:a"
    near = name(".npy", 5)
    np.save("data/" + near, KEY)
    with pytest.raises(InputError) as caught:
        load("m" + near[1:], Path("data"), PLACE)
    assert caught.value.hint == f"did you mean {shown('data/' + near)}?"
    folder = name("/q.npy", 5)
    Path("data", folder).parent.mkdir()
    np.save(Path("data", folder), KEY)
    with pytest.raises(InputError) as caught:
        load(f"./{Path(folder).parent}", Path("data"), PLACE)
    assert caught.value.hint == f"did you mean {shown('data/' + folder)}?"
    with pytest.raises(InputError) as caught:
        load(name("/q.npy", 5 - 6), Path("data"), PLACE)
    assert caught.value.hint == f"there is no directory {shown('data/' + name('', 5))} either"
