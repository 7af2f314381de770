"""What a manifest's entries become: names, values in their places, paths, and order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli.api import attend
from attncli.batch.jobs import located
from attncli.batch.manifest import read_manifest
from attncli.batch.settings import Settings, canonical
from attncli.batch.template import filled, filled_entries, spelled
from attncli.errors import InputError
from attncli.files.types import Entry, Reference
from attncli.formats.display import Display
from tests.batch.jobs import batch

Q, K, V = "query: [[1, 2]]", "key: [[1, 0], [0, 1], [2, 1]]", "value: [[1], [2], [3]]"


def manifest(text: str) -> str:
    Path("jobs.yaml").write_text(text, encoding="utf-8")
    return "jobs.yaml"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (-1, "-1"),
        (0.5, "0.5"),
        (2.0, "2"),
        (1e-20, "1e-20"),
        ("cosine", "cosine"),
        (Reference("a b/c é.npy:x"), "a-b-c-é.npy-x"),
        ({"name": Entry("gaussian"), "sigma": Entry(2.0)}, "gaussian"),
        ({"sigma": Entry(2.0)}, "4"),
        (np.array(3.0), "3"),
        (np.array(7), "7"),
        (np.zeros((2, 3)), "4"),
        ((1, 2), "4"),
    ],
)
def test_how_a_swept_value_stands_in_a_name(value: Any, name: str) -> None:
    assert spelled(value, 4) == name


def test_places_of_a_template() -> None:
    values = {"stem": "a", "similarity.sigma": "2"}
    assert filled("{stem}-{similarity.sigma}-{{stem}}", values) == "a-2-{stem}"
    assert filled("plain", {}) == "plain"
    with pytest.raises(InputError) as refused:
        filled("{stem}-{step}", values)
    assert refused.value.lines() == [
        "error: {step} stands for nothing here",
        "  expected {stem}, {similarity.sigma}, found {step}",
        "hint: a sweep's keys, and {file} and {stem} of `each`, can stand in a name",
    ]


def test_values_are_filled_in_at_any_depth_and_nowhere_else() -> None:
    entries = {
        "query": Entry(Reference("{stem}.npy")),
        "title": Entry("of {stem}, {unknown} and {{}}"),
        "similarity": Entry({"name": Entry("{stem}"), "weight": Entry(Reference("{stem}.w.npy"))}),
        "images": Entry((Reference("{stem}.png"), 3)),
        "labels": Entry(("{stem}", "b")),
        "scale": Entry(2),
    }
    made = {key: entry.value for key, entry in filled_entries(entries, {"stem": "s"}).items()}
    assert made["query"] == Reference("s.npy")
    assert made["title"] == "of s, {unknown} and {{}}", "a text may have braces of its own"
    assert made["similarity"]["name"].value == "{stem}", "a word is no file's name"
    assert made["similarity"]["weight"].value == Reference("s.w.npy")
    assert made["images"] == (Reference("s.png"), 3)
    assert made["labels"] == ("{stem}", "b"), "a label may have braces of its own"
    assert made["scale"] == 2


def test_files_are_named_from_the_root_for_a_problem_elsewhere() -> None:
    entries = {
        "query": Entry(Reference("q.npy")),
        "value": Entry(Reference("key")),
        "parameters": Entry("w.npz"),
        "title": Entry("w.npz"),
        "similarity": Entry({"weight": Entry(Reference("w.npy"))}),
        "images": Entry((Reference("a.png"), 3)),
        "labels": Entry(("w.npz", "b")),
    }
    base = Path("/there/and")
    made = {key: entry.value for key, entry in located(entries, base).items()}
    assert made["query"] == Reference("/there/and/q.npy")
    assert made["value"] == Reference("key"), "another tensor, and no file"
    assert made["parameters"] == "/there/and/w.npz"
    assert made["title"] == "w.npz"
    assert made["similarity"]["weight"].value == Reference("/there/and/w.npy")
    assert made["images"] == (Reference("/there/and/a.png"), 3)
    assert made["labels"] == ("w.npz", "b")


def test_a_manifests_own_keys_beside_a_problem_elsewhere(here: Path) -> None:
    """Paths in the manifest are relative to it, those in the problem file to that."""
    for folder in ("jobs", "jobs/problems"):
        (here / folder).mkdir()
    rng = np.random.default_rng(0)
    q, mask, other = rng.normal(size=(2, 3)), np.array([1, 0, 1, 1, 0]), np.array([1, 1, 0, 0, 1])
    k, v = rng.normal(size=(5, 3)), rng.normal(size=(5, 7))
    np.savez("jobs/problems/t.npz", q=q, k=k, v=v)
    np.save("jobs/first.npy", mask.astype(bool))
    np.save("jobs/second.npy", other.astype(bool))
    Path("jobs/problems/p.yaml").write_text("query: t.npz:q\nkey: t.npz:k\nvalue: t.npz:v\n")
    Path("jobs/jobs.yaml").write_text(
        "jobs:\n  - problem: problems/p.yaml\n"
        "    sweep: {key_mask: [first.npy, second.npy]}\n"
        "    output: 'out/{key_mask}.npz'\n"
    )
    assert batch("jobs/jobs.yaml") == 0
    for name, allowed in (("first", mask), ("second", other)):
        expected = attend(query=q, key=k, value=v, key_mask=allowed.astype(bool)).output
        assert np.array_equal(np.load(f"jobs/out/{name}.npy.npz")["output"], expected)


def test_the_order_of_jobs_is_that_of_entries_then_files_then_the_sweep(here: Path) -> None:
    for name in ("b.npz", "a.npz", "c.yaml"):
        (here / name).touch()
    (here / "d.npz").mkdir()
    name = manifest(
        "jobs:\n  - each: ['*.npz', 'a*', 'c.*']\n    sweep: {scale: [1, 2], causal: [true]}\n"
        "    output: 'out/{index}{stem}{scale}{causal}.npz'\n"
        f"  - {{{Q}, {K}, {V}, output: '{{index}}.npz'}}\n"
    )
    jobs = read_manifest(name).jobs
    assert [job.output for job in jobs] == [
        "out/0a1true.npz",
        "out/1a2true.npz",
        "out/2b1true.npz",
        "out/3b2true.npz",
        "out/4c1true.npz",
        "out/5c2true.npz",
        "0.npz",
    ]
    assert [job.index for job in jobs] == list(range(7))
    assert [job.file for job in jobs] == ["a.npz"] * 2 + ["b.npz"] * 2 + ["c.yaml"] * 2 + [""]


def test_a_sweep_inside_a_mapping_leaves_the_other_keys(here: Path) -> None:
    name = manifest(
        f"jobs:\n  - {{{Q}, {K}, {V}, similarity: {{name: cosine, epsilon: 3}},"
        " sweep: {similarity.epsilon: [1, 2]}, output: '{similarity.epsilon}.npz'}\n"
    )
    assert batch(name) == 0
    for epsilon in (1, 2):
        expected = attend(
            query=[[1, 2]],
            key=[[1, 0], [0, 1], [2, 1]],
            value=[[1], [2], [3]],
            similarity={"name": "cosine", "epsilon": epsilon},
        )
        assert np.array_equal(np.load(f"{epsilon}.npz")["output"], expected.output)


def test_what_a_result_depends_on_is_the_meaning_not_the_place() -> None:
    array = np.arange(6.0).reshape(2, 3)
    of = {"a": Entry(array), "b": Entry((Reference("f"), 1)), "c": Entry({"d": Entry([2])})}
    made = canonical(of)
    assert made["b"] == [{"file": "f"}, 1]
    assert made["c"] == {"d": [2]}
    assert made["a"]["shape"] == (2, 3)
    assert made["a"]["dtype"] == "<f8"
    turned = canonical({"a": Entry(np.asfortranarray(array))})
    assert turned["a"] == made["a"], "the order in memory is no meaning"
    assert canonical({"a": Entry(array.T)})["a"] != made["a"]
    assert canonical({"a": Entry(array.reshape(3, 2))})["a"] != made["a"]
    assert canonical({"a": Entry(array + 1)})["a"] != made["a"]


def test_the_same_keys_in_another_order_are_the_same_job(here: Path) -> None:
    (here / "p.yaml").touch()
    keys = "temperature: 2, similarity: {name: cosine, epsilon: 3}"
    turned = "similarity: {epsilon: 3, name: cosine}, temperature: 2"
    name = manifest(
        f"jobs:\n- {{problem: p.yaml, {keys}, output: a.npz}}\n"
        f"- {{problem: p.yaml, {turned}, output: b.npz}}\n"
        f"- {{problem: p.yaml, {keys}, causal: false, output: c.npz}}\n"
    )
    first, second, third = (Settings().parameters(job) for job in read_manifest(name).jobs)
    assert first == second
    assert first != third
    assert Settings().digits == Display().digits


def test_patterns_that_find_nothing_say_where_they_looked(here: Path) -> None:
    text = "jobs:\n  - {each: '*.npy', output: '{stem}.npz'}\n"
    (here / "sub").mkdir()
    Path("sub/jobs.yaml").write_text(text)
    with pytest.raises(InputError) as here_not:
        read_manifest(manifest(text))
    assert here_not.value.hint == "paths are relative to this directory"
    with pytest.raises(InputError) as there_not:
        read_manifest("sub/jobs.yaml")
    assert there_not.value.hint == "paths are relative to sub"


def test_patterns_reach_into_directories_of_the_manifests_own(here: Path) -> None:
    for name in ("a.npz", "jobs/b.npz", "jobs/deep/c.npz", "jobs/deep/er/d.npz"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    Path("jobs/jobs.yaml").write_text("jobs:\n- {each: '**/*.npz', output: 'out/{stem}.npz'}\n")
    found = [job.file for job in read_manifest("jobs/jobs.yaml").jobs]
    assert found == ["b.npz", "deep/c.npz", "deep/er/d.npz"]


def test_a_file_may_be_a_part_of_a_problem_or_name_it(here: Path) -> None:
    for name in ("a.csv", "a.yaml"):
        (here / name).touch()
    name = manifest(
        "jobs:\n- {each: '*.csv', problem: '{stem}.yaml', output: '1{stem}.npz'}\n"
        "- {each: '*.csv', problem: p.yaml, query: '{file}', output: '2{stem}.npz'}\n"
        f"- {{each: '*.csv', query: '{{file}}', {K}, output: '3{{stem}}.npz'}}\n"
        "- {problem: a.yaml, output: 4.npz}\n"
    )
    jobs = read_manifest(name).jobs
    assert [(job.problem, job.file) for job in jobs] == [
        ("a.yaml", "a.csv"),
        ("p.yaml", "a.csv"),
        ("", "a.csv"),
        ("a.yaml", "a.yaml"),
    ]
    assert [job.own["query"].value for job in jobs[1:3]] == [Reference("a.csv")] * 2


def test_a_problem_is_no_output_of_another_job(here: Path) -> None:
    (here / "a.yaml").touch()
    name = manifest(
        "jobs:\n- {problem: a.yaml, output: b.yaml}\n- {problem: ./b.yaml, output: c.yaml}\n"
    )
    with pytest.raises(
        InputError, match=r"\./b.yaml is the input of job 1 and the output of job 0"
    ):
        read_manifest(name)


def test_a_job_on_a_line_knows_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b'\n{"problem": "a.yaml", "output": "a.npz"}\n \n{"problem": "b", "output": "b.npz"}'
    monkeypatch.setattr("attncli.batch.manifest.read_content", lambda source: lines)
    assert [str(job.place) for job in read_manifest("-").jobs] == ["stdin:2:1", "stdin:4:1"]
    job = b'{"query": "q.npy", "similarity": {"weight": "w.npy"}, "output": "a.npz"}'
    monkeypatch.setattr("attncli.batch.manifest.read_content", lambda source: b"\n\n" + job)
    own = read_manifest("-").jobs[0].own
    assert str(own["query"].place) == "stdin:3:11"
    assert str(own["similarity"].value["weight"].place) == "stdin:3:45"
    monkeypatch.setattr("attncli.batch.manifest.read_content", lambda source: b"\n \n")
    with pytest.raises(InputError, match="there are no jobs on standard input"):
        read_manifest("-")
