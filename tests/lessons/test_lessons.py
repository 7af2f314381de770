"""The lessons that ship: each is sound, told in order, and says what its problem computes."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len

from attncli.commands.boundary import run
from attncli.errors import InputError
from attncli.formats.display import Display
from attncli.formats.layout import Paper
from attncli.lessons import shelf
from attncli.lessons.lesson import Lesson, Passage, read_lesson, refuse_typed_numbers
from attncli.lessons.placeholders import HOLE, Reader
from attncli.lessons.player import Player
from tests.lessons.changing import changed

LESSONS = shelf.lessons()
each = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.slug)

BY_LAW = {
    ("soft-addressing", "max weights[0]"),  # a hard look-up: 1, and 0 elsewhere
    ("soft-addressing", "min weights[0]"),
    ("weighted-sum", "weights[me, 0]"),  # the query is 0, and each key as good
    ("left-to-right", "weights[I, I]"),  # the first sees itself alone
    ("left-to-right", "weights[I, cat]"),
    ("left-to-right", "weights[saw, cat]"),
    ("convolution", "shifts[0]"),  # the places of a 3×3 kernel
    ("convolution", "shifts[8]"),
    ("decoder", "self_attention.weights[0, ich, bin]"),
    ("decoder", "cross_attention.weights[0, ich, 3]"),  # padding
}
"""What every problem of the lesson's shape says alike; and sums of weights, which are 1."""

LITERALS = {"0", "1"}
"""Numbers of the formulas: the cosine's most, the norm's mean and variance."""


def paper(width: int = 80, *, ascii: bool = False) -> Paper:
    return Paper(Display(width=width, ascii=ascii), cell_len)


def holes(lesson: Lesson) -> list[tuple[int, bool, str]]:
    """Scene, whether in its question, and expression of every placeholder and answer."""
    found = []
    for number, scene in enumerate(lesson.scenes):
        found += [(number, False, hole) for hole in HOLE.findall(scene.text.text)]
        if scene.question:
            texts = [scene.question.ask, scene.question.explain]
            for passage in filter(None, texts):
                found += [(number, True, hole) for hole in HOLE.findall(passage.text)]
            found.append((number, True, scene.question.answer.text.strip()))
    return found


def test_they_are_numbered_and_listed_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(LESSONS) >= 15
    assert [lesson.number for lesson in LESSONS] == [*range(1, len(LESSONS) + 1)]
    assert run(["learn"]) == 0
    listed = [line.split(maxsplit=2)[:2] for line in capsys.readouterr().out.splitlines()]
    assert listed == [[str(lesson.number), lesson.slug] for lesson in LESSONS]


@pytest.mark.parametrize("path", shelf.paths().values(), ids=lambda path: path.stem)
def test_a_lesson_is_sound(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["learn", "--check", str(path)]) == 0
    assert "sound" in capsys.readouterr().out


@each
def test_a_lesson_is_short_and_names_its_sources(lesson: Lesson) -> None:
    assert 4 <= len(lesson.scenes) <= 7
    assert 1 <= sum(scene.question is not None for scene in lesson.scenes) <= 3
    for source in lesson.sources:
        assert re.search(r"(19|20)\d\d", source.text)
    assert lesson.sources


@each
@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("width", [36, 60, 80, 140])
def test_no_line_is_wider_than_the_paper(lesson: Lesson, width: int, ascii: bool) -> None:
    for panel in Player(lesson, paper(width, ascii=ascii)).straight():
        for line in panel:
            text = "".join(span.text for span in line.spans).rstrip()
            assert cell_len(text) <= width, text
            assert text.isascii() or not ascii, text


def said(lesson: Lesson, number: int, asking: bool, expression: str) -> str:
    try:
        return Reader(lesson.at(number, asking=asking)).expression(expression).text
    except InputError as error:
        return error.what  # two places that share the most, in another problem


@each
def test_another_problem_makes_another_text(lesson: Lesson) -> None:
    """Every placeholder says something else of some other problem, unless a law fixes it."""
    others = [changed(lesson, seed) for seed in range(8)]
    for number, asking, expression in holes(lesson):
        word = expression.split()[0]
        if expression.startswith("'"):
            assert expression.strip("'") in LITERALS
            continue
        scene = lesson.scenes[number]
        by_change = scene.question.changes if asking and scene.question else {}
        replaced = {**scene.changes, **by_change}
        if word in ("name", "count") or expression in replaced:
            continue  # labels and sizes are the same; `with` gives this very key
        if (lesson.slug, expression) in BY_LAW or expression.startswith("sum weights"):
            continue
        step = expression.partition("[")[0].split()[-1]
        if not expression.startswith("was") and ({step, "scores"} & {*replaced}):
            continue  # `with` gives the very numbers
        texts = {said(other, number, asking, expression) for other in others}
        texts.add(said(lesson, number, asking, expression))
        assert len(texts) > 1, f"scene {number + 1}: {expression} is always {texts}"


@each
def test_a_scene_fits_on_a_small_terminal(lesson: Lesson) -> None:
    """24 lines of 80 cells, with the prompt and the keys."""
    pages = Player(lesson, paper()).pages
    for number in range(len(lesson.scenes)):
        assert len(pages.scene(number)) + 4 <= 24, number + 1


@each
def test_a_typed_number_is_refused_wherever_it_stands(lesson: Lesson) -> None:
    refuse_typed_numbers(lesson)

    def typed(passage: Passage) -> Passage:
        return replace(passage, text=passage.text + " or 0.7")

    first, *rest = lesson.scenes
    asked = next(scene for scene in lesson.scenes if scene.question)
    assert asked.question is not None
    for scene in (
        replace(first, text=typed(first.text)),
        replace(asked, question=replace(asked.question, ask=typed(asked.question.ask))),
        replace(asked, question=replace(asked.question, explain=typed(asked.question.ask))),
    ):
        with pytest.raises(InputError, match=re.escape("'0.7' is typed")):
            refuse_typed_numbers(replace(lesson, scenes=(scene, *rest)))


@each
def test_every_answer_is_taken_and_every_other_option_is_not(lesson: Lesson) -> None:
    for number, scene in enumerate(lesson.scenes):
        if scene.question is None:
            continue
        found, right = lesson.answer(number)
        options = lesson.options(number)
        assert len({*options}) == len(options)
        answers = [str(place + 1) for place in range(len(options))] or [found.text]
        for place, answer in enumerate(answers):
            player = Player(lesson, paper(), number)
            reply = player.reply(answer.replace("−", "-"))
            assert not reply.moves
            assert player.is_asking == (right is not None and place != right)


def test_answers_follow_from_plain_loops() -> None:
    """The first lesson's answer, and the fourth's, by hand."""
    from math import exp

    keys, values = [(2, 0), (1, 1), (0, 2)], [10, 20, 30]
    weights = [exp(key[1]) for key in keys]  # the query turned to (0, 1)
    best = values[weights.index(max(weights))]
    _, place = LESSONS[0].answer(3)
    assert LESSONS[0].options(3)[place or 0] == str(best)

    mean = sum(value for value, _ in [(4, 0), (0, 4), (0, 0)]) / 3
    found, place = LESSONS[3].answer(2)
    assert place is None
    assert found.number == pytest.approx(mean)


def test_the_real_model_is_asked_for_real() -> None:
    """What the last lesson says of the animal is in the weights of the sample."""
    path = Path(__file__).resolve().parents[2] / "samples" / "minilm.npz"
    with np.load(path) as arrays:
        query, key = arrays["query"].astype(float), arrays["key"].astype(float)
    scores = query @ key.T / np.sqrt(query.shape[-1])
    shares = np.exp(scores[10]) / np.exp(scores[10]).sum()
    text = "".join(
        span.text
        for panel in Player(LESSONS[14], paper()).straight()
        for line in panel
        for span in line.spans
    )
    assert "Answer animal" in text
    assert f"It gets {100 * shares[2]:.0f} %, and the street {100 * shares[8]:.0f} %" in text


def test_the_template_is_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    assert run(["new", "lesson", "-o", str(path)]) == 0
    assert run(["learn", "--check", str(path)]) == 0
    assert len(read_lesson(str(path)).scenes) >= 4
    assert run(["learn", str(path)]) == 0
    assert "next: attncli learn" in capsys.readouterr().err
