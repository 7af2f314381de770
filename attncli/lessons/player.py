"""Going through a lesson: which scene comes after which word, and what is said to an answer.

It knows no terminal: `learn` gives it lines and draws the panels that it gives back.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from attncli.core.labels import whole
from attncli.formats.layout import Panel, Paper, Span
from attncli.lessons.lesson import Lesson
from attncli.lessons.placeholders import Found
from attncli.lessons.screens import Pages

NEXT = ("", "n", "next")
BACK = ("b", "back")
QUIT = ("q", "quit", "exit")
HOW = ("?", "h", "help")
NUMBER = re.compile(r"[-+−]?(?:\d+(?:[.,](\d*))?|[.,](\d+))", re.ASCII)


@dataclass(frozen=True)
class Reply:
    """What follows a line: something said below the scene, or another scene."""

    said: Panel
    moves: bool = False
    ends: bool = False


class Player:
    """A lesson in the hands of one reader."""

    def __init__(self, lesson: Lesson, paper: Paper, scene: int = 0) -> None:
        self.lesson = lesson
        self.pages = Pages(lesson, paper)
        self.scene = min(max(scene, 0), len(lesson.scenes) - 1)
        self.is_asking = self._has_question
        self.is_done = False
        """Whether the last scene was left forwards."""

    @property
    def paper(self) -> Paper:
        """What it is drawn on."""
        return self.pages.paper

    @paper.setter
    def paper(self, paper: Paper) -> None:
        self.pages.paper = paper

    @property
    def _has_question(self) -> bool:
        return self.lesson.scenes[self.scene].question is not None

    @property
    def _is_last(self) -> bool:
        return self.scene == len(self.lesson.scenes) - 1

    def screen(self) -> Panel:
        """The scene as it stands before anything is answered."""
        return self.pages.scene(self.scene)

    def keys(self) -> Panel:
        """The rule and the keys, in one line each."""
        paper, n = self.paper, len(self.lesson.scenes)
        options = len(self.lesson.options(self.scene)) if self.is_asking else 0
        enter = "end" if self._is_last else "next"
        words = [f"Enter {enter}", "b back", "q quit", "? arithmetic", f"1–{n} scene"]
        if self.is_asking:
            words[0] = "Enter solution"
            words[-1:] = []
            words.insert(0, f"1–{options} answer" if options else "a number answers")
        between = " | " if paper.display.ascii else " · "
        while len(words) > 1 and paper.measure(between.join(words)) > paper.width:
            words.pop()
        words = [paper.own(word) for word in words]
        return [paper.rule(), paper.line(Span(between.join(words), "dim"))]

    def reply(self, text: str) -> Reply:
        """What follows a line that was typed."""
        word = text.strip().lower()
        if word in QUIT:
            return Reply([], ends=True)
        if word in BACK:
            return self._go(self.scene - 1)
        if word in HOW:
            return Reply(self.pages.arithmetic(self.scene, asking=self._has_question))
        if self.is_asking:
            return self._judge(text.strip())
        if word in NEXT:
            if self._is_last:
                self.is_done = True
                return Reply([], ends=True)
            return self._go(self.scene + 1)
        if 1 <= (whole(word) or 0) <= len(self.lesson.scenes):
            return self._go(int(word) - 1)
        return self._say(f"Enter goes on; 1 to {len(self.lesson.scenes)} jumps to a scene.")

    def straight(self) -> Iterator[Panel]:
        """The whole lesson: each scene, its question answered at once."""
        for number, scene in enumerate(self.lesson.scenes):
            yield self.pages.scene(number)
            if scene.question:
                yield self.pages.solved(number, praise="Answer  ")
        if self.lesson.sources:
            yield self.pages.sources()

    def _go(self, scene: int) -> Reply:
        self.scene = max(scene, 0)
        self.is_asking = self._has_question
        return Reply([], moves=True)

    def _judge(self, text: str) -> Reply:
        """An answer held to the computed one."""
        found, place = self.lesson.answer(self.scene)
        if not text:
            self.is_asking = False
            return Reply(self.pages.solved(self.scene, praise="It is "))
        verdict = self._is_number(text, found) if place is None else self._is_option(text, place)
        if isinstance(verdict, str):
            return self._say(verdict)
        if verdict:
            self.is_asking = False
            mark = "+" if self.paper.display.ascii else "✓"
            return Reply(self.pages.solved(self.scene, praise=f"{mark} Yes: "))
        mark = "x" if self.paper.display.ascii else "✗"
        options = self.lesson.options(self.scene)
        named = options[int(text) - 1] if options and text.isdecimal() else text
        return self._say(
            f"{mark} Not {named}. Try again; ? shows the arithmetic, Enter the answer."
        )

    def _is_option(self, text: str, right: int) -> bool | str:
        options = self.lesson.options(self.scene)
        named = [place for place, option in enumerate(options) if option.lower() == text.lower()]
        if 1 <= (whole(text) or 0) <= len(options):
            return int(text) - 1 == right
        if len(named) == 1:
            return named[0] == right
        return f"Choose 1 to {len(options)}; Enter shows the answer."

    def _is_number(self, text: str, found: Found) -> bool | str:
        """Whether a number is right to the digits that are written, two decimals at least."""
        match = NUMBER.fullmatch(text)
        if match is None or found.number is None:
            return "A number, please; Enter shows the answer."
        typed = float(text.replace(",", ".").replace("−", "-"))
        shown = len(found.text.partition(".")[2])
        decimals = max(len(match[1] or match[2] or ""), min(2, shown))
        slack = 1e-9 * max(1.0, abs(found.number))
        return abs(typed - found.number) <= 0.5 * 10.0**-decimals + slack

    def _say(self, sentence: str) -> Reply:
        return Reply(self.pages.prose(sentence))
