"""`python -m attncli` and the command `attncli`."""

import gc
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    # Modules are not garbage: collecting while they load takes a twentieth of a start.
    gc.set_threshold(100_000)
    from attncli.commands.boundary import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
