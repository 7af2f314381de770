"""The Vision Transformer: an encoder of patches, with a class token and a head."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from attncli.core.heads import Linear
from attncli.core.layers import vectors
from attncli.core.problem import bytes_each
from attncli.core.shapes import batch_names, by
from attncli.core.step import Array, Namespace, Step, Steps
from attncli.core.transformer import Encoder
from attncli.errors import InputError


@dataclass(frozen=True, eq=False, kw_only=True)
class VisionTransformer(Encoder):
    """head(encoder([c; X E + e] + P)_c) (Dosovitskiy et al. 2021, equations 1 to 4).

    input X `(… n d_in)`, patches row by row; `embedding` E `(d_in d)`, without which they are d
    wide already; class token c `(d)`; a head is `(d n_classes)`. Each of them may be missing:
    without a class token the head is applied to every vector, without a head the vectors are the
    output. Raises `InputError` where the sizes do not fit.
    """

    embedding: Linear | None = None
    class_token: Array | None = None
    pooler: Linear | None = None
    """tanh(x_c W + b), shown beside the output."""
    head: Linear | None = None

    def __post_init__(self) -> None:
        shape = tuple(int(size) for size in self.input.shape)
        if self.embedding is not None:
            self.embedding.shape(shape, "embedding.weight", "embedding.bias")
        if self.class_token is not None and self.class_token.shape != (self.width,):
            raise InputError(
                f"class_token has the shape {by(self.class_token.shape)}",
                expected=f"one vector of {self.width} numbers",
                subject="class_token",
            )
        if self.pooler is not None and self.class_token is None:
            raise InputError("pooler without class_token, of which it is made", subject="pooler")
        for name in ("head", "pooler"):
            linear: Linear | None = getattr(self, name)
            if linear is not None:
                linear.shape((self.n_queries, self.width), f"{name}.weight", f"{name}.bias")
        super().__post_init__()
        table = self.positions
        if table is None or isinstance(table, str) or not self.presentation.pictures:
            return
        if table.shape[-2] != self.n_queries:
            raise InputError(
                f"positions has {table.shape[-2]} vectors, the picture makes {self.n_queries}",
                expected="as many: a patch has its own place, down and across",
                found=f"{table.shape[-2]} and {self.n_queries}",
                hint="crop or resize the picture, or choose another patch",
                subject="positions",
            )

    @property
    def n_queries(self) -> int:
        return super().n_queries + (self.class_token is not None)

    @property
    def width(self) -> int:
        if self.embedding is None:
            return super().width
        return int(self.embedding.weight.shape[-1])

    def embedded(self, xp: Namespace) -> Steps:
        """Patches, embedded, behind the class token, with positions."""
        x = yield self._before("patches", self.input)
        if self.embedding is not None:
            x = yield self._before("embedded", self.embedding.apply(x, xp))
        if self.class_token is not None:
            token = xp.broadcast_to(self.class_token, (*x.shape[:-2], 1, x.shape[-1]))
            x = yield vectors("tokens", xp.concat([token, x], axis=-2))  # (… n + 1 d)
        return (yield from self.positioned(x, xp))

    def _before(self, name: str, value: Array) -> Step:
        """A step of vectors to which the class token is still to come."""
        step = vectors(name, value)
        if self.class_token is None:
            return step
        return replace(step, axes=(*step.axes[:-2], "patch", "feature"))

    def finished(self, x: Array, xp: Namespace) -> Steps:
        """The head's result for the class token, or for each vector; else the vectors."""
        if self.pooler is not None:
            pooled = xp.tanh(self.pooler.apply(x[..., :1, :], xp))
            yield self._of_class("pooled", pooled[..., 0, :], "feature")
        if self.head is None:
            return (yield vectors("output", x))
        if self.class_token is None:
            return (yield vectors("output", self.head.apply(x, xp)))
        made = self.head.apply(x[..., :1, :], xp)
        return (yield self._of_class("output", made[..., 0, :], "class"))

    def _of_class(self, name: str, value: Array, axis: str) -> Step:
        return Step(name, value, (*batch_names(value.ndim - 1), axis))

    def first_names(self) -> tuple[str, ...]:
        names = ("patches", *("embedded",) * (self.embedding is not None))
        return (*names, *("tokens",) * (self.class_token is not None), *super().first_names())

    def last_names(self) -> tuple[str, ...]:
        return (*("pooled",) * (self.pooler is not None), "output")

    def memory(self, keep: Collection[str] | None) -> int:
        return super().memory(keep) + 2 * int(self.input.size) * bytes_each(self.dtype)

    def _counts(self) -> str:
        picture = self.presentation.pictures.get("query")
        counts = super()._counts() if picture is None else picture.facts()
        return counts + " and a class token" * (self.class_token is not None)

    def traits(self) -> dict[str, Any]:
        return {
            **super().traits(),
            "class_token": self.class_token is not None,
            "head": self.head is not None,
            "head_bias": self.head is not None and self.head.bias is not None,
            "embedding_bias": self.embedding is not None and self.embedding.bias is not None,
        }
