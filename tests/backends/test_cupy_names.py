"""Every name and keyword that we use of CuPy exists in a real wheel; no GPU is needed for that."""

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cupy", reason="CuPy is an extra")

PACKAGE = Path(__file__).resolve().parent.parent.parent / "attncli"
OURS = {"erf"}
"""What the backend adds to the standard's names."""


def calls() -> set[tuple[str, tuple[str, ...]]]:
    """Names of `xp` in the core, each with the keywords of its calls."""
    found: set[tuple[str, tuple[str, ...]]] = set()
    for path in (PACKAGE / "core").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            function = node.func if isinstance(node, ast.Call) else node
            is_of_xp = (
                isinstance(function, ast.Attribute)
                and isinstance(function.value, ast.Name)
                and function.value.id == "xp"
            )
            if is_of_xp:
                words = node.keywords if isinstance(node, ast.Call) else []
                found.add((function.attr, tuple(sorted(str(word.arg) for word in words))))
    return found


@pytest.mark.parametrize(("name", "keywords"), sorted(calls()))
def test_a_name_of_the_core(name: str, keywords: tuple[str, ...]) -> None:
    import array_api_compat.cupy as xp

    if name in OURS:
        return
    function = getattr(xp, name)
    if not keywords:
        return
    try:
        known = inspect.signature(function).parameters
    except ValueError:
        known = {}  # a ufunc of CuPy's: it takes out= by its documentation
        assert keywords == ("out",), f"{name} with {keywords}"
        assert type(function).__name__ == "ufunc"
        return
    takes_all = any(each.kind is each.VAR_KEYWORD for each in known.values())
    assert takes_all or {*keywords} <= {*known}, f"{name}({', '.join(keywords)})"


def dotted() -> list[str]:
    """`cupy.cuda.runtime.memGetInfo` and all others of our backend."""
    tree = ast.parse((PACKAGE / "backends" / "cupy.py").read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        text = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        text = text.removeprefix("self.")
        if text.startswith("cupy.") and text.replace(".", "").replace("_", "").isalnum():
            names.add(text)
    return sorted(names)


@pytest.mark.parametrize("name", dotted())
def test_a_name_of_the_backend(name: str) -> None:
    import cupy

    part: Any = cupy
    for attribute in name.split(".")[1:]:
        part = getattr(part, attribute)


def test_what_else_we_use_is_where_we_look_for_it() -> None:
    import cupy
    from cupyx import empty_pinned
    from cupyx.scipy.special import erf

    assert callable(erf)
    assert {"shape", "dtype"} <= {*inspect.signature(empty_pinned).parameters}
    assert "stream" in str(cupy.ndarray.set.__doc__)
    assert hasattr(cupy.cuda.Stream, "synchronize")


def test_without_a_device_the_backend_says_why() -> None:
    import cupy

    from attncli.backends.cupy import backend
    from attncli.errors import BackendError

    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        with pytest.raises(BackendError, match=r"driver|device|CUDA"):
            backend()
    else:
        assert backend().name == "cupy"
