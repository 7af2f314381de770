"""`kind: encoder` and `kind: decoder`: from the state_dict of PyTorch's layers to ours.

A state_dict keeps PyTorch's layout, `(d_out d_in)`, in both notations.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from attncli.core.heads import Linear
from attncli.core.labels import Labels, Names
from attncli.core.layers import DecoderLayer, EncoderLayer, FeedForward, LayerNorm, MultiHead
from attncli.core.picture import Picture
from attncli.core.problem import Presentation
from attncli.core.shapes import broadcast, by
from attncli.core.transformer import Decoder, Encoder
from attncli.core.vision import VisionTransformer
from attncli.errors import InputError
from attncli.files.dialects import chosen_dialect
from attncli.files.huggingface import expanded
from attncli.files.images import refuse_large
from attncli.files.masks import Masking
from attncli.files.presentation import spelled
from attncli.files.projections import attention_tables, state_dict
from attncli.files.vectors import Arrangement, Source, Tensor, as_rows, cast, widest
from attncli.files.vision import Vision

State = dict[str, Tensor]

NUMBERED = re.compile(r"layers\.(0|[1-9][0-9]*)\.(.+)", re.ASCII)
ATTENTIONS = {"self_attention": "self_attn", "cross_attention": "multihead_attn"}
"""Our names of the attentions of a layer, and PyTorch's."""


def build(source: Source, name: str) -> Encoder:
    """The encoder or decoder that a problem describes; `name` is its file as the user named it."""
    return _Builder(expanded(source)).problem(name)


class _Builder:
    """One problem in the making: each method settles one of its parts."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.kind: str = source.get("kind")
        self.is_decoder = self.kind == "decoder"
        refuse_large(source, "input")
        self.vectors = {"input": self._needed("input")}
        if self.is_decoder:
            self.vectors["source"] = self._needed("source")
        if "parameters" not in source.entries:
            raise self._missing("parameters")
        state = state_dict(source)
        self.heads: int = source.get("heads")
        self.vision = Vision.read(source, self.vectors["input"])
        if self.vision.made is not None:
            self.vectors["input"] = self.vision.vectors(source.get("notation", "rows"))
        named = source.get("positions", "none")
        table = None if isinstance(named, str) else source.tensor("positions")
        given = [*self.vectors.values(), *state.values(), *self.vision.tables.values()]
        given += [] if table is None else [table]
        self.dtype: str = source.get("dtype") or widest(given)
        allowed: bool = source.get("allow_nonfinite", False)
        arrangement = Arrangement(source.get("notation", "rows"), source.get("layout", ""))
        self.vectors = {
            key: arrangement.arrange(key, cast(key, array, self.dtype, allow_nonfinite=allowed))[0]
            for key, array in self.vectors.items()
        }
        self.state = {
            key: cast(f"parameters.{key}", array, self.dtype) for key, array in state.items()
        }
        self.positions: Any = None
        if table is None:
            self.positions = named if named != "none" else None
        else:
            table = cast("positions", table, self.dtype)
            self.positions = as_rows(table, arrangement.notation) if table.ndim else table
        self._check_widths()

    def problem(self, name: str) -> Encoder:
        """The problem with all that depends on its sizes."""
        norm, states = _parted(self.state)
        if norm:
            self._check(norm, dict(_norm_shapes("norm", self.width)), "")
        common: dict[str, Any] = {
            **self.vectors,
            "norm": self._norm(norm, "norm") if norm else None,
            "positions": self.positions,
            "dtype": self.dtype,
            "presentation": self._presentation(name, len(states)),
            "choices": self.source.choices(),
        }
        sights = self._sights()
        layers = tuple(self._layer(state, prefix, sights) for prefix, state in states.items())
        if not self.vision.is_plain:
            return VisionTransformer(layers=layers, **common, **self.vision.parts(self.dtype))
        kind: type[Encoder] = Decoder if self.is_decoder else Encoder
        return kind(layers=layers, **common)

    @property
    def width(self) -> int:
        """Features of every vector between the layers."""
        made = self.vision.tables.get("embedding.weight", self.vectors["input"])
        return int(made.shape[-1])

    @property
    def seen(self) -> tuple[int, ...]:
        """The shape of what the first layer gets: input, behind a class token."""
        *lead, n, _ = self.vectors["input"].shape
        return (*lead, n + ("class_token" in self.vision.tables), self.width)

    # --- the parameters

    def _layer(self, state: State, prefix: str, sights: dict[str, Any]) -> EncoderLayer:
        """The layer of a state_dict; raises `InputError` for a name or a shape that is not its."""
        self._check_names(state, prefix)
        linears = [
            Linear(state[f"{name}.weight"].T, state.get(f"{name}.bias"))
            for name in ("linear1", "linear2")
        ]
        activation = self.source.get("activation", "relu")
        parts: dict[str, Any] = {
            "feed_forward": FeedForward(linears[0], activation, linears[1]),
            "order": self.source.get("norm", "post"),
        }
        for ours, theirs in ATTENTIONS.items():
            if ours in sights:
                tables = attention_tables(_within(state, f"{theirs}."))
                projections = tables.projections(self.dtype)
                parts[ours] = MultiHead(projections=projections, heads=self.heads, **sights[ours])
        for number in range(1, len(sights) + 2):
            parts[f"norm{number}"] = self._norm(state, f"norm{number}")
        return DecoderLayer(**parts) if self.is_decoder else EncoderLayer(**parts)

    def _norm(self, state: State, name: str) -> LayerNorm:
        weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
        return LayerNorm(weight, bias, self.source.get("epsilon", 1e-5))

    def _check_names(self, state: State, prefix: str) -> None:
        """Every tensor is known and has its shape; none is missing but biases."""
        hidden = next(iter(state["linear1.weight"].shape), 0) if "linear1.weight" in state else 0
        self._check(state, dict(_shapes(self.width, hidden, self.is_decoder)), prefix)

    def _check(self, state: State, shapes: Mapping[str, tuple[int, ...]], prefix: str) -> None:
        for name, array in state.items():
            if name not in shapes:
                raise self._unknown(prefix + name, shapes)
            if array.shape != shapes[name]:
                raise InputError(
                    f"{prefix}{name} has the shape {by(array.shape)}",
                    expected=f"{by(shapes[name])}, PyTorch's (d_out d_in), with d = {self.width}",
                    found=by(array.shape),
                    subject="parameters",
                )
        for name in shapes:
            if name not in state and not name.endswith("bias"):
                raise InputError(
                    f"parameters has no {prefix}{name}",
                    expected=f"the names of torch.nn.Transformer{self.kind.capitalize()}Layer",
                    found=", ".join(list(state)[:4]),
                    subject="parameters",
                )

    def _unknown(self, name: str, shapes: Mapping[str, Any]) -> InputError:
        hint = "parameters: FILE:PREFIX. takes the tensors whose names begin with PREFIX."
        if name.startswith(f"{self.kind}."):
            hint = f"that of a whole Transformer: parameters: FILE:{self.kind}."
        elif "multihead_attn." in name:
            hint = "those of a decoder: kind: decoder"
        return InputError(
            f"parameters has an unknown tensor {name}",
            expected=f"the names of torch.nn.Transformer{self.kind.capitalize()}Layer, such as "
            + ", ".join(list(shapes)[:3]),
            hint=hint,
            subject="parameters",
        )

    def _check_widths(self) -> None:
        d = self.width
        if "source" in self.vectors and self.vectors["source"].shape[-1] != d:
            raise InputError(
                f"source has {self.vectors['source'].shape[-1]} features, input has {d}",
                expected=f"as many, {d}: what an encoder of the same width gave",
                found=str(self.vectors["source"].shape[-1]),
                subject="source",
            )
        if d % self.heads:
            raise InputError(
                f"input has {d} features, which {self.heads} heads cannot share",
                expected=f"a number of heads that divides {d}",
                found=str(self.heads),
                subject="heads",
            )

    # --- what is seen

    def _sights(self) -> dict[str, Any]:
        """What the queries of each attention may attend to."""
        sights = {"self_attention": self._sight(self.seen, "")}
        if self.is_decoder:
            sights["cross_attention"] = self._sight(self.vectors["source"].shape, "source_")
        return sights

    def _sight(self, keys: tuple[int, ...], of: str) -> dict[str, Any]:
        source, queries = self.source, self.seen
        masking = Masking(
            source=source,
            dialect=chosen_dialect(source.get("dialect")),
            batch=broadcast([[*queries[:-2]], [*keys[:-2]]]),
            n_heads=self.heads,
            n_queries=queries[-2],
            n_keys=keys[-2],
            n_past=None,
            dtype=self.dtype,
            columns=source.get("notation") == "columns",
            of=of,
        )
        return masking.sight()

    # --- what is shown

    def _presentation(self, name: str, n_layers: int) -> Presentation:
        source = self.source
        what = self.kind.capitalize() if self.vision.made is None else "Vision Transformer"
        return Presentation(
            title=source.get("title") or f"{what} of {spelled(n_layers, 'layer')}",
            source=name,
            notation=source.get("notation", "rows"),
            layout=source.get("layout", "heads-first"),
            labels=self._labels(),
            pictures=self.pictures,
        )

    @property
    def pictures(self) -> dict[str, Picture]:
        """The picture whose patches are the queries and keys."""
        made = self.vision.made
        return {} if made is None else {"query": made, "key": made}

    def _labels(self) -> Labels:
        """Names of the vectors: a flat list names those of the input; of a decoder, `key` those
        of the source."""
        source = self.source
        given = source.get("labels", {})
        names: dict[str, Names] = {}
        for tensor, axis in (("input", "query"), ("source", "key")):
            vectors, features = source.labels_of(tensor)
            names |= {axis: vectors} if vectors else {}
            names |= {"feature": features} if features else {}
        if isinstance(given, dict):
            names |= {axis: entry.value for axis, entry in given.items()}
        else:
            names["query"] = given
        if self.vision.made is not None and not names.get("query"):
            names["query"] = self.vision.made.names()
        if not self.is_decoder:
            names.setdefault("key", names.get("query", ()))
        keys = self.vectors.get("source", self.vectors["input"])
        n, head = self.seen[-2], self.vision.tables.get("head.weight")
        n_keys = keys.shape[-2] if self.is_decoder else n
        for axis, size in (("query", n), ("key", n_keys), ("feature", self.width)):
            _check_count(axis, names.get(axis, ()), size)
        classes = names.get("class", ())
        _check_count("class", classes, 0 if head is None else head.shape[-1])
        query, key, feature = (names.get(axis, ()) for axis in ("query", "key", "feature"))
        flat = query if query and isinstance(query[0], str) else ()
        patches = flat[1:] if "class_token" in self.vision.tables else ()
        return Labels(query, key, feature, {"class": classes, "patch": patches})

    # --- what is missing

    def _needed(self, key: str) -> Tensor:
        array = self.source.tensor(key)
        if array is None:
            raise self._missing(key)
        return array

    def _missing(self, key: str) -> InputError:
        what = "input, source, parameters, heads" if self.is_decoder else "input, parameters, heads"
        return InputError(
            f"{key} is missing",
            expected=f"{what} of a kind: {self.kind}",
            hint=f"attncli new {self.kind} shows a problem that runs",
            place=self.source.place("kind"),
        )


def _shapes(d: int, hidden: int, decoder: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The tensors of one layer of PyTorch's, and their shapes."""
    for name in ("self_attn", "multihead_attn")[: 1 + decoder]:
        yield f"{name}.in_proj_weight", (3 * d, d)
        yield f"{name}.in_proj_bias", (3 * d,)
        yield f"{name}.out_proj.weight", (d, d)
        yield f"{name}.out_proj.bias", (d,)
    yield "linear1.weight", (hidden, d)
    yield "linear1.bias", (hidden,)
    yield "linear2.weight", (d, hidden)
    yield "linear2.bias", (d,)
    for number in range(1, 3 + decoder):
        yield from _norm_shapes(f"norm{number}", d)


def _norm_shapes(name: str, d: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (d,)
    yield f"{name}.bias", (d,)


def _parted(state: State) -> tuple[State, dict[str, State]]:
    """The last norm, if there is one, and the layers' own state_dicts by their prefix."""
    if not any(name.startswith("layers.") for name in state):
        return {}, {"": state}
    norm: State = {}
    layers: dict[int, State] = {}
    for name, array in state.items():
        match = NUMBERED.fullmatch(name)
        if match:
            layers.setdefault(int(match[1]), {})[match[2]] = array
        elif name in ("norm.weight", "norm.bias"):
            norm[name] = array
        else:
            raise InputError(
                f"parameters has an unknown tensor {name}",
                expected="layers.0.…, layers.1.…, norm.weight and norm.bias",
                found=name,
                subject="parameters",
            )
    if sorted(layers) != list(range(len(layers))):
        raise InputError(
            f"parameters has the layers {', '.join(map(str, sorted(layers)))}",
            expected="all from 0 on",
            subject="parameters",
        )
    return norm, {f"layers.{number}.": layers[number] for number in sorted(layers)}


def _within(state: State, prefix: str) -> State:
    return {
        name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)
    }


def _check_count(axis: str, names: Names, size: int) -> None:
    for labels in (names,) if not names or isinstance(names[0], str) else names:
        if labels and len(labels) != size:
            raise InputError(
                f"labels.{axis} has {len(labels)} labels, there are {size}",
                expected=f"{size} names",
                found=str(len(labels)),
                subject="labels",
            )
