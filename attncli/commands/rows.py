"""How far a long computation is, on stderr and only on a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attncli.commands.terminal import PATIENCE, colored, moves


@contextmanager
def rows_done(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Rows done, rate and time left, as a callback of (done, total); None where nobody looks."""
    if quiet or not moves(sys.stderr):
        yield None
        return
    from time import monotonic
    from typing import Literal

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.completed:.0f} of {task.total:.0f} rows"),
        BarColumn(None),
        TextColumn("{task.fields[rate]} rows/s"),
        TimeRemainingColumn(),
    )
    started = monotonic()
    system: Literal["auto"] | None = "auto" if colored("auto", sys.stderr) else None
    console = Console(stderr=True, color_system=system)
    shown = Progress(*columns, console=console, transient=True)
    task = shown.add_task("", rate="")

    def tell(done: int, total: int) -> None:
        seconds = monotonic() - started
        if seconds < PATIENCE:
            return
        rate = f"{done / seconds:,.0f}"
        shown.update(task, completed=done, total=total, rate=rate)
        if not shown.live.is_started:
            shown.start()

    try:
        yield tell
    finally:
        if shown.live.is_started:
            shown.stop()
