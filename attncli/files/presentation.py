"""Title, labels and notation of a problem: what is shown, and changes no number."""

from typing import TYPE_CHECKING

from attncli.core.attention import Attention
from attncli.core.labels import Labels, Names
from attncli.core.problem import Presentation
from attncli.core.shapes import count
from attncli.errors import InputError
from attncli.files.vectors import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attncli.core.picture import Picture


def presentation(
    source: Source, bare: Attention, name: str, pictures: "Mapping[str, Picture]"
) -> Presentation:
    """How a problem with these vectors is shown; `name` is the file as the user named it."""
    names: dict[str, Names] = {**source.table_names(), **_given(source)}
    for axis, made in pictures.items():
        names.setdefault(axis, made.names())
    for axis, n in (("query", bare.n_queries), ("key", bare.n_keys)):
        if axis in names:
            names[axis] = _all(axis, names[axis], n, bare)
    if "feature" in names:
        _check_features(names["feature"], bare)
    origins = made_of(source)
    return Presentation(
        title=source.get("title") or _title(origins, bare.n_queries, pictures),
        source=name,
        notation=source.get("notation", "rows"),
        layout=source.get("layout", "heads-first"),
        labels=Labels(names.get("query", ()), names.get("key", ()), names.get("feature", ())),
        made_of=origins,
        pictures=pictures,
    )


def _given(source: Source) -> dict[str, Names]:
    """The labels of the problem by axis; a flat list names the input's vectors."""
    given = source.get("labels", {})
    if isinstance(given, dict):
        if "class" in given:
            raise InputError(
                "labels.class names what the head of a kind: encoder makes; this is an attention",
                hint="labels: {query: […], key: […], feature: […]}",
                subject="labels",
            )
        return {key: entry.value for key, entry in given.items()}
    if "input" not in source.entries:
        raise InputError(
            "labels is a list, and there is no input whose vectors it could name",
            hint="labels: {query: […], key: […]}",
            subject="labels",
        )
    return {"query": given} if "source" in source.entries else {"query": given, "key": given}


def made_of(source: Source) -> dict[str, str]:
    """Which of `input` and `source` stands for query, key and value; empty where neither does."""
    if "input" not in source.entries:
        return {}
    keys = "source" if "source" in source.entries else "input"
    return {"query": "input", "key": keys, "value": keys}


COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _title(made_of: dict[str, str], n: int, pictures: "Mapping[str, Picture]") -> str:
    """What to call a problem without a title."""
    if "query" in pictures and made_of["key"] == "input":
        return f"Self-attention of {pictures['query'].facts()}"
    if not made_of:
        return ""
    if made_of["key"] == "source":
        return "Cross-attention"
    return f"Self-attention of {spelled(n, 'vector')}"


def spelled(n: int, noun: str) -> str:
    """`one vector`, `two vectors`, `11 vectors`."""
    return f"{COUNTS[n] if n < len(COUNTS) else n} {noun}" + "s" * (n != 1)


def _all(axis: str, names: Names, n: int, bare: Attention) -> Names:
    """Labels for all places: those of the cache and of the zero key are added where they lack."""
    if names and not isinstance(names[0], str):
        return tuple(_one(axis, labels, n, bare) for labels in names)
    return _one(axis, names, n, bare)  # type: ignore[arg-type]


def _one(axis: str, labels: tuple[str, ...], n: int, bare: Attention) -> tuple[str, ...]:
    full = labels
    if axis == "key" and len(full) == bare.n_new_keys:
        full = tuple(f"past{place}" for place in range(bare.n_past)) + full
    if axis == "key" and bare.zero_key and len(full) == n - 1:
        full = (*full, "zero")
    if len(full) != n:
        raise InputError(
            f"labels.{axis} has {count(len(labels), 'label')}, for {count(n, 'vector')}",
            expected=f"one a vector, {n}",
            found=str(len(labels)),
            subject="labels",
        )
    return full


def _check_features(names: Names, bare: Attention) -> None:
    given = [key for key in ("query", "key", "value") if getattr(bare, key) is not None]
    widths = sorted({bare.shape(key)[-1] for key in given})
    if len(names) not in widths:
        raise InputError(
            f"labels.feature has {len(names)} labels",
            expected="one a feature: " + " or ".join(map(str, widths)),
            found=str(len(names)),
            subject="labels",
        )
