"""From a manifest, JSON lines or files to jobs: names, sweeps, strengths, and what is refused."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from attncli.api import attend
from attncli.batch.manifest import of_files, read_manifest
from tests.batch.jobs import batch, make_inputs, records

Q, K, V = "query: [[1, 2]]", "key: [[1, 0], [0, 1], [2, 1]]", "value: [[1], [2], [3]]"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def manifest(text: str) -> str:
    Path("jobs.yaml").write_text(text, encoding="utf-8")
    return "jobs.yaml"


def test_each_makes_a_job_a_file_and_a_combination(here: Path) -> None:
    make_inputs(here / "data", 3)
    name = manifest(
        'jobs:\n  - each: "data/*.npz"\n    sweep: {similarity: [dot, cosine], '
        "temperature: [0.5, 1, 2]}\n"
        '    output: "out/{index}-{stem}-{similarity}-{temperature}.npz"\n'
    )
    jobs = read_manifest(name).jobs
    assert len(jobs) == 3 * 2 * 3
    assert jobs[0].output == "out/0-0000-dot-0.5.npz"
    assert jobs[-1].output == "out/5-0002-cosine-2.npz" or jobs[-1].output.endswith(
        "0002-cosine-2.npz"
    )
    assert len({job.output for job in jobs}) == 18
    assert batch(name) == 0
    one = np.load("out/" + Path(jobs[7].output).name)
    chosen = {key: entry.value for key, entry in jobs[7].own.items()}
    trace = attend(
        jobs[7].file, similarity=str(chosen["similarity"]), temperature=float(chosen["temperature"])
    )
    assert np.array_equal(one["output"], trace.output)


def test_files_may_hold_tensors_of_other_names(here: Path) -> None:
    rng = np.random.default_rng(3)
    q, k, v = rng.normal(size=(2, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 7))
    np.savez("one.npz", q=q, k=k, v=v)
    name = manifest(
        'jobs:\n  - each: "*.npz"\n    query: "{file}:q"\n    key: "{file}:k"\n'
        '    value: "{file}:v"\n    output: "out/{stem}.npy"\n'
    )
    assert batch(name) == 0
    assert np.array_equal(np.load("out/one.npy"), attend(query=q, key=k, value=v).output)


def test_what_is_stronger(here: Path) -> None:
    """Flags before a sweep, before a job's keys, before its problem file, before defaults."""
    Path("p.yaml").write_text(f"{Q}\n{K}\n{V}\ntemperature: 3\n", encoding="utf-8")
    name = manifest(
        "defaults: {temperature: 2, similarity: cosine}\njobs:\n"
        "  - {problem: p.yaml, output: a.npz}\n"
        "  - {problem: p.yaml, output: b.npz, temperature: 5}\n"
        "  - {problem: p.yaml, output: 'c{temperature}.npz', sweep: {temperature: [7]}}\n"
    )
    assert batch(name) == 0

    def output(**keys: object) -> np.ndarray:  # type: ignore[type-arg]
        return np.asarray(attend("p.yaml", similarity="cosine", **keys).output)

    assert np.array_equal(np.load("a.npz")["output"], output())
    assert np.array_equal(np.load("b.npz")["output"], output(temperature=5))
    assert np.array_equal(np.load("c7.npz")["output"], output(temperature=7))
    assert batch(name, "--temperature", "11") == 0
    for file in ("a.npz", "b.npz", "c7.npz"):
        assert np.array_equal(np.load(file)["output"], output(temperature=11))


def test_steps_choose_what_is_kept(here: Path) -> None:
    name = manifest(
        f"defaults: {{steps: [weights]}}\njobs:\n  - {{{Q}, {K}, {V}, output: a.npz}}\n"
        f"  - {{{Q}, {K}, {V}, output: b.npz, steps: all}}\n"
        f"  - {{{Q}, {K}, {V}, output: c.csv, steps: scores}}\n"
    )
    assert batch(name) == 0
    assert sorted(np.load("a.npz").files) == ["output", "weights"]
    assert {"query", "scores", "weights", "output"} <= {*np.load("b.npz").files}
    assert Path("c.csv").read_text(encoding="utf-8").splitlines()[1].startswith("scores,")


def test_any_kind_of_problem(here: Path) -> None:
    samples = Path(__file__).resolve().parent.parent.parent / "samples"
    kinds = ("encoder", "decoder", "convolution", "vision-transformer", "image")
    files = [str(samples / f"{kind}.yaml") for kind in kinds]
    assert batch(*files, "-o", "out/{stem}.npz", "--steps", "output") == 0
    for kind in kinds:
        trace = attend(samples / f"{kind}.yaml")
        assert np.array_equal(np.load(f"out/{kind}.npz")["output"], trace.output)


def test_json_lines_on_stdin(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_inputs(here / "in", 2)
    lines = [{"problem": f"in/{n:04}.npz", "output": f"out/{n}.npy"} for n in range(2)]
    content = "\n\n".join(map(json.dumps, lines)).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert batch("-") == 0
    assert [record["status"] for record in records(here / "report.jsonl")] == ["ok"] * 2
    wrong = content + b'\n{"problem": "in/0000.npz", "outptu": "x.npy"}\n'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(wrong)))
    from attncli.files import problem

    problem._stdin.cache_clear()
    assert batch("-") == 3
    assert "stdin:4:" in capsys.readouterr().err
    problem._stdin.cache_clear()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("jobs: []\n", "the manifest lists no jobs"),
        ("jobs: {problem: p.yaml, output: a.npz}\n", "jobs is no list"),
        ("defaults: {}\n", "the manifest has no jobs"),
        ("query: [[1]]\n", "this is a problem, not a manifest"),
        ("jobs:\n  - {problem: p.yaml}\n", "jobs.yaml:2:5: error: this job has no output"),
        ("jobs:\n  - {output: a.npz}\n", "this job computes nothing"),
        ("jobs:\n  - {problem: p.yaml, outptu: a.npz}\n", "did you mean output?"),
        (
            "jobs:\n  - {problem: p.yaml, output: a.npz}\n  - {problem: q.yaml, output: ./a.npz}\n",
            "two jobs write ./a.npz, jobs 0 and 1",
        ),
        ("jobs:\n  - {each: '*.nope', output: '{stem}.npz'}\n", "each: *.nope finds no file"),
        (
            "jobs:\n  - {problem: p.yaml, output: '{stme}.npz'}\n",
            "{stme} stands for nothing here",
        ),
        (
            "jobs:\n  - {problem: p.yaml, output: a.npz, sweep: {temprature: [1]}}\n",
            "did you mean temperature?",
        ),
        (
            "jobs:\n  - {problem: p.yaml, output: a.npz, sweep: {causal.window: [1]}}\n",
            "causal.window is no key of a problem",
        ),
        (
            "jobs:\n  - {problem: p.yaml, output: a.npz, sweep: {temperature: []}}\n",
            "a sweep over no values",
        ),
        ("jobs:\n  - {problem: p.yaml, output: a.xyz}\n", "the suffix says what to write"),
        ("jobs:\n  - {problem: p.yaml, output: p.yaml}\n", "is the input of job 0 and the output"),
    ],
)
def test_a_wrong_manifest_is_refused_before_work(
    text: str, said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("p.yaml", "q.yaml"):
        Path(name).write_text(f"{Q}\n{K}\n{V}\n", encoding="utf-8")
    name = manifest(text)
    before = sorted(path.name for path in here.iterdir())
    assert batch(name) == 3
    words = capsys.readouterr().err
    assert said in words
    assert len(words.splitlines()) <= 4
    assert sorted(path.name for path in here.iterdir()) == before


def test_two_places_of_one_output_are_both_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = manifest(
        f"jobs:\n  - {{{Q}, {K}, {V}, output: a.npz}}\n  - {{{Q}, {K}, {V}, output: a.npz}}\n"
    )
    assert batch(name) == 3
    words = capsys.readouterr().err
    assert "jobs.yaml:3:5" in words
    assert "jobs.yaml:2:5" in words


def test_the_command_line_is_a_manifest_in_one_line(here: Path) -> None:
    paths = [str(path) for path in make_inputs(here / "in", 2)]
    made = of_files(paths, "out/{stem}-{temperature}.npz", ["temperature=0.5,1"])
    assert [job.output for job in made.jobs] == [
        f"out/{number:04}-{temperature}.npz" for number in range(2) for temperature in ("0.5", "1")
    ]
    listed = of_files(["a[1].npz", "*.npz"], "{index}.npz", ["window=[[1, 0], [2, 0]]"])
    assert [job.file for job in listed.jobs] == ["a[1].npz"] * 2 + ["*.npz"] * 2, "as they stand"
    with pytest.raises(Exception, match=r"KEY=A,B"):
        of_files(paths, "out/{stem}.npz", ["temperature"])


def test_dry_run_lists_and_does_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(path) for path in make_inputs(here / "in", 3)]
    assert batch(*paths, "-o", "out/{stem}.npz", "--dry-run") == 0
    text = capsys.readouterr().out
    assert text.count("3 queries × 5 keys · d 2 · dot, scaled · float64") == 3
    assert "3 jobs, 0 done, 3 to do" in text
    assert sorted(path.name for path in here.iterdir()) == ["in"]


def test_dry_run_knows_large_inputs_by_their_headers(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for dtype in ("f4", "f8"):
        arrays = {
            name: rng.normal(size=(20_011, 7)).astype(dtype) for name in ("query", "key", "value")
        }
        np.savez(f"{dtype}.npz", **arrays)
    assert batch("f4.npz", "f8.npz", "-o", "out/{stem}.npy", "--dry-run") == 0
    text = capsys.readouterr().out
    assert "20011 queries × 20011 keys · d 7 · dot, scaled · float32" in text
    assert "20011 queries × 20011 keys · d 7 · dot, scaled · float64" in text


def test_dry_run_knows_a_problem_without_its_large_masks(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for name in ("query", "key", "value"):
        np.save(f"{name}.npy", rng.normal(size=(20_011, 7)))
    np.save("key_mask.npy", np.ones(20_011, bool))
    keys = "".join(f"{name}: {name}.npy\n" for name in ("query", "key", "value", "key_mask"))
    Path("p.yaml").write_text(keys + "bias: no-such-file.npy\n")
    assert batch("p.yaml", "-o", "out/{stem}.npy", "--dry-run") == 0
    text = capsys.readouterr().out
    assert "20011 queries × 20011 keys · d 7 · dot, scaled · float64" in text
    assert batch("p.yaml", "-o", "out/{stem}.npy", "--max-memory", "1MB") == 1
    assert records(here / "report.jsonl")[0]["exit_code"] == 6
    assert not Path("out/p.npy").exists()
