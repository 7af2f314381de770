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
        return {"query": _place("query", text, sizes, problem)}
    chosen: dict[str, int | slice] = {}
    for part in text.split(","):
        axis, equals, place = (word.strip() for word in part.partition("="))
        if not equals or axis not in sizes:
            raise UsageError(
                f"--focus {text}",
                expected=("a query, or " if "query" in sizes else "")
                + ",".join(f"{axis}=PLACE" for axis in sizes),
                found=part.strip(),
                hint="a PLACE is a label, a position from 0, or a range such as 0:8",
            )
        chosen[axis] = _place(axis, place, sizes, problem)
    return chosen


def _place(axis: str, text: str, sizes: dict[str, int], problem: "Problem") -> int | slice:
    n, labels = sizes[axis], problem.presentation.labels
    first, colon, last = text.partition(":")
    if colon and text not in labels.given(axis):
        low = labels.find(axis, first, n) if first else 0
        high = n if not last else n if last == str(n) else labels.find(axis, last, n)
        if low >= high:
            raise UsageError(f"--focus {axis}={text} is empty", expected=f"a range inside 0:{n}")
        return slice(low, high)
    return labels.find(axis, text, n)
