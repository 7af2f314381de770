"""`--focus`: a selection of queries, keys, heads and batch entries."""

from typing import TYPE_CHECKING

from attncli.errors import UsageError

if TYPE_CHECKING:
    from attncli.core.problem import Problem


def focus(text: str, problem: "Problem") -> dict[str, int | slice]:
    """`it`, `q1`, `2` name a query; `head=1,query=0:8,key=it` says which axis.

    Positions count from 0. Raises `UsageError` for what is not there.
    """
    sizes = problem.sizes()
    names_a_query = "=" not in text or text in problem.presentation.labels.given("query")
    if "query" in sizes and names_a_query:
        one: dict[str, int | slice] = {}
        _choose("query", text, sizes, problem, one)
        return one
    chosen: dict[str, int | slice] = {}
    # The batch entry first: labels may differ from one to the next.
    for part in sorted(text.split(","), key=lambda part: not part.strip().startswith("batch")):
        axis, equals, place = (word.strip() for word in part.partition("="))
        if not equals or axis not in sizes:
            raise UsageError(
                f"--focus {text}",
                expected=("a query, or " if "query" in sizes else "")
                + ",".join(f"{axis}=PLACE" for axis in sizes),
                found=part.strip(),
                hint="a PLACE is a label, a position from 0, or a range such as 0:8",
            )
        if axis in chosen:
            raise UsageError(f"--focus {text}: {axis} stands there twice", expected="once")
        _choose(axis, place, sizes, problem, chosen)
    return chosen


def _choose(
    axis: str,
    text: str,
    sizes: dict[str, int],
    problem: "Problem",
    chosen: dict[str, int | slice],
) -> None:
    """Choose a place; a label that only one batch entry has chooses that entry, too."""
    labels = problem.presentation.labels
    batch = chosen.get("batch")
    if isinstance(batch, int):
        chosen[axis] = _place(axis, text, sizes, problem, batch)
        return
    entries = [entry for entry in range(sizes.get("batch", 1)) if text in labels.given(axis, entry)]
    if labels.differ(axis) and len(entries) == 1 and batch is None:
        chosen["batch"] = entries[0]
    chosen[axis] = _place(axis, text, sizes, problem, entries[0] if entries else 0)


def _place(
    axis: str, text: str, sizes: dict[str, int], problem: "Problem", batch: int
) -> int | slice:
    n, labels = sizes[axis], problem.presentation.labels
    first, colon, last = text.partition(":")
    if colon and text not in labels.given(axis, batch):
        low = labels.find(axis, first, n, batch) if first else 0
        high = n if not last else n if last == str(n) else labels.find(axis, last, n, batch)
        if low >= high:
            raise UsageError(f"--focus {axis}={text} is empty", expected=f"a range inside 0:{n}")
        return slice(low, high)
    return labels.find(axis, text, n, batch)
