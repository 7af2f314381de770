"""Make the page of benchmarks again: every command in turn, with what it printed on this machine.

    python -m pip install . torch && python -m tests.benchmarks

writes README.md beside this file (some ten minutes on two cores). `--only NAME …` runs those whose
command holds one of the words, and prints them instead.
"""

import argparse
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PAGE = Path(__file__).parent / "README.md"
SECTIONS = {
    "Start-up": ["python tests/benchmarks/startup.py"],
    "Reading tables": ["python tests/benchmarks/yaml_reader.py"],
    "Attention": [
        "attncli bench --cases all --n 1024 --against naive,torch --format markdown",
        "attncli bench --cases full,causal,alibi,float64 --n 4096 --against torch "
        "--format markdown",
        "attncli bench --cases full,window --n 16384 --heads 1 --against none --format markdown",
        "attncli bench --cases full --n 4096 --against torch --backend torch --format markdown",
    ],
    "The Transformer": ["python tests/benchmarks/encoder.py"],
    "Many jobs": ["python tests/benchmarks/batch.py 5000"],
    "A cluster on one machine": ["python tests/benchmarks/cluster.py 8192 32768"],
}
"""What is measured, under its headings. A script says in its docstring what it compares."""


def page() -> Iterator[str]:
    """The lines of the page; each command runs when its lines are asked for."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("attncli", "numpy", "torch"))
    yield "# Benchmarks\n"
    yield "Made by `python -m tests.benchmarks`, which runs the commands below in turn."
    yield "Times differ between machines and runs; what counts is ratios, taken in one run each.\n"
    yield f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.machine()}, "
    yield f"{len(os.sched_getaffinity(0))} shared cores, Python {platform.python_version()},"
    yield f"{libraries}.\n"
    for title, commands in SECTIONS.items():
        yield f"## {title}\n"
        for command in commands:
            yield from measured(command)


def measured(command: str) -> Iterator[str]:
    """A command as a user types it, and what it prints; Markdown stays Markdown."""
    yield f"`{command}`\n"
    words = shlex.split(command)
    words[:1] = [sys.executable] if words[0] == "python" else [sys.executable, "-m", words[0]]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    text = done.stdout.strip()
    yield text + "\n" if "markdown" in words else f"```\n{text}\n```\n"


def main() -> None:
    """Write the page, or print a part of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="parts of commands")
    only = parser.parse_args().only
    if only is None:
        PAGE.write_text("\n".join(page()), encoding="utf-8")
        return
    for command in (command for commands in SECTIONS.values() for command in commands):
        if any(word in command for word in only):
            print("\n".join(measured(command)), flush=True)


if __name__ == "__main__":
    main()
