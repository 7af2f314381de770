"""`bench`: what computes here, timed side by side."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from attncli.commands.options import DISPLAY, MACHINE, OUTPUT, Options, accepts
from attncli.commands.output import form, put
from attncli.commands.terminal import last_line, moves
from attncli.core.labels import whole
from attncli.errors import UsageError

if TYPE_CHECKING:
    from attncli.formats.display import Display
    from attncli.formats.timings import Bench

EPILOG = """\
[bold]Examples[/bold]

attncli bench

attncli bench --cases full,causal,window --n 1024,4096,16384 -o bench.svg

attncli bench --cases all --n 4096 --against torch --format markdown"""

MOST_N = 2**20


FORMATS = {".txt": "table", ".json": "json", ".md": "markdown", ".svg": "svg"}


@accepts(
    DISPLAY,
    OUTPUT,
    MACHINE,
    but=("steps", "focus", "digits", "verbose", "max_memory"),
    formats=FORMATS.values(),
)
def bench(
    cases: Annotated[
        str,
        typer.Option(
            "--cases",
            help="full, causal, window, alibi, softcap, gqa, cosine, additive, float64; or all",
            metavar="NAME,…",
        ),
    ] = "full,causal",
    n: Annotated[
        str, typer.Option("--n", help="how many queries and keys", metavar="N,…")
    ] = "1024,2048",
    heads: Annotated[int, typer.Option("--heads", help="query heads", metavar="N", min=1)] = 8,
    d: Annotated[int, typer.Option("--d", help="features of a head", metavar="N", min=1)] = 64,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            help="naive (NumPy), torch, or none (default: those that are installed)",
            metavar="NAME,…",
            show_default=False,
        ),
    ] = None,
    repeat: Annotated[int, typer.Option("--repeat", help="runs of each", metavar="N", min=1)] = 5,
    *,
    options: Options,
) -> None:
    """Time attention on this machine, beside naive NumPy and PyTorch."""
    from attncli.backends import find
    from attncli.bench.cases import Trial
    from attncli.bench.cases import chosen as chosen_cases
    from attncli.bench.measure import Settings, measured, peak, related
    from attncli.bench.peers import chosen as chosen_peers
    from attncli.core.shapes import count
    from attncli.core.tiled import TILE
    from attncli.formats.timings import Bench
    from attncli.machine import cores

    format, display = form(options, FORMATS), options.view()
    sizes = _sizes(n)
    threads = options.n_threads() or cores()
    backend = find(options.backend)
    peers = chosen_peers(against)
    # What is timed is the tiled engine, also where `attend` would keep all steps.
    tile = options.tiling()
    tile = getattr(backend, "tile", TILE) if tile == "auto" else tile
    settings = Settings(options.backend, threads, tile, repeat, peers)
    trials = [Trial(case, size, heads, d) for case in chosen_cases(cases) for size in sizes]
    shows = moves(sys.stderr) and not options.quiet
    say = last_line if shows else lambda what: None
    peaks = {dtype: peak(dtype, threads) for dtype in dict.fromkeys(t.case.dtype for t in trials)}
    try:
        rows = [measured(trial, settings, say) for trial in trials]
    finally:
        say("")
    related(rows, peaks)
    machine = {
        "threads": count(threads, "thread"),
        "heads": count(heads, "head"),
        "d": f"d {d}",
        "backend": backend.version(),
        "versions": _versions(peers),
    }
    report = _written(Bench(rows, peers, peaks, machine), format, display)
    put(report, options, f"{count(len(rows), 'measurement')} as {format}")


def _versions(peers: tuple[str, ...]) -> str:
    from importlib.metadata import version

    from attncli import __version__

    torch = [f"torch {version('torch')}"] if "torch" in peers else []
    return ", ".join([f"attncli {__version__}", *torch])


def _sizes(text: str) -> list[int]:
    sizes = []
    for part in text.split(","):
        word = part.strip()
        size = whole(word)
        if size is None or not 1 <= size <= MOST_N:
            raise UsageError(
                f"--n {text}", expected=f"numbers from 1 to {MOST_N}, such as 1024,4096", found=word
            )
        sizes.append(size)
    return list(dict.fromkeys(sizes))


def _written(bench: "Bench", format: str, display: "Display") -> str:
    from attncli.formats import timings

    if format == "table":
        return timings.table(bench, display)
    write = {"json": timings.as_json, "markdown": timings.markdown, "svg": timings.picture}
    return write[format](bench)
