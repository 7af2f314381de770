"""Traces to render: real recipes on small arrays, and steps made by hand."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attncli.core.attention import Attention
from attncli.core.labels import Labels
from attncli.core.masking import Table
from attncli.core.normalize import Softmax
from attncli.core.problem import Presentation
from attncli.core.similarity import Dot
from attncli.core.step import Step
from attncli.solve import Trace, solve

WORDS = ("the", "animal", "didn't", "cross")


@dataclass(frozen=True)
class Handmade:
    """A problem that is nothing but its presentation, facts and settings."""

    presentation: Presentation = field(default_factory=Presentation)
    chosen: dict[str, Any] = field(default_factory=dict)
    kind: str = "attention"
    dtype: str = "float64"

    def traits(self) -> dict[str, Any]:
        return {"joined": self.chosen.get("joined", False)}

    def facts(self) -> tuple[str, ...]:
        return ("4 queries × 4 keys", "d 2", "dot, unscaled", self.dtype)

    def memory(self, keep: object) -> int:
        """There is nothing to compute."""
        return 2**60

    def settings(self) -> dict[str, Any]:
        return {"similarity": "dot", "normalizer": "softmax", **self.chosen}


def trace(*steps: Step, notes: tuple[str, ...] = (), **presentation: Any) -> Trace:
    """A trace of steps that are as they are shown."""
    settings = presentation.pop("settings", {})
    shown = Presentation(**presentation)
    problem: Any = Handmade(shown, settings)
    return Trace(problem, list(steps), steps[-1], shown.notation, list(notes))


def lee() -> Trace:
    """The first of the model screens."""
    inputs = np.array([[1, 0, 1, 2], [0, 1, 1, 0]], float).T
    problem = Attention(
        query=inputs,
        key=inputs @ np.array([[0, 1], [1, 0]]),
        value=inputs @ np.array([[1, 0], [1, 1]]),
        similarity=Dot(),
        presentation=Presentation(title="Self-attention of four vectors", notation="columns"),
    )
    return solve(problem)


def causal(**changes: Any) -> Trace:
    """Four labelled words, scaled and masked, one query with nothing to see."""
    seen = np.tril(np.ones((4, 4), bool))
    seen[2] = False
    x = np.array([[1, 0.5], [-1, 2], [0.25, 0.125], [3, -2]])
    settings: dict[str, Any] = {
        "scale": 2**-0.5,
        "masks": (Table(seen),),
        "normalizer": Softmax(),
        "presentation": Presentation(title="What does it see?", labels=Labels(WORDS, WORDS)),
    }
    return solve(Attention(query=x, key=x[::-1], value=x, **{**settings, **changes}))


def heads(n_heads: int = 3, n_batch: int = 2, n: int = 3, d: int = 2, **changes: Any) -> Trace:
    """A batch of heads."""
    random = np.random.default_rng(7)
    query, key, value = random.normal(size=(3, n_batch, n_heads, n, d))
    problem = Attention(query=query, key=key, value=value, scale=d**-0.5, head_axis=True, **changes)
    return solve(problem)


def random(n_queries: int, n_keys: int, d: int, seed: int = 0, **changes: Any) -> Trace:
    """Normal numbers."""
    generator = np.random.default_rng(seed)
    return solve(
        Attention(
            query=generator.normal(size=(n_queries, d)),
            key=generator.normal(size=(n_keys, d)),
            value=generator.normal(size=(n_keys, d)),
            scale=d**-0.5,
            **changes,
        )
    )
