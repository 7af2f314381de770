"""torch's MultiheadAttention and Transformer layers as problem files that a user would write.

The parameters are the case's own state_dict, `CASE.npz:param.`; a mask that is True where torch
leaves a key out is torch's habit, which the problem names (`dialect: torch-mha`) or spells out.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.conformance.cases import Arrays, Case, Entry, Problem, entries

DIALECT: Problem = {"dialect": "torch-mha"}

MASKS = {
    "mask": ("attn_mask", "src_mask", "tgt_mask", "mask"),
    "key_mask": ("key_padding_mask", "src_key_padding_mask", "tgt_key_padding_mask"),
    "source_mask": ("memory_mask",),
    "source_key_mask": ("memory_key_padding_mask",),
}
"""Our masks, and what torch calls them."""

STEPS = {
    "self_attn.output": "self_attention.output",
    "self_attn.weights": "self_attention.weights",
    "multihead_attn.output": "cross_attention.output",
    "multihead_attn.weights": "cross_attention.weights",
    "linear1": "feed_forward.hidden",
    "linear2": "feed_forward.output",
    "norm1": "norm1",
    "norm2": "norm2",
    "norm3": "norm3",
}
"""torch's modules inside a layer, and our steps."""


def cases() -> Iterator[Case]:
    for entry in entries("torch_layers"):
        if entry.op == "multi_head_attention":
            yield heads(entry)
        elif entry.op == "transformer":
            yield from transformer(entry)
        else:
            yield stack(entry)


def heads(entry: Entry) -> Case:
    """`mid.context` is our joined; without weights torch gives a fully masked row zero context."""
    attributes = entry.attributes
    flipped = not attributes["batch_first"] and not attributes["unbatched"]
    problem: Problem = {
        **entry.some(query="in.query", key="in.key", value="in.value"),
        "heads": attributes["num_heads"],
        **common(entry, flipped),
    }
    if attributes.get("add_zero_attn"):
        problem["zero_key"] = True
    if not attributes["need_weights"]:
        problem["masked_row"] = "zero"
    expected = {
        "weights": entry["mid.attn_weights_per_head"],
        "joined": batch_first(entry["mid.context"], flipped),
        "output": entry["out.attn_output"],
    }
    expected |= {
        name: split(batch_first(entry[f"mid.{name[0]}_proj"], flipped), attributes["num_heads"])
        for name in ("query", "key", "value")
    }
    return entry.case({**problem, **DIALECT}, expected, spelled(entry, problem))


def stack(entry: Entry) -> Case:
    """A layer, or a stack of them; a layer's hooks have no `layers.N` in front."""
    is_decoder = "decoder" in entry.op
    flipped = not entry.attributes["batch_first"]
    problem: Problem = {
        **layered(entry, "decoder" if is_decoder else "encoder"),
        **entry.some(input="in.tgt" if is_decoder else "in.src", source="in.memory"),
        **common(entry, flipped),
    }
    expected = {**inside(entry, "mid.", is_decoder, flipped), "output": entry["out.output"]}
    return entry.case({**problem, **DIALECT}, expected, spelled(entry, problem))


def transformer(entry: Entry) -> Iterator[Case]:
    """nn.Transformer is two problems: the decoder's source is what the encoder gave."""
    encoder: Problem = {
        **layered(entry, "encoder"),
        "input": entry.at("in.src"),
        "parameters": entry.at("param.encoder."),
    }
    steps = inside(entry, "mid.encoder.", False, False)
    yield entry.case(encoder, {**steps, "output": entry["mid.encoder"]}, part="-encoder")
    decoder: Problem = {
        **layered(entry, "decoder"),
        "input": entry.at("in.tgt"),
        "source": entry.at("mid.encoder"),
        "mask": entry.at("in.tgt_mask"),
        "parameters": entry.at("param.decoder."),
    }
    steps = inside(entry, "mid.decoder.", True, False)
    expected = {**steps, "output": entry["out.output"]}
    yield entry.case({**decoder, **DIALECT}, expected, spelled(entry, decoder), part="-decoder")


def layered(entry: Entry, kind: str) -> Problem:
    attributes = entry.attributes
    return {
        "kind": kind,
        "heads": attributes["nhead"],
        "norm": "pre" if attributes["norm_first"] else "post",
        "activation": attributes["activation"],
        "epsilon": attributes["layer_norm_eps"],
    }


def common(entry: Entry, flipped: bool) -> Problem:
    """Parameters, layout and masks."""
    masks = {
        ours: entry.at(f"in.{name}")
        for ours, theirs in MASKS.items()
        for name in theirs
        if f"in.{name}" in entry
    }
    layout = {"layout": "sequence-first"} if flipped else {}
    return {"parameters": entry.at("param."), **layout, **masks}


def spelled(entry: Entry, problem: Problem) -> Problem:
    """What `dialect: torch-mha` decides: True drops, NaN in a fully masked row, (N·H L S) masks."""
    arrays = {
        key: entry[problem[key].partition(":")[2]]
        for key in MASKS
        if isinstance(problem.get(key), str)
    }
    choices: dict[str, Any] = {"masked_row": problem.get("masked_row", "nan")}
    if any(array.dtype == bool for array in arrays.values()):
        choices["mask_means"] = "drop"
    mask = arrays.get("mask")
    if mask is not None and mask.ndim == 3:
        choices["mask"] = mask.reshape(-1, problem["heads"], *mask.shape[1:])
    return problem | choices


def inside(entry: Entry, prefix: str, is_decoder: bool, flipped: bool) -> Arrays:
    """The values of torch's modules under the names of our steps."""
    last = "norm3" if is_decoder else "norm2"
    if entry.attributes["norm_first"]:
        last = "feed_forward_residual"
    steps: Arrays = {}
    for name, array in entry.arrays.items():
        if not name.startswith(prefix) or name == "mid.output_fast_path":
            continue
        module = name.removeprefix(prefix)
        layer, module = (
            ("layers.0", module) if module[:7] != "layers." else (module[:8], module[9:])
        )
        step = "norm" if module == "norm" else f"{layer}.{STEPS.get(module, last)}"
        steps[step] = batch_first(array, flipped and not name.endswith("weights"))
    return steps


def batch_first(array: np.ndarray, flipped: bool) -> np.ndarray:
    return np.swapaxes(array, 0, 1) if flipped else array


def split(packed: np.ndarray, n: int) -> np.ndarray:
    """(… n H·d) as (… H n d)."""
    return np.moveaxis(packed.reshape(*packed.shape[:-1], n, -1), -2, -3)
