"""The one error boundary: every failure becomes at most four lines on stderr and an exit code."""

import codecs
import errno
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, TextIO, cast

from attncli.commands.terminal import colored
from attncli.errors import AttncliError, known

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


class Terminated(BaseException):
    """SIGTERM, as an exception, so that temporary files are removed on the way out."""


def run(arguments: Sequence[str]) -> int:
    """Run a command line; the exit code (CONTRACT, exit codes)."""
    import typer

    from attncli.commands import application
    from attncli.commands.completion import COMPLETING, completed

    _prepare_streams()
    try:
        signal.signal(signal.SIGTERM, _terminate)
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        words = completed() if COMPLETING in os.environ else arguments
        code = application(words)(list(arguments), prog_name="attncli", standalone_mode=False)
        sys.stdout.flush()
        if mapped := sys.modules.get("attncli.files.mapped"):
            mapped.check()
        return code if isinstance(code, int) else 0
    except AttncliError as error:
        return _fail(error, error.exit_code, arguments)
    except typer.TyperException as error:
        _say(f"error: {_sentence(error.format_message())}", f"hint: {_help(arguments)} shows how")
        return error.exit_code
    except SystemExit as error:
        # Typer leaves with 1 when the reader of a pipe is gone; for us that is success.
        if isinstance(error.__context__, BrokenPipeError):
            return _closed_pipe()
        return error.code if isinstance(error.code, int) else 1
    except BrokenPipeError:
        return _closed_pipe()
    except (KeyboardInterrupt, Terminated) as signalled:
        return _ended(signalled)
    except Exception as error:
        # Python 3.11 makes a RuntimeError of what comes while a class is made.
        if isinstance(error.__cause__, KeyboardInterrupt | Terminated):
            return _ended(error.__cause__)
        if isinstance(error, OSError):
            _silence(sys.stdout)
        failure = known(error)
        failure.__cause__ = error
        return _fail(failure, failure.exit_code, arguments)


class _Closed(io.TextIOBase):
    """Stands for a standard stream that was closed before the start: nothing can be written."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "it is closed")


class _Heedless:
    """stderr: what cannot be said there (a full disk) ends no work and changes no exit code."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            _silence(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            _silence(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _prepare_streams() -> None:
    """No letter that a terminal lacks, and no closed stream, ends a run with a traceback."""
    codecs.register_error("spelled", _spelled)
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (until the process ends)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelled")
    if not isinstance(sys.stderr, _Heedless):
        sys.stderr = _Heedless(sys.stderr)
    with suppress(ValueError):  # a stream that somebody closed
        if not colored("auto", cast("TextIO", sys.stdout)):
            # Typer's help would still be bold; it reads this when its help is first asked for.
            os.environ["_TYPER_FORCE_DISABLE_TERMINAL"] = "1"


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """What stands for letters that an encoding lacks."""
    from attncli.formats.display import spelled

    assert isinstance(error, UnicodeEncodeError)  # only streams that are written to use this
    return spelled(error.object[error.start : error.end]), error.end


def _ended(signalled: KeyboardInterrupt | Terminated) -> int:
    return TERMINATED if isinstance(signalled, Terminated) else INTERRUPTED


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _fail(error: AttncliError, code: int, arguments: Sequence[str]) -> int:
    _traceback(error, arguments)
    _say(*error.lines())
    return code


def _traceback(error: BaseException, arguments: Sequence[str]) -> None:
    if "--debug" in arguments:
        import traceback

        traceback.print_exception(error)


def _say(*lines: str) -> None:
    from attncli.commands.terminal import encodes_unicode
    from attncli.formats.display import plain

    for line in lines:
        print(plain(line, ascii=not encodes_unicode(sys.stderr.encoding)), file=sys.stderr)
    sys.stderr.flush()


def _sentence(message: str) -> str:
    text = message.strip().rstrip(".")
    return text[:1].lower() + text[1:]


def _help(arguments: Sequence[str]) -> str:
    from attncli.commands import called

    return " ".join(["attncli", *filter(None, [called(arguments)]), "--help"])


def _closed_pipe() -> int:
    _silence(sys.stdout)
    return 0


def _silence(stream: object) -> None:
    """Point a broken stream at nothing, so that the interpreter's last flush stays quiet."""
    if isinstance(stream, _Closed):
        return
    # A stream of somebody's program, such as a notebook's, may have no number.
    with open(os.devnull, "w") as nothing, suppress(io.UnsupportedOperation):
        os.dup2(nothing.fileno(), stream.fileno())  # type: ignore[attr-defined]
