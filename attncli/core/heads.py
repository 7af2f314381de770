"""Projections, and heads: split from a packed axis, shared by groups of queries, joined again."""

from dataclasses import dataclass

from attncli.core.shapes import by
from attncli.core.step import Array, Namespace
from attncli.errors import InputError

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Linear:
    """x W + b.

    weight `(d_in d_out)`, or one a head `(n_heads d_in d_out)`: then the result has a head axis,
    `(… n_heads n d_out)`. bias `(d_out)`, which heads share, or one a head `(n_heads d_out)`.
    """

    weight: Array
    bias: Array | None = None

    @property
    def n_heads(self) -> int | None:
        """How many heads the weight makes; None for one table."""
        return int(self.weight.shape[0]) if self.weight.ndim == 3 else None

    def apply(self, x: Array, xp: Namespace) -> Array:
        """`(… n d_in)` → `(… n d_out)` or `(… n_heads n d_out)`."""
        if self.n_heads is not None:
            result = xp.matmul(x[..., None, :, :], self.weight)  # (… n_heads n d_out)
            return result if self.bias is None else result + self.bias[..., None, :]
        result = xp.matmul(x, self.weight)
        return result if self.bias is None else result + self.bias

    def shape(self, shape: Shape, weight: str, bias: str) -> Shape:
        """The shape of the result for an input of this shape.

        Raises `InputError` for a misfit; `weight` and `bias` are the tables' names in a problem.
        """
        d_in, d_out = (int(size) for size in self.weight.shape[-2:])
        if shape[-1] != d_in:
            raise InputError(
                f"{weight} has {d_in} rows, its input {shape[-1]} features",
                expected=f"{d_in} features: x W multiplies feature i with row i of W",
                found=str(shape[-1]),
                hint="in columns notation the table is (d_out × d_in), as in q = W x",
                subject=weight,
            )
        if self.bias is not None and self.bias.shape not in (
            (*self.weight.shape[:-2], d_out),
            (d_out,),
        ):
            raise InputError(
                f"{bias} has the shape {by(self.bias.shape)}",
                expected=by((*self.weight.shape[:-2], d_out)),
                found=by(self.bias.shape),
                subject=bias,
            )
        heads = () if self.n_heads is None else (self.n_heads,)
        return (*shape[:-2], *heads, shape[-2], d_out)


@dataclass(frozen=True, eq=False)
class Projections:
    """The tables of an attention; None where there is none."""

    query: Linear | None = None
    key: Linear | None = None
    value: Linear | None = None
    output: Linear | None = None

    def traits(self) -> dict[str, list[str]]:
        """Which vectors are projected, and which of them with a bias."""
        tables = {name: table for name, table in vars(self).items() if table is not None}
        shifted = [name for name, table in tables.items() if table.bias is not None]
        return {"projected": list(tables), "shifted": shifted}


def split_shape(name: str, shape: Shape, heads: int) -> Shape:
    """`(… n H·d)` → `(… H n d)`; raises `InputError` where the heads cannot share the features."""
    if shape[-1] % heads:
        raise InputError(
            f"{name} has {shape[-1]} features, which {heads} heads cannot share",
            expected=f"a multiple of {heads}",
            found=str(shape[-1]),
            subject="heads",
        )
    return (*shape[:-2], heads, shape[-2], shape[-1] // heads)


def split(x: Array, heads: int, xp: Namespace) -> Array:
    """`(… n H·d)` → `(… H n d)`, contiguous parts of the last axis."""
    parts = xp.reshape(x, (*x.shape[:-1], heads, x.shape[-1] // heads))
    return xp.moveaxis(parts, -2, -3)


def join(x: Array, xp: Namespace) -> Array:
    """`(… H n d)` → `(… n H·d)`: the heads side by side."""
    *lead, heads, n, d = x.shape
    return xp.reshape(xp.moveaxis(x, -3, -2), (*lead, n, heads * d))


def serve(vectors: Array, n_heads: int, xp: Namespace) -> Array:
    """Key or value vectors `(… kv_heads n d)`, one set a query head: head h gets h // group."""
    if vectors.ndim < 3 or vectors.shape[-3] in (1, n_heads):
        return vectors
    return xp.repeat(vectors, n_heads // vectors.shape[-3], axis=-3)
