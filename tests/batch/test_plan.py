"""How an attention is cut for a cluster: by its sizes alone, and merged in the order of keys."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attncli.batch.remote import _until
from attncli.batch.work import AbandonedError
from attncli.core.normalize import Softmax, Sparsemax

spread = pytest.importorskip("attncli.batch.spread")


def piece(n_keys: int, wide: int, normalizer: Any = None, quick: Any = None) -> Any:
    recipe = SimpleNamespace(n_keys=n_keys, normalizer=normalizer or Softmax())
    return SimpleNamespace(
        unit=SimpleNamespace(recipe=recipe), rows=range(3, 8), wide=wide, quick=quick
    )


@pytest.mark.parametrize(
    ("n_keys", "n_pieces", "spans"),
    [
        (70, 1, 1),  # 7 tiles: not twice 4
        (71, 1, 2),  # 8 tiles
        (80, 16, 2),
        (80, 31, 2),
        (80, 32, 1),  # enough pieces
        (119, 1, 3),
        (400, 11, 3),
        (400, 10, 4),
        (1_000_000, 1, 32),
    ],
)
def test_keys_are_split_where_queries_make_few_pieces(
    n_keys: int, n_pieces: int, spans: int
) -> None:
    assert len(spread.plan(piece(n_keys, 10), n_pieces)) == spans


@given(n_keys=st.integers(1, 5000), wide=st.integers(1, 300), n_pieces=st.integers(1, 40))
def test_the_parts_of_a_piece_are_all_of_its_keys_once(
    n_keys: int, wide: int, n_pieces: int
) -> None:
    quick = SimpleNamespace(factor=0.5)
    parts = spread.plan(piece(n_keys, wide, quick=quick), n_pieces)
    assert all(part.queries == range(3, 8) and part.wide == wide for part in parts)
    if len(parts) == 1:
        assert (parts[0].keys, parts[0].factor) == (None, 0.5)
        return
    assert [key for part in parts for key in part.keys] == [*range(n_keys)]
    assert all(len(part.keys) % wide == 0 for part in parts[:-1])
    assert all(part.factor is None for part in parts)
    assert min(len(part.keys) for part in parts[:-1]) >= 4 * wide


def test_only_softmax_merges() -> None:
    assert len(spread.plan(piece(1000, 10, Sparsemax()), 1)) == 1
    assert spread.plan(piece(1000, 10, Sparsemax()), 1)[0].factor is None


class Text(str):
    """A contribution whose merging shows the order."""

    __slots__ = ()

    def merge(self, other: "Text", xp: Any) -> "Text":
        return Text(f"({self}{other})")


def test_parts_are_merged_in_the_order_of_their_keys() -> None:
    placed: list[Any] = []
    one = piece(100, 10)
    one.xp, one.place = np, placed.append
    one.unit.ended = lambda whole, rows, xp: f"{whole} of {rows}"
    waiting = spread.Waiting(one, spread.plan(one, 16))
    assert len(waiting.parts) == 2
    third = spread.Waiting(one, [*waiting.parts, waiting.parts[0]])
    assert third.take(2, Text("c")) == 0
    assert third.take(0, Text("a")) == 0
    assert not placed
    assert third.take(1, Text("b")) == 5, "so many rows are done"
    assert placed == ["((ab)c) of range(3, 8)"]
    whole = spread.Waiting(one, [spread.Part(range(3, 8), None, 10, None)])
    assert whole.take(0, "rows") == 5
    assert placed[1:] == ["rows"]


def test_a_worker_gives_a_job_up_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    from attncli.batch import remote

    now = [50.0]
    monkeypatch.setattr(remote, "monotonic", lambda: now[0])
    go_on, always = _until(3.0), _until(None)
    now[0] = 53.0
    go_on()
    now[0] = 53.001
    with pytest.raises(AbandonedError):
        go_on()
    always()
