"""What a problem announces: the bytes that it takes, before any is taken; sizes; and notes."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from attncli import attend, load
from attncli.core.attention import Attention
from attncli.core.labels import Labels
from attncli.core.normalize import NORMALIZERS
from attncli.core.notes import Notes
from attncli.core.similarity import MLP, Layer
from attncli.core.step import Step
from attncli.core.tiled import side, tiled
from attncli.files import schema
from attncli.solve import solve
from tests.core.test_attention import (
    BATCH,
    HEADS,
    PICTURE,
    PLAIN,
    Keys,
    encoder,
    normal,
)
from tests.core.test_transformer import state_dict

LONG: Keys = {"query": normal(431, 5), "key": normal(397, 5), "value": normal(397, 3)}
WINDOW: Keys = {"window": [50, 20], "align": "top-left"}
NAMES, LENGTHS = ("query", "key", "value"), ((2, 4, 131), (2, 2, 97), (2, 2, 97))
KINDS: dict[str, Keys] = {
    "heads": {name: normal(*shape, 5) for name, shape in zip(NAMES, LENGTHS, strict=True)},
    **{name: {**LONG, "normalizer": name} for name in NORMALIZERS},
    "softcap": {**LONG, "softcap": 2.0},
    "window": {**LONG, **WINDOW},
    "everything on": {**LONG, **WINDOW, "softcap": 2.0, "bias": normal(431, 397)},
    "long cache": {
        **{name: normal(2, 3, 1, 64) for name in NAMES},
        "past": {"key": normal(2, 3, 211, 64), "value": normal(2, 3, 211, 64)},
    },
    "few heads of keys": {
        "query": normal(2, 16, 1, 64),
        "key": normal(2, 2, 97, 64),
        "value": normal(2, 2, 97, 64),
    },
    "wide tables": {
        **{name: normal(1 if name == "query" else 397, 4) for name in NAMES},
        "projections": {name: normal(4, 128) for name in NAMES},
    },
    "convolution": {**PICTURE, "image": normal(5, 2, 23, 17), "layout": "chw"},
    "many channels": {
        "kind": "convolution",
        "kernel": normal(11, 13, 1, 1),
        "image": normal(2, 13, 15, 17),
        "layout": "chw",
    },
    "many small pictures": {**PICTURE, "image": normal(997, 2, 2, 3), "layout": "chw"},
    "far borders": {**PICTURE, "image": normal(2, 13, 11), "layout": "chw", "dilation": 7},
    "encoder": encoder(3, 2, 2, 117),
    "many short": encoder(1, 1, 997, 2),
    "wide inside": {
        **encoder(1, 1, 13),
        "parameters": state_dict(np.random.default_rng(4), 6, 1009, decoder=False, bias=True),
    },
    "wide": encoder(2, 1, 3),
    "vision": {
        **encoder(2, 2),
        "input": normal(2, 24, 26, 1),
        "patch": 2,
        "embedding": {"weight": normal(4, 6)},
    },
}
KINDS["decoder"] = {
    "kind": "decoder",
    "heads": 2,
    "input": normal(95, 6),
    "source": normal(223, 6),
    "parameters": {
        f"layers.0.{name}": array
        for name, array in state_dict(
            np.random.default_rng(3), 6, 11, decoder=True, bias=True
        ).items()
    },
}


def test_every_kind_of_problem_is_measured() -> None:
    assert {keys.get("kind", "attention") for keys in KINDS.values()} == {*schema.KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_the_bytes_announced_cover_what_is_taken_and_are_near_it(name: str) -> None:
    problem = load(**KINDS[name])
    for keep in (None, ("output",)):
        tracemalloc.start()
        solve(problem, keep=keep, tile="none")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= problem.memory(keep) + 100_000 <= 4 * peak + 200_000


@pytest.mark.parametrize("name", KINDS)
def test_half_the_numbers_size_is_half_the_memory(name: str) -> None:
    double, single = (load(**KINDS[name], dtype=dtype) for dtype in ("float64", "float32"))
    for keep in (None, (), ("weights", "output")):
        assert single.memory(keep) / double.memory(keep) == pytest.approx(0.5, rel=0.1)
        assert double.memory(keep) <= double.memory(None)


@pytest.mark.parametrize("name", ["softmax", "heads"])
def test_each_step_of_all_pairs_that_is_kept_counts(name: str) -> None:
    problem = load(**KINDS[name], causal=True, align="top-left")
    weights = solve(problem)["weights"].nbytes
    nothing = problem.memory(())
    assert problem.memory(("weights",)) - nothing == weights
    assert problem.memory(("weights", "masked")) - nothing == 2 * weights
    assert problem.memory(("capped", "no such step")) == nothing
    assert problem.memory(None) - nothing == 4 * weights


def test_sizes_are_those_of_the_axes_that_can_be_chosen() -> None:
    def sizes(**keys: Any) -> dict[str, int]:
        problem = load(**keys)
        assert isinstance(problem, Attention)
        return problem.sizes()

    assert sizes(**PLAIN) == {"query": 2, "key": 7}
    assert sizes(**BATCH) == {"query": 2, "key": 7, "batch": 3}
    assert sizes(**HEADS) == {"query": 2, "key": 7, "head": 4, "batch": 3}


def test_tiles_are_smaller_where_a_pair_takes_more_numbers() -> None:
    def of(*widths: int) -> Attention:
        layers = tuple(Layer(normal(*table)) for table in pairwise(widths))
        problem = load(**PLAIN)
        assert isinstance(problem, Attention)
        return replace(problem, similarity=MLP(layers=layers))

    plain = load(**PLAIN)
    assert isinstance(plain, Attention)
    assert side(plain, 1024) == 1024
    assert side(of(10, 8, 1), 1024) == 256, "two layers of 8 numbers a pair: a 16th"
    assert side(of(10, 2, 8, 1), 1024) == 256, "the widest layer counts"
    assert side(of(10, 1), 64) == 45
    assert side(of(10, 5000, 1), 1024) == 16, "no tile is narrower"
    assert side(of(10, 5000, 1), 8) == 8, "but as asked"


def test_progress_counts_the_rows_of_all_heads() -> None:
    from attncli.backends.numpy import NumpyBackend
    from attncli.core.step import result

    problem = load(**{**HEADS, "query": normal(3, 4, 11, 5)})
    assert isinstance(problem, Attention)
    told: list[tuple[int, int]] = []
    machine = NumpyBackend()
    output = result(tiled(problem, machine, tile=4, progress=lambda *rows: told.append(rows)))
    assert output.shape == (3, 4, 11, 3)
    assert [total for _, total in told] == [132] * 36
    assert sorted(np.diff([0, *(done for done, _ in told)])) == [3] * 12 + [4] * 24
    assert told[-1] == (132, 132)


def test_labels_of_a_batch_are_each_entrys_own() -> None:
    labels = Labels(query=(("a", "b"), ("c", "d")), key=("x", "y"))
    assert labels.given("query", 1) == ("c", "d")
    assert labels.given("query", 2) == ()
    assert labels.given("key", 2) == ("x", "y")
    assert labels.given("feature") == ()
    assert labels.differ("query")
    assert not labels.differ("key")


def notes(**keys: Any) -> tuple[str, ...]:
    return tuple(attend(**keys).notes)


def test_notes_of_a_key_that_gets_all_weight_leave_out_who_sees_one_key_only() -> None:
    far = {"query": [[100.0], [100.0]], "key": [[0.0], [9.0]], "value": [[1.0], [2.0]]}
    (said,) = notes(**far, scale="none")
    assert said.startswith("2 of 2 queries give one key all of their weight, first q1: ")
    (one,) = notes(**far, scale="none", causal=True)
    assert one.startswith("q2 gives one key all of its weight: ")
    assert notes(**far, scale="none", mask=[[1, 0], [0, 1]], mask_means="keep") == ()


def test_a_query_that_sees_nothing_is_noted_once_and_only_where_that_is_so() -> None:
    hidden = {"scores": [[-np.inf, -np.inf], [0.0, 1.0]], "value": [[1.0], [2.0]]}
    said = ("q1 may attend to nothing: weights and output are zero there",)
    assert notes(**hidden, causal=True) == said
    assert notes(**hidden, softcap=2.0) == ()


def test_notes_name_the_batch_entry_the_head_and_the_label() -> None:
    keys = {**HEADS, "labels": {"query": ["left", "right"]}}
    mask = np.ones((3, 4, 2, 7), bool)
    mask[2, 1, 1] = False
    (said,) = notes(**keys, mask=mask, mask_means="keep")
    assert (
        said == "batch 2 · head 1 · right may attend to nothing: weights and output are zero there"
    )
    own = {**BATCH, "labels": {"query": [["a", "b"], ["c", "d"], ["e", "f"]]}}
    mask = np.ones((3, 2, 7), bool)
    mask[1, 0] = mask[2, 1] = False
    (said,) = notes(**own, mask=mask, mask_means="keep", masked_row="nan")[:1]
    assert said.startswith("2 of 6 queries may attend to nothing, first batch 1 · c: ")


def noted(*steps: Step, is_softmax: bool = True, masked_row: str = "zero") -> list[str]:
    notes = Notes(Labels(), masked_row, is_softmax)
    for step in steps:
        notes.see(step, np)
    return notes.sentences


def of(name: str, value: Any, *axes: str) -> Step:
    return Step(name, np.asarray(value, float), axes or ("query", "key"))


def test_a_weight_is_noted_from_where_it_is_one_with_three_digits() -> None:
    scores = of("scores", [[0.0, 9.0], [0.0, -np.inf], [0.0, 9.0]])
    for weight, told in ((0.9996, True), (0.9994, False)):
        rows = [[1 - weight, weight], [1.0, 0.0], [0.5, 0.5]]
        said = noted(scores, of("weights", rows))
        assert [note.partition(":")[0] for note in said] == [
            "q1 gives one key all of its weight"
        ] * told
        assert noted(scores, of("weights", rows), is_softmax=False) == []


def test_the_last_scores_before_the_weights_say_who_sees_nothing() -> None:
    seen = of("scores", [[0.0, 1.0], [0.0, 1.0]])
    hidden = of("masked", [[0.0, 1.0], [-np.inf, -np.inf]])
    weights = of("weights", [[0.3, 0.7], [0.0, 0.0]])
    said = ["zero", "weights and output are zero"], ["nan", "weights and output are NaN"]
    for masked_row, what in (*said, ["uniform", "all keys get the same weight"]):
        (note,) = noted(seen, hidden, weights, masked_row=masked_row)
        assert note == f"q2 may attend to nothing: {what} there"
    (note,) = noted(seen, hidden, weights, masked_row="error")
    assert note.endswith(": that is refused")
    assert noted(seen, weights) == []


def test_lost_numbers_are_noted_where_they_are() -> None:
    bad = of("scores", [[0.0, 1.0], [np.inf, 1.0], [-np.inf, -np.inf], [np.nan, 0.0]])
    assert noted(bad) == ["2 of 4 queries have NaN or infinity in scores, first q2"]
    assert noted(of("layers.1.scores", [[np.inf]])) == ["q1 has NaN or infinity in layers.1.scores"]
    assert noted(of("scores", [[0.0, -np.inf]])) == []
    output = of("output", np.where(np.arange(30).reshape(2, 5, 3) == 22, np.nan, 0.0), *"bqf")
    assert noted(replace(output, axes=("batch", "query", "feature"))) == [
        "batch 1 · q3 has NaN or infinity in output"
    ]
    assert noted(of("output", [0.0, np.inf], "class")) == ["the output has NaN or infinity"]
    assert noted(of("output", [0.0, 1.0], "class")) == []
    assert noted(of("difference", [0.25, -0.5], "row")) == [
        "attention and convolution differ by at most 0.5"
    ]
