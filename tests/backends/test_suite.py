"""The conformance suite of backends itself: sound ones pass it, and each fault is named."""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from itertools import count
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from attncli import backends
from attncli.backends import Entry
from attncli.backends.numpy import Functions, NumpyBackend
from attncli.backends.probe import answer
from attncli.testing import CHECKS, BackendConformance


class TestStrict(BackendConformance):
    backend = "strict"

    @pytest.fixture(autouse=True)
    def _strict_is_a_backend(self, monkeypatch: pytest.MonkeyPatch) -> None:
        entry = Entry("strict", "tests.backends.strict", "")
        monkeypatch.setitem(backends.BACKENDS, "strict", entry)

    def test_what_an_author_adds(self) -> None:
        assert answer(self.backend).says.startswith("array-api-strict ")


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is an extra")
@pytest.mark.skipif(find_spec("array_api_compat") is None, reason="PyTorch is an extra")
class TestTorch(BackendConformance):
    backend = "torch"


class Other(Functions):
    """NumPy's functions, and one in place of another."""

    def __init__(self, **functions: Callable[..., Any]) -> None:
        for name, function in functions.items():
            setattr(self, name, function)


calls = count()
FAULTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a shape": (
        "oracle",
        "attention, by steps: the shape is (2, 3, 1, 7), (2, 3, 11, 7) is right",
        {"download": lambda self, x: x[..., :1, :]},
    ),
    "a type": (
        "oracle",
        "attention, by steps: the result is float64, not float32",
        {"download": lambda self, x: np.asarray(x, dtype=np.float64)},
    ),
    "a number": (
        "causal",
        "causal, by steps: off by",
        {"xp": Other(exp=lambda x, out=None: np.exp(x * 1.001, out=out))},
    ),
    "a type on the way": (
        "arrays",
        "int64 comes back as float64, or with other numbers",
        {"upload": lambda self, x: x.astype(np.float64) if x.dtype == np.int64 else x},
    ),
    "a product that left the device": (
        "arrays",
        "a product is no array of the backend",
        {"xp": Other(matmul=lambda a, b, **_: np.matmul(a, b).tolist())},
    ),
    "no memory": ("arrays", "no memory is free", {"memory": lambda self: 0}),
    "a mood": (
        "same bytes",
        "the same problem gave other bytes the second time",
        {"download": lambda self, x: np.asarray(x) + np.float32(1e-9 * next(calls))},
    ),
}


def faulty(fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `faulty` be a backend like NumPy's but for a fault."""
    module: Any = ModuleType("faulty")
    module.backend = type("Faulty", (NumpyBackend,), fault)
    monkeypatch.setitem(sys.modules, "faulty", module)
    monkeypatch.setitem(backends.BACKENDS, "faulty", Entry("faulty", "faulty", ""))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check, words, parts = FAULTS[fault]
    CHECKS[check]("numpy")
    faulty(parts, monkeypatch)
    with pytest.raises(AssertionError) as caught:
        CHECKS[check]("faulty")
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"download": lambda self, x: np.asarray(x) + 1}, "multiplies two small tables wrongly"),
        ({"memory": lambda self: 1 / 0}, "ZeroDivisionError: division by zero"),
    ],
)
def test_a_backend_that_loads_but_does_not_compute_is_not_ready(
    fault: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty(fault, monkeypatch)
    said = answer("faulty")
    assert not said.ready
    assert words in said.says
