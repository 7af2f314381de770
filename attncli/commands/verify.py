"""`verify`: somebody's result beside ours, and the slip that explains a difference."""

import sys
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attncli.commands.options import (
    COMPUTATION,
    DISPLAY,
    MACHINE,
    OUTPUT,
    Options,
    accepts,
    option,
    parted,
)
from attncli.commands.output import form, put
from attncli.commands.terminal import ENDLESS, PATIENCE, last_line, moves
from attncli.errors import UsageError

if TYPE_CHECKING:
    from attncli.core.problem import Problem
    from attncli.oracle.search import Progress
    from attncli.oracle.verdict import Judge

EPILOG = """\
[bold]Examples[/bold]

attncli verify problem.yaml theirs.npz

attncli verify q.npy k.npy v.npy out.npy --causal --align bottom-right

attncli verify problem.yaml data.npz:attn --step weights --format json

attncli verify problem.yaml sheets/*.yaml --points"""

FORMATS = {".txt": "table", ".json": "json", ".csv": "csv"}
PANEL = "Comparison"


@accepts(
    COMPUTATION,
    DISPLAY,
    OUTPUT,
    MACHINE,
    but=("steps", "focus", "digits", "tile"),
    formats=FORMATS.values(),
)
def verify(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="PROBLEM THEIRS…",
            help="A problem (or three files Q K V), then results: any file that attend writes, "
            "tables in YAML, JSON or CSV, or FILE:NAME.",
            show_default=False,
        ),
    ],
    step: Annotated[
        str | None,
        option(
            "--step",
            help="which step theirs is, or which of theirs to look at",
            panel=PANEL,
            metavar="NAME",
        ),
    ] = None,
    rtol: Annotated[
        float | None,
        option("--rtol", help="allowed, relative to our number", panel=PANEL, metavar="X"),
    ] = None,
    atol: Annotated[
        float | None,
        option("--atol", help="allowed, as a difference", panel=PANEL, metavar="X"),
    ] = None,
    computed_in: Annotated[
        str | None,
        option(
            "--computed-in",
            help="the precision that theirs were computed in: float64, float32, float16, bfloat16 "
            "(default: the type in the file)",
            panel=PANEL,
            metavar="TYPE",
        ),
    ] = None,
    points: Annotated[
        bool,
        option(
            "--points",
            help="mark answer sheets: each step right, wrong, or right given an earlier mistake",
            panel=PANEL,
        ),
    ] = False,
    dialects: Annotated[
        bool,
        option(
            "--dialects",
            help="show where libraries would disagree on this problem (without THEIRS)",
            panel=PANEL,
        ),
    ] = False,
    *,
    options: Options,
) -> None:
    """Compare a result with ours; where it differs, name the slip that explains it."""
    format = form(options, FORMATS)
    if format == "csv" and not points:
        raise UsageError("csv goes with --points", expected="table or json", found="csv")
    problem_files, theirs = parted(files)
    if dialects:
        if theirs or points:
            raise UsageError("--dialects compares libraries, not files", expected="PROBLEM alone")
        _dialects(problem_files, format, options)
        return
    judge = _judge(problem_files, options, step, rtol, atol, computed_in)
    if not theirs:
        raise UsageError(
            "verify needs somebody's result beside the problem",
            expected="PROBLEM THEIRS…",
            hint="attncli verify problem.yaml theirs.npz",
        )
    if points:
        _points(judge, theirs, format, options)
        return
    started = perf_counter()
    from attncli.files.results import read_results
    from attncli.formats.verdict import as_json, dumped, text

    verdicts = [judge.verdict(source, read_results(source)) for source in theirs]
    if format == "json":
        reports: list[dict[str, Any]] = [as_json(verdict) for verdict in verdicts]
        whole: Any = reports[0]
        if len(reports) > 1:
            whole = [
                {"file": verdict.source, **report}
                for verdict, report in zip(verdicts, reports, strict=True)
            ]
        report = dumped(whole)
    else:
        display = options.display(judge.problem)
        presentation = judge.problem.presentation
        report = "\n".join(
            text(verdict, display, presentation.source, presentation.labels) for verdict in verdicts
        )
    put(report, options)
    if options.verbose:
        options.say(f"compared and searched in {perf_counter() - started:.3g} s")
    if not all(verdict.same for verdict in verdicts):
        raise typer.Exit(1)


def _points(judge: "Judge", theirs: list[str], format: str, options: Options) -> None:
    """Mark every sheet; one that cannot be read stops none of the others."""
    from attncli.errors import AttncliError
    from attncli.files.results import read_results
    from attncli.formats import marks
    from attncli.formats.verdict import dumped
    from attncli.oracle.marking import Marker, asked, unread

    marker = Marker(judge.problem, judge.ours, judge.rule)
    sheets = []
    for source in theirs:
        try:
            sheets.append(marker.marked(source, read_results(source)))
        except AttncliError as error:
            sheets.append(unread(source, error))
    sheets = asked(sheets)
    if format == "json":
        report = dumped(marks.as_json(sheets))
    elif format == "csv":
        report = marks.as_csv(sheets)
    else:
        display = options.display(judge.problem)
        # For scripts a sheet is a line, however long.
        wide = options.width is None and not sys.stdout.isatty()
        report = marks.text(sheets, replace(display, width=ENDLESS) if wide else display)
    put(report, options)
    if not all(sheet.all_right for sheet in sheets):
        raise typer.Exit(1)


def _dialects(sources: list[str], format: str, options: Options) -> None:
    from attncli.files.dialects import DIALECTS, Dialect
    from attncli.formats.findings import dialects_json, dialects_text
    from attncli.formats.verdict import dumped
    from attncli.oracle.dialects import outcomes

    def opened(dialect: Dialect | None) -> "Problem":
        keys = {} if dialect is None else {"dialect": dialect}
        return options.problem(sources, dtype="float64", **keys)

    found = outcomes(opened)
    if format == "json":
        put(dumped(dialects_json(found)), options)
        return
    reference = next(outcome for outcome in found if not outcome.refused)
    problem = opened(DIALECTS[reference.name] if reference.name else None)
    put(dialects_text(found, problem.presentation.source, options.display(problem)), options)


def _judge(
    sources: list[str],
    options: Options,
    step: str | None,
    rtol: float | None,
    atol: float | None,
    computed_in: str | None,
) -> "Judge":
    from attncli.oracle.compare import Rule
    from attncli.oracle.precision import PRECISIONS
    from attncli.oracle.verdict import Judge
    from attncli.solve import solve

    if computed_in is not None and computed_in not in PRECISIONS:
        raise UsageError(
            f"--computed-in {computed_in}", expected=", ".join(PRECISIONS), found=computed_in
        )
    for name, value in (("--rtol", rtol), ("--atol", atol)):
        if value is not None and not 0 <= value < float("inf"):
            raise UsageError(f"{name} {value}", expected="a number from 0 on", found=str(value))
    own = options.problem(sources)
    problem = own if own.dtype == "float64" else options.problem(sources, dtype="float64")
    notation = options.notation or problem.presentation.notation
    ours = solve(
        problem,
        backend=options.backend,
        threads=options.n_threads(),
        notation=notation,
        max_memory=options.memory_limit(),
    )
    rule = Rule(rtol, atol, computed_in, own.dtype, notation)
    return Judge(problem, ours, rule, step, _progress(options))


def _progress(options: Options) -> "Progress":
    """Says how far a search is that takes longer than a moment, on a terminal that can show it."""
    quiet = options.quiet or not moves(sys.stderr)
    started, shown = perf_counter(), False

    def progress(what: str, done: int, of: int) -> None:
        nonlocal shown
        if quiet or (perf_counter() - started < PATIENCE and not shown):
            return
        shown = done < of
        last_line(f"differs; trying {what}: {done} of {of}" if shown else "")

    return progress
