"""What this machine has to give, told by files that stand in for the system's."""

import os
import sys
from pathlib import Path

import pytest

from attncli import machine


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system without any of the files that are looked at."""
    monkeypatch.setattr(machine, "Path", lambda path: tmp_path / path.lstrip("/"))
    monkeypatch.setattr(machine, "_allowed", None)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_where_nothing_is_known_nothing_is_forbidden(system: Path) -> None:
    assert machine.free_memory() == sys.maxsize
    write(system / "proc/meminfo", "MemTotal: 8 kB\n")  # a kernel that does not say what is free
    assert machine.free_memory() == sys.maxsize


def test_the_least_of_all_limits_holds(system: Path) -> None:
    write(system / "proc/meminfo", "MemTotal:  9000 kB\nMemAvailable:  5000 kB\n")
    assert machine.free_memory() == 5000 * 1024
    write(system / "sys/fs/cgroup/memory.current", "1000")
    write(system / "sys/fs/cgroup/memory.max", "max\n")
    assert machine.free_memory() == 5000 * 1024
    write(system / "sys/fs/cgroup/memory.max", "301000\n")
    assert machine.free_memory() == 300_000
    write(system / "sys/fs/cgroup/memory/memory.limit_in_bytes", "90")
    write(system / "sys/fs/cgroup/memory/memory.usage_in_bytes", "20")
    assert machine.free_memory() == 70
    machine.allow(50)
    assert machine.free_memory() == 50


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")  # as on a Mac
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert machine.cores() == 12
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.cores() == 1
