"""The command line: one file a subcommand, one line in `COMMANDS` to register it.

Only the command that is called is imported, and commands import what they need when they run: so
`--help` and `--version` load neither NumPy nor a backend, nor the schema of problems.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from attncli import __version__

COMMANDS = {
    "attend": "Compute a problem and show every step.",
    "explain": "Work one cell, vector or step by hand, back to the inputs.",
    "verify": "Compare a result with ours, and name the slip that explains it.",
    "inspect": "Show what is in files and what problems compute; convert them.",
    "learn": "Walk through a lesson; without one, list them.",
    "new": "Start a problem, an exercise or a lesson: a file that runs.",
    "batch": "Do many jobs: resumable, on this machine or a Dask cluster.",
    "bench": "Time attention on this machine, beside naive NumPy and PyTorch.",
    "backends": "List what can compute here, or test it.",
}
"""The subcommands, each the function of its name in the module of its name: what it does."""

THREE = """\
attncli, an attention calculator that shows every step. Three commands:

  attncli new                                problems that run, to start from
  attncli new soft-addressing -o first.yaml  a first problem, with comments
  attncli attend first.yaml                  every step of it

attncli --help lists the commands."""

EPILOG = """\b
Examples:
  attncli new soft-addressing -o first.yaml
  attncli attend first.yaml
  attncli attend q.npy k.npy v.npy --causal -o out.npz
  attncli COMMAND --help"""


def called(arguments: Sequence[str]) -> str | None:
    """The subcommand that a command line calls; None where it calls none."""
    first = next((word for word in arguments if not word.startswith("-")), None)
    return first if first in COMMANDS else None


def application(arguments: Sequence[str]) -> typer.Typer:
    """The Typer application for a command line: the called command whole, the others by name."""
    name = called(arguments)
    app = typer.Typer(
        add_completion=False,
        # Typer's Rich help takes as long to import as all the rest: only commands have it.
        rich_markup_mode="rich" if name else None,
        pretty_exceptions_enable=False,
        epilog=EPILOG,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(main)
    for other, about in COMMANDS.items():
        if other == name:
            module = import_module(f"attncli.commands.{other}")
            epilog = getattr(module, "EPILOG", None)
            app.command(other, help=about, epilog=epilog)(getattr(module, other))
        else:
            app.command(other, help=about)(_named_only)
    return app


def _named_only() -> None:
    """Stands for a command that this command line does not call."""


def _version(wanted: bool) -> None:
    if wanted:
        print(f"attncli {__version__}")
        raise typer.Exit


def _completion(shell: str | None) -> None:
    if shell:
        from attncli.commands.completion import script

        print(script(shell))
        raise typer.Exit


def _manual(wanted: bool) -> None:
    if wanted:
        from attncli.commands.manual import manual

        print(manual(), end="")
        raise typer.Exit


def main(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, metavar=" ", help="Show the version."
        ),
    ] = False,
    completion: Annotated[
        str | None,
        typer.Option(
            "--show-completion",
            metavar="SHELL",
            callback=_completion,
            is_eager=True,
            help="Print the completion script of bash, zsh, fish or powershell.",
        ),
    ] = None,
    page: Annotated[
        bool,
        typer.Option(
            "--show-manual",
            callback=_manual,
            is_eager=True,
            metavar=" ",
            help="Print the manual page: attncli --show-manual > attncli.1 && man -l attncli.1",
        ),
    ] = False,
) -> None:
    """An attention calculator that shows every step."""
    if context.invoked_subcommand is None:
        print(THREE)
