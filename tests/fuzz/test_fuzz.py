"""Damaged files of every kind: no exception but ours, no hang, no memory beyond reason."""

import resource
import shutil
import signal
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from attncli.errors import AttncliError
from tests.fuzz import Mutator
from tests.fuzz.readers import KINDS, ROOT, quietly

SECONDS = 1.0
"""A damaged file that takes longer hangs."""
MEGABYTES = 400
"""What reading damaged files may add to this process."""
IN_ALL, HEAVY = 60_000, 2_000_000
"""Damaged files of all kinds, in the default run and in the heavy one."""


class TooLongError(BaseException):
    """A reader did not end."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for path in (ROOT / "samples").iterdir():
        if path.is_file() and path.suffix != ".yaml":
            shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    yield tmp_path
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def survive(kind: str, seeds: range, here: Path) -> int:
    """Read damaged files; how many of them could be read all the same."""
    suffix, reader, corpus = KINDS[kind]
    mutator = Mutator(corpus())
    path = here / f"damaged{suffix}"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read = 0
    for seed in seeds:
        content = mutator.made(seed)
        path.write_bytes(content)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            quietly(reader, path)
            read += 1
        except AttncliError as error:
            n_lines = len(error.lines())
            if not 1 <= n_lines <= 4:
                pytest.fail(f"{kind} {seed}: an error of {n_lines} lines")
        except TooLongError:
            pytest.fail(f"{kind} {seed} hangs: {content[:300]!r}")
        except BaseException:
            pytest.fail(f"{kind} {seed}: {traceback.format_exc()}\n{content[:300]!r}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < MEGABYTES, f"{kind}: {grown:.0f} MB"
    return read


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_damaged_files_are_refused_or_read(kind: str, here: Path) -> None:
    n = IN_ALL // len(KINDS)
    read = survive(kind, range(n), here)
    assert 0 < read < n, "the mutations must neither spare nor spoil all files"


@pytest.mark.heavy
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_many_damaged_files_are_refused_or_read(kind: str, here: Path) -> None:
    n = IN_ALL // len(KINDS)
    survive(kind, range(n, n + HEAVY // len(KINDS)), here)
