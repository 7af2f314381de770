"""One query of an attention beside all keys: its scores, its weights, and what comes out.

`explain` tells the whole story of an output from it, a lesson shows it as bars.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf

from attncli.core.step import BEFORE_WEIGHTS, Step
from attncli.formats.story import Key, Most, Story, Work
from attncli.formats.wording import MOST_FEATURES, Wording

MOST_KEYS = 24
"""Keys in the table of a story; of more, those with the most weight."""
HEADINGS = {"scores": "score"}
"""What a step is called at the head of a column, where not by its name."""
DROWNED = 1e-4
"""A weight so much smaller than the largest one says nothing in a line."""
LARGE = 300
"""A score from which on its exponential is told less the row's maximum."""


@dataclass(frozen=True)
class Attending:
    """A query that attends.

    `recipe` is what stands before the names of the attention's steps, `lead` the batch entry and
    head.
    """

    wording: Wording
    recipe: str
    lead: tuple[int, ...]
    query: int

    # --- steps

    def find(self, *bases: str) -> Step | None:
        """The first of these steps of the attention that there is."""
        steps = self.wording.working.steps
        return next((steps[name] for b in bases if (name := self.recipe + b) in steps), None)

    @property
    def weights(self) -> Step:
        return self.wording.step(f"{self.recipe}weights")

    @property
    def seen(self) -> Step:
        """The scores as the normalizer sees them."""
        step = self.find(*BEFORE_WEIGHTS)
        assert step is not None
        return step

    @property
    def result(self) -> Step:
        """The step that is weights times values."""
        step = self.find("heads", "output")
        assert step is not None
        return step

    @property
    def index(self) -> tuple[int, ...]:
        return (*self.lead, self.query)

    @property
    def n_keys(self) -> int:
        return int(self.weights.value.shape[-1])

    def of_keys(self, step: Step) -> list[float]:
        """Numbers of a step, one a key."""
        return [self.wording.value(step.name, (*self.index, k)) for k in range(self.n_keys)]

    # --- vectors

    def _lead(self, step: Step) -> tuple[int, ...]:
        """Batch entry and head as those of a step that broadcasts to the scores."""
        own = step.value.shape[:-2]
        places = self.lead[len(self.lead) - len(own) :]
        n_heads = self.weights.value.shape[-3] if self.weights.value.ndim > 2 else 1
        found = []
        for axis, n, place in zip(step.axes, own, places, strict=False):
            if axis == "head" and 1 < n < n_heads:
                place //= n_heads // n
            found.append(min(place, n - 1))
        return tuple(found)

    def vector(self, base: str, place: int) -> str:
        """The query, a key or a value as `(1, 0, 2)`; '' where there is no such step."""
        step = self.find(base)
        return "" if step is None else self.wording.vector(step, (*self._lead(step), place))

    def asking(self) -> list[Work]:
        """`q1 = (1·1 + 0·0, 0·1 + 1·0)`, `= (1, 0)`; nothing where there are only scores."""
        step = self.find("query")
        if step is None:
            return []
        wording, script = self.wording, self.wording.script
        index = (*self._lead(step), self.query)
        label = wording.names(step, step.axes[-2], index)[self.query]
        n = step.value.shape[-1]
        parts = [wording.arithmetic((step.name, (*index, i))) for i in range(n)]
        vector = wording.vector(step, index)
        if n > MOST_FEATURES or any(part.is_given for part in parts):
            return [Work(label, (f"{script.equals} {vector}",))]
        written = [part.written() for part in parts]
        sign = script.about if any(part.is_rounded for part in parts) else script.equals
        left = written[0] if n == 1 else script.brackets(", ".join(written))
        return [Work(label, (f"{script.equals} {left}", f"{sign} {vector}"))]

    def weighted(self) -> Work:
        """`b1 ≈ 0.134·(1, 0) + 0.366·(1, 1)`, `≈ (1.500, 0.731)`; `= 0` where the row is masked."""
        script, rounded, terms = self.wording.script, False, []
        vector = self.wording.vector(self.result, self.index)
        name = self.wording.names(self.result, "query", self.index)[self.query]
        if self.wording.arithmetic((self.result.name, (*self.index, 0))).is_given:
            return Work(name, (f"{script.equals} {vector}",))  # `query_mask` sets it to zero
        held = self.of_keys(self.weights)
        order = sorted(range(len(held)), key=lambda k: -abs(held[k]))
        for k in sorted(order[: MOST_FEATURES + 2]):
            if abs(held[k]) < DROWNED * abs(held[order[0]]) or (held[k] == 0 and len(held) > 3):
                continue
            weight, is_rounded = self.wording.decimals(held[k])
            rounded |= is_rounded
            terms.append(f"{weight}{script.times}{self.vector('value', k)}")
        if len(terms) < sum(weight != 0 for weight in held):
            terms.append("…")
        sign = script.about if rounded else script.equals
        return Work(name, (f"{sign} {' + '.join(terms) or '0'}", f"{sign} {vector}"))

    # --- keys

    def dominant(self) -> Most | None:
        """Which keys hold most of the query's weight."""
        names = self.wording.names(self.weights, "key", self.index)
        held = self.of_keys(self.weights)
        return Most.of([*zip(names, held, strict=True)], "the weight", are_terms=False)

    def best(self) -> int:
        """The key with the most weight."""
        held = self.of_keys(self.weights)
        return max(range(len(held)), key=held.__getitem__)

    def tabulate(self, story: Story, most: int = MOST_KEYS) -> None:
        """Fill in one line a key: the key, its score, its weight, its value."""
        settings = self.wording.working.problem.settings()
        scores, held = self.of_keys(self.seen), self.of_keys(self.weights)
        hidden = [score == -inf and weight == 0 for score, weight in zip(scores, held, strict=True)]
        story.score = HEADINGS.get(self.seen.base, self.seen.base)
        powers = self._powers(scores, story)
        chosen = sorted(sorted(range(self.n_keys), key=lambda k: -held[k])[:most])
        story.left_out = self.n_keys - len(chosen)
        names = self.wording.names(self.weights, "key", self.index)
        score_texts = self._column(scores, hidden)
        power_texts = self._column(powers, hidden) if powers else [""] * self.n_keys
        weight_texts = self._column(held, hidden, tiny=True)
        for k in chosen:
            arithmetic = self.wording.arithmetic((f"{self.recipe}scores", (*self.index, k)))
            story.keys.append(
                Key(
                    name=names[k],
                    vector=self.vector("key", k),
                    arithmetic="" if arithmetic.is_given else arithmetic.main(),
                    score=score_texts[k],
                    exponential=power_texts[k],
                    weight=held[k],
                    weight_text=weight_texts[k],
                    value=self.vector("value", k),
                )
            )
        is_summed = bool(powers) and settings.get("sink") is None
        is_one = abs(sum(held) - 1) < 1e-5
        story.total = (
            self._column([*powers, sum(powers)], hidden)[-1] if is_summed else "",
            "1" if is_one else self._column([*held, sum(held)], hidden)[-1],
        )

    def _powers(self, scores: Sequence[float], story: Story) -> list[float]:
        """The exponentials of a softmax, less its maximum where that is large; else none."""
        settings = self.wording.working.problem.settings()
        if settings.get("normalizer", "softmax") != "softmax":
            return []
        temperature = float(settings.get("temperature") or 1.0)
        exponents = [score / temperature for score in scores]
        largest = max((exponent for exponent in exponents if exponent != -inf), default=0.0)
        shift = 0.0 if abs(largest) < LARGE else largest
        exponent = story.score + ("/T" if temperature != 1 else "")
        story.exponent = f"{exponent} − max" if shift else exponent
        return [exp(exponent - shift) for exponent in exponents]

    def _column(
        self, values: Sequence[float], hidden: Sequence[bool], *, tiny: bool = False
    ) -> list[str]:
        """Numbers one a key and perhaps their sum: all whole, or all with the same digits.

        Keys that are left out have a `·`. Where `tiny`, digits are kept for small numbers, too.
        """
        is_hidden = [*hidden, False]
        shown = [value for value, gone in zip(values, is_hidden, strict=False) if not gone]
        is_whole = all(value.is_integer() for value in shown)
        return [
            "·" if gone else self._fixed(value, is_whole=is_whole, tiny=tiny)
            for value, gone in zip(values, is_hidden, strict=False)
        ]

    def _fixed(self, value: float, *, is_whole: bool, tiny: bool) -> str:
        digits = self.wording.digits
        fits = 10**-digits < abs(value) < 1e6 or (tiny and abs(value) < 1)
        if is_whole or (value and not fits):
            return self.wording.number(value)
        return f"{value:.{digits}f}".replace("-", self.wording.script.minus)
