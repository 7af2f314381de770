"""What is timed: the cases, as problems that users could write, and what each must compute."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from attncli.core.masking import alibi_slopes
from attncli.core.problem import Problem
from attncli.errors import UsageError
from attncli.files.scalars import did_you_mean

Array = np.ndarray[Any, np.dtype[Any]]

WINDOW = 256
SOFTCAP = 30.0
GROUP = 4


@dataclass(frozen=True)
class Case:
    """One kind of attention: the keys of its problem, and how a peer must compute it."""

    name: str
    about: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    one_head: bool = False
    group: int = 1
    """Query heads that share a key head."""
    is_fused: bool = True
    """Whether PyTorch's `scaled_dot_product_attention` computes it; else PyTorch is eager."""
    per_pair: int = 4
    """Floating-point operations a query, key and feature: two products of two each."""


CASES = {
    case.name: case
    for case in (
        Case("full", "every query sees every key"),
        Case("causal", "no key after the query's own place", {"causal": True}),
        Case("window", f"{WINDOW} keys to the left", {"causal": True, "window": [WINDOW, 0]}),
        Case("alibi", "a slope a head on the distance", {"bias": {"alibi": True}}),
        Case("softcap", f"scores below {SOFTCAP:g}", {"softcap": SOFTCAP}, is_fused=False),
        Case("gqa", f"{GROUP} query heads a key head", group=GROUP),
        Case("cosine", "cosines as scores", {"similarity": "cosine"}, is_fused=False),
        Case(
            "additive",
            "tanh(q + k), one head",
            {"similarity": "additive"},
            one_head=True,
            is_fused=False,
            per_pair=5,
        ),
        Case("float64", "as full, in float64", dtype="float64"),
    )
}


def chosen(text: str) -> list[Case]:
    """The cases of `full,causal`; raises `UsageError` for an unknown one."""
    names = list(CASES) if text == "all" else [name.strip() for name in text.split(",")]
    for name in names:
        if name not in CASES:
            raise UsageError(
                f"--cases {name}",
                expected="all, or " + ", ".join(CASES),
                found=name,
                hint=did_you_mean(name, list(CASES)) or "attncli bench --help",
            )
    return [CASES[name] for name in dict.fromkeys(names)]


@dataclass(frozen=True)
class Trial:
    """A case at a size: its vectors, `(heads n d)`, and what has to be done."""

    case: Case
    n: int
    n_heads: int
    d: int

    @property
    def heads(self) -> int:
        return 1 if self.case.one_head else self.n_heads

    @property
    def kv_heads(self) -> int:
        return self.heads // self.case.group if self.heads % self.case.group == 0 else self.heads

    @cached_property
    def vectors(self) -> tuple[Array, Array, Array]:
        """Query, key and value; the same for everybody."""
        random = np.random.default_rng(0)
        shapes = ((heads, self.n, self.d) for heads in (self.heads, self.kv_heads, self.kv_heads))
        query, key, value = (
            random.standard_normal(shape, dtype=np.float32).astype(self.case.dtype)
            for shape in shapes
        )
        return query, key, value

    def problem(self) -> Problem:
        """As the reader of files would make it."""
        from attncli.api import load

        query, key, value = (array[None] for array in self.vectors)
        return load(query=query, key=key, value=value, **self.case.keys)

    @property
    def left(self) -> int:
        """How many keys before its own a query sees."""
        left: int = self.case.keys.get("window", (self.n, 0))[0]
        return min(left, self.n - 1)

    @property
    def n_pairs(self) -> int:
        """Queries and keys that see each other, in one head."""
        if not self.case.keys.get("causal"):
            return self.n * self.n
        seen = self.left + 1
        return seen * (seen + 1) // 2 + (self.n - seen) * seen

    @property
    def operations(self) -> int:
        """Floating-point operations of the products (and, where additive, the sums and tanh)."""
        return self.heads * self.n_pairs * self.d * self.case.per_pair

    def mask(self) -> Array | None:
        """What a peer adds to its scores `(heads? n n)`, or booleans: True where a key is seen."""
        distance = np.arange(self.n)[None, :] - np.arange(self.n)[:, None]
        seen = None
        if self.case.keys.get("causal"):
            seen = (distance <= 0) & (distance >= -self.left)
        if "bias" not in self.case.keys:
            return seen
        slopes = np.asarray(alibi_slopes(self.heads), dtype=np.float32)[:, None, None]
        bias: Array = np.abs(distance).astype(np.float32) * -slopes
        return bias if seen is None else np.where(seen, bias, np.float32(-np.inf))

    @property
    def naive_bytes(self) -> int:
        """What somebody takes who makes all scores at once: two or three arrays of them."""
        width = 8 if self.case.dtype == "float64" else 4
        wide = self.d if self.case.keys.get("similarity") == "additive" else 1
        return 3 * self.heads * self.n * self.n * width * wide
