"""How a cell, a vector or a step came about, told from its worked arithmetic."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import exp, inf, prod
from typing import TYPE_CHECKING

from attncli.backends.terms import Cell
from attncli.core.step import Step
from attncli.formats.arithmetic import TEXT, Arithmetic, Text
from attncli.formats.story import HEADINGS, Key, Most, Story, Work
from attncli.formats.titles import Title, title

if TYPE_CHECKING:
    from attncli.core.problem import Notation
    from attncli.worked import Working

MOST_CELLS = 200
"""Cells that one story works out."""
MOST_KEYS = 24
"""Keys in the table of a story; of more, those with the most weight."""
MOST_FEATURES = 6
"""Numbers of a vector in a line."""
BEFORE_WEIGHTS = ("masked", "biased", "capped", "scaled", "scores")
"""What the normalizer sees: the last of these that there is."""
DROWNED = 1e-4
"""A weight so much smaller than the largest one says nothing in a line."""
DOMINANT = 2 / 3
"""The share that the terms named in the last sentence hold together."""


@dataclass
class Teller:
    """Tells stories of a worked problem."""

    working: "Working"
    notation: "Notation"
    digits: int = 3
    script: Text = field(default_factory=lambda: TEXT)

    # --- names

    def step(self, name: str) -> Step:
        return self.working.steps[name]

    def names(self, step: Step, axis: str, index: Sequence[int]) -> tuple[str, ...]:
        """What the places of an axis are called."""
        n = step.value.shape[step.axes.index(axis)]
        labels = self.working.problem.presentation.labels.at(step.name)
        batch = index[step.axes.index("batch")] if "batch" in step.axes else 0
        return labels.names(step.base, axis, n, batch) or tuple(map(str, range(n)))

    def places(self, step: Step, index: Sequence[int]) -> tuple[str, ...]:
        """The places of a cell or a vector as one would type them: query and key, or feature."""
        axes = [axis for axis in step.axes if axis != "head" and not axis.startswith("batch")]
        spots = [step.axes.index(axis) for axis in axes if step.axes.index(axis) < len(index)]
        return tuple(self.names(step, step.axes[spot], index)[index[spot]] for spot in spots)

    def name(self, cell: Cell, recipe: str | None = None) -> str:
        """`weights q1 k2`; without what stands before the names of a recipe's own steps."""
        return " ".join(self.words(cell, recipe))

    def words(self, cell: Cell, recipe: str | None = None) -> tuple[str, ...]:
        """The name of a cell as the words that ask for it."""
        step = self.step(cell[0])
        short = step.base if step.recipe == recipe else self._short(step)
        return short, *self.places(step, cell[1])

    def _short(self, step: Step) -> str:
        """The shortest end of a step's name that is no other's."""
        parts = step.name.split(".")
        ends = (".".join(parts[i:]) for i in reversed(range(len(parts))))
        names = self.working.steps
        return next(
            (
                end
                for end in ends
                if sum(name == end or name.endswith("." + end) for name in names) == 1
            ),
            step.name,
        )

    def title(self, step: Step) -> Title:
        return title(self.working.problem, step.name, self.notation)

    def facts(self, step: Step, index: Sequence[int]) -> tuple[str, ...]:
        """Head and batch entry, where there are several, and the notation."""
        facts = []
        for axis, n, place in zip(step.axes, step.value.shape, index, strict=False):
            if axis == "head" or axis.startswith("batch"):
                facts.append(f"{axis} {place} of {n}" if n > 1 else "")
        return (*filter(None, facts), self.notation)

    # --- stories

    def cell(self, name: str, index: tuple[int, ...], depth: int) -> Story:
        """One cell, and `depth` − 1 generations of the cells that it was made of."""
        step = self.step(name)
        story = Story(
            self._named(name, *self.places(step, index)),
            self.facts(step, index),
            self.title(step).formula,
        )
        told = self._generations([(name, index)], depth, story)
        story.last = self._dominant(name, index)
        story.deeper = next(
            (
                self.words(source)
                for cell in told
                for source in self.working.sources(*cell)
                if source not in told and not self._arithmetic(source).is_given
            ),
            (),
        )
        return story

    def vector(self, name: str, index: tuple[int, ...], depth: int) -> Story:
        """All cells of a vector, or (without an index but of batch and head) of a whole step."""
        step = self.step(name)
        rest = step.value.shape[len(index) :]
        story = Story(
            self._named(name, *self.places(step, index)),
            self.facts(step, index),
            self.title(step).formula,
        )
        cells = [(name, (*index, *place)) for place in _every(rest)]
        self._generations(cells, depth, story)
        if cells:
            story.deeper = self.words(cells[0])
        return story

    def output(self, recipe: str, lead: tuple[int, ...], query: int) -> Story:
        """The whole story of one output vector of an attention: SCREENS' second page.

        `recipe` is what stands before the names of its steps, `lead` the batch entry and head.
        """
        weights = self.step(f"{recipe}weights")
        result = self.step(self.result(recipe))
        whole = f"{recipe}output" if f"{recipe}output" in self.working.steps else result.name
        last = self.step(whole)
        n_batch = len([axis for axis in last.axes if axis.startswith("batch")])
        names = self.names(last, "query", (*lead, query))
        story = Story(
            f"{names[query]}, {_ordinal(query)}",
            self.facts(weights, lead),
            self.title(result).formula,
        )
        if f"{recipe}query" in self.working.steps:
            story.works.append(self._vector_work(f"{recipe}query", lead, query))
        self.table(story, recipe, lead, query)
        story.result.append(self.weighted(recipe, lead, query))
        if result.name != whole and last.value.shape[-1] <= 2 * MOST_FEATURES:
            inner = lead if "head" in last.axes else lead[:n_batch]
            for place in range(last.value.shape[-1]):
                story.result.append(self.work((whole, (*inner, query, place)), 0, last.recipe))
        story.last = self._most_weight(weights.name, (*lead, query))
        n_keys = weights.value.shape[-1]
        best = max(range(n_keys), key=lambda k: self.value(weights.name, (*lead, query, k)))
        story.deeper = self.words((weights.name, (*lead, query, best)))
        return story

    # --- pieces

    def value(self, step: str, index: tuple[int, ...]) -> float:
        return self.working.value(step, index)

    def _arithmetic(self, cell: Cell) -> Arithmetic:
        return Arithmetic.of(self.working, *cell, self.digits, self.script, self.notation)

    def number(self, value: float) -> str:
        return self._numbers.number(value)

    @cached_property
    def _numbers(self) -> Arithmetic:
        name = next(iter(self.working.steps))
        index = (0,) * self.step(name).value.ndim
        return self._arithmetic((name, index))

    def _named(self, step: str, *places: str) -> str:
        return " ".join([step, *places])

    def work(self, cell: Cell, depth: int, recipe: str) -> Work:
        """The arithmetic of a cell in lines."""
        arithmetic = self._arithmetic(cell)
        script = self.script
        name = self.name(cell, recipe)
        result = arithmetic.number(arithmetic.value)
        if arithmetic.is_given:
            source = arithmetic.term.cell
            from_where = f"{script.equals} {self.name(source, recipe)} " if source else ""
            return Work(name, (f"{from_where}{script.equals} {result}",), depth=depth)
        lines = [f"{script.equals} {arithmetic.written()}"]
        sign = arithmetic.sign
        if (halfway := arithmetic.halfway()) is not None:
            lines.append(f"{script.about} {halfway}")
            sign = script.about
        lines.append(f"{sign} {result}")
        return Work(name, tuple(lines), tuple(arithmetic.beside()), depth)

    def _generations(self, cells: list[Cell], depth: int, story: Story) -> set[Cell]:
        """Work cells, then what they were made of, each once; which were told."""
        told: set[Cell] = set()
        recipe = self.step(cells[0][0]).recipe if cells else ""
        for generation in range(depth):
            sources: dict[Cell, None] = {}
            for cell in cells:
                if generation and self._arithmetic(cell).is_given:
                    continue
                if len(story.works) >= MOST_CELLS:
                    story.left_out += 1
                    continue
                told.add(cell)
                story.works.append(self.work(cell, generation, recipe))
                if generation + 1 < depth:
                    sources |= dict.fromkeys(self.working.sources(*cell))
            cells = [cell for cell in sources if cell not in told]
        return told

    def _dominant(self, name: str, index: tuple[int, ...]) -> Most | None:
        """Which terms of the cell's sum hold most of it."""
        if self.step(name).base == "weights":
            return self._most_weight(name, index[:-1])
        arithmetic = self._arithmetic((name, index))
        whole = arithmetic.term
        if whole.op == "/" and whole.of[0].op == "+":
            whole = whole.of[0]
        if whole.op != "+":
            return None
        shares = [(arithmetic.text(part), abs(part.value)) for part in whole.of]
        return _most(shares, "the sum", are_terms=True)

    def _most_weight(self, weights: str, row: tuple[int, ...]) -> Most | None:
        """Which keys hold most of a query's weight."""
        names = self.names(self.step(weights), "key", row)
        held = [self.value(weights, (*row, k)) for k in range(len(names))]
        return _most([*zip(names, held, strict=True)], "the weight", are_terms=False)

    def _lead(self, step: Step, lead: tuple[int, ...], n_heads: int) -> tuple[int, ...]:
        """Leading places of the scores as those of a step that broadcasts to them."""
        own = step.value.shape[:-2]
        places = lead[len(lead) - len(own) :]
        found = []
        for axis, n, place in zip(step.axes, own, places, strict=False):
            if axis == "head" and 1 < n < n_heads:
                place //= n_heads // n
            found.append(min(place, n - 1))
        return tuple(found)

    def result(self, recipe: str) -> str:
        """The step that is weights times values."""
        heads = f"{recipe}heads"
        return heads if heads in self.working.steps else f"{recipe}output"

    def vector_text(self, step: Step, index: tuple[int, ...]) -> str:
        """A vector as `(1, 0, 2)`."""
        n = step.value.shape[-1]
        shown = [self.number(self.value(step.name, (*index, i))) for i in range(n)]
        if n > MOST_FEATURES:
            shown = [*shown[: MOST_FEATURES - 1], "…"]
        return shown[0] if n == 1 else self.script.brackets(", ".join(shown))

    def _vector_work(self, name: str, lead: tuple[int, ...], place: int) -> Work:
        """`q1 = (1·1 + 0·0, 0·1 + 1·0) = (1, 0)`."""
        step = self.step(name)
        lead = self._lead(step, lead, self._n_heads(name))
        index = (*lead, place)
        label = self.names(step, step.axes[-2], index)[place]
        n = step.value.shape[-1]
        parts = [self._arithmetic((name, (*index, i))) for i in range(n)]
        vector = self.vector_text(step, index)
        if n > MOST_FEATURES or any(part.is_given for part in parts):
            return Work(label, (f"{self.script.equals} {vector}",))
        written = [part.written() for part in parts]
        sign = self.script.about if any(p.is_rounded for p in parts) else self.script.equals
        left = written[0] if n == 1 else self.script.brackets(", ".join(written))
        return Work(label, (f"{self.script.equals} {left}", f"{sign} {vector}"))

    def _n_heads(self, name: str) -> int:
        recipe = self.step(name).recipe
        weights = self.step(f"{recipe}.weights" if recipe else "weights")
        return int(weights.value.shape[-3]) if weights.value.ndim > 2 else 1

    def table(
        self,
        story: Story,
        recipe: str,
        lead: tuple[int, ...],
        query: int,
        most: int = MOST_KEYS,
    ) -> None:
        """One line a key: the key, its score, its weight, its value."""
        steps = self.working.steps
        weights = steps[f"{recipe}weights"]
        seen = next(steps[recipe + name] for name in BEFORE_WEIGHTS if recipe + name in steps)
        story.score = seen.base
        settings = self.working.problem.settings()
        temperature = float(settings.get("temperature") or 1.0)
        n_keys = int(weights.value.shape[-1])
        names = self.names(weights, "key", (*lead, query))
        given = [self.value(seen.name, (*lead, query, k)) for k in range(n_keys)]
        scores = [score / temperature for score in given]
        largest = max((score for score in scores if score != -inf), default=0.0)
        shift = 0.0 if abs(largest) < 300 else largest
        is_softmax = settings.get("normalizer", "softmax") == "softmax"
        if is_softmax:
            exponent = HEADINGS.get(story.score, story.score)
            exponent += "/T" if temperature != 1 else ""
            story.exponent = f"{exponent} − max" if shift else exponent
        held = [self.value(weights.name, (*lead, query, k)) for k in range(n_keys)]
        chosen = range(n_keys)
        if n_keys > most:
            chosen = sorted(sorted(chosen, key=lambda k: -held[k])[:most])  # type: ignore[assignment]
            story.left_out = n_keys - most
        powers = [exp(score - shift) if score - shift > -700 else 0.0 for score in scores]
        whole = {
            "scores": _are_whole([score for score in given if score != -inf]),
            "powers": _are_whole(powers),
            "held": _are_whole(held),
        }
        for k in chosen:
            cell = (f"{recipe}scores", (*lead, query, k))
            arithmetic = self._arithmetic(cell)
            masked = scores[k] == -inf
            story.keys.append(
                Key(
                    names[k],
                    self._served(recipe, "key", lead, k),
                    "" if arithmetic.is_given else arithmetic.main(),
                    "·" if masked else self._fixed(given[k], whole["scores"]),
                    ("·" if masked else self._fixed(powers[k], whole["powers"]))
                    if is_softmax
                    else "",
                    held[k],
                    "·" if masked else self._fixed(held[k], whole["held"], tiny=True),
                    self._served(recipe, "value", lead, k),
                )
            )
        total = sum(held)
        is_one = abs(total - 1) < 1e-5
        sink = settings.get("sink")
        story.total = (
            self._fixed(sum(powers), whole["powers"]) if is_softmax and sink is None else "",
            "1" if is_one else self._fixed(total, whole["held"]),
        )

    def _fixed(self, value: float, is_whole: bool, *, tiny: bool = False) -> str:
        """A number of a column: all whole, or all with the same digits, also where `tiny`."""
        if is_whole:
            return self.number(value)
        if value and not 10**-self.digits < abs(value) < 1e6 and not (tiny and abs(value) < 1):
            return self.number(value)
        return f"{value:.{self.digits}f}".replace("-", self.script.minus)

    def _served(self, recipe: str, kind: str, lead: tuple[int, ...], k: int) -> str:
        step = self.working.steps.get(f"{recipe}{kind}")
        if step is None:
            return ""
        heads = self._n_heads(step.name)
        return self.vector_text(step, (*self._lead(step, lead, heads), k))

    def weighted(self, recipe: str, lead: tuple[int, ...], query: int) -> Work:
        """`b1 ≈ 0.134·(1, 0) + 0.366·(1, 1)`, `≈ (1.500, 0.731)`."""
        result = self.step(self.result(recipe))
        weights = self.step(f"{recipe}weights")
        script, rounded, terms = self.script, False, []
        held = [self.value(weights.name, (*lead, query, k)) for k in range(weights.value.shape[-1])]
        order = sorted(range(len(held)), key=lambda k: -abs(held[k]))
        told = sorted(order[: MOST_FEATURES + 2])
        for k in told:
            if abs(held[k]) < DROWNED * abs(held[order[0]]) or (held[k] == 0 and len(held) > 3):
                continue
            self._numbers.is_rounded = False
            weight = self.number(held[k])
            rounded |= self._numbers.is_rounded
            terms.append(f"{weight}{script.times}{self._served(recipe, 'value', lead, k)}")
        if len(terms) < sum(weight != 0 for weight in held):
            terms.append("…")
        vector = self.vector_text(result, (*lead, query))
        name = self.names(result, "query", (*lead, query))[query]
        sign = script.about if rounded else script.equals
        return Work(name, (f"{sign} {' + '.join(terms) or '0'}", f"{sign} {vector}"))


def _are_whole(values: Sequence[float]) -> bool:
    return all(value == round(value) for value in values)


def _every(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """All indices of a shape, in order."""
    for number in range(prod(shape)):
        place = []
        for n in reversed(shape):
            number, at = divmod(number, n)
            place.append(at)
        yield tuple(reversed(place))


def _most(parts: list[tuple[str, float]], of: str, *, are_terms: bool) -> Most | None:
    """Which of the parts hold at least two thirds together; None where that says nothing."""
    total = sum(share for _, share in parts)
    if len(parts) < 3 or not 0 < total < inf:
        return None
    order = sorted(range(len(parts)), key=lambda i: -parts[i][1])
    held, chosen = 0.0, []
    for i in order:
        held += parts[i][1]
        chosen.append(i)
        if held >= DOMINANT * total:
            break
    if len(chosen) > max(1, len(parts) // 2):
        return None
    names = tuple(parts[i][0] for i in sorted(chosen))
    verb = "holds" if len(names) == 1 else "hold"
    percent = "all" if held > 0.9995 * total else f"{100 * held / total:.0f} %"
    return Most(names, f"{verb} {percent} of {of}.", are_terms)


def _ordinal(place: int) -> str:
    words = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
    return f"the {words[place]} output" if place < len(words) else f"output {place + 1}"
