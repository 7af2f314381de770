"""The conformance suite of backends: plain formulas in float64, hard shapes, and the laws."""

from collections.abc import Callable
from typing import Any

import numpy as np

from attncli.api import load
from attncli.backends import find
from attncli.core.partial import Partial
from attncli.solve import WHOLE, solve

Numbers = np.ndarray[Any, np.dtype[Any]]


class CheckError(AssertionError):
    """A check that a backend did not pass."""


def _vectors(n_queries: int, n_keys: int, dtype: str) -> dict[str, Numbers]:
    random = np.random.default_rng(n_queries * 1000 + n_keys)
    shapes = {"query": (2, 3, n_queries, 5), "key": (2, 3, n_keys, 5), "value": (2, 3, n_keys, 7)}
    return {name: random.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def _formula(vectors: dict[str, Numbers], seen: Numbers | None = None) -> Numbers:
    """softmax(Q Kᵀ / √d) V in float64; rows that see nothing are zero."""
    query, key, value = (vectors[name].astype(np.float64) for name in ("query", "key", "value"))
    scores = query @ np.swapaxes(key, -1, -2) / np.sqrt(query.shape[-1])
    scores = scores if seen is None else np.where(seen, scores, -np.inf)
    best = scores.max(axis=-1, keepdims=True)
    weights = np.exp(scores - np.where(np.isfinite(best), best, 0))
    total = weights.sum(axis=-1, keepdims=True)
    result: Numbers = weights @ value / np.where(total == 0, 1, total)
    return result


def _near(got: Numbers, wanted: Numbers, dtype: str, what: str) -> None:
    allowed = 1e-12 if dtype == "float64" else 2e-6
    if got.shape != wanted.shape:
        raise CheckError(f"{what}: the shape is {got.shape}, {wanted.shape} is right")
    if got.dtype != dtype:
        raise CheckError(f"{what}: the result is {got.dtype}, not {dtype}")
    error = float(np.abs(got - wanted).max())
    if not error <= allowed:
        raise CheckError(f"{what}: off by {error:.3g}, {allowed:g} is allowed")


def _both(backend: str, keys: dict[str, Any], wanted: Numbers, dtype: str, what: str) -> None:
    """By steps, and by tiles of several widths, tails included."""
    problem = load(**keys)
    _near(solve(problem, backend=backend).output, wanted, dtype, f"{what}, by steps")
    keep = WHOLE & {*problem.step_names()}
    for tile in (1, 4, 16):
        output = solve(problem, backend=backend, tile=tile, keep=keep).output
        _near(output, wanted, dtype, f"{what}, by tiles of {tile}")


def check_oracle(backend: str) -> None:
    """Softmax attention against the formula, in float32 and float64, with tail tiles."""
    for dtype in ("float32", "float64"):
        vectors = _vectors(11, 13, dtype)
        _both(backend, {**vectors}, _formula(vectors), dtype, "attention")


def check_one_key(backend: str) -> None:
    """One key gets all of the weight."""
    vectors = _vectors(3, 1, "float32")
    _both(backend, {**vectors}, _formula(vectors), "float32", "one key")


def check_masked_rows(backend: str) -> None:
    """A query that may attend to nothing gets zero; what is masked cannot be seen, not even NaN."""
    vectors = _vectors(5, 7, "float32")
    seen = np.random.default_rng(0).random((5, 7)) < 0.5
    seen[2] = False
    seen[:, 6] = False
    poisoned = {**vectors, "value": vectors["value"].copy()}
    poisoned["value"][..., 6, :] = np.nan
    keys = {**poisoned, "mask": seen, "allow_nonfinite": True}
    _both(backend, keys, _formula(vectors, seen), "float32", "masked rows")


def check_causal(backend: str) -> None:
    """Causal masks, whose tiles are skipped, seen whole or cut by the diagonal."""
    vectors = _vectors(13, 13, "float32")
    wanted = _formula(vectors, np.tril(np.ones((13, 13), bool)))
    _both(backend, {**vectors, "causal": True}, wanted, "float32", "causal")


def check_large_scores(backend: str) -> None:
    """Scores of ±10⁴ neither overflow nor vanish."""
    vectors = _vectors(5, 7, "float64")
    vectors["query"] *= 1e4
    _both(backend, {**vectors}, _formula(vectors), "float64", "large scores")


def check_merge(backend: str) -> None:
    """Partial results merge in any grouping, and with the identity."""
    machine = find(backend)
    xp, random = machine.xp, np.random.default_rng(1)
    with machine.session(1):
        parts = [
            Partial.of(
                machine.upload(random.normal(size=(3, n)) * 30),
                machine.upload(random.normal(size=(n, 2))),
                xp,
                leaves_out=False,
            )
            for n in (2, 3, 5)
        ]
        a, b, c = parts
        left, right = a.merge(b, xp).merge(c, xp), a.merge(b.merge(c, xp), xp)
        ours, theirs = (machine.download(part.output(xp)) for part in (left, right))
    _near(ours, theirs, "float64", "merge")


def check_arrays(backend: str) -> None:
    """Arrays survive the way there and back, bit for bit, and what is computed stays there."""
    machine = find(backend)
    with machine.session(1):
        for dtype in ("float32", "float64", "int64", "bool"):
            array = np.arange(6).reshape(2, 3).astype(dtype)
            there = machine.upload(array)
            back = machine.download(there)
            if back.dtype != array.dtype or not np.array_equal(back, array):
                raise CheckError(f"{dtype} comes back as {back.dtype}, or with other numbers")
            if dtype.startswith("float"):
                product = machine.xp.matmul(there, machine.xp.matrix_transpose(there))
                if type(product) is not type(there):
                    raise CheckError("a product is no array of the backend")
        if not machine.memory() > 0:
            raise CheckError("no memory is free")


def check_same_bytes(backend: str) -> None:
    """The same problem twice gives the same bytes."""
    problem = load(**_vectors(11, 13, "float32"), causal=True, align="top-left")
    runs = {solve(problem, backend=backend).output.tobytes() for _ in range(3)}
    if len(runs) > 1:
        raise CheckError("the same problem gave other bytes the second time")


CHECKS: dict[str, Callable[[str], None]] = {
    name.removeprefix("check_").replace("_", " "): check
    for name, check in list(globals().items())
    if name.startswith("check_")
}
"""Every check by its name; each takes the name of a backend and raises `CheckError`."""


class BackendConformance:
    """A pytest class: derive from it, and name the backend."""

    backend = "numpy"

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if "check" in metafunc.fixturenames:
            metafunc.parametrize("check", list(CHECKS))

    def test_conformance(self, check: str) -> None:
        """One check of the suite."""
        CHECKS[check](self.backend)
