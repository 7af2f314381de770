"""A convolution as a problem writes it: its defaults, its names, and what is refused."""

from typing import Any

import numpy as np
import pytest

from attncli import load
from attncli.core.convolution import SHARP
from attncli.errors import InputError

IMAGE, KERNEL = np.arange(20.0).reshape(4, 5), np.arange(6.0).reshape(2, 3)
SEVERAL = np.ones((2, 1, 1, 3))


def convolution(**keys: Any) -> Any:
    return load(**{"kind": "convolution", "image": IMAGE, "kernel": KERNEL, **keys})


def refusal(**keys: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        convolution(**keys)
    return caught.value


def test_tables_are_of_one_channel() -> None:
    made = convolution()
    assert (made.image.shape, made.kernel.shape, made.bias) == ((4, 5, 1), (1, 1, 2, 3), None)
    np.testing.assert_array_equal(made.image[..., 0], IMAGE)
    np.testing.assert_array_equal(made.kernel[0, 0], KERNEL)
    assert convolution(kernel_bias=3.0).bias.tolist() == [3]


def test_what_is_not_said() -> None:
    made = convolution()
    assert (made.padding, made.dilation, made.stride) == ("zero", 1, 1)
    assert made.sharpness == SHARP == 46
    assert made.dtype == "float64"
    made = convolution(padding="replicate", dilation=2, stride=3, sharpness=7, dtype="float32")
    assert (made.padding, made.dilation, made.stride) == ("replicate", 2, 3)
    assert (made.sharpness, made.dtype, made.image.dtype) == (7, "float32", np.float32)


def test_its_title_counts_the_heads() -> None:
    assert convolution().presentation.title == "A 2 by 3 convolution as 6 heads"
    assert convolution(kernel=[[2.0]]).presentation.title == "A 1 by 1 convolution as one head"
    assert convolution(title="mine").presentation.title == "mine"


def test_names_of_heads_are_their_shifts() -> None:
    labels = convolution(kernel=np.ones((3, 3))).presentation.labels
    assert labels.given("head")[::4] == ("(0, 0)", "(1, 1)", "(2, 2)")
    assert labels.given("direction") == ("down", "right")
    assert labels.given("measure") == ("sharpness", "difference")
    assert labels.given("feature") == ()


def test_only_the_channels_of_the_result_have_labels() -> None:
    named = convolution(kernel=SEVERAL, labels={"feature": ["a", "b"]})
    assert named.presentation.labels.given("feature") == ("a", "b")
    for labels in (["a", "b"], {"key": ["a"]}, {"feature": ["a", "b"], "key": ["a"]}):
        error = refusal(kernel=SEVERAL, labels=labels)
        assert error.what == "labels of a convolution name the channels of its result"
        assert error.expected == "labels: {feature: […]}, 2 names"
    for names in (["a"], ["a", "b", "c"], [["a"], ["b"]]):
        error = refusal(kernel=SEVERAL, labels={"feature": names})
        assert (error.what, error.found) == (
            f"labels.feature has {len(names)} labels",
            str(len(names)),
        )
        assert error.expected == "one for each of the 2 channels of the result"


@pytest.mark.parametrize("key", ["image", "kernel"])
def test_an_image_and_a_kernel_are_needed(key: str) -> None:
    given = {"image": IMAGE, "kernel": KERNEL}
    del given[key]
    with pytest.raises(InputError, match=f"{key} is missing"):
        load(kind="convolution", **given)


def test_an_image_has_no_columns_notation() -> None:
    assert refusal(notation="columns").hint.startswith("layout: chw")
    assert convolution(notation="rows").image.shape == (4, 5, 1)
