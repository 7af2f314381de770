"""One attention by parts, on workers that are this process: what travels, how far, how often."""

import pickle
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from attncli.batch.flights import Landed
from attncli.core.attention import Attention
from attncli.core.problem import Problem
from attncli.errors import BackendError, RefusedError, UsageError
from attncli.files.build import build
from attncli.files.positions import Rows
from attncli.files.problem import open_problem
from attncli.files.types import Entry
from attncli.files.urls import Remote
from attncli.solve import solve
from tests.batch.standins import Client

spread = pytest.importorskip("attncli.batch.spread")

TILE = 16


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(spread, "blas_of_one_thread", lambda: None)
    return Client()


def attention(n_queries: int, n_keys: int, *leading: int, **keys: Any) -> Attention:
    rng = np.random.default_rng(3)
    shapes = {"query": (n_queries, 5), "key": (n_keys, 5), "value": (n_keys, 7)}
    entries = {
        name: Entry(rng.normal(size=(*leading, *shape)).astype(np.float32))
        for name, shape in shapes.items()
    }
    made = build({**entries, **{key: Entry(value) for key, value in keys.items()}}, Path())
    assert isinstance(made, Attention)
    return made


def computed(problem: Problem, backend: Any = "numpy", tile: int = TILE) -> Any:
    return solve(problem, backend=backend, threads=1, tile=tile, keep=(), max_memory=10**9).output


def of(client: Client, function: Any) -> list[tuple[Any, ...]]:
    """The arguments with which a function was sent."""
    return [arguments[1:] for arguments in client.sent if arguments[0] is function]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"causal": True, "align": "bottom-right", "bias": {"alibi": Entry(True)}},
        {"similarity": "cosine"},
        {"normalizer": "sigmoid"},
    ],
)
def test_queries_by_parts_have_the_bytes_of_this_machine(
    keys: dict[str, Any], client: Client
) -> None:
    problem = attention(611, 83, **keys)
    engine = spread.Spread(client, problem)
    assert np.array_equal(computed(problem, engine), computed(problem))
    assert sum(len(parts) for _, parts, _ in of(client, spread.compute)) == -(-611 // TILE)
    assert len(of(client, spread.held)) == 1, "what all parts have in common is sent once"


def test_keys_by_parts_are_merged(client: Client) -> None:
    problem = attention(5, 509, 2)
    engine = spread.Spread(client, problem)
    told: list[tuple[int, int]] = []
    made = solve(
        problem,
        backend=engine,
        tile=TILE,
        keep=(),
        progress=lambda done, total: told.append((done, total)),
    ).output
    np.testing.assert_allclose(made, computed(problem), rtol=2e-5, atol=2e-6)
    assert told == [(5, 10), (10, 10)]
    sent = of(client, spread.compute)
    keys = [part.keys for _, parts, _ in sent for part in parts]
    assert len(keys) == 2 * 8
    assert [key for span in keys for key in span] == 2 * [*range(509)]
    assert len(of(client, spread.held)) == 2, "one for each head"
    assert engine._unit == (None, None), "nothing of it is kept"


def test_a_part_says_how_long_it_took(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([50.0, 52.5])
    monkeypatch.setattr(spread, "perf_counter", lambda: next(times))
    part = SimpleNamespace(of=lambda unit: f"rows of {unit}")
    made = spread.compute("a unit", [part, part], spread.versions())
    assert made == (["rows of a unit"] * 2, 2.5)
    with pytest.raises(BackendError, match="a worker that came later has"):
        spread.compute("a unit", [part], {**spread.versions(), "NumPy": "0.1"})


def test_rates_are_of_what_has_come_back(client: Client) -> None:
    engine = spread.Spread(client, attention(3, 5))
    unit = SimpleNamespace(recipe=SimpleNamespace(n_keys=70))
    placed: list[Any] = []
    piece = SimpleNamespace(unit=unit, rows=range(10), place=placed.append)

    def landed(seconds: float, error: BackendError | None = None) -> list[int]:
        waiting = spread.Waiting(piece, [spread.Part(range(10), None, 5, None)])
        flight = Landed(0, [(waiting, 0)], ([f"{seconds} s"], seconds), error)
        engine._flights.landed = lambda patience: flight
        return [*engine._land()]

    assert landed(0.5) == [10]
    assert engine._rate == 1400
    assert landed(0.0) == [10]
    assert engine._rate == pytest.approx(7e8)
    assert placed == ["0.5 s", "0.0 s"]
    with pytest.raises(BackendError, match="every worker that tried it died"):
        landed(1.0, BackendError("every worker that tried it died"))
    engine._flights.landed = lambda patience: None
    assert [*engine._land()] == []


def test_what_lies_in_a_file_travels_as_its_place(here: Path, client: Client) -> None:
    rng = np.random.default_rng(3)
    for name, shape in (("q", (2, 61, 127)), ("k", (2, 2503, 127)), ("v", (2, 2503, 7))):
        np.save(name, rng.normal(size=shape).astype(np.float32))
    problem = open_problem(("q.npy", "k.npy", "v.npy"), {})
    assert isinstance(problem, Attention)
    engine = spread.Spread(client, problem)
    checked: list[tuple[str, ...]] = []
    check = spread.check_inputs
    spread.check_inputs = lambda client, paths: (checked.append((*paths,)), check(client, paths))
    try:
        np.testing.assert_allclose(
            computed(problem, engine, 64), computed(problem, tile=64), rtol=2e-5, atol=2e-6
        )
    finally:
        spread.check_inputs = check
    units = [unit for (unit,) in of(client, spread.held)]
    assert len(units) == 2
    for unit in units:
        assert isinstance(unit.key, Rows)
        assert unit.recipe.key.shape == (2, 2503, 127)
        assert len(pickle.dumps(unit)) < 200_000, "its key alone has 1.3 MB"
    # Each file is compared on all workers once, not once a head.
    assert [len(paths) for paths in checked] == [len({*checked[0]}), 0]
    assert str(Path("k.npy")) in {Path(path).name for path in checked[0]}


def remote(**keys: Any) -> Attention:
    """A problem whose vectors lie under URLs."""
    rng = np.random.default_rng(3)
    for name, shape in (("q", (61, 5)), ("k", (83, 5)), ("v", (83, 7))):
        np.save(name, rng.normal(size=shape).astype(np.float32))
    urls = [f"file://{Path.cwd()}/{name}.npy" for name in "qkv"]
    problem = open_problem(urls, {key: Entry(value) for key, value in keys.items()}, Remote)
    assert isinstance(problem, Attention)
    return problem


def test_what_lies_under_a_url_is_read_by_workers(here: Path, client: Client) -> None:
    problem = remote()
    there = open_problem(("q.npy", "k.npy", "v.npy"), {})
    assert np.array_equal(computed(problem, spread.Spread(client, problem)), computed(there))
    key = np.load("k.npy")
    key[79, 3] = np.nan
    np.save("k.npy", key)
    with pytest.raises((RefusedError, BackendError)):
        computed(problem, spread.Spread(client, problem))


def test_what_lies_under_a_url_is_never_taken_for_zeros(here: Path, client: Client) -> None:
    problem = remote()
    assert spread.tiled_by(problem, TILE, ("output",)) == (problem, TILE)
    for keep in (None, ("output", "key")):
        with pytest.raises(BackendError, match="is only read by rows, on the workers"):
            spread.tiled_by(problem, TILE, keep)
    for keys in ({"similarity": "euclidean"}, {"similarity": "cosine"}, {"masked_row": "uniform"}):
        with pytest.raises(BackendError, match="is only read by rows, on the workers"):
            spread.tiled_by(remote(**keys), TILE, ("output",))
    uniform = attention(3, 5, masked_row="uniform")
    assert spread.tiled_by(uniform, TILE, None) == (uniform, TILE), "here all of it is known"
    # With one key more, the keys are no longer those that lie there.
    longer = remote(zero_key=True)
    assert spread.tiled_by(longer, TILE, ("output",)) == (longer, TILE)
    with pytest.raises(BackendError, match="is only read by rows, on the workers"):
        computed(longer, spread.Spread(client, longer))


def test_what_has_no_tiles_is_refused() -> None:
    problem = attention(3, 5)
    assert spread.tiled_by(problem, "auto", ("output",)) == (problem, 512)
    assert spread.tiled_by(problem, 32, None) == (problem, 32)
    with pytest.raises(UsageError, match="--tile none with --cluster"):
        spread.tiled_by(problem, "none", ("output",))
    with pytest.raises(BackendError, match="--cluster with scores, weights: tiles have no such"):
        spread.tiled_by(problem, "auto", ("weights", "output", "scores"))
    table = np.ones((2, 3))
    alone = build({"query": Entry(table), "key": Entry(table)}, Path())
    with pytest.raises(BackendError) as refused:
        spread.tiled_by(alone, "auto", ("output",))
    assert refused.value.found == "weights alone"
    image, kernel = np.ones((3, 3, 1)), np.ones((1, 1, 3, 3))
    keys = {"kind": "convolution", "image": image, "kernel": kernel}
    other = build({key: Entry(value) for key, value in keys.items()}, Path())
    with pytest.raises(BackendError) as refused:
        spread.tiled_by(other, "auto", ("output",))
    assert refused.value.what == "--cluster: this convolution is not computed by tiles"
    assert refused.value.found == "convolution"


def test_parts_of_one_unit_travel_together_about_a_second_of_them() -> None:
    def waiting(unit: Any) -> Any:
        rows = range(10)
        piece = SimpleNamespace(unit=unit, rows=rows)
        return spread.Waiting(piece, [spread.Part(rows, range(7), 5, None)])

    units = [SimpleNamespace(recipe=SimpleNamespace(n_keys=7)) for _ in range(2)]
    sent: list[int] = []
    made = object.__new__(spread.Spread)
    threads = [1]
    made._flights = SimpleNamespace(
        threads=lambda: threads[0], send=lambda parts, *_: sent.append(len(parts))
    )
    made._common, made._versions = lambda unit: None, {}

    def cut(rate: float, *counts: int) -> list[int]:
        made._rate = rate
        todo = deque(
            (waiting(unit), 0) for unit, n in zip(units, counts, strict=True) for _ in range(n)
        )
        sent.clear()
        while todo:
            made._send(todo)
        return sent

    assert cut(1e9, 8, 3) == [5, 3, 1, 1, 1], "half of what is left for each of two flights"
    assert cut(0.0, 3, 1) == [1, 1, 1, 1], "the first ones travel alone"
    assert cut(139.0, 9, 0)[0] == 2, "2 of 70 pairs are more than a second"
    assert cut(140.0, 9, 0)[0] == 3
    threads[0] = 2
    assert cut(1e9, 8, 0) == [2, 1, 1, 1, 1, 1, 1], "a quarter for each of four"
