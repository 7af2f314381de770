"""The kernels on PyTorch's meta device, which has shapes and no numbers.

What makes an array on another device, or looks at a number on the way (a hidden transfer on a GPU),
fails here.
"""

from typing import Any

import pytest

from attncli.core.masking import Addition, Alibi, Band, Lengths, Places, Relative, Table
from attncli.core.normalize import NORMALIZERS
from attncli.core.partial import Partial
from attncli.core.rotary import Rotary
from attncli.core.similarity import (
    ACTIVATIONS,
    MLP,
    SIMILARITIES,
    Additive,
    General,
    Layer,
    activate,
)

torch = pytest.importorskip("torch", reason="PyTorch is an extra")

N, M, D, H = 3, 5, 7, 2


@pytest.fixture
def xp() -> Any:
    from attncli.backends.torch import backend

    return backend().xp


def meta(*shape: int) -> Any:
    return torch.empty(shape, device="meta")


def similarity(name: str) -> Any:
    match name:
        case "general":
            return General(weight=meta(D, D), bias=0.5)
        case "additive":
            return Additive(meta(D, H), meta(D, H), meta(H), meta(H))
        case "mlp":
            return MLP((Layer(meta(2 * D, H), meta(H)), Layer(meta(H, 1), None, "gelu")))
    return SIMILARITIES[name]()


@pytest.mark.parametrize("name", sorted(SIMILARITIES))
def test_a_similarity_has_the_shape_of_its_tile(name: str, xp: Any) -> None:
    with torch.device("meta"):
        scores = similarity(name).scores(meta(H, N, D), meta(H, M, D), xp)
    assert scores.device.type == "meta"
    assert tuple(scores.shape) == (H, N, M)


@pytest.mark.parametrize("name", sorted(NORMALIZERS))
def test_a_normalizer_looks_at_no_number(name: str, xp: Any) -> None:
    with torch.device("meta"):
        weights, _ = NORMALIZERS[name](2.0).weights(meta(H, N, M), xp)
    assert weights.device.type == "meta"
    assert tuple(weights.shape) == (H, N, M)


def test_partial_results_are_merged_where_they_are(xp: Any) -> None:
    with torch.device("meta"):
        part = Partial.identity(N, D, torch.float32, xp)
        for n_keys in (M, 1):
            other = Partial.of(meta(N, n_keys), meta(n_keys, D), xp, leaves_out=False)
            part = part.merge(other, xp)
        part = part.beside(meta(1, 1), xp)
        output = part.output(xp)
    assert output.device.type == "meta"
    assert tuple(output.shape) == (N, D)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_activation(activation: str, xp: Any) -> None:
    with torch.device("meta"):
        assert tuple(activate(activation, meta(N, H), xp).shape) == (N, H)


def test_masks_and_biases_are_made_on_the_device(xp: Any) -> None:
    places = Places(1)
    queries, keys = range(2, 2 + N), range(1, 1 + M)
    with torch.device("meta"):
        tiles = [
            Band(places, 1, 1).tile(queries, keys, xp),
            Lengths(3).tile(queries, keys, xp),
            Table(meta(11, 11) > 0).tile(queries, keys, xp),
            Addition(meta(11, 11), excludes=True).tile(queries, keys, xp),
        ]
        biases = [
            Addition(meta(11, 11)).bias(queries, keys, xp),
            Alibi(places, meta(H, 1, 1)).bias(queries, keys, xp),
            Relative(places, meta(H, 9)).bias(queries, keys, xp),
        ]
    for made in (*tiles, *biases):
        assert made.device.type == "meta"
        assert tuple(torch.broadcast_shapes(made.shape, (H, N, M))) == (H, N, M)


@pytest.mark.parametrize("pairing", ["halves", "interleaved"])
def test_vectors_are_rotated_on_the_device(pairing: Any, xp: Any) -> None:
    rotary = Rotary(meta(N, 3), meta(N, 3), meta(M, 3), meta(M, 3), pairing)
    with torch.device("meta"):
        assert tuple(rotary.query(meta(H, N, D), xp).shape) == (H, N, D)
        assert tuple(rotary.key(meta(H, M, D), xp).shape) == (H, M, D)
