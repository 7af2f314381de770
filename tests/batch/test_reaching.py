"""A cluster as it is seen from here: addresses, certificates, what workers must have and see."""

import json
import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli import __version__
from attncli.batch import cluster as reached
from attncli.batch.cluster import (
    Cluster,
    asked,
    check_inputs,
    is_here,
    named,
    refuse_other_versions,
    versions,
)
from attncli.errors import BackendError, InputError, UsageError

dask_config = pytest.importorskip("dask.config")
distributed = pytest.importorskip("distributed")

HERE, FAR = "tcp://127.0.0.1:1", "tcp://203.0.113.7:8786"


class Reachable:
    """What `distributed.Client` is to us, with one worker."""

    workers = (HERE,)
    answer: Callable[..., Any] | None = None

    def __init__(self, address: str, **options: Any) -> None:
        self.address, self.options = address, options
        self.closed = False

    def wait_for_workers(self, n: int, timeout: float) -> None:
        assert n == 1, "more may come later"
        assert timeout > 0

    def nthreads(self) -> dict[str, int]:
        return dict.fromkeys(self.workers, 1)

    def run(self, function: Any, *arguments: Any, on_error: str) -> dict[str, Any]:
        answer = type(self).answer or function
        return {worker: answer(*arguments) for worker in self.workers}

    def close(self, timeout: float) -> None:
        self.closed = True
        raise OSError("it is gone already")


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> type[Reachable]:
    class Own(Reachable):
        pass

    monkeypatch.setattr(distributed, "Client", Own)
    return Own


def test_a_connection_is_ours_alone_silent_and_closed(reachable: type[Reachable]) -> None:
    logged = logging.root.manager.disable
    with Cluster(HERE).client() as client:
        assert isinstance(client, reachable)
        assert client.address == HERE
        assert client.options["set_as_default"] is False
        assert client.options["timeout"] == reached.PATIENCE
        assert dask_config.get("distributed.comm.timeouts.connect") == reached.PATIENCE
        assert not logging.getLogger("distributed").isEnabledFor(logging.CRITICAL)
        assert not client.closed
    assert client.closed
    assert logging.root.manager.disable == logged


def test_without_dask_nothing_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match="--cluster needs Dask"), Cluster(HERE).client():
        pass


@pytest.mark.parametrize(
    ("error", "why"),
    [(OSError("refused\nat great length"), "refused"), (TimeoutError(), "TimeoutError")],
)
def test_a_cluster_that_is_not_there(
    error: Exception, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(distributed, "Client", refuse)
    with pytest.raises(BackendError) as refused, Cluster(HERE).client():
        pass
    assert refused.value.what == f"there is no cluster to talk to at {HERE}: {why}"


def test_workers_that_cannot_do_it_are_named(reachable: type[Reachable]) -> None:
    reachable.answer = lambda: versions() | {"NumPy": "0.1", "attncli": ""}
    with pytest.raises(BackendError) as refused, Cluster(HERE).client():
        pass
    assert refused.value.lines() == [
        f"error: 1 of 1 workers cannot do it: {HERE} "
        f"(no attncli; NumPy 0.1, here {np.__version__})",
        f"hint: python -m pip install attncli=={__version__}, on every worker's machine",
    ]
    reachable.workers = (HERE, FAR)
    with pytest.raises(UsageError, match=f"a worker at {FAR} is on another machine"):
        Cluster(HERE)._check(reachable(HERE))


def test_what_a_worker_says_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reached._probe()() == versions()
    monkeypatch.setitem(sys.modules, "attncli", None)
    assert reached._probe()() == versions() | {"attncli": ""}


def test_a_worker_of_other_versions_is_told_apart() -> None:
    refuse_other_versions(versions())
    with pytest.raises(BackendError) as refused:
        refuse_other_versions(versions() | {"NumPy": "0.1"})
    assert ", here 0.1" in str(refused.value)


def test_workers_that_fail_when_asked_are_named() -> None:
    class Asked:
        def run(self, function: Any, *arguments: Any, on_error: str) -> dict[str, Any]:
            assert on_error == "return"
            if function is max:
                raise OSError("no route")
            return {f"tcp://w{n}": function(n) if n < 5 else ValueError("bad") for n in range(9)}

    client: Any = Asked()
    with pytest.raises(BackendError, match="4 of 9 workers fail: tcp://w5 "):
        asked(client, str)
    with pytest.raises(BackendError, match="is lost: no route"):
        asked(client, max)
    three = {f"w{n}": "why" for n in range(3)}
    assert named(three) == "w0 (why), w1 (why), w2 (why)"
    assert named(three | {"one more": "why"}) == named(three) + ", …"


def test_a_cluster_without_workers() -> None:
    class Empty:
        def wait_for_workers(self, n: int, timeout: float) -> None:
            raise TimeoutError

    client: Any = Empty()
    with pytest.raises(BackendError, match="the cluster has no workers"):
        Cluster("tcp://127.0.0.1:1")._check(client)


def test_inputs_are_the_same_everywhere_or_refused(here: Path) -> None:
    Path("a.npy").write_bytes(b"a")
    Path("b.npy").write_bytes(b"b")
    client: Any = Reachable(HERE)
    client.workers = ("w0", "w1", "w2")
    check_inputs(client, ["none.npy", "a.npy", "b.npy"])
    marks = {"a.npy": [reached.fingerprint("a.npy")] * 3, "b.npy": [None, "other", None]}
    marks["b.npy"][2] = reached.fingerprint("b.npy")
    client.run = lambda function, path, on_error: dict(
        zip(client.workers, marks[path], strict=True)
    )
    check_inputs(client, ["a.npy"])
    with pytest.raises(BackendError) as refused:
        check_inputs(client, ["none.npy", "a.npy", "b.npy"])
    assert refused.value.what == (
        "2 of 3 workers do not see b.npy: w0 (no such file), w1 (another file)"
    )


def test_this_machine_is_known_by_what_can_be_listened_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_here("127.0.0.1")
    assert is_here("0.0.0.0"), "any address of this machine"
    assert not is_here("203.0.113.7")
    found = ["127.0.0.1", "203.0.113.7"]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in found],
    )
    assert not is_here("a name of two machines")
    found.pop()
    assert is_here("a name of this one")
    found.pop()
    assert not is_here("a name of none")

    def unknown(*_: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert not is_here("a name that nobody knows")


def test_plain_words_leave_this_machine_only_when_told_to() -> None:
    Cluster(HERE).refuse_plain((HERE, "tls://203.0.113.7:1", HERE), "a worker")
    Cluster(HERE, insecure=True).refuse_plain((HERE, FAR), "a worker")
    with pytest.raises(UsageError, match=f"a worker at {FAR} is on another machine"):
        Cluster(HERE).refuse_plain((HERE, FAR), "a worker")
    for address in ("tcp://:8786", "http://127.0.0.1:8787"):
        with pytest.raises(UsageError, match=f"--cluster {address}"):
            Cluster(address).scheduler()


def test_a_scheduler_file_has_its_address(here: Path) -> None:
    Path("s.json").write_text(json.dumps({"address": HERE, "type": "Scheduler"}))
    assert Cluster("s.json").scheduler() == HERE
    Path("s.json").write_text(json.dumps({"address": FAR}))
    with pytest.raises(UsageError, match=f"the scheduler at {FAR}"):
        Cluster("s.json").scheduler()
    with pytest.raises(UsageError, match=r"--cluster none.json: there is no such file"):
        Cluster("none.json").scheduler()


@pytest.mark.parametrize("missing", ["--tls-ca-file", "--tls-cert", "--tls-key"])
def test_certificates_come_all_or_none(missing: str, here: Path) -> None:
    names = {flag: f"{flag}.pem" for flag in ("--tls-ca-file", "--tls-cert", "--tls-key")}
    for name in names.values():
        (here / name).touch()
    security = Cluster("tls://127.0.0.1:1", False, *names.values()).security()
    assert security.require_encryption, "never in plain, whatever the scheduler says"
    assert security.tls_ca_file == "--tls-ca-file.pem"
    lacking = Cluster("tls://127.0.0.1:1", False, *(names | {missing: None}).values())
    with pytest.raises(UsageError, match=f"{missing} is missing"):
        lacking.security()
    (here / names[missing]).unlink()
    with pytest.raises(UsageError, match=f"{missing}.pem: there is no such file"):
        Cluster("tls://127.0.0.1:1", False, *names.values()).security()


@pytest.mark.parametrize("content", ['{"address": 3}', "{}", "[1]", "{", "\xff"])
def test_what_is_no_scheduler_file(content: str, here: Path) -> None:
    Path("s.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match="no scheduler file"):
        Cluster("s.json").scheduler()
