"""A convolution, and the multi-head attention that equals it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar, Literal

from attncli.core.attention import Attention
from attncli.core.heads import Linear, Projections
from attncli.core.problem import Presentation, bytes_each
from attncli.core.shapes import batch_fact, batch_names, by, count
from attncli.core.similarity import Euclidean
from attncli.core.step import Array, Namespace, Step, Steps, result
from attncli.errors import InputError

Padding = Literal["zero", "replicate"]

TRIALS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Sharpnesses at which the difference is measured, beside the problem's own."""

SHARP = 46.0
"""Enough for float64: a neighbour's weight, exp(−46), is below half of its last digit."""

MOST = {"dilation": 10**6, "stride": 10**6, "sharpness": 1e9}
"""Places and scores beyond would be lost to rounding, in float32 at least."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Convolution:
    """The cross-correlation of an image with a kernel, directly and as attention.

    Cordonnier et al. 2020, theorem 1: head h = a·kw + b plays kernel pixel (a, b). A query at place
    q looks at q + s_h, s_h = dilation · (a − kh // 2, b − kw // 2), for its scores are

        −α (‖d‖² − 2 ⟨s_h, d⟩) = −α ‖k − (q + s_h)‖² + α ‖s_h‖²,  d = k − q,

    whose last term is the same for all keys, so that softmax does not see it: that is euclidean
    attention over places, with the shifts as the heads' query projections and scale α. W_value = I;
    the block of W_output that belongs to head h is kernel[:, :, a, b]ᵀ.

    Shapes: image `(… h w c_in)`, kernel `(c_out c_in kh kw)`, bias `(c_out)`; the result is
    `(… ⌈h / stride⌉ ⌈w / stride⌉ c_out)`. Raises `InputError` where they do not fit.
    """

    kind: ClassVar[str] = "convolution"

    image: Array
    kernel: Array
    bias: Array | None = None
    padding: Padding = "zero"
    """What lies beyond the border: zeros, which are keys, too; or the nearest pixel, which a shift
    out of the image finds by itself."""
    dilation: int = 1
    stride: int = 1
    sharpness: float = SHARP
    """α: the larger, the more of its weight a head gives to its own pixel."""
    dtype: str = "float64"
    presentation: Presentation = field(default_factory=Presentation)

    def __post_init__(self) -> None:
        if self.image.ndim < 3 or 0 in self.image.shape:
            raise InputError(
                f"image has the shape {by(self.image.shape)}",
                expected="(… h w c)",
                subject="image",
            )
        if self.kernel.ndim != 4 or 0 in self.kernel.shape:
            raise InputError(
                f"kernel has the shape {by(self.kernel.shape)}",
                expected="(c_out c_in kh kw), such as torch's Conv2d.weight",
                subject="kernel",
            )
        if self.kernel.shape[1] != self.image.shape[-1]:
            raise InputError(
                f"kernel takes {self.kernel.shape[1]} channels, image has {self.image.shape[-1]}",
                expected="as many: kernel (c_out c_in kh kw), image (… h w c_in)",
                hint="layout: chw reads an image whose channels come first",
                subject="kernel",
            )
        if self.bias is not None and self.bias.shape != (self.kernel.shape[0],):
            raise InputError(
                f"kernel_bias has the shape {by(self.bias.shape)}",
                expected=f"one number for each of the {self.kernel.shape[0]} channels it makes",
                subject="kernel_bias",
            )
        for name, most in MOST.items():
            if getattr(self, name) > most:
                raise InputError(
                    f"{name} {getattr(self, name):g}",
                    expected=f"at most {most:g}",
                    subject=name,
                )

    # --- sizes

    @property
    def window(self) -> tuple[int, int]:
        """The height and width of the kernel."""
        return int(self.kernel.shape[2]), int(self.kernel.shape[3])

    @property
    def extent(self) -> tuple[int, int]:
        """The height and width of the image."""
        return int(self.image.shape[-3]), int(self.image.shape[-2])

    @property
    def pads(self) -> tuple[int, int]:
        """Rows and columns of keys beyond each border."""
        if self.padding == "replicate":
            return 0, 0
        kh, kw = self.window
        return self.dilation * (kh // 2), self.dilation * (kw // 2)

    @property
    def made(self) -> tuple[int, int]:
        """The height and width of the result."""
        h, w = self.extent
        return -(-h // self.stride), -(-w // self.stride)

    @property
    def n_heads(self) -> int:
        return prod(self.window)

    @property
    def leading(self) -> tuple[int, ...]:
        """The batch axes."""
        return tuple(int(size) for size in self.image.shape[:-3])

    def shifts(self) -> Iterator[tuple[int, int, int, int]]:
        """Head by head: its kernel pixel (a, b), and how far down and right of a query it looks."""
        kh, kw = self.window
        for a in range(kh):
            for b in range(kw):
                yield a, b, self.dilation * (a - kh // 2), self.dilation * (b - kw // 2)

    def sizes(self) -> dict[str, int]:
        """The length of each axis that a place can be chosen on."""
        h, w = self.made
        sizes = {"row": h, "column": w, "feature": int(self.kernel.shape[0]), "head": self.n_heads}
        return sizes | dict(zip(batch_names(len(self.leading)), self.leading, strict=True))

    # --- the recipe

    def steps(self, xp: Namespace) -> Steps:
        """Yield both results, their difference, the shifts and the falloff; return the attention.

        `falloff` is `(n 2)`: a sharpness, and the largest difference with it.
        """
        axes = (*batch_names(len(self.leading)), "row", "column", "feature")
        convolution = yield Step("convolution", self.direct(xp), axes)
        attention = yield Step("attention", self.attended(self.sharpness, xp), axes)
        yield Step("difference", attention - convolution, axes)
        shifts = [[down, right] for *_, down, right in self.shifts()]
        yield Step("shifts", self._array(shifts, xp), ("head", "direction"))
        trials = sorted({*TRIALS, self.sharpness})
        largest = []
        for trial in trials:
            tried = attention if trial == self.sharpness else self.attended(trial, xp)
            largest.append(xp.max(xp.abs(tried - convolution)))
        falloff = xp.stack([self._array(trials, xp), xp.stack(largest)], axis=-1)
        yield Step("falloff", falloff, ("trial", "measure"))
        return attention

    def direct(self, xp: Namespace) -> Array:
        """The convolution itself: for each kernel pixel the shifted image, times its table."""
        rows, columns = (xp.arange(0, n, self.stride) for n in self.extent)
        total: Array = 0 if self.bias is None else self.bias
        for a, b, down, right in self.shifts():
            pixels = self._pixels(rows + down, columns + right, xp)
            total = total + xp.matmul(pixels, xp.matrix_transpose(self.kernel[:, :, a, b]))
        return total

    def attended(self, sharpness: float, xp: Namespace) -> Array:
        """The output of the attention, as an image."""
        output = result(self.attention(sharpness, xp).steps(xp))  # (… h·w c_out)
        return xp.reshape(output, (*self.leading, *self.made, self.kernel.shape[0]))

    def attention(self, sharpness: float, xp: Namespace) -> Attention:
        """The attention of the pixels of the result to those of the image and its padding.

        Queries and keys are places, values pixels; both go row by row. Queries at the padding, and
        those that the stride skips, are left out: their outputs would be cropped.
        """
        queries = self._places(*(xp.arange(0, n, self.stride) for n in self.extent), xp=xp)
        rows, columns = (
            xp.arange(-pad, n + pad) for n, pad in zip(self.extent, self.pads, strict=True)
        )
        pixels = self._pixels(rows, columns, xp)
        *lead, h, w, c = pixels.shape
        shifts = self._array([[down, right] for *_, down, right in self.shifts()], xp)
        table = xp.reshape(xp.permute_dims(self.kernel, (2, 3, 1, 0)), (self.n_heads * c, -1))
        same = xp.broadcast_to(xp.eye(2, dtype=self.image.dtype), (self.n_heads, 2, 2))
        return Attention(
            query=queries,
            key=self._places(rows, columns, xp=xp),
            value=xp.reshape(pixels, (*lead, 1, h * w, c)),  # one head, which serves all
            similarity=Euclidean(),
            scale=sharpness,
            projections=Projections(query=Linear(same, shifts), output=Linear(table, self.bias)),
            dtype=self.dtype,
        )

    def _pixels(self, rows: Array, columns: Array, xp: Namespace) -> Array:
        """The pixels at these rows and columns, `(… n_rows n_columns c)`, also beyond the image."""
        h, w = self.extent
        pixels = xp.take(self.image, xp.clip(rows, 0, h - 1), axis=-3)
        pixels = xp.take(pixels, xp.clip(columns, 0, w - 1), axis=-2)
        if self.padding == "replicate":
            return pixels
        rows_inside, columns_inside = (rows >= 0) & (rows < h), (columns >= 0) & (columns < w)
        inside = rows_inside[:, None, None] & columns_inside[None, :, None]
        return xp.where(inside, pixels, xp.zeros_like(pixels))

    def _places(self, *axes: Array, xp: Namespace) -> Array:
        """The place vectors (row, column), `(n 2)`, row by row."""
        grid = xp.stack(xp.meshgrid(*axes, indexing="ij"), axis=-1)
        return xp.astype(xp.reshape(grid, (-1, 2)), self.image.dtype)

    def _array(self, numbers: Any, xp: Namespace) -> Array:
        return xp.asarray(numbers, dtype=self.image.dtype)

    # --- what people read

    def step_names(self) -> tuple[str, ...]:
        """All steps, in order."""
        return ("convolution", "attention", "difference", "shifts", "falloff")

    @property
    def choices(self) -> Mapping[str, Any]:
        """The keys in force that are plain values."""
        names = ("padding", "dilation", "stride", "sharpness")
        return {name: getattr(self, name) for name in names}

    def facts(self) -> tuple[str, ...]:
        """Sizes, heads, padding, sharpness, dtype."""
        kh, kw = self.window
        h, w = self.extent
        parts = [*batch_fact(self.leading), f"{h} × {w} pixels"]
        parts.append(f"{self.kernel.shape[1]} → {self.kernel.shape[0]} channels")
        parts.append(f"{kh} × {kw} kernel, {count(self.n_heads, 'head')}")
        parts += [f"dilation {self.dilation}"] * (self.dilation > 1)
        parts += [f"stride {self.stride}"] * (self.stride > 1)
        return (*parts, f"{self.padding} padding", f"α {self.sharpness:g}", self.dtype)

    def settings(self) -> dict[str, Any]:
        """The keys in force, as the user would write them."""
        return {**self.choices, "dtype": self.dtype}

    def traits(self) -> dict[str, Any]:
        """What else decides formulas: whether a bias is added."""
        return {"kernel_bias": self.bias is not None}

    def memory(self, keep: Collection[str] | None) -> int:
        """Bytes of the attention's scores (five arrays are alive at once) and of all images."""
        n_queries = prod(self.made)
        n_keys = prod(n + 2 * pad for n, pad in zip(self.extent, self.pads, strict=True))
        c_out, c_in = (int(size) for size in self.kernel.shape[:2])
        values = prod(self.leading) * (n_keys * c_in * 4 + n_queries * (c_out * 6))
        joined = 2 * prod(self.leading) * n_queries * self.n_heads * c_in
        scores = 5 * self.n_heads * n_queries * n_keys
        return (scores + values + joined) * bytes_each(self.dtype)
