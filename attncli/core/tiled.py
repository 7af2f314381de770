"""Attention tile by tile: the second recipe, for sequences whose scores would fill the memory.

It scores, modifies and masks tiles with the very same pieces as the first recipe and merges what
they contribute; nothing of size n_queries × n_keys is ever made, and tiles that no query may look
at are not computed. `tuned` does the same faster where the namespace can write into arrays.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import isqrt, prod
from typing import Any, Protocol

from attncli.core import tuned
from attncli.core.attention import Attention
from attncli.core.masking import picked
from attncli.core.normalize import Softmax
from attncli.core.partial import Partial
from attncli.core.problem import bytes_each
from attncli.core.shapes import first
from attncli.core.step import Array, Namespace, Steps, result
from attncli.core.weighted import weighted_sum
from attncli.errors import LimitError

TILE = 512
"""Queries and keys of a tile: its scores, in float32, fill 1 MiB, the second-level cache of a
core; 256 and 1024 were slower on the machine of tests/README.md."""

MOST_HALVINGS = 4
"""How often tiles are halved where memory is short, before that is an error."""

Into = Callable[[tuple[int, ...], str], Any]
"""Makes, of a shape and a type, what takes rows by index; `mapped()` then gives them back."""

Blind = Callable[[tuple[int, ...], range, Array], None]
"""Told, of the unit at an index, which of some queries may attend to nothing, booleans `(n 1)`."""

Task = Callable[[], int]
"""Computes some rows of the output and says how many."""


class Machine(Protocol):
    """What the recipe needs of a backend."""

    xp: Namespace
    writes_in_place: bool
    """Whether `xp` takes `out=` and its arrays `+=`: then the tuned loop is used."""

    def memory(self) -> int:
        """Bytes that can be taken now."""
        ...

    def each(self, tasks: Iterable[Task]) -> Iterator[int]:
        """Run the tasks, in any order, on as many threads as there are; yield what they say."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        """An array to be written by rows."""
        ...


@dataclass(frozen=True, eq=False)
class Unit:
    """One batch entry and head: query `(n_queries h)`, key `(n_keys h)`, prepared by the
    similarity, value `(n_keys d_v)`, or scores `(n_queries n_keys)`."""

    recipe: Attention
    """The problem, with the masks, biases, scale and sink of this batch entry and head."""
    query: Array
    key: Array
    value: Array
    scores: Array
    blind: Callable[[range, Array], None] | None = None
    """Told which of some queries may attend to nothing, booleans `(n 1)`."""

    def modified(self, queries: range, keys: range, xp: Namespace) -> Array:
        """The scores of a tile, scaled, capped, biased and masked."""
        if self.scores is not None:
            scores = self.scores[queries.start : queries.stop, keys.start : keys.stop]
        else:
            query = self.query[queries.start : queries.stop, :]
            scores = self.recipe.similarity.pair(query, self.key[keys.start : keys.stop, :], xp)
        return result(self.recipe.modified(scores, queries, keys, xp))

    def rows(self, queries: range, tile: int, xp: Namespace) -> Array:
        """The output of some queries, `(n d_v)`."""
        recipe, normalizer = self.recipe, self.recipe.normalizer
        reach = recipe.reach(queries, xp)
        wide = tile if normalizer.mergeable else max(1, len(reach))
        seen = self.tiles(queries, reach, wide, xp)
        if isinstance(normalizer, Softmax):
            return self.ended(self.partial(queries, seen, xp), queries, xp)
        total = xp.zeros((len(queries), self.value.shape[-1]), dtype=self.value.dtype)
        nothing: Any = True
        for keys in seen if len(reach) else ():
            scores = self.modified(queries, keys, xp)
            row = scores
            if recipe.sink is not None:
                sink = xp.broadcast_to(recipe.sink, (len(queries), 1))
                row = xp.concat([scores, xp.astype(sink, scores.dtype)], axis=-1)
            weights = normalizer.weights(row, xp)[0][:, : len(keys)]
            left_out = scores == -xp.inf if recipe.leaves_out else None
            total = total + weighted_sum(weights, self._values(keys), left_out, xp)
            nothing = nothing & xp.all(scores == -xp.inf, axis=-1, keepdims=True)
        return self._treated(total, nothing, queries, xp)

    def tiles(self, queries: range, keys: range, tile: int, xp: Namespace) -> list[range]:
        """The tiles of some keys that one of the queries may look at.

        All of them where a mask only adds a number: a query that sees nothing then weighs them all.
        """
        recipe = self.recipe
        reach = recipe.reach(queries, xp)
        tiles = cut(range(max(keys.start, reach.start), min(keys.stop, reach.stop)), tile)
        if recipe.masked_by is not None:
            return [*tiles]
        return [one for one in tiles if recipe.seen(queries, one, xp) is not False]

    def partial(self, queries: range, tiles: list[range], xp: Namespace) -> Partial:
        """What the keys of some tiles contribute, for softmax."""
        recipe, value = self.recipe, self.value
        part = Partial.identity(len(queries), value.shape[-1], value.dtype, xp)
        temperature = recipe.normalizer.temperature
        for keys in tiles:
            scores = self.modified(queries, keys, xp)
            scores = scores / temperature if temperature != 1 else scores
            values = self._values(keys)
            part = part.merge(Partial.of(scores, values, xp, leaves_out=recipe.leaves_out), xp)
        return part

    def ended(self, part: Partial, queries: range, xp: Namespace) -> Array:
        """The output of some queries, `(n d_v)`, of what all keys contribute."""
        recipe, temperature = self.recipe, self.recipe.normalizer.temperature
        nothing = part.row_max == -xp.inf
        if recipe.sink is not None:
            part = part.beside(recipe.sink / temperature, xp)
        return self._treated(part.output(xp), nothing, queries, xp)

    def _values(self, keys: range) -> Array:
        return self.value[keys.start : keys.stop, :]

    def _treated(self, output: Array, nothing: Array, queries: range, xp: Namespace) -> Array:
        """What a query gets that may attend to nothing; zero comes by itself."""
        recipe = self.recipe
        if not recipe.leaves_out or (recipe.masked_row == "zero" and self.blind is None):
            return output
        if nothing is True:
            nothing = xp.full((len(queries), 1), True)
        if not xp.any(nothing):
            return output
        if self.blind is not None:
            self.blind(queries, nothing)
        if recipe.masked_row == "zero":
            return output
        if recipe.masked_row == "error":
            raise recipe.sees_nothing(queries[first(nothing, xp)[0]])
        fill = xp.full_like(output, xp.nan)
        if recipe.masked_row == "uniform":
            fill = xp.broadcast_to(xp.mean(self.value, axis=0, keepdims=True), output.shape)
        return xp.where(nothing, fill, output)


@dataclass(frozen=True, eq=False)
class Piece:
    """Some rows of a unit's output: a task that writes them to their place."""

    unit: Unit
    quick: "tuned.Loop | None"
    rows: range
    wide: int
    output: Array
    xp: Namespace
    index: tuple[int, ...]

    def __call__(self) -> int:
        self.place(self.computed())
        return len(self.rows)

    def computed(self) -> Array:
        """The rows, `(n d_v)`."""
        made = self.quick.rows(self.rows) if self.quick is not None else None
        return self.unit.rows(self.rows, self.wide, self.xp) if made is None else made

    def place(self, made: Array) -> None:
        """Write the rows."""
        self.output[(*self.index, slice(self.rows.start, self.rows.stop), slice(None))] = made


def tiled(
    attention: Attention,
    machine: Machine,
    tile: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    into: Into | None = None,
    blind: Blind | None = None,
) -> Steps:
    """Yield query, key and value, then what is made of the output; return it.

    `tile` is how many queries and keys a tile has. `progress` is told how many rows of how many
    are done. `into` makes what the rows are written to, where they are the output themselves.
    `blind` is told of queries that may attend to nothing.
    """
    xp = machine.xp
    query, key, value = yield from attention.vectors(xp)
    assert value is not None, "without values the weights are the result, and they are not tiled"
    if attention.scores is None:
        attention.refuse_zero_norms(query, key, xp)
        query, key = attention.similarity.prepare(query, key, xp)
    n, leading = attention.n_queries, attention.leading
    shape = (*leading, n, int(value.shape[-1]))
    rows_are_output = attention.query_mask is None and "heads" not in attention.step_names()
    make = into if into is not None and rows_are_output else machine.empty
    output = make(shape, attention.dtype)
    total = n * prod(leading)
    wide = tile or side(attention, getattr(machine, "tile", TILE))

    def tasks(wide: int) -> Iterator[Task]:
        for index in indices(leading):
            unit = of(attention, query, key, value, index)
            if blind is not None:
                unit = replace(unit, blind=partial(blind, index))
            quick = tuned.Loop.of(unit, xp, wide) if machine.writes_in_place else None
            # The last rows of a causal mask see the most keys: they go first.
            for rows in reversed([*cut(range(n), wide)]):
                yield Piece(unit, quick, rows, wide, output, xp, index)

    halvings = MOST_HALVINGS
    while True:
        done = 0
        try:
            for rows in machine.each(tasks(wide)):
                done += rows
                if progress is not None:
                    progress(done, total)
            break
        except Exception as error:
            if not exhausted(machine, error):
                raise
            if halvings == 0 or wide == 1:
                raise _too_small(machine, attention, wide) from error
            halvings, wide = halvings - 1, wide // 2
    if into is not None and rows_are_output:
        output = output.mapped()
    return (yield from attention.finished(output, xp))


def exhausted(machine: Machine, error: Exception) -> bool:
    """Whether an error says that memory is short; what the backend holds is then let go."""
    is_short = getattr(machine, "exhausted", None)
    if not (isinstance(error, MemoryError) if is_short is None else is_short(error)):
        return False
    if (release := getattr(machine, "release", None)) is not None:
        release()
    return True


def _too_small(machine: Machine, attention: Attention, wide: int) -> LimitError:
    """The error of a machine on which not even small tiles fit."""
    numbers = wide * wide * attention.similarity.numbers(attention.d_k)
    return LimitError(
        f"memory is short even for tiles of {wide} queries and keys",
        expected=f"{numbers * bytes_each(attention.dtype)} bytes for the scores of one tile",
        found=f"{machine.memory()} free",
        hint="--threads 1 computes one tile at a time; --dtype float32 halves it",
    )


def of(
    attention: Attention, query: Array, key: Array, value: Array, index: tuple[int, ...]
) -> Unit:
    """The unit at an index of the leading axes; query head h uses key head h // group."""
    scale, sink = picked(attention.scale, index), picked(attention.sink, index)
    recipe = replace(
        attention,
        masks=tuple(mask.entry(index) for mask in attention.masks),
        biases=tuple(bias.entry(index) for bias in attention.biases),
        scale=scale,
        sink=sink,
    )
    kv_index = index
    if attention.has_heads:
        kv_index = (*index[:-1], index[-1] * attention.n_kv_heads // attention.n_heads)
    scores = attention.scores
    return Unit(
        recipe,
        None if query is None else picked(query, index),
        None if key is None else picked(key, kv_index),
        picked(value, kv_index),
        None if scores is None else picked(scores, index),
    )


def side(attention: Attention, most: int) -> int:
    """Queries and keys of a tile, fewer where a similarity makes more than one number a pair."""
    return min(most, max(16, isqrt(most * most // attention.similarity.numbers(attention.d_k))))


def cut(places: range, tile: int) -> Iterator[range]:
    """Ranges of at most `tile` places."""
    for start in range(places.start, places.stop, tile):
        yield range(start, min(start + tile, places.stop))


def indices(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every index of a shape, in order."""
    if not shape:
        yield ()
        return
    for place in range(shape[0]):
        for rest in indices(shape[1:]):
            yield (place, *rest)
