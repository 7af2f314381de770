"""Where results go: a report or arrays, to stdout or through `commit` to a file."""

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from attncli.errors import OutputError, Place

if TYPE_CHECKING:
    from attncli.commands.options import Options
    from attncli.core.problem import Problem
    from attncli.core.tiled import Into
    from attncli.formats.display import Display
    from attncli.solve import Trace

Writer = Callable[[BinaryIO], object]


@dataclass(frozen=True)
class Destination:
    """What is written of a trace, and where the options say."""

    options: "Options"
    format: str
    """A report's format, or npy, npz or safetensors."""

    @classmethod
    def of(cls, options: "Options") -> "Destination":
        """From `-o` and `--format`: the suffix chooses where the format is not given.

        Raises before anything is computed if the file exists or its kind is unknown.
        """
        from attncli.formats import FORMATS
        from attncli.formats.files import format_of

        format, path = options.report_format(FORMATS), options.path
        if path is None:
            return cls(options, format or "table")
        format = format or format_of(path)
        refuse_existing(path, options.force)
        return cls(options, format)

    @property
    def is_arrays(self) -> bool:
        from attncli.formats.files import ARRAYS

        return self.format in ARRAYS.values()

    def kept(self, display: "Display", problem: "Problem") -> set[str] | None:
        """The steps that must be kept; None for as many as are shown."""
        if self.format == "npy":
            return set()
        kept = display.kept()
        if kept is None and self.is_arrays:
            return {*problem.step_names()}  # whoever keeps arrays wants every one of them
        return None if kept is None else set(kept)

    def write(
        self, compute: "Callable[[Into | None], Trace]", problem: "Problem", display: "Display"
    ) -> "Trace":
        """Compute the steps and write them: arrays, or a report.

        An output alone that lies as it is computed goes to its file row by row.
        """
        shown = problem.presentation
        notation = self.options.notation or shown.notation
        as_computed = notation == "rows" and shown.layout == "heads-first"
        if self.format != "npy" or display.focus or not as_computed:
            trace = compute(None)
            self.report(trace, display)
            return trace
        made: list[Trace] = []

        def write(file: BinaryIO) -> None:
            from attncli.files.npy import write_npy
            from attncli.files.rows import allocator

            trace = compute(allocator(file))
            made.append(trace)
            if file.seekable() and file.tell():
                return  # its rows are there
            write_npy(file, trace.output)

        _commit(write, self.options, "output")
        return made[0]

    def report(self, trace: "Trace", display: "Display") -> None:
        """Write steps that are computed."""
        if self.is_arrays:
            from attncli.formats.files import arrays_of, write_arrays

            arrays = arrays_of(trace, display, steps=self.format != "npy")

            def write(file: BinaryIO) -> None:
                write_arrays(self.format, file, arrays)

            _commit(write, self.options, ", ".join(arrays))
            return
        from attncli.core.shapes import count
        from attncli.formats import render
        from attncli.formats.view import views

        text = render(trace, display, self.format)
        n = sum(1 for _ in views(trace, display))
        put(text, self.options, f"{count(n, 'step')} as {self.format}")

    def suggest(self, trace: "Trace", sources: Sequence[str]) -> None:
        """The next command to try, for people at a terminal."""
        to_people = self.options.path is None and self.format == "table" and sys.stdout.isatty()
        if self.options.quiet or not to_people:
            return
        if "query" not in trace.problem.sizes():
            return
        from attncli.formats.display import command

        names = trace.labels.names("weights", "query", trace.problem.sizes()["query"])
        # A word that stands there once, and that explain takes for nothing else.
        clear = (n for n in reversed(names) if n.isalnum() and names.count(n) == 1)
        place = next((name for name in clear if name not in trace.names), "0")
        tries = ["explain", *sources, place]
        if "-" in sources:
            tries = ["attend", "PROBLEM", "--focus", place]
        print(f"\nnext: {command(*tries)}")


def aligned(rows: Sequence[Sequence[str]], right: Collection[int]) -> Iterator[str]:
    """Rows of cells as lines, every column flush left but for those on the right."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            blanks = " " * (width - cell_len(cell))
            cells.append(blanks + cell if column in right else cell + blanks)
        yield "  ".join(cells).rstrip()


def refuse_existing(path: Path, force: bool) -> None:
    """Raise `OutputError` where a file would be replaced without `--force`."""
    if os.path.isfile(path) and not force:
        raise OutputError("the file exists", hint="--force replaces it", place=Place(str(path)))


def form(options: "Options", by_suffix: Mapping[str, str]) -> str:
    """How a report is written: as `--format` says, else the suffix of `-o`; the first for stdout.

    Raises before anything is computed if the file exists or its suffix says nothing.
    """
    known = list(by_suffix.values())
    chosen, path = options.report_format(known), options.path
    if path is None:
        return chosen or known[0]
    refuse_existing(path, options.force)
    suffix = path.suffix.lower()
    if chosen is None and suffix not in by_suffix:
        from attncli.formats.files import unknown_suffix

        raise unknown_suffix(path, by_suffix)
    return chosen or by_suffix[suffix]


def put(text: str, options: "Options", what: str = "") -> None:
    """A report to stdout, or into the file of `-o`, and then a line on stderr that says so."""
    if options.path is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        _commit(lambda file: file.write(text.encode("utf-8")), options, what)


def _commit(write: Writer, options: "Options", what: str) -> None:
    from attncli.files.commit import commit

    assert options.path is not None
    commit(options.path, write, force=options.force)
    options.say(f"wrote {options.path}: {what}" if what else f"wrote {options.path}")
