"""How many small changes of the product the tests notice.

    pip install cosmic-ray coverage psutil
    COVERAGE_FILE=/tmp/measured/data coverage run --rcfile=tests/mutation/coverage.ini \
        -m pytest -p tests.mutation.contexts --deselect tests/batch/test_kills.py \
        --deselect tests/fuzz/test_fuzz.py --deselect tests/faults/test_signals.py
    COVERAGE_FILE=/tmp/measured/data coverage combine /tmp/measured
    python -m tests.mutation --measured /tmp/measured --sample 1000 attncli/core attncli/files

(The kills count what a process writes, and would count what coverage writes, too; the other two
look at the clock, and coverage is slow.) Prints the share
of mutants that a test kills, with the survivors; `--results` keeps a line of JSON for each, and a
second run with the same file goes on where it stopped. A share of the mutants are none (`none`):
what "kills" those is a test that fails by itself.
"""

import argparse
import compileall
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.serve import NO_CODE

HOUSE = Path(__file__).parent.parent.parent
CONTROLS = 50
"""One in so many is no mutant."""


def main() -> None:
    """Read the command line, judge, and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("paths", nargs="+", type=Path, help="modules, or directories of them")
    parser.add_argument("--measured", type=Path, required=True, help="where coverage's data lies")
    parser.add_argument("--results", type=Path, help="where to keep a line for each mutant")
    parser.add_argument("--sample", type=int, help="how many mutants; all of them without it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--budget", type=float, default=15, help="seconds of tests for each mutant")
    parser.add_argument(
        "--also", nargs="*", default=[], help="tests written since then, which judge every mutant"
    )
    parser.add_argument("--again", action="store_true", help="judge the survivors once more")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        results = options.results or work / "results.jsonl"
        drawn = draw(options.paths, options.sample, options.seed)
        done = {key(record) for record in read(results) if not (options.again and survived(record))}
        left = [one for one in drawn if tuple(one[:3]) not in done]
        workers = [
            start(work / str(n), left[n :: options.jobs], results, options)
            for n in range(options.jobs)
        ]
        for n, worker in enumerate(workers):
            if worker.wait():
                print((work / str(n) / "worker.log").read_text()[-4000:])
        wanted = {tuple(one[:3]) for one in drawn}
        last = {key(record): record for record in read(results)}
        report([record for name, record in last.items() if name in wanted])


def draw(paths: list[Path], sample: int | None, seed: int) -> list[list[Any]]:
    """Mutants in random order, as what `Mutant` is made of behind the file's name."""
    files = [
        file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])
    ]
    everything = [
        [str(file.resolve().relative_to(HOUSE)), one.operator, one.occurrence, one.start, one.end]
        for file in files
        for one in mutants(file.read_text())
    ]
    drawn = random.Random(seed).sample(everything, min(sample or len(everything), len(everything)))
    controls = [
        [file, "none", n, *place] for n, (file, _, _, *place) in enumerate(drawn[::CONTROLS])
    ]
    return controls + drawn


def start(
    house: Path, part: list[list[Any]], results: Path, options: Any
) -> subprocess.Popen[bytes]:
    """A process that judges these in a copy of the house."""
    for name in ("attncli", "tests", "samples"):
        shutil.copytree(HOUSE / name, house / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in HOUSE.iterdir():
        if file.is_file() and file.name != ".git":
            shutil.copy2(file, house)
    compileall.compile_dir(house / "attncli", quiet=1)
    plan = {"mutants": part, "results": str(results.resolve()), "budget": options.budget}
    plan |= {"measured": str(options.measured.resolve()), "also": options.also}
    (house / "plan.json").write_text(json.dumps(plan))
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider"]
    command += ["-p", "tests.mutation.serve", "--mutants", "plan.json", "tests"]
    command += ["-o", "tmp_path_retention_policy=none"]
    environment = os.environ | {"PYTHONPATH": str(house), "PYTHONDONTWRITEBYTECODE": "1"}
    with (house / "worker.log").open("wb") as log:
        return subprocess.Popen(command, cwd=house, env=environment, stdout=log, stderr=log)


def read(results: Path) -> list[dict[str, Any]]:
    """What is judged so far."""
    return (
        [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    )


def key(record: dict[str, Any]) -> tuple[str, str, int]:
    """What names a mutant."""
    return record["file"], record["operator"], record["occurrence"]


def survived(record: dict[str, Any]) -> bool:
    """Whether a change was made that no test noticed."""
    return record["killer"] is None and record["operator"] != "none"


def report(records: list[dict[str, Any]]) -> None:
    """The survivors with their lines, and the shares."""
    controls = [record for record in records if record["operator"] == "none"]
    judged = [record for record in records if record["operator"] != "none"]
    judged = [record for record in judged if record["killer"] != NO_CODE]
    for record in sorted(filter(survived, judged), key=lambda one: (one["file"], one["line"])):
        print(described(record))
    for directory in sorted({str(Path(record["file"]).parent) for record in judged}):
        within = [record for record in judged if str(Path(record["file"]).parent) == directory]
        killed = sum(not survived(record) for record in within)
        print(f"{directory}: {killed} of {len(within)} killed ({killed / max(len(within), 1):.1%})")
    failed = sum(record["killer"] is not None for record in controls)
    print(f"controls without a change: {failed} of {len(controls)} failed")


def described(record: dict[str, Any]) -> str:
    """A survivor: where it is, and the line before and after."""
    sound = (HOUSE / record["file"]).read_text()
    mutant = Mutant(record["operator"], record["occurrence"], (record["line"], 0), (0, 0))
    before, after = sound.splitlines(), mutant.source(sound).splitlines()
    changed = [
        f"  - {old.strip()}\n  + {new.strip()}"
        for old, new in zip(before, after, strict=False)
        if old != new
    ]
    name = record["operator"].removeprefix("core/")
    where = f"{record['file']}:{record['line']} {name} ({record['tests']} tests)"
    return "\n".join([where, *changed[:2]])


if __name__ == "__main__":
    main()
