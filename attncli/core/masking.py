"""What a query may attend to, and what is added to its scores, asked tile by tile.

A mask answers for a tile (a range of queries, a range of keys): True (all visible), False (none:
the tile is skipped, no arithmetic), or the booleans of that tile, broadcastable to
`(… n_queries n_keys)`. So causal masks, windows and lengths never make an n×n array.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from attncli.core.step import Array, Namespace

Visible = bool | Array
"""True: all; False: none; else booleans `(… n_queries n_keys)`."""


class Mask(Protocol):
    def tile(self, queries: range, keys: range, xp: Namespace) -> Visible:
        """Which keys of the tile each of its queries may attend to."""
        ...

    def reach(self, queries: range, n_keys: int, xp: Namespace) -> range:
        """The keys that one of the queries may see, and perhaps others between them."""
        ...

    def entry(self, index: tuple[int, ...]) -> "Mask":
        """The mask of one batch entry and head: its leading axes taken at `index`."""
        ...


class Bias(Protocol):
    def bias(self, queries: range, keys: range, xp: Namespace) -> Array:
        """What is added to the scores of the tile; finite, broadcastable."""
        ...

    def entry(self, index: tuple[int, ...]) -> "Bias":
        """The bias of one batch entry and head."""
        ...


@dataclass(frozen=True, eq=False)
class Places:
    """Where queries stand among the keys: query i stands at key place i + offset.

    The offset is one integer, or one a batch entry, `(… 1 1)`.
    """

    offset: int | Array = 0

    def distance(self, queries: range, keys: range, xp: Namespace) -> Array:
        """Key place less query place, `(… n_queries n_keys)`; negative to the left."""
        query = xp.arange(queries.start, queries.stop)[:, None] + self.offset
        return xp.arange(keys.start, keys.stop)[None, :] - query

    def entry(self, index: tuple[int, ...]) -> "Places":
        return Places(picked(self.offset, index))

    def extremes(self, queries: range, keys: range, xp: Namespace) -> tuple[int, int]:
        """The smallest and the largest distance in a tile."""
        low = high = self.offset
        if not isinstance(self.offset, int):
            low, high = int(xp.min(self.offset)), int(xp.max(self.offset))
        return keys.start - (queries.stop - 1 + high), keys.stop - 1 - (queries.start + low)


@dataclass(frozen=True, eq=False)
class Band:
    """Keys from `left` places before a query's own place to `right` after it; None is unbounded.

    Causal attention is the band with right 0 and no left bound.
    """

    places: Places
    left: int | None = None
    right: int | None = None

    def tile(self, queries: range, keys: range, xp: Namespace) -> Visible:
        low, high = self.places.extremes(queries, keys, xp)
        left = -self.left if self.left is not None else low
        right = self.right if self.right is not None else high
        if left <= low and high <= right:
            return True
        if high < left or low > right:
            return False
        # Both sides are compared with the queries' places: no table of distances is made.
        key = xp.arange(keys.start, keys.stop)[None, :]
        place = xp.arange(queries.start, queries.stop)[:, None] + self.places.offset
        if left <= low:
            return key <= place + right
        if high <= right:
            return key >= place + left
        return (key >= place + left) & (key <= place + right)

    def reach(self, queries: range, n_keys: int, xp: Namespace) -> range:
        # Of key 0: its smallest distance is to the last query, its largest to the first.
        low, high = self.places.extremes(queries, range(1), xp)
        first = 0 if self.left is None else max(0, -high - self.left)
        stop = n_keys if self.right is None else min(n_keys, -low + self.right + 1)
        return range(first, max(first, stop))

    def entry(self, index: tuple[int, ...]) -> "Band":
        return replace(self, places=self.places.entry(index))


@dataclass(frozen=True, eq=False)
class Lengths:
    """The first `lengths` keys: an integer, or integers `(… 1 1)` or `(… n_queries 1)`."""

    lengths: int | Array

    def tile(self, queries: range, keys: range, xp: Namespace) -> Visible:
        lengths = self.lengths
        if isinstance(lengths, int):
            low = high = lengths
        else:
            if lengths.shape[-2] > 1:
                lengths = lengths[..., queries.start : queries.stop, :]
            low, high = int(xp.min(lengths)), int(xp.max(lengths))
        if keys.stop <= low:
            return True
        if keys.start >= high:
            return False
        return xp.arange(keys.start, keys.stop)[None, :] < lengths

    def reach(self, queries: range, n_keys: int, xp: Namespace) -> range:
        lengths = self.lengths
        return range(min(n_keys, lengths if isinstance(lengths, int) else int(xp.max(lengths))))

    def entry(self, index: tuple[int, ...]) -> "Lengths":
        return Lengths(picked(self.lengths, index))


@dataclass(frozen=True, eq=False)
class Table:
    """Booleans, broadcastable to `(… n_queries n_keys)`: True = may attend."""

    visible: Array

    def tile(self, queries: range, keys: range, xp: Namespace) -> Visible:
        return _cut(self.visible, queries, keys)

    def reach(self, queries: range, n_keys: int, xp: Namespace) -> range:
        return range(n_keys)

    def entry(self, index: tuple[int, ...]) -> "Table":
        return Table(picked(self.visible, index))


@dataclass(frozen=True, eq=False)
class Addition:
    """A float table: its finite numbers are added to the scores, its −∞ exclude."""

    table: Array
    excludes: bool = False
    """Whether it is a mask (its −∞ exclude) or a bias (finite throughout)."""

    def tile(self, queries: range, keys: range, xp: Namespace) -> Visible:
        return _cut(self.table, queries, keys) != -xp.inf

    def bias(self, queries: range, keys: range, xp: Namespace) -> Array:
        part = _cut(self.table, queries, keys)
        return xp.where(part == -xp.inf, xp.zeros_like(part), part) if self.excludes else part

    def reach(self, queries: range, n_keys: int, xp: Namespace) -> range:
        return range(n_keys)

    def entry(self, index: tuple[int, ...]) -> "Addition":
        return replace(self, table=picked(self.table, index))


@dataclass(frozen=True, eq=False)
class Alibi:
    """−slope · |distance| (Press et al. 2022, equation of section 3); slopes `(n_heads 1 1)`."""

    places: Places
    slopes: Array

    def bias(self, queries: range, keys: range, xp: Namespace) -> Array:
        # Places are whole numbers, exact in float32 up to 2^24; as floats they need no conversion.
        dtype = self.slopes.dtype
        query = xp.arange(queries.start, queries.stop)[:, None] + self.places.offset
        key = xp.astype(xp.arange(keys.start, keys.stop), dtype)[None, :]
        return xp.abs(key - xp.astype(query, dtype)) * -self.slopes

    def line(
        self, queries: range, keys: range, xp: Namespace
    ) -> tuple[float | Array, Array] | None:
        """Slope `(1 1)` and start `(n_queries 1)` of slope · (key − first key) + start, which the
        bias is where a tile lies on one side of all its queries' places; None elsewhere."""
        low, high = self.places.extremes(queries, keys, xp)
        if low < 0 < high:
            return None
        slope = self.slopes if high <= 0 else -self.slopes
        query = xp.arange(queries.start, queries.stop)[:, None] + self.places.offset
        return slope, xp.astype(keys.start - query, slope.dtype) * slope

    def entry(self, index: tuple[int, ...]) -> "Alibi":
        return Alibi(self.places.entry(index), picked(self.slopes, index))


def alibi_slopes(n_heads: int) -> list[float]:
    """The published recipe: 2^(−8/n), 2^(−16/n), … for n a power of two.

    Other head counts take the slopes of the next smaller power of two, and then every other slope
    of the next larger one (Press et al. 2022, footnote and released code).
    """
    power = 1 << (n_heads.bit_length() - 1)
    slopes = [2.0 ** (-8 * (head + 1) / power) for head in range(power)]
    between = [2.0 ** (-8 * (head + 1) / (2 * power)) for head in range(0, 2 * power, 2)]
    return slopes + between[: n_heads - power]


@dataclass(frozen=True, eq=False)
class Relative:
    """table[m + distance], the distance clamped to −m … m (Shaw et al. 2018, section 3.2).

    The table is `(2m+1)` or `(n_heads 2m+1)`.
    """

    places: Places
    table: Array

    def bias(self, queries: range, keys: range, xp: Namespace) -> Array:
        m = (self.table.shape[-1] - 1) // 2
        distance = self.places.distance(queries, keys, xp)
        entry = xp.clip(distance, -m, m) + m  # (… n_queries n_keys)
        if self.table.ndim == 1:
            return xp.reshape(xp.take(self.table, xp.reshape(entry, (-1,))), entry.shape)
        heads = []
        for head in range(self.table.shape[0]):
            row = xp.take(self.table[head, :], xp.reshape(entry, (-1,)))
            heads.append(xp.reshape(row, entry.shape))
        # Places that differ by batch entry come as (… 1 n_queries n_keys): heads fill that axis.
        if entry.ndim > 2:
            return xp.concat(heads, axis=-3)
        return xp.stack(heads, axis=-3)

    def entry(self, index: tuple[int, ...]) -> "Relative":
        table = self.table
        if table.ndim > 1:
            table = table[min(index[-1], table.shape[0] - 1), :]
        return Relative(self.places.entry(index), table)


def visible(masks: Iterable[Mask], queries: range, keys: range, xp: Namespace) -> Visible:
    """What every mask lets through."""
    result: Visible = True
    for mask in masks:
        answer = mask.tile(queries, keys, xp)
        if answer is False:
            return False
        if answer is not True:
            result = answer if result is True else result & answer
    return result


def picked(array: Any, index: tuple[int, ...]) -> Any:
    """`(… a b)` → `(a b)` at `index`, the leading axes broadcast; a number stays as it is."""
    n_leading = getattr(array, "ndim", 0) - 2
    if n_leading <= 0:
        return array
    places = zip(index[len(index) - n_leading :], array.shape, strict=False)
    return array[(*(min(place, size - 1) for place, size in places), ...)]


def reach(masks: Iterable[Mask], queries: range, n_keys: int, xp: Namespace) -> range:
    """The keys outside of which no mask lets any of the queries look."""
    first, stop = 0, n_keys
    for mask in masks:
        keys = mask.reach(queries, n_keys, xp)
        first, stop = max(first, keys.start), min(stop, keys.stop)
    return range(first, max(first, stop))


def _cut(table: Array, queries: range, keys: range) -> Array:
    """The tile of a table whose last two axes may be 1, which stands for all."""
    if table.shape[-1] > 1:
        table = table[..., keys.start : keys.stop]
    if table.ndim > 1 and table.shape[-2] > 1:
        table = table[..., queries.start : queries.stop, :]
    return table
