"""What `attend` writes: every suffix, stdout, and nothing by halves."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from attncli import attend
from attncli.commands.boundary import run

PROBLEM = """\
title: "[bold]not markup[/bold]"
query: [[1, 0], [0, 1], [1, 1]]
key: [[1, 0], [0, 2], [1, 1]]
value: [[1, 2], [3, 4], [5, 6]]
causal: true
labels: {query: [a, b, c], key: [x, "y|z", "=1+1"]}
"""


@pytest.fixture
def problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "p.yaml"
    path.write_text(PROBLEM, encoding="utf-8")
    return path


def test_npz_holds_the_steps_and_always_the_output(problem: Path) -> None:
    trace = attend(problem)
    assert run(["attend", "p.yaml", "-o", "all.npz"]) == 0
    with np.load("all.npz") as arrays:
        assert arrays.files == [name for name in trace.names if name != "lse"]
        assert np.array_equal(arrays["masked"], trace["masked"])
        assert np.isneginf(arrays["masked"]).sum() == 3
    assert run(["attend", "p.yaml", "-o", "few.npz", "--steps", "weights,lse"]) == 0
    with np.load("few.npz") as arrays:
        assert sorted(arrays.files) == ["lse", "output", "weights"]


def test_npy_and_safetensors(problem: Path) -> None:
    from safetensors.numpy import load_file

    trace = attend(problem)
    assert run(["attend", "p.yaml", "-o", "o.npy"]) == 0
    assert np.array_equal(np.load("o.npy"), trace.output)
    assert run(["attend", "p.yaml", "-o", "o.safetensors"]) == 0
    assert np.array_equal(load_file("o.safetensors")["weights"], trace["weights"])


def test_reports_hold_the_same_numbers(problem: Path) -> None:
    trace = attend(problem)
    for suffix in ("json", "yaml", "csv", "md", "txt"):
        assert run(["attend", "p.yaml", "-o", f"r.{suffix}"]) == 0
    for report in (
        json.loads(Path("r.json").read_text(encoding="utf-8")),
        yaml.safe_load(Path("r.yaml").read_text(encoding="utf-8")),
    ):
        assert report["attncli"] == 1
        assert report["output"] == trace.output.tolist()
        steps = {step["name"]: step for step in report["steps"]}
        assert steps["weights"]["value"] == trace["weights"].tolist()
        assert steps["weights"]["axes"] == ["query", "key"]
    rows = list(csv.DictReader(io.StringIO(Path("r.csv").read_text(encoding="utf-8"))))
    weights = [float(row["value"]) for row in rows if row["step"] == "weights"]
    assert weights == trace["weights"].ravel().tolist()
    assert "'=1+1" in Path("r.csv").read_text(encoding="utf-8")
    assert "[bold]not markup[/bold]" in Path("r.txt").read_text(encoding="utf-8")


def test_stdout_stays_empty_and_one_line_goes_to_stderr(
    problem: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["attend", "p.yaml", "-o", "o.json"]) == 0
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert run(["attend", "p.yaml", "-o", "o.json", "-f", "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    assert run(["attend", "p.yaml", "-o", "-", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["attncli"] == 1


def test_the_same_problem_gives_the_same_bytes(problem: Path) -> None:
    for suffix in ("npz", "npy", "safetensors", "json", "txt"):
        for name in ("one", "two"):
            assert run(["attend", "p.yaml", "-q", "-o", f"{name}.{suffix}"]) == 0
        assert Path(f"one.{suffix}").read_bytes() == Path(f"two.{suffix}").read_bytes()


def test_flags_override_the_file(problem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--no-causal", "--similarity", "cosine", "--set", "similarity.epsilon=1e-9"]
    assert run(["attend", "p.yaml", "-q", "-o", "o.npy", *flags]) == 0
    expected = attend(problem, causal=False, similarity={"name": "cosine", "epsilon": 1e-9})
    assert np.array_equal(np.load("o.npy"), expected.output)
    capsys.readouterr()
    arguments = ["attend", "p.yaml", "--notation", "columns", "--format", "json"]
    assert run([*arguments, "--steps", "weights"]) == 0
    step = json.loads(capsys.readouterr().out)["steps"][0]
    assert step["axes"] == ["key", "query"]
    assert np.array_equal(step["value"], attend(problem)["weights"].T)


def test_three_files_and_an_archive_are_problems(problem: Path) -> None:
    trace = attend(problem, causal=False)
    arrays = {name: trace[name] for name in ("query", "key", "value")}
    for name, array in arrays.items():
        np.save(f"{name}.npy", array)
    np.savez("d.npz", **arrays)
    assert run(["attend", "query.npy", "key.npy", "value.npy", "-q", "-o", "1.npy"]) == 0
    assert run(["attend", "d.npz", "-q", "-o", "2.npy"]) == 0
    assert np.array_equal(np.load("1.npy"), trace.output)
    assert np.array_equal(np.load("2.npy"), trace.output)


@pytest.mark.parametrize(
    ("focus", "shape"),
    [("b", [1, 3]), ("q2", [1, 3]), ("1", [1, 3]), ("key=x", [3, 1]), ("query=0:2,key=1:", [2, 2])],
)
def test_focus_selects(
    focus: str, shape: list[int], problem: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["attend", "p.yaml", "--format", "json", "--steps", "weights", "--focus", focus]
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["steps"][0]["shape"] == shape


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "yaml", "json"])
def test_conversion_is_exact_there_and_back(suffix: str, problem: Path) -> None:
    random = np.random.default_rng(1)
    arrays = {
        "query": random.normal(size=(2, 3)).astype(np.float32),
        "key": random.normal(size=(5, 3)).astype(np.float32),
        "value": random.normal(size=(5, 2)).astype(np.float32),
        "mask": random.random((2, 5)) < 0.5,
    }
    np.savez("start.npz", **arrays)
    assert run(["inspect", "start.npz", "-q", "-o", f"there.{suffix}"]) == 0
    assert run(["inspect", f"there.{suffix}", "-q", "-o", "back.npz"]) == 0
    with np.load("back.npz") as back:
        assert {name: back[name].dtype for name in back.files} == {
            name: array.dtype for name, array in arrays.items()
        }
        for name, array in arrays.items():
            assert np.array_equal(back[name], array)
    for table in ("csv", "tsv", "npy"):
        assert run(["inspect", "start.npz:query", "-q", "-o", f"q.{table}"]) == 0
        assert run(["inspect", f"q.{table}", "-q", "-f", "-o", "q2.npy"]) == 0
        assert np.array_equal(np.load("q2.npy"), arrays["query"])


def test_inspect_says_what_is_there(problem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "p.yaml"]) == 0
    out = capsys.readouterr().out
    assert "3 queries × 3 keys" in out
    assert "masked" in out
    np.save("n.npy", np.array([[1.0, np.nan, -np.inf]]))
    assert run(["inspect", "n.npy"]) == 0
    assert "1 NaN, 1 infinite" in capsys.readouterr().out


def attncli(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    """A real run, in a process of its own."""
    command = [sys.executable, "-m", "attncli", *arguments]
    return subprocess.run(command, capture_output=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def test_a_closed_pipe_is_success(problem: Path) -> None:
    run_it = f"{sys.executable} -m attncli attend p.yaml --format csv"
    command = f"{run_it} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_an_error(problem: Path) -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "attncli", "attend", "p.yaml"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 5
    assert b"no space left" in done.stderr


def test_ascii_and_colour(problem: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    assert attncli("attend", "p.yaml", env=environment).stdout.isascii()
    assert b"\x1b" not in attncli("attend", "p.yaml").stdout
    colored = {**os.environ, "FORCE_COLOR": "1"}
    assert b"\x1b" in attncli("attend", "p.yaml", env=colored).stdout
    assert b"\x1b" not in attncli("attend", "p.yaml", env={**colored, "NO_COLOR": "1"}).stdout
    assert b"\x1b" in attncli("attend", "p.yaml", "--color", "always").stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing(number: int, code: int, problem: Path) -> None:
    random = np.random.default_rng(2)
    for name in "qkv":
        np.save(f"{name}.npy", random.normal(size=(5000, 64)).astype(np.float32))
    before = set(os.listdir())
    command = [sys.executable, "-m", "attncli", "attend", "q.npy", "k.npy", "v.npy"]
    flags = ["--similarity", "additive", "-o", "out.npz"]
    with subprocess.Popen([*command, *flags], stderr=subprocess.DEVNULL) as process:
        time.sleep(1.5)
        process.send_signal(number)
        assert process.wait(timeout=30) == code
    assert set(os.listdir()) == before


def test_debug_shows_where(problem: Path) -> None:
    done = attncli("attend", "nope.yaml", "--debug")
    assert done.returncode == 3
    assert b"Traceback" in done.stderr
    assert b"Traceback" not in attncli("attend", "nope.yaml").stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--show-completion", shell]) == 0
    assert "_ATTNCLI_COMPLETE" in capsys.readouterr().out


def test_options_of_a_command_complete() -> None:
    environment = {
        **os.environ,
        "_ATTNCLI_COMPLETE": "complete_bash",
        "COMP_WORDS": "attncli attend --sim",
        "COMP_CWORD": "2",
    }
    assert b"--similarity" in attncli(env=environment).stdout


def test_inspect_takes_no_more_memory_than_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "packed.npz"
    np.savez_compressed(packed, query=np.zeros((1009, 997)))
    assert run(["inspect", str(packed), "--max-memory", "1MB"]) == 6
    assert "takes 8047784 bytes of memory" in capsys.readouterr().err
    assert run(["inspect", str(packed), "-o", str(tmp_path / "q.npz"), "--max-memory", "1MB"]) == 6
    assert not (tmp_path / "q.npz").exists()
    assert run(["inspect", str(packed), "--max-memory", "10MB"]) == 0
