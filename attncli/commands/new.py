"""`new`: problems to start from, the samples that ship with attncli."""

import io
import os
import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from attncli.commands.options import OUTPUT, Options, accepts
from attncli.errors import UsageError

MADE = {
    "exercise": "Tidy numbers to work by hand, with a key: new exercise --seed 7 -o week3.md",
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
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Which exercise: the same numbers for all.", metavar="N"),
    ] = None,
    exercise_kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help="Of an exercise: soft-addressing, cross-attention, self-attention, "
            "masked-self-attention or two-heads.",
            metavar="KIND",
        ),
    ] = None,
    *,
    options: Options,
) -> None:
    """Start a problem: a commented file that runs. `exercise`: tidy numbers, sheet and key."""
    from attncli.files.samples import lesson, listing, sample

    if kind == "exercise":
        _exercise(seed, exercise_kind or "self-attention", options)
        return
    if seed is not None or exercise_kind is not None:
        raise UsageError("--seed and --kind are of exercises", expected="new exercise --seed 7")

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
        _list(listing() | MADE)
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
    if os.path.isdir(path):
        path = path / chosen.path.name
    written = chosen.copy(path, force=options.force)
    if not options.quiet:
        from attncli.formats.display import command, plain

        print(plain(f"wrote {', '.join(map(str, written))}"), file=sys.stderr)
        print(f"next: {command(chosen.command, str(path))}", file=sys.stderr)


def _list(abouts: dict[str, str]) -> None:
    """Names and what each is, within the width of the terminal."""
    from attncli.commands.options import paper
    from attncli.formats.layout import listing
    from attncli.formats.table import written

    page = paper()
    rows = [(name, page.own(about)) for name, about in abouts.items()]
    sys.stdout.write(written(listing(rows, page), page.display))


def _exercise(seed: int | None, kind: str, options: Options) -> None:
    """`new exercise`: the problem, the sheet with blanks, and the key."""
    from functools import partial

    from attncli.commands.output import refuse_existing
    from attncli.exercise import exercise
    from attncli.files.commit import commit
    from attncli.formats.display import command, plain
    from attncli.formats.worksheet import PAGES, answers, sheet
    from attncli.solve import solve

    if seed is None:
        from secrets import randbelow

        seed = randbelow(1_000_000)
    made = exercise(seed, kind)
    if options.output in (None, "-"):
        print(made.file(), end="")
        return
    path = Path(options.output)
    suffix = path.suffix.lower()
    if suffix not in (".yaml", *PAGES):
        raise UsageError(
            f"-o {path}: the suffix says how the sheet is written",
            expected=" ".join((".yaml", *PAGES)),
            found=suffix or "none",
        )
    source = path.with_suffix(".yaml")
    trace = solve(made.problem())
    texts = {source: made.file()}
    for key, name in ((False, "sheet"), (True, "key")):
        target = path.with_name(f"{path.stem}-{name}{suffix}")
        if suffix == ".yaml":
            texts[target] = answers(made, trace, source.name, key=key)
        else:
            form = "latex" if suffix == ".tex" else "text"
            page = sheet(made, trace, source.name, key=key, form=form)
            texts[target] = PAGES[suffix](page)
    for target in texts:
        refuse_existing(target, options.force)
    for target, text in texts.items():
        commit(target, partial(_write, text), force=options.force)
    if not options.quiet:
        print(plain(f"wrote {', '.join(map(str, texts))}"), file=sys.stderr)
        print(f"next: {command('attend', str(source))}", file=sys.stderr)


def _write(text: str, file: BinaryIO) -> None:
    file.write(text.encode("utf-8"))


def _vectors(directory: str | None, options: Options) -> None:
    """`new vectors DIR`."""
    from attncli.oracle.vectors import write

    if directory in (None, "-"):
        raise UsageError("new vectors needs a directory", expected="new vectors DIR")
    count = write(Path(directory), force=options.force)
    if not options.quiet:
        from attncli.formats.display import plain

        print(plain(f"wrote {count} cases and index.json into {directory}"), file=sys.stderr)
