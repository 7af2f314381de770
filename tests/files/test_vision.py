"""What a problem says of a picture's class token and linear maps."""

from typing import Any

import numpy as np
import pytest

from attncli.errors import InputError
from attncli.files.types import Entry
from attncli.files.vectors import Source
from attncli.files.vision import LINEARS, Vision

PATCHES = np.ones((4, 3))
TABLE, BIAS = np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0])


def read(**keys: Any) -> Vision:
    """The tables beside an input that is no picture."""
    entries = {key: Entry(value) for key, value in keys.items()}
    return Vision.read(Source(entries), PATCHES)


def parts(**tables: Any) -> dict[str, Entry]:
    return {name: Entry(np.asarray(table)) for name, table in tables.items()}


def test_a_class_token_is_one_vector_however_it_lies() -> None:
    for shape in ((4,), (1, 4), (4, 1)):
        token = np.arange(4.0)
        read_token = read(class_token=token.reshape(shape)).tables["class_token"]
        np.testing.assert_array_equal(read_token, token)
    for shape in ((), (2, 2), (1, 1, 4)):  # for the layers to refuse
        assert read(class_token=np.ones(shape)).tables["class_token"].shape == shape


@pytest.mark.parametrize("key", LINEARS)
def test_a_table_and_a_bias_have_two_axes_and_one(key: str) -> None:
    for given, part, shown, expected in (
        (parts(weight=TABLE[0], bias=BIAS), "weight", "(2)", "a table (d_in d_out)"),
        (parts(weight=TABLE[None]), "weight", "(1 × 3 × 2)", "a table (d_in d_out)"),
        (parts(weight=TABLE, bias=TABLE), "bias", "(3 × 2)", "one vector"),
        (parts(weight=TABLE, bias=3.0), "bias", "a single number", "one vector"),
    ):
        with pytest.raises(InputError) as caught:
            read(**{key: given})
        assert caught.value.what == f"{key}.{part} has the shape {shown}"
        assert (caught.value.expected, caught.value.subject) == (expected, key)
    with pytest.raises(InputError, match=f"{key} has no weight") as caught:
        read(**{key: parts(bias=BIAS)})
    assert caught.value.expected == f"{key}: {{weight: …, bias: …}}"


def test_tables_are_turned_in_columns_and_biases_are_not() -> None:
    given = parts(weight=TABLE.T, bias=BIAS)
    turned = read(head=given, notation="columns").tables
    np.testing.assert_array_equal(turned["head.weight"], TABLE)
    np.testing.assert_array_equal(turned["head.bias"], BIAS)
    assert read(head=given, notation="rows").tables["head.weight"].shape == (2, 3)


def test_patches_lie_as_the_tables_do() -> None:
    given = np.arange(16.0).reshape(4, 4, 1)
    entries = {"input": Entry(given), "patch": Entry(2)}
    vision = Vision.read(Source(entries), given)
    rows = np.array([[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]])
    np.testing.assert_array_equal(vision.vectors("rows"), rows)
    np.testing.assert_array_equal(vision.vectors("columns"), rows.T)


def test_an_encoder_without_any_of_it_is_plain() -> None:
    assert read().is_plain
    assert not read(class_token=BIAS).is_plain
    assert not read(patch=1).is_plain
    made = read(patch=1, class_token=BIAS).made
    assert made is not None
    assert (made.skip, read(patch=1).made.skip) == (1, 0)


def test_fields_are_in_the_computing_type() -> None:
    vision = read(head=parts(weight=TABLE, bias=BIAS), pooler=parts(weight=TABLE), class_token=BIAS)
    fields = vision.parts("float32")
    assert set(fields) == {"head", "pooler", "class_token"}
    assert fields["head"].weight.dtype == fields["class_token"].dtype == np.float32
    assert fields["head"].bias.dtype == np.float32
    assert fields["pooler"].bias is None
    assert read().parts("float32") == {"class_token": None}
