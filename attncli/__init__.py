"""attncli, a command-line attention calculator that shows every step.

    from attncli import attend, load

    trace = attend("problem.yaml")
    trace["weights"], trace.output

    attend(query=q, key=k, value=v, causal=True)

Everything is loaded when it is first used, so that `attncli --help` stays quick.
"""

from importlib import import_module

__version__ = "0.1.0"

TYPE_CHECKING = False  # as type checkers know it: importing typing takes a tenth of --version
if TYPE_CHECKING:
    from typing import Any

    from attncli.api import attend, load
    from attncli.core.problem import Problem
    from attncli.solve import Trace

__all__ = ["Problem", "Trace", "__version__", "attend", "load"]

_HOMES = {
    "attend": "attncli.api",
    "load": "attncli.api",
    "Problem": "attncli.core.problem",
    "Trace": "attncli.solve",
}


def __getattr__(name: str) -> "Any":
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'attncli' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
