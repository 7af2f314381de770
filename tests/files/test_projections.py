"""A state_dict of PyTorch's attention, and tables in a problem: which are refused, and why."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli.errors import InputError
from attncli.files.projections import attention_tables, read_tables
from attncli.files.types import Entry
from attncli.files.vectors import Source

STATE = {"in_proj_weight": np.arange(12.0).reshape(6, 2), "out_proj.weight": np.eye(2)}
APART = {"q_proj_weight": np.eye(2), "k_proj_weight": np.ones((2, 3))}
APART |= {"v_proj_weight": np.ones((4, 5)), "out_proj.weight": np.ones((2, 4))}


def refusal(state: dict[str, Any]) -> InputError:
    with pytest.raises(InputError) as caught:
        attention_tables(state)
    return caught.value


def test_packed_tables_are_query_key_and_value() -> None:
    weights = attention_tables(STATE).weights
    assert list(weights) == ["query", "key", "value", "output"]
    assert weights["key"].tolist() == [[4, 6], [5, 7]]
    for shape in ((7, 2), (6,), (3, 2, 1)):
        error = refusal(STATE | {"in_proj_weight": np.ones(shape)})
        assert error.what.startswith("in_proj_weight has the shape")
        assert error.expected.startswith("(3·d × d)")


@pytest.mark.parametrize("name", ["k_proj_weight", "v_proj_weight", "out_proj.weight"])
def test_tables_of_their_own_are_all_there_and_have_two_axes(name: str) -> None:
    assert attention_tables(APART).weights["value"].shape == (5, 4)
    error = refusal({key: APART[key] for key in APART if key != name})
    assert (error.what, error.expected) == (f"parameters has no {name}", name)
    assert error.found == ", ".join(key for key in APART if key != name)
    for shape in ((4,), (1, 2, 2)):
        error = refusal(APART | {name: np.ones(shape)})
        assert error.what.startswith(f"{name} has the shape")


def test_biases_are_as_many_as_the_projections_make() -> None:
    sizes = {"in_proj_bias": 2 + 2 + 4, "bias_k": 2, "bias_v": 4}
    sound = {name: np.ones(size) for name, size in sizes.items()}
    tables = attention_tables(APART | sound)
    assert tables.extra["extra_value"].shape == (1, 4)
    for shape in ((8,), (1, 8)):
        bias = np.arange(8.0).reshape(shape)
        split = attention_tables(APART | {"in_proj_bias": bias}).biases
        assert {name: part.tolist() for name, part in split.items()} == {
            "query": [0, 1],
            "key": [2, 3],
            "value": [4, 5, 6, 7],
        }
    for name, size in sizes.items():
        for wrong in (size - 1, size + 1):
            error = refusal(APART | sound | {name: np.ones(wrong)})
            assert error.what == f"{name} has the shape ({wrong})"
            assert error.expected == f"{size} numbers, as many as the projections make"
            assert error.found == str(wrong)
    for name in ("bias_k", "bias_v"):
        assert refusal(APART | {name: sound[name]}).found == name


def test_names_of_other_modules_are_refused() -> None:
    assert refusal({"out_proj.weight": np.eye(2)}).what == "parameters has no in_proj_weight"
    assert refusal(STATE | {"x": np.eye(2)}).what == "parameters has an unknown tensor x"


def read(**keys: Any) -> Any:
    entries = {
        key: Entry({name: Entry(np.asarray(table)) for name, table in tables.items()})
        if isinstance(tables, dict)
        else Entry(tables)
        for key, tables in keys.items()
    }
    return read_tables(Source(entries))


def test_a_projection_is_a_table_or_a_list_of_tables() -> None:
    for table in (3.0, np.ones(2), np.ones((1, 1, 2, 2))):
        with pytest.raises(InputError) as caught:
            read(projections={"output": table})
        assert caught.value.what == f"projections.output has {np.ndim(table)} axes"
    each = dict.fromkeys(("query", "key", "value"), np.ones((2, 3, 3)))
    assert read(projections=each).n_heads == 2
    assert read(projections={"query": np.eye(3)}).n_heads is None
    assert read().n_heads is None
    for name in each:
        with pytest.raises(InputError, match=f"a table for each head, {name} has not") as caught:
            read(projections=each | {name: np.eye(3)})
        assert caught.value.found == ", ".join(sorted(each.keys() - {name}))


def test_heads_are_as_many_as_there_are_tables() -> None:
    each = dict.fromkeys(("query", "key", "value"), np.ones((2, 3, 4)))
    assert read(projections=each, heads=2, kv_heads=2).n_heads == 2
    for key, name in (("heads", "query"), ("kv_heads", "key")):
        with pytest.raises(InputError) as caught:
            read(projections=each, **{key: 3})
        assert caught.value.what == f"{key} is 3, projections.{name} has 2 tables"
        assert caught.value.expected == f"a table for each head, 3, or {key}: 2"
        assert caught.value.found == "2"
    assert read(projections={"query": np.eye(3), "key": np.eye(3)}, heads=1).n_heads is None


def test_six_names_are_shown_of_those_that_are_there(tmp_path: Path) -> None:
    state = {name: APART[name] for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight")}
    state |= {"in_proj_bias": np.ones(8), "bias_k": np.ones(2), "bias_v": np.ones(4)}
    error = refusal(state | {"out_proj.bias": np.ones(2)})
    assert (error.what, error.found) == ("parameters has no out_proj.weight", ", ".join(state))
    np.savez(tmp_path / "s.npz", **{f"t{n}": np.eye(2) for n in range(7)})
    entries = {"parameters": Entry("s.npz:x."), "heads": Entry(1)}
    with pytest.raises(InputError, match=r"no tensor whose name begins with 'x\.'") as caught:
        read_tables(Source(entries, tmp_path))
    assert caught.value.expected == "the beginning of a name: t0, t1, t2, t3, t4, t5"


def test_a_bias_goes_with_a_table() -> None:
    with pytest.raises(InputError, match=r"projection_biases\.key has no table to go with"):
        read(projections={"query": np.eye(3)}, projection_biases={"key": np.ones(3)})
    with pytest.raises(InputError, match="parameters and projections: one of the two"):
        read(parameters=STATE, projections={"query": np.eye(3)})
