"""`new`: problems to start from, the samples that ship with attncli."""

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from attncli.commands.options import OUTPUT, Options, accepts
from attncli.errors import UsageError

MADE = {
    "lesson": "A lesson of your own, with comments: learn my-lesson.yaml",
    "vectors": "Test vectors for other people's kernels: new vectors DIR",
}
"""What is no sample of a problem: kind and one sentence."""


@accepts(OUTPUT)
def new(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND", help="Which problem; without it, all are listed.", show_default=False
        ),
    ] = None,
    directory: Annotated[
        str | None,
        typer.Argument(metavar="[DIR]", help="Where new vectors writes.", show_default=False),
    ] = None,
    *,
    options: Options,
) -> None:
    """Start a problem: a commented file that runs. `vectors DIR`: test vectors for kernels."""
    from attncli.files.samples import lesson, listing, sample

    if kind == "vectors":
        _vectors(directory or options.output, options)
        return
    if directory is not None:
        raise UsageError(
            f"new {kind} {directory}", expected=f"new {kind} -o {directory}", found=directory
        )
    if kind is None:
        if options.output is not None:
            raise UsageError("new -o without KIND", expected="new KIND -o PATH", found="-o")
        listed = listing() | MADE
        width = max(len(name) for name in listed)
        for name, about in listed.items():
            print(f"{name:<{width}}  {about}")
        if not options.quiet and sys.stdout.isatty():
            print("\nnext: attncli new soft-addressing -o first.yaml")
        return
    chosen = lesson() if kind == "lesson" else sample(kind)
    if options.output in (None, "-"):
        sys.stdout.flush()
        # As it lies, whatever the terminal speaks: a redirected sample must be the sample.
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
            sys.stdout.buffer.write(chosen.text.encode("utf-8"))
        else:
            print(chosen.text, end="")
        if chosen.data and not options.quiet:
            print(f"-o {chosen.path.name} copies {chosen.data[0].name} too", file=sys.stderr)
        return
    path = Path(options.output)
    if path.is_dir():
        path = path / chosen.path.name
    written = chosen.copy(path, force=options.force)
    if not options.quiet:
        print(f"wrote {', '.join(map(str, written))}", file=sys.stderr)
        print(f"next: attncli {chosen.command} {path}", file=sys.stderr)


def _vectors(directory: str | None, options: Options) -> None:
    """`new vectors DIR`."""
    from attncli.oracle.vectors import write

    if directory in (None, "-"):
        raise UsageError("new vectors needs a directory", expected="new vectors DIR")
    count = write(Path(directory), force=options.force)
    if not options.quiet:
        from attncli.formats.display import plain

        print(plain(f"wrote {count} cases and index.json into {directory}"), file=sys.stderr)
