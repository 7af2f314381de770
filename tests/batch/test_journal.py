"""The report while it is written: whole lines, one holder, and what is no line of it."""

import json
import os
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from attncli.batch import journal as journals
from attncli.batch.journal import HeldError, Journal, Record
from attncli.errors import InputError, OutputError

REPORT = Path("report.jsonl")


def lines(*outputs: str) -> bytes:
    return b"".join(Record(n, output, "ok").line() for n, output in enumerate(outputs))


class Disk(FileIO):
    """A file on a disk that takes so many bytes more and a few at a time, and may then fail."""

    room = 1 << 20
    at_once = 1 << 20

    def write(self, content: Any) -> int:
        taken = min(len(content), self.at_once, self.room)
        if content and not taken:
            raise OSError(28, "No space left on device")
        self.room -= taken
        return super().write(content[:taken])


@pytest.fixture
def disk(here: Path) -> Disk:
    return Disk(REPORT, "a+b")


def test_a_line_says_all_of_a_job() -> None:
    assert json.loads(Record(3, "out/a.npz", "waiting").line()) == {
        "job": 3,
        "output": "out/a.npz",
        "status": "waiting",
        "seconds": 0.0,
        "error": None,
        "exit_code": 0,
        "parameters": None,
        "inputs": {},
        "sha256": None,
    }


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON",
        b"[]",
        b"3",
        b"{}",
        b'{"job": 3, "output": "a", "status": "ok", "colour": "red"}',
        b'{"job": "3", "output": "a", "status": "ok"}',
        b'{"job": 3, "output": 7, "status": "ok"}',
        b'{"job": 3, "output": "a", "status": null}',
        b'{"job": 3, "output": "a", "status": "ok", "inputs": []}',
    ],
)
def test_what_is_no_line_of_a_report_says_nothing(line: bytes, here: Path) -> None:
    REPORT.write_bytes(lines("a") + line + b"\n" + lines("b"))
    assert {*Journal.peek(REPORT)} == {"a", "b"}
    REPORT.write_bytes(line + b"\n")
    with pytest.raises(InputError, match="this is no report of a batch"):
        Journal.peek(REPORT)


def test_the_last_line_about_an_output_counts(here: Path) -> None:
    REPORT.write_bytes(lines("a", "b") + Record(0, "a", "failed").line())
    assert {name: one.status for name, one in Journal.peek(REPORT).items()} == {
        "a": "failed",
        "b": "ok",
    }


@pytest.mark.parametrize("torn", [b"", b'{"job": 0, "output": "a", "sta'])
def test_a_torn_line_is_cut_off_and_whole_ones_stay(torn: bytes, here: Path) -> None:
    REPORT.write_bytes(lines("a", "b") + torn)
    journal = Journal(REPORT)
    assert REPORT.read_bytes() == lines("a", "b")
    journal.add([Record(2, "c", "ok")])
    assert REPORT.read_bytes() == lines("a", "b", "c"), "nothing waits in a buffer"
    journal.leave()


def test_a_report_that_is_none_is_not_held(here: Path) -> None:
    REPORT.write_bytes(b"mine\n")
    with pytest.raises(InputError) as first:
        Journal(REPORT)
    with pytest.raises(InputError):
        Journal(REPORT)
    assert first.value.what == "this is no report of a batch"
    assert REPORT.read_bytes() == b"mine\n"


def test_one_run_holds_a_report_until_it_leaves(here: Path) -> None:
    first = Journal(REPORT)
    with pytest.raises(HeldError) as held:
        Journal(REPORT)
    assert held.value.exit_code == 75
    first.leave()
    assert not REPORT.exists(), "without lines, nothing is left"
    second = Journal(REPORT)
    second.add([Record(0, "a", "ok")])
    second.leave()
    assert REPORT.read_bytes() == lines("a")


def test_a_report_that_was_replaced_before_it_was_locked_is_opened_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    REPORT.write_bytes(lines("a"))
    lock, locked = journals._lock, []

    def late(file: Any, path: Path) -> None:
        if not locked:  # the run before ends at this very moment
            Path("new").write_bytes(lines("a", "b"))
            os.replace("new", path)
        locked.append(file)
        lock(file, path)

    monkeypatch.setattr(journals, "_lock", late)
    journal = Journal(REPORT)
    assert {*journal.records} == {"a", "b"}
    assert [file.closed for file in locked] == [True, False]
    journal.leave()


def test_lines_that_the_system_takes_in_parts_are_written_whole(disk: Disk) -> None:
    journal = Journal(REPORT)
    journal._file.close()
    disk.at_once = len(lines("a", "b")) - 5
    journal._file = disk
    journal.add([Record(0, "a", "ok"), Record(1, "b", "ok")])
    assert REPORT.read_bytes() == lines("a", "b")
    journal.leave()


def test_a_disk_that_is_full_leaves_no_half_of_a_line(disk: Disk) -> None:
    REPORT.write_bytes(lines("a"))
    journal = Journal(REPORT)
    journal._file.close()
    disk.room = 40
    journal._file = disk
    with pytest.raises(OutputError) as refused:
        journal.add([Record(1, "b", "ok")])
    assert refused.value.what == "cannot write report.jsonl: no space left on device"
    assert REPORT.read_bytes() == lines("a")
    disk.room = 1 << 20
    journal.add([Record(1, "b", "ok")])
    assert REPORT.read_bytes() == lines("a", "b")
    journal.leave()


def test_only_what_is_claimed_waits_for_the_disk(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    journal = Journal(REPORT)
    monkeypatch.setattr(os, "fsync", synced.append)
    journal.add([Record(0, "a", "ok")])
    assert synced == []
    journal.add([Record(0, "a", "waiting")], sync=True)
    assert synced == [journal._file.fileno()]
    journal.leave()


def test_a_report_in_directories_that_are_new(here: Path) -> None:
    path = Path("logs/of/today/report.jsonl")
    journal = Journal(path)
    journal.close([Record(0, "a", "ok")])
    assert path.read_bytes() == lines("a")
