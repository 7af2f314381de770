"""A cluster that the tests of a module share, and an empty directory to stand in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.batch.clusters import Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as two:
        two.add_worker()
        two.add_worker()
        yield two


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path
