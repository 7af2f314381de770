"""`batch`: many jobs, resumable."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
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
    from attncli.batch.cluster import Client
    from attncli.batch.jobs import Manifest
    from attncli.batch.run import Run
    from attncli.batch.settings import Settings

JOBS = "Jobs"
EPILOG = """\
[bold]Examples[/bold]

attncli new manifest -o jobs.yaml

attncli batch jobs.yaml

attncli batch data/*.npz -o 'out/{stem}-{temperature}.npz' --sweep temperature=0.5,1,2 --dry-run"""


@accepts(
    COMPUTATION,
    DISPLAY,
    OUTPUT,
    MACHINE,
    CLUSTER,
    but=("focus", "color", "width", "output", "verbose", "tile"),
)
def batch(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="MANIFEST|FILES",
            help="A manifest (YAML; - for JSON lines on stdin), or with -o the problem files.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None,
        option(
            "--output",
            "-o",
            help="makes a job of every file: its output, such as 'out/{stem}.npz'",
            panel=JOBS,
            metavar="TEMPLATE",
        ),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        option(
            "--sweep",
            help="a job for each value of a key, with -o (repeatable)",
            panel=JOBS,
            metavar="KEY=A,B",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        option(
            "-j",
            "--jobs",
            help="jobs side by side (default: one a processor, where they are not tiny)",
            panel=JOBS,
            metavar="N",
        ),
    ] = None,
    fail_fast: Annotated[
        bool, option("--fail-fast", help="stop at the first failure", panel=JOBS)
    ] = False,
    retries: Annotated[
        int,
        option(
            "--retries",
            help="try a failed job so many times more (default: 0)",
            panel=JOBS,
            metavar="N",
        ),
    ] = 0,
    timeout: Annotated[
        float | None,
        option("--timeout", help="give up a job that takes longer", panel=JOBS, metavar="SECONDS"),
    ] = None,
    report: Annotated[
        Path | None,
        option(
            "--report",
            help="what became of each job (default: report.jsonl beside the manifest)",
            panel=JOBS,
            metavar="FILE",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        option(
            "--dry-run",
            help="list the jobs, their sizes, memory and time, and do nothing",
            panel=JOBS,
        ),
    ] = False,
    *,
    options: Options,
) -> None:
    """Do many jobs: what is killed or fails is done by the same command again."""
    from attncli.batch.run import check_outputs

    manifest = _manifest(sources, output, sweep or [])
    settings = _settings(options, retries, timeout)
    check_outputs(manifest, settings)
    path = report or manifest.base / "report.jsonl"
    if dry_run:
        from attncli.commands.dry import listing
        from attncli.machine import cores

        listing(manifest, settings, path, _n_threads(jobs) or cores(), options)
        return
    with _cluster(jobs, options) as client:
        run = _run(manifest, settings, path, _n_threads(jobs), fail_fast, options, client)
    if run.counts.failed:
        raise typer.Exit(1)


def _manifest(sources: list[str], output: str | None, sweeps: list[str]) -> "Manifest":
    from attncli.batch.manifest import of_files, read_manifest

    if output is not None:
        if "-" in sources:
            raise UsageError("- and -o: standard input lists jobs, -o makes jobs of files")
        return of_files(sources, output, sweeps)
    if len(sources) > 1:
        raise UsageError(
            f"{len(sources)} files, and no -o",
            expected="one manifest, or -o 'out/{stem}.npz'",
            found=" ".join(sources[:4]),
        )
    if sweeps:
        raise UsageError("--sweep without -o", hint="in a manifest a job has sweep: {KEY: [A, B]}")
    return read_manifest(sources[0])


def _settings(options: Options, retries: int, timeout: float | None) -> "Settings":
    from attncli.batch.settings import Settings
    from attncli.formats import FORMATS
    from attncli.formats.chosen import names

    if retries < 0:
        raise UsageError(f"--retries {retries}", expected="0 or more", found=str(retries))
    if timeout is not None and not timeout > 0:
        raise UsageError(f"--timeout {timeout:g}", expected="more than 0", found=f"{timeout:g}")
    names(options.steps)
    return Settings(
        flags=options.overrides,
        steps=options.steps,
        format=options.report_format(FORMATS),
        digits=options.n_digits(),
        notation=options.notation,
        backend=options.backend,
        force=options.force,
        retries=retries,
        timeout=timeout,
    )


def _n_threads(jobs: int | None) -> int | None:
    if jobs is not None and jobs < 1:
        raise UsageError(f"-j {jobs}", expected="1 or more", found=str(jobs))
    return jobs


def _cluster(jobs: int | None, options: Options) -> "AbstractContextManager[Client | None]":
    """A connection to the cluster; None for this machine."""
    cluster = options.on_cluster()
    if cluster is None:
        return nullcontext()
    if jobs is not None:
        raise UsageError("-j with --cluster", hint="dask worker --nthreads N")
    return cluster.client()


def _run(
    manifest: "Manifest",
    settings: "Settings",
    path: Path,
    n_threads: int | None,
    fail_fast: bool,
    options: Options,
    client: "Client | None",
) -> "Run":
    from threadpoolctl import threadpool_limits

    from attncli import machine
    from attncli.batch.journal import Journal
    from attncli.batch.local import Threads
    from attncli.batch.run import Run
    from attncli.commands.progress import Progress

    limit = options.memory_limit()
    # Jobs side by side already fill the machine; and the bytes do not depend on -j.
    threads_of_blas = options.n_threads() or 1
    machine.allow(limit)
    run = Run(manifest, settings, Journal(path))
    try:
        run.prepare()
    except BaseException:
        run.journal.leave()
        raise
    progress = Progress.of(run, options.quiet)
    run.on_failure = progress.failed
    try:
        with threadpool_limits(threads_of_blas), progress:
            try:
                if client is None:
                    Threads(run, n_threads, machine.free_memory(), fail_fast).work(progress.tick)
                else:
                    from attncli.batch.remote import Workers

                    Workers(run, client, fail_fast, limit).work(progress.tick)
            finally:
                run.close()
    finally:
        progress.summary(path, sys.argv[1:])
    return run
