"""One long attention on a cluster: its tiles are computed by workers, its rows come back.

The plan is made of the sizes alone. Queries are split first: their tiles are those of a run on one
machine. Where there are few of them, the keys are split, too, into spans whose contributions are
merged here, in the order of the keys. So the bytes depend neither on the number of workers nor on
who computes what, when, or dies meanwhile; which tiles travel together may follow the speed.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from attncli.backends.numpy import NumpyBackend, backend
from attncli.batch.cluster import Client, check_inputs, refuse_other_versions, versions
from attncli.batch.flights import AHEAD, Flights
from attncli.batch.remote import SECOND, blas_of_one_thread
from attncli.core.attention import Attention
from attncli.core.normalize import Softmax
from attncli.core.problem import Presentation, Problem
from attncli.core.shapes import Sketch
from attncli.core.similarity import Dot, ScaledDot
from attncli.core.step import Array
from attncli.core.tiled import TILE, Piece, Task, Unit, cut, side
from attncli.core.tuned import Loop
from attncli.errors import BackendError, UsageError
from attncli.files.positions import Atlas, Rows, url_of
from attncli.solve import WHOLE, Tile

if TYPE_CHECKING:
    from attncli.core.partial import Partial

ENOUGH = 32
"""Pieces into which a problem is split by its queries, or else by its keys, too."""
LEAST_TILES = 4
"""Tiles of a span of keys, at least."""
PATIENCE = 0.2
"""Seconds between two looks at the cluster."""


@dataclass(frozen=True, eq=False)
class Part:
    """What a worker is to compute: some queries, and of the keys a span or (None) all."""

    queries: range
    keys: range | None
    wide: int
    factor: Any
    """Of the tuned loop; None where only the plain recipe can do it."""

    def of(self, unit: Unit) -> Any:
        """The rows `(n d_v)`, or the `Partial` of the span."""
        xp = backend().xp
        if self.keys is None:
            quick = None if self.factor is None else Loop(unit, self.factor, self.wide, xp)
            return Piece(unit, quick, self.queries, self.wide, None, xp, ()).computed()
        return unit.partial(self.queries, unit.tiles(self.queries, self.keys, self.wide, xp), xp)


def held(unit: Unit) -> Unit:
    """On a worker: what many parts have in common; made again wherever it is lost."""
    return unit


def compute(unit: Unit, parts: list[Part], expected: dict[str, str]) -> tuple[list[Any], float]:
    """On a worker: some parts, and the seconds that they took."""
    refuse_other_versions(expected)
    blas_of_one_thread()
    started = perf_counter()
    with np.errstate(all="ignore"):
        made = [part.of(unit) for part in parts]
    return made, perf_counter() - started


@dataclass(eq=False)
class Waiting:
    """A piece whose rows are not there yet, with the parts that have come back."""

    piece: Piece
    parts: list[Part]
    made: dict[int, Any] = field(default_factory=dict)

    def take(self, number: int, made: Any) -> int:
        """Take a part; how many rows it finished."""
        self.made[number] = made
        if len(self.made) < len(self.parts):
            return 0
        piece = self.piece
        if self.parts[0].keys is not None:
            whole: Partial = self.made[0]
            for following in range(1, len(self.parts)):
                whole = whole.merge(self.made[following], piece.xp)
            made = piece.unit.ended(whole, piece.rows, piece.xp)
        piece.place(made)
        self.made.clear()
        return len(piece.rows)


class Spread(NumpyBackend):
    """NumPy on the workers of a cluster; what is not made of tiles is computed here."""

    def __init__(self, client: Client, problem: Attention) -> None:
        super().__init__()
        self._atlas = Atlas()
        self._urls = urls_of(problem)
        self.client = client
        self._versions = versions()
        self._flights: Flights[list[tuple[Waiting, int]]] = Flights(client)
        self._rate = 0.0
        """Pairs a second and thread."""
        self._unit: tuple[Unit | None, Any] = (None, None)
        self._seen: set[str] = set()

    def each(self, tasks: Iterable[Task]) -> Iterator[int]:
        """Compute pieces on the workers; yield the rows that are done."""
        pieces = [task for task in tasks if isinstance(task, Piece)]
        todo = deque(
            (waiting, number)
            for piece in pieces
            for waiting in (Waiting(piece, plan(piece, len(pieces))),)
            for number in range(len(waiting.parts))
        )
        try:
            while todo or len(self._flights):
                for _ in range(self._flights.room()):
                    if todo:
                        self._send(todo)
                yield from self._land()
        finally:
            self._flights.clear()
            self._unit = (None, None)

    def _send(self, todo: "deque[tuple[Waiting, int]]") -> None:
        """Send parts of one unit, about a second of them, and not all to one worker."""
        unit = todo[0][0].piece.unit
        most = max(1, len(todo) // (AHEAD * self._flights.threads()))
        parts: list[tuple[Waiting, int]] = []
        pairs = 0.0
        while todo and todo[0][0].piece.unit is unit and len(parts) < most:
            if parts and pairs > SECOND * self._rate:
                break
            waiting, number = todo.popleft()
            parts.append((waiting, number))
            pairs += _pairs(waiting.parts[number], unit)
        sent = [waiting.parts[number] for waiting, number in parts]
        self._flights.send(parts, compute, self._common(unit), sent, self._versions)

    def _common(self, unit: Unit) -> Any:
        """The future of a unit on the cluster."""
        if self._unit[0] is not unit:
            sent = light(unit, self._atlas)
            files = {rows.where for rows in vars(sent).values() if isinstance(rows, Rows)}
            for url in self._urls - files:
                raise _changed(url)
            check_inputs(self.client, sorted(files - self._seen))
            self._seen |= files
            self._unit = (unit, self._flights.shared(held, sent))
        return self._unit[1]

    def _land(self) -> Iterator[int]:
        """Take in what is back within a moment."""
        landed = self._flights.landed(PATIENCE)
        if landed is None:
            return
        if landed.error is not None:
            raise landed.error
        parts, (made, seconds) = landed.cargo, landed.result
        pairs = sum(_pairs(it.parts[place], it.piece.unit) for it, place in parts)
        self._rate = pairs / max(seconds, 1e-6)
        for (waiting, place), result in zip(parts, made, strict=True):
            if rows := waiting.take(place, result):
                yield rows


def plan(piece: Piece, n_pieces: int) -> list[Part]:
    """The parts of a piece: one, or spans of its keys where there are few pieces."""
    recipe, wide = piece.unit.recipe, piece.wide
    factor = None if piece.quick is None else piece.quick.factor
    n_tiles = -(-recipe.n_keys // wide)
    n_spans = min(-(-ENOUGH // n_pieces), n_tiles // LEAST_TILES)
    if n_spans < 2 or not isinstance(recipe.normalizer, Softmax):
        return [Part(piece.rows, None, wide, factor)]
    span = -(-n_tiles // n_spans) * wide
    return [Part(piece.rows, keys, wide, None) for keys in cut(range(recipe.n_keys), span)]


def _pairs(part: Part, unit: Unit) -> float:
    return len(part.queries) * len(range(unit.recipe.n_keys) if part.keys is None else part.keys)


def light(unit: Unit, atlas: Atlas) -> Unit:
    """A unit as it travels: what lies in a file as its place there, and only what tiles need."""

    def sent(array: Array) -> Any:
        return None if array is None else atlas.rows_of(array) or np.ascontiguousarray(array)

    def shape(array: Array) -> Any:
        return None if array is None else Sketch(tuple(array.shape))

    recipe = unit.recipe
    vectors = ("query", "key", "value", "scores", "past_key", "past_value")
    stubs = {name: shape(getattr(recipe, name)) for name in vectors}
    recipe = replace(
        recipe,
        **stubs,
        rotary=None,
        query_mask=None,
        presentation=Presentation(),
        choices={},
    )
    return Unit(recipe, *map(sent, (unit.query, unit.key, unit.value, unit.scores)))


def tiled_by(problem: Problem, tile: Tile, keep: Collection[str] | None) -> tuple[Attention, int]:
    """A problem that has tiles, and their width: as where it is computed by tiles here.

    Raises `BackendError` for what has no tiles, `UsageError` for `--tile none`.
    """
    if type(problem) is not Attention or problem.value is None:
        raise BackendError(
            f"--cluster: this {problem.kind} is not computed by tiles",
            expected="one attention with values",
            found=problem.kind if problem.kind != "attention" else "weights alone",
            hint="attncli batch --cluster does many problems of any kind",
        )
    if tile == "none":
        raise UsageError("--tile none with --cluster: workers compute tiles", hint="--tile auto")
    if keep is not None and (missing := {*keep} - WHOLE):
        raise BackendError(
            f"--cluster with {', '.join(sorted(missing))}: tiles have no such steps",
            hint="--steps output",
        )
    # Of what lies under a URL, nothing is known here but its shape.
    plain = type(problem.similarity) in (Dot, ScaledDot) and problem.masked_row != "uniform"
    if not plain or keep is None or {*keep} & {"query", "key", "value"}:
        for url in urls_of(problem):
            raise _changed(url)
    return problem, side(problem, TILE) if tile == "auto" else tile


def urls_of(problem: Attention) -> set[str]:
    """Where the vectors lie that only workers read."""
    vectors = (problem.query, problem.key, problem.value)
    return {url for part in vectors if part is not None and (url := url_of(part)) is not None}


def _changed(url: str) -> BackendError:
    return BackendError(
        f"{url} is only read by rows, on the workers",
        expected="query, key and value as they are, dot or scaled-dot, and --steps output",
        hint="copy it to a directory that all machines share",
    )
