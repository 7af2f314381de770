"""A pytest plugin that collects once, and then judges mutant after mutant in forked children.

A mutant inside a function takes its place in the running process: the function gets the mutant's
code. One at the level of a module or class needs new imports, which the child makes. The changed
file also lies on the disk meanwhile, for the processes that tests start. So a mutant takes as long
as the tests that kill it; a process and a collection for each would take three seconds more.
"""

import contextlib
import gc
import importlib
import inspect
import json
import os
import pkgutil
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import psutil
import pytest

from tests.mutation.choice import Choice
from tests.mutation.mutants import Mutant

KILLED, SURVIVED = 1, 0
NO_CODE = "it does not compile"
Functions = dict[tuple[str, str, int], list[FunctionType]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--mutants`: a JSON file of what to try; see `tests.mutation.__main__`."""
    parser.addoption("--mutants", type=Path)


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Judge each mutant, one line of JSON for each as it is judged."""
    plan = json.loads(session.config.getoption("--mutants").read_text())
    house = Path(session.config.rootpath)
    items = {item.nodeid: item for item in session.items}
    choice = Choice(Path(plan["measured"]))
    new = [item for item in items if item.startswith(tuple(plan["also"]))]
    functions = live_functions()
    killers: dict[str, list[str]] = defaultdict(list)
    with Path(plan["results"]).open("a", buffering=1) as results:
        for file, operator, occurrence, start, end in plan["mutants"]:
            mutant = Mutant(operator, occurrence, tuple(start), tuple(end))
            sound = (house / file).read_text()
            changed = mutant.source(sound) if operator != "none" else sound
            chosen = choice.tests(file, sound, mutant, plan["budget"])
            tests = [*new, *(test for test in chosen if test in items and test not in new)]
            first = [test for test in killers[file] if test in tests]
            tests = [*first, *(test for test in tests if test not in first)]
            limit = 10 + 4 * sum(choice.durations.get(test, 1) for test in tests)
            began = time.perf_counter()
            with on_disk(house / file, sound, changed):
                try:
                    swaps = new_codes(house / file, sound, changed, functions)
                except SyntaxError:
                    killer = NO_CODE
                else:
                    killer = judge(tests, items, swaps, limit) if tests else None
            if killer in items:
                killers[file] = [killer, *(one for one in killers[file] if one != killer)][:20]
            seconds = round(time.perf_counter() - began, 3)
            record = {
                "file": file,
                "operator": operator,
                "occurrence": occurrence,
                "line": start[0],
            }
            record |= {"killer": killer, "tests": len(tests), "seconds": seconds}
            results.write(json.dumps(record) + "\n")
    return True


def live_functions() -> Functions:
    """Every function of attncli that can be called, by where it stands."""
    import attncli

    for module in pkgutil.walk_packages(attncli.__path__, "attncli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: Functions = defaultdict(list)
    for one in gc.get_objects():
        if isinstance(one, FunctionType):
            code = one.__code__
            found[code.co_filename, code.co_qualname, code.co_firstlineno].append(one)
    return found


class on_disk:  # noqa: N801 (a context manager)
    """The changed module where processes that tests start will find it.

    Its time differs from the sound one's, so compiled files of neither pass for the other.
    """

    def __init__(self, file: Path, sound: str, changed: str) -> None:
        self.file, self.sound, self.changed = file, sound, changed
        self.times = file.stat()

    def __enter__(self) -> None:
        self.file.write_text(self.changed)

    def __exit__(self, *_: object) -> None:
        self.file.write_text(self.sound)
        os.utime(self.file, ns=(self.times.st_atime_ns, self.times.st_mtime_ns))


Swaps = list[tuple[FunctionType, CodeType]]


def new_codes(file: Path, sound: str, changed: str, functions: Functions) -> Swaps | None:
    """The functions that change, and their new code; None if more than functions changes."""
    old, new = (compile(text, str(file), "exec", dont_inherit=True) for text in (sound, changed))
    swaps: Swaps = []
    for before, after in differing(old, new):
        live = functions.get((before.co_filename, before.co_qualname, before.co_firstlineno), [])
        if not before.co_flags & inspect.CO_OPTIMIZED or not live:
            return None
        swaps += [(function, after) for function in live]
    return swaps


def differing(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The outermost pairs of codes that differ in more than the functions they define."""
    codes = [
        [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        for code in (old, new)
    ]
    plain = [
        (
            code.co_code,
            code.co_names,
            [repr(one) for one in code.co_consts if not isinstance(one, CodeType)],
            len(inner),
        )
        for code, inner in zip((old, new), codes, strict=True)
    ]
    if plain[0] != plain[1]:
        yield old, new
    elif old.co_flags & inspect.CO_OPTIMIZED:
        if old != new:
            yield old, new
    else:
        for before, after in zip(*codes, strict=True):
            yield from differing(before, after)


def judge(
    tests: list[str], items: dict[str, pytest.Item], swaps: Swaps | None, limit: float
) -> str | None:
    """The test that fails for the mutant; None if none does."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        try:
            killer = afresh(tests) if swaps is None else swapped(tests, items, swaps)
        except BaseException as error:
            killer = f"it raises {type(error).__name__}"
        os.write(writing, (killer or "").encode()[:4000])
        os._exit(KILLED if killer else SURVIVED)
    os.close(writing)
    deadline = time.monotonic() + limit
    code = None
    while code is None and time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
        else:
            time.sleep(0.005)
    if code is None:
        started = psutil.Process(child).children(recursive=True)
        os.kill(child, signal.SIGKILL)
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        os.waitpid(child, 0)
        killer = "it hangs"
    else:
        killer = os.read(reading, 4096).decode() or (None if code == SURVIVED else f"exit {code}")
    os.close(reading)
    return killer


def swapped(tests: list[str], items: dict[str, pytest.Item], swaps: Swaps) -> str | None:
    """The first test that fails once the functions have their new code."""
    from _pytest.runner import runtestprotocol

    for function, code in swaps:
        function.__code__ = code
    following: list[Any] = [*(items[test] for test in tests[1:]), None]
    for test, after in zip(tests, following, strict=True):
        reports = runtestprotocol(items[test], log=False, nextitem=after)
        if any(report.failed for report in reports):
            items[test].session._setupstate.teardown_exact(None)  # clusters go with their fixtures
            return test
    return None


def afresh(tests: list[str]) -> str | None:
    """The same with attncli and its tests imported anew."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("attncli", "tests"):
            del sys.modules[name]
    seen = Failures()
    options = ["-x", "-q", "-p", "no:cacheprovider", "-s", "-m", "heavy or not heavy"]
    code = pytest.main([*options, *tests], plugins=[seen])
    return seen.first or (None if code == pytest.ExitCode.OK else f"pytest ends with {code!r}")


class Failures:
    """Remembers the first test that failed."""

    first: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest for the set-up, the call and the end of each test."""
        if report.failed and self.first is None:
            self.first = report.nodeid
