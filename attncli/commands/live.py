"""The display of a batch on a terminal: a bar, the counts, and the jobs running now."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from attncli.commands.progress import Progress as Plain
from attncli.commands.terminal import colored, encodes_unicode
from attncli.formats.display import plain

if TYPE_CHECKING:
    from attncli.batch.run import Run

MOST_RUNNING = 4
"""Jobs that are named at once."""
EDGE = 8
"""Columns that are left for what stands around a name."""


class Live(Plain):
    """A live display; what is said meanwhile stands above it."""

    def __init__(self, run: "Run", quiet: bool) -> None:
        super().__init__(run, quiet)
        from rich.live import Live as RichLive

        self._console = Console(
            stderr=True,
            highlight=False,
            color_system="auto" if colored("auto", sys.stderr) else None,
        )
        self._ascii = not encodes_unicode(self._console.encoding)
        self._bar = Progress(
            BarColumn(bar_width=None),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            console=self._console,
            expand=True,
        )
        self._task = self._bar.add_task("", total=len(run.jobs))
        self._live = RichLive(
            get_renderable=self._shown,
            console=self._console,
            refresh_per_second=5,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def tick(self) -> None:
        """The display refreshes itself."""

    def say(self, line: str) -> None:
        """A line above the display; no markup is read in it."""
        self._console.print(Text(plain(line, ascii=self._ascii)), soft_wrap=True)

    def _shown(self) -> Table:
        self._bar.update(self._task, completed=self.run.counts.done)
        table = Table.grid(expand=True)
        table.add_row(self._bar)
        table.add_row(Text(self.line(self._console.width)))
        names = list(self.run.running.values())
        width = self._console.width - EDGE
        for name in names[:MOST_RUNNING]:
            shown = plain(name, ascii=self._ascii)
            table.add_row(Text(f"  {shown[:width]}", style="dim", no_wrap=True))
        if len(names) > MOST_RUNNING:
            table.add_row(Text(f"  and {len(names) - MOST_RUNNING} more", style="dim"))
        return table
