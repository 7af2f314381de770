"""Somebody's results: every format that `attend` writes, and tables by hand; how exact each is."""

from pathlib import Path

import numpy as np
import pytest

from attncli import attend, load
from attncli.commands.boundary import run
from attncli.errors import InputError
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
