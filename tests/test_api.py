"""The Python API: the same steps, and what shows itself in a notebook."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attncli
from attncli import attend, load
from attncli.errors import AttncliError, InputError

QUERY, KEY, VALUE = [[1, 0], [0, 1]], [[1, 0], [0, 1], [1, 1]], [[1], [2], [3]]


class Tensor:
    """An array of another library."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.values, dtype=dtype)


def test_keywords_are_the_keys_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"query: {QUERY}\nkey: {KEY}\nvalue: {VALUE}\nwindow: [1, null]\nalign: 1\n")
    made = attend(query=QUERY, key=KEY, value=VALUE, window=[1, None], align=1)
    assert np.array_equal(made.output, attend(path).output)
    assert made.names == attend(path).names
    assert np.array_equal(attend(load(path)).output, made.output)
    assert attend(path, similarity="cosine").problem.settings()["similarity"] == "cosine"


def test_arrays_of_other_libraries_are_read() -> None:
    trace = attend(query=Tensor(QUERY), key=np.float32(KEY), value=VALUE)
    assert trace.output.dtype == np.float64
    single = attend(query=np.float32(QUERY), key=np.float16(KEY), value=np.float32(VALUE))
    assert single.output.dtype == np.float32


def test_a_trace_shows_itself() -> None:
    trace = attend(query=QUERY, key=KEY, value=VALUE)
    assert "Weights" in repr(trace)
    assert "| q1 |" in trace._repr_markdown_()
    assert "weights" in trace
    assert "lse" in trace.names
    with pytest.raises(InputError, match="no step"):
        trace["wieghts"]


def test_errors_are_of_one_family() -> None:
    with pytest.raises(AttncliError, match="unknown key querry"):
        attend(querry=QUERY)
    with pytest.raises(AttncliError, match="key has 3 features"):
        attend(query=QUERY, key=[[1, 2, 3]])
    with pytest.raises(TypeError):
        attend(load(query=QUERY, key=KEY), causal=True)


def test_the_package_says_what_it_has() -> None:
    assert {"attend", "load", "Problem", "Trace", "__version__"} <= set(dir(attncli))
    with pytest.raises(AttributeError):
        attncli.nothing  # noqa: B018


def test_a_typed_program_runs() -> None:
    from tests.typed_api import program

    trace, problem = program()
    assert trace.output.tolist() != []
    assert problem.facts() == ("1 query × 1 key", "d 1", "dot, scaled", "float64")
