"""What the terminal can show: its width, its letters and colours, whether its cursor moves."""

import os
import sys
from typing import TYPE_CHECKING, TextIO

from attncli.core.labels import whole
from attncli.errors import UsageError

if TYPE_CHECKING:
    from attncli.formats.layout import Paper

PATIENCE = 0.5
"""Seconds of work before it is said how far it is: shorter ones need no word."""
ERASE_LINE = "\x1b[K"
ENDLESS = 1_000_000
"""The width of a page for scripts."""
LETTERS = "−×√→ᵀΣ▁█"
"""Those of reports and errors that not every encoding has."""


def terminal_width() -> int:
    """The columns of the terminal, or of `COLUMNS`; 80 elsewhere."""
    if columns := whole(os.environ.get("COLUMNS", "")):
        return max(20, columns)
    try:
        return max(20, os.get_terminal_size(sys.stdout.fileno()).columns or 80)
    except (OSError, ValueError):
        return 80


def encodes_unicode(encoding: str | None) -> bool:
    """Whether an encoding has the letters of reports and errors."""
    try:
        LETTERS.encode(encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def colored(choice: str, stream: TextIO) -> bool:
    """Whether to write colour: `--color`, then NO_COLOR, FORCE_COLOR, and the terminal itself."""
    if choice not in ("auto", "always", "never"):
        raise UsageError(f"--color {choice}", expected="auto, always or never", found=choice)
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    dumb = os.environ.get("TERM", "") == "dumb" or os.environ.get("CLICOLOR") == "0"
    return stream.isatty() and not dumb


def paper() -> "Paper":
    """A page for a list: as wide as the terminal; elsewhere, for scripts, an entry is a line."""
    from rich.cells import cell_len

    from attncli.formats.display import Display
    from attncli.formats.layout import Paper

    ascii = not encodes_unicode(sys.stdout.encoding)
    width = terminal_width() if sys.stdout.isatty() else ENDLESS
    return Paper(Display(width=width, ascii=ascii), cell_len)


def moves(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def last_line(text: str) -> None:
    """The last line of stderr becomes this text, as far as it fits."""
    print(f"\r{text[: terminal_width() - 1]}{ERASE_LINE}", end="", file=sys.stderr, flush=True)
