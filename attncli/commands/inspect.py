"""`inspect`: what is in a file, what a problem will compute, and conversion between formats."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attncli.commands.options import COMPUTATION, MACHINE, OUTPUT, Options, accepts
from attncli.commands.output import aligned, refuse_existing
from attncli.commands.terminal import encodes_unicode
from attncli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attncli.files.summary import Summary
    from attncli.files.vectors import Tensor

EPILOG = """\
[bold]Examples[/bold]

attncli inspect data.npz

attncli inspect problem.yaml

attncli inspect problem.yaml -o problem.npz"""

BARS = " ▁▂▃▄▅▆▇█"
ASCII_BARS = " .:-=+*#@"


@accepts(COMPUTATION, OUTPUT, MACHINE, but=("verbose", "backend", "tile", "threads"))
def inspect(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…",
            help="Problem files, tensors (NPY, CSV, TSV, NPZ, safetensors), or FILE:NAME.",
            show_default=False,
        ),
    ],
    *,
    options: Options,
) -> None:
    """Show what is in a file, and what a problem will compute; with -o convert it."""
    from attncli import machine

    machine.allow(options.memory_limit())
    if options.path is not None:
        _convert(files, options.path, options)
        return
    from attncli.files.convert import is_problem

    for number, source in enumerate(files):
        if number:
            print()
        if is_problem(source):
            _problem(source, options)
        else:
            _tensors(source)


def _convert(files: list[str], target: Path, options: Options) -> None:
    from attncli.files.commit import commit
    from attncli.files.convert import writer

    if len(files) != 1:
        raise UsageError(f"-o converts one file, not {len(files)}", expected="one FILE")
    write, lost = writer(files[0], target)
    refuse_existing(target, options.force)
    commit(target, write, force=options.force)
    left_out = f"; left out, since it holds tensors only: {', '.join(lost)}" if lost else ""
    options.say(f"wrote {target}{left_out}")


def _problem(source: str, options: Options) -> None:
    from attncli.files.convert import problem_tensors
    from attncli.files.problem import merge, open_problem, read_entries
    from attncli.files.vectors import Source
    from attncli.formats.display import plain, spelled
    from attncli.solve import size_of

    problem = open_problem([source], options.overrides)
    shown = problem.presentation
    title = plain(shown.title or source)
    unicode = encodes_unicode(sys.stdout.encoding)
    words = str if unicode else spelled
    print(title if unicode else plain(title, ascii=True))
    print(f"  kind     {problem.kind}, {shown.notation}")
    print(f"  computes {words(' · '.join(problem.facts()))}")
    print(f"  steps    {', '.join(problem.step_names())}")
    print(f"  memory   {size_of(problem.memory(None))} for all steps")
    settings = {
        key: value
        for key, value in problem.choices.items()
        if key not in ("kind", "title", "similarity", "normalizer", "notation", "dtype")
    }
    if settings:
        listed = ", ".join(f"{key} {_spoken(value)}" for key, value in settings.items())
        print(plain(f"  settings {listed}", ascii=not unicode))
    if source != "-":
        base = Path(source).parent
        entries = merge(read_entries(source), options.overrides)
        _table(_rows(problem_tensors(Source(entries, base)).items(), unicode))


def _spoken(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return "[" + ", ".join("null" if item is None else str(item) for item in value) + "]"
    return str(value)


def _tensors(source: str) -> None:
    from attncli.files.convert import each_tensor
    from attncli.formats.display import plain

    unicode = encodes_unicode(sys.stdout.encoding)
    rows = _rows(each_tensor(source), unicode)
    print(plain(source, ascii=not unicode))
    _table(rows)


HEADS = ("", "shape", "type", "least", "greatest", "mean", "")


def _rows(arrays: "Iterable[tuple[str, Tensor]]", unicode: bool) -> list[tuple[str, ...]]:
    """Name, shape, type, range, mean, what is not finite, and the distribution."""
    from attncli.files.summary import summarize
    from attncli.formats.display import plain

    times = "×" if unicode else "x"
    rows = []
    for name, array in arrays:
        summary = summarize(array)
        rows.append(
            (
                plain(name, ascii=not unicode),
                times.join(map(str, summary.shape)) or "one number",
                summary.dtype,
                *(_number(value) for value in (summary.least, summary.greatest, summary.mean)),
                _distribution(summary, BARS if unicode else ASCII_BARS) + _lost(summary),
            )
        )
    return rows


def _table(rows: list[tuple[str, ...]]) -> None:
    for line in aligned([HEADS, *rows], right=(3, 4, 5)):
        print(f"  {line}")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.5g}"


def _distribution(summary: "Summary", bars: str) -> str:
    """The counts of the bins as a row of small bars, from least to greatest."""
    most = max(summary.counts, default=0)
    if not most or summary.least == summary.greatest:
        return ""
    steps = len(bars) - 1
    return "".join(bars[-(-count * steps // most)] for count in summary.counts)


def _lost(summary: "Summary") -> str:
    parts = [
        f"{count} {name}"
        for count, name in ((summary.n_nan, "NaN"), (summary.n_infinite, "infinite"))
        if count
    ]
    return "  " + ", ".join(parts) if parts else ""
