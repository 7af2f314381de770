"""`rope` of a problem: cosines and sines for queries and keys, computed or given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attncli.core.attention import Attention
from attncli.core.rotary import Rotary, angles
from attncli.core.shapes import by
from attncli.errors import InputError
from attncli.files.masks import Masking, broadcasts
from attncli.files.types import Entry
from attncli.files.vectors import Source, Tensor, refuse_nonfinite


def rotary(source: Source, bare: Attention, masking: Masking) -> Rotary | None:
    """The rotation of a problem whose vectors are known; None where `rope` is silent."""
    rope = source.get("rope")
    if rope is None or bare.query is None:
        return None
    given = _given(source, rope)
    width = _width(rope, given, bare.d_k)
    turns = _Turns(source, rope, bare, masking, given, width)
    query_cos, query_sin = turns.of("query", bare.n_queries)
    key_cos, key_sin = turns.of("key", bare.n_new_keys)
    pairing: Any = rope["pairing"].value if "pairing" in rope else "halves"
    return Rotary(query_cos, query_sin, key_cos, key_sin, pairing)


def _given(source: Source, rope: Mapping[str, Entry]) -> tuple[Tensor, Tensor] | None:
    """`cos` and `sin`, where the problem gives them."""
    tables = [source.tensor("rope", rope[key]) for key in ("cos", "sin") if key in rope]
    if not tables:
        return None
    if len(tables) == 1:
        raise InputError("rope has one of cos and sin", expected="both", subject="rope")
    cos, sin = tables
    assert cos is not None
    assert sin is not None
    refuse_nonfinite("rope.cos", cos)
    refuse_nonfinite("rope.sin", sin)
    if cos.shape != sin.shape or cos.ndim < 2:
        raise InputError(
            f"rope.cos has the shape {by(cos.shape)}, rope.sin {by(sin.shape)}",
            expected="equal shapes: (positions × width/2), or (batch × n × width/2)",
            found=f"{by(cos.shape)} and {by(sin.shape)}",
            subject="rope",
        )
    return cos, sin


def _width(rope: Mapping[str, Entry], given: tuple[Tensor, Tensor] | None, d_k: int) -> int:
    width: int = rope["width"].value if "width" in rope else d_k
    if given is not None:
        columns = int(given[0].shape[-1])
        if "width" in rope and width != 2 * columns:
            raise InputError(
                f"rope.width is {width}, cos has {columns} columns",
                expected=f"width {2 * columns}: a column for each pair of features",
                found=str(width),
                subject="rope",
            )
        width = 2 * columns
    if width % 2 or width > d_k:
        raise InputError(
            f"rope turns {width} features of {d_k}",
            expected=f"an even width of at most {d_k}",
            found=str(width),
            hint="rope: {width: …} rotates only the first features",
            subject="rope",
        )
    return width


@dataclass(frozen=True)
class _Turns:
    """Cosines and sines `(… n width/2)` of one side."""

    source: Source
    rope: Mapping[str, Entry]
    bare: Attention
    masking: Masking
    given: tuple[Tensor, Tensor] | None
    width: int

    def of(self, side: str, n: int) -> tuple[Tensor, Tensor]:
        """Those of `n` vectors of a side, in the computing type."""
        cos, sin = self._turns(side, n)
        return cos.astype(self.bare.dtype), sin.astype(self.bare.dtype)

    def _turns(self, side: str, n: int) -> tuple[Tensor, Tensor]:
        positions = self._positions(side, n)
        if self.given is not None and self.given[0].ndim > 2:
            if positions is not None:
                raise InputError(
                    "rope.positions choose rows of a table, and rope.cos has more axes",
                    hint="cos and sin of one vector after the other need no positions",
                    subject="rope",
                )
            cos, sin = self.given
            return self._direct(cos, side, n), self._direct(sin, side, n)
        if positions is None:
            positions = self._places(side, n)
        if self.given is not None:
            return self._looked_up(positions, *self.given)
        base = self.rope["base"].value if "base" in self.rope else 10000.0
        turned = angles(positions.astype(np.float64), self.width, base, np)
        return np.cos(turned), np.sin(turned)

    def _places(self, side: str, n: int) -> Tensor:
        """Where the vectors stand: keys after the cache, queries as aligned (rule 5)."""
        if side == "key":
            return np.arange(n) + (self.masking.n_past or 0)
        offset: Tensor = np.asarray(self.masking.places("rope").offset)
        places: Tensor = np.arange(n) + (offset[..., 0] if offset.ndim else offset)
        return places

    def _direct(self, table: Tensor, side: str, n: int) -> Tensor:
        if table.shape[-2] != n:
            raise InputError(
                f"rope.cos has {table.shape[-2]} rows, there are {n} {side} vectors",
                hint="positions: […] chooses rows of a (positions × width/2) table",
                subject="rope",
            )
        lead = self.masking.batch
        if table.ndim != len(lead) + 2 or not broadcasts(table.shape[:-2], lead):
            raise InputError(
                f"rope.cos has the shape {by(table.shape)}",
                expected=f"{by((*lead, n, self.width // 2))}, or (positions × width/2)",
                found=by(table.shape),
                subject="rope",
            )
        return self._beside_heads(table, 2)

    def _looked_up(self, positions: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        n_rows = cos.shape[0]
        whole = np.array_equal(positions, np.trunc(positions))
        if positions.min() < 0 or positions.max() >= n_rows or not whole:
            raise InputError(
                f"rope.cos has {n_rows} rows",
                expected=f"whole positions from 0 to {n_rows - 1}",
                found=f"{positions.min():g} to {positions.max():g}",
                subject="rope",
            )
        rows = positions.astype(np.int64)
        return cos[rows], sin[rows]

    def _positions(self, side: str, n: int) -> Tensor | None:
        """`positions` of one side, `(n)` or `(batch [1] n)`; None where the file is silent."""
        entry = self.rope.get("positions")
        if entry is not None and isinstance(entry.value, dict):
            entry = entry.value.get(side)
        if entry is None:
            return None
        array = self.source.tensor("rope", entry)
        assert array is not None
        refuse_nonfinite("rope.positions", array)
        lead = self.masking.batch
        one_each = array.ndim in (1, 1 + len(lead)) and array.shape[-1] == n
        if not one_each or not broadcasts(array.shape, (*lead, n)):
            raise InputError(
                f"rope.positions has the shape {by(array.shape)}, there are {n} {side} vectors",
                expected=f"one position a vector, ({n})"
                + (f" or {by((*lead, n))}" if lead else ""),
                found=by(array.shape),
                hint="positions: {query: […], key: […]} where they differ",
                place=entry.place,
            )
        return self._beside_heads(array, 1) if array.ndim > 1 else array

    def _beside_heads(self, array: Tensor, after: int) -> Tensor:
        return np.expand_dims(array, array.ndim - after) if self.bare.has_heads else array
