"""Tolerances, what is counted, where errors lie, and what is known where nothing fits."""

from pathlib import Path

import numpy as np
import pytest

from attncli import load
from attncli.commands.boundary import run
from attncli.core.step import Step
from attncli.files.results import Result
from attncli.oracle.compare import Comparison, Rule, compare, compared
from attncli.oracle.pattern import pictures, sentence
from attncli.oracle.precision import PRECISIONS, in_precision, recast
from attncli.solve import solve
from tests.verify.test_slips import judge
from tests.verify.wrong import draw, each, problem

AXES = ("batch", "head", "query", "key")


def comparison(wrong: np.ndarray, axes: tuple[str, ...] = AXES) -> Comparison:
    ours = np.zeros(wrong.shape)
    return compare(Step("weights", ours, axes), wrong.astype(float), 0.0, 0.5)


def test_what_differs_is_counted() -> None:
    ours = np.array([[1.0, 2.0, 0.0], [-np.inf, np.nan, 5.0]])
    theirs = np.array([[1.0, 2.5, 0.25], [-np.inf, np.nan, np.nan]])
    found = compare(Step("scores", ours, ("query", "key")), theirs, 0.01, 1e-3)
    assert not found.same
    assert (found.first, found.differing, found.wrong.size) == ((0, 1), 3, 6)
    assert (found.max_abs, found.max_rel) == (np.inf, np.inf)
    assert compare(Step("scores", ours, ("query", "key")), ours.copy(), 0.0, 0.0).same


def test_another_shape_is_a_difference_without_a_place() -> None:
    found = compare(Step("output", np.ones((2, 3)), ("query", "feature")), np.ones((3, 2)), 1, 1)
    assert not found.same
    assert found.first is None


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_a_run_in_a_precision_is_allowed_twice_its_error(dtype: str) -> None:
    random = np.random.default_rng(3)
    q, k, v = draw(random)
    own = judge(problem(q, k, v))
    right = own.ours.output
    naive = solve(in_precision(own.problem, dtype)).output
    assert own.verdict("theirs", {"output": Result(naive.astype(float), dtype)}).same
    step = own.ours.step("output")
    _, atol = own.rule.tolerance(own.problem, step, Result(right, dtype))
    assert not own.verdict("theirs", {"output": Result(right + 3 * max(atol, 1e-9), dtype)}).same
    if dtype != "float64":
        assert PRECISIONS[dtype].epsilon / 20 < atol < 40 * PRECISIONS[dtype].epsilon


def test_tolerances_can_be_said() -> None:
    q, k, v = draw(np.random.default_rng(0))
    made = problem(q, k, v)
    right = each(q, k, v)
    near = {"output": Result(right + 1e-3, "float64")}
    assert not judge(made).verdict("theirs", near).same
    assert judge(made, atol=2e-3).verdict("theirs", near).same
    assert judge(made, computed_in="bfloat16").verdict("theirs", near).same
    assert judge(made, rtol=1e-2).verdict("theirs", {"output": Result(right * 1.005)}).same


def test_text_is_right_to_half_of_its_last_digit() -> None:
    q, k, v = draw(np.random.default_rng(0))
    right = each(q, k, v)
    digits = np.round(right, 2)
    half = np.full(right.shape, 0.005)
    own = judge(problem(q, k, v))
    assert own.verdict("sheet", {"output": Result(digits, None, half)}).same
    assert not own.verdict("sheet", {"output": Result(digits + 0.01, None, half)}).same


def test_nulls_stand_for_what_json_cannot_write() -> None:
    own = judge({"query": [[1.0]], "key": [[1.0], [2.0]], "mask": np.array([[True, False]])})
    scores = np.array([[1.0, np.nan]])
    blank = np.isnan(scores)
    theirs = {"masked": Result(scores, None, np.zeros((1, 2)), blank)}
    assert compared(own.problem, own.ours, theirs, Rule())[0].same
    theirs = {"masked": Result(scores[:, ::-1], None, np.zeros((1, 2)), blank[:, ::-1])}
    assert not compared(own.problem, own.ours, theirs, Rule())[0].same


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_rounding_is_to_the_nearest(name: str) -> None:
    """bfloat16 has no NumPy type: it is held to ml_dtypes, ties among it."""
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="safetensors extra")
    random = np.random.default_rng(0)
    x = random.normal(size=4001).astype(np.float32) * np.float32(10.0) ** random.integers(-8, 8)
    x = np.concatenate([x, [0.0, -0.0, np.inf, -np.inf, 1.00390625, 1.01171875, 3e38, 1e-40]])
    x = x.astype(np.float32)
    dtype = ml_dtypes.bfloat16 if name == "bfloat16" else np.dtype(name)
    with np.errstate(over="ignore"):
        expected = x.astype(dtype).astype(np.float32)
    np.testing.assert_array_equal(PRECISIONS[name].round(x), expected)
    assert np.isnan(PRECISIONS[name].round(np.array([np.nan]))).all()


def test_recasting_changes_floats_alone_and_keeps_the_rest() -> None:
    made = load(
        query=np.ones((2, 3, 5, 4)), key=np.ones((2, 3, 5, 4)), causal=True, bias={"alibi": True}
    )
    doubled = recast(made, lambda array: 2 * array)
    assert doubled.query.max() == 2  # type: ignore[attr-defined]
    assert doubled.biases[0].slopes[0] == 2 * made.biases[0].slopes[0]  # type: ignore[attr-defined]
    assert doubled.presentation is made.presentation
    assert recast(made, lambda array: array) is made


# --- where


def places(*where: object, shape: tuple[int, ...] = (2, 8, 200, 300)) -> np.ndarray:
    wrong = np.zeros(shape, dtype=bool)
    wrong[where] = True  # type: ignore[index]
    return wrong


A = slice(None)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ((A, slice(4, 8)), "heads 4–7 of 8"),
        ((A, 3), "head 3 of 8"),
        ((1,), "batch 1 of 2, the last"),
        ((A, A, slice(128, 200)), "queries 128–199 of 200, from a multiple of 128 on"),
        ((A, A, A, slice(0, 64)), "keys 0–63 of 300, up to a multiple of 64"),
        ((A, slice(1, 8, 2)), "every second head from 1 on"),
        ((A, A, [3, 50, 51]), "queries 3, 50, 51 (3 of 200)"),
        ((A, A, A, A), "everywhere"),
    ],
)
def test_a_sentence_says_where(where: tuple[object, ...], says: str) -> None:
    told = sentence(comparison(places(*where)))
    assert told.startswith(says)


def test_a_sentence_has_the_plural_of_any_axis() -> None:
    wrong = places(slice(1, 3), shape=(5, 3))
    assert sentence(comparison(wrong, ("patch", "feature"))).startswith("patches 1–2 of 5")


@pytest.mark.parametrize(
    ("band", "says"),
    [
        (lambda d: d > 0, "only right of the diagonal"),
        (lambda d: d < 0, "only left of the diagonal"),
        (lambda d: d == 0, "on the diagonal"),
        (lambda d: d == 1, "one right of it"),
    ],
)
def test_a_sentence_knows_the_diagonal(band: object, says: str) -> None:
    distance = np.arange(7)[None, :] - np.arange(7)[:, None]
    wrong = np.broadcast_to(band(distance), (2, 3, 7, 7))  # type: ignore[operator]
    assert says in sentence(comparison(wrong))


def test_a_picture_shades_the_share_of_each_cell() -> None:
    wrong = np.zeros((24, 80), dtype=bool)
    wrong[12:] = True
    wrong[0, 0] = True
    ((heading, rows),) = pictures(comparison(wrong, ("query", "key")))
    assert (heading, len(rows), {*map(len, rows)}) == ("", 12, {40})
    assert rows[0] == "░" + " " * 39
    assert rows[-1] == "█" * 40
    ((_, ascii_rows),) = pictures(comparison(wrong, ("query", "key")), ascii=True)
    assert "".join(ascii_rows).isascii()
    assert pictures(comparison(np.ones((24, 80), dtype=bool), ("query", "key"))) == []


# --- what is known


def facts(theirs: dict[str, np.ndarray], **keys: object) -> str:
    q, k, v = draw(np.random.default_rng(5))
    own = judge(problem(q, k, v, **keys))
    results = {name: Result(array, "float64") for name, array in theirs.items()}
    told = own.verdict("theirs", results)
    assert told.fits == ()
    return "; ".join(told.facts)


def right() -> dict[str, np.ndarray]:
    q, k, v = draw(np.random.default_rng(5))
    trace = judge(problem(q, k, v)).ours
    return {name: np.array(trace[name]) for name in ("scaled", "weights", "value", "output")}


def test_a_factor_is_seen() -> None:
    assert "output is ours times 1.25 everywhere" in facts({"output": 1.25 * right()["output"]})


def test_factors_of_rows_are_seen() -> None:
    factors = np.linspace(0.5, 1.5, 7)[:, None]
    assert "(0.5 to 1.5)" in facts({"output": factors * right()["output"]})


def test_steps_that_are_right_and_steps_that_follow_are_told() -> None:
    steps = right()
    weights = np.abs(steps["weights"] + np.random.default_rng(0).normal(size=(7, 11)) / 30)
    theirs = {
        "scaled": steps["scaled"],
        "weights": weights,
        "output": weights @ steps["value"],
    }
    told = facts(theirs)
    assert "scaled is right; the first step that differs is weights" in told
    assert "output follows from what stands before" in told
    assert "the rows of weights have sums from" in told


def test_nan_and_numbers_out_of_range_are_told() -> None:
    output = right()["output"].copy()
    output[0, 1, 2, 3] = np.nan
    assert "output has NaN in 1 places, first [0, 1, 2, 3]" in facts({"output": output})
    output[0, 1, 2, 3] = 50
    assert "1 number of output lies outside the range of the values" in facts({"output": output})


@pytest.mark.parametrize("suffix", ["md", "txt", "tex", "html", "svg"])
def test_reports_for_people_are_no_results(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"report.{suffix}"
    path.write_text("| 1 | 2 |\n", encoding="utf-8")
    sample = Path(__file__).resolve().parent.parent.parent / "samples" / "soft-addressing.yaml"
    assert run(["verify", str(sample), str(path)]) == 3
    words = capsys.readouterr().err
    assert "is a report to look at" in words
    assert "-o theirs.npz" in words
