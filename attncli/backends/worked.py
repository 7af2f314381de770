"""Worked arithmetic: arrays of numbers that know how they were made.

The core runs on them unchanged. Their numbers are NumPy's, from the very calls that compute; what
each array was made of stays beside them, so that the arithmetic of any cell can be told when
somebody asks for it, and costs nothing before. (An object array of scalars that remember would
cost an object for each product of each cell.)
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from attncli.backends.numpy import Functions
from attncli.backends.terms import OPERATIONS, Cell, Term, constant

Index = tuple[int, ...]
Tell = Callable[[Index], Term]
"""How the cell at an index was made."""


class Worked:
    """An array of the standard, as far as the core uses it, whose cells know how they were made.

    What is compared gives plain booleans: a recipe decides by numbers, not by how they came about.
    """

    __array_ufunc__ = None
    """NumPy's arrays leave mixed arithmetic to this class."""
    __slots__ = ("_known", "addends", "tell", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: Any, tell: Tell) -> None:
        self.value = np.asarray(value)
        self.tell = tell
        self.addends: tuple[Worked, ...] = ()
        """What was added up, where it is a sum."""
        self._known: dict[Index, Term] = {}

    def term(self, index: Index) -> Term:
        """How the cell was made; the same object whenever it is asked for."""
        if index not in self._known:
            self._known[index] = self.tell(index)
        return self._known[index]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def dtype(self) -> Any:
        return self.value.dtype

    @property
    def size(self) -> int:
        return self.value.size

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a worked array is not NumPy's: use the functions of its namespace")

    def __array_function__(self, *_: Any) -> Any:
        return NotImplemented

    def __getitem__(self, key: Any) -> "Worked":
        return _moved(lambda x: x[key], self)

    def __add__(self, other: Any) -> "Worked":
        # A loop that sums begins with 0, which is no term of the sum.
        return self if type(other) is int and other == 0 else _each("+", self, other)

    def __radd__(self, other: Any) -> "Worked":
        return self if type(other) is int and other == 0 else _each("+", other, self)

    def __sub__(self, other: Any) -> "Worked":
        return _each("-", self, other)

    def __rsub__(self, other: Any) -> "Worked":
        return _each("-", other, self)

    def __mul__(self, other: Any) -> "Worked":
        return _each("*", self, other)

    def __rmul__(self, other: Any) -> "Worked":
        return _each("*", other, self)

    def __truediv__(self, other: Any) -> "Worked":
        return _each("/", self, other)

    def __rtruediv__(self, other: Any) -> "Worked":
        return _each("/", other, self)

    def __pow__(self, other: Any) -> "Worked":
        return _each("**", self, other)

    def __neg__(self) -> "Worked":
        return _each("negative", self)

    def __eq__(self, other: Any) -> Any:
        return self.value == plain(other)

    def __ne__(self, other: Any) -> Any:
        return self.value != plain(other)

    def __lt__(self, other: Any) -> Any:
        return self.value < plain(other)

    def __le__(self, other: Any) -> Any:
        return self.value <= plain(other)

    def __gt__(self, other: Any) -> Any:
        return self.value > plain(other)

    def __ge__(self, other: Any) -> Any:
        return self.value >= plain(other)


def given(value: Any, name: str | None = None) -> Worked:
    """An array of the problem; with `name`, the cells of an earlier step."""
    array = np.asarray(value)

    def tell(index: Index) -> Term:
        cell: Cell | None = None if name is None else (name, index)
        return Term("given", float(array[index]), cell=cell)

    return Worked(array, tell)


def plain(x: Any) -> Any:
    """The numbers alone."""
    return x.value if isinstance(x, Worked) else x


def _lifted(x: Any) -> Worked:
    """A number or array of the recipe itself."""
    if isinstance(x, Worked):
        return x
    array = np.asarray(x)
    return Worked(array, lambda index: constant(float(array[index])))


def _at(array: Worked, index: Index) -> Term:
    """The cell that broadcasting puts at an index of the result."""
    own = index[len(index) - array.ndim :]
    return array.term(tuple(i if n > 1 else 0 for i, n in zip(own, array.shape, strict=True)))


UFUNCS: dict[str, Any] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": np.power,
    "negative": np.negative,
    "max": np.maximum,
    "erf": Functions().erf,
} | {name: getattr(np, name) for name in ("exp", "log", "sqrt", "tanh", "abs")}


def _each(op: str, *arrays: Any) -> Worked:
    """An operation, cell by cell, with broadcasting."""
    parts = tuple(_lifted(array) for array in arrays)
    # The numbers as they came: a Python number must not widen the result.
    value = np.asarray(UFUNCS[op](*map(plain, arrays)))
    if op == "+":
        # What a loop adds up is one sum. As sums of sums, each in the next, hundreds of features
        # would nest deeper than Python calls.
        parts = (*(parts[0].addends or parts[:1]), *parts[1:])

    def tell(index: Index) -> Term:
        return Term(op, float(value[index]), tuple(_at(part, index) for part in parts))

    made = Worked(value, tell)
    made.addends = parts if op == "+" else ()
    return made


def _moved(move: Callable[..., Any], *arrays: Any, pack: bool = False) -> Worked:
    """What only moves, repeats or chooses cells; `pack`: `move` takes the arrays as one list.

    Which cell came from where is found by moving the cells' numbers in the same way.
    """
    parts = [_lifted(array) for array in arrays]

    def moved(values: Sequence[Any]) -> Any:
        return move(list(values)) if pack else move(*values)

    sources: list[Any] = []

    def tell(index: Index) -> Term:
        if not sources:
            starts = np.cumsum([0, *(part.size for part in parts)])
            numbers = [
                np.arange(part.size).reshape(part.shape) + start
                for part, start in zip(parts, starts, strict=False)
            ]
            sources.extend((starts, moved(numbers)))
        starts, at = sources
        number = int(at[index])
        which = int(np.searchsorted(starts, number, side="right")) - 1
        part = parts[which]
        place = np.unravel_index(number - int(starts[which]), part.shape)
        return part.term(tuple(map(int, place)))

    return Worked(moved([part.value for part in parts]), tell)


def _reduced(op: str, x: Worked, f: Callable[..., Any], axis: int, keepdims: bool) -> Worked:
    """All cells along an axis in one."""
    value = f(x.value, axis=axis, keepdims=keepdims)
    axis %= x.ndim

    def tell(index: Index) -> Term:
        rest = index[axis + keepdims :]
        row = range(x.shape[axis])
        of = tuple(x.term((*index[:axis], k, *rest)) for k in row)
        return Term(op, float(value[index]), of)

    return Worked(value, tell)


class WorkedFunctions(Functions):
    """The namespace: NumPy's, with worked arrays where something must be remembered."""

    KEPT: ClassVar[frozenset[str]] = frozenset(
        {
            "reshape",
            "moveaxis",
            "matrix_transpose",
            "permute_dims",
            "broadcast_to",
            "repeat",
            "flip",
        }
    )
    """Functions that move the cells of one array."""

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        if name in self.KEPT:

            def moves(x: Any, *rest: Any, **more: Any) -> Any:
                if not isinstance(x, Worked):
                    return function(x, *rest, **more)
                return _moved(lambda cells: function(cells, *rest, **more), x)

            return moves
        if name in OPERATIONS:

            def each(x: Any) -> Any:
                return _each(name, x) if isinstance(x, Worked) else function(x)

            return each
        if name in ("isfinite", "zeros_like", "ones_like", "argmax", "all", "any", "min"):
            return lambda x, *rest, **more: function(plain(x), *rest, **more)
        return function

    def erf(self, x: Any) -> Any:
        return _each("erf", x) if isinstance(x, Worked) else super().erf(x)

    def full_like(self, x: Any, fill: float) -> Any:
        return np.full_like(plain(x), fill)

    def asarray(self, x: Any, **more: Any) -> Any:
        return x if isinstance(x, Worked) else np.asarray(x, **more)

    def astype(self, x: Any, dtype: Any, **_: Any) -> Any:
        if isinstance(x, Worked):
            return Worked(x.value.astype(dtype), x.term)
        return np.asarray(x).astype(dtype)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        if not (isinstance(a, Worked) or isinstance(b, Worked)):
            return np.where(condition, a, b)
        return _moved(lambda x, y: np.where(condition, x, y), a, b)

    def maximum(self, a: Any, b: Any) -> Any:
        worked = isinstance(a, Worked) or isinstance(b, Worked)
        return _each("max", a, b) if worked else np.maximum(a, b)

    def concat(self, arrays: Sequence[Any], axis: int = 0) -> Any:
        return self._joined(np.concatenate, arrays, axis)

    def stack(self, arrays: Sequence[Any], axis: int = 0) -> Any:
        return self._joined(np.stack, arrays, axis)

    def _joined(self, join: Any, arrays: Sequence[Any], axis: int) -> Any:
        if not any(isinstance(array, Worked) for array in arrays):
            return join(arrays, axis=axis)
        return _moved(lambda parts: join(parts, axis=axis), *arrays, pack=True)

    def take(self, x: Any, places: Any, axis: int | None = None) -> Any:
        if not isinstance(x, Worked):
            return np.take(x, places, axis=axis)
        return _moved(lambda cells: np.take(cells, places, axis=axis), x)

    def sort(self, x: Any, axis: int = -1) -> Any:
        if not isinstance(x, Worked):
            return np.sort(x, axis=axis)
        order = np.argsort(x.value, axis=axis, kind="stable")
        return _moved(lambda cells: np.take_along_axis(cells, order, axis=axis), x)

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        if not isinstance(x, Worked):
            return np.sum(x, axis=axis, keepdims=keepdims)
        return _reduced("+", x, np.sum, axis, keepdims)

    def mean(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        if not isinstance(x, Worked):
            return np.mean(x, axis=axis, keepdims=keepdims)
        return _reduced("mean", x, np.mean, axis, keepdims)

    def max(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        if not isinstance(x, Worked) or axis is None:
            return np.max(plain(x), axis=axis, keepdims=keepdims)
        return _reduced("max", x, np.max, axis, keepdims)

    def cumulative_sum(self, x: Any, axis: int = -1) -> Any:
        if not isinstance(x, Worked):
            return np.cumsum(x, axis=axis)
        value = np.cumsum(x.value, axis=axis)
        axis %= x.ndim

        def tell(index: Index) -> Term:
            parts = range(index[axis] + 1)
            of = tuple(x.term((*index[:axis], k, *index[axis + 1 :])) for k in parts)
            return Term("+", float(value[index]), of)

        return Worked(value, tell)

    def matmul(self, a: Any, b: Any) -> Any:
        """`(… n d)` by `(… d m)`: each cell a sum of d products."""
        if not (isinstance(a, Worked) or isinstance(b, Worked)):
            return np.matmul(a, b)
        left, right = _lifted(a), _lifted(b)
        value = np.matmul(left.value, right.value)

        def tell(index: Index) -> Term:
            *lead, i, j = index
            of = tuple(
                Term("*", first.value * second.value, (first, second))
                for k in range(left.shape[-1])
                for first, second in [
                    (_at(left, (*lead, i, k)[-left.ndim :]), _at(right, (*lead, k, j)))
                ]
            )
            return of[0] if len(of) == 1 else Term("+", float(value[index]), of)

        return Worked(value, tell)


class WorkedBackend:
    """Where `attncli explain` computes: NumPy's numbers, with their history."""

    xp = WorkedFunctions()

    def upload(self, array: Any) -> Any:
        """Numbers become worked; booleans and places stay as they are."""
        return given(array) if np.asarray(array).dtype.kind == "f" else np.asarray(array)

    def download(self, array: Any) -> Any:
        return np.asarray(plain(array))
