"""`--focus`: a selection of queries, keys, heads and batch entries."""

from typing import TYPE_CHECKING

from attncli.errors import UsageError

if TYPE_CHECKING:
    from attncli.core.attention import Attention

AXES = ("batch", "head", "query", "key")


def focus(text: str, problem: "Attention") -> dict[str, int | slice]:
    """`it`, `q1`, `2` name a query; `head=1,query=0:8,key=it` says which axis.

    Positions count from 0. Raises `UsageError` for what is not there.
    """
    sizes = _sizes(problem)
    if text in problem.presentation.labels.given("query") or "=" not in text:
        return {"query": _place("query", text, sizes, problem)}
    chosen: dict[str, int | slice] = {}
    for part in text.split(","):
        axis, equals, place = (word.strip() for word in part.partition("="))
        if not equals or axis not in sizes:
            raise UsageError(
                f"--focus {text}",
                expected="a query, or " + ",".join(f"{axis}=PLACE" for axis in sizes),
                found=part.strip(),
                hint="a PLACE is a label, a position from 0, or a range such as 0:8",
            )
        chosen[axis] = _place(axis, place, sizes, problem)
    return chosen


def _sizes(problem: "Attention") -> dict[str, int]:
    lead = problem.leading
    sizes = {"query": problem.n_queries, "key": problem.n_keys}
    if problem.head_axis:
        sizes["head"] = lead[-1]
        lead = lead[:-1]
    if len(lead) == 1:
        sizes["batch"] = lead[0]
    else:
        sizes |= {f"batch{number + 1}": n for number, n in enumerate(lead)}
    return sizes


def _place(axis: str, text: str, sizes: dict[str, int], problem: "Attention") -> int | slice:
    n, labels = sizes[axis], problem.presentation.labels
    first, colon, last = text.partition(":")
    if colon and text not in labels.given(axis):
        low = labels.find(axis, first, n) if first else 0
        high = n if not last else n if last == str(n) else labels.find(axis, last, n)
        if low >= high:
            raise UsageError(f"--focus {axis}={text} is empty", expected=f"a range inside 0:{n}")
        return slice(low, high)
    return labels.find(axis, text, n)
