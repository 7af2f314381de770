"""Whether a backend can compute, asked in a process of its own.

A driver that hangs or a library that crashes then ends its own process; and that an import succeeds
proves nothing: each backend multiplies two small tables.
"""

import json
import subprocess
import sys
from dataclasses import dataclass

PATIENCE = 60.0
"""Seconds; importing PyTorch from a slow disk takes half of it."""


@dataclass(frozen=True)
class Answer:
    """`ready` with a version and free memory, or why not and what to do."""

    ready: bool
    says: str
    hint: str = ""
    memory: int = 0


def probe(name: str, patience: float = PATIENCE) -> Answer:
    """Ask a backend in a fresh process."""
    command = [sys.executable, "-m", "attncli.backends.probe", name]
    # What a driver writes is in whatever encoding it likes.
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=patience, encoding="utf-8", errors="replace"
        )
    except subprocess.TimeoutExpired:
        return Answer(False, f"no answer within {patience:g} s", "is its driver hanging?")
    try:
        return Answer(**json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError, TypeError):
        last = (done.stderr.strip().splitlines() or ["no word of why"])[-1]
        return Answer(False, f"its process ended with {done.returncode}: {last}")


def answer(name: str) -> Answer:
    """What a backend says of itself, after a product of two tables."""
    import numpy as np

    from attncli.backends import find
    from attncli.errors import BackendError

    try:
        backend = find(name)
        table = np.arange(6.0, dtype=np.float32).reshape(2, 3)
        with backend.session(1):
            product = backend.xp.matmul(backend.upload(table), backend.upload(table.T))
            if not np.array_equal(backend.download(product), table @ table.T):
                return Answer(False, "it multiplies two small tables wrongly")
        return Answer(True, backend.version(), memory=backend.memory())
    except BackendError as error:
        return Answer(False, error.what, error.hint)
    except Exception as error:  # a driver too old, a device that is gone: whatever it says
        return Answer(False, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    from dataclasses import asdict

    print(json.dumps(asdict(answer(sys.argv[1]))))
