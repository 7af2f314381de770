"""The state of a run: what is claimed, what is refused, and how it ends."""

import os
from pathlib import Path

import pytest

from attncli.batch.journal import Journal, Record
from attncli.batch.manifest import of_files
from attncli.batch.run import Counts, Run, check_outputs
from attncli.batch.settings import Settings
from attncli.errors import InputError, OutputError
from tests.batch.standins import Unwritten

FILES = [f"{n}.npz" for n in range(6)]


def a_run(output: str = "out/{stem}.npz", settings: Settings | None = None) -> Run:
    manifest = of_files(FILES, output, [])
    return Run(manifest, settings or Settings(), journal=Unwritten())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (1, "out/0.npz exists, and the report does not know it"),
        (2, "out/0.npz, out/1.npz exist, and the report does not know them"),
        (3, "out/0.npz, out/1.npz, out/2.npz exist, and the report does not know them"),
        (4, "out/0.npz, out/1.npz, out/2.npz and 1 more exist, and the report does not know them"),
        (6, "out/0.npz, out/1.npz, out/2.npz and 3 more exist, and the report does not know them"),
    ],
)
def test_files_of_others_are_named_and_left(n: int, words: str, here: Path) -> None:
    Path("out").mkdir()
    for name in FILES[:n]:
        Path("out", name).write_bytes(b"mine")
    with pytest.raises(OutputError) as refused:
        a_run().prepare()
    assert refused.value.what == words
    assert refused.value.hint == f"--force replaces {'it' if n == 1 else 'them'}"
    a_run(settings=Settings(force=True)).prepare()


def test_outputs_may_lie_in_directories_of_directories(here: Path) -> None:
    run = a_run("new/of/{stem}/out.npz")
    run.prepare()
    assert sorted(os.listdir("new/of")) == [str(n) for n in range(6)]
    run.prepare()


def test_claims_are_on_the_disk_before_any_work(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    run = a_run()
    run.journal = Journal(Path("report.jsonl"))
    monkeypatch.setattr(os, "fsync", synced.append)
    run.prepare()
    assert synced == [run.journal._file.fileno()]
    assert {one.status for one in Journal.peek(Path("report.jsonl")).values()} == {"waiting"}
    run.journal.leave()


def test_a_report_is_let_go_where_outputs_cannot_be_put_in_place(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OutputError("the disk is gone")

    run = a_run()
    run.journal = Journal(Path("report.jsonl"))
    run.take(Record(0, "out/0.npz", "ok"))
    monkeypatch.setattr(run, "settle", refuse)
    with pytest.raises(OutputError, match="the disk is gone") as gone:
        run.close()
    assert gone.value.exit_code == 5
    again = Journal(Path("report.jsonl"))
    assert {*again.records} == {"out/0.npz"}, "its lines stay"
    again.leave()


def test_a_report_ends_with_the_jobs_in_their_order_and_no_more(here: Path) -> None:
    run = a_run()
    run.journal = Journal(Path("report.jsonl"))
    Path("kept.npz").touch()
    for number, output in ((7, "gone.npz"), (4, "out/4.npz"), (9, "kept.npz"), (0, "out/1.npz")):
        run.take(Record(number, output, "ok"))
    run.close()
    left = Journal.peek(Path("report.jsonl"))
    assert [(one.job, output, one.status) for output, one in left.items()] == [
        *((n, f"out/{n}.npz", "ok" if n in (1, 4) else "waiting") for n in range(6)),
        (9, "kept.npz", "ok"),
    ]


def test_how_far_a_run_is() -> None:
    assert Counts(2, 3, 5).done == 10
    assert Counts() == Counts(0, 0, 0)


def test_an_output_says_how_it_is_written(here: Path) -> None:
    check_outputs(a_run().manifest, Settings())
    unknown = a_run("{stem}.xyz").manifest
    check_outputs(unknown, Settings(format="json"))
    with pytest.raises(InputError, match=r"output: 0.xyz: the suffix says what to write"):
        check_outputs(unknown, Settings())
