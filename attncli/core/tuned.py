"""The tile loop of softmax over products, for namespaces that write into arrays (`out=`).

What makes it fast, each measured against plain tiles (tests/README.md): the scale is folded into
the queries; each row has one reference for all its tiles, the maximum over a few keys, instead of a
running maximum; the matrix product itself subtracts it (one more column of the queries, a column of
ones beside the keys, which are copied tile by tile: a fiftieth of the time, and no copy of all
keys); exponentials are taken in place and summed by a product.

A reference that was badly chosen shows: a sum overflows, or nothing is left of it. Then the rows
are done again by the exact recipe.
"""

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attncli.core.normalize import Softmax
from attncli.core.similarity import Dot
from attncli.core.step import Array, Namespace

if TYPE_CHECKING:
    from attncli.core.tiled import Unit

SAMPLE = 32
"""Keys whose greatest score is the reference of a row."""
LEAST = {"float32": 1e-20, "float64": 1e-200}
"""A row sum below it has lost digits: its reference was far above every score."""


class Buffers(threading.local):
    """The arrays that a thread computes in, made once."""

    keys: Array = None
    """`(tile h + 2)`: keys, ones, and the place of each in the tile."""
    scores: Array = None
    weighted: Array = None
    ones: Array = None

    def fit(self, tile: int, h: int, value: Array, xp: Namespace) -> None:
        """Make them, for tiles of this width, keys of h features and these values."""
        if self.scores is None:
            self.keys = xp.ones((tile, h + 2), dtype=value.dtype)
            self.keys[:, h + 1] = xp.arange(tile)
            self.scores = xp.empty((tile, tile), dtype=value.dtype)
            self.weighted = xp.empty((tile, value.shape[1]), dtype=value.dtype)
            self.ones = xp.ones((tile, 1), dtype=value.dtype)


@dataclass(frozen=True, eq=False)
class Loop:
    """The rows of one unit."""

    unit: "Unit"
    factor: float | Array
    """What the queries are multiplied by: the scale, and the temperature where it can be."""
    tile: int
    xp: Namespace
    buffers: Buffers = field(default_factory=Buffers)

    @classmethod
    def of(cls, unit: "Unit", xp: Namespace, tile: int) -> "Loop | None":
        """The loop of a unit; None where only the plain recipe can do it."""
        recipe = unit.recipe
        if (
            not isinstance(recipe.similarity, Dot)
            or getattr(recipe.similarity, "bias", None) is not None
            or not isinstance(recipe.normalizer, Softmax)
            or unit.scores is not None
            or recipe.masked_row != "zero"
            or recipe.masked_by is not None
            # A sum is finite only if all its terms are; one that overflows costs time, no digit.
            or not all(xp.isfinite(xp.sum(part)) for part in (unit.query, unit.key, unit.value))
        ):
            return None
        factor: float | Array = 1 if recipe.scale is None else recipe.scale
        if recipe.softcap is None:
            factor = factor / recipe.normalizer.temperature
        return cls(unit, factor, tile, xp)

    def rows(self, queries: range) -> Array | None:
        """The output of some queries, `(n d_v)`; None where the reference did not serve."""
        xp, recipe, value, tile = self.xp, self.unit.recipe, self.unit.value, self.tile
        reach = recipe.reach(queries, xp)
        if not reach:
            return None
        n, h = len(queries), self.unit.query.shape[1]
        self.buffers.fit(tile, h, value, xp)
        query = xp.empty((n, h + 2), dtype=value.dtype)
        query[:, :h] = self.unit.query[queries.start : queries.stop, :] * self.factor
        reference = self._reference(query[:, :h], queries, reach)
        total = xp.zeros((n, value.shape[1]), dtype=value.dtype)
        row_sum = xp.zeros((n, 1), dtype=value.dtype)
        weighted = self.buffers.weighted[:n, :]
        for start in range(reach.start, reach.stop, tile):
            keys = range(start, min(start + tile, reach.stop))
            seen = recipe.seen(queries, keys, xp)
            if seen is False:
                continue
            scores = self._exponents(query, queries, keys, reference)
            xp.exp(scores, out=scores)
            if seen is not True:
                scores *= seen
            row_sum += xp.matmul(scores, self.buffers.ones[: len(keys), :])
            xp.matmul(scores, value[keys.start : keys.stop, :], out=weighted)
            total += weighted
        least = LEAST[recipe.dtype]
        if not xp.all(row_sum > least) or not xp.all(xp.isfinite(total)):
            return None
        if recipe.sink is not None:
            row_sum += xp.exp(recipe.sink / recipe.normalizer.temperature - reference)
        if not xp.all(xp.isfinite(row_sum)):
            return None
        total /= row_sum
        return total

    def _reference(self, query: Array, queries: range, reach: range) -> Array:
        """The greatest score of each row among a few keys, `(n 1)`.

        The first it may look at; where a bias favours near keys, also some at the queries' places.
        """
        xp, recipe = self.xp, self.unit.recipe
        samples = [range(reach.start, min(reach.stop, reach.start + SAMPLE))]
        if recipe.biases:
            offset = getattr(getattr(recipe.biases[0], "places", None), "offset", 0)
            offset = offset if isinstance(offset, int) else int(xp.max(offset))
            for place in range(queries.start, queries.stop, max(1, len(queries) // SAMPLE)):
                near = min(max(place + offset, reach.start), reach.stop - 1)
                samples.append(range(near, near + 1))
        best = None
        for keys in samples:
            key = self.unit.key[keys.start : keys.stop, :]
            scores = xp.matmul(query, xp.matrix_transpose(key))
            greatest = xp.max(self._finished(scores, queries, keys), axis=1, keepdims=True)
            best = greatest if best is None else xp.maximum(best, greatest)
        return best

    def _exponents(self, query: Array, queries: range, keys: range, reference: Array) -> Array:
        """Scores less the reference, in the buffer; by the product alone where that can be."""
        xp, recipe = self.xp, self.unit.recipe
        n, h = len(queries), self.unit.query.shape[1]
        scores = self.buffers.scores.reshape(-1)[: n * len(keys)].reshape(n, len(keys))
        part = self.buffers.keys[: len(keys), :]
        part[:, :h] = self.unit.key[keys.start : keys.stop, :]
        part = xp.matrix_transpose(part)
        line = None
        if recipe.softcap is None and len(recipe.biases) == 1:
            is_real = keys.stop <= recipe.n_keys - recipe.n_added
            find = getattr(recipe.biases[0], "line", None)
            line = find(queries, keys, xp) if find is not None and is_real else None
        if line is not None:
            slope, begins = line
            temperature = recipe.normalizer.temperature
            query[:, h : h + 1] = begins / temperature - reference
            query[:, h + 1 :] = slope / temperature
            return xp.matmul(query, part, out=scores)
        if recipe.softcap is None and not recipe.biases:
            query[:, h : h + 1] = -reference
            return xp.matmul(query[:, : h + 1], part[: h + 1, :], out=scores)
        xp.matmul(query[:, :h], part[:h, :], out=scores)
        scores = self._finished(scores, queries, keys)
        scores -= reference
        return scores

    def _finished(self, scores: Array, queries: range, keys: range) -> Array:
        """Softcap and bias of scaled scores, in place."""
        xp, recipe = self.xp, self.unit.recipe
        temperature = recipe.normalizer.temperature
        if recipe.softcap is not None:
            scores /= recipe.softcap
            xp.tanh(scores, out=scores)
            scores *= recipe.softcap
        else:
            temperature = 1  # the queries have been divided by it
        real = range(keys.start, min(keys.stop, recipe.n_keys - recipe.n_added))
        for bias in recipe.biases if real else ():
            added = bias.bias(queries, real, xp)
            if recipe.softcap is None:
                added = added / recipe.normalizer.temperature
            scores[:, : len(real)] += added
        if temperature != 1:
            scores /= temperature
        return scores
