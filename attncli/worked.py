"""A problem worked by hand: its steps, and for any of their cells the arithmetic behind it."""

from attncli.backends.numpy import NumpyBackend
from attncli.backends.terms import Cell, OnPaper, Term, numbers_of
from attncli.backends.worked import Worked, WorkedBackend, given, plain
from attncli.core.moving import moved
from attncli.core.problem import Problem
from attncli.core.step import Array, Step, run
from attncli.solve import refuse_oversize


class Working:
    """The steps of a problem with their arithmetic.

    The recipe runs once, on arrays that remember. After each step its cells are plain numbers
    again, so that the arithmetic of a step begins with the cells of the steps before it. Indices
    are over all axes of a step, in rows notation. Raises `LimitError` where the steps need more
    memory than is free.
    """

    def __init__(self, problem: Problem, max_memory: int | None = None) -> None:
        machine = NumpyBackend()
        allowed = machine.memory() if max_memory is None else max_memory
        refuse_oversize(3 * problem.memory(None), allowed)
        self.problem = problem
        self.steps: dict[str, Step] = {}
        self._on_paper = OnPaper()
        worked = WorkedBackend()
        with machine.session():
            for _ in run(moved(problem, worked.upload).steps(worked.xp), self._remember):
                pass

    def _remember(self, step: Step) -> Array:
        self.steps[step.name] = step
        return given(plain(step.value), step.name)

    def value(self, step: str, index: tuple[int, ...]) -> float:
        """The number in a cell."""
        return float(plain(self.steps[step].value)[index])

    def term(self, step: str, index: tuple[int, ...]) -> Term:
        """How a cell was made from the cells of earlier steps and the problem's own numbers."""
        array = self.steps[step].value
        if not isinstance(array, Worked):
            return Term("given", float(array[index]))
        with NumpyBackend().session():
            return self._on_paper(array.term(index))

    def sources(self, step: str, index: tuple[int, ...]) -> tuple[Cell, ...]:
        """The cells of earlier steps that a cell was made of, each once, in their order."""
        cells = (number.cell for number in numbers_of(self.term(step, index)))
        return tuple(dict.fromkeys(cell for cell in cells if cell is not None))

    def line(self, step: str, index: tuple[int, ...], digits: int = 3) -> str:
        """The arithmetic of a cell in a line, `1·2 + 0·3 + 1·1 = 3`; '' for a given number."""
        from attncli.formats.arithmetic import Arithmetic

        notation = self.problem.presentation.notation
        return Arithmetic.of(self, step, index, digits, notation=notation).line()
