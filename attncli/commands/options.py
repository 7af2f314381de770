"""The options that commands share: their flags, panels and help, defined once.

Flags of a problem's keys come from the schema. `@accepts(…)` gives a command the options of some
panels and hands it what was chosen.
"""

import inspect
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attncli.commands.terminal import colored, encodes_unicode, terminal_width
from attncli.core.labels import whole
from attncli.errors import UsageError
from attncli.files.schema import KEYS
from attncli.files.types import Boolean
from attncli.formats import FORMATS

if TYPE_CHECKING:
    from attncli.batch.cluster import Cluster
    from attncli.core.problem import Notation, Problem
    from attncli.files.types import Entry
    from attncli.formats.display import Display
    from attncli.solve import Tile

LONGEST_METAVAR = 20
"""Longer ones are spelled out in the help text instead."""

COMPUTATION, DISPLAY, OUTPUT, MACHINE = "Computation", "Display", "Output", "Machine"
CLUSTER = "Cluster"


def option(*names: str, help: str, panel: str | None = None, metavar: str = " ") -> Any:
    """What Typer shows of an option; one without a metavar is a switch."""
    return typer.Option(
        *names, help=help, metavar=metavar, rich_help_panel=panel, show_default=False
    )


@dataclass(frozen=True)
class Flag:
    """One option: its parameter's name, type, and what Typer shows of it."""

    name: str
    kind: Any
    panel: str
    names: tuple[str, ...]
    help: str
    metavar: str = " "
    default: Any = None

    def parameter(self) -> inspect.Parameter:
        shown = option(*self.names, help=self.help, panel=self.panel, metavar=self.metavar)
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=self.default,
            annotation=Annotated[self.kind, shown],
        )


def _key_flag(name: str) -> Flag:
    key, dashed = KEYS[name], name.replace("_", "-")
    text, metavar = key.help, key.type.metavar
    if len(metavar) > LONGEST_METAVAR:
        choices, metavar = metavar.partition("|'")[0], "NAME"
        text += ": " + choices.replace("|", ", ")
    text = text.replace("[", r"\[")
    if key.default:
        text += f" [dim](default: {key.default})[/dim]"
    if isinstance(key.type, Boolean):
        return Flag(name, bool | None, COMPUTATION, (f"--{dashed}/--no-{dashed}",), text)
    return Flag(name, str | None, COMPUTATION, (f"--{dashed}",), text, metavar)


FLAGS = (
    *(_key_flag(name) for name, key in KEYS.items() if key.flag),
    Flag(
        "settings",
        list[str] | None,
        COMPUTATION,
        ("--set",),
        "any other key, dotted inside a mapping: rope.base=500 (repeatable)",
        "KEY=VALUE",
    ),
    Flag("steps", str | None, DISPLAY, ("--steps",), "which steps to show", "all|none|NAME,…"),
    Flag(
        "focus",
        str | None,
        DISPLAY,
        ("--focus",),
        "show only this query, or head=1,query=0:8,key=it",
        "PLACE",
    ),
    Flag("digits", int | None, DISPLAY, ("--digits",), "decimals to show (default: 3)", "N"),
    Flag(
        "format",
        str | None,
        DISPLAY,
        ("--format",),
        "of the report: {formats} (default: by -o)",
        "NAME",
    ),
    Flag("color", str, DISPLAY, ("--color",), "shade the weights", "auto|always|never", "auto"),
    Flag("width", int | None, DISPLAY, ("--width",), "columns (default: the terminal's)", "N"),
    Flag("output", str | None, OUTPUT, ("--output", "-o"), "write here; - is stdout", "FILE"),
    Flag("force", bool, OUTPUT, ("--force", "-f"), "replace a file that exists", default=False),
    Flag(
        "quiet", bool, OUTPUT, ("--quiet", "-q"), "say nothing on stderr but errors", default=False
    ),
    Flag("verbose", bool, OUTPUT, ("--verbose", "-v"), "say the time on stderr", default=False),
    Flag("debug", bool, OUTPUT, ("--debug",), "show the traceback of an error", default=False),
    Flag(
        "backend", str, MACHINE, ("--backend",), "what computes (default: numpy)", "NAME", "numpy"
    ),
    Flag(
        "tile",
        str,
        MACHINE,
        ("--tile",),
        "compute by tiles of N queries and keys, or by steps; auto: by tiles where the steps are "
        "too large",
        "auto|none|N",
        "auto",
    ),
    Flag("threads", int | None, MACHINE, ("--threads",), "threads of the matrix products", "N"),
    Flag(
        "max_memory",
        str | None,
        MACHINE,
        ("--max-memory",),
        "refuse to take more, such as 500MB or 2GiB (default: what is free)",
        "SIZE",
    ),
    Flag(
        "cluster",
        str | None,
        CLUSTER,
        ("--cluster",),
        "compute on a Dask cluster: tcp://HOST:PORT, tls://HOST:PORT or a scheduler file",
        "ADDRESS|FILE",
    ),
    Flag(
        "insecure",
        bool,
        CLUSTER,
        ("--insecure",),
        "let plain tcp leave this machine",
        default=False,
    ),
    Flag("ca_file", str | None, CLUSTER, ("--tls-ca-file",), "who signs the cluster", "FILE"),
    Flag("cert", str | None, CLUSTER, ("--tls-cert",), "our certificate", "FILE"),
    Flag("key_file", str | None, CLUSTER, ("--tls-key",), "its private key", "FILE"),
)


BESIDE_CLUSTER = {
    flag.name: flag.names[0] for flag in FLAGS if flag.panel == CLUSTER and flag.name != "cluster"
}
"""What means nothing without `--cluster`."""


class Options:
    """What the command line chose."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def __getattr__(self, name: str) -> Any:
        """What a flag was given; `AttributeError` where the command has no such flag."""
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None

    @cached_property
    def overrides(self) -> "dict[str, Entry]":
        """The keys of the problem that flags and `--set` give."""
        from attncli.files.problem import flag, merge, setting

        entries: dict[str, Entry] = {}
        for key in KEYS:
            value = self.values.get(key)
            if value is not None and key != "notation":
                text = str(value).lower() if isinstance(value, bool) else value
                entries[key] = flag(key, text)
        for assignment in self.values.get("settings") or ():
            entries = merge(entries, setting(assignment))
        return entries

    @cached_property
    def notation(self) -> "Notation | None":
        """The notation to show; None: the problem's own."""
        from attncli.files.problem import flag

        text = self.values.get("notation")
        return None if text is None else flag("notation", text).value

    def problem(self, sources: Sequence[str], **more: Any) -> "Problem":
        """The problem of the files and flags; `more` are values of keys that win over both."""
        from attncli import machine
        from attncli.files.problem import open_problem
        from attncli.files.types import Entry

        machine.allow(self.memory_limit())
        entries = {key: Entry(value) for key, value in more.items()}
        if self.values.get("cluster") is None:
            return open_problem(sources, {**self.overrides, **entries})
        from attncli.files.urls import Remote

        return open_problem(sources, {**self.overrides, **entries}, Remote)

    @property
    def path(self) -> Path | None:
        """The file of `-o`; None: stdout."""
        output = self.values.get("output")
        return None if output in (None, "-") else Path(output)

    def report_format(self, known: Collection[str]) -> str | None:
        """`--format`; None: as the file's suffix says. Raises `UsageError` for an unknown one."""
        text: str | None = self.format
        if text is not None and text not in known:
            raise UsageError(f"--format {text}", expected=", ".join(known), found=text)
        return text

    def say(self, line: str) -> None:
        """One line on stderr, unless quiet."""
        if not self.quiet:
            from attncli.formats.display import plain

            print(plain(line), file=sys.stderr)

    def memory_limit(self) -> int | None:
        """`--max-memory` in bytes."""
        text = self.values.get("max_memory")
        return None if text is None else size(text, "--max-memory")

    def tiling(self) -> "Tile":
        """`--tile`."""
        if self.tile in ("auto", "none"):
            return self.tile  # type: ignore[no-any-return]
        number = whole(self.tile)
        if number is None or not 1 <= number <= 2**20:
            raise UsageError(
                f"--tile {self.tile}", expected="auto, none or a number from 1", found=self.tile
            )
        return number

    def n_threads(self) -> int | None:
        """`--threads`; None: as many as the machine has."""
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"--threads {self.threads}", expected="1 or more")
        threads: int | None = self.threads
        return threads

    def n_digits(self) -> int:
        """`--digits`: decimals of a number in a table."""
        return _ranged("--digits", self.values.get("digits"), 0, 17, 3)

    def on_cluster(self) -> "Cluster | None":
        """`--cluster` and what belongs to it; None: here."""
        if self.cluster is None:
            for name, flag in BESIDE_CLUSTER.items():
                if self.values[name]:
                    raise UsageError(f"{flag} without --cluster")
            return None
        from attncli.batch.cluster import Cluster

        if self.threads is not None:
            raise UsageError("--threads with --cluster", hint="dask worker --nthreads N")
        return Cluster(self.cluster, self.insecure, self.ca_file, self.cert, self.key_file)

    def display(self, problem: "Problem") -> "Display":
        """How to show the steps, on this terminal or in the file of `-o`."""
        from attncli.formats.chosen import known_steps, names

        focus = {}
        if (text := self.values.get("focus")) is not None:
            from attncli.commands.focus import focus as selection

            focus = selection(text, problem)
        chosen = known_steps(names(self.values.get("steps")), problem)
        return replace(self.view(), steps=chosen, focus=focus)

    def view(self) -> "Display":
        """How to show whatever it is, on this terminal or in the file of `-o`."""
        from attncli.formats.display import Display

        here = self.path is None
        return Display(
            digits=self.n_digits(),
            width=_ranged("--width", self.width, 20, 10_000, terminal_width() if here else 80),
            color=here and colored(self.color, sys.stdout),
            ascii=here and not encodes_unicode(sys.stdout.encoding),
        )


def accepts(
    *panels: str, but: Sequence[str] = (), formats: Collection[str] = FORMATS
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command, whose last parameter is `options`, the options of these panels.

    `but` names those that would mean nothing to it, `formats` what it writes reports in.
    """
    *most, last = formats
    listed = f"{', '.join(most)} or {last}"

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command).parameters.values())[:-1]
        flags = [
            replace(flag, help=flag.help.replace("{formats}", listed))
            for flag in FLAGS
            if flag.panel in panels and flag.name not in but
        ]

        @wraps(command)
        def with_options(**arguments: Any) -> None:
            mine = {parameter.name: arguments.pop(parameter.name) for parameter in own}
            command(**mine, options=Options(arguments))

        parameters = [
            *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own),
            *(flag.parameter() for flag in flags),
        ]
        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {item.name: item.annotation for item in parameters}
        return with_options

    return decorate


def _ranged(name: str, value: int | None, least: int, most: int, default: int) -> int:
    if value is None:
        return default
    if not least <= value <= most:
        raise UsageError(f"{name} {value}", expected=f"{least} to {most}", found=str(value))
    return value


UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12} | {
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}


def size(text: str, flag: str) -> int:
    """Bytes of `500MB`, `2GiB`, `1e9`."""
    lower = text.strip().lower().removesuffix("b")
    digits = lower.rstrip("kmgti")
    try:
        number = float(digits) * UNITS[lower[len(digits) :]]
        if not 0 <= number < 2**63:
            raise ValueError
    except (ValueError, KeyError):
        raise UsageError(
            f"{flag} {text}", expected="a size such as 500MB or 2GiB", found=text
        ) from None
    return int(number)


def parted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files of the problem (three tensors, or one file), and the words after them."""
    from attncli.files.convert import is_problem
    from attncli.files.tensors import NAMED, SUFFIXES

    first = words[0]
    is_tensor = first.lower().endswith((".npy", ".csv", ".tsv")) or NAMED.fullmatch(first)
    whole = is_problem(first) or not is_tensor or not first.lower().endswith(SUFFIXES)
    n = 1 if whole else 3
    return list(words[:n]), list(words[n:])
