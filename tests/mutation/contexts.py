"""A pytest plugin: coverage notes of every line which tests ran it, in processes they start, too.

How long each test took goes into `tests.json` beside the data, with where the house stands.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

DURATIONS: dict[str, float] = {}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Everything from a test's set-up to its end happens in the context of its name."""
    started = time.perf_counter()
    measuring().switch_context(item.nodeid)
    os.environ["ATTNCLI_TEST"] = item.nodeid
    try:
        return (yield)
    finally:
        measuring().switch_context("")
        del os.environ["ATTNCLI_TEST"]
        DURATIONS[item.nodeid] = time.perf_counter() - started


def pytest_sessionfinish() -> None:
    """Leave the times beside the data."""
    beside = Path(measuring().get_data().data_filename()).parent
    measured = {"house": str(Path.cwd()), "durations": DURATIONS}
    (beside / "tests.json").write_text(json.dumps(measured, indent=0))


def measuring() -> coverage.Coverage:
    """The measurement that runs."""
    current = coverage.Coverage.current()
    assert current is not None, "run this as `coverage run -m pytest -p tests.mutation.contexts`"
    return current
