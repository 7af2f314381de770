"""safetensors files: bfloat16 exactly, other small floats refused, its errors in words."""

import io
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors.numpy import load

from attncli.errors import AttncliError, InputError, Place
from attncli.files.safetensors import members, read_member, write_safetensors

TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"]
PATH = Path("p.safetensors")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def save(name: str, kind: str, shape: list[int], content: bytes) -> None:
    offsets = [0, len(content)]
    header = json.dumps({name: {"dtype": kind, "shape": shape, "data_offsets": offsets}}).encode()
    PATH.write_bytes(struct.pack("<Q", len(header)) + header + content)


def error_of(name: str = "q") -> str:
    with pytest.raises(InputError) as caught:
        read_member(PATH, name)
    return str(caught.value)


def refusal(read: Callable[..., object], *arguments: object) -> AttncliError | None:
    """The error of a call that may fail in no other way."""
    try:
        read(*arguments)
    except AttncliError as error:
        return error
    return None


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([order + name for name in TYPES for order in "<>"]).flatmap(
        lambda name: npst.arrays(name, npst.array_shapes(min_dims=0, max_dims=3, min_side=0))
    )
)
def test_every_array_comes_back(array: np.ndarray) -> None:
    with PATH.open("wb") as file:
        write_safetensors(file, {"q": array, "k": array.T})
    read = read_member(PATH, "q")
    assert read.dtype == array.dtype.newbyteorder("=")
    assert read.tobytes() == array.astype(read.dtype).tobytes()
    assert members(PATH)["q"].shape == array.shape == read.shape
    assert members(PATH)["k"].dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(load(PATH.read_bytes())["k"], array.T)


def test_the_same_arrays_give_the_same_bytes() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    arrays = {"b": np.arange(7.0), "a": np.arange(11, dtype=np.float32)}
    write_safetensors(first, arrays)
    write_safetensors(second, dict(reversed(arrays.items())))
    assert first.getvalue() == second.getvalue()


def test_every_bfloat16_is_exact() -> None:
    words = np.arange(1 << 16, dtype=np.uint16)
    save("q", "BF16", [256, 256], words.tobytes())
    read = read_member(PATH, "q")
    assert read.dtype == np.float32
    assert read.shape == (256, 256)
    exact = (words.astype(np.uint32) << 16).view(np.float32).reshape(256, 256)
    np.testing.assert_array_equal(read, exact)
    assert members(PATH)["q"].dtype == ml_dtypes.bfloat16


def test_smaller_floats_are_refused() -> None:
    save("q", "F8_E4M3", [3], b"123")
    assert members(PATH)["q"].shape == (3,)
    assert error_of() == (
        "p.safetensors: error: q is of type F8_E4M3\n"
        "  expected bfloat16, float16, float32, float64, integers or booleans, found F8_E4M3\n"
        "hint: convert it to float32 where the model's scales are known"
    )


def test_odd_booleans_are_refused() -> None:
    save("q", "BOOL", [2], b"\1\2")
    assert "q holds booleans other than 0 and 1" in error_of()


def test_a_name_that_is_not_there() -> None:
    save("query", "U8", [1], b"1")
    with pytest.raises(InputError) as caught:
        read_member(PATH, "querry", Place("p.yaml", 2, 8))
    assert str(caught.value) == (
        "p.yaml:2:8: error: p.safetensors has no tensor called querry\n"
        "  expected query\n"
        "hint: did you mean query?"
    )


def test_what_the_library_says() -> None:
    save("q", "F32", [2, 3], b"too short")
    head, said, hint = error_of().split("\n")
    assert head == "p.safetensors: error: this is no sound safetensors file"
    assert said.startswith("  it says: Error while deserializing header: ")  # the rest is its own
    assert hint == "hint: copy the file again, or save it again"


@pytest.mark.parametrize("module", ["safetensors", "ml_dtypes"])
def test_without_the_extra(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    save("q", "U8", [1], b"1")
    monkeypatch.setitem(sys.modules, module, None)
    assert error_of() == (
        "p.safetensors: error: safetensors files need the safetensors extra\n"
        "hint: python -m pip install 'attncli[safetensors]'"
    )
    with pytest.raises(InputError, match="need the safetensors extra"):
        write_safetensors(io.BytesIO(), {})


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_is_refused_or_harmless(data: st.DataObject) -> None:
    save("q", "BF16", [2, 3], bytes(range(12)))
    content = bytearray(PATH.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    PATH.write_bytes(content[: data.draw(st.sampled_from([len(content)] * 3 + [*range(99)]))])
    for error in (refusal(members, PATH), refusal(read_member, PATH, "q")):
        assert error is None or (error.place == Place(str(PATH)) and error.exit_code in (3, 6))
