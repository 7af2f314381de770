"""Which tests are to judge a mutant, and in which order: by what they ran, and how long it took."""

import ast
import json
import re
from collections import defaultdict
from itertools import chain, zip_longest
from pathlib import Path

import coverage

from tests.mutation.mutants import Mutant


class Choice:
    """What a measured run of the tests left in a directory (`tests.mutation.contexts`)."""

    def __init__(self, directory: Path) -> None:
        measured = json.loads((directory / "tests.json").read_text())
        house = Path(measured["house"])
        self.durations: dict[str, float] = measured["durations"]
        data = coverage.CoverageData(str(directory / "data"))
        data.read()
        self._by_line: dict[str, dict[int, list[str]]] = {
            str(Path(name).relative_to(house)): data.contexts_by_lineno(name)
            for name in data.measured_files()
            if Path(name).is_relative_to(house)
        }

    def tests(self, file: str, source: str, mutant: Mutant, budget: float) -> list[str]:
        """Tests that ran the changed line, quick ones of each kind first, for `budget` seconds.

        What runs at import (a constant, a default, a decorator) is judged by the tests that ran
        what stands around it or, for a constant, the lines with its name.
        """
        by_line = self._by_line.get(file, {})
        found: set[str] = set()
        for lines in _around(source, mutant.start[0], mutant.end[0]):
            found = {test for line in lines for test in by_line.get(line, [])} & set(self.durations)
            if found:
                break
        groups: dict[str, list[str]] = defaultdict(list)
        for test in sorted(found, key=lambda test: (self.durations[test], test)):
            groups[re.split(r"[\[]", test)[0]].append(test)
        shortest_first = sorted(groups.values(), key=lambda group: self.durations[group[0]])
        chosen, spent = [], 0.0
        for test in filter(None, chain.from_iterable(zip_longest(*shortest_first))):
            spent += self.durations[test]
            if chosen and spent > budget:
                break
            chosen.append(test)
        return chosen


def _around(source: str, first: int, last: int) -> list[set[int]]:
    """The changed lines; what they belong to; lines with the name that they give; all lines."""
    lines = source.splitlines()
    wider = [set(range(first, last + 1))]
    inner: list[tuple[int, int]] = []
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            start = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            if start <= first <= (node.end_lineno or 0):
                inner.append((start, node.end_lineno or 0))
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.lineno <= first <= (
            node.end_lineno or 0
        ):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [target.id for target in targets if isinstance(target, ast.Name)]
    wider += [
        set(range(start, end + 1)) for start, end in sorted(inner, key=lambda one: one[1] - one[0])
    ]
    for name in names:
        word = re.compile(rf"\b{name}\b")
        wider.append({n for n, line in enumerate(lines, 1) if word.search(line)} - wider[0])
    return [*wider, set(range(1, len(lines) + 1))]
