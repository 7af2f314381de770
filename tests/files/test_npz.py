"""NPZ archives: what NumPy writes comes back, and no archive takes more than it may."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from attncli.errors import AttncliError, InputError, LimitError, Place
from attncli.files import reading
from attncli.files.npz import members, read_member, write_npz

QUERY = np.arange(6, dtype=np.float32).reshape(2, 3)
KEY = np.arange(15.0).reshape(5, 3)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def all_of(path: Path) -> dict[str, np.ndarray]:
    return {name: read_member(path, name) for name in members(path)}


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def archive(contents: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    path = Path("p.npz")
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in contents.items():
            file.writestr(name, content)
    return path


def patched(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


def refusal(read: Callable[..., object], *arguments: object) -> AttncliError | None:
    """The error of a call that may fail in no other way."""
    try:
        read(*arguments)
    except AttncliError as error:
        return error
    return None


@settings(max_examples=50, deadline=None)
@given(
    arrays=st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0\\"), min_size=1, max_size=9),
        st.sampled_from(["<f2", "<f4", ">f8", "<i8", "|u1", "|b1"]).flatmap(
            lambda name: npst.arrays(name, npst.array_shapes(min_dims=0, max_dims=3, min_side=0))
        ),
        max_size=3,
    ),
    compressed=st.booleans(),
)
def test_every_archive_comes_back(arrays: dict[str, np.ndarray], compressed: bool) -> None:
    path = Path("any.npz")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else 0) as file:
        for name, array in arrays.items():
            file.writestr(name + ".npy", npy(array))
    read = all_of(path)
    assert list(read) == list(arrays) == list(members(path))
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype.newbyteorder("=")
        assert members(path)[name].shape == array.shape


@settings(max_examples=50, deadline=None)
@given(npst.arrays(np.float32, npst.array_shapes(min_dims=0, max_dims=3)))
def test_numpy_reads_what_is_written(array: np.ndarray) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    write_npz(first, {"output": array, "layers.0.norm1": array.T})
    write_npz(second, {"output": array.copy(), "layers.0.norm1": array.T.copy()})
    assert first.getvalue() == second.getvalue()
    first.seek(0)
    with np.load(first, allow_pickle=False) as read:
        assert list(read) == ["output", "layers.0.norm1"]
        np.testing.assert_array_equal(read["output"], array)
        np.testing.assert_array_equal(read["layers.0.norm1"], array.T)


def test_an_archive_is_written_to_a_pipe() -> None:
    class Pipe(io.RawIOBase):
        written = b""

        def writable(self) -> bool:
            return True

        def write(self, content: object) -> int:
            self.written += bytes(content)  # type: ignore[call-overload]
            return len(bytes(content))  # type: ignore[call-overload]

    pipe = Pipe()
    write_npz(pipe, {"output": KEY})  # type: ignore[arg-type]
    Path("piped.npz").write_bytes(pipe.written)
    np.testing.assert_array_equal(read_member(Path("piped.npz"), "output"), KEY)


@settings(max_examples=400, deadline=None)
@given(compressed=st.booleans(), data=st.data())
def test_damage_is_refused_or_harmless(compressed: bool, data: st.DataObject) -> None:
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    path = archive({"query.npy": npy(QUERY), "key.npy": npy(KEY)}, method)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.sampled_from([len(content)] * 3 + [*range(99)]))])
    for use in (members, all_of):
        error = refusal(use, path)
        assert error is None or (error.place == Place("p.npz") and error.exit_code in (3, 6))


def test_other_files_in_an_archive_are_left_alone() -> None:
    path = archive(
        {"README.txt": b"hello", "a/b.npy": npy(QUERY), "tokens.npy": npy(np.array("x"))}
    )
    assert {name: str(header) for name, header in members(path).items()} == {
        "a/b": "2 × 3 of float32",
        "tokens": "1 of <U1",
    }
    np.testing.assert_array_equal(read_member(path, "a/b"), QUERY)


def test_the_size_is_held_against_the_memory_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = archive({"query.npy": npy(QUERY), "key.npy": npy(KEY)})
    monkeypatch.setattr(reading, "free_memory", lambda: 120)
    assert read_member(path, "query").size == 6
    assert read_member(path, "key").nbytes == 120
    monkeypatch.setattr(reading, "free_memory", lambda: 119)
    with pytest.raises(LimitError) as caught:
        read_member(path, "key")
    assert caught.value.exit_code == 6
    assert str(caught.value) == (
        "p.npz: error: reading key takes 120 bytes of memory\n"
        "  expected at most 119, found 120\n"
        "hint: save large tensors as NPY files: these are mapped, not read"
    )


def test_a_bomb_is_refused_by_what_it_declares() -> None:
    header = npy(np.zeros(0))[:128].replace(b"(0,), }     ", b"(1 << 40,), }")
    assert b"1 << 40" in header
    path = archive({"q.npy": header})
    with pytest.raises(InputError, match="malformed"):
        read_member(path, "q")
    header = npy(np.zeros(0))[:128].replace(b"(0,), }          ", b"(800000000000,), }")
    path = archive({"q.npy": header})
    with pytest.raises(InputError, match="cut short"):
        read_member(path, "q")


def test_a_directory_that_lies_along_with_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    header = npy(np.zeros(0))[:128].replace(b"(0,), }         ", b"(400000000,), } ")
    path = archive({"q.npy": header})
    size = struct.pack("<I", 3_200_000_128)
    content = path.read_bytes()
    at = content.index(b"PK\1\2")
    path.write_bytes(content[: at + 24] + size + content[at + 28 :])
    monkeypatch.setattr(reading, "free_memory", lambda: 1 << 20)
    with pytest.raises(AttncliError) as caught:
        read_member(path, "q")
    assert isinstance(caught.value, LimitError)


def test_a_wrong_checksum() -> None:
    path = patched(archive({"q.npy": npy(KEY)}), KEY.tobytes(), (KEY + 1).tobytes())
    with pytest.raises(InputError) as caught:
        read_member(path, "q")
    assert str(caught.value) == (
        "p.npz: error: the archive is damaged: bad CRC-32 for file 'q.npy'\n"
        "hint: copy the file again, or save it again"
    )


def test_a_name_that_is_not_there() -> None:
    path = archive({"query.npy": npy(QUERY), "key.npy": npy(KEY)})
    with pytest.raises(InputError) as caught:
        read_member(path, "quary", Place("p.yaml", 3, 8))
    assert str(caught.value) == (
        "p.yaml:3:8: error: p.npz has no tensor called quary\n"
        "  expected key, query\n"
        "hint: did you mean query?"
    )
    with pytest.raises(InputError) as caught:
        read_member(archive({}), "q")
    assert str(caught.value) == "p.npz: error: p.npz has no tensor called q\n  it holds no tensors"


def test_a_name_that_is_there_twice() -> None:
    path = patched(archive({"a.npy": npy(QUERY), "b.npy": npy(KEY)}), b"b.npy", b"a.npy")
    with pytest.raises(InputError) as caught:
        members(path)
    assert str(caught.value) == (
        "p.npz: error: the archive has a twice\nhint: save it again with np.savez"
    )


def test_a_directory_and_a_header_that_disagree() -> None:
    path = archive({"q.npy": npy(KEY) + b"more"})
    with pytest.raises(InputError) as caught:
        read_member(path, "q")
    assert str(caught.value) == (
        "p.npz: error: q is followed by other bytes\n"
        "  expected 120 bytes after the header, as it promises (5 × 3 of float64), found 124\n"
        "hint: copy the file again, or save it again"
    )


def test_an_encrypted_archive() -> None:
    path = archive({"q.npy": npy(KEY)})
    content = bytearray(path.read_bytes())
    for at in (content.index(b"PK\3\4") + 6, content.index(b"PK\1\2") + 8):
        content[at] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        members(path)
    assert str(caught.value) == "p.npz: error: q is encrypted\nhint: save it with np.savez"


def test_another_compression() -> None:
    path = archive({"q.npy": npy(KEY)}, zipfile.ZIP_BZIP2)
    with pytest.raises(InputError) as caught:
        read_member(path, "q")
    assert str(caught.value) == (
        "p.npz: error: q is compressed in another way than NumPy's\n"
        "  expected stored or deflate, found bzip2\n"
        "hint: save it with np.savez or np.savez_compressed"
    )


def test_objects_and_other_kinds() -> None:
    path = archive({"q.npy": npy(np.array([None])), "key.npy": npy(KEY)})
    np.testing.assert_array_equal(read_member(path, "key"), KEY)
    with pytest.raises(InputError) as caught:
        read_member(path, "q")
    assert str(caught.value) == (
        "p.npz: error: q holds Python objects (dtype object), which attncli never unpickles\n"
        "  expected float16, float32, float64, integers or booleans, found object\n"
        "hint: save it with np.savez(path, name=array.astype(float))"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "this is no NPZ archive\nhint: save it with np.savez"),
        (npy(KEY), "this is no NPZ archive\nhint: it is one array: call it .npy"),
        (
            b"PK\3\4 cut",
            "the archive is damaged: its directory, which stands at the end, is missing\n"
            "hint: copy the file again, or save it again",
        ),
        (b"", "the file is empty\nhint: save it again: nothing was written"),
    ],
)
def test_no_archive(content: bytes, message: str) -> None:
    Path("p.npz").write_bytes(content)
    with pytest.raises(InputError) as caught:
        members(Path("p.npz"))
    assert str(caught.value) == f"p.npz: error: {message}"


def test_an_array_before_the_beginning_of_the_file() -> None:
    path = archive({"q.npy": npy(KEY)})
    content = bytearray(path.read_bytes())
    for at in (content.index(b"PK\5\6") + 16,):
        offset = int.from_bytes(content[at : at + 4], "little")
        content[at : at + 4] = (offset + 7).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match="the archive is damaged"):
        members(path)
    with pytest.raises(InputError, match="the archive is damaged"):
        read_member(path, "q")
