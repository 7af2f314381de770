"""Conversion: the problem that comes out computes what the one that went in did."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli import attend
from attncli.commands.boundary import run
from attncli.errors import InputError
from attncli.files import convert
from attncli.files.problem import read_entries
from tests import problem_file

RANDOM = np.random.default_rng(7)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape)


def mlp() -> list[dict[str, Any]]:
    return [
        {"weight": normal(10, 3), "bias": normal(3), "activation": "relu"},
        {"weight": normal(3), "activation": "none"},
    ]


PROBLEMS: dict[str, dict[str, Any]] = {
    "projected": {
        "title": 'It\'s: a "test" [1], # no comment',
        "input": normal(2, 4),
        "projections": {"query": normal(4, 6), "key": normal(4, 6), "value": normal(4, 3)},
        "projection_biases": {"value": normal(3)},
        "labels": {"query": ["no", "null"], "key": ["007", "a b"]},
        "rope": {"base": 100.0, "width": 4},
        "window": [None, 1],
    },
    "mlp": {
        "query": normal(2, 5),
        "key": normal(3, 5),
        "value": normal(3, 2),
        "similarity": {"name": "mlp", "layers": mlp()},
        "bias": normal(2, 3),
        "mask": np.array([[0.5, -np.inf, 0.25], [0.0, 1.5, -1.0]]),
    },
    "cached": {
        "notation": "columns",
        "query": normal(4, 2),
        "key": normal(4, 3),
        "value": normal(5, 3),
        "past": {"key": normal(4, 2), "value": normal(5, 2)},
        "mask": np.array([[True, False], [True, True], [False, True], [True, True], [True, True]]),
        "causal": True,
        "allow_nonfinite": False,
        "sink": 0.5,
    },
    "layered": {
        "kind": "encoder",
        "input": normal(3, 4),
        "heads": 2,
        "parameters": {
            "self_attn.in_proj_weight": normal(12, 4),
            "self_attn.out_proj.weight": normal(4, 4),
            "linear1.weight": normal(5, 4),
            "linear2.weight": normal(4, 5),
            "norm1.weight": normal(4),
            "norm2.weight": normal(4),
        },
    },
    "narrow": {"query": normal(2, 4).astype("f"), "key": normal(3, 4).astype("f"), "value": "key"},
    "half": {"query": normal(2, 4).astype(np.float16), "key": "query", "value": "query"},
    "several": {
        "query": normal(2, 3, 2, 4),
        "key": normal(2, 1, 3, 4),
        "value": normal(2, 1, 3, 2),
    },
    "one vector": {"query": normal(4), "key": normal(3, 4), "value": normal(3, 2)},
    "endless": {"query": np.array([[np.inf, -np.inf, 1]]), "key": normal(2, 3), "value": "key"}
    | {"allow_nonfinite": True, "similarity": "euclidean", "scale": 0.0001},
}


def written(folder: Path, problem: dict[str, Any]) -> Path:
    """A problem in one directory, whose arrays lie beside it."""
    folder.mkdir()
    return problem_file.write(folder, problem)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_with_everything_inside_is_the_same(
    name: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = written(tmp_path / "there", PROBLEMS[name]), tmp_path / f"all.{suffix}"
    endless = any(
        isinstance(value, np.ndarray) and not np.isfinite(value).all()
        for value in PROBLEMS[name].values()
    )
    if endless and suffix == "json":
        assert run(["inspect", str(source), "-o", str(target)]) == 3
        assert "JSON has no NaN and no infinity" in capsys.readouterr().err
        return
    assert run(["inspect", str(source), "-o", str(target), "-q"]) == 0
    assert ".npz" not in target.read_text(encoding="utf-8")
    ours, theirs = attend(source), attend(target)
    assert ours.names == theirs.names
    for step in ours.names:
        np.testing.assert_array_equal(theirs[step], ours[step])
        assert np.asarray(theirs[step]).dtype == np.asarray(ours[step]).dtype
    titles = [trace.problem.presentation.title for trace in (ours, theirs)]
    assert titles == [PROBLEMS[name].get("title", titles[0])] * 2
    assert theirs.labels == ours.labels
    assert theirs.notation == ours.notation


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_the_tensors_of_a_problem_have_dotted_names(suffix: str, tmp_path: Path) -> None:
    source, target = written(tmp_path / "there", PROBLEMS["mlp"]), tmp_path / f"all.{suffix}"
    assert run(["inspect", str(source), "-o", str(target), "-q"]) == 0
    found = convert.tensors(str(target))
    layers = PROBLEMS["mlp"]["similarity"]["layers"]
    wanted = {name: PROBLEMS["mlp"][name] for name in ("query", "key", "value", "bias", "mask")}
    wanted |= {f"similarity.layers.{n}.weight": layers[n]["weight"] for n in (0, 1)}
    wanted["similarity.layers.0.bias"] = layers[0]["bias"]
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


def test_settings_are_the_keys_that_are_no_tensors(tmp_path: Path) -> None:
    source, target = written(tmp_path / "there", PROBLEMS["mlp"]), tmp_path / "all.npz"
    _, lost = convert.writer(str(source), target)
    layers = [f"similarity.layers.{n}.activation" for n in (0, 1)]
    assert lost == ["similarity.name", *layers]
    assert convert.writer(str(source), tmp_path / "all.yaml")[1] == []


@pytest.mark.parametrize(("suffix", "sign"), [("csv", ","), ("tsv", "\t"), ("npy", "")])
def test_one_tensor_of_a_problem_becomes_a_file(suffix: str, sign: str, tmp_path: Path) -> None:
    source = written(tmp_path / "there", PROBLEMS["projected"])
    target = tmp_path / f"w.{suffix}"
    assert run(["inspect", f"{source}:projections.key", "-o", str(target), "-q"]) == 0
    (array,) = convert.tensors(str(target)).values()
    np.testing.assert_array_equal(array, PROBLEMS["projected"]["projections"]["key"])
    if sign:
        assert target.read_text().count(sign) == 4 * 5


def test_the_dtype_of_a_problem_is_that_of_its_tensors(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("query: [[0.1]]\nkey: query\nmask: [[true]]\ndtype: float32\n")
    found = convert.tensors(str(path))
    assert {name: str(array.dtype) for name, array in found.items()} == {
        "query": "float32",
        "key": "float32",
        "mask": "bool",
    }


ARRAYS = {"one": normal(2, 3), "Q": normal(2, 3), "key": normal(2, 3)}


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (["one"], ["input"]),
        (["key"], ["key"]),
        (["Q"], ["query"]),
        (["Q", "key"], ["query", "key"]),
    ],
)
def test_an_archive_becomes_a_problem(names: list[str], keys: list[str], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{name: ARRAYS[name].astype("f") for name in names})
    assert run(["inspect", str(tmp_path / "a.npz"), "-o", str(tmp_path / "a.json"), "-q"]) == 0
    content = json.loads((tmp_path / "a.json").read_text())
    assert [*content] == [*keys, "dtype"]
    assert content["dtype"] == "float32"
    for name, key in zip(names, keys, strict=True):
        np.testing.assert_array_equal(np.array(content[key], "f"), ARRAYS[name].astype("f"))


@pytest.mark.parametrize("dtype", ["float64", "int64", "bool"])
def test_only_narrow_numbers_say_so(dtype: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", mask=np.ones((1, 2), dtype), query=np.ones((1, 2)))
    assert run(["inspect", str(tmp_path / "a.npz"), "-o", str(tmp_path / "a.json"), "-q"]) == 0
    assert json.loads((tmp_path / "a.json").read_text()).keys() == {"mask", "query"}


WRITTEN = {
    "yaml": """title: é
query:
  - [1.0, 2.0]
key:
  - [[0.5, 1.0]]
value: [1.0, 2.0]
past:
  key:
    - [1.0, 0.0]
  value:
    - [2.0]
""",
    "json": """{
 "title": "é",
 "query": [
  [
   1.0,
   2.0
  ]
 ]
}
""",
}


def test_a_problem_is_written_to_be_read(tmp_path: Path) -> None:
    key = "key: [[[0.5, 1]]]\nvalue: [1, 2]\npast: {key: [[1, 0]], value: [[2]]}\n"
    for suffix, more in {"yaml": key, "json": ""}.items():
        (tmp_path / "p.yaml").write_text("title: é\nquery: [[1, 2]]\n" + more, encoding="utf-8")
        assert convert._document(str(tmp_path / "p.yaml"), f".{suffix}") == WRITTEN[suffix]


ODD = [
    "😀",
    "a: b",
    "# a",
    "",
    "-",
    "<<",
    "007",
    '"',
    "\\",
    "\n",
    "\x7f",
    "\x85",
    "\u2028",
    "\U000e0041",
]


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_odd_texts_and_names_are_read_back(suffix: str, tmp_path: Path) -> None:
    texts = [*ODD[:3], *ODD[4:]]
    problem = {
        "title": "".join(ODD),
        "labels": {"feature": texts},
        "parameters": {name: [1.0] for name in ODD},
    }
    (tmp_path / "p.json").write_text(json.dumps(problem), encoding="utf-8")
    path = tmp_path / f"out.{suffix}"
    path.write_text(convert._document(str(tmp_path / "p.json"), f".{suffix}"), encoding="utf-8")
    entries = read_entries(str(path))
    assert entries["title"].value == problem["title"]
    assert entries["labels"].value["feature"].value == tuple(texts)
    assert [*entries["parameters"].value] == ODD


def test_names_that_are_no_keys_are_listed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{letter: np.ones(1) for letter in "abcdefghij"})
    with pytest.raises(InputError, match="no key 'a'") as caught:
        convert.writer(str(tmp_path / "a.npz"), tmp_path / "p.yaml")
    assert caught.value.found == "a, b, c, d, e, f, g, h"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array([np.nan, np.inf, -np.inf, -0.0, 1e300]), "[.nan, .inf, -.inf, -0.0, 1e+300]"),
        ({"a": [1, None], "b": True}, "{a: [1, null], b: true}"),
        ((False, "top-left", "a_b", "", "a b", "1:2"), '[false, top-left, a_b, "", "a b", "1:2"]'),
    ],
)
def test_values_in_flow_style(value: object, text: str) -> None:
    assert convert._flow(value) == text


def test_a_file_with_a_colon_in_its_name_is_that_file(tmp_path: Path) -> None:
    np.save(tmp_path / "p.yaml:q.npy", ARRAYS["one"])
    (array,) = convert.tensors(str(tmp_path / "p.yaml:q.npy")).values()
    np.testing.assert_array_equal(array, ARRAYS["one"])


def test_the_name_of_a_lone_tensor(tmp_path: Path) -> None:
    np.save(tmp_path / "q.npy", ARRAYS["one"])
    np.savez(tmp_path / "a.npz", one=ARRAYS["one"], two=ARRAYS["Q"])
    assert [*convert.tensors(str(tmp_path / "q.npy"))] == ["q"]
    assert [*convert.tensors(f"{tmp_path}/a.npz:two")] == ["two"]
    assert [*convert.tensors(f"{tmp_path}/a.npz")] == ["one", "two"]
    with pytest.raises(InputError, match="no tensor called three"):
        convert.tensors(f"{tmp_path}/a.npz:three")


def test_a_table_keeps_its_labels_in_a_table_and_says_so_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "weights.csv"
    source.write_text(",the,'=animal\nit,1,2\nwas,3,4.5\n")
    for name in ("weights.tsv", "weights.npy"):
        assert run(["inspect", str(source), "-o", str(tmp_path / name)]) == 0
    written = (tmp_path / "weights.tsv").read_text()
    assert written == "\tthe\t'=animal\nit\t1.0\t2.0\nwas\t3.0\t4.5\n"
    np.testing.assert_array_equal(np.load(tmp_path / "weights.npy"), [[1, 2], [3, 4.5]])
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith("weights.tsv")
    assert said[1].endswith("left out, since it holds tensors only: labels")


def test_labels_of_tables_come_along_into_a_problem(tmp_path: Path) -> None:
    def labels(source: Path, made: Path) -> dict[str, tuple[str, ...]]:
        assert run(["inspect", str(source), "-o", str(made)]) == 0
        return {key: it.value for key, it in read_entries(str(made))["labels"].value.items()}

    (tmp_path / "q.csv").write_text(",left,right\nit,1,2\n")
    (tmp_path / "k.csv").write_text(",a,b\nthe,1,2\nanimal,3,4\n")
    given = tmp_path / "given.yaml"
    given.write_text("query: q.csv\nkey: k.csv\n")
    everything = {"query": ("it",), "key": ("the", "animal"), "feature": ("left", "right")}
    for name in ("made.yaml", "made.json"):
        assert labels(given, tmp_path / name) == everything
    named = labels(tmp_path / "k.csv", tmp_path / "named.yaml")
    assert named == {"key": ("the", "animal"), "feature": ("a", "b")}
    (tmp_path / "k.csv").rename(tmp_path / "words.csv")
    alone = labels(tmp_path / "words.csv", tmp_path / "alone.yaml")
    assert alone == {"query": ("the", "animal"), "key": ("the", "animal")}
