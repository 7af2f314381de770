"""Fuzzing that is guided by coverage, by libFuzzer and its options.

`python -m pip install atheris`, then `python -m tests.fuzz.guided KIND -max_total_time=240`. It
goes on until it finds an exception that is not attncli's own, and leaves what caused it in the
current directory.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["attncli"]):
    from attncli.errors import AttncliError
    from tests.fuzz.readers import KINDS, ROOT, quietly


def main() -> None:
    kind = sys.argv[1]
    suffix, reader, corpus = KINDS[kind]
    folder = Path(tempfile.mkdtemp(prefix="attncli-fuzz-"))
    seeds = folder / "seeds"
    seeds.mkdir()
    for number, content in enumerate(corpus()):
        (seeds / str(number)).write_bytes(content)
    for path in (ROOT / "samples").iterdir():
        if path.is_file() and path.suffix != ".yaml":
            shutil.copy(path, folder)
    found = os.getcwd()
    os.chdir(folder)
    damaged = folder / f"damaged{suffix}"

    def one(content: bytes) -> None:
        damaged.write_bytes(content)
        with contextlib.suppress(AttncliError):
            quietly(reader, Path(damaged.name))

    options = ["-max_len=8192", "-timeout=5", f"-artifact_prefix={found}/", str(seeds)]
    atheris.Setup([sys.argv[0], *sys.argv[2:], *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
