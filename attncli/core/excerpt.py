"""Some queries of an attention as one of their own: the rows in focus of a long problem."""

from dataclasses import dataclass, replace
from typing import Any

from attncli.core.attention import Attention
from attncli.core.masking import Bias, Mask, Visible
from attncli.core.step import Array, Namespace


@dataclass(frozen=True, eq=False)
class Shifted:
    """A mask or a bias whose query 0 is query `first` of another one."""

    of: Any
    first: int

    def _theirs(self, queries: range) -> range:
        return range(queries.start + self.first, queries.stop + self.first)

    def tile(self, queries: range, keys: range, xp: Namespace) -> Visible:
        answer: Visible = self.of.tile(self._theirs(queries), keys, xp)
        return answer

    def bias(self, queries: range, keys: range, xp: Namespace) -> Array:
        return self.of.bias(self._theirs(queries), keys, xp)

    def reach(self, queries: range, n_keys: int, xp: Namespace) -> range:
        keys: range = self.of.reach(self._theirs(queries), n_keys, xp)
        return keys

    def entry(self, index: tuple[int, ...]) -> "Shifted":
        return Shifted(self.of.entry(index), self.first)


def only(attention: Attention, queries: range) -> Attention:
    """The attention of these queries alone: the same numbers in the same rows."""

    def cut(array: Array) -> Array:
        if array is None or array.ndim < 2 or array.shape[-2] == 1:
            return array
        return array[..., queries.start : queries.stop, :]

    rotary = attention.rotary
    if rotary is not None:
        cos, sin = cut(rotary.query_cos), cut(rotary.query_sin)
        rotary = replace(rotary, query_cos=cos, query_sin=sin)
    query_mask = attention.query_mask
    if query_mask is not None:
        query_mask = query_mask[..., queries.start : queries.stop]
    masks: tuple[Mask, ...] = tuple(Shifted(mask, queries.start) for mask in attention.masks)
    biases: tuple[Bias, ...] = tuple(Shifted(bias, queries.start) for bias in attention.biases)
    return replace(
        attention,
        query=cut(attention.query),
        scores=cut(attention.scores),
        masks=masks,
        biases=biases,
        rotary=rotary,
        query_mask=query_mask,
    )
