"""Every way in which attncli says no.

One family, so that one boundary (`commands`) can turn any of them into at most four lines on
stderr and an exit code. The code belongs to the class; a bad value is 2 in a flag and 3 in a file,
which the place decides.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

MOST_LINES = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where an input stands: a file or a flag, with line and column counted from 1."""

    source: str
    line: int | None = None
    column: int | None = None
    text: str = ""
    """The line itself, shown under the error."""
    is_flag: bool = False

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.source, self.line, self.column) if part)


class AttncliError(Exception):
    """What is wrong, what was expected and found, and the remedy.

    `subject` names the key (`query`, `mask`, `rope`) that the error is about; whoever knows the
    file attaches the place with `at`.
    """

    code: ClassVar[int] = 70

    def __init__(
        self,
        what: str,
        *,
        expected: str = "",
        found: str = "",
        hint: str = "",
        choices: tuple[str, ...] = (),
        subject: str = "",
        place: Place | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.found = found
        self.hint = hint
        self.choices = choices
        """What the reader may choose from, a line each, in place of expected and found."""
        self.subject = subject
        self.place = place

    @property
    def exit_code(self) -> int:
        """The process's exit code (CONTRACT, exit codes)."""
        return self.code

    def at(self, place: Place | None) -> Self:
        """This error with a place, if it has none yet."""
        if self.place is None:
            self.place = place
        return self

    def lines(self) -> list[str]:
        """At most four lines: `place: error: what`, the line, expected and found, the hint."""
        head = f"{self.place}: error: {self.what}" if self.place else f"error: {self.what}"
        lines = [head]
        if self.expected and self.found:
            lines.append(f"  expected {self.expected}, found {self.found}")
        elif self.expected or self.found:
            lines.append("  " + (f"expected {self.expected}" if self.expected else self.found))
        lines += [f"  {choice}" for choice in self.choices]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        lines = [printable(line) for line in lines]
        if self.place and self.place.text.strip() and len(lines) < MOST_LINES:
            lines.insert(1, "  " + _window(self.place.text, self.place.column or 1))
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines())


def printable(text: str) -> str:
    """A text on one line: what is not printable, line ends among it, becomes a visible escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _window(text: str, column: int, width: int = 72) -> str:
    """The part of a long line around a column."""
    text = printable(text.replace("\t", " ").rstrip())
    if len(text) <= width:
        return text.strip()
    start = max(0, min(column - 1 - width // 2, len(text) - width))
    end = start + width
    return ("…" if start else "") + text[start:end].strip() + ("…" if end < len(text) else "")


class UsageError(AttncliError):
    """The command line is wrong."""

    code = 2


class InputError(AttncliError):
    """An input cannot be read or does not fit, or the extra that reads it is missing."""

    code = 3

    @property
    def exit_code(self) -> int:
        return UsageError.code if self.place and self.place.is_flag else self.code


class RefusedError(AttncliError):
    """The input fits, but its numbers leave no one right answer (rules of arithmetic 4 to 6)."""

    code = 4


class OutputError(AttncliError):
    """The output cannot be written, or the file exists."""

    code = 5


class LimitError(AttncliError):
    """Over a limit: memory, size or depth."""

    code = 6


class BackendError(AttncliError):
    """The backend cannot do it."""

    code = 7


def reason(error: OSError | ValueError) -> str:
    """Why the system refuses a path, in the same words on every Python."""
    if "embedded null" in str(error):
        return "embedded null byte"
    if isinstance(error, UnicodeEncodeError):
        return "half a character stands in its name"
    return (getattr(error, "strerror", None) or str(error)).lower()


def known(error: Exception) -> AttncliError:
    """Any failure as one of the family, with the words and the exit code that people see."""
    if isinstance(error, AttncliError):
        return error
    if isinstance(error, MemoryError):
        return LimitError(
            "out of memory", hint="--steps output keeps less; --dtype float32 halves what is needed"
        )
    if isinstance(error, OSError):
        what = "cannot write" if error.filename is None else f"cannot use {error.filename}"
        return OutputError(f"{what}: {reason(error)}")
    return AttncliError(
        f"a bug in attncli: {type(error).__name__}: {error}",
        hint="--debug shows where; please report it with the problem file",
    )
