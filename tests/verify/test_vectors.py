"""The suite of test vectors: read back by others' means, held to loops, poisoned where masked."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli import load
from attncli.commands.boundary import run
from attncli.errors import OutputError
from attncli.oracle import vectors
from attncli.oracle.vectors import FEATURES, SHAPES, Shape
from attncli.solve import solve
from tests import oracle_heads
from tests.judging import plain


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of two shapes, as `new vectors` writes it."""
    folder = tmp_path_factory.mktemp("suite") / "vectors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "SHAPES", SHAPES[:2])
        assert run(["new", "vectors", str(folder), "-q"]) == 0
    return folder


def index(suite: Path) -> list[dict[str, Any]]:
    whole: dict[str, Any] = json.loads((suite / "index.json").read_text())
    return whole["cases"]  # type: ignore[no-any-return]


def test_every_feature_shape_and_precision_is_there(suite: Path) -> None:
    cases = index(suite)
    assert len(cases) == len(FEATURES) * 2 * 4
    assert len({case["id"] for case in cases}) == len(cases)
    for case in cases:
        for kind in ("npz", "safetensors", "problem"):
            assert (suite / case[kind]).is_file()
    assert len([*suite.iterdir()]) == 3 * len(cases) + 1


def test_outputs_are_those_of_plain_loops(suite: Path) -> None:
    for case in index(suite):
        if case["precision"] != "float16":
            continue
        with np.load(suite / case["npz"]) as arrays:
            tensors = {
                name: array.astype(np.float64) if array.dtype.kind == "f" else array
                for name, array in arrays.items()
            }
        output = tensors.pop("output")
        lse = tensors.pop("lse")
        problem: dict[str, Any] = {**case["settings"]}
        for name, array in tensors.items():
            outer, _, inner = name.partition(".")
            if inner:
                problem[outer] = {**problem.get(outer, {}), inner: array}
            else:
                problem[name] = array
        truth = oracle_heads.attend(plain(problem))
        np.testing.assert_allclose(
            output, truth["output"], rtol=1e-9, atol=1e-11, err_msg=case["id"]
        )
        np.testing.assert_allclose(lse, truth["lse"], rtol=1e-9, atol=1e-11, err_msg=case["id"])


def test_masked_keys_hold_nan_and_no_output_does(suite: Path) -> None:
    poisoned = 0
    for case in index(suite):
        with np.load(suite / case["npz"]) as arrays:
            assert np.isfinite(arrays["output"]).all(), case["id"]
            poisoned += bool(np.isnan(arrays["value"]).any())
            if "key_lengths" in arrays:
                length = int(arrays["key_lengths"][0])
                assert np.isnan(arrays["key"][0, :, length:]).all()
    assert poisoned >= 4 * len([f for f in FEATURES if f.name in ("lengths-empty", "key-mask")])


def test_tensors_are_of_their_precision(suite: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="safetensors extra")
    from safetensors.numpy import load_file

    for case in index(suite):
        held = load_file(suite / case["safetensors"])
        dtype = case["precision"]
        wanted = np.dtype(ml_dtypes.bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
        assert held["query"].dtype == wanted
        assert held["output"].dtype == np.float64
        with np.load(suite / case["npz"]) as arrays:
            np.testing.assert_array_equal(arrays["query"], held["query"].astype(np.float64))


def test_a_naive_run_passes_and_a_slip_does_not(suite: Path) -> None:
    for case in index(suite):
        assert case["naive_error"] <= case["allowed"]
        if case["allowed"] == 0:
            assert case["id"].startswith("lengths-empty.small.")  # one entry, without a key: zeros
        if case["precision"] == "float32":
            assert case["naive_error"] < 1e-4


def test_each_problem_is_one_for_attncli(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = next(case for case in index(suite) if case["id"] == "together.prime.float32")
    found = solve(load(suite / case["problem"])).output
    with np.load(suite / case["npz"]) as arrays:
        np.testing.assert_allclose(found, arrays["output"], rtol=1e-12)
    theirs = f"{suite / case['npz']}:output"
    assert run(["verify", str(suite / case["problem"]), theirs]) == 0
    causal = str(suite / "causal-bottom-right.prime.float32")
    assert run(["verify", f"{causal}.json", f"{causal}.npz:output", "--no-causal"]) == 1
    assert "causal-added" in capsys.readouterr().out


def test_the_same_bytes_each_time(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "SHAPES", SHAPES[:2])
    vectors.write(tmp_path / "again")
    for path in suite.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_full_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(OutputError):
        vectors.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert run(["new", "vectors"]) == 2
    assert run(["new", "vectors", str(tmp_path / "mine.txt")]) == 5


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_axes_have_different_lengths(shape: Shape) -> None:
    assert len({shape.queries, shape.keys, shape.d_k, shape.d_v}) >= 3
    assert shape.heads % shape.kv_heads == 0
