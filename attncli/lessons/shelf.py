"""The lessons that ship with attncli: `01-soft-addressing.yaml` is number 1, soft-addressing."""

from pathlib import Path

from attncli.core.labels import whole
from attncli.errors import UsageError
from attncli.files.scalars import did_you_mean
from attncli.lessons.lesson import Lesson, numbered, read_lesson

HOME = Path(__file__).resolve().parent


def paths() -> dict[str, Path]:
    """Every lesson by its slug, in order."""
    return {path.stem.partition("-")[2]: path for path in sorted(HOME.glob("[0-9][0-9]-*.yaml"))}


def number_of(path: Path) -> int:
    """1 of `01-soft-addressing.yaml`."""
    return int(path.stem.partition("-")[0])


def lessons() -> list[Lesson]:
    """Every lesson, in order."""
    return [numbered(read_lesson(str(path)), number_of(path), s) for s, path in paths().items()]


def find(name: str) -> Lesson:
    """The lesson of a number, a slug or a file; raises `UsageError` with the nearest."""
    known = paths()
    for slug, path in known.items():
        if name == slug or whole(name) == number_of(path):
            return numbered(read_lesson(str(path)), number_of(path), slug)
    if name == "-" or Path(name).suffix in (".yaml", ".yml", ".json") or "/" in name:
        return read_lesson(name)
    raise UsageError(
        f"there is no lesson {name!r}",
        expected=f"1 to {len(known)}, a name, or a file such as my-lesson.yaml",
        hint=did_you_mean(name, known) or "attncli learn lists them",
    )
