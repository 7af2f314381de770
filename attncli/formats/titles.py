"""What a step is called, and its formula: one table for rows, one for columns.

Both are looked up by the kind of problem, the name of the step and, where they depend on it, of the
similarity, the scale or the normalizer. S stands for the scores as the step before left them, A for
the weights; in columns notation A for the scores and A′ for the weights, as lecturers write.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from attncli.core import normalize
from attncli.core.problem import Notation, Problem


@dataclass(frozen=True, slots=True)
class Title:
    """`Scores` and `S = Q Kᵀ`."""

    title: str
    formula: str


TITLES = {
    "query": "Queries",
    "key": "Keys",
    "value": "Values",
    "scores": "Scores",
    "scaled": "Scaled",
    "capped": "Capped",
    "biased": "Biased",
    "masked": "Masked",
    "weights": "Weights",
    "lse": "Log-sum-exp",
    "heads": "Heads",
    "joined": "Joined",
    "output": "Output",
    "convolution": "Convolution",
    "attention": "Attention",
    "difference": "Difference",
    "shifts": "Shifts",
    "falloff": "Falloff",
}

SIMILARITIES: Mapping[Notation, Mapping[str, str]] = {
    "rows": {
        "dot": "S = Q Kᵀ",
        "scaled-dot": "S = Q Kᵀ",
        "cosine": "S = Q Kᵀ / (‖q‖ ‖k‖)",
        "general": "S = Q W Kᵀ",
        "additive": "S = vᵀ tanh(Q Wq + K Wk + b)",
        "mlp": "S = mlp([q; k])",
        "euclidean": "S = −‖q − k‖²",
        "gaussian": "S = −‖q − k‖² / 2",
        "given": "S, given",
    },
    "columns": {
        "dot": "A = KᵀQ",
        "scaled-dot": "A = KᵀQ",
        "cosine": "A = KᵀQ / (‖k‖ ‖q‖)",
        "general": "A = KᵀWᵀQ",
        "additive": "A = vᵀ tanh(Wqᵀ Q + Wkᵀ K + b)",
        "mlp": "A = mlp([q; k])",
        "euclidean": "A = −‖q − k‖²",
        "gaussian": "A = −‖q − k‖² / 2",
        "given": "A, given",
    },
}

NORMALIZERS = {
    "softmax": "softmax(S)",
    "sparsemax": "sparsemax(S)",
    "entmax15": "entmax1.5(S)",
    "sigmoid": "sigmoid(S)",
    "hard": "hard(S), 1 at the first maximum",
    "none": "S",
}

SCORES = re.compile(r"\[S, sink\]|\b(?:[SA]|sink)\b")
"""What a normalizer takes; the temperature divides it."""

CONVOLUTION = {
    "convolution": "Σ X[q + shift] W[a, b]ᵀ",
    "attention": "Σ softmax(−α ‖k − (q + shift)‖²) X W[a, b]ᵀ",
    "difference": "attention − convolution",
    "shifts": "where each kernel pixel (a, b), a head, looks",
    "falloff": "largest difference for sharpness α",
}
"""The same in both notations: images lie as they lie."""

LAYER_TITLES = {
    "input": "Input",
    "source": "Source",
    "patches": "Patches",
    "embedded": "Embedded",
    "tokens": "With the class token",
    "positioned": "With positions",
    "pooled": "Pooled",
    "attention_residual": "Residual connection",
    "cross_attention_residual": "Residual connection",
    "feed_forward_residual": "Residual connection",
    "norm1": "Norm 1",
    "norm2": "Norm 2",
    "norm3": "Norm 3",
    "norm": "Last norm",
    "hidden": "Hidden",
    "activated": "Activated",
    "output": "Output",
}

NORM = "(x − mean) / √(variance + ε) · weight + bias"
LAYERS: Mapping[Notation, Mapping[str, str]] = {
    "rows": {
        "input": "X",
        "source": "M",
        "patches": "row by row; inside (row, column, channel)",
        "embedded": "X E + e",
        "tokens": "[c; X]",
        "positioned": "X + P",
        "pooled": "tanh(x Wp + bp), x of the class token",
        "attention_residual": "X + attention",
        "cross_attention_residual": "X + attention",
        "feed_forward_residual": "X + feed-forward",
        **dict.fromkeys(("norm1", "norm2", "norm3", "norm"), NORM),
        "hidden": "H = X W1 + b1",
        "activated": "{}(H)",
        "feed_forward": "{}(H) W2 + b2",
        "output": "what the last step gave",
    },
    "columns": {
        "embedded": "E X + e",
        "tokens": "[c, X]",
        "pooled": "tanh(Wp x + bp), x of the class token",
        "hidden": "H = W1 X + b1",
        "feed_forward": "W2 {}(H) + b2",
    },
}
"""Steps of layers outside their attentions; X is what the sublayer got."""

ATTENTION: Mapping[Notation, Mapping[str, str]] = {
    "rows": {
        "query": "Q",
        "key": "K",
        "value": "V",
        "scores": "",
        "scaled": "S / √d_k",
        "capped": "c · tanh(S / c)",
        "biased": "S + bias",
        "masked": "−∞ where a key is excluded",
        "weights": "A = {}",
        "lse": "log Σ exp(S)",
        "heads": "O = A V, each head",
        "joined": "the heads side by side",
        "output": "O = A V",
    },
    "columns": {
        "query": "Q",
        "key": "K",
        "value": "V",
        "scores": "",
        "scaled": "A / √d_k",
        "capped": "c · tanh(A / c)",
        "biased": "A + bias",
        "masked": "−∞ where a key is excluded",
        "weights": "A′ = {}, down each column",
        "lse": "log Σ exp(A)",
        "heads": "O = V A′, each head",
        "joined": "the heads, one above the other",
        "output": "O = V A′",
    },
}

FORMULAS: Mapping[str, Mapping[Notation, Mapping[str, str]]] = {
    "attention": ATTENTION,
    "convolution": {"rows": CONVOLUTION, "columns": CONVOLUTION},
}
"""By the kind of problem; layers have theirs above, and inside the attention's."""


def title(problem: Problem, step_name: str, notation: Notation) -> Title:
    """The title and the formula of a step of a problem."""
    settings = {"kind": problem.kind, **problem.settings(), **problem.traits()}
    return described(step_name, settings, notation)


def described(step_name: str, settings: Mapping[str, Any], notation: Notation) -> Title:
    """The title and the formula of a step, under a problem's settings, its kind among them.

    The last part of a dotted name decides. A step that is not in the tables of its kind is called
    by its own name, without a formula.
    """
    recipe, _, step_name = step_name.rpartition(".")
    if "layers" in settings:
        within = _within(recipe)
        if recipe.endswith("attention"):
            keys = "source" if recipe.endswith("cross_attention") else "input"
            made_of = {"query": "input", "key": keys, "value": keys}
            inside = {**settings, "kind": "attention", "made_of": made_of}
            found = _describe(step_name, inside, notation)
        else:
            found = _of_layer(recipe, step_name, settings, notation)
        return Title(f"{found.title}, {within}" if within else found.title, found.formula)
    return _describe(step_name, settings, notation)


def shortest(name: str, names: Collection[str]) -> str:
    """The shortest end of a step's name, cut at a point, that is no other step's."""
    parts = name.split(".")
    ends = (".".join(parts[i:]) for i in reversed(range(len(parts))))
    return next((end for end in ends if len(owners(end, names)) == 1), name)


def owners(end: str, names: Collection[str]) -> list[str]:
    """The steps that are called so, or whose names end so."""
    return [name for name in names if name == end or name.endswith(f".{end}")]


def _within(recipe: str) -> str:
    """`layers.0.self_attention` in words: layer 0, self-attention."""
    _, _, inside = recipe.partition(".")
    number, _, name = inside.partition(".")
    words = [f"layer {number}"] * bool(number) + [name.replace("_", "-")] * bool(name)
    return ", ".join(words)


def _of_layer(recipe: str, name: str, settings: Mapping[str, Any], notation: Notation) -> Title:
    """A step of a layer outside its attentions."""
    part = "feed_forward" if recipe.endswith("feed_forward") and name == "output" else name
    formula = {**LAYERS["rows"], **LAYERS[notation]}.get(part, "")
    formula = formula.format(settings.get("activation", "relu"))
    if name == "output" and part == name and settings.get("head"):
        product = "{} Wh" if notation == "rows" else "Wh {}"
        bias = " + bh" if settings.get("head_bias") else ""
        formula = "y = " + product.format("x") + bias + ", x of the class token"
        if not settings.get("class_token"):
            formula = "Y = " + product.format("X") + bias
    if name == "embedded" and not settings.get("embedding_bias"):
        formula = formula.removesuffix(" + e")
    if not settings.get("biased", True):
        for term in (" + bias", " + b1", " + b2"):
            formula = formula.removesuffix(term)
    return Title(LAYER_TITLES[name], formula)


def _describe(step_name: str, settings: Mapping[str, Any], notation: Notation) -> Title:
    kind = str(settings.get("kind", "attention"))
    formula = FORMULAS.get(kind, {}).get(notation, {}).get(step_name)
    if formula is None:
        words = step_name.replace("_", " ")
        return Title(words[:1].upper() + words[1:], "")
    match step_name:
        case "scores":
            formula = SIMILARITIES[notation][str(settings.get("similarity", "dot"))]
        case "query" | "key" | "value":
            formula = _projected(formula, settings, notation)
        case "scaled":
            formula = _scaled(formula, settings.get("scale", "auto"))
        case "capped" if (cap := settings.get("softcap")) is not None:
            formula += f", c = {cap:g}"
        case "weights":
            formula = _weights(formula, settings, notation)
        case "lse":
            if settings.get("sink") is not None:
                formula = f"log (Σ exp({formula[-2]}) + exp(sink))"
            formula = _warm(formula, settings)
        case "output" if "output" in settings.get("projected", ()):
            formula = "O = B Wo" if notation == "rows" else "O = Wo B"
            formula += " + bo" * ("output" in settings.get("shifted", ()))
        case "convolution" | "attention" if settings.get("kernel_bias"):
            formula += " + bias"
        case "output" if settings.get("joined"):
            formula = "O = the joined heads"
    return Title(TITLES[step_name], formula)


def _projected(formula: str, settings: Mapping[str, Any], notation: Notation) -> str:
    """Q, or Q = X Wq of an input; in columns Q = Wq I, with I the input's vectors a1, a2, …."""
    names = {"Q": "query", "K": "key", "V": "value"}
    given = settings.get("made_of", {}).get(names[formula], "")
    letter = {"input": "X", "source": "M"}.get(given, formula)
    if notation == "columns":
        letter = {"X": "I"}.get(letter, letter)
    if names[formula] not in settings.get("projected", ()):
        return formula if letter == formula else f"{formula} = {letter}"
    table = f"W{names[formula][0]}"
    product = f"{letter} {table}" if notation == "rows" else f"{table} {letter}"
    shift = f" + b{names[formula][0]}" * (names[formula] in settings.get("shifted", ()))
    return f"{formula} = {product}{shift}"


def _scaled(formula: str, scale: Any) -> str:
    """S / √d_k, or S · 0.5, or one factor a head."""
    letter = formula[0]
    if scale == "auto" or scale is None:
        return formula
    if isinstance(scale, list) and len(scale) == 1:
        (scale,) = scale
    if isinstance(scale, int | float):
        return f"{letter} · {scale:g}"
    return f"{letter} · the scale of each head"


def _weights(formula: str, settings: Mapping[str, Any], notation: Notation) -> str:
    name = str(settings.get("normalizer", "softmax"))
    normalized = NORMALIZERS[name]
    if settings.get("sink") is not None:
        normalized = normalized.replace("(S", "([S, sink]")
    normalized = _warm(normalized, settings)
    if notation == "columns":
        normalized = normalized.replace("S", "A")
    # The column is what the normalizer sums over; the others take each score for itself.
    if not normalize.NORMALIZERS[name].sums_to_one:
        formula = formula.partition(",")[0]
    return formula.format(normalized)


def _warm(formula: str, settings: Mapping[str, Any]) -> str:
    """The formula with the temperature, if there is one."""
    temperature = settings.get("temperature")
    if temperature is None or temperature == 1:
        return formula
    return SCORES.sub(r"\g<0> / T", formula) + f", T = {temperature:g}"
