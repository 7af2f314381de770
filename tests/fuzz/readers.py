"""What reads each kind of file, as the commands do, and good files of each kind."""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np

from attncli.batch.estimate import estimate
from attncli.batch.manifest import read_manifest
from attncli.files.problem import open_problem
from attncli.files.results import read_results
from attncli.files.tensors import load
from attncli.lessons.lesson import read_lesson
from attncli.solve import solve
from tests.fuzz import Reader

ROOT = Path(__file__).resolve().parent.parent.parent
MOST = 20_000_000
"""Bytes that a damaged problem may take to be computed."""


def problem(path: Path) -> None:
    opened = open_problem([str(path)], {})
    solve(opened, max_memory=MOST)


def manifest(path: Path) -> None:
    for job in read_manifest(str(path)).jobs[:8]:
        entries, base, name = job.entries({})
        estimate(entries, base, name)


def lesson(path: Path) -> None:
    read_lesson(str(path))


def tensor(path: Path) -> None:
    load(str(path), Path())


def archive(path: Path) -> None:
    open_problem([str(path)], {})


def results(path: Path) -> None:
    read_results(str(path))


def picture(path: Path) -> None:
    around = path.with_name("picture.yaml")
    if not around.exists():
        around.write_text(f"input: {path.name}\nsimilarity: euclidean\n", encoding="utf-8")
    solve(open_problem([str(around)], {}), max_memory=MOST)


def quietly(reader: Reader, path: Path) -> None:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        reader(path)


def small(*shape: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.arange(np.prod(shape), dtype="f4").reshape(shape) / 7


def npy() -> list[bytes]:
    made = []
    for dtype in ("f2", "f4", "f8", "i8", "b1", "u1", ">f8"):
        file = io.BytesIO()
        np.save(file, small(3, 5).astype(dtype))
        made.append(file.getvalue())
    return made


def npz() -> list[bytes]:
    made = []
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, query=small(2, 3), key=small(5, 3), value=small(5, 2))
        made.append(file.getvalue())
    return made


def safetensors() -> list[bytes]:
    from safetensors.numpy import save

    arrays = {"query": small(2, 3), "key": small(5, 3), "value": small(5, 2)}
    return [save(arrays), save({name: array.astype("f2") for name, array in arrays.items()})]


def tables() -> list[bytes]:
    return [
        b"1,2,3\n4,5,6\n",
        b"a,b\n1.5,-2e3\nnan,inf\n",
        b'"1","2"\r\n"3","4"\r\n',
        b"1;2\n3;4\n",
    ]


def images() -> list[bytes]:
    from PIL import Image

    made = []
    for mode, form in (("RGB", "PNG"), ("L", "PNG"), ("RGBA", "PNG"), ("RGB", "JPEG")):
        file = io.BytesIO()
        channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
        array = (small(5, 7, *channels) * 3).astype("u1")
        Image.fromarray(array, mode=None).save(file, form)
        made.append(file.getvalue())
    return made


def texts(*patterns: str) -> list[bytes]:
    return [path.read_bytes() for pattern in patterns for path in sorted(ROOT.glob(pattern))]


KINDS = {
    "problem": (".yaml", problem, lambda: texts("samples/*.yaml")),
    "manifest": (".yaml", manifest, lambda: texts("samples/batch/*.yaml")),
    "lesson": (".yaml", lesson, lambda: texts("attncli/lessons/*.yaml")),
    "npy": (".npy", tensor, npy),
    "npz": (".npz", archive, npz),
    "safetensors": (".safetensors", archive, safetensors),
    "csv": (".csv", tensor, tables),
    "results": (".yaml", results, lambda: [b"weights: [[0.5, 0.5]]\noutput:\n  - [1, 2]\n"]),
    "image": (".png", picture, images),
}
"""Kind → suffix, what reads it, good files."""
