"""Whether a lesson is sound: every scene is drawn, every question answered, no number typed."""

from attncli.formats.layout import Paper
from attncli.lessons.lesson import Lesson, refuse_typed_numbers
from attncli.lessons.player import Player


def checked(lesson: Lesson, paper: Paper) -> str:
    """What is in a sound lesson; raises `AttncliError` with the place of the first mistake."""
    refuse_typed_numbers(lesson)
    for _ in Player(lesson, paper).straight():
        pass
    questions = sum(scene.question is not None for scene in lesson.scenes)
    return f"sound, {_many(len(lesson.scenes), 'scene')}, {_many(questions, 'question')}"


def _many(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
