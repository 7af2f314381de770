"""`backends`: what can compute here."""

from typing import Annotated

import typer

from attncli.errors import UsageError


def backends(
    action: Annotated[
        str, typer.Argument(metavar="list", help="list: what can compute here.")
    ] = "list",
) -> None:
    """List what can compute here, with versions."""
    from attncli.backends import BACKENDS, find

    if action != "list":
        raise UsageError(f"backends {action}", expected="list", found=action)
    for name, entry in BACKENDS.items():
        backend = find(name)
        print(f"{name:<8} ready  {backend.version()}")
        print(f"{'':<8}        {entry.about}; {backend.memory() / 1e9:.1f} GB free")
