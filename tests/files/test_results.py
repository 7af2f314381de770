"""Somebody's results: every format that `attend` writes, and tables by hand; how exact each is."""

from pathlib import Path

import numpy as np
import pytest

from attncli import attend, load
from attncli.commands.boundary import run
from attncli.errors import InputError
from attncli.files import results
from attncli.files.results import Result, read_results
from attncli.oracle.carried import in_core
from attncli.solve import solve

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SUFFIXES = ("npz", "safetensors", "json", "yaml", "csv")


def written(path: Path, text: str) -> dict[str, Result]:
    path.write_text(text, encoding="utf-8")
    return read_results(str(path))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["causal", "two-heads", "masked-self-attention", "padding"])
def test_what_attend_writes_is_read_back(name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"theirs.{suffix}"
    assert run(["attend", str(SAMPLES / f"{name}.yaml"), "-o", str(path), "-q"]) == 0
    trace = attend(SAMPLES / f"{name}.yaml")
    found = read_results(str(path))
    assert {*found} == {*trace.names} - {"lse"}
    for step in solve(trace.problem, notation="rows").steps:
        if step.name != "lse":
            value = in_core(found[step.name], step, trace.notation)
            blank = found[step.name].blank
            if blank is not None:  # JSON has no −∞
                assert (blank == (np.asarray(step.value) == -np.inf)).all()
            else:
                np.testing.assert_array_equal(value, step.value)


def test_half_of_the_last_digit_is_what_a_text_leaves_open(tmp_path: Path) -> None:
    found = written(tmp_path / "a.yaml", "weights: [[0.25, 1], [3e-2, 12.500]]\n")["weights"]
    np.testing.assert_array_equal(found.value, [[0.25, 1], [0.03, 12.5]])
    assert found.half_digit is not None
    np.testing.assert_allclose(found.half_digit, [[0.005, 0.5], [0.005, 0.0005]])
    assert found.dtype is None


def test_a_program_leaves_out_zeros_and_is_taken_at_its_word(tmp_path: Path) -> None:
    found = written(tmp_path / "a.json", '{"output": [[0.5, 0.3333333333333333]]}')["output"]
    assert found.half_digit is not None
    assert found.half_digit.max() < 1e-15


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("yaml", "[[1, 2], [3, 4.5]]"),
        ("json", "[[1, 2], [3, 4.5]]"),
        ("csv", "1,2\n3,4.5\n"),
        ("csv", ",a,b\nx,1,2\ny,3,4.5\n"),
        ("tsv", "1\t2\n3\t4.5\n"),
        ("csv", "1;2\n3;4,5\n"),
        ("yaml", "|\n  1 2\n  3 4.5\n"),
    ],
)
def test_a_lone_table_has_no_name(suffix: str, text: str, tmp_path: Path) -> None:
    found = written(tmp_path / f"a.{suffix}", text)
    assert [*found] == [""]
    np.testing.assert_array_equal(found[""].value, [[1, 2], [3, 4.5]])
    assert found[""].half_digit is not None
    np.testing.assert_allclose(found[""].half_digit, [[0.5, 0.5], [0.5, 0.05]])


def test_names_of_other_libraries_are_known(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", attn_weights=np.ones((2, 2)), out=np.ones((2, 3)))
    assert {*read_results(str(tmp_path / "a.npz"))} == {"weights", "output"}
    np.savez(tmp_path / "b.npz", out=np.ones((2, 2)), output=np.ones((2, 3)))
    assert {*read_results(str(tmp_path / "b.npz"))} == {"out", "output"}
    assert {*read_results(f"{tmp_path / 'a.npz'}:out")} == {"output"}
    assert written(tmp_path / "c.yaml", "p_attn: [[1]]").keys() == {"weights"}
    assert read_results(f"{tmp_path / 'c.yaml'}:weights").keys() == {"weights"}


def test_types_are_remembered(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", scores=np.ones((2, 2), np.float16), output=np.ones((2, 3)))
    found = read_results(str(tmp_path / "a.npz"))
    assert (found["scores"].dtype, found["output"].dtype) == ("float16", "float64")


def test_bfloat16_is_known_by_its_name(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="safetensors extra")
    from safetensors.numpy import save_file

    save_file({"output": np.ones((2, 3), ml_dtypes.bfloat16)}, tmp_path / "a.safetensors")
    assert read_results(str(tmp_path / "a.safetensors"))["output"].dtype == "bfloat16"


@pytest.mark.parametrize(
    ("suffix", "text", "says"),
    [
        ("yaml", "scores: [[1, 2], [3]]", "not equally long"),
        ("yaml", "scores: [[1, two]]", "is no number"),
        ("yaml", "scores: [[1, 2]]\nscores: [[1, 2]]", "second time"),
        ("yaml", "steps: [{name: scores}]", "no name or no value"),
        ("yaml", "scores: &a [[1]]\nweights: *a", "not read here"),
        ("csv", "step,query,key,value\nscores,0,0,1\nscores,0,2,1\n", "not one value"),
        ("csv", "step,query,key,value\nscores,a,0,1\n", "no step, places and value"),
        ("csv", "step,query,key,value\nscores,-1,0,1\n", "not one value"),
        ("csv", f"step,query,key,value\nscores,{2**64},0,1\n", "not one value"),
        ("csv", f"step,query,key,value\nscores,0,0,{'1' * 200_000}\n", "no row of a table"),
    ],
)
def test_what_cannot_be_read_is_said(suffix: str, text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        written(tmp_path / f"a.{suffix}", text)


def test_columns_and_csv_are_turned_into_rows() -> None:
    problem = load(query=[[1, 0]], key=[[1, 0], [0, 1], [2, 2]], value=[[1], [2], [3]])
    step = attend(problem).step("weights")
    turned = Result(np.asarray(step.value).T)
    np.testing.assert_array_equal(in_core(turned, step, "columns"), step.value)
    named = Result(np.asarray(step.value).T, axes=("key", "query"))
    np.testing.assert_array_equal(in_core(named, step, "rows"), step.value)
    assert in_core(Result(np.ones((2, 2))), step, "rows") is None


def test_a_report_without_an_output_and_lines_without_cells(tmp_path: Path) -> None:
    steps = '{"steps": [{"name": "scores", "value": [[1, 2]]}]'
    assert [*written(tmp_path / "a.json", steps + "}")] == ["scores"]
    found = written(tmp_path / "a.json", steps + ', "output": [[3]]}')
    assert [*found] == ["scores", "output"]
    found = written(tmp_path / "a.csv", "step,query,key,value\n\nscores,0,0,1\n\nscores,0,1,2\n")
    np.testing.assert_array_equal(found["scores"].value, [[1, 2]])
    assert found["scores"].axes == ("query", "key")


def test_places_of_each_step_are_its_own(tmp_path: Path) -> None:
    lines = "step,query,key,feature,value\n"
    lines += "scores,0,0,,1\nscores,0,1,,2.5\noutput,0,,0,3\noutput,1,,0,4\nlse,0,,,5\n"
    found = written(tmp_path / "a.csv", lines)
    assert {name: result.axes for name, result in found.items()} == {
        "scores": ("query", "key"),
        "output": ("query", "feature"),
        "lse": ("query",),
    }
    np.testing.assert_array_equal(found["output"].value, [[3], [4]])
    np.testing.assert_array_equal(found["lse"].value, [5])


@pytest.mark.parametrize(
    ("lines", "number"),
    [("scores,0,0,1\nscores,0,x,1\n", 3), ("scores,0,0,1\n\nscores,0\n", 4)],
)
def test_a_bad_line_is_named_by_its_number(lines: str, number: int, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        written(tmp_path / "a.csv", "step,query,key,value\n" + lines)
    assert caught.value.place is not None
    assert caught.value.place.line == number
    assert caught.value.expected == "step,query,key,value"


@pytest.mark.parametrize(
    "lines",
    [
        "scores,0,0,1\nscores,1,1,1\n",
        "scores,0,0,1\nscores,0,,1\n",
        "scores,0,1,1\nscores,0,2,1\n",
        "scores,-1,0,1\nscores,0,0,1\n",
        "scores,0,-1,1\nscores,0,0,1\n",
    ],
)
def test_a_value_for_each_place(lines: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has not one value for each of its places"):
        written(tmp_path / "a.csv", "step,query,key,value\n" + lines)


@pytest.mark.parametrize(
    ("text", "half"),
    [
        ("1", 0.5),
        ("-1.50", 0.005),
        ("+12e2", 50),
        ("1.5E-3", 0.00005),
        (".5", 0.05),
        ("1.", 0.5),
        ("12345678", 0.5),
        ("1.2345678", 5e-8),
        ("120000000", 0.5),
        ("0.00", 0.005),
        ("0e9", 0.5),
        ("0.0e400", 0.05),
        ("0E-8", 5e-9),
        ("0e-" + "9" * 5000, 0),
        ("0e" + "9" * 5000, 0.5),
        ("1e-400", 0),
        ("1e" + "9" * 5000, 0),
        ("1e-" + "9" * 5000, 0),
        (".inf", 0),
        ("-inf", 0),
        ("Infinity", 0),
        ("nan", 0),
    ],
)
def test_half_of_the_last_digit(text: str, half: float, tmp_path: Path) -> None:
    found = written(tmp_path / "a.yaml", f"scores: [[{text}, 10]]\n")["scores"]
    assert found.half_digit is not None
    np.testing.assert_allclose(found.half_digit, [[half, 0.5]], rtol=1e-12)
    assert found.blank is None


def test_digits_of_numbers_that_are_too_small_leave_nothing_open(tmp_path: Path) -> None:
    found = written(tmp_path / "a.yaml", "scores: [[1.23456789e-400]]\n")["scores"]
    np.testing.assert_array_equal(np.asarray(found.half_digit), [[0]])


@pytest.mark.parametrize(("text", "is_full"), [("12345678.9", True), ("12345678.0", False)])
def test_nine_digits_are_a_program_s(text: str, is_full: bool, tmp_path: Path) -> None:
    found = written(tmp_path / "a.yaml", f"scores: [[{text}, 1, .inf]]\n")["scores"]
    assert found.half_digit is not None
    wanted = [0.05, 0.05, 0.05] if is_full else [0.05, 0.5, 0]
    np.testing.assert_allclose(found.half_digit, [wanted])


def test_blanks_are_left_open(tmp_path: Path) -> None:
    found = written(tmp_path / "a.yaml", "scores: [[_, 1, ___], [null, ~, '']]\n")["scores"]
    assert found.blank is not None
    np.testing.assert_array_equal(found.blank, [[True, False, True], [True, True, True]])
    assert np.isnan(found.value[found.blank]).all()


def test_a_minus_sign_of_a_typesetter(tmp_path: Path) -> None:
    assert written(tmp_path / "a.yaml", "scores: [[\u22122.5]]\n")["scores"].value.item() == -2.5


def test_other_keys_of_a_file_are_no_steps(tmp_path: Path) -> None:
    text = "title: mine\nscores: [[1]]\nlse: 2.5\nsteps: 3\nnote: {a: 1}\n"
    assert {*written(tmp_path / "a.yaml", text)} == {"scores", "lse", "steps"}


@pytest.mark.parametrize("suffix", [".md", ".html", ".svg", ".tex", ".txt"])
def test_a_report_to_look_at_has_no_numbers(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a report to look at"):
        written(tmp_path / f"a{suffix}", "0.5")
    with pytest.raises(InputError, match="is no file of a tensor"):
        read_results(str(tmp_path / f"nothing{suffix}"))


def test_truth_values_and_integers_count_as_float64(tmp_path: Path) -> None:
    for array in (np.ones((2, 3), bool), np.ones((2, 3), np.int8)):
        np.save(tmp_path / "a.npy", array)
        (found,) = read_results(str(tmp_path / "a.npy")).values()
        assert (found.dtype, found.value.dtype) == ("float64", np.float64)
        assert found.half_digit is None


@pytest.mark.parametrize(
    ("suffix", "text", "half"),
    [
        ("csv", "TRUE,FALSE\n", None),
        ("csv", "1,nan\n", None),
        ("csv", "x;a\n1;2,50\n", [[0.5, 0.005]]),
        ("csv", "q,1.25,3\nr,2,4\n\n", [[0.005, 0.5], [0.5, 0.5]]),
        ("tsv", "1.0\t2\n", [[0.05, 0.5]]),
        ("csv", '"a;b",1.0,2\nc,1,2\n', [[0.05, 0.5], [0.5, 0.5]]),
        ("csv", "1.0,2,,\n\n,\n", [[0.05, 0.5]]),
        ("csv", "1" + ";1" * 70_000, [[0.5] * 70_001]),
    ],
)
def test_the_digits_of_a_table(suffix: str, text: str, half: object, tmp_path: Path) -> None:
    found = written(tmp_path / f"a.{suffix}", text)[""]
    if half is None:
        assert found.half_digit is None
    else:
        np.testing.assert_allclose(np.asarray(found.half_digit), half)


def test_a_table_that_changes_between_two_looks_is_read_without_its_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "read_texts", lambda path: ["1", "2", "3"])
    found = written(tmp_path / "a.csv", "1,2\n3,4\n")[""]
    assert found.half_digit is None
    np.testing.assert_array_equal(found.value, [[1, 2], [3, 4]])


def test_a_step_that_a_file_lacks_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", attn_weights=np.ones((2, 2)))
    for name in ("weights", "attn_weights"):
        assert [*read_results(f"{tmp_path / 'a.npz'}:{name}")] == ["weights"]
    with pytest.raises(InputError, match=r"a\.npz has no tensor called output"):
        read_results(f"{tmp_path / 'a.npz'}:output")


def test_a_key_is_a_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a key is no text") as caught:
        written(tmp_path / "a.yaml", "scores: [[1]]\n? [a]\n: 2\n")
    assert caught.value.place is not None
    assert caught.value.place.line == 2


def test_a_text_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(results, "refuse_oversize", lambda *given: asked.append(given))
    written(tmp_path / "a.yaml", "scores: [[1]]\n")
    assert asked == [("a.yaml as text", 40 * 14)]
