"""The samples: problems that run as they lie, beside the package or inside the wheel."""

import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from attncli.errors import InputError, OutputError, Place, UsageError
from attncli.files.commit import commit
from attncli.files.scalars import did_you_mean

PACKAGE = Path(__file__).resolve().parent.parent
HOMES = (PACKAGE / "samples", PACKAGE.parent / "samples")
"""In a wheel, and in a checkout."""

LESSON = PACKAGE / "lessons" / "my-lesson.yaml"
"""The lesson that teachers start from."""

DATA = re.compile(r"[\w-]+\.(?:npz|npy|safetensors|csv|tsv|png)")


@dataclass(frozen=True)
class Sample:
    """A problem file, and the data files that it names."""

    path: Path
    text: str

    @property
    def about(self) -> str:
        """The first line of its comment."""
        return self.text.partition("\n")[0].lstrip("# ").strip()

    @property
    def command(self) -> str:
        """What runs it."""
        if self.path == LESSON:
            return "learn"
        return "batch" if self.path.parent.name == "batch" else "attend"

    @property
    def data(self) -> list[Path]:
        names = dict.fromkeys(DATA.findall(self.text))
        return [self.path.parent / name for name in names if (self.path.parent / name).is_file()]

    def copy(self, path: Path, *, force: bool) -> list[Path]:
        """Write the problem to `path` and its data files beside it; all or, if one exists, none."""
        files = {path: self.text.encode("utf-8")}
        files |= {path.parent / data.name: data.read_bytes() for data in self.data}
        for target in files:
            if os.path.exists(target) and not force:
                raise OutputError(
                    "the file exists", hint="--force replaces it", place=Place(str(target))
                )
        for target, content in files.items():
            commit(target, partial(_write, content), force=force)
        return list(files)


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def names() -> dict[str, Path]:
    """Every sample by its name, in the order of the alphabet."""
    for home in HOMES:
        if home.is_dir():
            files = (*sorted(home.glob("*.yaml")), *sorted(home.glob("batch/*.yaml")))
            return {path.stem: path for path in files}
    raise InputError("the samples are missing from this installation", hint="install attncli again")


def listing() -> dict[str, str]:
    """Name and first line of every sample."""
    return {name: sample(name).about for name in names()}


def sample(name: str) -> Sample:
    """The sample of this name; raises `UsageError` with the nearest one."""
    known = names()
    if name not in known:
        raise UsageError(
            f"there is no sample {name!r}",
            hint=did_you_mean(name, known) or "attncli new lists them",
        )
    return Sample(known[name], known[name].read_text(encoding="utf-8"))


def lesson() -> Sample:
    """The start of a lesson."""
    return Sample(LESSON, LESSON.read_text(encoding="utf-8"))
