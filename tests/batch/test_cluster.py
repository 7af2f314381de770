"""Jobs and long problems on a Dask cluster of real processes, some of which are killed."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli.batch import cluster as reached
from attncli.batch.cluster import Cluster as Reached
from attncli.batch.cluster import check_inputs, is_here, refuse_other_versions
from attncli.commands.boundary import run
from attncli.errors import BackendError, UsageError
from tests.batch.clusters import Cluster, kill, long_inputs, until_done
from tests.batch.jobs import batch, contents, finished, make_inputs, process, records, statuses

pytest.importorskip("distributed")

N_JOBS = 13
N_SLOW = 48
"""Jobs that take long enough to be interrupted."""
POISON = """\
import os
from attncli.batch import remote, work
remote.run_job = lambda job, *rest: os._exit(9) if "0005" in job.output else work.run(job, *rest)
"""


def slow_inputs(directory: Path) -> list[str]:
    directory.mkdir()
    names = []
    for index in range(N_SLOW):
        rng = np.random.default_rng(index)
        arrays = {name: rng.normal(size=(499, 7)) for name in ("query", "key", "value")}
        names.append(f"{directory.name}/{index:04}.npz")
        np.savez(directory / f"{index:04}.npz", **arrays)
    return names


def told(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what differs from run to run."""
    return {key: value for key, value in record.items() if key not in ("seconds", "output")}


def test_a_batch_has_the_bytes_and_the_records_of_a_local_run(cluster: Cluster, here: Path) -> None:
    make_inputs(here / "in", N_JOBS)
    np.savez(here / "in/0004.npz", query=np.ones((2, 3)), key=np.ones((5, 7)), value=np.ones(5))
    Path("jobs.yaml").write_text(
        'jobs:\n- {each: "in/*.npz", sweep: {similarity: [dot, euclidean]},'
        ' output: "OUT/{stem}-{similarity}.npz"}\n'
        '- {each: "in/000[0-2].npz", output: "OUT/{stem}.json"}\n'
    )
    for out in ("local", "there"):
        text = Path("jobs.yaml").read_text().replace("OUT", out)
        Path(f"{out}.yaml").write_text(text)
    assert batch("local.yaml", "--report", "local.jsonl") == 1
    assert batch("there.yaml", "--report", "there.jsonl", "--cluster", cluster.address) == 1
    assert contents(here / "there") == contents(here / "local")
    assert len(contents(here / "there")) == 2 * (N_JOBS - 1) + 3
    ours, theirs = (records(here / f"{name}.jsonl") for name in ("local", "there"))
    assert [one["status"] for one in theirs].count("failed") == 2
    for one, other in zip(ours, theirs, strict=True):
        one["error"] = one["error"] and one["error"].replace("local", "there")
        assert {**told(one), "parameters": 0} == {**told(other), "parameters": 0}


def test_what_is_done_is_skipped_here_and_there(
    cluster: Cluster, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    inputs = [f"in/{path.name}" for path in make_inputs(here / "in", N_JOBS)]
    command = (*inputs, "-o", "out/{stem}.npy")
    assert batch(*command) == 0
    expected = contents(here / "out")
    (here / "out/0003.npy").unlink()
    (here / "out/0005.npy").write_bytes(b"edited")
    assert batch(*command, "--cluster", str(cluster.file)) == 0
    assert "2 ok, 0 failed, 11 skipped" in capfd.readouterr().err
    assert contents(here / "out") == expected


def test_jobs_that_take_too_long_fail(cluster: Cluster, here: Path) -> None:
    make_inputs(here / "in", 3)
    options = ("--timeout", "1e-9", "--retries", "1", "--cluster", cluster.address)
    assert batch("in/0000.npz", "in/0002.npz", "-o", "out/{stem}.npy", *options) == 1
    report = records(here / "report.jsonl")
    assert [(one["status"], one["exit_code"]) for one in report] == [("failed", 6)] * 2
    assert "out/0002.npy takes longer than 1e-09 s" in report[1]["error"]
    assert contents(here / "out") == {}


def test_jobs_that_need_too_much_memory_fail(cluster: Cluster, here: Path) -> None:
    make_inputs(here / "in", 1)
    slow = slow_inputs(here / "slow")
    options = ("--max-memory", "100kB", "--cluster", cluster.address)
    assert batch("in/0000.npz", slow[7], "-o", "out/{stem}.npz", *options) == 1
    report = records(here / "report.jsonl")
    assert [(one["status"], one["exit_code"]) for one in report] == [("ok", 0), ("failed", 6)]
    assert "100 kB are allowed" in report[1]["error"]


def test_a_run_that_stops_at_the_first_failure_stops(cluster: Cluster, here: Path) -> None:
    names = slow_inputs(here / "in")
    np.savez(names[0], query=np.ones((2, 3)), key=np.ones((5, 7)), value=np.ones((5, 7)))
    options = ("--fail-fast", "--cluster", cluster.address)
    assert batch(*names, "-o", "out/{stem}.npz", *options) == 1
    counts = [statuses(here / "report.jsonl").count(one) for one in ("failed", "waiting")]
    assert counts[0] == 1
    assert counts[1] > 0


def test_what_would_replace_a_file_of_others_is_refused(cluster: Cluster, here: Path) -> None:
    make_inputs(here / "in", 1)
    (here / "out").mkdir()
    (here / "out/0000.npy").write_bytes(b"mine")
    command = ("in/0000.npz", "-o", "out/{stem}.npy", "--cluster", cluster.address)
    assert batch(*command) == 5
    assert contents(here / "out") == {"0000.npy": b"mine"}
    assert batch(*command, "--force") == 0


def test_outputs_larger_than_what_is_staged_come_back(cluster: Cluster, here: Path) -> None:
    rng = np.random.default_rng(5)
    query, key, value = (rng.normal(size=(601, 3)) for _ in range(3))
    np.savez("big.npz", query=query, key=key, value=value)
    for out, more in (("here", ()), ("there", ("--cluster", cluster.address))):
        assert batch("big.npz", "-o", out + "/{stem}.npz", "--report", f"{out}.jsonl", *more) == 0
    assert contents(here / "here") == contents(here / "there")
    assert (here / "there/big.npz").stat().st_size > 2 << 20


def test_a_second_run_on_a_report_is_refused(cluster: Cluster, here: Path) -> None:
    from attncli.batch.journal import Journal

    make_inputs(here / "in", 1)
    journal = Journal(here / "report.jsonl")
    code = batch("in/0000.npz", "-o", "out/{stem}.npy", "--cluster", cluster.address)
    journal.leave()
    assert code == 75


def test_a_worker_that_dies_loses_no_job(here: Path) -> None:
    command = (*slow_inputs(here / "in"), "-o", "out/{stem}.npz")
    assert batch(*command, "--report", "quiet.jsonl", "--force") == 0
    expected = contents(here / "out")
    for name in expected:
        (here / "out" / name).unlink()
    with Cluster(here / "own") as own:
        own.add_worker()
        own.add_worker()
        with process(*command, "--cluster", own.address) as running:
            until_done(here / "report.jsonl", 1)
            own.kill_worker()
            _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert f"{N_SLOW} ok, 0 failed, 0 skipped" in err
    assert contents(here / "out") == expected


def test_without_its_scheduler_a_run_ends_and_the_next_one_goes_on(
    cluster: Cluster, here: Path
) -> None:
    command = (*slow_inputs(here / "in"), "-o", "out/{stem}.npz")
    with Cluster(here / "own") as own:
        own.add_worker()
        with process(*command, "--cluster", own.address) as running:
            until_done(here / "report.jsonl", 1)
            kill(own.scheduler)
            _, err = running.communicate(timeout=60)
    assert running.returncode == 7, err
    assert "the connection to the scheduler is lost" in err
    assert "Traceback" not in err
    done = statuses(here / "report.jsonl").count("ok")
    assert 0 < done < N_SLOW
    again = finished(*command, "--cluster", cluster.address)
    assert again.returncode == 0, again.stderr
    assert f"{N_SLOW - done} ok, 0 failed, {done} skipped" in again.stderr
    there = contents(here / "out")
    assert batch(*command, "--report", "local.jsonl", "--force") == 0
    assert contents(here / "out") == there


def test_a_run_that_is_killed_is_finished_by_the_next_one(cluster: Cluster, here: Path) -> None:
    command = (*slow_inputs(here / "in"), "-o", "out/{stem}.npz", "--cluster", cluster.address)
    with process(*command) as running:
        until_done(here / "report.jsonl", 3)
        running.kill()
    again = finished(*command)
    assert again.returncode == 0, again.stderr
    there = contents(here / "out")
    assert len(there) == N_SLOW
    skipped = int(again.stderr.rpartition("failed, ")[2].split()[0])
    assert 3 <= skipped < N_SLOW
    assert batch(*command[:-2], "--report", "local.jsonl", "--force") == 0
    assert contents(here / "out") == there


def test_a_job_that_kills_its_workers_fails_alone(here: Path) -> None:
    make_inputs(here / "in", N_JOBS)
    (here / "poison.py").write_text(POISON)
    inputs = sorted(f"in/{name}" for name in os.listdir("in"))
    once = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with Cluster(here / "own", **once) as own:
        for _ in range(3):
            own.add_worker("--no-nanny", "--preload", str(here / "poison.py"))
        with Reached(own.address).client() as client:
            client.wait_for_workers(3, timeout=30)
        assert batch(*inputs, "-o", "out/{stem}.npy", "--cluster", own.address) == 1
    report = records(here / "report.jsonl")
    assert [one["job"] for one in report if one["status"] == "failed"] == [5]
    assert report[5]["exit_code"] == 7
    assert "every worker that tried it died" in report[5]["error"]


def test_workers_without_attncli_are_named(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_inputs(here / "in", 1)
    (here / "bare").mkdir()
    (here / "bare/attncli.py").write_text("raise ImportError('there is none')")
    with Cluster(here / "own") as own:
        own.add_worker("--no-nanny", "--name", "bare", PYTHONPATH=str(here / "bare"))
        code = batch("in/0000.npz", "-o", "out/{stem}.npy", "--cluster", own.address)
    assert code == 7
    err = capfd.readouterr().err
    assert "1 of 1 workers cannot do it: tcp://127.0.0.1:" in err
    assert "(no attncli)" in err
    assert not (here / "report.jsonl").exists()


def test_workers_of_another_version_are_named(
    cluster: Cluster,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    theirs = np.__version__
    monkeypatch.setattr(np, "__version__", "1.0")
    long_inputs(3, 5)
    command = ["attend", "q.npy", "k.npy", "v.npy", "--cluster", cluster.address]
    assert run(command) == 7
    assert f"(NumPy {theirs}, here 1.0)" in capfd.readouterr().err


def test_a_worker_that_comes_later_is_asked_too() -> None:
    refuse_other_versions(reached.versions())
    with pytest.raises(BackendError, match="a worker that came later has attncli"):
        refuse_other_versions({**reached.versions(), "attncli": "0.0"})


def test_inputs_that_workers_do_not_see_are_refused(cluster: Cluster, here: Path) -> None:
    Path("mine.npy").write_bytes(b"here alone")
    (cluster.directory / "other.npy").write_bytes(b"there")
    Path("other.npy").write_bytes(b"here!")
    with Reached(cluster.address).client() as client:
        with pytest.raises(BackendError, match=r"2 of 2 workers do not see mine.npy.*no such file"):
            check_inputs(client, ["mine.npy"])  # workers stand in another directory
        with pytest.raises(BackendError, match="another file"):
            check_inputs(client, ["other.npy"])


def certificates(directory: Path) -> list[str]:
    """Options for a new authority, and a certificate of it."""
    import trustme

    directory.mkdir()
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(str(directory / "cert.pem"))
    issued.private_key_pem.write_to_path(str(directory / "key.pem"))
    names = {"--tls-ca-file": "ca.pem", "--tls-cert": "cert.pem", "--tls-key": "key.pem"}
    return [word for flag, name in names.items() for word in (flag, str(directory / name))]


def test_tls_lets_in_who_has_a_certificate_and_nobody_else(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reached, "PATIENCE", 2.0)
    make_inputs(here / "in", 2)
    ours, theirs = certificates(here / "ours"), certificates(here / "theirs")
    command = ("in/0000.npz", "in/0001.npz", "-o", "out/{stem}.npy", "--cluster")
    with Cluster(here / "own", ours, "tls") as own:
        address = own.address
        assert address.startswith("tls://")
        own.add_worker()
        with Reached(address, False, *ours[1::2]).client() as client:
            client.wait_for_workers(1, timeout=30)
        plain = address.replace("tls", "tcp")
        for refused in ((plain,), (address,), (address, *theirs), (plain, *ours)):
            assert batch(*command, *refused) == 7, refused
            assert "there is no cluster to talk to at" in capfd.readouterr().err
        assert batch(*command, address, *ours) == 0
    assert len(contents(here / "out")) == 2


WRONG = {
    "tcp://203.0.113.7:8786": (2, "tcp is not encrypted"),
    "http://127.0.0.1:8787": (2, "expected tcp://HOST:PORT"),
    "no.json": (2, "there is no such file"),
    "q.npy": (3, "this is no scheduler file"),
}


@pytest.mark.parametrize("address", WRONG)
def test_addresses_that_are_none(
    address: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    long_inputs(3, 5)
    code, words = WRONG[address]
    assert run(["attend", "q.npy", "k.npy", "v.npy", "--cluster", address]) == code
    assert words in capfd.readouterr().err


def test_plain_tcp_leaves_this_machine_only_when_told_to() -> None:
    assert is_here("127.0.0.1")
    assert is_here("localhost")
    assert not is_here("203.0.113.7")
    far = "tcp://203.0.113.7:8786"
    assert Reached(far, insecure=True).scheduler() == far
    with pytest.raises(UsageError, match="a worker"):
        Reached("tcp://127.0.0.1:1").refuse_plain((far,), "a worker")


def test_without_dask_the_command_that_installs_it_is_told(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    long_inputs(3, 5)
    monkeypatch.setitem(sys.modules, "distributed", None)
    command = ["attend", "q.npy", "k.npy", "v.npy", "--cluster", "tcp://127.0.0.1:1"]
    assert run(command) == 3
    assert "pip install 'attncli[dask]'" in capfd.readouterr().err


def test_options_that_mean_nothing_without_a_cluster(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    long_inputs(3, 5)
    for option in (["--insecure"], ["--tls-cert", "c.pem"]):
        assert run(["attend", "q.npy", "k.npy", "v.npy", *option]) == 2
        assert f"{option[0]} without --cluster" in capfd.readouterr().err
    make_inputs(here / "in", 1)
    assert batch("in/0000.npz", "-o", "o/{stem}.npy", "--insecure") == 2
    assert batch("in/0000.npz", "-o", "o/{stem}.npy", "-j", "2", "--cluster", "tcp://[::1]:1") == 2
