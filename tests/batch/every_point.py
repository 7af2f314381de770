"""Kills a batch at every single call that changes a disk, and runs it again: a program of its own.

`python every_point.py DIRECTORY SETTLE` prints a line of JSON for every point: which call it was,
and what the second run left. It forks, so that nothing is imported twice, and lets go of nothing:
a killed child ends in `os._exit`, as the kernel would end it.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attncli.batch.journal
import attncli.batch.local
import attncli.batch.work
import attncli.files.staging
from attncli.commands.boundary import run

N_JOBS = 3
KILLED = 137
ENOUGH = 9
"""Runs in a row that end before their call comes: then there is no such call."""
CALLS = ("write", "replace", "link", "unlink", "fsync", "sync", "mkdir", "ftruncate")
MOMENTS = ("before", "half", "after")
COMPUTED = "computed.log"


class Bomb:
    """Counts calls, and ends the process at one of them."""

    def __init__(self, point: int, moment: str, log: int) -> None:
        self.left = point
        self.moment = moment
        self.log = log

    def arm(self) -> None:
        for name in CALLS:
            self._wrap(os, name)
        journal_file = attncli.batch.journal._locked

        def locked(path: Path) -> Any:
            return Raw(journal_file(path), self)

        attncli.batch.journal._locked = locked

    def _wrap(self, module: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(module, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            return self.at(name, lambda *a: real(*a, **keywords), *arguments)

        setattr(module, name, call)

    def at(self, name: str, real: Callable[..., Any], *arguments: Any) -> Any:
        self.left -= 1
        if self.left:
            return real(*arguments)
        try:
            if self.moment == "half" and name in ("write", "append"):
                content = bytes(arguments[-1])
                real(*arguments[:-1], content[: len(content) // 2])
            elif self.moment != "before":
                real(*arguments)
        finally:
            os_write(self.log, name.encode() + b"\n")
            os._exit(KILLED)


class Raw:
    """The report's file, whose appends count."""

    def __init__(self, file: Any, bomb: Bomb) -> None:
        self.file = file
        self.bomb = bomb

    def write(self, content: bytes) -> int:
        written: int = self.bomb.at("append", self.file.write, content)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


os_write = os.write


def child(work: Callable[[], int]) -> int:
    """The exit code of a forked process."""
    pid = os.fork()
    if not pid:
        code = 99
        try:
            with open(os.devnull, "w") as nothing:
                sys.stderr = nothing
                code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def count_solves(log: Path) -> None:
    """Note every job that is computed."""
    real = attncli.batch.work.solve
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def solve(problem: Any, **keywords: Any) -> Any:
        trace = real(problem, **keywords)
        os_write(descriptor, problem.presentation.source.encode() + b"\n")
        return trace

    attncli.batch.work.solve = solve


def main(root: Path, settle: float) -> None:
    attncli.batch.local.SETTLE = settle
    inputs = [str(path) for path in sorted((root / "in").iterdir())][:N_JOBS]
    here = root / "run"

    def start(bomb: Bomb | None) -> int:
        count_solves(root / COMPUTED)
        if bomb is not None:
            bomb.arm()
        return run(["batch", *inputs, "-o", "out/{stem}.npz", "-j", "1", "--steps", "output"])

    point = missed = 0
    while True:
        point += 1
        names = []
        for moment in MOMENTS:
            shutil.rmtree(here, ignore_errors=True)
            here.mkdir()
            os.chdir(here)
            (root / COMPUTED).unlink(missing_ok=True)
            log = os.open(root / "killed.log", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            first = child(lambda: start(Bomb(point, moment, log)))  # noqa: B023
            names = (root / "killed.log").read_text().split()
            os.close(log)
            if first != KILLED:
                # Outputs settled together make fewer calls: another run may still come so far.
                missed += 1
                if missed == ENOUGH:
                    return
                continue
            missed = 0
            seen = sorted(os.listdir(here / "out")) if (here / "out").is_dir() else []
            after_kill = {
                name: (here / "out" / name).read_bytes().hex()
                for name in seen
                if not name.startswith(".")
            }
            second = child(lambda: start(None))
            computed = (root / COMPUTED).read_text().split()
            left = {
                str(path.relative_to(here)): path.read_bytes().hex()
                for path in sorted(here.rglob("*"))
                if path.is_file()
            }
            print(
                json.dumps(
                    {
                        "point": point,
                        "moment": moment,
                        "call": names[0],
                        "after_kill": after_kill,
                        "second": second,
                        "left": left,
                        "computed": computed,
                    }
                ),
                flush=True,
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
