"""PyTorch run for real: its results saved as a user saves them, and verified from the files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli.commands.boundary import run

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
F = torch.nn.functional


@pytest.fixture(autouse=True)
def _seeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)


def tensors(n: int = 7, m: int = 11, dtype: Any = None) -> tuple[Any, Any, Any]:
    shapes = ((2, 3, n, 10), (2, 3, m, 10), (2, 3, m, 5))
    return tuple(torch.randn(*shape, dtype=dtype or torch.float32) for shape in shapes)


def saved(**arrays: Any) -> None:
    for name, array in arrays.items():
        np.save(f"{name}.npy", array.detach().numpy())


def verified(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run(["verify", *arguments, "--format", "json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_sdpa_is_the_same(dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    q, k, v = tensors(dtype=getattr(torch, dtype))
    saved(q=q, k=k, v=v, out=F.scaled_dot_product_attention(q, k, v, is_causal=True))
    flags = ("--causal", "--align", "top-left")
    assert verified(capsys, "q.npy", "k.npy", "v.npy", "out.npy", *flags)[0] == 0


WRONG: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "causal-alignment": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        ("--causal", "--align", "bottom-right"),
    ),
    "scale-left-out": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=1.0), ()),
    "softmax-over-queries": (
        lambda q, k, v: (q @ k.transpose(-1, -2) / 10**0.5).softmax(-2) @ v,
        (),
    ),
    "dropout": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v.repeat(1, 1, 1, 3), dropout_p=0.3),
        (),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_slip_in_torch_is_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    wrong, flags = WRONG[name]
    q, k, v = tensors()
    out = wrong(q, k, v)
    saved(q=q, k=k, v=v.repeat(1, 1, 1, 3) if name == "dropout" else v, out=out)
    code, report = verified(capsys, "q.npy", "k.npy", "v.npy", "out.npy", *flags)
    assert (code, report["slips"][0]["name"]) == (1, name)


def module(x: Any) -> Any:
    """A module, and a problem file with its state_dict."""
    made = torch.nn.MultiheadAttention(12, 3, batch_first=True)
    torch.nn.init.normal_(made.in_proj_bias)
    np.savez("mha.npz", **{name: t.numpy() for name, t in made.state_dict().items()})
    np.save("x.npy", x.numpy())
    Path("mha.yaml").write_text("input: x.npy\nparameters: mha.npz\nheads: 3\n")
    return made


def test_multi_head_attention_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    x = torch.randn(2, 7, 12)
    out, weights = module(x)(x, x, x, average_attn_weights=False)
    np.savez("theirs.npz", output=out.detach(), weights=weights.detach())
    code, report = verified(capsys, "mha.yaml", "theirs.npz")
    assert (code, [step["name"] for step in report["steps"]]) == (0, ["weights", "output"])


def test_averaged_weights_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    x = torch.randn(2, 7, 12)
    _, weights = module(x)(x, x, x)
    saved(weights=weights)
    code, report = verified(capsys, "mha.yaml", "weights.npy")
    assert (code, report["slips"][0]["name"]) == (1, "weights-averaged")


class Wrong(torch.nn.Module):
    """A port of `MultiheadAttention` that views heads without moving them, as many have done."""

    def __init__(self, of: Any) -> None:
        super().__init__()
        self.of = of

    def forward(self, x: Any) -> Any:
        b, n, d = x.shape
        packed = x @ self.of.in_proj_weight.T + self.of.in_proj_bias
        q, k, v = (part.reshape(b, 3, n, d // 3) for part in packed.split(d, dim=-1))
        heads = F.scaled_dot_product_attention(q, k, v)
        return self.of.out_proj(heads.transpose(1, 2).reshape(b, n, d))


def test_a_wrong_module_is_diagnosed(capsys: pytest.CaptureFixture[str]) -> None:
    x = torch.randn(2, 7, 12)
    saved(theirs=Wrong(module(x))(x))
    code, report = verified(capsys, "mha.yaml", "theirs.npy")
    assert (code, report["slips"][0]["name"]) == (1, "heads-viewed")
