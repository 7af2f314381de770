"""What every backend must do, as checks that `attncli backends test NAME` and pytest run.

A plugin's author writes, in the package's own tests:

    from attncli.testing import BackendConformance

    class TestMine(BackendConformance):
        backend = "mine"
"""

from attncli.testing.backend import CHECKS, BackendConformance, CheckError

__all__ = ["CHECKS", "BackendConformance", "CheckError"]
