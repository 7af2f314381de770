"""Every recipe on every namespace: the strictest one, and PyTorch where it is installed."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attncli import backends, load
from attncli.backends import Entry
from attncli.errors import BackendError
from attncli.solve import WHOLE, solve
from tests.core.test_tiled import opened
from tests.core.test_transformer import Case, stacks
from tests.judging import assert_same
from tests.random_problems import NORMALIZER_NAMES, SIMILARITY_NAMES, problems

SAMPLES = sorted((Path(__file__).resolve().parents[2] / "samples").glob("*.yaml"))
NAMES = [
    "strict",
    pytest.param(
        "torch",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("torch") is None
            or importlib.util.find_spec("array_api_compat") is None,
            reason="PyTorch is an extra: python -m pip install '.[torch]'",
        ),
    ),
]


@pytest.fixture(autouse=True, scope="module")
def _strict_is_a_backend() -> Any:
    backends.BACKENDS["strict"] = Entry("strict", "tests.backends.strict", "")
    yield
    del backends.BACKENDS["strict"]


@pytest.mark.parametrize("backend", NAMES)
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_gives_the_same_steps(sample: Path, backend: str) -> None:
    problem = load(sample)
    ours, theirs = solve(problem), solve(problem, backend=backend)
    assert ours.names == theirs.names
    for step in ours.steps:
        assert theirs[step.name].dtype == step.value.dtype
        assert_same(step.name, theirs[step.name], step.value, 1e-5, 1e-6)


@pytest.mark.parametrize("backend", NAMES)
@given(problem=problems(), tile=st.sampled_from(["none", 1, 2, 3, 5, 8]))
@settings(max_examples=150, deadline=None)
def test_random_problems_by_steps_and_by_tiles(
    backend: str, problem: dict[str, Any], tile: Any
) -> None:
    attention = opened(problem)
    ours = solve(attention, tile="none")
    keep = None if tile == "none" else WHOLE & {*attention.step_names()}
    theirs = solve(attention, backend=backend, tile=tile, keep=keep)
    for step in theirs.steps:
        assert_same(step.name, step.value, ours[step.name], 1e-9, 1e-11)


@pytest.mark.parametrize("backend", NAMES)
@pytest.mark.parametrize("normalizer", NORMALIZER_NAMES)
@pytest.mark.parametrize("similarity", SIMILARITY_NAMES)
@given(draws=st.data())
@settings(max_examples=1, deadline=None)
def test_every_similarity_with_every_normalizer(
    backend: str, similarity: str, normalizer: str, draws: st.DataObject
) -> None:
    attention = opened(draws.draw(problems(similarity, normalizer, features=())))
    ours, theirs = solve(attention), solve(attention, backend=backend)
    for step in ours.steps:
        assert_same(step.name, theirs[step.name], step.value, 1e-9, 1e-11)


@pytest.mark.parametrize("backend", NAMES)
@given(case=stacks())
@settings(max_examples=10, deadline=None)
def test_layers(backend: str, case: Case) -> None:
    problem = load(**case.keys, parameters=case.state)
    ours, theirs = solve(problem), solve(problem, backend=backend)
    for step in ours.steps:
        # Norms of nearly equal features divide rounding errors by √ε.
        assert_same(step.name, theirs[step.name], step.value, 1e-6, 1e-8)


def test_a_backend_that_is_not_installed_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "array_api_compat", None)
    monkeypatch.setitem(sys.modules, "array_api_compat.torch", None)
    problem = load(query=np.eye(2), key=np.eye(2), value=np.eye(2))
    with pytest.raises(BackendError) as caught:
        solve(problem, backend="torch")
    assert "pip install 'attncli[torch]'" in caught.value.hint


class RefusedError(Exception):
    status = 0


@pytest.mark.parametrize(
    ("status", "driver", "count", "words"),
    [
        (None, 12040, 0, "there is no CUDA device"),
        (35, 11080, 0, "driver is too old for CUDA 12.4"),
        (35, 0, 0, "there is no NVIDIA driver"),
        (100, 12040, 0, "there is no CUDA device"),
        (999, 12040, 0, "CUDA does not start"),
        (None, 12040, 1, "cannot compile for the device: no nvrtc"),
    ],
)
def test_cupy_says_exactly_what_is_missing(
    status: int | None, driver: int, count: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by a stand-in for CuPy: there is no GPU where the tests run."""
    import sys
    from types import ModuleType, SimpleNamespace

    def devices() -> int:
        if status is None:
            return count
        error = RefusedError(status)
        error.status = status
        raise error

    def nothing(*_: object) -> None:
        raise RuntimeError("no nvrtc")

    runtime = SimpleNamespace(
        getDeviceCount=devices,
        CUDARuntimeError=RefusedError,
        runtimeGetVersion=lambda: 12040,
        driverGetVersion=lambda: driver,
    )
    cupy: Any = ModuleType("cupy")
    cupy.cuda, cupy.arange = SimpleNamespace(runtime=runtime), nothing
    compat: Any = ModuleType("array_api_compat")
    compat.cupy = ModuleType("array_api_compat.cupy")
    modules = {"cupy": cupy, "array_api_compat": compat, "array_api_compat.cupy": compat.cupy}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(BackendError, match=words):
        backends.find("cupy")


def test_two_cupy_packages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from attncli.backends import cupy

    names = ("cupy-cuda12x", "cupy-cuda13x", "numpy")
    found = [SimpleNamespace(name=name) for name in names]
    monkeypatch.setattr(cupy, "distributions", lambda: found)
    with pytest.raises(BackendError, match="2 CuPy packages"):
        backends.find("cupy")


class Device(np.ndarray):  # type: ignore[type-arg]
    """A stand-in for an array on a GPU, which only `set` fills."""

    def set(self, host: Any, stream: Any) -> None:
        stream.sent.append((self, host))


class Stream:
    """A stand-in for a stream: what is sent arrives when one waits for it, as it is then."""

    def __init__(self, *, non_blocking: bool) -> None:
        assert non_blocking
        self.sent: list[Any] = []

    def synchronize(self) -> None:
        for device, host in self.sent:
            device[...] = host
        self.sent.clear()


@pytest.mark.parametrize("shape", [(3, 1009, 7), (5, 13), (40_009,)])
def test_cupy_uploads_by_pieces(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Told by a stand-in: a buffer is never filled again before what was in it has been sent."""
    import sys
    from types import ModuleType, SimpleNamespace

    from attncli.backends import cupy as module

    monkeypatch.setattr(module, "PIECE", 1024)
    cupyx: Any = ModuleType("cupyx")
    pinned: list[Any] = []

    def empty_pinned(n: int, dtype: Any) -> Any:
        pinned.append(np.full(n, np.nan, dtype))
        return pinned[-1]

    cupyx.empty_pinned = empty_pinned
    monkeypatch.setitem(sys.modules, "cupyx", cupyx)
    free = 10**9
    cupy = SimpleNamespace(
        asarray=np.array,
        empty=lambda shape, dtype: np.full(shape, np.nan, dtype).view(Device),
        cuda=SimpleNamespace(
            Stream=Stream, runtime=SimpleNamespace(memGetInfo=lambda: (free, free))
        ),
        get_default_memory_pool=lambda: SimpleNamespace(free_bytes=lambda: 0),
    )
    machine = module.CupyBackend(cupy, None, None)
    array = np.random.default_rng(0).normal(size=shape).astype("f4")
    assert np.array_equal(np.asarray(machine.upload(array)), array)
    assert len(pinned) == (2 if array.nbytes > 1024 else 0)
    assert np.array_equal(np.asarray(machine.upload(array.T)), array.T)
    assert machine.tile == 2048
    free = 10**6
    assert machine.tile == 256
    free = 10**12
    assert machine.tile == 8192
