"""A process of its own: computes a trial once, prints the bytes it took beside its inputs."""

import json
import sys
from pathlib import Path

from attncli.bench.cases import CASES, Trial
from attncli.bench.measure import Settings, ours
from attncli.bench.peers import peer

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget() -> int:
    """The size of this process now, in bytes; from here on, `most` looks for its largest.

    Linux keeps the largest size over the start of another program, so that `getrusage` would tell
    that of the parent: there it is set back.
    """
    if CLEAR.exists():
        CLEAR.write_text("5", encoding="ascii")
        return _status("VmRSS")
    return most()


def most() -> int:
    """The largest size since `forget`, in bytes."""
    if STATUS.exists():
        return _status("VmHWM")
    import resource

    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


def _status(name: str) -> int:
    lines = STATUS.read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(name)))


def main(text: str) -> int:
    """What the run of a trial adds to the largest size before it."""
    asked = json.loads(text)
    trial = Trial(CASES[asked["case"]], asked["n"], asked["n_heads"], asked["d"])
    settings = Settings(asked["backend"], asked["threads"], asked["tile"], 1, ())
    small = Trial(trial.case, 64, asked["n_heads"], asked["d"])
    name = asked["peer"]
    made = [
        ours(one, settings) if not name else peer(name, one, settings.threads)
        for one in (small, trial)
    ]
    made[0]()  # libraries take their own memory when they are first used
    before = forget()
    made[1]()
    return most() - before


if __name__ == "__main__":
    print(main(sys.argv[1]))
