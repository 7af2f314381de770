"""What a library does where a problem is silent.

Each entry holds the library's choices and where they are documented. A key that the problem
gives always wins; a layout is never changed.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, eq=False)
class Dialect:
    """One library's choices."""

    name: str
    source: str
    similarity: str = "scaled-dot"
    booleans: Literal["keep", "drop"] = "keep"
    """What True means in a boolean mask."""
    numbers: Literal["keep", "drop", "add"] | None = None
    """What a numeric mask of only 0 and 1 means; None: it is refused."""
    three_axes: Literal["heads", "batch", "batch-heads"] | None = None
    """What the first axis of a three-axis mask is, where it could be several things."""
    align: Literal["top-left", "bottom-right", "lengths"] | None = None
    """`lengths`: bottom-right where `key_lengths` is given, else top-left."""
    masked_row: Literal["zero", "nan", "uniform"] = "zero"
    masked_by: float | None = None
    """Added to masked scores, in place of leaving the key out."""
    short_mask: bool = False
    """Whether a mask may be shorter than the keys; the rest is then masked."""


DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            "torch",
            "torch.nn.functional.scaled_dot_product_attention, documentation of PyTorch 2.13",
            numbers="add",
            three_axes="heads",
            align="top-left",
        ),
        Dialect(
            "torch-mha",
            "torch.nn.MultiheadAttention, PyTorch 2.13: True is masked out; a fully masked row is "
            "NaN where weights are asked for",
            booleans="drop",
            numbers="add",
            three_axes="batch-heads",
            masked_row="nan",
        ),
        Dialect(
            "onnx",
            "ONNX operator Attention, opsets 23 to 25, function body",
            numbers="add",
            three_axes="heads",
            align="lengths",
            short_mask=True,
        ),
        Dialect(
            "keras",
            "keras.layers.Attention and AdditiveAttention, Keras 3: scores are not scaled; 1e9 is "
            "subtracted where a key is masked",
            similarity="dot",
            numbers="keep",
            three_axes="batch",
            align="top-left",
            masked_by=-1e9,
        ),
        Dialect(
            "keras-mha",
            "keras.layers.MultiHeadAttention and GroupQueryAttention, Keras 3",
            numbers="keep",
            three_axes="batch",
            align="top-left",
        ),
        Dialect(
            "jax",
            "jax.nn.dot_product_attention: masked scores become a large negative number",
            align="top-left",
            masked_row="uniform",
        ),
        Dialect(
            "flash",
            "flash-attn 2.1 and later: causal masks are aligned to the bottom right",
            align="bottom-right",
        ),
        Dialect(
            "transformers",
            "Hugging Face transformers, eager attention: masked scores get finfo.min added",
            numbers="keep",
            three_axes="batch",
            align="bottom-right",
            masked_row="uniform",
        ),
        Dialect(
            "d2l",
            "Dive into Deep Learning 1.0, masked_softmax: masked scores are set to -1e6",
            masked_row="uniform",
        ),
    )
}

NEUTRAL = Dialect("", "")


def chosen_dialect(name: str | Dialect | None) -> Dialect:
    """The dialect of a name, or one that is made up; our own choices without one."""
    if isinstance(name, Dialect):
        return name
    return NEUTRAL if name is None else DIALECTS[name]
