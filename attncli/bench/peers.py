"""Who is timed beside us: naive NumPy, and PyTorch, with the same vectors and as many threads."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from attncli.bench.cases import Trial
from attncli.errors import InputError, UsageError

Run = Callable[[], Any]
"""Computes once; what it gives can be made a NumPy array."""

PEERS = ("naive", "torch")


def available() -> tuple[str, ...]:
    """The peers that are installed."""
    from importlib.util import find_spec

    return PEERS if find_spec("torch") else PEERS[:1]


def chosen(text: str | None) -> tuple[str, ...]:
    """The peers of `naive,torch`; those that are installed where none is named.

    Raises `UsageError` for an unknown one, `InputError` for one that is not installed.
    """
    if text is None:
        return available()
    if text == "none":
        return ()
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in PEERS:
            raise UsageError(f"--against {name}", expected=", ".join((*PEERS, "none")), found=name)
        if name not in available():
            raise InputError(
                f"--against {name} needs PyTorch, which is not installed",
                hint="python -m pip install 'attncli[torch]'",
            )
    return names


class NumPy:
    """The operations that a naive attention needs, of NumPy."""

    where, tanh, sqrt = staticmethod(np.where), np.tanh, np.sqrt

    def array(self, x: Any) -> Any:
        return x

    def softmax(self, scores: Any) -> Any:
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def threads(self, n: int) -> AbstractContextManager[Any]:
        from threadpoolctl import threadpool_limits

        return threadpool_limits(n)  # type: ignore[no-any-return]


class Torch:
    """The same of PyTorch."""

    def __init__(self) -> None:
        import torch

        self.torch = torch
        self.where, self.tanh, self.sqrt = torch.where, torch.tanh, torch.sqrt

    def array(self, x: Any) -> Any:
        return self.torch.from_numpy(np.ascontiguousarray(x))

    def softmax(self, scores: Any) -> Any:
        return self.torch.softmax(scores, dim=-1)

    def threads(self, n: int) -> AbstractContextManager[Any]:
        self.torch.set_num_threads(n)
        return nullcontext()


def peer(name: str, trial: Trial, threads: int) -> Run:
    """How a peer computes a trial; its vectors and its mask are there before the clock starts."""
    lib: Any = Torch() if name == "torch" else NumPy()
    query, key, value = (lib.array(array) for array in trial.vectors)
    if name == "torch" and trial.case.is_fused:
        return _fused(lib, trial, query, key, value, threads)
    mask = trial.mask()
    mask = None if mask is None else lib.array(mask)

    def run() -> Any:
        with lib.threads(threads):
            return _eager(lib, trial, query, key, value, mask)

    return run


def _fused(lib: Any, trial: Trial, query: Any, key: Any, value: Any, threads: int) -> Run:
    torch = lib.torch
    causal = trial.case.keys == {"causal": True}
    mask = None if causal else trial.mask()
    # Of four axes: with fewer, PyTorch leaves its fused kernel.
    mask = None if mask is None else lib.array(mask.reshape(1, -1, *mask.shape[-2:]))
    grouped = trial.kv_heads != trial.heads
    query, key, value = query[None], key[None], value[None]
    attention = torch.nn.functional.scaled_dot_product_attention

    def run() -> Any:
        with lib.threads(threads), torch.no_grad():
            return attention(
                query, key, value, attn_mask=mask, is_causal=causal, enable_gqa=grouped
            )[0]

    return run


def _eager(lib: Any, trial: Trial, query: Any, key: Any, value: Any, mask: Any) -> Any:
    """All scores at once, as one writes it down."""
    if trial.kv_heads != trial.heads:  # PyTorch's fused kernel takes groups as they are
        group = trial.heads // trial.kv_heads
        key, value = np.repeat(key, group, axis=0), np.repeat(value, group, axis=0)
    scale = trial.d**-0.5
    match trial.case.keys.get("similarity"):
        case "additive":
            scores = lib.tanh(query[:, :, None, :] + key[:, None, :, :]).sum(-1)
        case "cosine":
            query = query / lib.sqrt((query * query).sum(-1))[..., None]
            key = key / lib.sqrt((key * key).sum(-1))[..., None]
            scores = query @ key.swapaxes(-1, -2)
        case _:
            scores = (query @ key.swapaxes(-1, -2)) * scale
    if cap := trial.case.keys.get("softcap"):
        scores = cap * lib.tanh(scores / cap)
    if "bias" in trial.case.keys:
        scores = scores + mask
    elif mask is not None:
        hidden = lib.array(np.asarray(-np.inf, dtype=trial.case.dtype))
        scores = lib.where(mask, scores, hidden)
    return lib.softmax(scores) @ value
