"""Several slips that fit are all named, with what would tell them apart; nothing makes it fall."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from attncli import load
from attncli.errors import AttncliError
from attncli.files.results import Result
from attncli.oracle.compare import Rule
from attncli.oracle.marking import Marker
from attncli.oracle.verdict import Judge
from attncli.solve import solve
from tests.verify.rotary import rotated
from tests.verify.test_slips import judge, verdict
from tests.verify.wrong import draw, each, problem

SAMPLES = sorted((Path(__file__).resolve().parents[2] / "samples").glob("*.yaml"))


def test_a_step_tells_two_slips_apart() -> None:
    """Half of the scale, or half of the temperature: the weights are the same."""
    q, k, v = draw(np.random.default_rng(0))
    told = verdict(problem(q, k, v, scale=0.5, temperature=2.0), each(q, k, v, scale=0.5))
    assert [fit.name for fit in told.fits[:2]] == ["scale-left-out", "temperature-ignored"]
    assert "the step scaled tells them apart" in told.apart[0]


def test_other_numbers_tell_two_slips_apart() -> None:
    """Queries of zeros: 1/4 by queries, or half of 1/2."""
    random = np.random.default_rng(0)
    q = np.zeros((4, 4))
    k, v = random.normal(size=(2, 4)), random.normal(size=(2, 3))
    told = verdict(problem(q, k, v), v.sum(axis=0) / 4 + np.zeros((4, 1)))
    assert {"softmax-over-queries", "scale-after-softmax"} <= {fit.name for fit in told.fits}
    assert any(
        "other numbers of these shapes" in line or "tells them apart" in line for line in told.apart
    )


def test_what_is_the_same_computation_is_said_to_be() -> None:
    q, k, v = draw(np.random.default_rng(0))
    told = verdict(problem(q, k, v), each(q, k, v, scale=1 / 5))
    assert [fit.name for fit in told.fits] == ["scale-twice", "scale-by-d"]
    assert "the same computation" in told.apart[0]


def test_a_slip_that_only_earlier_steps_show() -> None:
    """Rotary positions are relative: counted from 1 they change queries and keys alone."""
    q, k, v = draw(np.random.default_rng(0), m=7, d=6)
    made = problem(q, k, v, rope={"base": 10000})
    theirs = {"query": rotated(q, first=1), "key": rotated(k, first=1)}
    own = judge(made)
    theirs |= {"output": np.asarray(own.ours.output)}
    told = own.verdict("x", {name: Result(array, "float64") for name, array in theirs.items()})
    assert told.fits[0].name == "rope-positions"
    assert "from 1" in told.fits[0].sentence


def test_every_step_that_is_given_must_be_explained() -> None:
    """An output that a slip explains, beside weights that it does not: none fits."""
    q, k, v = draw(np.random.default_rng(0))
    own = judge(problem(q, k, v))
    weights = np.asarray(own.ours["weights"])
    theirs = {"weights": weights[..., ::-1], "output": each(q, k, v, scale=1.0)}
    told = own.verdict("x", {name: Result(array, "float64") for name, array in theirs.items()})
    assert told.fits == ()


STRANGE = {
    "zeros": lambda x: np.zeros_like(x),
    "nan": lambda x: np.full_like(x, np.nan),
    "infinities": lambda x: np.full_like(x, -np.inf),
    "huge": lambda x: x * 1e300,
    "turned": lambda x: np.swapaxes(x, -1, -2) if x.ndim > 1 else x,
    "flat": lambda x: x.ravel(),
    "a number": lambda x: np.asarray(1.5),
    "empty": lambda x: np.zeros((0, 3)),
    "one axis more": lambda x: x[None],
    "a part": lambda x: x[..., :1],
    "noise": lambda x: x + np.random.default_rng(0).normal(size=x.shape) / 50,
}


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_whatever_they_give_there_is_an_answer(path: Path, strange: str) -> None:
    opened = load(path, dtype="float64")
    ours = solve(opened)
    theirs = {"output": STRANGE[strange](np.asarray(ours.output, np.float64))}
    if "weights" in ours:
        theirs["weights"] = STRANGE[strange](np.asarray(ours["weights"], np.float64))
    results = {name: Result(array, "float64") for name, array in theirs.items()}
    told = Judge(opened, ours, Rule()).verdict("theirs", results)
    assert isinstance(told.same, bool)
    assert told.same or told.fits or told.tried >= 0
    with suppress(AttncliError):  # such as an infinity that makes a cosine impossible
        Marker(opened, ours, Rule()).marked("theirs", results)
