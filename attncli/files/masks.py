"""Masks, lengths, places and biases of a problem, turned into the core's masks.

Everything here is about meaning: which axis is which, what True says, where a query stands.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from attncli.core.masking import (
    Addition,
    Alibi,
    Band,
    Bias,
    Lengths,
    Mask,
    Places,
    Relative,
    Table,
    alibi_slopes,
)
from attncli.core.shapes import by, count
from attncli.errors import InputError, RefusedError
from attncli.files.dialects import Dialect
from attncli.files.vectors import Source, Tensor, refuse_nonfinite

Meaning = Literal["keep", "drop", "add"]


@dataclass
class Masking:
    """Builds the masks and biases of one problem whose sizes are known."""

    source: Source
    dialect: Dialect
    batch: tuple[int, ...]
    n_heads: int | None
    """None where there is no head axis."""
    n_queries: int
    n_keys: int
    """Cache included, zero key not."""
    n_past: int | None
    dtype: str
    columns: bool
    of: str = ""
    """What the names of the masks begin with: `source_` for those of a cross-attention."""

    # --- everything

    def sight(self) -> dict[str, Any]:
        """The fields of an attention that say what its queries may attend to."""
        masks, given = self.masks(), self.source.entries
        return {
            "masks": masks,
            "biases": self.biases(masks),
            "masked_by": None if "masked_row" in given else self.dialect.masked_by,
            "masked_row": self.source.get("masked_row", self.dialect.masked_row),
        }

    def masks(self) -> tuple[Mask, ...]:
        """All masks that are on, the cheap ones first."""
        masks: list[Mask] = [] if self.of else self._by_place()
        masks += [mask for mask in (self.key_mask(), self._pairs_mask()) if mask is not None]
        return tuple(masks)

    def _by_place(self) -> list[Mask]:
        """Those that never need a table: causal, window, lengths."""
        masks: list[Mask] = []
        if self.source.get("causal", False):
            masks.append(Band(self.places("causal"), right=0))
        window = self.source.get("window")
        if window is not None:
            # Without bounds nothing depends on where the queries stand.
            places = Places() if window == (None, None) else self.places("window")
            masks.append(Band(places, *window))
        lengths = self.lengths()
        if lengths is not None:
            masks.append(Lengths(lengths))
        return masks

    def biases(self, masks: tuple[Mask, ...]) -> tuple[Bias, ...]:
        """Float masks and `bias`, in the order in which they are added."""
        biases: list[Bias] = [mask for mask in masks if isinstance(mask, Addition)]
        bias = self.source.get("bias")
        if bias is None:
            return tuple(biases)
        if not isinstance(bias, dict):
            return (*biases, Addition(self._pairs("bias", self._bias_table())))
        if "alibi" in bias and bias["alibi"].value:
            slopes = np.asarray(alibi_slopes(self.n_heads or 1), dtype=self.dtype)
            places = self.places("bias")
            biases.append(Alibi(places, slopes[:, None, None] if self.n_heads else slopes))
        if "relative" in bias:
            biases.append(Relative(self.places("bias"), self._relative()))
        return tuple(biases)

    # --- places

    def places(self, key: str) -> Places:
        """Where the queries stand among the keys, which `key` asks (rule of arithmetic 5)."""
        align = self.source.get("align")
        if self.n_past is not None:
            if align is not None:
                raise InputError(
                    "align beside a cache (past)",
                    hint="the first query stands right after the cache: leave align out",
                    subject="align",
                )
            return Places(self.n_past)
        if align is None:
            align = self.dialect.align
            if align == "lengths":
                align = "bottom-right" if "key_lengths" in self.source.entries else "top-left"
        if isinstance(align, int):
            return Places(align)
        if align == "top-left":
            return Places(0)
        if align == "bottom-right":
            return Places(self._bottom_right())
        if self.n_queries == self.n_keys:
            return Places(0)
        raise self._unaligned(key)

    def _bottom_right(self) -> int | Tensor:
        """n_real_keys − n_queries, one a batch entry where lengths or a key mask say so."""
        real: Any = self.n_keys
        lengths = self.lengths()
        if lengths is not None:
            if not isinstance(lengths, int) and lengths.shape[-2] > 1:
                raise InputError(
                    "align: bottom-right needs one length a batch entry, not one a query",
                    subject="align",
                )
            real = lengths
        key_mask = self.key_mask()
        if key_mask is not None:
            keys = range(self.n_keys)
            seen = np.asarray(key_mask.tile(range(1), keys, np))
            last = np.max(np.where(seen, np.arange(1, self.n_keys + 1), 0), axis=-1, keepdims=True)
            real = np.minimum(real, np.atleast_2d(last))
        offset: int | Tensor = real - self.n_queries
        return offset

    def _unaligned(self, key: str) -> RefusedError:
        n, m = self.n_queries, self.n_keys
        return RefusedError(
            f"{key}: n_queries is {n}, n_keys is {m}: where do the queries stand?",
            choices=(
                f"align: top-left      the first query stands at key 0, the last at key {n - 1}",
                f"align: bottom-right  the first stands at key {m - n}, the last at key {m - 1}",
            ),
            hint="libraries differ: add one of the two, or --align top-left or bottom-right",
            subject=key,
        )

    # --- lengths and masks

    def lengths(self) -> int | Tensor | None:
        """`key_lengths` as an integer, `(… 1 1)` or `(… n_queries 1)`."""
        array = self.source.tensor("key_lengths")
        if array is None:
            return None
        if array.dtype.kind not in "iuf" or not np.array_equal(array, np.trunc(array)):
            raise InputError("key_lengths must be whole numbers", subject="key_lengths")
        if array.size == 0 or array.min() < 0 or array.max() > self.n_keys:
            raise InputError(
                "key_lengths is out of range",
                expected=f"whole numbers from 0 to {self.n_keys}, the number of keys",
                found=", ".join(f"{n:.17g}" for n in array.ravel()[:8]),
                subject="key_lengths",
            )
        array = array.astype(np.int64)
        if array.ndim == 0:
            return int(array)
        batch = self.batch
        if batch and array.ndim == len(batch) and broadcasts(array.shape, batch):
            return self._with_heads(array)[..., None, None]
        if array.ndim == len(batch) + 1 and broadcasts(array.shape, (*batch, self.n_queries)):
            return self._with_heads(array, 1)[..., None]
        raise InputError(
            f"key_lengths has the shape {by(array.shape)}",
            expected=f"a number, {by(batch)} (batch) or {by((*batch, self.n_queries))} (batch and "
            "queries)"
            if batch
            else f"a number or ({self.n_queries}), one a query",
            found=by(array.shape),
            subject="key_lengths",
        )

    def key_mask(self) -> Mask | None:
        """`key_mask (batch… n_keys)` as a mask `(batch… [1] 1 n_keys)`."""
        name = f"{self.of}key_mask"
        array = self.source.tensor(name)
        if array is None:
            return None
        array = self._lengthened(array)
        shape = (*self.batch, self.n_keys)
        if array.ndim not in (1, len(shape)) or not broadcasts(array.shape, shape):
            raise InputError(
                f"{name} has the shape {by(array.shape)}",
                expected=f"{by(shape)}: " + ("batch entries, then keys" if self.batch else "keys"),
                found=by(array.shape),
                hint=f"a mask of query and key pairs is called {self.of}mask",
                subject=name,
            )
        if array.ndim > 1:
            array = self._with_heads(array, 1)[..., None, :]
        return self._meant(name, np.atleast_2d(array))

    def query_mask(self) -> Tensor | None:
        """`query_mask (batch… n_queries)` as booleans `(batch… [1] n_queries)`."""
        array = self.source.tensor("query_mask")
        if array is None:
            return None
        shape = (*self.batch, self.n_queries)
        if array.ndim not in (1, len(shape)) or not broadcasts(array.shape, shape):
            raise InputError(
                f"query_mask has the shape {by(array.shape)}",
                expected=by(shape),
                found=by(array.shape),
                subject="query_mask",
            )
        meant = self._meant("query_mask", array)
        if not isinstance(meant, Table):
            raise InputError(
                "query_mask cannot be added: it must say yes or no", subject="query_mask"
            )
        return self._with_heads(meant.visible, 1) if array.ndim > 1 else meant.visible

    def _pairs_mask(self) -> Mask | None:
        name = f"{self.of}mask"
        array = self.source.tensor(name)
        if array is None:
            return None
        return self._meant(name, self._pairs(name, self._lengthened(self._in_rows(array))))

    def _in_rows(self, array: Tensor) -> Tensor:
        return np.swapaxes(array, -1, -2) if array.ndim > 1 and self.columns else array

    def _bias_table(self) -> Tensor:
        array = self.source.tensor("bias")
        assert array is not None
        if array.dtype.kind == "b":
            raise InputError("bias must be numbers: it is added to the scores", subject="bias")
        array = self._narrowed("bias", array)
        refuse_nonfinite("bias", array)
        return self._in_rows(array)

    def _pairs(self, key: str, array: Tensor) -> Tensor:
        """A table of two axes or more that broadcasts to `(… n_heads n_queries n_keys)`."""
        if array.ndim == 3:
            array = self._three_axes(key, array)
        heads = () if self.n_heads is None else (self.n_heads,)
        shape = (*self.batch, *heads, self.n_queries, self.n_keys)
        if array.ndim == 0 or array.ndim > len(shape) or not broadcasts(array.shape, shape):
            names = ["batch entry"] * len(self.batch) + ["head"] * len(heads) + ["query", "key"]
            raise InputError(
                f"{key} has the shape {by(array.shape)}, the scores have {by(shape)}",
                expected="axes that agree from the right or are 1: "
                + ", ".join(count(n, name) for n, name in zip(shape, names, strict=True)),
                found=by(array.shape),
                hint=_transposed_hint(key, array.shape, shape),
                subject=key,
            )
        return np.atleast_2d(array)

    def _three_axes(self, key: str, array: Tensor) -> Tensor:
        """The first of three axes is heads or batch; where it fits both, the dialect decides."""
        if self.n_heads is None or not self.batch:
            return array
        first, batch = array.shape[0], self.batch[-1]
        axis = self.dialect.three_axes
        if axis == "batch-heads":
            if first == batch * self.n_heads:
                return array.reshape(batch, self.n_heads, *array.shape[1:])
            axis = None
        if axis is None and first != 1 and first == batch == self.n_heads:
            raise InputError(
                f"{key} has three axes, and its first, {first}, fits batch and heads both",
                expected=f"four axes: {by((first, 1, *array.shape[1:]))} for one a batch entry, "
                f"{by((1, first, *array.shape[1:]))} for one a head",
                hint="or name the library it is for: --dialect torch (heads), keras-mha (batch)",
                subject=key,
            )
        is_batch = axis == "batch" or (axis is None and first == batch != self.n_heads)
        return array[:, None] if is_batch and first == batch else array

    def _lengthened(self, array: Tensor) -> Tensor:
        """A mask shorter than the keys, the rest masked, where the dialect does that."""
        if not self.dialect.short_mask or array.shape[-1:] in ((), (1,)):
            return array
        missing = self.n_keys - array.shape[-1]
        if missing <= 0:
            return array
        masked = False if array.dtype.kind == "b" else -np.inf
        rest = np.full((*array.shape[:-1], missing), masked)
        return np.concatenate([array, rest], axis=-1)

    def _meant(self, key: str, array: Tensor) -> Table | Addition:
        """What a mask says: booleans, or numbers that are added (rule of arithmetic 6)."""
        means: Meaning | None = self.source.get("mask_means")
        if array.dtype.kind == "b":
            if means == "add":
                raise InputError(
                    f"{key} holds true and false, which cannot be added",
                    hint="mask_means: keep or drop",
                    subject=key,
                )
            return Table(~array if (means or self.dialect.booleans) == "drop" else array)
        if np.isnan(array).any() or np.isposinf(array).any():
            raise RefusedError(
                f"{key} holds NaN or +infinity",
                expected="finite numbers, or −infinity where a key is masked",
                subject=key,
            )
        binary = bool(np.isin(array, (0, 1)).all())
        if means is None and binary:
            means = self.dialect.numbers
            if means is None:
                raise RefusedError(
                    f"{key} holds only the numbers 0 and 1: libraries disagree on what 1 means",
                    expected="mask_means: keep (1 may attend), drop (1 is masked) or add (a score)",
                    hint="add mask_means: keep to the file (--set mask_means=keep), or use "
                    "true and false",
                    subject=key,
                )
        if means in ("keep", "drop"):
            if not binary:
                raise InputError(
                    f"mask_means: {means}, but {key} holds other numbers than 0 and 1",
                    hint="mask_means: add adds them to the scores",
                    subject=key,
                )
            return Table(array == (1 if means == "keep" else 0))
        return Addition(self._narrowed(key, array), excludes=True)

    def _narrowed(self, key: str, array: Tensor) -> Tensor:
        """Numbers that are added, in the computing type; raises `RefusedError` beyond its range."""
        with np.errstate(over="ignore"):
            result = array.astype(self.dtype)
        if np.isinf(result).sum() > np.isinf(array).sum():
            raise RefusedError(
                f"{key} holds numbers beyond the range of {self.dtype}",
                hint="dtype: float64, or -.inf where a key is masked",
                subject=key,
            )
        return result

    def _relative(self) -> Tensor:
        entry = self.source.get("bias")["relative"]
        array = self.source.tensor("bias", entry)
        assert array is not None
        heads_fit = array.ndim == 1 or (array.ndim == 2 and array.shape[0] in (1, self.n_heads))
        if not heads_fit or array.shape[-1] % 2 == 0:
            raise InputError(
                f"bias.relative has the shape {by(array.shape)}",
                expected="(2m+1), or (heads × 2m+1): entry m is a key at the query's own place",
                found=by(array.shape),
                place=entry.place,
            )
        refuse_nonfinite("bias.relative", array)
        array = array.astype(self.dtype)
        return array[0] if array.ndim == 2 and self.n_heads is None else array

    def _with_heads(self, array: Tensor, after: int = 0) -> Tensor:
        """A head axis of 1 after the batch axes; `after` axes follow it."""
        return array if self.n_heads is None else np.expand_dims(array, array.ndim - after)


def broadcasts(shape: tuple[int, ...], full: tuple[int, ...]) -> bool:
    """Whether the sizes of a shape are those of another from the right, or 1."""
    pairs = zip(reversed(shape), reversed(full), strict=False)
    return all(a in (1, b) for a, b in pairs)


def _transposed_hint(key: str, shape: tuple[int, ...], full: tuple[int, ...]) -> str:
    swapped = (*shape[:-2], *shape[:-3:-1]) if len(shape) > 1 else shape
    if len(shape) > 1 and broadcasts(swapped, full):
        return f"{key} looks transposed: in rows notation queries go down and keys across"
    return "rank 1 is keys, rank 2 (queries keys), rank 3 (heads or batch), rank 4 both"
