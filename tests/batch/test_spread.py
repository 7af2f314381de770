"""One long attention on a Dask cluster: the bytes of one machine, whoever computes them or dies."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from attncli.batch.cluster import Cluster as Reached
from attncli.batch.spread import Spread
from attncli.commands.boundary import run
from attncli.core.attention import Attention
from attncli.errors import BackendError
from attncli.files.problem import open_problem
from attncli.solve import solve
from tests.batch.clusters import Cluster, kill, long_inputs

pytest.importorskip("distributed")


def attended(here: Path, name: str, *arguments: str) -> bytes:
    """The bytes of an output."""
    assert run(["attend", "q.npy", "k.npy", "v.npy", "-q", "-o", name, *arguments]) == 0
    return (here / name).read_bytes()


LONG = {
    "queries": (2300, 2503, (), ("--tile", "64")),
    "causal": (2503, 2503, (), ("--tile", "64", "--causal", "--set", "bias.alibi=true")),
    "heads": (
        211,
        1009,
        (2, 3),
        (
            "--tile",
            "32",
        ),
    ),
    "sigmoid": (37, 2503, (), ("--tile", "64", "--normalizer", "sigmoid")),
    "cosine": (2300, 2503, (), ("--tile", "64", "--similarity", "cosine")),
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_attention_has_the_bytes_of_this_machine(
    name: str, cluster: Cluster, here: Path
) -> None:
    n_queries, n_keys, leading, options = LONG[name]
    long_inputs(n_queries, n_keys, *leading)
    there = attended(here, "there.npy", *options, "--cluster", cluster.address)
    assert there == attended(here, "here.npy", *options, "--threads", "1")


@pytest.mark.parametrize("n_queries", [61, 2503], ids=["keys split", "queries split"])
def test_rows_come_from_urls(n_queries: int, cluster: Cluster, here: Path) -> None:
    long_inputs(n_queries, 2503, 3)
    options = ("-q", "--tile", "16", "--cluster", cluster.address)
    urls = [f"file://{here}/{name}.npy" for name in "qkv"]
    assert run(["attend", *urls, "-o", "urls.npy", *options]) == 0
    assert Path("urls.npy").read_bytes() == attended(here, "paths.npy", *options)


LOST = {
    "similarity": (("--similarity", "cosine"), 7, "is only read by rows"),
    "steps": (("--steps", "key,output", "--format", "json"), 7, "is only read by rows"),
    "projected": (("--set", "zero_key=true", "--steps", "output"), 7, "is only read by rows"),
    "dtype": (("--dtype", "float64"), 2, "is not converted"),
    "mask": (("--mask", "file:///m.npy"), 2, "cannot stay where it is"),
    "none": (("--set", "key=file:///none.npy"), 2, "cannot be read"),
}


@pytest.mark.parametrize("name", LOST)
def test_what_lies_under_a_url_is_never_taken_for_zeros(
    name: str, cluster: Cluster, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    long_inputs(61, 503)
    options, code, words = LOST[name]
    urls = [f"file://{here}/{name}.npy" for name in "qkv"]
    assert run(["attend", *urls, "--cluster", cluster.address, *options]) == code
    captured = capfd.readouterr()
    assert words in captured.err
    assert not captured.out


def test_nan_under_a_url_is_refused(
    cluster: Cluster, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    long_inputs(61, 503)
    key = np.load("k.npy")
    key[499, 3] = np.nan
    np.save("k.npy", key)
    urls = [f"file://{here}/{name}.npy" for name in "qkv"]
    options = ("--steps", "output", "--cluster", cluster.address)
    assert run(["attend", *urls, *options]) == 4
    assert "k.npy holds NaN or infinity" in capfd.readouterr().err


SPANS = {
    "plain": (),
    "window": ("--window", "[900, 100]", "--align", "bottom-right"),
    "uniform": ("--window", "[3, 0]", "--align", "top-left", "--set", "masked_row=uniform"),
    "sink": ("--set", "sink=0.5", "--temperature", "2"),
}


@pytest.mark.parametrize("name", SPANS)
def test_few_queries_have_their_keys_split(name: str, cluster: Cluster, here: Path) -> None:
    long_inputs(61, 4099)
    options = ("--tile", "32", *SPANS[name])
    if name == "uniform":
        options += ("--key-lengths", "0")
    attended(here, "there.npy", *options, "--cluster", cluster.address)
    attended(here, "here.npy", *options)
    np.testing.assert_allclose(np.load("there.npy"), np.load("here.npy"), rtol=2e-5, atol=2e-6)


def test_without_its_scheduler_a_computation_ends(here: Path) -> None:
    long_inputs(2300, 6007)
    problem = open_problem(("q.npy", "k.npy", "v.npy"), {})
    assert isinstance(problem, Attention)
    with Cluster(here / "own") as own:
        own.add_worker()
        with Reached(own.address).client() as client:
            engine = Spread(client, problem)
            with pytest.raises(BackendError, match="the connection to the scheduler is lost"):
                solve(
                    problem,
                    backend=engine,
                    tile=16,
                    keep=(),
                    progress=lambda done, total: kill(own.scheduler),
                )


@pytest.mark.parametrize("n_queries", [61, 2300], ids=["keys split", "queries split"])
def test_bytes_do_not_depend_on_workers_nor_on_their_death(n_queries: int, here: Path) -> None:
    long_inputs(n_queries, 6007)
    problem = open_problem(("q.npy", "k.npy", "v.npy"), {})
    assert isinstance(problem, Attention)

    def computed(progress: Callable[[int, int], None] | None = None) -> bytes:
        with Reached(own.address).client() as client:
            trace = solve(
                problem, backend=Spread(client, problem), tile=16, keep=(), progress=progress
            )
        return bytes(np.asarray(trace.output).tobytes())

    killed: list[int] = []

    def kill_one(done: int, total: int) -> None:
        if not killed:
            killed.append(total - done)
            own.kill_worker()

    with Cluster(here / "own") as own:
        own.add_worker()
        alone = computed()
        own.add_worker()
        with Reached(own.address).client() as client:
            client.wait_for_workers(2, timeout=30)
        assert computed() == alone
        assert computed(kill_one) == alone
        assert killed[0] > 0


UNFIT = {
    "--threads": (("--threads", "2"), 2),
    "--tile none": (("--tile", "none"), 2),
    "--backend": (("--backend", "torch"), 2),
    "steps": (("--steps", "weights"), 7),
    "--simulate": (("--simulate", "float16"), 2),
    "half of TLS": (("--tls-key", "q.npy"), 2),
}


@pytest.mark.parametrize("name", UNFIT)
def test_options_that_mean_nothing_on_a_cluster(name: str, cluster: Cluster, here: Path) -> None:
    long_inputs(3, 5)
    options, code = UNFIT[name]
    command = ["attend", "q.npy", "k.npy", "v.npy", "--cluster", cluster.address]
    assert run([*command, *options]) == code


def test_what_has_no_tiles_is_left_to_batch(
    cluster: Cluster, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("p.json").write_text(json.dumps({"query": [[1, 0]], "key": [[1, 0], [0, 1]]}))
    assert run(["attend", "p.json", "--cluster", cluster.address]) == 7
    assert "attncli batch --cluster" in capfd.readouterr().err
