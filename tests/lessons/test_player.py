"""Going through a lesson: what follows a line that is typed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from attncli.formats.display import Display
from attncli.formats.layout import Panel, Paper
from attncli.lessons import progress
from attncli.lessons.lesson import Lesson, read_lesson
from attncli.lessons.player import Player

TEXT = """\
title: Drinks
problem:
  similarity: dot
  labels: {query: [me], key: [tea, coffee, water]}
  query: [[1, 2]]
  key: [[2, 1], [2, -1], [0, 3]]
  value: [[3], [7], [11]]
scenes:
  - text: |
      First, {scores[me, tea]}.
  - text: Second.
    question: {ask: Which?, options: key, answer: 'argmax weights[me]', explain: 'So {name key 2}.'}
  - text: Third.
    question: {ask: How much?, answer: 'weights[me, tea]'}
  - text: Last.
"""


def paper(width: int = 80) -> Paper:
    return Paper(Display(width=width), cell_len)


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    path = tmp_path / "lesson.yaml"
    path.write_text(TEXT)
    return read_lesson(str(path))


def text(panel: Panel) -> str:
    return "\n".join("".join(span.text for span in line.spans).rstrip() for line in panel)


def test_enter_goes_on_b_back_a_number_jumps(lesson: Lesson) -> None:
    player = Player(lesson, paper())
    assert text(player.screen()).splitlines()[0].startswith("Drinks ")
    assert "First, 4." in text(player.screen())
    assert player.reply("b").moves
    assert player.scene == 0
    assert player.reply("").moves
    assert player.scene == 1
    assert player.reply("b").moves
    assert player.scene == 0
    assert player.reply("4\n").moves
    assert player.scene == 3
    assert not player.is_done
    reply = player.reply("")
    assert (reply.ends, reply.moves, player.is_done) == (True, False, True)


def test_q_ends_and_is_not_done(lesson: Lesson) -> None:
    player = Player(lesson, paper(), 3)
    assert player.reply("q").ends
    assert not player.is_done


def test_what_is_no_key_is_answered_with_the_keys(lesson: Lesson) -> None:
    player = Player(lesson, paper())
    for line in ("5", "0", "x", "next please"):
        reply = player.reply(line)
        assert (reply.moves, reply.ends) == (False, False)
        assert "Enter goes on; 1 to 4" in text(reply.said)


def test_an_option_is_chosen_by_number_or_by_name(lesson: Lesson) -> None:
    for right in ("3", "water", " WATER "):
        player = Player(lesson, paper(), 1)
        said = text(player.reply(right).said)
        assert said.startswith("✓ Yes: water")
        assert "weights[me, tea]" in said
        assert "So water." in said
        assert player.reply("").moves
        assert player.scene == 2


def test_a_wrong_answer_may_be_given_again(lesson: Lesson) -> None:
    player = Player(lesson, paper(), 1)
    assert text(player.reply("1").said).startswith("✗ Not tea.")
    assert text(player.reply("9").said).startswith("Choose 1 to 3")
    assert text(player.reply("tee").said).startswith("Choose 1 to 3")
    assert player.scene == 1
    assert text(player.reply("").said).startswith("It is water")
    assert player.reply("").moves


def test_a_question_mark_shows_the_arithmetic_of_the_answer(lesson: Lesson) -> None:
    said = text(Player(lesson, paper(), 1).reply("?").said)
    assert said.splitlines()[0] == "weights[me, tea]     e^4 / (e^4 + e^0 + e^6) = 0.119"
    assert "scores[me, tea]  1·2 + 2·1 = 4" in text(Player(lesson, paper()).reply("?").said)
    assert "given" in text(Player(lesson, paper(), 3).reply("?").said)


@pytest.mark.parametrize(
    ("typed", "verdict"),
    [
        ("0.119", True),
        ("0.12", True),
        (".12", True),
        ("0,12", True),
        ("+0.119", True),
        ("0.1190", False),  # a digit more, and wrong: 0.11894
        ("0.11894", True),
        ("0.1", False),
        ("0.2", False),
        ("-0.119", False),
        ("−0.119", False),
    ],
)
def test_a_number_is_right_to_the_digits_that_are_written(
    lesson: Lesson, typed: str, verdict: bool
) -> None:
    player = Player(lesson, paper(), 2)
    said = text(player.reply(typed).said)
    assert said.startswith("✓" if verdict else "✗")
    assert player.is_asking is not verdict


@pytest.mark.parametrize("typed", ["much", "0.1.1", "1e999", "nan", "inf", "١"])
def test_what_is_no_number_is_asked_for_again(lesson: Lesson, typed: str) -> None:
    reply = Player(lesson, paper(), 2).reply(typed)
    assert text(reply.said).startswith("A number, please")


def test_straight_through_every_question_is_answered(lesson: Lesson) -> None:
    told = "\n".join(map(text, Player(lesson, paper()).straight()))
    assert told.index("1/4") < told.index("Answer water") < told.index("Answer 0.119")
    assert told.count("Question") == 2


@given(st.lists(st.text(max_size=5) | st.sampled_from(["", "b", "q", "?", "1", "3"]), max_size=12))
def test_no_line_is_a_crash_and_every_reply_fits(lines: list[str]) -> None:
    player = Player(ANY, paper(50))
    for line in lines:
        reply = player.reply(line)
        for part in (*reply.said, *player.screen(), *player.keys()):
            assert part.width <= 50
        assert 0 <= player.scene < 4
        if reply.ends:
            break


def _any() -> Lesson:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lesson.yaml"
        path.write_text(TEXT)
        lesson = read_lesson(str(path))
        assert lesson.whole.steps
        return lesson


ANY = _any()


# --- progress


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"XDG_DATA_HOME": "/x"}, "linux", "/x/attncli"),
        ({}, "linux", "~/.local/share/attncli"),
        ({}, "darwin", "~/Library/Application Support/attncli"),
        ({"APPDATA": "/roaming"}, "win32", "/roaming/attncli"),
        ({"XDG_DATA_HOME": ""}, "linux", "~/.local/share/attncli"),
    ],
)
def test_where_progress_is_kept(environment: dict[str, str], platform: str, expected: str) -> None:
    assert progress.home(environment, platform) == Path(expected).expanduser()


def test_progress_is_remembered_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert progress.read() == {}
    progress.forget()
    progress.write("softmax", 2)
    progress.write("image", progress.DONE)
    progress.write("image", 1)
    assert progress.read() == {"softmax": 2, "image": progress.DONE}
    progress.forget()
    assert progress.read() == {}


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b"{", b'{"softmax": "x"}', b"[" * 9999, b'{"softmax": -7}']
)
def test_a_progress_file_that_is_not_ours_is_as_good_as_none(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "attncli").mkdir()
    (tmp_path / "attncli" / "lessons.json").write_bytes(content)
    assert progress.read() == {}
    progress.write("softmax", 1)
    assert progress.read() == {"softmax": 1}


def test_nothing_of_a_file_or_a_reader_steers_the_terminal(tmp_path: Path) -> None:
    evil = '"a\\e[31m\\u202eb"'
    path = tmp_path / "lesson.yaml"
    path.write_text(
        f"title: {evil}\nsources: {evil}\nproblem: {{scores: [[2, 1]], labels: "
        f"{{query: [{evil}], key: [{evil}, b]}}}}\nscenes:\n- text: {evil}\n"
        f"  show: ['bars weights[0]', weights]\n  question: {{ask: {evil}, options: key, "
        f"answer: 'argmax weights[0]', explain: {evil}}}\n"
    )
    player = Player(read_lesson(str(path)), paper())
    panels = [*player.straight(), player.reply("?").said, player.reply("\x1b[2J\u202e").said]
    shown = "".join(map(text, panels)).replace("\n", "")
    assert "a\\x1b[31m\\u202eb" in shown
    assert shown.isprintable()
