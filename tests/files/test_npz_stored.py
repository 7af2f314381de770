"""The quick reader of plain archives: it takes all that NumPy writes, and never disagrees."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from attncli.errors import InputError
from attncli.files import npz
from attncli.files.npy import npy_bytes
from attncli.files.npz import members, read_member, read_plain, write_npz
from attncli.files.npz_stored import archived, stored
from attncli.files.reading import opened
from attncli.files.snapshot import taking

FILES = {"a.npy": b"first", "": b"", "folder/b": b"the second, which is longer"}


def zipped(files: dict[str, bytes], **settings: object) -> bytes:
    """What the standard library writes, with anything set for each entry."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            for key, value in settings.items():
                setattr(info, key, value)
            file.writestr(info, content)
    return buffer.getvalue()


def contents(raw: bytes) -> dict[str, bytes] | None:
    found = stored(raw)
    return None if found is None else {name: bytes(part) for name, part in found.items()}


def by_the_library(raw: bytes) -> dict[str, bytes] | None:
    """What the standard library reads, a name that stands twice once."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as file:
            infos = file.infolist()
            return {info.filename: file.read(info) for info in infos}
    except Exception:  # it raises a dozen kinds of errors
        return None


@pytest.mark.parametrize(
    "raw",
    [
        archived(FILES),
        zipped(FILES),
        zipped(FILES, comment=b"a note"),
        zipped(FILES, extra=b"\xfe\xca\x04\x00more"),
        zipped(FILES, comment=b"a note", extra=b"\xfe\xca\x04\x00more", flag_bits=0x800),
        archived({}),
    ],
    ids=["ours", "plain", "notes", "extra", "all", "nothing"],
)
def test_a_plain_archive_is_taken_apart(raw: bytes) -> None:
    found = contents(raw)
    assert found is not None
    assert found == by_the_library(raw)
    assert list(found) in (list(FILES), [])


@pytest.mark.parametrize(
    "raw", [archived(FILES), zipped(FILES, comment=b"note")], ids=["ours", "n"]
)
@pytest.mark.parametrize("flip", [0x01, 0x02, 0x08, 0x80, 0xFF])
def test_a_changed_byte_is_harmless_or_left_to_the_library(raw: bytes, flip: int) -> None:
    sound = contents(raw)
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= flip
        found = contents(bytes(changed))
        if found not in (None, sound):
            assert found == by_the_library(bytes(changed)), at


MEANT = {  # at which byte of a header a field begins that decides how an entry is read
    b"PK\1\2": {"mark": 0, "flags": 8, "method": 10, "crc": 16, "packed": 20, "size": 24, "n": 28}
    | {"n_extra": 30, "n_note": 32, "offset": 42},
    b"PK\3\4": {"mark": 0, "flags": 6, "method": 8, "n_name": 26, "n_extra": 28, "name": 30},
    b"PK\5\6": {"mark": 0, "disk": 4, "first": 6, "here": 8, "count": 10, "size": 12, "at": 16}
    | {"comment": 20},
}


@pytest.mark.parametrize("entry", [0, 1])
@pytest.mark.parametrize(
    ("mark", "field"), [(mark, field) for mark in MEANT for field in MEANT[mark]]
)
def test_every_field_that_decides_is_looked_at(mark: bytes, field: str, entry: int) -> None:
    raw = zipped({"a": b"one", "b": b"two"})
    at = raw.find(mark, raw.find(mark) + entry)
    if at < 0:
        at = raw.find(mark)
    for flip in (0x01, 0x02, 0x04):
        changed = bytearray(raw)
        changed[at + MEANT[mark][field]] ^= flip
        assert stored(bytes(changed)) is None


@pytest.mark.parametrize(
    "raw",
    [
        zipped({"é": b"1"}),
        zipped({"a": b"1"}) + b"!",
        b"!" + zipped({"a": b"1"}),
        zipped({"a": b"111111111111"}, compress_type=zipfile.ZIP_DEFLATED),
        zipped({"aa": b"1", "ab": b"2"}).replace(b"ab", b"aa"),
        zipped({"a?b": b"1"}).replace(b"a?b", b"a\0b"),
        b"PK\5\6",
        b"",
    ],
    ids=["umlaut", "after", "before", "packed", "twice", "zero", "short", "empty"],
)
def test_what_is_not_plain_is_left_to_the_library(raw: bytes) -> None:
    assert stored(raw) is None


def test_an_archive_cut_off_anywhere_is_none() -> None:
    raw = archived(FILES)
    assert all(stored(raw[:stop]) is None for stop in range(len(raw)))
    assert all(stored(raw[start:]) is None for start in range(1, len(raw) - 22))


def said(raw: bytes, mark: bytes, **fields: int) -> bytes:
    """An archive whose first header of a kind says something else, in two bytes or in four."""
    changed, wide = bytearray(raw), ("crc", "packed", "size", "offset")
    for field, value in fields.items():
        at = raw.find(mark) + MEANT[mark][field]
        n_bytes = 4 if field in wide and mark != b"PK\5\6" else 2
        changed[at : at + n_bytes] = value.to_bytes(n_bytes, "little")
    return bytes(changed)


def test_an_entry_that_begins_anywhere_else_is_none() -> None:
    raw = zipped({"a": b"one"})
    assert contents(said(raw, b"PK\1\2", offset=0)) == {"a": b"one"}
    for offset in (*range(1, len(raw) + 2), len(raw) + 30, 2**32 - 1):
        assert stored(said(raw, b"PK\1\2", offset=offset)) is None, offset


def test_an_entry_ends_where_the_file_does() -> None:
    raw = zipped({"a": b"one"})
    to_the_end = said(raw, b"PK\3\4", n_extra=len(raw) - 31)
    nothing = {"crc": 0, "packed": 0, "size": 0}
    assert contents(said(to_the_end, b"PK\1\2", **nothing)) == {"a": b""}
    for size in (1, 2, 31, len(raw), 2**32 - 1):
        # The checksum of nothing is 0: it is the size that says that something is missing.
        beyond = said(to_the_end, b"PK\1\2", crc=0, packed=size, size=size)
        assert stored(beyond) is None
    one_more = said(raw, b"PK\3\4", n_extra=len(raw) - 30)
    assert stored(said(one_more, b"PK\1\2", **nothing)) is None


def test_a_directory_has_as_many_entries_as_the_end_says() -> None:
    raw = zipped({"a": b"one", "": b"two"})
    assert contents(raw) == {"a": b"one", "": b"two"}
    for count in (0, 1, 3, 4, 65_535):
        assert stored(said(raw, b"PK\5\6", here=count, count=count)) is None
    assert contents(zipped({"": b""})) == {"": b""}


def test_the_bytes_are_those_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b.c": np.ones((1, 1), bool), "d": np.float32(2)}
    written = []
    for small in (1 << 20, -1):
        monkeypatch.setattr(npz, "SMALL", small)
        written.append(io.BytesIO())
        write_npz(written[-1], arrays)
    assert written[0].getvalue() == written[1].getvalue()
    infos = zipfile.ZipFile(written[1]).infolist()
    assert [info.filename for info in infos] == ["a.npy", "b.c.npy", "d.npy"]
    for info in infos:
        assert info.date_time == (1980, 1, 1, 0, 0, 0)
        assert (info.create_system, info.external_attr >> 16) == (3, 0o644)
        assert (info.create_version, info.extract_version, info.flag_bits) == (45, 45, 0)


def test_other_letters_are_written_too() -> None:
    file = io.BytesIO()
    write_npz(file, {"ä": np.ones(3), "a": np.zeros(2)})
    file.seek(0)
    with np.load(file) as read:
        assert {name: array.tolist() for name, array in read.items()} == {"ä": [1] * 3, "a": [0, 0]}


def test_a_large_archive_is_written_by_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(npz, "archived", lambda files: calls.append(files) or b"")
    for more in (0, 1):
        arrays = {"a": np.ones((1 << 17) - 1), "b": np.ones(8 + more, np.uint8)}
        write_npz(io.BytesIO(), arrays)
        assert len(calls) == 1


def saved(tmp_path: Path, files: dict[str, bytes]) -> Path:
    path = tmp_path / "a.npz"
    path.write_bytes(zipped(files))
    return path


ARRAY = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    "array",
    [
        *(ARRAY, ARRAY.T, ARRAY[:0], ARRAY > 2, np.float64(3)),
        *(ARRAY.astype(name) for name in ("f2", ">f4", "i1")),
    ],
)
def test_an_archive_in_a_snapshot_is_what_it_is_alone(array: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, first=ARRAY, second=array)
    headers = members(path)
    alone = {name: read_member(path, name) for name in headers}
    with taking() as snapshot:
        for _ in (1, 2):
            assert members(path) == headers
            for name, wanted in alone.items():
                part = read_member(path, name)
                np.testing.assert_array_equal(part, wanted)
                assert part.dtype == wanted.dtype
        assert {*snapshot.hashes} == {str(path)}
        plain = read_plain(path)
    is_plain = array.dtype.kind != "b" and array.dtype.byteorder != ">"
    assert [*plain] == (["first", "second"] if is_plain else [])
    assert read_plain(path) == {}  # outside of a snapshot


def test_other_files_of_a_plain_archive_are_left_alone(tmp_path: Path) -> None:
    path = saved(tmp_path, {"readme": b"hello", "a.npy": npy_bytes(ARRAY)})
    with taking():
        assert [*members(path)] == [*read_plain(path)] == ["a"]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (b"no header", "b is not in NPY format"),
        (npy_bytes(ARRAY)[:-1], "b is cut short"),
        (npy_bytes(ARRAY) + b"1", "b is followed by other bytes"),
    ],
)
def test_a_bad_array_in_a_snapshot_is_named(part: bytes, words: str, tmp_path: Path) -> None:
    path = saved(tmp_path, {"a.npy": npy_bytes(ARRAY), "b.npy": part})
    with taking():
        assert read_plain(path) == {}
        np.testing.assert_array_equal(read_member(path, "a"), ARRAY)
        with pytest.raises(InputError, match=words):
            read_member(path, "b")


def test_a_name_that_a_plain_archive_lacks(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a.npy": npy_bytes(ARRAY)})
    with taking():
        assert [*members(path)] == ["a"]
        with pytest.raises(InputError, match="no tensor called b"):
            read_member(path, "b")


def test_a_disk_that_fails_is_not_called_a_damaged_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, {"a.npy": npy_bytes(ARRAY)})

    def failing(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with opened(path):
        monkeypatch.setattr(npz, "_header", failing)
        with pytest.raises(InputError, match="cannot be read: input/output error"):
            members(path)
