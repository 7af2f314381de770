"""The keys of a problem: names, types, defaults and help, defined once.

The reader, the flags of every command, `--set`, the Python API and the help texts all come from
`KEYS`. Nothing here imports NumPy: `--help` loads this module.
"""

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field

from attncli.core.normalize import NORMALIZERS
from attncli.core.similarity import ACTIVATIONS, SIMILARITIES
from attncli.files.dialects import DIALECTS
from attncli.files.types import (
    Boolean,
    Bounds,
    Choice,
    Integer,
    Labels,
    ListOf,
    Mapping,
    Number,
    OneOf,
    Tables,
    Tensor,
    Text,
    Type,
)

KINDS = {
    "attention": "attncli.files.attention",
    "encoder": "attncli.files.layers",
    "decoder": "attncli.files.layers",
    "convolution": "attncli.files.convolution",
}
"""Each kind of problem, and the module whose `build(source, name)` makes it."""

ALL = tuple(KINDS)

FOREIGN = {
    "is_causal": "causal",
    "attn_mask": "mask",
    "attention_mask": "key_mask",
    "key_padding_mask": "key_mask",
    "num_heads": "heads",
    "n_heads": "heads",
    "num_kv_heads": "kv_heads",
    "num_key_value_heads": "kv_heads",
    "window_size": "window",
    "sliding_window": "window",
    "sm_scale": "scale",
    "softmax_scale": "scale",
    "valid_lens": "key_lengths",
    "nonpad_kv_seqlen": "key_lengths",
    "logits_soft_cap": "softcap",
    "alibi_slopes": "bias",
    "alpha": "sharpness",
    "memory": "source",
    "nhead": "heads",
    "layer_norm_eps": "epsilon",
    "src_key_padding_mask": "key_mask",
    "memory_mask": "source_mask",
    "memory_key_padding_mask": "source_key_mask",
    "Q": "query",
    "K": "key",
    "V": "value",
    "q": "query",
    "k": "key",
    "v": "value",
    "queries": "query",
    "keys": "key",
    "values": "value",
}
"""Names of other libraries with ours."""

LAYERS = ("encoder", "decoder")
ENCODER = ("encoder",)
DECODER = ("decoder",)
CONVOLUTION = ("convolution",)
LAYOUTS = ("heads-first", "tokens-first", "sequence-first")
IMAGE_LAYOUTS = ("hwc", "chw")
LAYER_LAYOUTS = ("heads-first", "sequence-first")
ARCHIVES = (".npz", ".safetensors")
TABLES = (".csv", ".tsv")
PICTURES = (".png", ".jpg", ".jpeg")
"""Suffixes of files of many tensors, of tables and of pictures."""

LABELLED = ("query", "key", "feature", "class")
"""Axes whose places can have labels; class is what a head makes of a class token."""

TENSOR = Tensor()
MASK = Tensor(booleans=True)
POSITIVE = Number(above=0)
COUNT = Integer(minimum=1)

LAYER = Mapping({"weight": TENSOR, "bias": TENSOR, "activation": Choice(ACTIVATIONS)})
LINEAR = Mapping({"weight": TENSOR, "bias": TENSOR})
PROJECTIONS = Mapping({"query": TENSOR, "key": TENSOR, "value": TENSOR, "output": TENSOR})
SIMILARITY = Mapping(
    {
        "name": Choice(tuple(SIMILARITIES)),
        "weight": TENSOR,
        "bias": TENSOR,
        "query_weight": TENSOR,
        "key_weight": TENSOR,
        "score_weight": TENSOR,
        "layers": ListOf(LAYER),
        "epsilon": Number(minimum=0),
    }
)
POSITIONS = OneOf(Mapping({"query": TENSOR, "key": TENSOR}), TENSOR)
ROPE = Mapping(
    {
        "base": POSITIVE,
        "pairing": Choice(("halves", "interleaved")),
        "width": Integer(minimum=2),
        "positions": POSITIONS,
        "cos": TENSOR,
        "sin": TENSOR,
    }
)


@dataclass(frozen=True, eq=False)
class Key:
    """One key of a problem file: its type, its default in words, and its help."""

    name: str
    type: Type
    help: str
    default: str = ""
    kinds: tuple[str, ...] = ("attention",)
    """The kinds of problem that it belongs to."""
    choices: MappingABC[str, tuple[str, ...]] = field(default_factory=dict)
    """Which of a choice's names a kind takes, where kinds differ."""
    flag: bool = False
    """Whether it has a flag of its own; every other key is reached by `--set`."""


KEYS: dict[str, Key] = {
    key.name: key
    for key in (
        Key("kind", Choice(tuple(KINDS)), "what kind of problem this is", "attention", ALL),
        Key("title", Text(), "the heading of the report", kinds=ALL),
        Key("query", TENSOR, "queries, (… n_queries d_k): a table, a file, or another tensor"),
        Key("key", TENSOR, "keys, (… n_keys d_k)"),
        Key("value", TENSOR, "values, (… n_keys d_v); without it the weights are the result"),
        Key(
            "input",
            TENSOR,
            "stands for query, key and value, which projections may make of it; what layers get",
            kinds=("attention", *LAYERS),
        ),
        Key(
            "source",
            TENSOR,
            "stands for key and value instead: cross-attention; a decoder's: what the encoder gave",
            kinds=("attention", *DECODER),
        ),
        Key(
            "patch",
            COUNT,
            "the input is a picture, cut into patches of this many pixels down and across",
            "1, each pixel",
            ("attention", *ENCODER),
        ),
        Key("scores", TENSOR, "scores, (… n_queries n_keys), instead of query and key"),
        Key(
            "projections",
            PROJECTIONS,
            "tables (d_in d_out) of query, key, value, output; a list of tables is one a head",
        ),
        Key("projection_biases", PROJECTIONS, "vectors added after the projections"),
        Key(
            "parameters",
            OneOf(Tables({}), Text()),
            "a state_dict of torch.nn.MultiheadAttention, or of TransformerEncoder, Decoder and "
            "their layers: NPZ, safetensors, file.npz:prefix., or a mapping; or the directory of a "
            "Vision Transformer of Hugging Face",
            kinds=("attention", *LAYERS),
        ),
        Key(
            "labels",
            OneOf(Mapping({axis: Labels() for axis in LABELLED}), Labels()),
            "names of the vectors, features and classes, always text",
            kinds=ALL,
        ),
        Key(
            "similarity",
            OneOf(Choice(tuple(SIMILARITIES)), SIMILARITY),
            "how well a key fits a query",
            "scaled-dot",
            flag=True,
        ),
        Key(
            "scale",
            OneOf(Choice(("auto", "none")), TENSOR),
            "multiplies the scores: a number, one a query head, auto (1/√d_k if scaled) or none",
            "auto",
            flag=True,
        ),
        Key(
            "causal",
            Boolean(),
            "a query sees no key after its own place",
            "false",
            ("attention", *LAYERS),
            flag=True,
        ),
        Key(
            "align",
            OneOf(Choice(("top-left", "bottom-right")), Integer()),
            "where queries stand: the first at the first key (top-left), the last at the last real "
            "key (bottom-right), or the first after N keys",
            flag=True,
        ),
        Key(
            "window",
            Bounds(),
            "keys seen left and right of a query's place, such as '[2, 0]'; null is unbounded",
            flag=True,
        ),
        Key(
            "mask",
            MASK,
            "broadcast from the right to (… n_heads n_queries n_keys): true = may attend, floats "
            "are added",
            kinds=("attention", *LAYERS),
            flag=True,
        ),
        Key("key_mask", MASK, "(batch… n_keys): which keys are real", kinds=("attention", *LAYERS)),
        Key("source_mask", MASK, "a decoder's mask of (n_queries n_source) pairs", kinds=DECODER),
        Key(
            "source_key_mask",
            MASK,
            "(batch… n_source): which vectors of the source are real",
            kinds=DECODER,
        ),
        Key("query_mask", MASK, "(batch… n_queries): rows that are false are set to zero"),
        Key(
            "mask_means",
            Choice(("keep", "drop", "add")),
            "what true or 1 means in a mask: keep, drop, or add the number to the score",
            "booleans keep",
            ("attention", *LAYERS),
        ),
        Key(
            "key_lengths",
            TENSOR,
            "real keys: a number, (batch…) or (batch… n_queries)",
            flag=True,
        ),
        Key(
            "past",
            Mapping({"key": TENSOR, "value": TENSOR}),
            "a cache in front of the keys and values, {key: …, value: …}, each (… kv_heads n d)",
        ),
        Key(
            "bias",
            OneOf(Mapping({"alibi": Boolean(), "relative": TENSOR}), TENSOR),
            "added to the scores: a table, {alibi: true} or {relative: table}",
        ),
        Key("rope", ROPE, "rotary positions: {base: 10000, pairing: halves}"),
        Key("sink", TENSOR, "a raw extra score in the denominator: a number, or one a query head"),
        Key("zero_key", Boolean(), "one more key and value of zeros", "false"),
        Key(
            "softcap",
            POSITIVE,
            "c in c · tanh(score / c), after the scale and before the mask",
            flag=True,
        ),
        Key("temperature", POSITIVE, "divides inside the normalizer", "1", flag=True),
        Key(
            "normalizer",
            Choice(tuple(NORMALIZERS)),
            "from scores to weights",
            "softmax",
            flag=True,
        ),
        Key(
            "heads",
            COUNT,
            "splits a packed last axis in this many heads",
            kinds=("attention", *LAYERS),
            flag=True,
        ),
        Key("kv_heads", COUNT, "heads of key and value, where they are fewer", flag=True),
        Key(
            "layout",
            Choice((*LAYOUTS, *IMAGE_LAYOUTS)),
            "order of the axes: (… H n d), (… n H d), (n B d); of an image (… h w c), (… c h w)",
            "heads-first; of an image hwc",
            ALL,
            {
                "encoder": (*LAYER_LAYOUTS, *IMAGE_LAYOUTS),
                "decoder": LAYER_LAYOUTS,
                "convolution": IMAGE_LAYOUTS,
            },
            flag=True,
        ),
        Key(
            "masked_row",
            Choice(("zero", "nan", "uniform", "error")),
            "what a query gets that may attend to nothing",
            "zero",
            ("attention", *LAYERS),
        ),
        Key(
            "norm",
            Choice(("post", "pre")),
            "where the norms of a layer stand: after the residual connections, or before the "
            "sublayers",
            "post",
            LAYERS,
        ),
        Key(
            "activation",
            Choice(("relu", "gelu", "gelu-tanh", "silu")),
            "inside the feed-forward network",
            "relu",
            LAYERS,
        ),
        Key("epsilon", Number(minimum=0), "ε of the layer norms", "1e-5", LAYERS),
        Key(
            "positions",
            OneOf(Choice(("none", "sinusoidal")), TENSOR),
            "added to the input of the first layer: sinusoidal, or a table (n d)",
            "none",
            LAYERS,
        ),
        Key(
            "embedding",
            LINEAR,
            "what makes vectors of the input: {weight: (d_in d), bias: (d)}",
            kinds=ENCODER,
        ),
        Key("class_token", TENSOR, "one more vector (d), in front of the input's", kinds=ENCODER),
        Key(
            "pooler",
            LINEAR,
            "tanh(x W + b) of the class token's vector, beside the output",
            kinds=ENCODER,
        ),
        Key(
            "head",
            LINEAR,
            "makes the output of the class token's vector, or of each: {weight: (d n), bias: (n)}",
            kinds=ENCODER,
        ),
        Key("image", TENSOR, "(… h w c), or a table (h w) of one channel", kinds=CONVOLUTION),
        Key("kernel", TENSOR, "(c_out c_in kh kw), or a table (kh kw)", kinds=CONVOLUTION),
        Key("kernel_bias", TENSOR, "one number a channel of the result", kinds=CONVOLUTION),
        Key(
            "padding",
            Choice(("zero", "replicate")),
            "what lies beyond the border of the image: zeros, or its nearest pixel",
            "zero",
            CONVOLUTION,
        ),
        Key("dilation", COUNT, "how far pixels of the kernel are apart", "1", CONVOLUTION),
        Key("stride", COUNT, "how far pixels of the result are apart", "1", CONVOLUTION),
        Key(
            "sharpness",
            POSITIVE,
            "α of the heads that play the kernel: the larger, the nearer to the convolution",
            "46",
            CONVOLUTION,
        ),
        Key("zero_norm", Choice(("error", "zero")), "what the cosine of a zero vector is", "error"),
        Key("allow_nonfinite", Boolean(), "let NaN and infinity into the vectors", "false", ALL),
        Key(
            "dialect",
            Choice(tuple(DIALECTS)),
            "a library whose choices hold where the problem is silent",
            kinds=("attention", *LAYERS),
            flag=True,
        ),
        Key(
            "dtype",
            Choice(("float32", "float64")),
            "the computing type",
            "the widest of the vectors and weights, float32 at least",
            kinds=ALL,
            flag=True,
        ),
        Key(
            "notation",
            Choice(("rows", "columns")),
            "whether the vectors of a table are its rows or its columns",
            "rows",
            ALL,
            flag=True,
        ),
    )
}

PROBLEM = Mapping({name: key.type for name, key in KEYS.items()}, FOREIGN)
"""The type of a whole problem file."""
