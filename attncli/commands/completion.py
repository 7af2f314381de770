"""Shell completion: the script, printed; installing it is the user's choice."""

from attncli.errors import UsageError

SHELLS = ("bash", "zsh", "fish", "powershell")


def script(shell: str) -> str:
    """The completion script of a shell; raises `UsageError` for one that Typer does not know."""
    from typer._completion_classes import completion_init
    from typer._completion_shared import get_completion_script

    if shell not in SHELLS:
        raise UsageError(f"no completion for {shell!r}", expected=", ".join(SHELLS), found=shell)
    completion_init()
    return get_completion_script(prog_name="attncli", complete_var="_ATTNCLI_COMPLETE", shell=shell)
