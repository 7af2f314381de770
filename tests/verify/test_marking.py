"""Answer sheets: right, wrong, right given an earlier mistake; the first wrong cell worked."""

from typing import Any

import numpy as np
import pytest

from attncli import load
from attncli.files.results import Result
from attncli.oracle.compare import Rule
from attncli.oracle.marking import Marked, Marker, asked
from attncli.solve import solve
from tests.verify.wrong import softmax, weighted

X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
WQ = np.array([[1.0, 2.0], [0.0, 1.0]])
KEYS: dict[str, Any] = {"input": X, "projections": {"query": WQ}, "causal": True}


def marked(sheet: dict[str, Any], digits: int = 2, **keys: Any) -> Marked:
    """A sheet of tables, written with some decimals."""
    problem = load(**{**KEYS, **keys})
    results = {
        name: Result(np.round(table, digits), None, np.full(np.shape(table), 0.5 * 10.0**-digits))
        for name, table in sheet.items()
    }
    return Marker(problem, solve(problem), Rule()).marked("sheet", results)


def solved() -> dict[str, Any]:
    """A right sheet, by loops."""
    query = [[float(sum(x[f] * WQ[f, o] for f in range(2))) for o in range(2)] for x in X]
    scores = [[sum(a * b for a, b in zip(q, k, strict=True)) for k in X] for q in query]
    return {"query": np.array(query), "scores": np.array(scores)} | follows(scores)


def follows(scores: Any) -> dict[str, Any]:
    """The rest of a sheet, from its scores."""
    scaled = [[s / 2**0.5 for s in row] for row in scores]
    seen = [[s if j <= i else -np.inf for j, s in enumerate(row)] for i, row in enumerate(scaled)]
    weights = [softmax(row) for row in seen]
    output = weighted(weights, X)
    steps = {"scaled": scaled, "masked": seen, "weights": weights, "output": output}
    return {name: np.array(table) for name, table in steps.items()}


def marks(told: Marked) -> str:
    signs = {"right": "+", "carried": ">", "wrong": "x", "missing": "."}
    return "".join(signs[told.marks[name]] for name in told.marks if name not in ("key", "value"))


def test_a_right_sheet_has_all_points() -> None:
    told = marked(solved())
    assert marks(told) == "++++++"
    assert told.first is None
    assert asked([told])[0].all_right


@pytest.mark.parametrize("digits", [1, 2, 3, 8])
def test_one_mistake_costs_one_step(digits: int) -> None:
    sheet = solved()
    sheet["scores"][2, 0] = 4
    sheet |= follows(sheet["scores"])
    told = marked(sheet, digits)
    assert marks(told) == "+x>>>>"
    assert told.first is not None
    assert (told.first.step, told.first.place) == ("scores", (2, 0))
    assert (told.first.expected, told.first.written) == (1, 4)
    assert told.first.arithmetic == "1·1 + 3·0 = 1"


def test_what_is_computed_from_rounded_numbers_is_right() -> None:
    sheet = solved()
    weights = np.round(sheet["weights"], 1)
    sheet |= {"weights": weights, "output": weights @ X}
    assert marks(marked(sheet, 1)) == "++++++"
    assert marks(marked({"weights": weights, "output": weights @ X}, 1)) == "....++"


def test_two_mistakes_cost_two_steps_and_the_first_is_shown() -> None:
    sheet = solved()
    sheet["scores"][0, 0] += 1
    sheet |= follows(sheet["scores"])
    sheet["weights"][2] = sheet["weights"][2][::-1]
    sheet["output"] = sheet["weights"] @ X
    told = marked(sheet)
    assert marks(told) == "+x>>x>"
    assert told.first is not None
    assert told.first.step == "scores"


def test_a_mistake_after_a_mistake_is_judged_by_what_stands_before() -> None:
    """Right again by copying: the output of the solution under wrong weights is still right."""
    sheet = solved()
    sheet["weights"] = np.full((3, 3), 1 / 3)
    told = marked(sheet)
    assert marks(told) == "++++x+"


@pytest.mark.parametrize(
    ("step", "spoil", "name"),
    [
        ("scaled", lambda s: np.array(s["scores"]) / 2, "scale-twice"),
        ("scaled", lambda s: np.array(s["scores"]), "scale-left-out"),
        (
            "weights",
            lambda s: np.array([softmax(c) for c in s["masked"].T.tolist()]).T,
            "softmax-over-queries",
        ),
        ("masked", lambda s: np.where(np.tri(3, k=-1) > 0, s["scaled"], -np.inf), "causal-strict"),
    ],
)
def test_the_slip_behind_a_mistake_is_named(step: str, spoil: Any, name: str) -> None:
    sheet = solved()
    sheet[step] = spoil(sheet)
    told = marked({k: v for k, v in sheet.items() if k in ("query", "scores", step)}, 3)
    assert told.slip is not None
    assert told.slip.name == name


def test_the_slip_is_found_from_wrong_numbers_before_it() -> None:
    sheet = solved()
    sheet["scores"][1, 0] = 7
    sheet |= follows(sheet["scores"])
    sheet["scores"][1, 0] = 0  # the scores are right again, the rest is from others
    told = marked(sheet)
    assert marks(told)[:2] == "++"
    assert marks(told)[2] == "x"


def test_another_shape_is_wrong() -> None:
    told = marked({"scores": np.ones((2, 3))})
    assert marks(told) == ".x...."
    assert told.first is not None
    assert told.first.remark == "the table is 2 × 3, not 3 × 3"


def test_only_what_was_asked_counts() -> None:
    sheets = [marked({"scores": solved()["scores"]}), marked({"weights": solved()["weights"]})]
    told = asked(sheets)
    assert [(sheet.points, len(sheet.marks)) for sheet in told] == [(1, 2), (1, 2)]


@pytest.mark.parametrize(
    ("step", "place", "says"),
    [
        ("query", (2, 1), "1·2 + 1·1 = 3"),
        ("scores", (1, 0), "0·1 + 1·0 = 0"),
        ("scaled", (0, 1), "2/√2 = 1.414"),
        ("weights", (1, 1), "e^0.707 / (e^0 + e^0.707) ≈ 0.670"),
        ("weights", (1, 2), "0 / (e^0 + e^0.707) ≈ 0"),
        ("output", (1, 0), "0.330·1 + 0.670·0 + 0·1 ≈ 0.330"),
    ],
)
def test_the_arithmetic_of_a_cell(step: str, place: tuple[int, ...], says: str) -> None:
    sheet = solved()
    sheet[step][place] += 0.5
    told = marked(sheet)
    assert told.first is not None
    assert told.first.place == place
    assert told.first.arithmetic == says


def test_sheets_of_several_heads_and_in_columns() -> None:
    random = np.random.default_rng(0)
    keys = {
        "query": random.normal(size=(4, 5)),
        "key": random.normal(size=(4, 7)),
        "value": random.normal(size=(6, 7)),
        "heads": 2,
        "notation": "columns",
    }
    problem = load(**keys)
    ours = solve(problem)
    names = ("query", "scores", "weights", "heads", "joined", "output")
    sheet = {name: np.array(ours[name]) for name in names}
    results = {name: Result(table, "float64") for name, table in sheet.items()}
    told = Marker(problem, ours, Rule()).marked("sheet", results)
    assert {*told.marks.values()} == {"right", "missing"}
    sheet["weights"][1, 3, 2] += 0.1
    sheet["output"] = np.array(ours["output"])
    results = {name: Result(table, "float64") for name, table in sheet.items()}
    told = Marker(problem, ours, Rule()).marked("sheet", results)
    assert told.marks["weights"] == "wrong"
    assert told.first is not None
    assert told.first.place == (1, 3, 2)
    assert told.first.arithmetic.startswith("e^")
