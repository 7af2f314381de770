"""The little language: what it says, and how it refuses."""

import re
from contextlib import suppress
from math import exp
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attncli.commands.boundary import run
from attncli.errors import InputError, Place
from attncli.files.samples import lesson
from attncli.lessons import placeholders
from attncli.lessons.computed import Computed
from attncli.lessons.lesson import read_lesson
from attncli.lessons.placeholders import WORDS, Passage, Reader

PROBLEM = """\
  similarity: dot
  temperature: 2
  labels: {query: [me, you], key: [tea, coffee, "milk, hot"], feature: [warm, mild]}
  query: [[1, 2], [0.5, -1]]
  key: [[2, 1], [2, -1], [0, 3]]
  value: [[3], [7], [11]]
"""
LESSON = f"title: Drinks\nproblem:\n{PROBLEM}scenes:\n  - text: |\n      Hello.\n"


def written(folder: Path, text: str = LESSON) -> Path:
    path = folder / "lesson.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(read_lesson(str(written(tmp_path))).at(0))


SCORES = [4, 0, 6]
SHARES = [exp(score / 2) / sum(exp(other / 2) for other in SCORES) for score in SCORES]


EXPRESSIONS = [
    ("scores[me, tea]", "4"),
    ("scores[0, 0]", "4"),
    ("scores[q1, k3]", "6"),
    ('scores[me, "milk, hot"]', "6"),
    ("scores[me]", "(4, 0, 6)"),
    ("scores[*, tea]", "(4, 0)"),
    ("query[you, mild]", "−1"),
    ("abs query[you, mild]", "1"),
    ("weights[me, tea]", f"{SHARES[0]:.3f}"),
    ("weights[me, tea] | 5", f"{SHARES[0]:.5f}"),
    ("weights[me, tea] | %", f"{100 * SHARES[0]:.0f} %"),
    ("weights[me] | 1", f"({', '.join(f'{share:.1f}' for share in SHARES)})"),
    ("sum weights[me]", "1"),
    ("max weights[me]", f"{SHARES[2]:.3f}"),
    ("min scores[me]", "0"),
    ("argmax weights[me]", "milk, hot"),
    ("argmin weights[me]", "coffee"),
    ("argmax scores[*, tea]", "me"),
    ("top 2 weights[me]", "milk, hot and tea"),
    ("top 1 weights[me]", "milk, hot"),
    ("count key", "3"),
    ("count key | word", "three"),
    ("count key | Word", "Three"),
    ("name key 1", "coffee"),
    ("name query 0", "me"),
    ("name value 1", "coffee"),
    ("value[tea]", "3"),
    ("how scores[me, tea]", "1·2 + 2·1 = 4"),
    ("how query[me, warm]", "1"),
    ("temperature", "2"),
    ("similarity", "dot"),
    ("'42'", "42"),
    ("'{'", "{"),
    ("scores[me, 0] vs scores[me, 1]", "4 > 0"),
    ("scores[me, 0] vs scores[me, 0]", "4 = 4"),
]


@pytest.mark.parametrize(("expression", "said"), EXPRESSIONS)
def test_what_an_expression_says(reader: Reader, expression: str, said: str) -> None:
    assert reader.expression(expression).text == said


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_tried_and_taught(word: str) -> None:
    assert word == "was" or any(expression.startswith(f"{word} ") for expression, _ in EXPRESSIONS)
    for taught in (placeholders.__doc__ or "", lesson().text):
        assert re.search(rf"({{|; |, ){word}\b", taught)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("scors[me, tea]", "there is no step scors|did you mean scores?"),
        ("scores[me, te]", "no key vector is called 'te'|did you mean tea?"),
        ("scores[me, 7]", "there is no key 7|a position from 0 to 2"),
        ("scores[me, tea, 1]", "scores has no 3 places|at most 2: query, key"),
        ("scores", "scores is a whole table|show: scores"),
        ("scores[]", "[] are no places"),
        ("argmx weights[me]", "'argmx' is no word of placeholders|did you mean argmax?"),
        ("argmax weights", "weights is not one row"),
        ("argmax weights[me, tea]", "weights[me, tea] is not one row"),
        ("top 9 weights[me]", "top 9 of 3 places"),
        ("name key 3", "name key 3|a position from 0 to 2"),
        ("name keys 0", "there is no axis 'keys'|did you mean key?"),
        ("count colour", "there is no axis 'colour'"),
        ("how weights[me]", "how weights[me]|places on query, key"),
        ("temprature", "there is no step and no key temprature|did you mean temperature?"),
        ("weights[me, tea] | many", "'many' is no form of a number"),
        ("name key 0 vs name key 1", "only numbers are compared"),
        ("__import__('os')", "is no step"),
    ],
)
def test_what_is_refused(tmp_path: Path, expression: str, words: str) -> None:
    text = LESSON.replace("Hello.", f"Hello,\n      world: {{{expression}}}.")
    path = written(tmp_path, text)
    lesson = read_lesson(str(path))
    with pytest.raises(InputError) as caught:
        Reader(lesson.at(0)).told(lesson.scenes[0].text)
    lines = "\n".join(caught.value.lines())
    assert lines.startswith(f"{path}:12:14: error: ")
    assert len(lines.splitlines()) <= 4
    for word in words.split("|"):
        assert word in lines


def test_was_speaks_of_the_problem_before(tmp_path: Path) -> None:
    text = LESSON + "    with: {query: [[0, 1], [1, 1]]}\n"
    reader = Reader(read_lesson(str(written(tmp_path, text))).at(0))
    assert reader.expression("scores[me, tea]").text == "1"
    assert reader.expression("was scores[me, tea]").text == "4"
    assert reader.expression("scores[me, tea] vs was scores[me, tea]").place == 0


def test_the_end_of_a_steps_name_is_enough_where_it_is_its_own(tmp_path: Path) -> None:
    text = "title: Layers\nproblem: decoder\nscenes:\n  - text: Hello.\n"
    reader = Reader(read_lesson(str(written(tmp_path, text))).at(0))
    whole = reader.expression("layers.0.norm1[ich, 0]")
    assert reader.expression("norm1[ich, 0]") == whole
    with pytest.raises(InputError, match="2 steps end in weights"):
        reader.expression("weights[0, ich, bin]")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("title: Drinks\n", ""), ": error: the lesson has no title"),
        (("scenes:\n  - text: |\n      Hello.\n", "scenes: []\n"), "the lesson has no scenes"),
        (("  - text: |\n      Hello.", "  - show: weights"), "a scene has no text"),
        (("title:", "titel:"), "unknown key titel|did you mean title?"),
        (("similarity: dot", "similarity: dott"), "did you mean dot?"),
        (("Hello.", "Hello 3 drinks."), "'3' is typed|{'3'}"),
        (("Hello.", "Hello }."), "a } stands alone"),
        (("Hello.", "Hello.\n    show: weigths"), "there is no step weigths|did you mean weights?"),
        (("Hello.", "Hello.\n    show: bars weights"), "bars weights|places on query"),
        (("Hello.", "Hello.\n    show: map weights[me]"), "weights is no map"),
        (("Hello.", "Hello.\n    question: {ask: Who?}"), "the question has no answer"),
        (
            ("Hello.", "Hello.\n    question: {ask: Who, answer: 'argmax weights[me]'}"),
            "a number, or options",
        ),
        (
            ("Hello.", "Hello.\n    question: {ask: Who, options: key, answer: 'name key 0'}"),
            "the answer, 'tea', is typed|argmax weights[0]",
        ),
        (
            (
                "Hello.",
                "Hello.\n    question: {ask: Who, answer: 'argmax weights[me]', options: [a, b]}",
            ),
            "is not one of the options|one of a, b",
        ),
        (
            ("Hello.", "Hello.\n    question: {ask: W, options: keys, answer: 'scores[0, 0]'}"),
            "there is no axis 'keys'|did you mean key?",
        ),
    ],
)
def test_what_check_refuses(
    change: tuple[str, str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, LESSON.replace(*change))
    assert run(["learn", "--check", str(path)]) == 3
    error = capsys.readouterr().err
    assert error.startswith(str(path))
    assert len(error.splitlines()) <= 4
    for word in words.split("|"):
        assert word in error


def test_a_problem_may_be_a_sample_or_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("scores: [[2, 1, 0]]\n")
    for name, said in (("./p.yaml", "(2, 1, 0)"), ("p.yaml", "(2, 1, 0)")):
        path = written(tmp_path, f"title: T\nproblem: {name}\nscenes: [{{text: Hello}}]\n")
        assert Reader(read_lesson(str(path)).at(0)).expression("scores[0]").text == said
    path = written(tmp_path, "title: T\nproblem: translatoin\nscenes: [{text: Hello}]\n")
    with pytest.raises(InputError, match=r"did you mean translation\?"):
        read_lesson(str(path))


@given(st.text(max_size=30))
def test_no_expression_is_a_crash(text: str) -> None:
    with suppress(InputError):
        Reader(ANY).told(Passage("{" + text + "}", Place("lesson.yaml", 1, 1)))


PIECES = ["scores", "weights", "[", "]", ",", "me", "0", "*", "|", "2", "%", "key", "vs"]
PIECES += ["'", '"', " ", "temperature", *WORDS]


@given(st.lists(st.sampled_from(PIECES), max_size=9).map(" ".join))
def test_no_expression_of_the_languages_own_words_is_a_crash(text: str) -> None:
    with suppress(InputError):
        Reader(ANY).told(Passage("{" + text + "}", Place("lesson.yaml", 1, 1)))


def _any() -> Computed:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return read_lesson(str(written(Path(folder)))).at(0)


ANY = _any()
