"""More bad inputs: what is sound by itself, and does not fit the rest of its problem."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bad_inputs.cases import GOOD, SELF, Case, npy, npz, tensor, text, vision

BATCH = "query: [[[1, 0]], [[0, 1]]]\nkey: query\nvalue: query\n"
"""Two batch entries of one vector."""
STATE = "input: [[1, 0]]\nheads: 1\nparameters:\n"
VIT = Path(__file__).parent.parent / "conformance" / "hf_tiny" / "vit-a" / "config.json"


def arrangements() -> Iterator[Case]:
    """Axes, heads and layouts."""
    yield text("scores and a cache", "scores: [[1, 2]]\npast: {key: [[1]], value: [[1]]}\n")
    yield text("scores and rope", "scores: [[1, 2]]\nrope: {base: 100}\n")
    yield text("scores and a zero key", "scores: [[1, 2]]\nzero_key: true\n")
    yield text("scores of one number", "scores: 3\n")
    yield Case(
        "scores without keys",
        ("attend", "p.yaml"),
        {"p.yaml": b"scores: s.npy\n", "s.npy": npy(np.ones((2, 0)))},
    )
    yield text(
        "a head axis in one of three",
        "query: [[[[1, 0]]]]\nkey: [[[1, 0]]]\nvalue: [[[1, 0]]]\n",
    )
    yield text("heads of a head axis", "query: [[[[1, 0]]]]\nkey: query\nvalue: query\nheads: 2\n")
    deep = "query: [[[[1, 0]], [[0, 1]]]]\nkey: [[[[1, 0]]]]\nvalue: key\nkv_heads: 2\n"
    yield text("kv_heads of a head axis", deep)
    yield text(
        "heads of tokens first",
        "query: [[[[1, 0], [0, 1], [1, 1]]]]\nkey: query\nvalue: query\n"
        "layout: tokens-first\nheads: 2\n",
    )
    yield text(
        "sequence first with heads",
        "query: [[[[1, 0]]]]\nkey: query\nvalue: query\nlayout: sequence-first\n",
    )
    truth = npy(np.ones((1, 2), dtype=bool))
    yield tensor("vectors of truth values", "q.npy", truth)
    yield text("labels of features too few", GOOD + "labels: {feature: [a, b, c]}\n")


def masks() -> Iterator[Case]:
    """Masks, lengths, biases and rotations."""
    yield text(
        "bottom-right of a length a query",
        GOOD.replace("[[1, 0]]", "[[1, 0], [0, 1]]", 1)
        + "key_lengths: [1, 2]\nalign: bottom-right\ncausal: true\n",
    )
    yield text("query mask that is added", GOOD + "query_mask: [0.5]\n")
    yield Case(
        "bias that is boolean",
        ("attend", "p.yaml"),
        {"p.yaml": (GOOD + "bias: m.npy\n").encode(), "m.npy": npy(np.ones((1, 2), dtype=bool))},
    )
    yield text("bias beyond float32", GOOD + "bias: [[1e300, -.inf]]\ndtype: float32\n")
    yield text("mask beyond float32", GOOD + "mask: [[-1e300, -.inf]]\ndtype: float32\n")
    yield text("lengths of another batch", BATCH + "key_lengths: [1, 1, 1]\n")
    yield text("key mask of another batch", BATCH + "key_mask: [[true], [true], [true]]\n")
    yield text("query mask of another batch", BATCH + "query_mask: [[true], [true], [true]]\n")
    yield text("relative of another head", SELF + "bias: {relative: [[1, 0, 1], [1, 0, 1]]}\n")
    yield text("cos and sin differ", SELF + "rope: {cos: [[1], [1]], sin: [[0]]}\n")
    yield text("cos is a vector", SELF + "rope: {cos: [1, 1], sin: [0, 0]}\n")
    yield text("width beside cos", SELF + "rope: {cos: [[1], [1]], sin: [[0], [0]], width: 4}\n")
    long = "rope: {cos: [[[1], [1]]], sin: [[[0], [0]]]}\n"
    yield text("cos of another length", BATCH + long)
    for name, positions in {"beyond": "[0, 2]", "below": "[-1, 0]", "between": "[0, 0.5]"}.items():
        rope = f"rope: {{cos: [[1], [1]], sin: [[0], [0]], positions: {positions}}}\n"
        yield text(f"positions {name} the rows", SELF + rope)
    yield text("positions for one of two", SELF + "rope: {positions: [0]}\n")
    yield text("positions of one axis too many", SELF + "rope: {positions: [[0, 1]]}\n")
    yield text("positions of another batch", BATCH + "rope: {positions: [[0, 1], [0, 1]]}\n")


def tables() -> Iterator[Case]:
    """Projections, parameters and similarities."""
    both = "  in_proj_weight: [[1, 0]]\nprojections: {query: [[1], [0]]}\n"
    yield text("parameters and projections", STATE + both)
    yield text("projection of one axis", "input: [[1, 0]]\nprojections: {query: [1, 0]}\n")
    yield text(
        "tables for the heads of the query alone",
        "input: [[1, 0]]\nprojections: {query: [[[1], [0]]], key: [[1], [0]], value: [[1], [0]]}\n",
    )
    yield Case(
        "prefix of no tensor",
        ("attend", "p.yaml"),
        {
            "p.yaml": b"input: [[1, 0]]\nheads: 1\nparameters: 's.npz:mha.'\n",
            "s.npz": npz(**{"in_proj_weight": np.ones((6, 2)), "out_proj.weight": np.eye(2)}),
        },
    )
    yield text("a tensor of another module", STATE + "  in_proj_wieght: [[1, 0]]\n")
    yield text("biases alone", STATE + "  out_proj.bias: [1, 0]\n")
    yield text("packed tables that are two", STATE + "  in_proj_weight: [[1, 0], [0, 1]]\n")
    yield text("packed tables in one row", STATE + "  in_proj_weight: [1, 0, 1]\n")
    yield text(
        "no table of the values", STATE + "  q_proj_weight: [[1, 0]]\n  k_proj_weight: [[1, 0]]\n"
    )
    separate = "".join(f"  {letter}_proj_weight: [1, 0]\n" for letter in "qkv")
    yield text("tables of one axis", STATE + separate + "  out_proj.weight: [[1]]\n")
    square = "".join(f"  {letter}_proj_weight: [[1, 0], [0, 1]]\n" for letter in "qkv")
    yield text("no table of the output", STATE + square)
    yield text("output table of one axis", STATE + square + "  out_proj.weight: [1, 0]\n")
    output = "  out_proj.weight: [[1, 0], [0, 1]]\n"
    yield text(
        "bias of the output too long", STATE + square + output + "  out_proj.bias: [1, 0, 1]\n"
    )
    yield text("a bias for one", STATE + square + output + "  in_proj_bias: [[1], [0]]\n")
    yield text(
        "bias_k of another width", STATE + square + output + "  bias_k: [1]\n  bias_v: [1, 2]\n"
    )
    yield text(
        "mlp with a layer without weight",
        GOOD + "similarity: {name: mlp, layers: [{activation: relu}]}\n",
    )
    yield text(
        "mlp with a weight of three axes",
        GOOD + "similarity: {name: mlp, layers: [{weight: [[[1]]]}]}\n",
    )
    yield vision("embedding of one axis", "embedding: {weight: [1, 0]}")
    yield vision("bias of two axes", "embedding: {weight: [[1, 0], [0, 1]], bias: [[1, 0]]}")


def values() -> Iterator[Case]:
    """Values of another kind than their key's."""
    yield text("labels in a mapping of mappings", GOOD + "labels: {query: {a: b}}\n")
    yield text("labels with an empty entry", BATCH + "labels: {query: [[a], []]}\n")
    yield text("labels of nothing", BATCH + "labels: {query: []}\n")
    yield text("a number in quotes", GOOD + 'heads: "2"\n')
    yield text("a number with a point", GOOD + "heads: 2.0\n")
    yield text("a number too long", GOOD + f"heads: {10**18}\n")
    yield text("mask of true", GOOD + "mask: 'true'\n")


def conversions() -> Iterator[Case]:
    """What `inspect -o` cannot write."""
    files = {"p.yaml": GOOD.encode(), "a.npz": npz(query=[[1.0]], other=[[1.0]])}
    endless = npz(query=[[1.0]], mask=[[-np.inf]])
    yield Case("no tensor of a problem", ("inspect", "p.yaml:mask", "-o", "m.npy"), files)
    yield Case("a key that there is not", ("inspect", "a.npz", "-o", "q.yaml"), files)
    yield Case("infinity in JSON", ("inspect", "b.npz", "-o", "b.json"), {"b.npz": endless})


def directories() -> Iterator[Case]:
    """Directories of models. A case lays no file in one, so they stand for themselves."""
    yield Case(
        "a directory for a decoder",
        ("attend", "p.yaml"),
        {"p.yaml": b"kind: decoder\ninput: [[1, 0]]\nsource: input\nheads: 1\nparameters: ./\n"},
    )
    problem = b"kind: encoder\ninput: [[1, 0]]\nparameters: ./\n"
    config = json.loads(VIT.read_text())
    yield Case("config is a list", ("attend", "p.yaml"), {"p.yaml": problem, "config.json": b"[]"})
    shards = json.dumps({"weight_map": {"a": "../other.safetensors"}}).encode()
    lists = json.dumps({"weight_map": ["a"]}).encode()
    settings = json.dumps(config).encode()
    for name, index in {"leads away": shards, "is a list": lists}.items():
        files = {"p.yaml": problem, "config.json": settings, "model.safetensors.index.json": index}
        yield Case(f"index {name}", ("attend", "p.yaml"), files)


def pictures() -> Iterator[Case]:
    """Pictures that are too large."""
    buffer = io.BytesIO()
    Image.new("1", (1 << 15, 1 << 13)).save(buffer, "PNG")
    yield Case(
        "a picture of too many pixels",
        ("attend", "p.yaml"),
        {"p.yaml": b"input: q.png\n", "q.png": buffer.getvalue()},
    )


CASES = [
    *arrangements(),
    *masks(),
    *tables(),
    *values(),
    *conversions(),
    *directories(),
    *pictures(),
]
