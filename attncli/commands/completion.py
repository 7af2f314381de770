"""Shell completion: the script, printed; installing it is the user's choice."""

import os

from attncli.errors import UsageError

SHELLS = ("bash", "zsh", "fish", "powershell")
COMPLETING = "_ATTNCLI_COMPLETE"
"""Set by a shell that asks for completions."""


def completed() -> list[str]:
    """The words of the command line that a shell wants completed, after `attncli`."""
    from typer._completion_classes import completion_init

    completion_init()
    # Typer wraps what an option means as for a terminal, and shells read a line as a completion.
    os.environ["COLUMNS"] = "10000"
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    return line.split()[1:]


def script(shell: str) -> str:
    """The completion script of a shell; raises `UsageError` for one that Typer does not know."""
    from typer._completion_classes import completion_init
    from typer._completion_shared import get_completion_script

    if shell not in SHELLS:
        raise UsageError(f"no completion for {shell!r}", expected=", ".join(SHELLS), found=shell)
    completion_init()
    return get_completion_script(prog_name="attncli", complete_var=COMPLETING, shell=shell)
