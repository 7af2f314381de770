"""Slips of places: causal masks and windows, aligned or counted otherwise."""

from collections.abc import Iterator
from dataclasses import replace

from attncli.core.attention import Attention
from attncli.core.masking import Band, Lengths, Mask, Places
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


def _windows(problem: Attention, part: str) -> Iterator[tuple[str, Mask, Mask | None]]:
    """What may become of a window."""
    for band in _bands(problem, causal=False):
        left, right = band.left, band.right
        if part == "left out":
            yield "", band, None
        if part == "one side":
            if left is not None:
                yield "unbounded on the left", band, replace(band, left=None)
            if right is not None:
                yield "unbounded on the right", band, replace(band, right=None)
        if part == "swapped" and left != right:
            yield "", band, replace(band, left=right, right=left)
        if part == "width":
            for shift, word in ((1, "wide"), (-1, "narrow")):
                wider = [None if side is None else side + shift for side in (left, right)]
                for sides, where in (
                    ((wider[0], right), "on the left"),
                    ((left, wider[1]), "on the right"),
                    ((wider[0], wider[1]), "on both sides"),
                ):
                    if sides != (left, right) and not (
                        where.startswith("on both") and None in sides
                    ):
                        detail = f"one too {word} {where}"
                        yield detail, band, replace(band, left=sides[0], right=sides[1])
        if part == "halved" and left is not None:
            halves = replace(band, left=left // 2, right=None if right is None else right // 2)
            yield "", band, halves


def _window(problem: Attention, part: str) -> Iterator[Variant]:
    for detail, band, other in _windows(problem, part):
        yield from by_row(detail, instead(problem, band, other))


@slip("window-left-out", "the window is left out", "window", "an argument not passed on")
def window_left_out(problem: Attention) -> Iterator[Variant]:
    yield from _window(problem, "left out")


@slip(
    "window-width",
    "the window is one key too wide or too narrow",
    "window",
    "a width that counts the query's own place, as in Hugging Face's Mistral, or does not",
)
def window_width(problem: Attention) -> Iterator[Variant]:
    yield from _window(problem, "width")


@slip(
    "window-one-side",
    "the window has one side only",
    "window",
    "sliding windows that bound the past alone, or forget to",
)
def window_one_side(problem: Attention) -> Iterator[Variant]:
    yield from _window(problem, "one side")


@slip(
    "window-swapped", "the window's sides are swapped", "window", "(right, left) for (left, right)"
)
def window_swapped(problem: Attention) -> Iterator[Variant]:
    yield from _window(problem, "swapped")


@slip(
    "window-halved",
    "half of the window is on each side",
    "window",
    "a width of both sides together (Longformer) given as that of one",
)
def window_halved(problem: Attention) -> Iterator[Variant]:
    yield from _window(problem, "halved")
