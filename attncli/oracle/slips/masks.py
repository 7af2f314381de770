"""Slips of masks: what True means, which mask belongs to whom, what a fully masked row gets."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attncli.core.attention import Attention, MaskedRow
from attncli.core.masking import Addition, Band, Lengths, Mask, Table, Visible, visible
from attncli.core.step import Array, Namespace
from attncli.oracle.alter import Change, alter, altered
from attncli.oracle.slips.slip import Variant, slip


@dataclass(frozen=True, eq=False)
class Not:
    """What another mask hides, and nothing else."""

    mask: Mask

    def tile(self, queries: range, keys: range, xp: Namespace) -> Visible:
        answer = self.mask.tile(queries, keys, xp)
        return not answer if isinstance(answer, bool) else ~answer

    def reach(self, queries: range, n_keys: int, xp: Namespace) -> range:
        return range(n_keys)

    def entry(self, index: tuple[int, ...]) -> "Not":
        return Not(self.mask.entry(index))


def is_causal(mask: Mask) -> bool:
    """Whether a mask is the band of causal attention."""
    return isinstance(mask, Band) and mask.left is None and mask.right == 0


def is_padding(mask: Mask) -> bool:
    """Whether a mask says which keys are real, the same for every query."""
    if isinstance(mask, Lengths):
        return True
    table = mask.visible if isinstance(mask, Table) else getattr(mask, "table", None)
    return table is not None and (table.ndim < 2 or table.shape[-2] == 1)


def is_pairs(mask: Mask) -> bool:
    """Whether a mask is a table of queries and keys."""
    return not isinstance(mask, Band) and not is_padding(mask)


def instead(problem: Attention, old: Mask, new: Mask | None) -> Attention:
    """The problem with another mask in place of one; None takes it away."""
    masks = [new if mask is old else mask for mask in problem.masks]
    numbers = new if isinstance(new, Addition) else None
    added: list[Any] = list(problem.biases)
    biases = [numbers if bias is old else bias for bias in added]
    return replace(
        problem,
        masks=tuple(mask for mask in masks if mask is not None),
        biases=tuple(bias for bias in biases if bias is not None),
    )


def without(problem: Attention) -> Attention:
    """The problem without any mask; its own biases stay."""
    for mask in problem.masks:
        problem = instead(problem, mask, None)
    return problem


def seen(problem: Attention, masks: tuple[Mask, ...]) -> Array:
    """What masks let through, `(… n_queries n_keys)`, with True for keys that were added."""
    keys = range(problem.n_keys - problem.n_added)
    answer = visible(masks, range(problem.n_queries), keys, np)
    table = np.broadcast_to(answer, (*np.shape(answer)[:-2], problem.n_queries, len(keys)))
    added = np.ones((*table.shape[:-1], problem.n_added), dtype=bool)
    return np.concatenate([table, added], axis=-1)


def has_empty_rows(problem: Attention) -> bool:
    """Whether a query may attend to nothing."""
    return bool(problem.masks) and not seen(problem, problem.masks).any(axis=-1).all()


def by_row(detail: str, problem: Attention) -> Iterator[Variant]:
    """A problem, and, where a slip of its masks left queries nothing, what libraries do there."""
    yield detail, problem
    if has_empty_rows(problem):
        between = f"{detail}; " if detail else ""
        fills: dict[MaskedRow, str] = {"nan": "NaN", "uniform": "equal weights"}
        for fill, what in fills.items():
            if fill != problem.masked_row:
                rows = f"{between}{what} where nothing is left"
                yield rows, replace(problem, masked_row=fill, masked_by=None)


@slip(
    "nan-through-mask",
    "masked values are multiplied by zero instead of left out, so that NaN and ∞ come through",
    "masked-value",
    "0 · NaN is NaN: uninitialised memory behind the key lengths of a cache",
)
def nan_through_mask(problem: Attention) -> Iterator[Variant]:
    values = [array for array in (problem.value, problem.past_value) if array is not None]
    if problem.masks and not all(np.isfinite(array).all() for array in values):
        yield "", altered(problem, multiplies=True)


@slip(
    "mask-inverted",
    "the mask is taken the other way round: True hides",
    "mask",
    "True hides in torch.nn.MultiheadAttention, and shows in F.scaled_dot_product_attention",
)
def mask_inverted(problem: Attention) -> Iterator[Variant]:
    turned = [mask for mask in problem.masks if isinstance(mask, Table | Lengths)]
    for mask in turned:
        name = "key mask" if is_padding(mask) else "mask"
        yield from by_row(name if len(turned) > 1 else "", instead(problem, mask, Not(mask)))
    if len(turned) > 1:
        whole = problem
        for mask in turned:
            whole = instead(whole, mask, Not(mask))
        yield from by_row("all of them", whole)


@slip(
    "mask-as-numbers",
    "the mask is added to the scores as the numbers 0 and 1, and hides nothing",
    "mask",
    "a 0/1 mask given where an additive one is expected (Hugging Face, torch)",
)
def mask_as_numbers(problem: Attention) -> Iterator[Variant]:
    for mask in problem.masks:
        if isinstance(mask, Table | Lengths):
            shown = seen(problem, (mask,))[..., : problem.n_keys - problem.n_added]
            for detail, added in (("1 where it shows", shown), ("1 where it hides", ~shown)):
                bare = instead(problem, mask, None)
                number = Addition(added.astype(problem.dtype))
                yield detail, replace(bare, biases=(*bare.biases, number))


@slip("mask-ignored", "the mask is ignored", "mask", "an argument not passed on")
def mask_ignored(problem: Attention) -> Iterator[Variant]:
    for mask in problem.masks:
        if is_pairs(mask):
            yield "", instead(problem, mask, None)
    if len(problem.masks) > 1:
        yield "all masks", without(problem)


@slip(
    "mask-after-softmax",
    "the mask sets weights to zero after the softmax, without a new sum",
    "mask",
    "weights * mask in place of a masked softmax",
)
def mask_after_softmax(problem: Attention) -> Iterator[Variant]:
    groups: list[tuple[Mask, ...]] = [(mask,) for mask in problem.masks]
    if len(groups) > 1:
        groups.insert(0, problem.masks)
    for group in groups:
        shown = seen(problem, group)
        bare = problem
        for mask in group:
            bare = instead(bare, mask, None)
        detail = "" if len(group) == len(problem.masks) else _kind(group[0])
        yield detail, alter(bare, "weights", _hidden(shown))


def _hidden(shown: Array) -> Change:
    return lambda weights, sent: np.where(shown, weights, 0.0)


def _kind(mask: Mask) -> str:
    if isinstance(mask, Band):
        return "the causal mask" if is_causal(mask) else "the window"
    return "the key mask" if is_padding(mask) else "the mask"


@slip(
    "finite-mask",
    "masked scores become a finite number, so that a query that may attend to nothing sees all",
    "masked-row",
    "−1e9, −1e4 or finfo.min in place of −∞ (Hugging Face transformers, Keras, d2l, jax.nn)",
)
def finite_mask(problem: Attention) -> Iterator[Variant]:
    if not has_empty_rows(problem):
        return
    yield "the same number for each", replace(problem, masked_row="uniform", masked_by=None)
    for amount, text in ((-1e9, "−1e9"), (-1e4, "−1e4")):
        yield f"{text} is added", replace(problem, masked_by=amount)


@slip(
    "masked-row-nan",
    "a query that may attend to nothing gets NaN",
    "masked-row",
    "softmax of nothing but −∞ is 0/0 (torch.nn.MultiheadAttention)",
)
def masked_row_nan(problem: Attention) -> Iterator[Variant]:
    if has_empty_rows(problem):
        yield "", replace(problem, masked_row="nan", masked_by=None)


@slip(
    "masked-row-zero",
    "a query that may attend to nothing gets zeros",
    "masked-row",
    "FlashAttention, F.scaled_dot_product_attention from PyTorch 2.5 on",
)
def masked_row_zero(problem: Attention) -> Iterator[Variant]:
    if has_empty_rows(problem):
        yield "", replace(problem, masked_row="zero", masked_by=None)


@slip(
    "mask-order",
    "the mask belongs to another batch entry or head",
    "mask",
    "repeat in place of repeat_interleave for a (batch·heads) axis; a batch axis read as heads",
)
def mask_order(problem: Attention) -> Iterator[Variant]:
    lead = problem.leading
    if not problem.has_heads and not lead:
        return
    for mask in problem.masks:
        if isinstance(mask, Band):
            continue
        numbers = isinstance(mask, Addition)
        table = mask.table if isinstance(mask, Addition) else seen(problem, (mask,))
        if all(size == 1 for size in table.shape[:-2]):
            continue
        table = table if numbers else table[..., : problem.n_keys - problem.n_added]
        full = np.broadcast_to(table, (*lead, *table.shape[-2:]))
        for detail, other in _orders(full, problem.has_heads):
            moved = Addition(other, excludes=True) if numbers else Table(other)
            yield from by_row(detail, instead(problem, mask, moved))


def _orders(full: Array, has_heads: bool) -> Iterator[tuple[str, Array]]:
    """A mask `(… n_heads n_queries n_keys)` in other orders of its leading axes."""
    if has_heads and full.ndim > 3:
        *lead, heads, n, m = full.shape
        batch = int(np.prod(lead))
        flat = full.reshape(batch * heads, n, m)
        place = np.arange(batch * heads)
        yield (
            "batch and heads in the other order",
            flat[(place % batch) * heads + place // batch].reshape(full.shape),
        )
        if lead[-1] == heads:
            yield "the batch axis read as heads", np.swapaxes(full, -3, -4)
    axes = [(-3, "head" if has_heads else "batch entry")]
    if has_heads and full.ndim > 3:
        axes.append((-4, "batch entry"))
    for axis, name in axes:
        size = full.shape[axis]
        if size > 1:
            yield f"that of the next {name}", np.roll(full, -1, axis)
        if size > 2:
            yield f"that of the {name} before", np.roll(full, 1, axis)
            yield f"the {name} order reversed", np.flip(full, axis)
        if size > 1:
            first = np.take(full, [0], axis)
            yield f"that of the first {name} for all", np.broadcast_to(first, full.shape)


@slip(
    "padding-ignored",
    "padding is ignored: key lengths or the key mask",
    "mask",
    "key_padding_mask not passed on",
)
def padding_ignored(problem: Attention) -> Iterator[Variant]:
    for mask in problem.masks:
        if is_padding(mask):
            yield "", instead(problem, mask, None)


@slip(
    "padding-side",
    "padding is taken to be on the other side: the last keys are real, not the first",
    "mask",
    "left padding of generation, right padding of training",
)
def padding_side(problem: Attention) -> Iterator[Variant]:
    for mask in problem.masks:
        if is_padding(mask) and isinstance(mask, Table | Lengths):
            shown = seen(problem, (mask,))[..., : problem.n_keys - problem.n_added]
            yield from by_row("", instead(problem, mask, Table(shown[..., ::-1])))


@slip(
    "padding-off-by-one",
    "one key too many or too few is taken to be real",
    "mask",
    "≤ in place of <, or a length that counts a special token",
)
def padding_off_by_one(problem: Attention) -> Iterator[Variant]:
    n_keys = problem.n_keys - problem.n_added
    for mask in problem.masks:
        if isinstance(mask, Lengths):
            for shift, detail in ((1, "one too many"), (-1, "one too few")):
                lengths = np.clip(np.asarray(mask.lengths) + shift, 0, n_keys)
                whole = Lengths(int(lengths) if lengths.ndim == 0 else lengths)
                yield from by_row(detail, instead(problem, mask, whole))


@slip(
    "query-mask-ignored",
    "the query mask is ignored",
    "mask",
    "libraries without one, which leave padded queries as they come out",
)
def query_mask_ignored(problem: Attention) -> Iterator[Variant]:
    if problem.query_mask is not None:
        yield "", replace(problem, query_mask=None)
