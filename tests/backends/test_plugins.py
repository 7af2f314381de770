"""A package from outside: found by its entry point, tested, and told apart from a broken one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attncli.backends import BACKENDS
from attncli.backends.probe import probe
from attncli.testing import BackendConformance

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = re.search(r"```python\n(# mine\.py.*?)```", (ROOT / "README.md").read_text(), re.S)


def installed(folder: Path, name: str, code: str, points: str) -> None:
    """Lay a package where pip would have put it."""
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[attncli.backends]\n{points}\n")


def attncli(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    command = [sys.executable, "-m", "attncli", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_plugin_of_the_readme_computes(tmp_path: Path) -> None:
    assert PLUGIN is not None
    assert len(PLUGIN[1].splitlines()) < 40
    installed(tmp_path, "mine", PLUGIN[1], "mine = mine:backend")
    tested = attncli(tmp_path, "backends", "test", "mine")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    sample = str(ROOT / "samples" / "causal.yaml")
    theirs = attncli(tmp_path, "attend", sample, "--backend", "mine")
    ours = attncli(tmp_path, "attend", sample)
    assert (theirs.returncode, theirs.stdout) == (0, ours.stdout)
    listed = attncli(tmp_path, "backends")
    assert re.search(r"^mine +ready", listed.stdout, re.M)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise RuntimeError('no driver')", "fails to load: RuntimeError: no driver"),
        ("def backend():\n    return object()", "speaks protocol None"),
    ],
)
def test_a_broken_package_is_an_error_that_names_it(code: str, words: str, tmp_path: Path) -> None:
    installed(tmp_path, "broken", code, "broken = broken:backend")
    sample = str(ROOT / "samples" / "causal.yaml")
    done = attncli(tmp_path, "attend", sample, "--backend", "broken")
    assert done.returncode == 7
    assert f"the backend broken of broken {words}" in done.stderr
    assert "not ready" in attncli(tmp_path, "backends").stdout


def test_a_name_that_two_packages_claim_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        installed(tmp_path, name, "", f"same = {name}:backend")
    done = attncli(tmp_path, "attend", str(ROOT / "samples" / "causal.yaml"), "--backend", "same")
    assert done.returncode == 7
    assert "two packages bring a backend 'same': one and two" in done.stderr


def test_a_package_cannot_take_the_place_of_one_of_ours(tmp_path: Path) -> None:
    installed(tmp_path, "evil", "raise SystemExit(3)", "numpy = evil:backend")
    sample = str(ROOT / "samples" / "causal.yaml")
    assert attncli(tmp_path, "attend", sample).returncode == 0
    done = attncli(tmp_path, "attend", sample, "--backend", "nosuch")
    assert done.returncode == 7
    assert f"expected {' or '.join(BACKENDS)}, found nosuch\n" in done.stderr


def test_whatever_becomes_of_a_backend_the_list_goes_on(tmp_path: Path) -> None:
    for name, code in {
        "crashes": "import os, sys; sys.stderr.write('\\nno card \\x1b[31m'); os._exit(3)",
        "silent": "import os; os._exit(4)",
        "foreign": "import os; os.write(2, b'K\\xfchler'); os._exit(5)",
        "lacks": (
            "from attncli.errors import BackendError\n"
            "def backend(): raise BackendError('there is no card', hint='buy one')"
        ),
    }.items():
        installed(tmp_path, name, code, f"{name} = {name}:backend")
    done = attncli(tmp_path, "backends")
    assert done.returncode == 0
    for line in (
        r"crashes +not ready +its process ended with 3: no card \\x1b\[31m",
        r"silent +not ready +its process ended with 4: no word of why",
        r"foreign +not ready +its process ended with 5: K�hler",
        r"lacks +not ready +there is no card\n.*\n +hint: buy one",
        r"numpy +ready +NumPy .*",
    ):
        assert re.search(f"^{line}$", done.stdout, re.M), done.stdout


def test_a_backend_that_does_not_answer_is_not_waited_for() -> None:
    said = probe("numpy", patience=0.001)
    assert (said.ready, said.says) == (False, "no answer within 0.001 s")


def test_a_backend_that_computes_wrongly_fails_the_suite(tmp_path: Path) -> None:
    code = """
from attncli.backends.numpy import Functions, NumpyBackend

class Wrong(Functions):
    def exp(self, x, out=None):
        import numpy as np
        return np.exp(x * 1.001, out=out)

class Backend(NumpyBackend):
    name, protocol, xp = "wrong", 1, Wrong()

backend = Backend
"""
    installed(tmp_path, "wrong", code, "wrong = wrong:backend")
    done = attncli(tmp_path, "backends", "test", "wrong")
    assert done.returncode == 1
    assert re.search(r"failed +oracle: attention, by steps: off by", done.stdout)


class TestNumpy(BackendConformance):
    backend = "numpy"
