"""NPY files: every type, order and version comes back; whatever is damaged is refused in words."""

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from attncli.errors import AttncliError, InputError, Place
from attncli.files import npy
from attncli.files.npy import (
    MAPPED,
    Header,
    header_of,
    npy_bytes,
    npy_header,
    read_array,
    read_header,
    read_npy,
    refuse_odd_booleans,
    write_npy,
)

NUMBERS = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]
TYPES = [order + name for name in NUMBERS for order in "<>"]


def arrays(types: list[str] = TYPES) -> st.SearchStrategy[np.ndarray]:
    shapes = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
    return st.sampled_from(types).flatmap(lambda name: npst.arrays(np.dtype(name), shapes))


def bits(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def written(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.lib.format.write_array(file, array, version)
    return file.getvalue()


def headed(header: str, content: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    text = header.encode()
    length = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + length + text + content


def error_of(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("q.npy").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_npy(Path("q.npy"))
    return str(caught.value)


def refusal(read: Callable[..., object], *arguments: object) -> AttncliError | None:
    """The error of a call that may fail in no other way."""
    try:
        read(*arguments)
    except AttncliError as error:
        return error
    return None


@settings(deadline=None)
@given(
    array=arrays(), version=st.sampled_from([(1, 0), (2, 0), (3, 0), None]), fortran=st.booleans()
)
def test_every_array_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    array: np.ndarray,
    version: tuple[int, int] | None,
    fortran: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.npy"
    path.write_bytes(
        written(np.asfortranarray(array) if fortran and array.ndim else array, version)
    )
    read = read_npy(path)
    assert read.shape == array.shape
    assert read.dtype == array.dtype.newbyteorder("=")
    assert read.dtype.isnative
    assert bits(read) == bits(array)
    assert npy_header(path).shape == array.shape
    assert npy_header(path).dtype == array.dtype


@settings(deadline=None)
@given(array=arrays(), fortran=st.booleans())
def test_numpy_reads_what_is_written(array: np.ndarray, fortran: bool) -> None:
    file, same = io.BytesIO(), io.BytesIO()
    write_npy(file, np.asfortranarray(array) if fortran and array.ndim else array)
    write_npy(same, array)
    assert file.getvalue() == same.getvalue()
    file.seek(0)
    assert bits(np.load(file, allow_pickle=False)) == bits(array)


@settings(max_examples=300, deadline=None)
@given(array=arrays(["<f4", ">i2", "|b1"]), data=st.data())
def test_damage_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, data: st.DataObject
) -> None:
    content = bytearray(written(array))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.npy"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    error = refusal(read_npy, path)
    assert error is None or (error.place, error.exit_code) == (Place(str(path)), 3)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "|b1"])
def test_a_large_file_is_mapped(tmp_path: Path, order: str, dtype: str) -> None:
    array = np.arange(1031 * 1033).reshape(1031, 1033).astype(dtype, order=order)
    path = tmp_path / "large.npy"
    np.save(path, array)
    read = read_npy(path)
    assert isinstance(read, np.memmap)
    assert not read.flags.writeable
    assert read.flags.c_contiguous == (order == "C")
    np.testing.assert_array_equal(read, array)


def test_a_small_file_is_an_ordinary_array(tmp_path: Path) -> None:
    np.save(tmp_path / "small.npy", np.arange(7.0))
    read = read_npy(tmp_path / "small.npy")
    assert type(read) is np.ndarray
    assert read.flags.writeable


def test_a_large_map_with_odd_booleans_is_refused(tmp_path: Path) -> None:
    array = np.zeros(MAPPED + 7, np.uint8)
    array[-3] = 2
    np.save(tmp_path / "m.npy", array.view(np.bool_))
    with pytest.raises(InputError, match="booleans other than 0 and 1"):
        read_npy(tmp_path / "m.npy")


def test_python_2_wrote_long_sizes(tmp_path: Path) -> None:
    header = "{'descr': '<i2', 'fortran_order': False, 'shape': (3L, 1L), }\n"
    (tmp_path / "old.npy").write_bytes(headed(header, b"\1\0\2\0\3\0"))
    assert read_npy(tmp_path / "old.npy").tolist() == [[1], [2], [3]]


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, ...]:
            return (os.mkdir, (str(tmp_path / "harmed"),))

    np.save(tmp_path / "q.npy", np.array([Harm()], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="never unpickles"):
        read_npy(tmp_path / "q.npy")
    assert not (tmp_path / "harmed").exists()


def test_memory_is_taken_only_for_what_is_there(tmp_path: Path) -> None:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000,)}"
    (tmp_path / "q.npy").write_bytes(headed(header, b"12345678"))
    with pytest.raises(InputError, match="expected 800000000000 bytes"):
        read_npy(tmp_path / "q.npy")


LITERAL = "{{'descr': {}, 'fortran_order': {}, 'shape': {}}}"
MESSAGES = {
    "object": (
        written(np.array([1, "a"], dtype=object)),
        """\
q.npy: error: the array holds Python objects (dtype object), which attncli never unpickles
  expected float16, float32, float64, integers or booleans, found object
hint: save it with np.save(path, array.astype(float))""",
    ),
    "complex": (
        written(np.ones(3, complex)),
        """\
q.npy: error: the array holds complex numbers
  expected float16, float32, float64, integers or booleans, found complex128
hint: save one part with np.save(path, array.real)""",
    ),
    "text": (
        written(np.array(["the", "animal"])),
        """\
q.npy: error: the array holds text
  expected float16, float32, float64, integers or booleans, found <U6
hint: numbers only: labels stand in the problem file""",
    ),
    "dates": (
        written(np.array(["2020-01-01"], dtype="M8[D]")),
        """\
q.npy: error: the array holds dates
  expected float16, float32, float64, integers or booleans, found datetime64[D]
hint: save numbers with np.save(path, array.astype(float))""",
    ),
    "records": (
        written(np.zeros(2, dtype=[("a", "f4"), ("b", "i4")])),
        """\
q.npy: error: the array holds records, or a type that NumPy does not have such as bfloat16
  expected float16, float32, float64, integers or booleans, found |V0
hint: save it with np.save(path, array.astype(np.float32))""",
    ),
    "long doubles": (
        headed(LITERAL.format("'<f16'", False, "(1,)"), b"0" * 16),
        """\
q.npy: error: the array holds long doubles, which differ from machine to machine
  expected float16, float32, float64, integers or booleans, found float128
hint: save it with np.save(path, array.astype(float))""",
    ),
    "cut": (
        written(np.ones((3, 4)))[:-5],
        """\
q.npy: error: the array is cut short
  expected 96 bytes after the header, as it promises (3 × 4 of float64), found 91
hint: copy the file again, or save it again""",
    ),
    "more": (
        written(np.ones((), np.float32)) + b"x",
        """\
q.npy: error: the array is followed by other bytes
  expected 4 bytes after the header, as it promises (1 of float32), found 5
hint: copy the file again, or save it again""",
    ),
    "header cut": (
        written(np.ones(3))[:50],
        """\
q.npy: error: the header of the array is cut short
  expected 118 bytes, found 40
hint: copy the file again, or save it again""",
    ),
    "empty": (
        b"",
        "q.npy: error: the file is empty\nhint: save it again: nothing was written",
    ),
    "archive": (
        b"PK\3\4 and so on",
        """\
q.npy: error: the array is not in NPY format
  expected \\x93NUMPY at its beginning, found PK\\x03\\x04 and
hint: it is an archive: call it .npz""",
    ),
    "text file": (
        b"1,2",
        """\
q.npy: error: the array is not in NPY format
  expected \\x93NUMPY at its beginning, found 1,2
hint: save it with np.save""",
    ),
    "version": (
        b"\x93NUMPY\4\0....",
        """\
q.npy: error: the array has an unknown NPY version
  expected 1.0, 2.0 or 3.0, found 4.0
hint: save it with np.save""",
    ),
    "long header": (
        headed(" " * 70000, version=(2, 0)),
        """\
q.npy: error: the header of the array is too long
  expected at most 64 KiB, found 70000 bytes""",
    ),
    "call": (
        headed("__import__('os').abort()"),
        """\
q.npy: error: the header of the array is malformed
  expected {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4)}, found __import__('os').abort()
hint: save it with np.save""",
    ),
    "axes": (
        headed(LITERAL.format("'<f8'", False, (1,) * 33)),
        "q.npy: error: the array has too many axes\n  expected at most 32, found 33",
    ),
    "overflow": (
        headed(LITERAL.format("'<f8'", False, (0, 1 << 40, 1 << 40))),
        "q.npy: error: the header of the array promises more bytes than a file can hold",
    ),
    "booleans": (
        headed(LITERAL.format("'|b1'", False, (2,)), b"\1\2"),
        """\
q.npy: error: the array holds booleans other than 0 and 1
hint: save it again with np.save""",
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_messages(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, expected = MESSAGES[case]
    assert error_of(content, tmp_path, monkeypatch) == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        "[]",
        "{'descr': '<f8'}",
        LITERAL.format("'<f8'", False, "[3]"),
        LITERAL.format("'<f8'", False, "(-1,)"),
        LITERAL.format("'<f8'", False, "(True,)"),
        LITERAL.format("'<f8'", 1, "(3,)"),
        LITERAL.format("'f8, f8'", False, "(3,)"),
        LITERAL.format("'<f7'", False, "(3,)"),
        LITERAL.format("'<f1'", False, "(3,)"),
        LITERAL.format("None", False, "(3,)"),
        "(" * 300,
        "-" * 4000 + "1",
        "1+" * 2000 + "1",
        "9" * 4096,
        "'\\d' if 1else {}",
        "{" + " " * 4090 + "},x" * 9,
    ],
)
def test_malformed_headers(header: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = error_of(headed(header), tmp_path, monkeypatch)
    assert message.startswith("q.npy: error: the header of the array is malformed\n")


def test_a_header_says_its_size() -> None:
    header = Header((2, 3, 5), np.dtype("<f4"))
    assert (header.nbytes, header.offset, header.fortran) == (120, 0, False)
    assert str(header) == "2 × 3 × 5 of float32"


def test_only_numbers_are_written() -> None:
    with pytest.raises(TypeError, match="complex128"):
        write_npy(io.BytesIO(), np.ones(2, complex))


def float64(*shape: int, padded: int = 0) -> str:
    """A header, with blanks inside the literal up to a length."""
    text = LITERAL.format("'<f8'", False, shape)
    return text[:-1] + " " * (padded - len(text)) + "}"


@pytest.mark.parametrize("version", [(2, 0), (3, 0)])
def test_a_header_may_be_64_kib_long(version: tuple[int, int]) -> None:
    for length, refused in ((65_536, False), (65_537, True)):
        stream = io.BytesIO(headed(float64(2).ljust(length), version=version))
        if refused:
            with pytest.raises(InputError, match="too long"):
                read_header(stream)
        else:
            assert read_header(stream) == Header((2,), np.dtype("<f8"), False, 12 + 65_536)


def test_a_literal_may_have_4096_characters() -> None:
    assert read_header(io.BytesIO(headed(float64(2, padded=4096)))).shape == (2,)
    with pytest.raises(InputError, match="malformed"):
        read_header(io.BytesIO(headed(float64(2, padded=4097))))


def test_a_malformed_header_is_shown_up_to_100_characters() -> None:
    for text, found in (("x" * 100, "x" * 100), ("x" * 101, "x" * 99 + "…")):
        with pytest.raises(InputError) as caught:
            read_header(io.BytesIO(headed(text)))
        assert caught.value.found == found


@pytest.mark.parametrize("shape", [(0,), (2, 0, 3), (1,) * 32, (1 << 59,), (0, 1 << 59), ()])
def test_shapes_that_a_file_can_hold(shape: tuple[int, ...]) -> None:
    header = read_header(io.BytesIO(headed(float64(*shape))))
    assert (header.shape, header.fortran) == (shape, False)


@pytest.mark.parametrize("shape", [((1 << 59) + 1,), (0, (1 << 59) + 1), (1 << 30, 1 << 30)])
def test_shapes_that_no_file_can_hold(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="promises more bytes"):
        read_header(io.BytesIO(headed(float64(*shape))))


@pytest.mark.parametrize("length", [0, 1, 255, 256, 65_535])
def test_a_header_of_a_part_is_that_of_the_file(length: int) -> None:
    text = float64(3, 4).ljust(length)
    content = headed(text, bytes(96))
    header = header_of(memoryview(content))
    assert header == read_header(io.BytesIO(content))
    assert header.offset == 10 + max(length, len(float64(3, 4)))


def test_files_over_one_mib_are_mapped(tmp_path: Path) -> None:
    for more, kind in ((0, np.ndarray), (1, np.memmap)):
        np.save(tmp_path / "q.npy", np.zeros((1 << 20) - 128 + more, np.uint8))
        assert (tmp_path / "q.npy").stat().st_size == (1 << 20) + more
        assert type(read_npy(tmp_path / "q.npy")) is kind


class Slow(io.BytesIO):
    """Gives at most seven bytes at a time."""

    def readinto(self, buffer: object) -> int:
        return super().readinto(memoryview(buffer)[:7])  # type: ignore[arg-type]


@pytest.mark.parametrize("piece", [1, 8, 1 << 20])
def test_an_array_comes_in_pieces(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy, "PIECE", piece)
    array = np.arange(15.0).reshape(3, 5)
    header = Header((3, 5), np.dtype("<f8"))
    np.testing.assert_array_equal(read_array(Slow(array.tobytes()), header), array)
    fortran = Header((3, 5), np.dtype("<f8"), fortran=True)
    np.testing.assert_array_equal(read_array(Slow(array.tobytes("F")), fortran), array)
    stream = io.BytesIO(array.tobytes() + b"next")
    read_array(stream, header)
    assert stream.read() == b"next"
    with pytest.raises(InputError, match="it is cut short") as caught:
        read_array(Slow(array.tobytes()[:-3]), header, "it")
    assert caught.value.found == "117"


@pytest.mark.parametrize("piece", [1, 3, 11, 12, 13])
def test_an_odd_boolean_is_found_wherever_it_is(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npy, "PIECE", piece)
    for at in range(12):
        odd = np.zeros(12, np.uint8)
        refuse_odd_booleans(odd.view(bool).reshape(3, 4))
        odd[at] = 2
        with pytest.raises(InputError, match="the array holds booleans"):
            refuse_odd_booleans(odd.view(bool).reshape(3, 4))
        refuse_odd_booleans(odd.reshape(3, 4))


@pytest.mark.parametrize("name", NUMBERS)
def test_small_arrays_are_written_as_large_ones_are(name: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(name)
    file = io.BytesIO()
    write_npy(file, array.T)
    assert npy_bytes(array.T) == file.getvalue()


def test_a_long_double_is_not_written() -> None:
    for name in ("f16", "c8", "U1", "O"):
        with pytest.raises(TypeError, match="no type of numbers"):
            npy_bytes(np.ones(2).astype(name))


@pytest.mark.parametrize(
    ("start", "found"),
    [(b"", "nothing"), (b"\x93NUMPX\1\0", r"\x93NUMPX\x01\x00"), (b"abc", "abc")],
)
def test_what_begins_otherwise_is_shown(start: bytes, found: str) -> None:
    with pytest.raises(InputError) as caught:
        read_header(io.BytesIO(start))
    assert caught.value.found == found


@pytest.mark.parametrize("found", ["", "4", "4.1"])
def test_a_version_is_two_bytes(found: str) -> None:
    version = bytes(map(int, filter(None, found.split("."))))
    with pytest.raises(InputError) as caught:
        read_header(io.BytesIO(b"\x93NUMPY" + version))
    assert caught.value.found == (found or "none")
