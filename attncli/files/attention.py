"""`kind: attention`: from the entries of a problem to the problem itself."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from attncli.core.attention import Attention
from attncli.core.normalize import NORMALIZERS
from attncli.core.shapes import by
from attncli.errors import InputError
from attncli.files.dialects import chosen_dialect
from attncli.files.masks import Masking
from attncli.files.presentation import made_of, presentation
from attncli.files.projections import read_tables
from attncli.files.rotary import rotary
from attncli.files.schema import IMAGE_LAYOUTS
from attncli.files.similarities import similarity, similarity_tables
from attncli.files.types import Reference
from attncli.files.vectors import (
    VECTORS,
    Arrangement,
    Source,
    Tensor,
    as_rows,
    cast,
    refuse_nonfinite,
    widest,
)


def build(source: Source, name: str) -> Attention:
    """The attention that a problem describes; `name` is its file as the user named it."""
    return _Builder(source).attention(name)


class _Builder:
    """One problem in the making: each method settles one of its parts."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.dialect = chosen_dialect(source.get("dialect"))
        self.notation: str = source.get("notation", "rows")
        self.layout: str = source.get("layout", "heads-first")
        self.allow_nonfinite: bool = source.get("allow_nonfinite", False)
        self.made_of = made_of(source)
        self.pictures: dict[str, Any] = {}
        if self.notation == "columns" and self.layout == "tokens-first":
            raise InputError(
                "notation: columns with layout: tokens-first: the axes to swap are not neighbours",
                hint="give the file in rows notation, and use --notation columns to show it",
                subject="layout",
            )

    def attention(self, name: str) -> Attention:
        source = self.source
        raw = self._raw()
        self._refuse_both(raw)
        made = read_tables(source)
        past = {key: source.tensor("past", entry) for key, entry in source.get("past", {}).items()}
        tables = similarity_tables(source)
        inputs = [
            array
            for array in (*raw.values(), *past.values(), *tables.values(), *made.arrays())
            if array is not None
        ]
        if not inputs:
            raise InputError(
                "there is nothing to compute",
                expected="query, key and value",
                hint="attncli new soft-addressing shows a problem that runs",
                place=next((entry.place for entry in source.entries.values()), None),
            )
        dtype = source.get("dtype") or widest(inputs)
        vectors, head_axis = self._arranged(raw, dtype)
        split_heads = not head_axis and made.n_heads is None
        extra = {key: cast(key, row, dtype) for key, row in made.extra.items()}
        cache: dict[str, Any] = {
            f"past_{key}": self._past(key, array, dtype)
            for key, array in past.items()
            if array is not None
        }
        tables = {key: cast(f"similarity.{key}", table, dtype) for key, table in tables.items()}
        arrays: dict[str, Any] = {**vectors, **cache, **extra}
        bare = Attention(
            **arrays,
            projections=made.projections(dtype),
            head_axis=head_axis,
            heads=source.get("heads") if split_heads else None,
            kv_heads=source.get("kv_heads") if split_heads else None,
            zero_key=source.get("zero_key", False),
            similarity=similarity(source, tables, self.dialect.similarity),
            dtype=dtype,
        )
        return self._finished(bare, name)

    def _finished(self, bare: Attention, name: str) -> Attention:
        """The problem with all that depends on its sizes."""
        leading = bare.leading
        masking = Masking(
            source=self.source,
            dialect=self.dialect,
            batch=leading[:-1] if bare.has_heads else leading,
            n_heads=bare.n_heads if bare.has_heads else None,
            n_queries=bare.n_queries,
            n_keys=bare.n_keys - bare.n_added,
            n_past=bare.n_past if bare.past_key is not None else None,
            dtype=bare.dtype,
            columns=self.notation == "columns",
        )
        normalizer = NORMALIZERS[self.source.get("normalizer", "softmax")]
        problem = replace(
            bare,
            **masking.sight(),
            query_mask=masking.query_mask(),
            rotary=rotary(self.source, bare, masking),
            scale=self._scale(bare),
            softcap=self.source.get("softcap"),
            sink=self._per_head("sink", bare),
            normalizer=normalizer(self.source.get("temperature", 1.0)),
            presentation=presentation(self.source, bare, name, self.pictures),
            choices=self.source.choices(),
        )
        if problem.sink is not None and not problem.normalizer.sums_to_one:
            *others, last = (name for name, kind in NORMALIZERS.items() if kind.sums_to_one)
            raise InputError(
                f"sink with the normalizer {problem.normalizer.name}, which has no denominator",
                hint=f"sinks go with {', '.join(others)} and {last}",
                subject="sink",
            )
        return problem

    # --- vectors

    def _raw(self) -> dict[str, Tensor | None]:
        """Query, key, value and scores as given, or as `input` and `source` stand for them."""
        source = self.source
        self._refuse_pictures()
        raw = {key: source.tensor(key) for key in (*VECTORS, "scores")}
        given, memory = source.tensor("input"), source.tensor("source")
        if given is None:
            if memory is not None:
                raise InputError(
                    "source without input", hint="input: the queries", subject="source"
                )
            if "patch" in source.entries or source.get("layout") in IMAGE_LAYOUTS:
                raise InputError(
                    "patch and layout: hwc or chw are about a picture, and there is no input",
                    hint="input: picture.png, or an array (h w c)",
                    subject="patch" if "patch" in source.entries else "layout",
                )
            return raw
        for key, array in raw.items():
            if array is not None:
                raise InputError(
                    f"input and {key}: the input stands for query, key and value", subject=key
                )
        given = self._vectors_of("input", given, "query" if "source" in source.entries else "")
        keys = given if memory is None else self._vectors_of("source", memory, "key")
        return {"query": given, "key": keys, "value": keys, "scores": None}

    def _refuse_pictures(self) -> None:
        """Pictures where vectors must stand, and pictures that are too large to be read."""
        names = [key for key in (*VECTORS, "input", "source") if self._is_reference(key)]
        if not names:
            return
        from attncli.files.images import is_file, refuse_large

        for key in names:
            if key in VECTORS and is_file(self.source, key):
                raise InputError(
                    f"{key} is a picture, which is rows of pixels and no vectors yet",
                    hint="input: takes a picture, and stands for query, key and value",
                    subject=key,
                )
            refuse_large(self.source, key)

    def _is_reference(self, key: str) -> bool:
        return isinstance(self.source.get(key), Reference)

    def _vectors_of(self, key: str, array: Tensor, axis: str) -> Tensor:
        """An input as it is, or a picture's patches; they are the vectors of `axis`, or of both."""
        from attncli.files.images import as_vectors, is_picture, picture

        if not is_picture(self.source, key, array):
            return array
        made = picture(self.source, key, array)
        self.pictures |= {axis: made} if axis else {"query": made, "key": made}
        return as_vectors(made, self.notation)

    def _refuse_both(self, raw: Mapping[str, Tensor | None]) -> None:
        if raw["scores"] is None:
            return
        for key in ("query", "key"):
            if raw[key] is not None:
                raise InputError(f"scores and {key}: scores stand instead of it", subject=key)
        for key in ("past", "rope", "zero_key"):
            if self.source.get(key):
                raise InputError(f"{key} needs query and key, not scores", subject=key)

    def _arranged(
        self, raw: Mapping[str, Tensor | None], dtype: str
    ) -> tuple[dict[str, Any], bool]:
        """The vectors in the core's arrangement, and whether they have a head axis."""
        arrangement = Arrangement(
            self.notation, self.layout, self.source.get("heads"), self.source.get("kv_heads")
        )
        if arrangement.kv_heads and arrangement.heads is None and _most_axes(raw) < 4:
            raise InputError("kv_heads without heads", hint="heads: N", subject="kv_heads")
        vectors: dict[str, Tensor] = {}
        with_heads: dict[str, bool] = {}
        for key, array in raw.items():
            if array is None:
                continue
            if key == "scores":
                vectors[key] = self._given_scores(array, dtype)
                with_heads[key] = vectors[key].ndim > 3
                continue
            # Cast first: a refusal then names the place where the user wrote it.
            name = self.made_of.get(key, key)
            array = cast(name, array, dtype, allow_nonfinite=self.allow_nonfinite)
            vectors[key], with_heads[key] = arrangement.arrange(key, array)
        head_axis = any(with_heads.values())
        if head_axis:
            for key, has_heads in with_heads.items():
                if not has_heads and vectors[key].ndim > 2:
                    raise InputError(
                        f"{key} has {vectors[key].ndim} axes, and no head axis among them",
                        expected="as many axes in each of query, key and value",
                        found=by(vectors[key].shape),
                        hint="one for all heads: give it a head axis of 1",
                        subject=key,
                    )
        self._refuse_lone_value(raw, vectors)
        return vectors, head_axis

    def _given_scores(self, array: Tensor, dtype: str) -> Tensor:
        scores = cast("scores", array, dtype, allow_nonfinite=True)
        if not self.allow_nonfinite:
            given = np.where(array == -np.inf, 0, scores)
            refuse_nonfinite("scores", given, array, can_be_allowed=True)
        if scores.ndim == 0 or 0 in scores.shape:
            raise InputError("scores must be a table, (n_queries n_keys)", subject="scores")
        return as_rows(scores, self.notation)

    def _refuse_lone_value(
        self, raw: Mapping[str, Tensor | None], vectors: dict[str, Tensor]
    ) -> None:
        value, scores = raw["value"], vectors.get("scores")
        key = vectors.get("key", scores)
        if value is None or key is None or value.ndim != 1 or value.size == 1:
            return
        n_keys = key.shape[-2 if scores is None else -1]
        if n_keys == value.size:
            end = ", …" if n_keys > 3 else ""
            first = [f"{number:g}" for number in value[:3]]
            numbers = f"[[{'], ['.join(first)}]{end}]"
            if self.notation == "columns":
                numbers = f"[[{', '.join(first)}{end}]]"
            raise InputError(
                f"value is one vector of {n_keys} features, and there are {n_keys} keys",
                expected="a value for each key",
                found="1",
                hint=f"one number a key is written {numbers}",
                subject="value",
            )

    def _past(self, key: str, array: Tensor, dtype: str) -> Tensor:
        """A cache: already split in heads, `(… kv_heads n d)`."""
        arrangement = Arrangement(self.notation, self.layout)
        array = cast(f"past.{key}", array, dtype, allow_nonfinite=self.allow_nonfinite)
        return arrangement.arrange(f"past.{key}", array)[0]

    # --- scale, sink

    def _scale(self, bare: Attention) -> float | Tensor | None:
        given = self.source.get("scale", "auto")
        if isinstance(given, str):
            if given == "none" or bare.query is None:
                return None
            return bare.similarity.auto_scale(bare.d_k)
        scale = self._per_head("scale", bare)
        assert scale is not None
        return scale if bare.has_heads and scale.size > 1 else scale.ravel()[0]

    def _per_head(self, key: str, bare: Attention) -> Tensor | None:
        """One number `(1 1)`, or one a query head `(n_heads 1 1)`."""
        array = self.source.tensor(key)
        if array is None:
            return None
        array = cast(key, array, bare.dtype).reshape(-1)
        if array.size == 1:
            return array[:, None]
        if bare.has_heads and array.size == bare.n_heads:
            return array[:, None, None]
        raise InputError(
            f"{key} has {array.size} numbers",
            expected=f"1, or one a query head ({bare.n_heads})",
            found=str(array.size),
            subject=key,
        )


def _most_axes(raw: Mapping[str, Tensor | None]) -> int:
    return max((array.ndim for array in raw.values() if array is not None), default=0)
