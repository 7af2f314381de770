"""One job, in what it runs: what it is known to take before, and where its output goes."""

import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli.batch import work
from attncli.batch.estimate import estimate, has_large_inputs, references
from attncli.batch.jobs import Job
from attncli.batch.journal import Record
from attncli.batch.manifest import of_files, read_manifest
from attncli.batch.settings import Settings
from attncli.batch.work import Surroundings, failed, holds
from attncli.errors import InputError
from attncli.files.snapshot import SMALL, hash_of
from attncli.files.staging import Stage
from attncli.files.types import Entry, Reference
from attncli.files.vectors import Source
from tests.batch.jobs import D_V, N_QUERIES, make_inputs

HEADER = 128
"""Bytes of an NPY file before its numbers."""
Entries = dict[str, Entry]


def vectors(**types: str) -> Entries:
    """Large files, a mebibyte and more, as entries."""
    for name, kind in types.items():
        np.save(name, np.zeros((4096, 64), kind))
    return {name: Entry(Reference(f"{name}.npy")) for name in types}


def test_files_are_named_at_any_depth() -> None:
    layers = ({"weight": Entry(Reference("a.npy"))}, {"weight": Entry(Reference("b.npy"))})
    entries = {
        "query": Entry(Reference("q.npy")),
        "value": Entry(Reference("key")),
        "similarity": Entry({"name": Entry("mlp"), "layers": Entry(layers)}),
        "images": Entry((Reference("c.png"), 3)),
    }
    assert [text for text, _ in references(entries)] == ["q.npy", "a.npy", "b.npy", "c.png"]


def test_a_file_is_large_beyond_a_mebibyte(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n = (SMALL - HEADER) // 16
    np.save("query.npy", np.ones((n, 2)))
    np.save("key.npy", np.ones((n + 1, 2)))
    assert [os.path.getsize(f"{name}.npy") - SMALL for name in ("query", "key")] == [0, 16]
    entries = {name: Entry(Reference(f"{name}.npy")) for name in ("query", "key")}
    assert has_large_inputs(entries, here)
    assert not has_large_inputs({"query": entries["query"]}, here)
    assert not has_large_inputs({"query": Entry(Reference("none.npy"))}, here)
    read: list[str] = []
    loaded = Source._loaded
    monkeypatch.setattr(
        Source, "_loaded", lambda self, key, *rest: (read.append(key), loaded(self, key, *rest))[1]
    )
    known = estimate(entries, here, "")
    assert read == ["query"]
    assert known.inputs == 16 * (n + 1)
    assert known.needed(("output",)) == known.problem.memory(("output",)) + known.inputs


@pytest.mark.parametrize(
    ("types", "dtype", "size"),
    [
        ({"query": "f4", "key": "f4", "value": "f4"}, "float32", 4),
        ({"query": "f4", "key": "f8", "value": "f4"}, "float64", 8),
        ({"query": "i8", "key": "i8", "value": "i8"}, "float64", 8),
        ({"query": "i4", "key": "i4", "value": "i4"}, "float64", 8),
    ],
)
def test_large_inputs_are_known_in_the_type_that_they_are_computed_in(
    types: dict[str, str], dtype: str, size: int, here: Path
) -> None:
    known = estimate(vectors(**types), here, "")
    assert known.problem.dtype == dtype
    assert known.inputs == 3 * 4096 * 64 * size


def test_large_inputs_of_true_and_false_are_refused_as_they_would_be(here: Path) -> None:
    np.save("query.npy", np.ones((16385, 65), bool))
    entries = {"query": Entry(Reference("query.npy")), "key": Entry(np.ones((2, 65)))}
    with pytest.raises(InputError, match="query holds true and false"):
        estimate(entries, here, "")


def test_of_large_inputs_nothing_is_read(here: Path) -> None:
    n, d = 1 << 20, 64
    size = n * d * 4
    for name in ("query", "key"):
        np.lib.format.open_memmap(f"{name}.npy", "w+", "f4", (n, d))  # a hole, which takes no disk
    entries = {name: Entry(Reference(f"{name}.npy")) for name in ("query", "key")}
    tracemalloc.start()
    try:
        known = estimate(entries, here, "")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert known.inputs == 2 * size
    assert peak < 4 << 20


@pytest.fixture
def job(here: Path) -> Job:
    make_inputs(here / "in", 1)
    (here / "out").mkdir()
    return of_files(["in/0000.npz"], "out/{stem}.npy", []).jobs[0]


@pytest.mark.parametrize(("most", "waits"), [(0, 1), (-1, 0)])
def test_a_small_output_waits_for_others_a_large_one_is_put_in_place(
    most: int, waits: int, job: Job
) -> None:
    around = Surroundings(Stage(8 * N_QUERIES * D_V + most))
    record = work.run(job, Settings(), around)
    assert (record.status, job.path.exists()) == ("ok", not waits)
    assert around.stage.settle() == []
    assert hash_of(job.path) == record.sha256
    assert 0 < record.seconds < 60


def test_an_output_that_nobody_began_is_left(job: Job) -> None:
    job.path.write_bytes(b"mine")
    record = work.run(job, Settings(), Surroundings())
    assert (record.status, record.exit_code, job.path.read_bytes()) == ("failed", 5, b"mine")
    assert record.inputs == {"in/0000.npz": hash_of(Path("in/0000.npz"))}


def test_a_job_is_asked_between_steps_only_where_its_time_is_limited(job: Job) -> None:
    asked: list[None] = []
    around = Surroundings(go_on=lambda: asked.append(None), ours=True)
    assert work.run(job, Settings(), around).status == "ok"
    assert not asked, "who watches steps wants them all, and no tiles"
    assert work.run(job, Settings(timeout=60), around).status == "ok"
    assert len(asked) > 3


def test_inputs_are_named_as_the_manifest_names_them(here: Path) -> None:
    make_inputs(here / "jobs" / "in", 1)
    make_inputs(here / "far", 1)
    Path("jobs/jobs.yaml").write_text(
        f"jobs:\n- {{problem: in/0000.npz, output: a.npy}}\n"
        f"- {{problem: {here}/far/0000.npz, output: b.npy}}\n- {{problem: none, output: c.npy}}\n"
    )
    jobs = read_manifest("jobs/jobs.yaml").jobs
    made = [work.run(job, Settings(), Surroundings()) for job in jobs]
    assert [[*one.inputs] for one in made] == [["in/0000.npz"], [f"{here}/far/0000.npz"], []]


def test_only_an_output_whose_hash_is_known_is_done(job: Job) -> None:
    settings, stage = Settings(), Stage()
    done = work.run(job, settings, Surroundings(stage))
    assert holds(job, settings, done, Stage()), "what a killed run left aside is taken over"
    stage.settle()
    assert holds(job, settings, done, Stage())
    assert not holds(job, settings, None, Stage())
    assert not holds(job, Settings(digits=5), done, Stage())
    job.path.unlink()
    no_hash: dict[str, Any] = {"parameters": done.parameters, "inputs": done.inputs}
    assert not holds(job, settings, Record(0, job.output, "ok", **no_hash), Stage())
    refused = failed(job, settings, InputError("no"))
    assert (refused.parameters, refused.exit_code) == (done.parameters, 3)
    assert not holds(job, settings, refused, Stage())


def test_what_was_left_aside_takes_the_place_of_an_older_output(job: Job) -> None:
    done = work.run(job, Settings(), Surroundings())
    job.path.write_bytes(b"of an older run of this batch")
    stage = Stage()
    assert holds(job, Settings(), done, stage)
    assert stage.settle() == []
    assert hash_of(job.path) == done.sha256


def test_a_file_of_numbers_keeps_the_output_alone(here: Path) -> None:
    jobs = of_files(["a"], "{stem}.npy", []).jobs + of_files(["a"], "{stem}.npz", []).jobs
    kept = [work.kept(job, Settings(steps="weights")) for job in jobs]
    assert kept == [(), ("weights",)]
    assert [work.kept(job, Settings()) for job in jobs] == [(), None]
