"""The one error boundary: every failure becomes at most four lines on stderr and an exit code."""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from attncli.errors import AttncliError, LimitError, OutputError

BUG = 70
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


class Terminated(BaseException):
    """SIGTERM, as an exception, so that temporary files are removed on the way out."""


def run(arguments: Sequence[str]) -> int:
    """Run a command line; the exit code (CONTRACT, exit codes)."""
    import typer

    from attncli.commands import application
    from attncli.commands.completion import COMPLETING, completed

    signal.signal(signal.SIGTERM, _terminate)
    try:
        words = completed() if COMPLETING in os.environ else arguments
        code = application(words)(list(arguments), prog_name="attncli", standalone_mode=False)
        sys.stdout.flush()
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
    except KeyboardInterrupt:
        return INTERRUPTED
    except Terminated:
        return TERMINATED
    except MemoryError as error:
        limit = LimitError(
            "out of memory", hint="--steps output keeps less; --dtype float32 halves what is needed"
        )
        return _fail(limit.with_traceback(error.__traceback__), limit.exit_code, arguments)
    except OSError as error:
        output = OutputError(f"cannot write: {(error.strerror or str(error)).lower()}")
        _silence(sys.stdout)
        return _fail(output.with_traceback(error.__traceback__), output.exit_code, arguments)
    except Exception as error:
        _traceback(error, arguments)
        _say(
            f"error: a bug in attncli: {type(error).__name__}: {error}",
            "hint: --debug shows where; please report it with the problem file",
        )
        return BUG


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
    from attncli.formats.display import plain

    try:
        for line in lines:
            print(plain(line, ascii=not _speaks_unicode()), file=sys.stderr)
        sys.stderr.flush()
    except OSError:
        _silence(sys.stderr)


def _speaks_unicode() -> bool:
    try:
        "−×√→ᵀ".encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


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
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), stream.fileno())  # type: ignore[attr-defined]
