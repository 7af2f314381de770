"""`attend`: the main job."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from attncli.commands.options import (
    CLUSTER,
    COMPUTATION,
    DISPLAY,
    MACHINE,
    OUTPUT,
    Options,
    accepts,
    option,
)
from attncli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from attncli.backends import Backend
    from attncli.core.problem import Problem
    from attncli.core.tiled import Into
    from attncli.solve import Tile, Trace

EPILOG = """\
[bold]Examples[/bold]

attncli attend problem.yaml --steps weights,output

attncli attend q.npy k.npy v.npy --causal --align bottom-right -o out.npz

attncli attend data.npz --similarity cosine --focus 3 --format json"""


@accepts(COMPUTATION, DISPLAY, OUTPUT, MACHINE, CLUSTER)
def attend(
    problem: Annotated[
        list[str],
        typer.Argument(
            metavar="PROBLEM",
            help="A problem file, an NPZ or safetensors with query, key and value, three files "
            "Q K V, or - for stdin.",
            show_default=False,
        ),
    ],
    simulate: Annotated[
        str | None,
        option(
            "--simulate",
            help="show the error that each step adds when it is rounded to float16, bfloat16 or "
            "float32, and where it overflows",
            panel=COMPUTATION,
            metavar="TYPE",
        ),
    ] = None,
    *,
    options: Options,
) -> None:
    """Compute a problem and show every step."""
    if simulate is not None:
        from attncli.commands.simulate import simulated

        simulated(problem, simulate, options)
        return
    from time import perf_counter

    from attncli.commands.output import Destination
    from attncli.commands.rows import rows_done
    from attncli.solve import solve

    destination = Destination.of(options)
    opened = options.problem(problem)
    display = options.display(opened)
    keep = destination.kept(display, opened)
    seconds = 0.0

    def compute(into: "Into | None") -> "Trace":
        nonlocal seconds
        started = perf_counter()
        with rows_done(quiet=options.quiet) as progress, _engine(options, opened, keep) as engine:
            made = solve(
                opened,
                backend=engine[0],
                threads=options.n_threads(),
                notation=options.notation,
                keep=keep,
                max_memory=options.memory_limit(),
                tile=engine[1],
                queries=display.rows(),
                progress=progress,
                into=into,
            )
        seconds = perf_counter() - started
        return made

    trace = destination.write(compute, opened, display)
    if options.verbose:
        options.say(f"computed in {seconds:.3g} s on {options.cluster or options.backend}")
    if not options.overrides:  # what is suggested is of the problem as it lies
        destination.suggest(trace, problem)


@contextmanager
def _engine(
    options: Options, problem: "Problem", keep: "Collection[str] | None"
) -> "Iterator[tuple[str | Backend, Tile]]":
    """What computes, and by which tiles."""
    cluster = options.on_cluster()
    if cluster is None:
        yield options.backend, options.tiling()
        return
    from attncli.batch.spread import Spread, tiled_by

    if options.backend != "numpy":
        raise UsageError(f"--backend {options.backend} with --cluster: workers have NumPy")
    attention, tile = tiled_by(problem, options.tiling(), keep)
    with cluster.client() as client:
        yield Spread(client, attention), tile
