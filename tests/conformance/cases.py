"""Each conformance case as a problem file that a user would write, and what its steps must be.

A problem is a dict with the public keys of a problem file. Its arrays are references into the
case's own NPZ (`CASE.npz:in.Q`) wherever the source's layout is ours; where it is not (a torch
Linear weight is `(out in)`, ours multiplies from the right), the adapted array stands in the
problem and is saved beside it, as a user would do.
"""

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests import problem_file

HERE = Path(__file__).parent
Arrays = dict[str, np.ndarray]
Problem = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One case: the problem, what its steps must be, and how near."""

    id: str
    file: Path
    problem: Problem
    expected: Arrays
    """Step name to array, in the shape in which we give that step."""
    rtol: float
    atol: float
    spelled: Problem = field(default_factory=dict)
    """The same problem without its dialect, the dialect's choices spelled out; empty if none."""

    def write(self, folder: Path, problem: Problem) -> Path:
        """The problem as a file in a folder, the case's NPZ beside it."""
        shutil.copyfile(self.file, folder / self.file.name)
        return problem_file.write(folder, problem)


@dataclass(frozen=True)
class Entry:
    """One entry of an index, opened."""

    id: str
    op: str
    file: Path
    attributes: dict[str, Any]
    tolerance: dict[str, float]
    arrays: Arrays

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def at(self, name: str) -> str:
        """The reference to an array of this case, as it stands in a problem file."""
        return f"{self.file.name}:{name}"

    def some(self, **names: str) -> Problem:
        """References for the keys whose array this case has."""
        return {key: self.at(name) for key, name in names.items() if name in self}

    def case(
        self, problem: Problem, expected: Arrays, spelled: Problem | None = None, part: str = ""
    ) -> Case:
        return Case(
            id=self.id + part,
            file=self.file,
            problem=problem,
            expected=expected,
            spelled=spelled or {},
            **self.tolerance,
        )


def entries(source: str) -> Iterator[Entry]:
    """The entries of one index."""
    index = yaml.safe_load((HERE / source / "index.yaml").read_text(encoding="utf-8"))
    for raw in index["cases"]:
        file = HERE / source / raw["file"]
        with np.load(file, allow_pickle=False) as arrays:
            yield Entry(
                id=f"{source}/{raw['id']}",
                op=raw["op"],
                file=file,
                attributes=raw["attributes"],
                tolerance=raw["tolerance"],
                arrays=dict(arrays),
            )


def cases() -> Iterator[Case]:
    """All cases of the attentions."""
    for source, adapter in ADAPTERS.items():
        for entry in entries(source):
            yield from adapter(entry)


# --- onnx


def onnx(entry: Entry) -> Iterator[Case]:
    yield {"Attention": onnx_attention, "RotaryEmbedding": onnx_rotary, "Softmax": onnx_softmax}[
        entry.op
    ](entry)


def onnx_attention(entry: Entry) -> Case:
    """Q, K, V of four axes are ours; of three axes they are packed, and so are Y and our output."""
    attributes = entry.attributes
    problem: Problem = {"query": entry.at("in.Q"), "key": entry.at("in.K")}
    problem |= {"value": entry.at("in.V")}
    if "q_num_heads" in attributes:
        problem |= {"heads": attributes["q_num_heads"], "kv_heads": attributes["kv_num_heads"]}
    problem |= {key: attributes[key] for key in ("scale", "softcap") if attributes.get(key)}
    problem |= entry.some(mask="in.attn_mask", key_lengths="in.nonpad_kv_seqlen")
    if "in.past_key" in entry:
        problem["past"] = entry.some(key="in.past_key", value="in.past_value")
    if attributes.get("is_causal"):
        problem["causal"] = True
    sides = [attributes.get(f"{side}_window_size", -1) for side in ("left", "right")]
    if sides != [-1, -1]:
        problem["window"] = [None if side == -1 else side for side in sides]

    expected = {"output": entry["out.Y"]}
    if "out.present_key" in entry:
        expected |= {"key": entry["out.present_key"], "value": entry["out.present_value"]}
    if "out.qk_matmul_output" in entry:
        hides = {"mask", "key_lengths", "causal", "window"} & set(problem)
        unmasked = "capped" if "softcap" in problem else "scaled"
        by_mode = ["scaled", unmasked, "masked" if hides else unmasked, "weights"]
        mode = attributes.get("qk_matmul_output_mode", 0)
        expected[by_mode[mode]] = entry["out.qk_matmul_output"]
    spelled = problem | _onnx_choices(entry, problem)
    return entry.case({**problem, "dialect": "onnx"}, expected, spelled)


def _onnx_choices(entry: Entry, problem: Problem) -> Problem:
    """What `dialect: onnx` decides: alignment, a short mask, and what three axes of a mask are."""
    choices: Problem = {}
    if {"causal", "window"} & set(problem) and "past" not in problem:
        choices["align"] = "bottom-right" if "key_lengths" in problem else "top-left"
    if "mask" in problem:
        mask, n_keys = entry["in.attn_mask"], entry["in.K"].shape[-2]
        n_keys += entry["in.past_key"].shape[-2] if "past" in problem else 0
        missing = n_keys - mask.shape[-1]
        if missing:
            fill = False if mask.dtype == bool else -np.inf
            rest = np.full((*mask.shape[:-1], missing), fill, dtype=mask.dtype)
            choices["mask"] = np.concatenate([mask, rest], axis=-1)
        elif mask.ndim == 3:
            choices["mask"] = mask[None]
    return choices


def onnx_rotary(entry: Entry) -> Case:
    """X is query and key at once; without values the rotated vectors and the weights are all."""
    attributes = entry.attributes
    rope: Problem = entry.some(cos="in.cos_cache", sin="in.sin_cache", positions="in.position_ids")
    if attributes.get("interleaved"):
        rope["pairing"] = "interleaved"
    if "rotary_embedding_dim" in attributes:
        rope["width"] = attributes["rotary_embedding_dim"]
    problem: Problem = {"query": entry.at("in.X"), "key": "query", "rope": rope}
    rotated = entry["out.Y"]
    if rotated.ndim == 3:
        heads = problem["heads"] = attributes["num_heads"]
        rotated = np.moveaxis(rotated.reshape(*rotated.shape[:2], heads, -1), 2, 1)
    return entry.case(problem, {"query": rotated, "key": rotated})


def onnx_softmax(entry: Entry) -> Case:
    """Along the last axis the scores lie in rows, along the one before it in columns."""
    problem: Problem = {"scores": entry.at("in.input")}
    last = entry["in.input"].ndim - 1
    if entry.attributes.get("axis", -1) not in (-1, last):
        problem["notation"] = "columns"
    return entry.case(problem, {"weights": entry["out.output"]})


# --- torch


def torch(entry: Entry) -> Iterator[Case]:
    """scaled_dot_product_attention."""
    attributes = entry.attributes
    problem: Problem = entry.some(query="in.q", key="in.k", value="in.v", mask="in.attn_mask")
    if "scale" in attributes:
        problem["scale"] = attributes["scale"]
    choices: Problem = {}
    if attributes.get("is_causal"):
        problem["causal"] = True
        choices["align"] = "top-left"
    if attributes["causal_lower_right"]:
        problem |= {"causal": True, "align": "bottom-right"}
    expected = {"weights": entry["mid.attn_weights"], "output": entry["out.output"]}
    yield entry.case({**problem, "dialect": "torch"}, expected, problem | choices)


# --- similarity


def similarity(entry: Entry) -> Iterator[Case]:
    if entry.op == "keras_multi_head_attention":
        yield keras_heads(entry)
        return
    if entry.op == "d2l_multihead":
        yield d2l_heads(entry)
        return
    family = entry.op.partition("_")[0]
    yield {
        "keras": keras,
        "d2l": d2l,
        "allennlp": allennlp,
        "torch": torch_cosine,
        "pytorch": pytorch_nlp,
        "swinv2": swinv2,
    }[family](entry)


def keras(entry: Entry) -> Case:
    """AdditiveAttention is additive without projections; Luong's dot has no 1/√d_k."""
    problem: Problem = entry.some(query="in.query", key="in.key", value="in.value")
    choices: Problem = {}
    if entry.op == "keras_additive_attention":
        tables = entry.some(score_weight="param.scale")
        problem["similarity"] = {"name": "additive", **tables}
    elif entry.attributes.get("score_mode") == "concat":
        problem |= {"similarity": "additive", "scale": entry.at("param.concat_score_weight")}
    else:
        problem |= entry.some(scale="param.scale")
        choices["similarity"] = "dot"
    problem |= entry.some(key_mask="in.value_mask", query_mask="in.query_mask")
    if entry.attributes["use_causal_mask"]:
        problem["causal"] = True
        choices["align"] = "top-left"
    spelled = problem | choices | _keras_masked_row(entry)
    if "mask" in spelled:
        del spelled["key_mask"]
    expected = {"weights": entry["out.attn_weights"], "output": entry["out.output"]}
    return entry.case({**problem, "dialect": "keras"}, expected, spelled)


def keras_heads(entry: Entry) -> Case:
    """Keras keeps a table a head, (d_in heads d_head); ours stand (heads d_in d_head)."""
    made = {"query": "query", "key": "key", "value": "value", "output": "attention_output"}
    tables = {ours: entry[f"param.{theirs}.kernel"] for ours, theirs in made.items()}
    problem: Problem = {
        **entry.some(query="in.query", key="in.key", value="in.value", mask="in.attention_mask"),
        "projections": {
            name: table if name == "output" else np.moveaxis(table, 1, 0)
            for name, table in tables.items()
        },
    }
    biases = {
        ours: entry[f"param.{theirs}.bias"]
        for ours, theirs in made.items()
        if f"param.{theirs}.bias" in entry
    }
    if biases:
        problem["projection_biases"] = biases
    choices: Problem = {"causal": True} if entry.attributes["use_causal_mask"] else {}
    expected = {"weights": entry["out.attn_weights"], "output": entry["out.output"]}
    return entry.case({**problem, **choices, "dialect": "keras-mha"}, expected)


def d2l_heads(entry: Entry) -> Case:
    """Packed torch Linear tables `(out in)`; weights with batch and heads in one axis."""
    made = {"query": "q", "key": "k", "value": "v", "output": "o"}
    heads = entry.attributes["num_heads"]
    problem: Problem = {
        **entry.some(query="in.query", key="in.key", value="in.value", key_lengths="in.valid_lens"),
        "heads": heads,
        "projections": {name: entry[f"param.W_{x}.weight"].T for name, x in made.items()},
        "projection_biases": {name: entry[f"param.W_{x}.bias"] for name, x in made.items()},
        "dialect": "d2l",
    }
    weights = entry["mid.attention_weights"]
    weights = weights.reshape(-1, heads, *weights.shape[1:])
    return entry.case(problem, {"weights": weights, "output": entry["out.output"]})


def _keras_masked_row(entry: Entry) -> Problem:
    """Keras subtracts 1e9: in a row of nothing else float32 rounds the scores away."""
    if "in.value_mask" not in entry:
        return {}
    if entry["in.query"].dtype == np.float32:
        return {"masked_row": "uniform"}
    return {"mask": np.where(entry["in.value_mask"], 0.0, -1e9)[:, None, :]}


def d2l(entry: Entry) -> Case:
    """Torch Linear weights `(out in)`, transposed for tables that multiply from the right."""
    problem: Problem = entry.some(query="in.query", key="in.key", value="in.value")
    if entry.op == "d2l_additive":
        problem["similarity"] = {
            "name": "additive",
            "query_weight": entry["param.W_q.weight"].T,
            "key_weight": entry["param.W_k.weight"].T,
            "score_weight": entry["param.w_v.weight"].T,
        }
    problem |= entry.some(key_lengths="in.valid_lens")
    expected = {"weights": entry["mid.attention_weights"], "output": entry["out.output"]}
    return entry.case({**problem, "dialect": "d2l"}, expected, {**problem, "masked_row": "uniform"})


def allennlp(entry: Entry) -> Case:
    """A vector a batch entry is one query; there are no values, the weights are the result."""
    problem: Problem = {"query": entry["in.vector"][:, None, :], "key": entry.at("in.matrix")}
    problem |= ALLENNLP[entry.op](entry) | entry.some(key_mask="in.mask")
    step = "scaled" if "scale" in problem else "scores"
    expected = {step: entry["out.similarity"], "weights": entry["out.attn_weights"]}
    return entry.case(problem, {name: array[:, None, :] for name, array in expected.items()})


ALLENNLP: dict[str, Callable[[Entry], Problem]] = {
    "allennlp_additive_attention": lambda entry: {
        "similarity": {
            "name": "additive",
            "query_weight": entry.at("param._w_matrix"),
            "key_weight": entry.at("param._u_matrix"),
            "score_weight": entry.at("param._v_vector"),
        }
    },
    "allennlp_bilinear_attention": lambda entry: {
        "similarity": {
            "name": "general",
            "weight": entry.at("param._weight_matrix"),
            "bias": entry.at("param._bias"),
        }
    },
    "allennlp_linear_attention": lambda entry: {
        "similarity": {
            "name": "mlp",
            "layers": [
                {
                    "weight": entry["param._weight_vector"][:, None],
                    "bias": entry.at("param._bias"),
                    "activation": "none",
                }
            ],
        }
    },
    "allennlp_cosine_attention": lambda entry: {"similarity": "cosine", "zero_norm": "zero"},
    "allennlp_dot_product_attention": lambda entry: {"similarity": "dot"},
    "allennlp_scaled_dot_product_attention": lambda entry: {
        "similarity": "dot",
        "scale": 1 / entry.attributes["scores_divided_by"],
    },
}


def torch_cosine(entry: Entry) -> Case:
    """Each norm is at least 1e-8; the source's `temperature` multiplies, which is our scale."""
    problem: Problem = entry.some(query="in.q", key="in.k", value="in.v", mask="in.mask")
    problem["similarity"] = {"name": "cosine", "epsilon": 1e-8}
    problem["scale"] = entry.attributes["temperature"]
    expected = {"scores": entry["out.similarity"], "weights": entry["out.attn_weights"]}
    return entry.case(problem, {**expected, "output": entry["out.output"]})


def pytorch_nlp(entry: Entry) -> Case:
    """Luong's weights; the source's output goes on through tanh(W [mix; q]), which is not ours."""
    problem: Problem = entry.some(query="in.query", key="in.context", value="in.context")
    if "param.linear_in.weight" in entry:
        weight = entry["param.linear_in.weight"].T
        problem["similarity"] = {"name": "general", "weight": weight}
    else:
        problem["similarity"] = "dot"
    return entry.case(problem, {"weights": entry["out.attn_weights"]})


def swinv2(entry: Entry) -> Case:
    """Cosine with one scale a head, exp(min(logit_scale, ln 100)), and a bias table a head."""
    logit_scale = np.minimum(entry["param.logit_scale"], math.log(100))
    problem: Problem = {
        **entry.some(query="mid.query", key="mid.key", value="mid.value"),
        "heads": entry.attributes["num_heads"],
        "similarity": {"name": "cosine", "epsilon": 1e-12},
        "scale": np.exp(logit_scale).ravel(),
        "bias": entry["mid.relative_position_bias"][None],
    }
    expected = {"weights": entry["out.attn_weights"], "output": entry["out.context"]}
    return entry.case(problem, expected)


# --- minilm


def minilm(entry: Entry) -> Iterator[Case]:
    """Packed queries, keys and values of three layers of a real model."""
    layers = [name.split(".")[1] for name in entry.arrays if name.endswith(".q")]
    for layer in layers:
        problem: Problem = {
            **entry.some(query=f"in.{layer}.q", key=f"in.{layer}.k", value=f"in.{layer}.v"),
            "heads": entry.attributes["num_heads"],
        }
        context = entry[f"out.{layer}.context"]
        expected = {"weights": entry[f"out.{layer}.attentions"], "joined": context}
        yield entry.case(problem, {**expected, "output": context}, part=f"-{layer}")


ADAPTERS: dict[str, Callable[[Entry], Iterator[Case]]] = {
    "onnx": onnx,
    "torch": torch,
    "similarity": similarity,
    "minilm": minilm,
}
