"""A Dask cluster as seen from here: how to reach it, and whether its workers can do our work."""

import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attncli import __version__
from attncli.errors import BackendError, InputError, Place, UsageError
from attncli.files.positions import fingerprint

PATIENCE = 10.0
"""Seconds to wait for the scheduler, and for a first worker."""
MOST_NAMED = 3
"""Workers that an error names."""
INSTALL = "python -m pip install 'attncli[dask]'"
AGAIN = "the same command does what is left, here without --cluster"

Client = Any
"""`distributed.Client`, which is imported only where it is needed."""


@dataclass(frozen=True)
class Cluster:
    """What the command line says about a cluster."""

    address: str
    """`tcp://…`, `tls://…` or a scheduler file."""
    insecure: bool = False
    """Whether plain tcp may leave this machine."""
    ca_file: str | None = None
    cert: str | None = None
    key: str | None = None

    def scheduler(self) -> str:
        """The scheduler's address; raises `UsageError`."""
        address = self.address
        if "://" not in address:
            address = _in_file(address)
        scheme, host = urlsplit(address).scheme, urlsplit(address).hostname
        if scheme not in ("tcp", "tls") or not host:
            raise UsageError(
                f"--cluster {self.address}",
                expected="tcp://HOST:PORT, tls://HOST:PORT or a scheduler file",
                found=address,
            )
        self.refuse_plain((address,), "the scheduler")
        return address

    def refuse_plain(self, addresses: Iterable[str], what: str) -> None:
        """Raise `UsageError` where what is not encrypted would leave this machine."""
        for address in addresses:
            parts = urlsplit(address)
            if parts.scheme == "tls" or self.insecure or is_here(parts.hostname or ""):
                continue
            raise UsageError(
                f"{what} at {address} is on another machine, and tcp is not encrypted",
                expected="tls://, with --tls-ca-file, --tls-cert and --tls-key",
                found=address,
                hint="--insecure in a network where everybody may run code on the workers",
            )

    def security(self) -> Any:
        """Dask's `Security`: of the flags, or else of Dask's own configuration."""
        from distributed import Security

        flags = {"--tls-ca-file": self.ca_file, "--tls-cert": self.cert, "--tls-key": self.key}
        if not any(flags.values()):
            return Security()
        for flag, path in flags.items():
            if path is None:
                raise UsageError(f"{flag} is missing", expected=", ".join(flags))
            if not os.path.isfile(path):
                raise UsageError(f"{flag} {path}: there is no such file")
        return Security(
            tls_ca_file=self.ca_file,
            tls_client_cert=self.cert,
            tls_client_key=self.key,
            require_encryption=True,
        )

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A connection whose workers are known to have what they need.

        Raises `InputError` without the extra, `UsageError`, `BackendError`.
        """
        try:
            import dask.config
            import distributed
        except ImportError:
            raise InputError("--cluster needs Dask", hint=INSTALL) from None
        address, security = self.scheduler(), self.security()
        configured = {
            "distributed.comm.timeouts.connect": PATIENCE,
            "distributed.admin.large-graph-warning-threshold": "1TB",
        }
        with _silent_logs(), dask.config.set(configured):
            try:
                client = distributed.Client(
                    address, security=security, timeout=PATIENCE, set_as_default=False
                )
            except Exception as error:  # timeouts, refused connections, TLS, other protocols
                raise BackendError(
                    f"there is no cluster to talk to at {address}: {_why(error)}",
                    hint="dask scheduler starts one; tls:// needs its certificates",
                ) from error
            try:
                self._check(client)
                yield client
            finally:
                _close(client)

    def _check(self, client: Client) -> None:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise BackendError(
                "the cluster has no workers", hint=f"dask worker {self.address}"
            ) from None
        self.refuse_plain(client.nthreads(), "a worker")
        expected = versions()
        answers = asked(client, _probe())
        wrong = {
            worker: other for worker, found in answers.items() if (other := _other(found, expected))
        }
        if wrong:
            raise BackendError(
                f"{len(wrong)} of {len(client.nthreads())} workers cannot do it: {named(wrong)}",
                hint=f"python -m pip install attncli=={__version__}, on every worker's machine",
            )


def versions() -> dict[str, str]:
    """What must be the same everywhere, so that the bytes are."""
    import numpy as np

    python = ".".join(map(str, sys.version_info[:2]))
    return {"attncli": __version__, "Python": python, "NumPy": np.__version__}


def refuse_other_versions(expected: Mapping[str, str]) -> None:
    """Called on a worker, which may have come after the others were asked."""
    if other := _other(versions(), expected):
        raise BackendError(f"a worker that came later has {other}", hint="stop it, and run again")


def _other(found: Mapping[str, str], expected: Mapping[str, str]) -> str:
    """What a worker has that is not as here; empty where nothing is."""
    return "; ".join(
        f"{name} {has}, here {expected[name]}" if has else f"no {name}"
        for name, has in found.items()
        if has != expected[name]
    )


def _probe() -> Callable[[], dict[str, str]]:
    """A function that needs no attncli on the worker: being a local one, it is sent whole."""

    def probe() -> dict[str, str]:
        import importlib
        import sys

        found = {"attncli": "", "Python": ".".join(map(str, sys.version_info[:2])), "NumPy": ""}
        for name, module in (("attncli", "attncli"), ("NumPy", "numpy")):
            try:
                found[name] = importlib.import_module(module).__version__
            except ImportError:
                continue
        return found

    return probe


def asked(client: Client, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """What every worker answers; raises `BackendError` for those that cannot."""
    try:
        answers: dict[str, Any] = client.run(function, *arguments, on_error="return")
    except Exception as error:
        raise gone(error) from error
    failed = {worker: _why(it) for worker, it in answers.items() if isinstance(it, Exception)}
    if failed:
        raise BackendError(f"{len(failed)} of {len(answers)} workers fail: {named(failed)}")
    return answers


def check_inputs(client: Client, paths: Iterable[str]) -> None:
    """Raise `BackendError` unless all workers see these files as they are seen here."""
    here = {path: mark for path in paths if (mark := fingerprint(path)) is not None}
    for path, mark in here.items():
        there = asked(client, fingerprint, path)
        wrong = {
            worker: "another file" if it else "no such file"
            for worker, it in there.items()
            if it != mark
        }
        if wrong:
            raise BackendError(
                f"{len(wrong)} of {len(there)} workers do not see {path}: {named(wrong)}",
                hint="put inputs into a directory that all machines share, under the same path",
            )


def gone(error: object = None) -> BackendError:
    """The error of a cluster that was lost on the way."""
    why = f": {error}" if error else ""
    return BackendError(f"the connection to the scheduler is lost{why}", hint=AGAIN)


def named(workers: Mapping[str, str]) -> str:
    """The first of them, with what is wrong with each."""
    first = [f"{worker} ({why})" for worker, why in list(workers.items())[:MOST_NAMED]]
    return ", ".join(first + ["…"] * (len(workers) > MOST_NAMED))


def is_here(host: str) -> bool:
    """Whether a host is this machine: a loopback address, or one that can be listened on."""
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(map(_is_ours, found))


def _is_ours(address: str) -> bool:
    if ip_address(address.partition("%")[0]).is_loopback:
        return True
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _in_file(path: str) -> str:
    """The scheduler's address in a file that `dask scheduler --scheduler-file` wrote."""
    try:
        content = json.loads(Path(path).read_bytes())
        address = content["address"]
        if not isinstance(address, str):
            raise ValueError
    except OSError:
        raise UsageError(
            f"--cluster {path}: there is no such file",
            expected="tcp://HOST:PORT, tls://HOST:PORT or a scheduler file",
        ) from None
    except (ValueError, KeyError, TypeError):
        raise InputError(
            "this is no scheduler file",
            hint="dask scheduler --scheduler-file FILE writes one",
            place=Place(path),
        ) from None
    return address


def _why(error: BaseException) -> str:
    """The first line of an error, or its kind where it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


@contextmanager
def _silent_logs() -> Iterator[None]:
    """What Dask would log about lost connections, we say ourselves."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _close(client: Client) -> None:
    """Let go of a connection, even of a broken one."""
    try:
        client.close(timeout=1)
    except Exception:  # it is gone already
        return
