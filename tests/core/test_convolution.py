"""A convolution and its attention, held to plain loops over pixels."""

from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncli import attend
from attncli.core.convolution import Convolution
from attncli.core.step import run
from attncli.errors import InputError
from attncli.solve import solve

PADDINGS = st.sampled_from(["zero", "replicate"])
# Mostly primes, all different: an axis that is taken for another cannot go unnoticed.
EXTENTS = st.sampled_from([(5, 7), (7, 5), (3, 11), (1, 5), (2, 3)])
WINDOWS = st.sampled_from([(3, 3), (1, 1), (3, 5), (5, 3), (1, 3), (2, 3), (3, 2)])


@dataclass(frozen=True)
class Case:
    image: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray | None
    padding: str
    dilation: int
    stride: int

    def problem(self, **changes: Any) -> Convolution:
        return Convolution(**{**vars(self), **changes})


@st.composite
def convolutions(draw: st.DrawFn) -> Case:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    batch = draw(st.sampled_from([(), (2,), (2, 3)]))
    c_in, c_out = draw(st.sampled_from([(1, 1), (2, 3), (3, 2)]))
    shape = (*batch, *draw(EXTENTS), c_in)
    return Case(
        image=random.normal(size=shape),
        kernel=random.normal(size=(c_out, c_in, *draw(WINDOWS))),
        bias=random.normal(size=c_out) if draw(st.booleans()) else None,
        padding=draw(PADDINGS),
        dilation=draw(st.integers(1, 3)),
        stride=draw(st.integers(1, 3)),
    )


def by_hand(case: Case) -> np.ndarray:
    """One pixel, one kernel pixel, one channel at a time."""
    images = case.image.reshape(-1, *case.image.shape[-3:])
    n, h, w, c_in = images.shape
    c_out, _, kh, kw = case.kernel.shape
    rows, columns = range(0, h, case.stride), range(0, w, case.stride)
    result = np.zeros((n, len(rows), len(columns), c_out))
    for batch, i, j, o in np.ndindex(result.shape):
        total = 0.0 if case.bias is None else float(case.bias[o])
        for a, b, c in np.ndindex(kh, kw, c_in):
            row = rows[i] + case.dilation * (a - kh // 2)
            column = columns[j] + case.dilation * (b - kw // 2)
            if case.padding == "replicate":
                row, column = min(max(row, 0), h - 1), min(max(column, 0), w - 1)
            if 0 <= row < h and 0 <= column < w:
                total += float(images[batch, row, column, c] * case.kernel[o, c, a, b])
        result[batch, i, j, o] = total
    return result.reshape(*case.image.shape[:-3], *result.shape[1:])


@settings(deadline=None)
@given(case=convolutions())
def test_convolution_and_attention_are_the_loops(case: Case) -> None:
    trace = solve(case.problem())
    expected = by_hand(case)
    for name in ("convolution", "attention"):
        np.testing.assert_allclose(trace[name], expected, rtol=1e-10, atol=1e-12, err_msg=name)
    np.testing.assert_array_equal(trace["difference"], trace["attention"] - trace["convolution"])
    np.testing.assert_array_equal(trace.output, trace["attention"])
    assert trace.output_axes == trace.step("attention").axes


FIXED = [
    # batch, image, channels in and out, kernel, padding, dilation, stride
    ((), (5, 7), (2, 3), (5, 3), "zero", 1, 1),
    ((2,), (5, 7), (1, 2), (3, 5), "replicate", 1, 2),
    ((2, 3), (3, 4), (2, 1), (2, 3), "zero", 2, 1),
    ((), (7, 5), (3, 2), (3, 2), "replicate", 3, 3),
    ((), (1, 5), (1, 1), (1, 5), "zero", 1, 2),
]


@pytest.mark.parametrize("place", range(len(FIXED)))
def test_fixed_cases_are_the_loops(place: int) -> None:
    batch, extent, (c_in, c_out), window, padding, dilation, stride = FIXED[place]
    random = np.random.default_rng(place)
    case = Case(
        image=random.normal(size=(*batch, *extent, c_in)),
        kernel=random.normal(size=(c_out, c_in, *window)),
        bias=random.normal(size=c_out) if place % 2 else None,
        padding=padding,
        dilation=dilation,
        stride=stride,
    )
    problem, expected = case.problem(), by_hand(case)
    np.testing.assert_allclose(problem.direct(np), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(problem.attended(46.0, np), expected, rtol=1e-10, atol=1e-12)
    kh, kw = window
    pads = (dilation * (kh // 2), dilation * (kw // 2)) if padding == "zero" else (0, 0)
    assert problem.pads == pads
    attention = problem.attention(1.0, np)
    assert attention.n_keys == (extent[0] + 2 * pads[0]) * (extent[1] + 2 * pads[1])
    assert attention.n_queries == -(-extent[0] // stride) * -(-extent[1] // stride)


def test_the_difference_is_measured_at_powers_of_two_and_at_the_problems_own() -> None:
    image, kernel = np.ones((2, 3, 1)), np.ones((1, 1, 1, 1))
    powers = [0.5, 1, 2, 4, 8, 16, 32, 64]
    for own, trials in ((3.0, sorted([*powers, 3.0])), (8.0, powers)):
        problem = Convolution(image=image, kernel=kernel, sharpness=own)
        assert solve(problem)["falloff"][:, 0].tolist() == trials
    plain = Convolution(image=image, kernel=kernel)
    assert plain.settings() == {
        "padding": "zero",
        "dilation": 1,
        "stride": 1,
        "sharpness": 46.0,
        "dtype": "float64",
    }
    assert plain.traits() == {"kernel_bias": False}
    assert not any(fact.startswith(("stride", "dilation")) for fact in plain.facts())
    apart = Convolution(image=image, kernel=kernel, stride=2, dilation=2)
    assert {"stride 2", "dilation 2"} <= {*apart.facts()}


@pytest.mark.parametrize(
    ("name", "most", "beyond"),
    [
        ("dilation", 10**6, 10**6 + 1),
        ("stride", 10**6, 10**6 + 1),
        ("sharpness", 1e9, 1e9 + 1),
    ],
)
def test_what_rounding_would_lose_is_refused_from_its_bound_on(
    name: str, most: float, beyond: float
) -> None:
    parts: dict[str, Any] = {"image": np.ones((2, 3, 1)), "kernel": np.ones((1, 1, 1, 1))}
    Convolution(**parts, **{name: most})
    with pytest.raises(InputError, match=name) as refused:
        Convolution(**parts, **{name: beyond})
    assert refused.value.expected == f"at most {most:g}"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"image": np.ones((3, 2))}, "image has the shape"),
        ({"image": np.ones((0, 3, 2))}, "image has the shape"),
        ({"kernel": np.ones((3, 2, 0, 1))}, "kernel has the shape"),
        ({"kernel": np.ones((3, 2, 1))}, "kernel has the shape"),
        ({"kernel": np.ones((2, 5, 1, 3))}, "kernel takes 5 channels, image has 2"),
        ({"bias": np.ones(2)}, r"kernel_bias has the shape \(2\)"),
        ({"bias": np.ones((3, 1))}, r"kernel_bias has the shape \(3 × 1\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(parts: dict[str, Any], words: str) -> None:
    fitting: dict[str, Any] = {
        "image": np.ones((7, 5, 2)),
        "kernel": np.ones((3, 2, 1, 5)),
        "bias": np.ones(3),
    }
    assert Convolution(**fitting).facts()[:3] == (
        "7 × 5 pixels",
        "2 → 3 channels",
        "1 × 5 kernel, 5 heads",
    )
    with pytest.raises(InputError, match=words) as refused:
        Convolution(**{**fitting, **parts})
    if "bias" in parts:
        assert refused.value.expected == "one number for each of the 3 channels it makes"


@settings(deadline=None)
@given(case=convolutions())
def test_the_difference_falls_with_the_sharpness(case: Case) -> None:
    falloff = solve(case.problem(sharpness=3.0))["falloff"]
    sharpness, difference = falloff.T
    assert sharpness.tolist() == sorted({*sharpness.tolist(), 3.0})
    # From 4 on what other keys get is at most 4·exp(−α) and a little, of a weight of 1.
    bound = 2 * np.abs(case.image).max() * np.abs(case.kernel).sum() * 4.2 * np.exp(-sharpness)
    sharp = sharpness >= 4
    assert (difference[sharp] <= bound[sharp] + 1e-12).all()
    own = float(np.abs(solve(case.problem(sharpness=3.0))["difference"]).max())
    assert difference[sharpness == 3.0] == own


@settings(deadline=None)
@given(case=convolutions())
def test_scores_are_those_of_the_paper_but_for_what_is_the_same_for_all_keys(case: Case) -> None:
    alpha = 0.75
    problem = case.problem()
    steps = {step.name: step.value for step in run(problem.attention(alpha, np).steps(np))}
    shifts = [np.array([down, right]) for *_, down, right in problem.shifts()]
    kh, kw = problem.window
    assert [a * kw + b for a, b, *_ in problem.shifts()] == list(range(kh * kw))
    queries = steps["query"][0] - shifts[0]
    d = steps["key"][None, :, :] - queries[:, None, :]
    for scores, shift in zip(steps["scaled"], shifts, strict=True):
        paper = -alpha * ((d * d).sum(-1) - 2 * d @ shift)
        np.testing.assert_allclose(scores - paper, -alpha * shift @ shift, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(steps["value"].shape[-3], 1)


def test_a_neighbour_gets_exp_of_minus_alpha() -> None:
    image, kernel = np.zeros((5, 5, 1)), np.ones((1, 1, 1, 1))
    image[2, 2] = 1
    attention = solve(Convolution(image=image, kernel=kernel, sharpness=12.0))["attention"]
    assert log(attention[2, 1, 0] / attention[2, 2, 0]) == pytest.approx(-12)


def test_float32_stays_float32_and_equals_to_its_rounding() -> None:
    random = np.random.default_rng(7)
    image = random.normal(size=(5, 7, 2)).astype(np.float32)
    kernel = random.normal(size=(3, 2, 3, 3)).astype(np.float32)
    trace = solve(Convolution(image=image, kernel=kernel, dtype="float32"))
    assert {step.value.dtype.name for step in trace.steps} == {"float32"}
    assert np.abs(trace["difference"]).max() < 2e-5


@settings(deadline=None)
@given(case=convolutions())
def test_the_memory_announced_covers_the_scores(case: Case) -> None:
    problem = case.problem()
    scores = next(s for s in run(problem.attention(1.0, np).steps(np)) if s.name == "scores")
    assert problem.memory(None) >= 4 * scores.value.nbytes


def test_steps_and_sizes_are_those_that_are_announced() -> None:
    case = Case(np.ones((2, 5, 7, 2)), np.ones((3, 2, 3, 1)), None, "zero", 1, 2)
    problem = case.problem()
    trace = solve(problem)
    assert trace.names == problem.step_names()
    assert trace.step("attention").axes == ("batch", "row", "column", "feature")
    sizes = problem.sizes()
    assert trace["attention"].shape == tuple(sizes[axis] for axis in trace.step("attention").axes)
    assert trace["shifts"].tolist() == [[-1, 0], [0, 0], [1, 0]]
    assert sizes["head"] == 3


# --- as a problem of a user

SQUARE = [[0, 1, 0], [1, 1, 1]]
CROSS = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]


def test_tables_are_an_image_and_a_kernel_of_one_channel() -> None:
    trace = attend(kind="convolution", image=SQUARE, kernel=CROSS)
    assert trace["convolution"][..., 0].tolist() == [[2, -3, 2], [-3, -1, -3]]
    assert trace.notes == ("attention and convolution differ by at most 0",)


def test_the_sample_is_exact_and_blunt_heads_are_not() -> None:
    sample = Path(__file__).parents[2] / "samples" / "convolution.yaml"
    assert np.abs(attend(sample)["difference"]).max() < 1e-15
    assert np.abs(attend(sample, sharpness=0.5)["difference"]).max() > 1


def test_both_layouts_are_the_same_image() -> None:
    random = np.random.default_rng(3)
    image, kernel = random.normal(size=(2, 5, 7, 3)), random.normal(size=(2, 3, 3, 3))
    first = attend(kind="convolution", image=image, kernel=kernel).output
    last = np.moveaxis(image, -1, -3)
    second = attend(kind="convolution", image=last, kernel=kernel, layout="chw").output
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("format", ["table", "markdown", "csv", "json", "yaml"])
def test_every_report_tells_shifts_and_falloff(format: str) -> None:
    from attncli.formats import render
    from attncli.formats.display import Display

    trace = attend(kind="convolution", image=SQUARE, kernel=CROSS, labels={"feature": ["edges"]})
    text = render(trace, Display(), format)
    for word in ("edges", "down", "right", "sharpness", "difference", "(1, 2)"):
        assert word in text.replace("\\", "")


def test_a_table_shows_a_channel_as_a_picture() -> None:
    from attncli.formats import render
    from attncli.formats.display import Display

    kernel = np.stack([[CROSS], [np.negative(CROSS)]])
    trace = attend(kind="convolution", image=SQUARE, kernel=kernel)
    display = Display(steps=("convolution",), focus={"feature": 1, "row": slice(1, 2)})
    assert "feature 1\n   3  1  3\n" in render(trace, display, "table")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image": None}, "image is missing"),
        ({"kernel": None}, "kernel is missing"),
        ({"image": [1, 2]}, "image has the shape"),
        ({"kernel": np.ones((2, 3, 3))}, "kernel has the shape"),
        ({"kernel": np.ones((1, 2, 3, 3))}, "kernel takes 2 channels, image has 1"),
        ({"kernel_bias": [1, 2]}, "kernel_bias has the shape"),
        ({"layout": "heads-first"}, "layout: heads-first means nothing for kind: convolution"),
        ({"notation": "columns"}, "an image has none"),
        ({"causal": True}, "causal is no key of kind: convolution"),
        ({"labels": {"query": ["a"]}}, "name the channels"),
        ({"labels": {"feature": ["a", "b"]}}, "labels.feature has 2 labels"),
        ({"dilation": 10**30}, "dilation"),
        ({"stride": 10**30}, "stride"),
        ({"sharpness": 1e300}, "sharpness"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    problem = {"kind": "convolution", "image": SQUARE, "kernel": CROSS} | changes
    with pytest.raises(InputError, match=words.replace(".", r"\.")):
        attend(**problem)


def test_the_layout_of_images_means_nothing_to_an_attention() -> None:
    with pytest.raises(InputError, match="about a picture, and there is no input"):
        attend(scores=[[1.0, 2.0]], layout="chw")


def test_the_falloff_is_the_largest_difference_of_each_sharpness() -> None:
    rng = np.random.default_rng(11)
    problem = {
        "kind": "convolution",
        "image": rng.normal(size=(5, 7, 2)),
        "kernel": rng.normal(size=(3, 2, 3, 3)),
    }
    trace = attend(**problem, sharpness=3.0)
    trials, measured = np.moveaxis(np.asarray(trace["falloff"]), -1, 0)
    assert [*trials] == sorted({0.5, 1, 2, 3, 4, 8, 16, 32, 64})
    for trial, found in zip(trials, measured, strict=True):
        alone = attend(**problem, sharpness=float(trial))
        assert found == pytest.approx(np.abs(alone["difference"]).max(), rel=1e-9, abs=1e-12)
