"""`attend --simulate`: the error budget of a precision."""

from collections.abc import Sequence

from attncli.commands.options import Options
from attncli.commands.output import form, put
from attncli.errors import UsageError

FORMATS = {".txt": "table", ".json": "json", ".csv": "csv"}


def simulated(sources: Sequence[str], precision: str, options: Options) -> None:
    """Show what the rounding of each step adds, and where it overflows."""
    from attncli.formats import findings
    from attncli.formats.verdict import dumped
    from attncli.oracle.budget import budget
    from attncli.oracle.precision import PRECISIONS

    known = [name for name in PRECISIONS if name != "float64"]
    if precision not in known:
        raise UsageError(f"--simulate {precision}", expected=", ".join(known), found=precision)
    format = form(options, FORMATS)
    if options.cluster is not None:
        raise UsageError("--simulate with --cluster: its steps are not made of tiles")
    for name in ("focus", "digits"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name} goes with the steps themselves, not with --simulate")
    problem = options.problem(sources, dtype="float64")
    display = options.display(problem)
    lines = [
        line
        for line in budget(problem, precision)
        if display.steps is None or line.name in display.steps
    ]
    if format == "json":
        report = dumped(findings.budget_json(lines, precision))
    elif format == "csv":
        report = findings.budget_csv(lines)
    else:
        report = findings.budget_text(lines, precision, problem.presentation.source, display)
    put(report, options)
