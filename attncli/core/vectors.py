"""The vectors of an attention: given or projected, split in heads, rotated, extended."""

from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from attncli.core.heads import Linear, Projections, split, split_shape
from attncli.core.rotary import Rotary
from attncli.core.shapes import batch_names, broadcast, by, check_leading, count
from attncli.core.similarity import ScaledDot, Similarity
from attncli.core.step import Array, Namespace, Step
from attncli.errors import InputError


@dataclass(frozen=True, eq=False, kw_only=True)
class Vectors:
    """Queries, keys and values, or scores in place of the first two.

    Q = query W_q, K = key W_k, V = value W_v where there are projections. Shapes: query
    `(… n_queries d)`, key and value `(… n_keys d)`; leading axes broadcast. With `head_axis` the
    third axis from the right is heads; with `heads` a packed last axis is split.
    """

    query: Array | None = None
    key: Array | None = None
    value: Array | None = None
    scores: Array | None = None
    projections: Projections = field(default_factory=Projections)
    head_axis: bool = False
    """Whether query, key and value come with a head axis, which then stays to the end."""
    heads: int | None = None
    """How many heads the features are split into, to be joined again at the end."""
    kv_heads: int | None = None
    """How many of key and value, where they are fewer."""
    extra_key: Array | None = None
    """One more key after the projected ones, `(1 d)`, seen by every query."""
    extra_value: Array | None = None
    rotary: Rotary | None = None
    past_key: Array | None = None
    past_value: Array | None = None
    zero_key: bool = False
    similarity: Similarity = field(default_factory=ScaledDot)

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
        self._check_vectors()
        self._check_output()
        if self.value is not None and self.value.shape[-2] != self.n_new_keys:
            self._refuse_count("value", self.value.shape[-2])
        self._check_past()

    # --- sizes

    @property
    def n_queries(self) -> int:
        first: Array = self.query if self.scores is None else self.scores
        return int(first.shape[-2])

    @property
    def n_new_keys(self) -> int:
        """Keys of this call, without the cache and the zero key."""
        if self.scores is not None:
            return int(self.scores.shape[-1])
        key: Array = self.key
        return int(key.shape[-2])

    @property
    def n_past(self) -> int:
        return 0 if self.past_key is None else int(self.past_key.shape[-2])

    @property
    def n_added(self) -> int:
        """Keys that stand after all others and that every query sees."""
        return (self.extra_key is not None) + self.zero_key

    @property
    def n_keys(self) -> int:
        """All keys: cache, new ones, the extra one and the zero key."""
        return self.n_past + self.n_new_keys + self.n_added

    @property
    def joins(self) -> bool:
        """Whether heads are made here, and so joined again at the end."""
        return self.heads is not None or (
            self.projections.query is not None and self.projections.query.n_heads is not None
        )

    @property
    def has_heads(self) -> bool:
        """Whether the steps from query to heads have a head axis."""
        return self.head_axis or self.joins

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of query, key or value, projected and split in heads."""
        if name not in self._shapes:
            self._shapes[name] = self._shape(name)
        return self._shapes[name]

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """What `shape` has found: a small problem is asked two dozen times."""
        return {}

    def _shape(self, name: str) -> tuple[int, ...]:
        array = getattr(self, name)
        shape = tuple(int(size) for size in array.shape)
        linear: Linear | None = getattr(self.projections, name)
        if linear is not None:
            shape = linear.shape(shape, *_tables(name))
        count = self._split_in(name)
        return shape if count is None else split_shape(name, shape, count)

    def _split_in(self, name: str) -> int | None:
        """How many heads a packed axis is split in; None where it is not, or a table does it."""
        linear: Linear | None = getattr(self.projections, name)
        if linear is not None and linear.n_heads is not None:
            return None
        return self.heads if name == "query" else self.kv_heads or self.heads

    @property
    def d_k(self) -> int:
        """Features of a query vector."""
        return self.shape("query")[-1] if self.query is not None else 0

    @cached_property
    def leading(self) -> tuple[int, ...]:
        """The batch axes and, last, the query heads: all axes of the scores but the last two."""
        shapes = [] if self.scores is None else [list(self.scores.shape[:-2])]
        for name in ("query", "key", "value"):
            if getattr(self, name) is not None:
                lead = list(self.shape(name)[:-2])
                one_head = self.has_heads and lead and name != "query"
                shapes.append([*lead[:-1], 1] if one_head else lead)
        return broadcast(shapes)

    @property
    def n_heads(self) -> int:
        return self.leading[-1] if self.has_heads else 1

    @property
    def n_kv_heads(self) -> int:
        """Heads of key and value; as many as query heads where neither has its own."""
        given = [name for name in ("key", "value") if getattr(self, name) is not None]
        own = [shape[-3] for shape in map(self.shape, given) if len(shape) > 2]
        return own[0] if self.has_heads and own else self.n_heads

    def sizes(self) -> dict[str, int]:
        """The length of each axis that a place can be chosen on."""
        lead = self.leading
        sizes = {"query": self.n_queries, "key": self.n_keys}
        if self.has_heads:
            sizes["head"] = lead[-1]
            lead = lead[:-1]
        names = self.leading_names(len(lead), False)
        return sizes | dict(zip(names, lead, strict=True))

    def numbers(self) -> int:
        """Most numbers that vectors hold at once: as given, what is made of them, served."""
        given = made = widest = 0
        for name in ("query", "key", "value"):
            array = getattr(self, name)
            if array is None:
                continue
            *lead, n, d = self.shape(name)
            whole = prod(lead) * d * (n if name == "query" else self.n_keys)
            given += int(array.size)
            made += max(0, whole - int(array.size))  # wider tables, and a cache in front
            widest = max(widest, whole if name != "query" else 0)
        is_shared = 1 < self.n_kv_heads < self.n_heads  # repeated, keys and then values
        served = widest * self.n_heads // self.n_kv_heads if is_shared else 0
        return 3 * given + 2 * made + served

    # --- the recipe

    def vectors(self, xp: Namespace) -> Generator[Step, Array, tuple[Array, Array, Array | None]]:
        """Yield query, key and value, as far as there are any, and return them.

        `(… n_queries d_k)`, `(… n_keys d_k)` and `(… n_keys d_v)`, with a head axis in front of n
        where there are heads.
        """
        query: Array = self.query
        key: Array = self.key
        value: Array = self.value
        if query is not None:
            query, key = self._made("query", query, xp), self._made("key", key, xp)
            if self.rotary is not None:
                query, key = self.rotary.query(query, xp), self.rotary.key(key, xp)
            key = self._extended(self.past_key, key, self.extra_key, xp)
            query = yield self.step("query", query, "query", "feature")
            key = yield self.step("key", key, "key", "feature")
        if value is not None:
            value = self._made("value", value, xp)
            value = self._extended(self.past_value, value, self.extra_value, xp)
            value = yield self.step("value", value, "key", "feature")
        return query, key, value

    def _made(self, name: str, x: Array, xp: Namespace) -> Array:
        """Query, key or value, projected and split in heads."""
        linear: Linear | None = getattr(self.projections, name)
        if linear is not None:
            x = linear.apply(x, xp)
        count = self._split_in(name)
        return x if count is None else split(x, count, xp)

    def _extended(
        self, past: Array | None, new: Array, extra: Array | None, xp: Namespace
    ) -> Array:
        """Keys or values with the cache in front; behind them the extra one and the zero key."""
        parts = [new]
        if past is not None:  # keys that a batch shares can have turned for each entry
            parts.insert(0, xp.broadcast_to(past, (*new.shape[:-2], *past.shape[-2:])))
        if extra is not None:  # split like the others, and once for each batch entry
            count = self._split_in("key")
            extra = extra if count is None else split(extra, count, xp)
            parts.append(xp.broadcast_to(extra, (*new.shape[:-2], 1, new.shape[-1])))
        if self.zero_key:
            parts.append(xp.zeros_like(new[..., :1, :]))
        return new if len(parts) == 1 else xp.concat(parts, axis=-2)

    def step(self, name: str, value: Array, *last: str) -> Step:
        """A step whose last axes are these, and whose others are batch and heads."""
        leading = self.leading_names(value.ndim - len(last), self.has_heads)
        return Step(name, value, (*leading, *last))

    def leading_names(self, n_leading: int, heads: bool) -> tuple[str, ...]:
        """Names of leading axes: batch (or batch1, batch2 …), then head."""
        n_batch = n_leading - (heads and n_leading > 0)
        batch = batch_names(n_batch)
        return (*batch, "head") if n_leading > n_batch else batch

    # --- checks

    def _check_vectors(self) -> None:
        if self.scores is None:
            first, shape, key = "query", self.shape("query"), self.shape("key")
            self.similarity.check(shape[-1], key[-1])
            check_leading("key", key, first, shape, self.has_heads)
        else:
            first, shape, key = "scores", tuple(self.scores.shape), ()
        if self.value is None:
            return
        value = self.shape("value")
        check_leading("value", value, first, shape, self.has_heads)
        if self.has_heads and min(len(value), len(key)) > 2 and key[-3] != value[-3]:
            raise InputError(
                f"value has {value[-3]} heads, key has {key[-3]}",
                expected="as many: each key head has its values",
                found=f"{value[-3]} and {key[-3]}",
                subject="value",
            )

    def _check_output(self) -> None:
        output = self.projections.output
        if output is not None and self.value is not None:
            width = self.shape("value")[-1]
            joined = self.n_heads * width if self.joins else width
            output.shape((self.n_queries, joined), *_tables("output"))

    def _refuse_count(self, name: str, there: int) -> None:
        keys = "key" if self.key is not None else "scores"
        raise InputError(
            f"{name} has {count(there, 'vector')}, {keys} has {self.n_new_keys}",
            expected=f"{self.n_new_keys}: key j finds the weight of value j",
            found=str(there),
            subject=name,
        )

    def _check_past(self) -> None:
        if self.past_key is None:
            return
        if self.past_value is None and self.value is not None:
            raise InputError(
                "past has no value", expected="past: {key: …, value: …}", subject="past"
            )
        for name, old in (("key", self.past_key), ("value", self.past_value)):
            if old is None or getattr(self, name) is None:
                continue
            new = self.shape(name)
            if (*old.shape[:-2], old.shape[-1]) != (*new[:-2], new[-1]):
                raise InputError(
                    f"past.{name} has the shape {by(old.shape)}, {name} {by(new)}",
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


def _tables(name: str) -> tuple[str, str]:
    """What a problem calls the table and the bias of a projection."""
    return f"projections.{name}", f"projection_biases.{name}"
