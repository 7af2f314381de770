"""`backends`: what can compute here, why not, and whether it computes rightly."""

import sys
from typing import Annotated

import typer

from attncli.errors import UsageError

EPILOG = """\
[bold]Examples[/bold]

attncli backends

attncli backends test torch"""


def backends(
    action: Annotated[
        str,
        typer.Argument(
            metavar="list|test",
            help="list: what can compute here, or why not. test NAME: the conformance suite.",
        ),
    ] = "list",
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The backend to test.", show_default=False)
    ] = None,
) -> None:
    """List what can compute here, with versions, or test a backend."""
    if action == "list" and name is None:
        _list()
    elif action == "test" and name is not None:
        _test(name)
    else:
        found = " ".join(filter(None, [action, name]))
        raise UsageError(f"backends {found}", expected="list, or test NAME", found=found)


def _list() -> None:
    from attncli.backends import BACKENDS, outside
    from attncli.backends.probe import probe
    from attncli.commands.terminal import paper
    from attncli.formats.layout import listing
    from attncli.formats.table import written

    packages = {
        name: " and ".join(point.value for point in points) for name, points in outside().items()
    }
    abouts = {entry.name: entry.about for entry in BACKENDS.values()} | packages
    width = max(map(len, abouts))
    page = paper()
    rows: list[tuple[str, str]] = []
    for name, about in abouts.items():
        answer = probe(name)
        state = "ready" if answer.ready else "not ready"
        rest = f"; {answer.memory / 1e9:.1f} GB free" if answer.ready else ""
        rows += [(f"{name:<{width}}  {state}", answer.says), ("", f"{about}{rest}")]
        if answer.hint:
            rows.append(("", f"hint: {answer.hint}"))
    rows = [(page.theirs(name), page.theirs(said)) for name, said in rows]
    sys.stdout.write(written(listing(rows, page), page.display))
    print("\nNothing here has been run on a GPU by its makers yet: backends test NAME tells.")


def _test(name: str) -> None:
    from attncli.backends import find
    from attncli.formats.display import plain
    from attncli.testing import CHECKS

    version = find(name).version()
    print(plain(f"{name}: {version}"))
    failed = 0
    for check, run in CHECKS.items():
        try:
            run(name)
            print(f"  passed  {check}")
        except Exception as error:  # whatever it is, this check has not been passed
            failed += 1
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            print(plain(f"  failed  {check}: {kind}{error}"))
        sys.stdout.flush()
    print(f"{len(CHECKS) - failed} of {len(CHECKS)} passed")
    if failed:
        raise typer.Exit(1)
