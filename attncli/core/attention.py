"""The recipe of attention: similarity, scale, softcap, bias, mask, normalizer, weighted sum."""

from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar, Literal

from attncli.core.masking import Bias, Mask, visible
from attncli.core.normalize import Normalizer, Softmax
from attncli.core.problem import Presentation
from attncli.core.rotary import Rotary
from attncli.core.shapes import broadcast, by, check_leading
from attncli.core.similarity import Cosine, ScaledDot, Similarity
from attncli.core.step import Array, Namespace, Step, Steps
from attncli.core.weighted import weighted_sum
from attncli.errors import InputError, RefusedError

MaskedRow = Literal["zero", "nan", "uniform", "error"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Attention:
    """Attention over given vectors, in rows notation, heads first.

    output = normalize(softcap(similarity(query, key) · scale) + bias, masked) · value

    Shapes: query `(… n_queries d_k)`, key `(… n_keys d_k)`, value `(… n_keys d_v)`; leading axes
    broadcast; with `head_axis` the third axis from the right is heads, and query head h uses key
    head h // (n_heads / kv_heads). `scores` stands instead of query and key. Without a value the
    weights are the result.
    """

    kind: ClassVar[str] = "attention"

    query: Array | None = None
    key: Array | None = None
    value: Array | None = None
    scores: Array | None = None
    head_axis: bool = False
    join: bool = False
    """Whether heads were split from a packed axis, and are joined again at the end."""
    rotary: Rotary | None = None
    past_key: Array | None = None
    past_value: Array | None = None
    zero_key: bool = False
    similarity: Similarity = field(default_factory=ScaledDot)
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

    def __post_init__(self) -> None:
        if self.scores is None:
            for name in ("query", "key"):
                if getattr(self, name) is None:
                    raise InputError(
                        f"{name} is missing",
                        expected="query and key, or scores",
                        hint="write query: [[1, 0]] and key: [[1, 0], [0, 1]], or give files",
                        subject=name,
                    )
            self._check_vectors(self.query, self.key)
        if self.value is not None and self.value.shape[-2] != self.n_new_keys:
            self._refuse_count("value", self.value.shape[-2])
        self._check_past()

    # --- sizes

    @property
    def n_queries(self) -> int:
        first = self.query if self.scores is None else self.scores
        assert first is not None
        return int(first.shape[-2])

    @property
    def n_new_keys(self) -> int:
        """Keys of this call, without the cache and the zero key."""
        return int(self.key.shape[-2] if self.key is not None else self.scores.shape[-1])  # type: ignore[union-attr]

    @property
    def n_past(self) -> int:
        return 0 if self.past_key is None else int(self.past_key.shape[-2])

    @property
    def n_keys(self) -> int:
        """All keys: cache, new ones and the zero key."""
        return self.n_past + self.n_new_keys + self.zero_key

    @property
    def leading(self) -> tuple[int, ...]:
        """The batch axes and, last, the query heads: all axes of the scores but the last two."""
        tensors = [self.query, self.scores]
        shapes = [list(tensor.shape[:-2]) for tensor in tensors if tensor is not None]
        for tensor in (self.key, self.value):
            if tensor is not None:
                lead = list(tensor.shape[:-2])
                shapes.append([*lead[:-1], 1] if self.head_axis and lead else lead)
        return broadcast(shapes)

    @property
    def n_heads(self) -> int:
        return self.leading[-1] if self.head_axis else 1

    @property
    def kv_heads(self) -> int:
        return int(self.key.shape[-3]) if self.head_axis and self.key is not None else self.n_heads

    # --- the recipe

    def steps(self, xp: Namespace) -> Steps:
        """Yield every step that its settings switch on, and return the output."""
        query, key, value = yield from self._vectors(xp)
        scores = self.scores
        if scores is None:
            self._refuse_zero_norms(query, key, xp)
            scores = self.similarity.scores(query, self._serve(key, xp), xp)
        scores = yield self._step("scores", scores, "query", "key")
        scores = yield from self._modified(scores, xp)
        weights = yield from self._weights(scores, xp)
        if value is None:
            return weights
        left_out = scores == -xp.inf if self.leaves_out else None
        output = weighted_sum(weights, self._serve(value, xp), left_out, xp)
        return (yield from self._output(output, xp))

    @property
    def leaves_out(self) -> bool:
        """Whether keys can be left out: a mask is on, or scores are given (with their −∞)."""
        return (bool(self.masks) and self.masked_by is None) or self.scores is not None

    def _vectors(self, xp: Namespace) -> Generator[Step, Array, tuple[Array, Array, Array | None]]:
        query: Array = self.query
        key: Array = self.key
        value: Array = self.value
        if self.rotary is not None:
            query, key = self.rotary.query(query, xp), self.rotary.key(key, xp)
        if self.past_key is not None:
            key = _append(self.past_key, key, xp)
            value = None if value is None else _append(self.past_value, value, xp)
        if self.zero_key:
            key = _append(key, xp.zeros_like(key[..., :1, :]), xp)
            value = None if value is None else _append(value, xp.zeros_like(value[..., :1, :]), xp)
        if query is not None:
            query = yield self._step("query", query, "query", "feature")
            key = yield self._step("key", key, "key", "feature")
        if value is not None:
            value = yield self._step("value", value, "key", "feature")
        return query, key, value

    def _modified(self, scores: Array, xp: Namespace) -> Steps:
        """Scale, softcap, bias and mask, in this order."""
        if self.scale is not None:
            scores = yield self._step("scaled", scores * self.scale, "query", "key")
        if self.softcap is not None:
            capped = self.softcap * xp.tanh(scores / self.softcap)
            scores = yield self._step("capped", capped, "query", "key")
        queries, keys = range(self.n_queries), range(self.n_keys - self.zero_key)
        if self.biases:
            for bias in self.biases:
                added = bias.bias(queries, keys, xp)
                scores = scores + self._beside_zero_key(added, xp.zeros_like(added[..., :1]), xp)
            scores = yield self._step("biased", scores, "query", "key")
        if self.masks:
            seen = visible(self.masks, queries, keys, xp)
            if isinstance(seen, bool):
                seen = xp.full((1, len(keys)), seen)
            seen = self._beside_zero_key(seen, xp.ones_like(seen[..., :1]), xp)
            hidden = xp.full_like(scores, -xp.inf)
            if self.masked_by is not None:
                hidden = scores + self.masked_by
            scores = yield self._step("masked", xp.where(seen, scores, hidden), "query", "key")
        return scores

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
        weights = yield self._step("weights", weights, "query", "key")
        if log_sum is not None:
            yield self._step("lse", log_sum, "query")
        return weights

    def _treat_masked_rows(self, weights: Array, scores: Array, xp: Namespace) -> Array:
        """What a query gets that may attend to nothing; zero comes by itself."""
        if self.masked_row == "zero":
            return weights
        nothing = xp.all(scores == -xp.inf, axis=-1, keepdims=True)  # (… n_queries 1)
        if self.masked_row == "error":
            if xp.any(nothing):
                flat = int(xp.argmax(xp.astype(xp.reshape(nothing, (-1,)), xp.int8)))
                raise RefusedError(
                    f"query {flat % self.n_queries} (counted from 0) may attend to no key",
                    hint="masked_row: zero | nan | uniform says what it should get instead",
                    subject="mask",
                )
            return weights
        fill = float("nan") if self.masked_row == "nan" else 1 / self.n_keys
        return xp.where(nothing, xp.full_like(weights, fill), weights)

    def _output(self, output: Array, xp: Namespace) -> Steps:
        if self.query_mask is not None:
            output = xp.where(self.query_mask[..., None], output, xp.zeros_like(output))
        if self.join:
            output = yield self._step("heads", output, "query", "feature")
            *lead, heads, n, d = output.shape
            joined = xp.reshape(xp.moveaxis(output, -3, -2), (*lead, n, heads * d))
            axes = self._names(len(lead), False)
            output = yield Step("joined", joined, (*axes, "query", "feature"))
            return (yield Step("output", output, (*axes, "query", "feature")))
        return (yield self._step("output", output, "query", "feature"))

    # --- pieces

    def _step(self, name: str, value: Array, *last: str) -> Step:
        return Step(name, value, (*self._names(value.ndim - len(last), self.head_axis), *last))

    def _names(self, n_leading: int, heads: bool) -> tuple[str, ...]:
        """Names of leading axes: batch (or batch1, batch2 …), then head."""
        n_batch = n_leading - (heads and n_leading > 0)
        batch = ("batch",) if n_batch == 1 else tuple(f"batch{i + 1}" for i in range(n_batch))
        return (*batch, "head") if n_leading > n_batch else batch

    def _serve(self, vectors: Array, xp: Namespace) -> Array:
        """Key or value vectors, one set a query head."""
        if not self.head_axis or vectors.ndim < 3 or vectors.shape[-3] in (1, self.n_heads):
            return vectors
        return xp.repeat(vectors, self.n_heads // vectors.shape[-3], axis=-3)

    def _beside_zero_key(self, part: Array, column: Array, xp: Namespace) -> Array:
        """A tile for the real keys, with one more column where there is a zero key."""
        if not self.zero_key:
            return part
        if part.shape[-1] == 1:
            part = xp.broadcast_to(part, (*part.shape[:-1], self.n_keys - 1))
        return xp.concat([part, column], axis=-1)

    def _refuse_zero_norms(self, query: Array, key: Array, xp: Namespace) -> None:
        """Cosine has no value for a zero vector, unless nobody looks at it."""
        if not isinstance(self.similarity, Cosine):
            return
        takes_part = xp.all(xp.isfinite(query), axis=-1)
        self.similarity.refuse_zero(query, xp.ones_like(takes_part), "query", xp)
        zero = xp.all(key == 0, axis=-1)
        if not xp.any(zero):
            return
        keys = range(self.n_keys - self.zero_key)
        seen = visible(self.masks, range(self.n_queries), keys, xp)
        if isinstance(seen, bool):
            seen = xp.full((1, len(keys)), seen)
        seen = self._beside_zero_key(seen, xp.ones_like(seen[..., :1]), xp)
        seen = xp.any(xp.broadcast_to(seen, (*self.leading, *seen.shape[-2:])), axis=-2)
        if self.head_axis and self.kv_heads != self.n_heads:
            group = (*seen.shape[:-2], self.kv_heads, -1, seen.shape[-1])
            seen = xp.any(xp.reshape(seen, group), axis=-2)
        while seen.ndim > zero.ndim:
            seen = xp.any(seen, axis=0)
        self.similarity.refuse_zero(key, seen, "key", xp)

    # --- checks

    def _check_vectors(self, query: Array, key: Array) -> None:
        self.similarity.check(int(query.shape[-1]), int(key.shape[-1]))
        for name in ("key", "value"):
            vectors = getattr(self, name)
            if vectors is not None:
                check_leading(name, vectors.shape, query.shape, self.head_axis)
        if self.value is not None and self.head_axis and self.value.ndim > 2 and key.ndim > 2:
            kv_heads, value_heads = key.shape[-3], self.value.shape[-3]
            if kv_heads != value_heads:
                raise InputError(
                    f"value has {value_heads} heads, key has {kv_heads}",
                    expected="as many: each key head has its values",
                    found=f"{value_heads} and {kv_heads}",
                    subject="value",
                )

    def _refuse_count(self, name: str, count: int) -> None:
        raise InputError(
            f"{name} has {count} vectors, {'key' if self.key is not None else 'scores'} has "
            f"{self.n_new_keys}",
            expected=f"{self.n_new_keys}: key j finds the weight of value j",
            found=str(count),
            subject=name,
        )

    def _check_past(self) -> None:
        if self.past_key is None:
            return
        if self.past_value is None and self.value is not None:
            raise InputError(
                "past has no value", expected="past: {key: …, value: …}", subject="past"
            )
        for name, old, new in (
            ("key", self.past_key, self.key),
            ("value", self.past_value, self.value),
        ):
            if old is None or new is None:
                continue
            old_shape, new_shape = list(old.shape), list(new.shape)
            old_shape[-2] = new_shape[-2] = 0
            if old_shape != new_shape:
                raise InputError(
                    f"past.{name} has the shape {by(old.shape)}, {name} {by(new.shape)}",
                    expected="equal axes but for the number of vectors: the cache stands in front",
                    found=by(old.shape),
                    subject="past",
                )
        if self.past_value is not None and self.past_value.shape[-2] != self.n_past:
            raise InputError(
                f"past.value has {self.past_value.shape[-2]} vectors, past.key has {self.n_past}",
                expected="as many: key j finds the weight of value j",
                subject="past",
            )

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
            ("heads", self.join),
            ("joined", self.join),
            ("output", self.value is not None),
        )
        return tuple(name for name, is_on in names if is_on)

    def facts(self) -> tuple[str, ...]:
        """Sizes, similarity, scaled or unscaled, dtype."""
        sizes = f"{self.n_queries} {'query' if self.n_queries == 1 else 'queries'}"
        sizes += f" × {self.n_keys} {'key' if self.n_keys == 1 else 'keys'}"
        parts = []
        lead = self.leading
        if self.head_axis:
            if lead[:-1]:
                parts.append(f"batch {' × '.join(map(str, lead[:-1]))}")
            heads = f"{self.n_heads} {'head' if self.n_heads == 1 else 'heads'}"
            grouped = self.kv_heads != self.n_heads
            parts.append(heads + (f" on {self.kv_heads}" if grouped else ""))
        elif lead:
            parts.append(f"batch {' × '.join(map(str, lead))}")
        parts.append(sizes)
        if self.query is not None:
            parts.append(f"d {self.query.shape[-1]}")
        name = "given scores" if self.scores is not None else self.similarity.name
        name = "dot" if name == "scaled-dot" else name
        parts.append(f"{name}, {'unscaled' if self.scale is None else 'scaled'}")
        if self.normalizer.name != "softmax":
            parts.append(self.normalizer.name)
        parts.append(self.dtype)
        return tuple(parts)

    def settings(self) -> dict[str, Any]:
        """What decides titles and formulas, and the keys in force."""
        scale: Any = self.choices.get("scale", "auto" if self.scale is not None else None)
        return {
            **self.choices,
            "similarity": "given" if self.scores is not None else self.similarity.name,
            "scale": scale if self.scale is not None else "none",
            "softcap": self.softcap,
            "temperature": self.normalizer.temperature,
            "normalizer": self.normalizer.name,
            "sums_to_one": self.normalizer.sums_to_one,
            "joined": self.join,
            "masked_row": self.masked_row,
            "dtype": self.dtype,
        }

    def memory(self, keep: Collection[str] | None) -> int:
        """Bytes for the kept steps and what is alive beside them (four arrays of scores)."""
        pairs = self.n_queries * self.n_keys * prod(self.leading)
        square = {"scores", "scaled", "capped", "biased", "masked", "weights"}
        kept = len(square & {*self.step_names()} & (square if keep is None else {*keep}))
        given = (self.query, self.key, self.value)
        vectors = sum(int(array.size) for array in given if array is not None)
        return (pairs * (kept + 4) + 3 * vectors) * (8 if self.dtype == "float64" else 4)


def _append(first: Array, second: Array, xp: Namespace) -> Array:
    return xp.concat([first, second], axis=-2)
