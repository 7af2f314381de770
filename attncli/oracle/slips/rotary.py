"""Slips of rotary positions: pairs, direction, places, and what is turned."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from attncli.core.attention import Attention
from attncli.core.rotary import Pairing, Rotary
from attncli.core.step import Array, Namespace
from attncli.oracle.alter import alter
from attncli.oracle.slips.slip import Variant, slip


@dataclass(frozen=True, eq=False)
class Mixed(Rotary):
    """Pairs of halves with the angles of interleaved pairs: feature j turns by the angle j // 2."""

    def _rotate(self, x: Array, cos: Array, sin: Array, xp: Namespace) -> Array:
        width = self.width
        cos, sin = np.repeat(cos, 2, axis=-1), np.repeat(sin, 2, axis=-1)
        turned, rest = x[..., :width], x[..., width:]
        half = np.concatenate([-turned[..., width // 2 :], turned[..., : width // 2]], axis=-1)
        return np.concatenate([turned * cos + half * sin, rest], axis=-1)


@slip(
    "rope-pairing",
    "rotary positions pair other features: halves for neighbours, or the other way round",
    "rope",
    "GPT-NeoX and Llama of Hugging Face pair halves, RoFormer, GPT-J and Meta's Llama neighbours",
)
def rope_pairing(problem: Attention) -> Iterator[Variant]:
    turn = problem.rotary
    if turn is None:
        return
    other: Pairing = "interleaved" if turn.pairing == "halves" else "halves"
    yield f"{other} for {turn.pairing}", replace(problem, rotary=replace(turn, pairing=other))
    mixed = Mixed(turn.query_cos, turn.query_sin, turn.key_cos, turn.key_sin)
    yield "halves, with the angles repeated for neighbours", replace(problem, rotary=mixed)


@slip(
    "rope-direction",
    "rotary positions turn the other way",
    "rope",
    "the sign of the sine",
)
def rope_direction(problem: Attention) -> Iterator[Variant]:
    turn = problem.rotary
    if turn is not None:
        back = replace(turn, query_sin=-turn.query_sin, key_sin=-turn.key_sin)
        yield "", replace(problem, rotary=back)


@slip(
    "rope-left-out",
    "rotary positions are left out",
    "rope",
    "queries and keys not rotated, or only one of the two",
)
def rope_left_out(problem: Attention) -> Iterator[Variant]:
    turn = problem.rotary
    if turn is None:
        return
    still = {
        side: {
            f"{side}_cos": np.ones_like(getattr(turn, f"{side}_cos")),
            f"{side}_sin": np.zeros_like(getattr(turn, f"{side}_sin")),
        }
        for side in ("query", "key")
    }
    yield "", replace(problem, rotary=replace(turn, **still["query"], **still["key"]))
    yield "for the queries", replace(problem, rotary=replace(turn, **still["query"]))
    yield "for the keys", replace(problem, rotary=replace(turn, **still["key"]))


@slip(
    "rope-on-values",
    "the values are rotated, too",
    "rope",
    "rotary applied to all three of a packed projection",
)
def rope_on_values(problem: Attention) -> Iterator[Variant]:
    turn = problem.rotary
    if turn is None or problem.value is None or problem.shape("value")[-1] < turn.width:
        return
    first, last = problem.n_past, problem.n_past + problem.n_new_keys

    def rotated(value: Array, sent: object) -> Array:
        new = turn.key(value[..., first:last, :], np)
        return np.concatenate([value[..., :first, :], new, value[..., last:, :]], axis=-2)

    yield "", alter(problem, "value", rotated)


@slip(
    "rope-positions",
    "rotary positions are counted otherwise",
    "rope",
    "positions from 1, or from 0 again in each call with a cache",
)
def rope_positions(problem: Attention) -> Iterator[Variant]:
    turn = problem.rotary
    if turn is None:
        return
    step = _one_place(turn)
    if step is None:
        return
    n_keys = problem.n_past + problem.n_new_keys
    behind = n_keys - problem.n_queries
    shifts = {
        "queries and keys from 1": (1, 1),
        "queries one place on": (1, 0),
        "keys one place on": (0, 1),
        "queries one place back": (-1, 0),
    }
    if problem.n_past:
        shifts["new ones from 0 again, as without the cache"] = (-problem.n_past, -problem.n_past)
        shifts["queries from 0, as without the cache"] = (-problem.n_past, 0)
        shifts["keys from 0, as without the cache"] = (0, -problem.n_past)
    elif behind:
        shifts["queries from the other end"] = (behind, 0)
        shifts["queries from 0"] = (-behind, 0)
    for detail, (query, key) in shifts.items():
        yield detail, replace(problem, rotary=_shifted(turn, step, query, key))


def _one_place(turn: Rotary) -> Array | None:
    """e^(i·angle) of one place, `(width/2)`; None where places are not one apart."""
    for cos, sin in ((turn.key_cos, turn.key_sin), (turn.query_cos, turn.query_sin)):
        wheel = cos + 1j * sin
        if wheel.shape[-2] < 2:
            continue
        steps = wheel[..., 1:, :] / wheel[..., :-1, :]
        one: Array = steps.reshape(-1, steps.shape[-1])[0]
        if np.abs(steps - one).max() < 1e-5 and np.abs(one[0] - np.exp(1j)) < 1e-3:
            return one
    return None


def _shifted(turn: Rotary, step: Array, query: int, key: int) -> Rotary:
    query_wheel = (turn.query_cos + 1j * turn.query_sin) * step**query
    key_wheel = (turn.key_cos + 1j * turn.key_sin) * step**key
    return replace(
        turn,
        query_cos=query_wheel.real,
        query_sin=query_wheel.imag,
        key_cos=key_wheel.real,
        key_sin=key_wheel.imag,
    )
