"""`learn`: lessons, one after another, in a terminal or straight through."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from attncli.commands.options import DISPLAY, OUTPUT, Options, accepts, option
from attncli.commands.terminal import moves
from attncli.errors import AttncliError, UsageError

if TYPE_CHECKING:
    from attncli.formats.layout import Panel, Paper
    from attncli.lessons.lesson import Lesson
    from attncli.lessons.player import Player

EPILOG = """\
[bold]Examples[/bold]

attncli learn

attncli learn soft-addressing

attncli new lesson -o my-lesson.yaml

attncli learn --check my-lesson.yaml"""

PANEL = "Lessons"
CLEAR = "\x1b[2J\x1b[H"
ABOVE_KEYS = "\x1b[3A\r"
"""From below the keys up to the prompt: over the keys and the rule."""
ERASE_BELOW = "\x1b[J"


@accepts(DISPLAY, OUTPUT, but=("steps", "focus", "format", "output", "force", "verbose"))
def learn(
    lessons: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[LESSON]",
            help="Its number, its name or a file; without it, all are listed.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        bool, option("--check", help="say whether lesson files are sound", panel=PANEL)
    ] = False,
    forget: Annotated[
        bool, option("--forget", help="forget which lessons are done", panel=PANEL)
    ] = False,
    *,
    options: Options,
) -> None:
    """Walk through a lesson; without one, list them."""
    if check:
        _check(lessons or [], options)
        return
    if forget:
        if lessons:
            raise UsageError("learn --forget forgets all lessons", expected="no LESSON")
        from attncli.lessons import progress

        progress.forget()
        return
    if not lessons:
        _list(options)
        return
    if len(lessons) > 1:
        raise UsageError(
            f"learn {' '.join(lessons[:3])}", expected="one lesson", found=str(len(lessons))
        )
    from attncli.lessons.shelf import find

    _play(find(lessons[0]), options)


def _paper(options: Options) -> "Paper":
    from rich.cells import cell_len

    from attncli.formats.layout import Paper

    return Paper(options.view(), cell_len)


def _write(panel: "Panel", paper: "Paper") -> None:
    from attncli.formats.table import written

    sys.stdout.write(written(panel, paper.display))


def _list(options: Options) -> None:
    """Number, slug, title, and how far the reader came."""
    from attncli.formats.layout import Span
    from attncli.lessons import progress, shelf

    paper = _paper(options)
    reached = progress.read()
    shelved = [(lesson, reached.get(lesson.slug)) for lesson in shelf.lessons()]
    width = max(len(lesson.slug) for lesson, _ in shelved)
    done = "done" if paper.display.ascii else "✓"
    for lesson, scene in shelved:
        text = f"{lesson.number:>2}  {lesson.slug:<{width}}  {lesson.name}"
        mark = f"  {scene + 1}/{len(lesson.scenes)}" if scene else ""
        mark = f"  {done}" if scene == progress.DONE else mark
        _write([paper.line(Span(paper.theirs(text)), Span(mark, "dim"))], paper)
    if not options.quiet and sys.stdout.isatty():
        first = next((lesson for lesson, scene in shelved if scene != progress.DONE), shelved[0][0])
        print(f"\nnext: attncli learn {first.number}")


def _check(sources: list[str], options: Options) -> None:
    """`learn --check FILE…`: every file, then the exit code of the last that is wrong."""
    from attncli.formats.display import plain
    from attncli.lessons.check import checked
    from attncli.lessons.shelf import find

    if not sources:
        raise UsageError("learn --check needs files", expected="learn --check my-lesson.yaml")
    paper = _paper(options)
    code = 0
    for source in sources:
        try:
            sentence = checked(find(source), paper)
        except AttncliError as error:
            if len(sources) == 1:
                raise
            for line in error.lines():
                print(plain(line, ascii=paper.display.ascii), file=sys.stderr)
            code = error.exit_code
            continue
        print(plain(f"{source}: {sentence}", ascii=paper.display.ascii))
    if code:
        raise typer.Exit(code)


def _play(lesson: "Lesson", options: Options) -> None:
    from attncli.lessons import progress
    from attncli.lessons.player import Player

    paper = _paper(options)
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()):
        for number, panel in enumerate(Player(lesson, paper).straight()):
            _write([*([paper.line()] if number else []), *panel], paper)
        return
    reached = progress.read().get(lesson.slug, 0) if lesson.slug else 0
    player = Player(lesson, paper, max(reached, 0))
    _Terminal(player, options).play()
    if player.is_done:
        if lesson.sources:
            _write([paper.line(), *player.pages.sources()], paper)
        if not options.quiet and lesson.number:
            following = f"learn {lesson.number + 1}" if _follows(lesson.number) else "learn"
            print(f"\nnext: attncli {following}")


def _follows(number: int) -> bool:
    from attncli.lessons.shelf import number_of, paths

    return any(number_of(path) == number + 1 for path in paths().values())


class _Terminal:
    """A lesson on a terminal: a scene a screen, the keys below the prompt where it can move."""

    def __init__(self, player: "Player", options: Options) -> None:
        self.player = player
        self.options = options
        self.moves = moves(sys.stdout)
        self.remembers = bool(player.lesson.slug)

    def play(self) -> None:
        """Until the end, `q`, or the end of input."""
        player = self.player
        self._screen()
        while True:
            line = self._line()
            if line is None:
                return
            reply = player.reply(line)
            if reply.ends:
                if player.is_done:
                    self._remember(done=True)
                return
            if reply.moves:
                self._screen()
            else:
                _write([*reply.said, self.player.paper.line()], self.player.paper)

    def _screen(self) -> None:
        self.player.paper = _paper(self.options)  # as wide as the terminal is now
        if self.moves:
            sys.stdout.write(CLEAR)
        _write([*self.player.screen(), self.player.paper.line()], self.player.paper)
        self._remember()

    def _line(self) -> str | None:
        """A line of the reader; None at the end of input."""
        keys = self.player.keys()
        if self.moves:
            sys.stdout.write("\n")
            _write(keys, self.player.paper)
            sys.stdout.write(f"{ABOVE_KEYS}> ")
        else:
            _write(keys, self.player.paper)
            sys.stdout.write("> ")
        sys.stdout.flush()
        ended = False
        try:
            line = sys.stdin.readline()
            ended = not line
        except KeyboardInterrupt:
            ended = True
            raise
        finally:
            # What was typed stays; the keys below it go.
            sys.stdout.write(("\n" if ended else "") + (ERASE_BELOW if self.moves else ""))
            sys.stdout.flush()
        return None if ended else line

    def _remember(self, *, done: bool = False) -> None:
        """Write down how far the reader came; where that cannot be, say so once."""
        if not self.remembers:
            return
        from attncli.lessons import progress

        try:
            scene = progress.DONE if done else self.player.scene
            progress.write(self.player.lesson.slug, scene)
        except (AttncliError, OSError) as error:
            self.remembers = False
            if not self.options.quiet:
                what = error.what if isinstance(error, AttncliError) else error.strerror
                print(f"progress is not remembered: {what}", file=sys.stderr)
