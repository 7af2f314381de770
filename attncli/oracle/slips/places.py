"""Slips of places: causal masks and windows, aligned or counted otherwise."""

from collections.abc import Iterator
from dataclasses import replace

from attncli.core.attention import Attention
from attncli.core.masking import Band, Lengths, Places
from attncli.core.step import Array
from attncli.oracle.slips.masks import by_row, instead, is_causal
from attncli.oracle.slips.slip import Variant, slip


def _bands(problem: Attention, *, causal: bool) -> list[Band]:
    bands = [mask for mask in problem.masks if isinstance(mask, Band)]
    return [band for band in bands if is_causal(band) == causal]


def _offsets(problem: Attention) -> Iterator[tuple[str, int | Array]]:
    """Where the first query may stand: at the first key, or so that the last stands at the last."""
    n_keys = problem.n_keys - problem.n_added
    yield "top-left", 0
    if n_keys != problem.n_queries:
        yield "bottom-right", n_keys - problem.n_queries
    for mask in problem.masks:
        if isinstance(mask, Lengths) and not isinstance(mask.lengths, int):
            if mask.lengths.shape[-2] == 1:
                yield "bottom-right, at the last real key", mask.lengths - problem.n_queries
        elif isinstance(mask, Lengths):
            yield "bottom-right, at the last real key", int(mask.lengths) - problem.n_queries


# --- causal masks


@slip(
    "causal-left-out",
    "the causal mask is left out",
    "causal",
    "is_causal not passed on, or turned off beside an explicit mask",
)
def causal_left_out(problem: Attention) -> Iterator[Variant]:
    for band in _bands(problem, causal=True):
        yield "", instead(problem, band, None)


@slip(
    "causal-alignment",
    "the causal mask is aligned to the other corner",
    "causal",
    "top-left in F.scaled_dot_product_attention, bottom-right in flash-attn from 2.1 on",
)
def causal_alignment(problem: Attention) -> Iterator[Variant]:
    bands = [mask for mask in problem.masks if isinstance(mask, Band)]
    for detail, offset in _offsets(problem):
        moved = problem
        for band in bands:
            moved = instead(moved, band, replace(band, places=Places(offset)))
        if bands:
            yield from by_row(detail, moved)


@slip(
    "causal-strict",
    "the causal mask hides the diagonal, too: no query sees its own place",
    "causal",
    "tril(-1), or triu(0) as the mask of what is hidden",
)
def causal_strict(problem: Attention) -> Iterator[Variant]:
    for band in _bands(problem, causal=True):
        yield from by_row("", instead(problem, band, replace(band, right=-1)))


@slip(
    "causal-off-by-one",
    "the causal mask shows one key too many, the one after the query's own",
    "causal",
    "tril(1), or ≤ in place of < in a loop over tiles",
)
def causal_off_by_one(problem: Attention) -> Iterator[Variant]:
    for band in _bands(problem, causal=True):
        yield "", instead(problem, band, replace(band, right=1))


@slip(
    "causal-reversed",
    "the causal mask is reversed: a query sees its own place and what follows",
    "causal",
    "triu in place of tril, or a mask transposed",
)
def causal_reversed(problem: Attention) -> Iterator[Variant]:
    for band in _bands(problem, causal=True):
        for left, detail in ((0, ""), (-1, "without its own place")):
            turned = replace(band, left=left, right=None)
            yield from by_row(detail, instead(problem, band, turned))


@slip(
    "causal-added",
    "a causal mask is applied, though the problem has none",
    "causal",
    "a decoder's default left on",
)
def causal_added(problem: Attention) -> Iterator[Variant]:
    if not _bands(problem, causal=True):
        for detail, offset in _offsets(problem):
            band = Band(Places(offset), right=0)
            yield from by_row(detail, replace(problem, masks=(band, *problem.masks)))


# --- windows


@slip("window-left-out", "the window is left out", "window", "an argument not passed on")
def window_left_out(problem: Attention) -> Iterator[Variant]:
    for band in _bands(problem, causal=False):
        yield from by_row("", instead(problem, band, None))


@slip(
    "window-width",
    "the window is one key too wide or too narrow",
    "window",
    "a width that counts the query's own place, as in Hugging Face's Mistral, or does not",
)
def window_width(problem: Attention) -> Iterator[Variant]:
    for band in _bands(problem, causal=False):
        for shift, word in ((1, "wide"), (-1, "narrow")):
            left, right = (None if n is None else n + shift for n in (band.left, band.right))
            moved = {}
            if left is not None:
                moved["on the left"] = replace(band, left=left)
            if right is not None:
                moved["on the right"] = replace(band, right=right)
            if len(moved) == 2:
                moved["on both sides"] = replace(band, left=left, right=right)
            for where, other in moved.items():
                yield from by_row(f"one too {word} {where}", instead(problem, band, other))


@slip(
    "window-one-side",
    "the window has one side only",
    "window",
    "sliding windows that bound the past alone, or forget to",
)
def window_one_side(problem: Attention) -> Iterator[Variant]:
    for band in _bands(problem, causal=False):
        if band.left is not None:
            other = instead(problem, band, replace(band, left=None))
            yield from by_row("unbounded on the left", other)
        if band.right is not None:
            other = instead(problem, band, replace(band, right=None))
            yield from by_row("unbounded on the right", other)


@slip(
    "window-swapped", "the window's sides are swapped", "window", "(right, left) for (left, right)"
)
def window_swapped(problem: Attention) -> Iterator[Variant]:
    for band in _bands(problem, causal=False):
        if band.left != band.right:
            turned = replace(band, left=band.right, right=band.left)
            yield from by_row("", instead(problem, band, turned))


@slip(
    "window-halved",
    "half of the window is on each side",
    "window",
    "a width of both sides together (Longformer) given as that of one",
)
def window_halved(problem: Attention) -> Iterator[Variant]:
    for band in _bands(problem, causal=False):
        if band.left is not None:
            right = None if band.right is None else band.right // 2
            halves = replace(band, left=band.left // 2, right=right)
            yield from by_row("", instead(problem, band, halves))
