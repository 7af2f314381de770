"""Whether a lesson is sound: every scene is drawn, every question answered, no number typed."""

from attncli.core.shapes import count
from attncli.formats.layout import Paper
from attncli.lessons.lesson import Lesson, refuse_typed_numbers
from attncli.lessons.player import Player


def checked(lesson: Lesson, paper: Paper) -> str:
    """What is in a sound lesson; raises `AttncliError` with the place of the first mistake."""
    refuse_typed_numbers(lesson)
    for _ in Player(lesson, paper).straight():
        pass
    questions = sum(scene.question is not None for scene in lesson.scenes)
    return f"sound, {count(len(lesson.scenes), 'scene')}, {count(questions, 'question')}"
