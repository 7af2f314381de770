"""The recipe of attention: similarity, scale, softcap, bias, mask, normalizer, weighted sum."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar, Literal

from attncli.core.heads import join, serve
from attncli.core.masking import Bias, Mask, Visible, reach, visible
from attncli.core.normalize import Normalizer, Softmax
from attncli.core.problem import Presentation, bytes_each
from attncli.core.shapes import batch_fact, count, first
from attncli.core.similarity import Cosine
from attncli.core.step import Array, Namespace, Step, Steps
from attncli.core.vectors import Vectors
from attncli.core.weighted import weighted_sum
from attncli.errors import RefusedError

MaskedRow = Literal["zero", "nan", "uniform", "error"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Attention(Vectors):
    """Attention in rows notation, heads first (Vaswani et al. 2017, section 3.2).

    output = join(normalize(softcap(similarity(Q, K) · scale) + bias, masked) · V) W_o, with
    Q = query W_q, K = key W_k, V = value W_v where there are projections.

    Shapes: query `(… n_queries d)`, key and value `(… n_keys d)`; leading axes broadcast. With
    `head_axis` the third axis from the right is heads; with `heads` a packed last axis is split;
    query head h uses key head h // (n_heads / kv_heads). `scores` stands instead of query and key.
    Without a value the weights are the result.
    """

    kind: ClassVar[str] = "attention"

    scale: float | Array | None = None
    """One factor, or one a query head `(n_heads 1 1)`; None where scores are not scaled."""
    softcap: float | None = None
    biases: tuple[Bias, ...] = ()
    masks: tuple[Mask, ...] = ()
    masked_by: float | None = None
    """Added where a key is masked, instead of leaving it out (a habit of some libraries)."""
    masked_row: MaskedRow = "zero"
    sink: Array | None = None
    """A raw extra score, `(1 1)` or `(n_heads 1 1)`: in the denominator, no column in weights."""
    normalizer: Normalizer = field(default_factory=Softmax)
    query_mask: Array | None = None
    """Booleans `(… n_queries)`; rows where it is False are set to zero."""
    dtype: str = "float64"
    presentation: Presentation = field(default_factory=Presentation)
    choices: Mapping[str, Any] = field(default_factory=dict)
    """The problem's keys in force, as the user would write them."""

    # --- the recipe

    def steps(self, xp: Namespace) -> Steps:
        """Yield every step that its settings switch on, and return the output."""
        query, key, value = yield from self.vectors(xp)
        scores = self.scores
        if scores is None:
            self.refuse_zero_norms(query, key, xp)
            scores = self.similarity.scores(query, self._served(key, xp), xp)
        scores = yield self.step("scores", scores, "query", "key")
        scores = yield from self.modified(scores, range(self.n_queries), range(self.n_keys), xp)
        weights = yield from self._weights(scores, xp)
        if value is None:
            return weights
        left_out = scores == -xp.inf if self.leaves_out else None
        output = weighted_sum(weights, self._served(value, xp), left_out, xp)
        return (yield from self.finished(output, xp))

    @property
    def leaves_out(self) -> bool:
        """Whether keys can be left out: a mask is on, or scores are given (with their −∞)."""
        return (bool(self.masks) and self.masked_by is None) or self.scores is not None

    def modified(self, scores: Array, queries: range, keys: range, xp: Namespace) -> Steps:
        """Scale, softcap, bias and mask, in this order, of the scores of a tile."""
        if self.scale is not None:
            scores = yield self.step("scaled", scores * self.scale, "query", "key")
        if self.softcap is not None:
            capped = self.softcap * xp.tanh(scores / self.softcap)
            scores = yield self.step("capped", capped, "query", "key")
        real, n_added = self._parted(keys)
        if self.biases:
            for bias in self.biases if real else ():
                added = bias.bias(queries, real, xp)
                scores = scores + _beside(added, real, xp.zeros_like(added[..., :1]), n_added, xp)
            scores = yield self.step("biased", scores, "query", "key")
        if self.masks:
            seen = self.seen(queries, keys, xp)
            if seen is not True:
                if self.masked_by is None:
                    hidden = xp.full_like(scores, -xp.inf)
                else:
                    hidden = scores + self.masked_by
                scores = hidden if seen is False else xp.where(seen, scores, hidden)
            scores = yield self.step("masked", scores, "query", "key")
        return scores

    def seen(self, queries: range, keys: range, xp: Namespace) -> Visible:
        """What each query of a tile may attend to; keys that were added are seen by all."""
        real, n_added = self._parted(keys)
        seen = visible(self.masks, queries, real, xp) if real else True
        if not n_added or seen is True:
            return seen
        if seen is False:
            seen = xp.full((1, len(real)), False)
        return _beside(seen, real, xp.ones_like(seen[..., :1]), n_added, xp)

    def reach(self, queries: range, xp: Namespace) -> range:
        """The keys outside of which none of the queries may look; those added are inside."""
        if self.n_added or self.masked_by is not None:
            return range(self.n_keys)
        return reach(self.masks, queries, self.n_keys, xp)

    def _parted(self, keys: range) -> tuple[range, int]:
        """The real keys of a tile, and how many of those that were added are in it."""
        n_real = self.n_keys - self.n_added
        real = range(min(keys.start, n_real), min(keys.stop, n_real))
        return real, len(keys) - len(real)

    def _weights(self, scores: Array, xp: Namespace) -> Steps:
        row = scores
        if self.sink is not None:
            sink = xp.broadcast_to(self.sink, (*scores.shape[:-1], 1))
            row = xp.concat([scores, xp.astype(sink, scores.dtype)], axis=-1)
        weights, log_sum = self.normalizer.weights(row, xp)
        if self.sink is not None:
            weights = weights[..., :-1]
        if self.leaves_out:
            weights = self._treat_masked_rows(weights, scores, xp)
        weights = yield self.step("weights", weights, "query", "key")
        if log_sum is not None:
            yield self.step("lse", log_sum, "query")
        return weights

    def _treat_masked_rows(self, weights: Array, scores: Array, xp: Namespace) -> Array:
        """What a query gets that may attend to nothing; zero comes by itself."""
        if self.masked_row == "zero":
            return weights
        nothing = xp.all(scores == -xp.inf, axis=-1, keepdims=True)  # (… n_queries 1)
        if self.masked_row == "error":
            if xp.any(nothing):
                raise self.sees_nothing(first(nothing, xp)[-2])
            return weights
        fill = float("nan") if self.masked_row == "nan" else 1 / self.n_keys
        return xp.where(nothing, xp.full_like(weights, fill), weights)

    def sees_nothing(self, query: int) -> RefusedError:
        """The error of a query that may attend to no key, where `masked_row` is error."""
        return RefusedError(
            f"query {query} (counted from 0) may attend to no key",
            hint="masked_row: zero | nan | uniform says what it should get instead",
            subject="mask",
        )

    def finished(self, output: Array, xp: Namespace) -> Steps:
        """What is made of the weighted sums of all heads: rows zeroed, joined, projected."""
        if self.query_mask is not None:
            output = xp.where(self.query_mask[..., None], output, xp.zeros_like(output))
        if not self.joins and self.projections.output is None:
            return (yield self.step("output", output, "query", "feature"))
        output = yield self.step("heads", output, "query", "feature")
        if self.joins:
            output = yield self._unheaded("joined", join(output, xp))
        if self.projections.output is not None:
            output = self.projections.output.apply(output, xp)
            if self.query_mask is not None:
                output = xp.where(self._row_mask(), output, xp.zeros_like(output))
        return (yield self._unheaded("output", output))

    def _row_mask(self) -> Array:
        """`query_mask` as `(… n_queries 1)`, without a head axis."""
        mask = self.query_mask
        assert mask is not None
        return mask[..., 0, :, None] if self.joins and mask.ndim > 1 else mask[..., None]

    def _unheaded(self, name: str, value: Array) -> Step:
        heads = self.has_heads and not self.joins
        return Step(name, value, (*self.leading_names(value.ndim - 2, heads), "query", "feature"))

    # --- pieces

    def _served(self, vectors: Array, xp: Namespace) -> Array:
        return serve(vectors, self.n_heads, xp) if self.has_heads else vectors

    def refuse_zero_norms(self, query: Array, key: Array, xp: Namespace) -> None:
        """Raise `RefusedError` for a zero vector, which has no cosine, where it takes part."""
        cosine = self.similarity
        if not isinstance(cosine, Cosine) or not cosine.refuses_zero:
            return
        zero = xp.all(query == 0, axis=-1)  # (… n_queries)
        if xp.any(zero):
            raise cosine.zero_vector("query", first(zero, xp)[-1])
        zero = xp.all(key == 0, axis=-1)  # (… n_keys)
        # One column of the mask at a time: there are few zero vectors, and often many pairs.
        for place in range(self.n_keys) if xp.any(zero) else ():
            one = zero[..., place]
            if xp.any(one) and xp.any(one & self._looked_at(place, one.ndim, xp)):
                raise cosine.zero_vector("key", place)

    def _looked_at(self, place: int, n_leading: int, xp: Namespace) -> Array:
        """Whether a query looks at the key at this place, for each of its leading axes."""
        seen = self.seen(range(self.n_queries), range(place, place + 1), xp)
        if isinstance(seen, bool):
            seen = xp.full((1, 1), seen)
        seen = xp.any(xp.broadcast_to(seen, (*self.leading, *seen.shape[-2:])), axis=(-2, -1))
        if self.has_heads and self.n_kv_heads not in (1, self.n_heads):
            seen = xp.any(xp.reshape(seen, (*seen.shape[:-1], self.n_kv_heads, -1)), axis=-1)
        while seen.ndim > n_leading:
            seen = xp.any(seen, axis=0)
        return seen

    # --- what people read

    def step_names(self) -> tuple[str, ...]:
        """The steps that the settings switch on, in order."""
        given = self.scores is not None
        names = (
            ("query", not given),
            ("key", not given),
            ("value", self.value is not None),
            ("scores", True),
            ("scaled", self.scale is not None),
            ("capped", self.softcap is not None),
            ("biased", bool(self.biases)),
            ("masked", bool(self.masks)),
            ("weights", True),
            ("lse", isinstance(self.normalizer, Softmax)),
            ("heads", self.joins or self.projections.output is not None),
            ("joined", self.joins),
            ("output", self.value is not None),
        )
        return tuple(name for name, is_on in names if is_on)

    def facts(self) -> tuple[str, ...]:
        """Sizes, similarity, scaled or unscaled, dtype."""
        parts = [*batch_fact(self.leading[:-1] if self.has_heads else self.leading)]
        if self.has_heads:
            grouped = self.n_kv_heads != self.n_heads
            parts.append(count(self.n_heads, "head") + f" on {self.n_kv_heads}" * grouped)
        parts.append(f"{count(self.n_queries, 'query')} × {count(self.n_keys, 'key')}")
        if self.query is not None:
            parts.append(f"d {self.d_k}")
        name = "given scores" if self.scores is not None else self.similarity.name
        name = "dot" if name == "scaled-dot" else name
        parts.append(f"{name}, {'unscaled' if self.scale is None else 'scaled'}")
        if self.normalizer.name != "softmax":
            parts.append(self.normalizer.name)
        parts.append(self.dtype)
        return tuple(parts)

    def settings(self) -> dict[str, Any]:
        """The keys in force, as the user would write them."""
        scale: Any = self.choices.get("scale", "auto")
        return {
            **self.choices,
            "similarity": "given" if self.scores is not None else self.similarity.name,
            "scale": scale if self.scale is not None else "none",
            "softcap": self.softcap,
            "temperature": self.normalizer.temperature,
            "normalizer": self.normalizer.name,
            "masked_row": self.masked_row,
            "dtype": self.dtype,
        }

    def traits(self) -> dict[str, Any]:
        """What else decides formulas: what is projected, and of what; whether heads are joined."""
        return {
            **self.projections.traits(),
            "joined": self.joins,
            "made_of": dict(self.presentation.made_of),
        }

    def memory(self, keep: Collection[str] | None) -> int:
        """Bytes for the kept steps and what is alive beside them: scores, and booleans."""
        pairs = self.n_queries * self.n_keys * prod(self.leading)
        square = {"scores", "scaled", "capped", "biased", "masked", "weights"}
        kept = len(square & {*self.step_names()} & (square if keep is None else {*keep}))
        modifiers = (self.softcap is not None) + bool(self.biases) + bool(self.masks)
        alive = max(3 + modifiers, self.normalizer.alive)
        return (pairs * (kept + alive) + self.numbers()) * bytes_each(self.dtype) + 2 * pairs


def _beside(part: Array, keys: range, column: Array, n_added: int, xp: Namespace) -> Array:
    """What holds for the real keys of a tile, with one more column for each that was added."""
    if not n_added:
        return part
    if part.shape[-1] == 1:
        part = xp.broadcast_to(part, (*part.shape[:-1], len(keys)))
    return xp.concat([part, *[column] * n_added], axis=-1)
