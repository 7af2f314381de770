"""What a reader should be warned of, in sentences: masked rows, saturation, lost numbers."""

from collections.abc import Iterator
from math import prod

from attncli.core.labels import Labels
from attncli.core.shapes import first
from attncli.core.step import Array, Namespace, Step

SATURATED = 0.9995
"""A weight from here on is 1.000 with three digits."""

SCORES = ("scores", "scaled", "capped", "biased", "masked")


class Notes:
    """Collects notes while a recipe runs: `see` every step, then read `sentences`."""

    def __init__(self, labels: Labels, masked_row: str, is_softmax: bool) -> None:
        self.labels = labels
        self.masked_row = masked_row
        self.is_softmax = is_softmax
        self.sentences: list[str] = []
        self._scores: Array = None
        """The scores as the normalizer sees them."""

    def see(self, step: Step, xp: Namespace) -> None:
        """Look at one step; each look is one pass over it."""
        name = step.base
        if name in SCORES:
            self._scores = step.value
        if name == "scores":
            best = xp.max(step.value, axis=-1)  # (… n_queries)
            self._lost(step, ~xp.isfinite(best) & (best != -xp.inf), xp)
        elif name == "weights":
            self.nothing_to_see(step, xp.max(self._scores, axis=-1) == -xp.inf, xp)
            if self.is_softmax:
                self._saturated(step, xp)
        elif step.name == "difference":
            largest = float(xp.max(xp.abs(step.value)))
            self.sentences.append(f"attention and convolution differ by at most {largest:.3g}")
        elif step.name == "output" and "query" in step.axes:
            self._lost(step, xp.any(~xp.isfinite(step.value), axis=-1), xp)
        elif step.name == "output" and not xp.all(xp.isfinite(step.value)):
            self.sentences.append("the output has NaN or infinity")

    def nothing_to_see(self, step: Step, empty: Array, xp: Namespace) -> None:
        """Note the queries `(… n_queries)` that may attend to nothing."""
        get = {
            "zero": "weights and output are zero there",
            "nan": "weights and output are NaN there",
            "uniform": "all keys get the same weight there",
        }
        for sentence in self._named(step, empty, "may attend to nothing", xp):
            note = f"{sentence}: {get.get(self.masked_row, 'that is refused')}"
            self.sentences.append(note)

    def _saturated(self, step: Step, xp: Namespace) -> None:
        one = xp.max(step.value, axis=-1) >= SATURATED
        if not xp.any(one):
            return
        # A query that sees a single key must give it everything: nothing to warn of.
        one = one & (xp.sum(xp.astype(self._scores != -xp.inf, xp.int64), axis=-1) > 1)
        for sentence in self._named(step, one, "gives one key all of its weight", xp):
            self.sentences.append(f"{sentence}: the scores lie far apart (see scale, temperature)")

    def _lost(self, step: Step, lost: Array, xp: Namespace) -> None:
        for sentence in self._named(step, lost, f"has NaN or infinity in {step.name}", xp):
            self.sentences.append(sentence)

    def _named(self, step: Step, flags: Array, what: str, xp: Namespace) -> Iterator[str]:
        """A sentence about the flagged queries `(… n_queries)`; none if no query is flagged."""
        count = int(xp.sum(xp.astype(flags, xp.int64)))
        if not count:
            return
        index = first(flags, xp)
        batch = index[0] if len(index) > 1 and step.axes[0].startswith("batch") else 0
        name = self.labels.names("weights", "query", flags.shape[-1], batch)[index[-1]]
        where = [f"{axis} {i}" for axis, i in zip(step.axes, index[:-1], strict=False)]
        which = " · ".join([*where, name])
        if count == 1:
            yield f"{which} {what}"
        else:
            plural = what.replace("gives", "give").replace("has", "have").replace("its", "their")
            yield f"{count} of {prod(flags.shape)} queries {plural}, first {which}"
