"""What only a terminal shows that can move its cursor."""

import os
import sys
from typing import TextIO

PATIENCE = 0.5
"""Seconds of work before it is said how far it is: shorter ones need no word."""
ERASE_LINE = "\x1b[K"


def moves(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def last_line(text: str) -> None:
    """The last line of stderr becomes this text, as far as it fits."""
    from attncli.commands.options import terminal_width

    print(f"\r{text[: terminal_width() - 1]}{ERASE_LINE}", end="", file=sys.stderr, flush=True)
