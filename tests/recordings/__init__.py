"""The README's pictures: real runs, recorded by `python -m tests.recordings`."""

import io
import os
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

from attncli.commands.boundary import run
from attncli.formats.svg import recorded

HERE = Path(__file__).parent
SAMPLES = HERE.parent.parent / "samples"
WIDTH = 80
RECORDINGS = {
    "attend": ["attend self-attention.yaml"],
    "explain": ["explain self-attention.yaml b1"],
    "image": ["attend image.yaml --focus r1c8 --steps weights"],
    "verify": [
        "attend causal.yaml --scale none -o theirs.npy -q",
        "verify causal.yaml theirs.npy",
    ],
}
"""Name of the picture → the commands; the last one is shown."""


def record(name: str) -> str:
    """The SVG of a recording, made in a folder with the samples."""
    *before, shown = RECORDINGS[name]
    with TemporaryDirectory() as folder, chdir(folder):
        for sample in SAMPLES.iterdir():
            if sample.is_file():
                os.symlink(sample, sample.name)
        for command in before:
            run(command.split())
        written = io.BytesIO()
        out = io.TextIOWrapper(written, encoding="utf-8", write_through=True)
        with redirect_stdout(out), redirect_stderr(io.StringIO()):
            run([*shown.split(), "--color", "always", "--width", str(WIDTH)])
    text = written.getvalue().decode("utf-8")
    prompt = f"\x1b[2m$\x1b[0m \x1b[1mattncli {shown}\x1b[0m\n\n"
    return recorded(prompt + text.rstrip() + "\n", WIDTH, "attncli")
