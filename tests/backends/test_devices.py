"""Backends of GPUs, whose libraries stand-ins play: what is asked of a device, and in which order.

A stand-in that computes with NumPy shows that a recipe asks for nothing that is not there; what a
GPU makes of it only a GPU can tell.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import erf
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from attncli import backends, load
from attncli.errors import BackendError, LimitError
from attncli.solve import solve
from attncli.testing import CHECKS


class ShortError(Exception):
    """The device's memory is used up."""


class Pool:
    """CuPy's store of memory for later: 3 bytes, which it gives back when it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def free_bytes(self) -> int:
        return 3

    def free_all_blocks(self) -> None:
        self.asked += 1


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """CuPy on NumPy's arrays, on a device with a gigabyte of memory."""
    pool, log = Pool(), []
    runtime = SimpleNamespace(
        getDeviceCount=lambda: 1,
        getDeviceProperties=lambda number: {"name": f"Device {number}".encode()},
        memGetInfo=lambda: (10**9, 2 * 10**9),
        deviceSynchronize=lambda: log.append("the device is done"),
        CUDARuntimeError=ShortError,
    )
    made: Any = ModuleType("cupy")
    made.__version__ = "14.0"
    made.arange, made.empty, made.asarray, made.asnumpy = np.arange, np.empty, np.array, np.asarray
    made.cuda = SimpleNamespace(
        runtime=runtime, memory=SimpleNamespace(OutOfMemoryError=ShortError)
    )
    made.get_default_memory_pool = lambda: pool
    made.log, made.pool = log, pool
    compat: Any = ModuleType("array_api_compat")
    compat.cupy = np
    cupyx: Any = ModuleType("cupyx")
    cupyx.scipy = ModuleType("cupyx.scipy")
    cupyx.scipy.special = ModuleType("cupyx.scipy.special")
    cupyx.scipy.special.erf = lambda x: np.vectorize(erf, otypes=[x.dtype])(x)
    for name, module in {
        "cupy": made,
        "cupyx": cupyx,
        "cupyx.scipy": cupyx.scipy,
        "cupyx.scipy.special": cupyx.scipy.special,
        "array_api_compat": compat,
        "array_api_compat.cupy": np,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delenv("CUPY_TF32", raising=False)
    return made


@pytest.mark.parametrize("check", CHECKS)
def test_cupy_passes_the_suite(check: str, cupy: Any) -> None:
    CHECKS[check]("cupy")
    assert set(cupy.log) == {"the device is done"}


def test_cupy_names_the_device_and_counts_what_it_keeps_for_later(cupy: Any) -> None:
    backend = backends.find("cupy")
    assert backend.version() == "CuPy 14.0, Device 0"
    assert backend.memory() == 10**9 + 3
    rows = np.array([[-1.5, 0.25]])
    assert backend.xp.erf(rows).tolist() == [[erf(-1.5), erf(0.25)]]


def test_cupy_refuses_products_that_lose_bits(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUPY_TF32", "1")
    with pytest.raises(BackendError, match="CUPY_TF32 is set"):
        backends.find("cupy")


@pytest.mark.parametrize("error", [ShortError, MemoryError])
def test_cupy_gives_back_what_it_keeps_and_takes_smaller_tiles(
    error: type[Exception], cupy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = np.random.default_rng(0).normal(size=(12, 3))
    problem = load(query=vectors, key=vectors, value=vectors)
    backend: Any = backends.find("cupy")
    matmul = np.matmul

    def short(a: Any, b: Any, **more: Any) -> Any:
        if a.shape[-2] * b.shape[-1] > 40:
            raise error
        return matmul(a, b, **more)

    monkeypatch.setattr(backend.xp, "matmul", short, raising=False)
    output = solve(problem, backend=backend, tile=12, keep=()).output
    assert cupy.pool.asked == 2  # 12, 6, 3
    np.testing.assert_allclose(output, solve(problem).output, rtol=1e-12)
    monkeypatch.setattr(backend.xp, "matmul", lambda a, b, **more: short(np.ones((9, 9)), b))
    with pytest.raises(LimitError, match=f"{10**9 + 3} free"):
        solve(problem, backend=backend, tile=12, keep=())


class Torch(SimpleNamespace):
    """What the backend asks of PyTorch about devices, threads, gradients and precision."""

    __version__, OutOfMemoryError, erf = "2.13", ShortError, None

    def __init__(self, *, cuda: bool = False, mps: bool = False) -> None:
        super().__init__(precision="medium", threads=7, gradients=True, entered=[], emptied=0)
        self.cuda = SimpleNamespace(
            is_available=lambda: cuda,
            get_device_name=lambda device: f"the card {device.type}",
            mem_get_info=lambda device: (5, 9),
            empty_cache=lambda: setattr(self, "emptied", self.emptied + 1),
        )
        self.backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps))

    def device(self, name: str) -> Any:
        @contextmanager
        def entered() -> Iterator[None]:
            self.entered.append(name)
            try:
                yield
            finally:
                self.entered.remove(name)

        device: Any = entered()
        device.type = name
        return device

    @contextmanager
    def no_grad(self) -> Iterator[None]:
        self.gradients, before = False, self.gradients
        try:
            yield
        finally:
            self.gradients = before

    def get_float32_matmul_precision(self) -> str:
        return str(self.precision)

    def set_float32_matmul_precision(self, name: str) -> None:
        self.precision = name

    def get_num_threads(self) -> int:
        return int(self.threads)

    def set_num_threads(self, n: int) -> None:
        self.threads = n

    def state(self) -> tuple[Any, ...]:
        return self.precision, self.threads, self.gradients, [*self.entered]


@pytest.fixture
def torch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Torch:
    made = Torch(**dict.fromkeys(request.param, True))
    compat: Any = ModuleType("array_api_compat")
    compat.torch = np
    modules = {"torch": made, "array_api_compat": compat, "array_api_compat.torch": np}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return made


@pytest.mark.parametrize(
    ("torch", "version", "tile", "is_short"),
    [
        ((), "PyTorch 2.13, cpu", 1024, False),
        (("mps",), "PyTorch 2.13, mps", 4096, False),
        (("cuda",), "PyTorch 2.13, the card cuda", 4096, True),
        (("cuda", "mps"), "PyTorch 2.13, the card cuda", 4096, True),
    ],
    indirect=["torch"],
)
def test_torch_takes_the_best_device(torch: Torch, version: str, tile: int, is_short: bool) -> None:
    backend: Any = backends.find("torch")
    assert (backend.version(), backend.tile) == (version, tile)
    assert (backend.memory() == 5) == is_short  # of the card, not of the machine
    backend.release()
    assert torch.emptied == is_short
    assert backend.exhausted(ShortError())
    assert backend.exhausted(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert not backend.exhausted(ValueError("shapes do not fit"))


@pytest.mark.parametrize("torch", [(), ("cuda",)], indirect=True)
def test_torch_leaves_everything_as_it_was(torch: Torch) -> None:
    backend: Any = backends.find("torch")
    before = torch.state()
    is_gpu = backend.device.type == "cuda"
    seen = []

    def task() -> int:
        seen.append((torch.threads, torch.gradients))
        return len(seen)

    def fails() -> None:
        with backend.session(3):
            assert torch.state() == ("highest", 3, False, ["cuda"] * is_gpu)
            assert list(backend.each([task, task])) == [1, 2]
            assert torch.threads == 3
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert seen == [(3 if is_gpu else 1, False)] * 2
    assert torch.state() == before
