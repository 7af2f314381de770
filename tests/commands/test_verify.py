"""`verify` and `attend --simulate` as people call them: exit codes, formats, the screen."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli import attend
from attncli.commands.boundary import run

Capture = pytest.CaptureFixture[str]
PATH = os.pathsep.join(sys.path)
LEE = """\
notation: columns
similarity: dot
input: [[1, 0, 1, 2], [0, 1, 1, 0]]
labels: [the, animal, was, tired]
projections: {query: [[1, 0], [0, 1]], key: [[0, 1], [1, 0]], value: [[1, 1], [0, 1]]}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    Path("lee.yaml").write_text(LEE, encoding="utf-8")
    random = np.random.default_rng(0)
    for name, (n, d) in {"q": (7, 5), "k": (11, 5), "v": (11, 4)}.items():
        np.save(f"{name}.npy", random.normal(size=(2, 3, n, d)))


def called(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    code = run(list(arguments))
    told = capsys.readouterr()
    return code, told.out, told.err


def vectors() -> dict[str, Any]:
    return {
        name: np.load(f"{letter}.npy")
        for name, letter in (("query", "q"), ("key", "k"), ("value", "v"))
    }


@pytest.mark.parametrize("suffix", ["npz", "npy", "safetensors", "json", "yaml", "csv"])
@pytest.mark.parametrize("notation", ["rows", "columns"])
def test_what_attend_writes_is_the_same(suffix: str, notation: str, capsys: Capture) -> None:
    flags = ("--notation", notation)
    assert run(["attend", "lee.yaml", "-o", f"out.{suffix}", "-q", *flags]) == 0
    code, out, _ = called(capsys, "verify", "lee.yaml", f"out.{suffix}", *flags)
    assert (code, out.splitlines()[0]) == (0, f"out.{suffix} against lee.yaml: the same")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("suffix", ["npz", "json", "csv"])
def test_each_precision_is_the_same_as_itself(dtype: str, suffix: str, capsys: Capture) -> None:
    """Also as text, which says more digits than the arithmetic has."""
    files, flags = ("q.npy", "k.npy", "v.npy"), ("--causal", "--align", "3", "--dtype", dtype)
    assert run(["attend", *files, *flags, "-o", f"out.{suffix}", "-q"]) == 0
    assert called(capsys, "verify", *files, f"out.{suffix}", *flags)[0] == 0


def test_three_files_and_a_slip(capsys: Capture) -> None:
    np.save("out.npy", attend(**vectors(), causal=True, align="top-left").output)
    flags = ("--causal", "--align", "bottom-right")
    code, out, err = called(capsys, "verify", "q.npy", "k.npy", "v.npy", "out.npy", *flags)
    assert (code, err) == (1, "")
    assert "Your output is what you get when the causal mask is aligned to the other" in out
    assert "slip: causal-alignment" in out
    assert "known from: top-left in F.scaled_dot_product_attention" in out
    flags = ("--causal", "--align", "top-left")
    assert called(capsys, "verify", "q.npy", "k.npy", "v.npy", "out.npy", *flags)[0] == 0


def test_json_has_the_fields_of_the_contract(capsys: Capture) -> None:
    np.savez("theirs.npz", output=attend(**vectors(), scale="none").output)
    code, out, _ = called(
        capsys, "verify", "q.npy", "k.npy", "v.npy", "theirs.npz", "--format", "json"
    )
    told = json.loads(out)
    assert code == 1
    assert told.keys() == {"same", "steps", "slips"}
    assert told["steps"][0].keys() == {
        "name", "same", "max_abs", "max_rel", "first", "ours", "theirs", "differing", "of",
    }  # fmt: skip
    assert told["same"] is False
    assert told["steps"][0]["first"] == [0, 0, 0, 0]
    assert told["slips"][0].keys() == {"name", "sentence", "max_abs"}
    assert told["slips"][0]["name"] == "scale-left-out"
    np.savez("nan.npz", output=np.full((2, 3, 7, 4), np.nan))
    told = json.loads(
        called(capsys, "verify", "q.npy", "k.npy", "v.npy", "nan.npz", "--format", "json")[1]
    )
    assert (told["steps"][0]["max_abs"], told["steps"][0]["theirs"]) == (None, None)


def test_several_results_are_told_one_by_one(capsys: Capture) -> None:
    trace = attend("lee.yaml")
    np.save("output.npy", trace.output)
    np.save("weights.npy", trace["weights"])
    np.save("bad.npy", trace.output + 1)
    code, out, _ = called(
        capsys, "verify", "lee.yaml", "output.npy", "weights.npy", "bad.npy", "--format", "json"
    )
    told = json.loads(out)
    assert code == 1
    assert [(part["file"], part["same"]) for part in told] == [
        ("output.npy", True), ("weights.npy", True), ("bad.npy", False),
    ]  # fmt: skip
    assert told[1]["steps"][0]["name"] == "weights"


def test_names_and_steps(capsys: Capture) -> None:
    trace = attend("lee.yaml")
    np.savez("a.npz", mine=trace["weights"], scores=np.zeros((4, 4)))
    assert called(capsys, "verify", "lee.yaml", "a.npz:mine", "--step", "weights")[0] == 0
    assert called(capsys, "verify", "lee.yaml", "a.npz:scores")[0] == 1
    assert called(capsys, "verify", "lee.yaml", "a.npz", "--step", "scores")[0] == 1
    np.savez("b.npz", foo=trace.output, bar=trace.output)
    code, _, err = called(capsys, "verify", "lee.yaml", "b.npz")
    assert (code, "b.npz has no step of this problem" in err) == (3, True)
    assert called(capsys, "verify", "lee.yaml", "a.npz:none")[0] == 3


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["verify", "lee.yaml"], 2, "verify needs somebody's result"),
        (["verify", "lee.yaml", "none.npy"], 3, "there is no such file"),
        (["verify", "lee.yaml", "q.npy", "--step", "none"], 2, "no such step"),
        (["verify", "lee.yaml", "q.npy", "--computed-in", "int8"], 2, "bfloat16"),
        (["verify", "lee.yaml", "q.npy", "--rtol", "-1"], 2, "a number from 0 on"),
        (["verify", "lee.yaml", "q.npy", "--format", "yaml"], 2, "--format yaml"),
        (["verify", "lee.yaml", "q.npy", "--format", "csv"], 2, "goes with --points"),
        (["verify", "lee.yaml", "q.npy", "--dialects"], 2, "compares libraries"),
        (["verify", "lee.yaml", "q.npy", "-o", "lee.yaml"], 5, "the file exists"),
        (["attend", "lee.yaml", "--simulate", "int8"], 2, "float32, float16, bfloat16"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], code: int, says: str, capsys: Capture) -> None:
    found, _, err = called(capsys, *arguments)
    assert (found, says in err) == (code, True)


def test_labels_and_places_are_shown(capsys: Capture) -> None:
    trace = attend("lee.yaml")
    weights = np.array(trace["weights"])
    weights[1, 3] += 0.25
    np.savez("theirs.npz", scores=trace["scores"], weights=weights)
    code, out, _ = called(capsys, "verify", "lee.yaml", "theirs.npz")
    assert code == 1
    assert "first at weights[1, 3] (animal, tired): ours 0.440" in out
    assert "No known slip gives these numbers" in out
    assert "scores is right; the first step that differs is weights" in out


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_no_line_is_wider_than_the_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    np.savez("theirs.npz", output=attend(**vectors(), scale="none", causal=True, align=0).output)
    _, out, _ = called(capsys, "verify", "q.npy", "k.npy", "v.npy", "theirs.npz")
    assert max(map(len, out.splitlines())) <= width
    _, out, _ = called(capsys, "verify", "q.npy", "k.npy", "v.npy", "--causal", "--dialects")
    assert max(map(len, out.splitlines())) <= width
    _, out, _ = called(capsys, "attend", "lee.yaml", "--simulate", "float16")
    assert max(map(len, out.splitlines())) <= width


def test_ascii_and_harmless_names() -> None:
    """In a terminal that knows ASCII alone, with a file name that would steer it."""
    name = "\x1b[31mred.npy"
    np.save(name, np.ones((2, 4)))
    Path("sheet.yaml").write_text("scores: [[0, 1], [1, 0]]\n", encoding="utf-8")
    for arguments in (
        ["lee.yaml", name],
        ["lee.yaml", "sheet.yaml", name, "--points"],
        ["lee.yaml", "--dialects"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "attncli", "verify", *arguments],
            capture_output=True,
            env={
                **os.environ,
                "PYTHONIOENCODING": "ascii",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        assert done.stdout.isascii()
        assert b"\x1b" not in done.stdout + done.stderr


def test_standard_input_is_read_once(capsys: Capture) -> None:
    np.savez("theirs.npz", output=attend("lee.yaml", dtype="float32").output)
    done = subprocess.run(
        [sys.executable, "-m", "attncli", "verify", "-", "theirs.npz", "--dtype", "float32"],
        input=LEE.encode(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_report_goes_into_a_file(capsys: Capture) -> None:
    np.save("out.npy", attend("lee.yaml").output)
    code, out, err = called(capsys, "verify", "lee.yaml", "out.npy", "-o", "report.txt")
    assert (code, out, err) == (0, "", "wrote report.txt\n")
    assert Path("report.txt").read_text(encoding="utf-8").startswith("out.npy against lee.yaml")


def test_the_suffix_of_a_file_says_how_the_report_is_written(capsys: Capture) -> None:
    np.save("out.npy", attend("lee.yaml").output)
    for words in (
        ["verify", "lee.yaml", "out.npy"],
        ["verify", "lee.yaml", "--dialects"],
        ["attend", "lee.yaml", "--simulate", "float16"],
    ):
        told = called(capsys, *words, "--format", "json")[1]
        assert called(capsys, *words, "-o", "told.json", "--force")[0] == 0
        assert Path("told.json").read_text(encoding="utf-8") == told
        assert json.loads(told)


# --- answer sheets


def sheets() -> list[str]:
    folder = Path("sheets")
    folder.mkdir()
    right = attend("lee.yaml")
    scores, weights = np.array(right["scores"]), np.round(np.array(right["weights"]), 3)
    wrong = scores.copy()
    wrong[2, 2] = 3
    e = np.exp(wrong)
    swapped = np.exp(scores) / np.exp(scores).sum(axis=1)[:, None]
    texts = {
        "anna": {"scores": scores, "weights": weights},
        "ben": {"scores": wrong, "weights": np.round(e / e.sum(axis=0), 3)},
        "carl": {
            "scores": scores,
            "weights": np.round(swapped, 3),
        },
    }
    for name, steps in texts.items():
        lines = [f"{step}: {table.tolist()}\n" for step, table in steps.items()]
        (folder / f"{name}.yaml").write_text("".join(lines), encoding="utf-8")
    (folder / "dora.yaml").write_text("scores: [[1, 2], [3]]\n", encoding="utf-8")
    return [str(path) for path in sorted(folder.iterdir())]


def test_a_class_is_marked_one_line_a_sheet(capsys: Capture) -> None:
    code, out, err = called(capsys, "verify", "lee.yaml", *sheets(), "--points")
    lines = out.splitlines()
    assert (code, err) == (1, "")
    assert lines[0].split() == ["sheet", "points", "scores", "weights", "first", "mistake"]
    assert lines[1].split()[1:] == ["2/2", "✓", "✓"]
    assert lines[2].split()[1:4] == ["1/2", "✗", "→"]
    assert lines[2].endswith("scores[2, 2]: 1·1 + 1·1 = 2, not 3")
    assert "the softmax runs over the queries instead of the keys" in lines[3]
    assert lines[4].endswith("the rows of scores are not equally long")
    assert len(lines) == 7


def test_a_class_as_json_and_csv(capsys: Capture) -> None:
    paths = sheets()
    told = json.loads(
        called(capsys, "verify", "lee.yaml", *paths, "--points", "--format", "json")[1]
    )
    assert [sheet["points"] for sheet in told] == [2, 1, 1, None]
    assert told[1]["steps"] == {"scores": "wrong", "weights": "carried"}
    assert told[1]["first"]["expected"] == 2
    assert told[2]["slip"]["name"] == "softmax-over-queries"
    assert "not equally long" in told[3]["error"]
    text = called(capsys, "verify", "lee.yaml", *paths, "--points", "--format", "csv")[1]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["points"] for row in rows] == ["2", "1", "1", ""]
    assert rows[1]["first_place"] == "2 2"
    assert rows[2]["slip"] == "softmax-over-queries"


def test_a_right_class_is_success(capsys: Capture) -> None:
    assert called(capsys, "verify", "lee.yaml", sheets()[0], "--points")[0] == 0


# --- dialects, budgets


def test_dialects_are_shown_with_their_reasons(capsys: Capture) -> None:
    flags = ("--causal", "--dialects")
    code, out, _ = called(capsys, "verify", "q.npy", "k.npy", "v.npy", *flags)
    assert code == 0
    assert "as it stands  refused: causal: n_queries is 7, n_keys is 11" in out
    assert "because the last query stands at the last key (bottom right)" in out
    told = json.loads(
        called(capsys, "verify", "q.npy", "k.npy", "v.npy", *flags, "--format", "json")[1]
    )
    assert told["reference"] == "torch"
    named = {part["name"]: part for part in told["dialects"]}
    assert named["flash"]["same"] is False
    assert named["jax"]["same"] is True


def test_simulation_in_each_format(capsys: Capture) -> None:
    flags = ("attend", "lee.yaml", "--simulate", "float16")
    code, out, _ = called(capsys, *flags)
    assert code == 0
    assert out.startswith("lee.yaml in float16, beside float64")
    told = json.loads(called(capsys, *flags, "--format", "json")[1])
    assert told["precision"] == "float16"
    names = [step["name"] for step in told["steps"]]
    assert names == ["inputs", "query", "key", "value", "scores", "weights", "lse", "output"]
    rows = list(csv.DictReader(io.StringIO(called(capsys, *flags, "--format", "csv")[1])))
    assert [row["step"] for row in rows] == names
    out = called(capsys, *flags, "--scale", "1e5")[1]
    assert "scaled overflows in 11 places, first at [0, 1]: 2e+05 is more than 65504" in out
