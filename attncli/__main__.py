"""`python -m attncli` and the command `attncli`."""

import _signal  # type: ignore[import-not-found]  # signal imports enum: time for a traceback
import gc
import os
import sys
from contextlib import suppress


def main() -> None:
    """Run the command line and exit with its code."""
    # Until `run` can answer it, Ctrl-C ends the process without a word, as SIGTERM does.
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    # Modules are not garbage: collecting while they load takes a twentieth of a start.
    gc.set_threshold(100_000)
    from attncli.commands.boundary import run

    code = run(sys.argv[1:])
    # All is written and closed by now; taking the modules apart takes a seventh of a short run.
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a run that went well has flushed its results
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
