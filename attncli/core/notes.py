"""What a reader should be warned of, in sentences: masked rows, saturation, lost numbers."""

from collections.abc import Iterator

from attncli.core.labels import Labels
from attncli.core.step import Array, Namespace, Step

SATURATED = 0.9995
"""A weight from here on is 1.000 with three digits."""


class Notes:
    """Collects notes while a recipe runs: `see` every step, then read `sentences`."""

    def __init__(self, labels: Labels, masked_row: str, is_softmax: bool) -> None:
        self.labels = labels
        self.masked_row = masked_row
        self.is_softmax = is_softmax
        self.sentences: list[str] = []
        self._candidates: Array = None

    def see(self, step: Step, xp: Namespace) -> None:
        """Look at one step."""
        if step.name in ("scores", "masked"):
            self._candidates = xp.sum(xp.astype(step.value != -xp.inf, xp.int64), axis=-1)
        if step.name == "masked" or (step.name == "scores" and xp.any(self._candidates == 0)):
            self._nothing_to_see(step, xp)
        if step.name == "weights":
            self._saturated(step, xp)
        if step.name in ("scores", "output"):
            self._lost(step, xp)

    def _nothing_to_see(self, step: Step, xp: Namespace) -> None:
        empty = self._candidates == 0  # (… n_queries)
        sentence = next(self._named(step, empty, "may attend to nothing", xp), "")
        get = {
            "zero": "weights and output are zero there",
            "nan": "weights and output are NaN there",
            "uniform": "all keys get the same weight there",
        }
        if sentence and sentence not in " ".join(self.sentences):
            self.sentences.append(f"{sentence}: {get.get(self.masked_row, 'refused')}")

    def _saturated(self, step: Step, xp: Namespace) -> None:
        if not self.is_softmax or self._candidates is None or step.value.shape[-1] < 2:
            return
        one = (xp.max(step.value, axis=-1) >= SATURATED) & (self._candidates > 1)
        for sentence in self._named(step, one, "gives one key all of its weight", xp):
            self.sentences.append(f"{sentence}: the scores lie far apart (see scale, temperature)")

    def _lost(self, step: Step, xp: Namespace) -> None:
        lost = ~xp.isfinite(step.value)
        if step.name == "scores":
            lost = lost & (step.value != -xp.inf)
        if xp.any(lost):
            count = int(xp.sum(xp.astype(lost, xp.int64)))
            cells = "1 cell" if count == 1 else f"{count} cells"
            self.sentences.append(f"{step.name} holds NaN or infinity in {cells}")

    def _named(self, step: Step, flags: Array, what: str, xp: Namespace) -> Iterator[str]:
        """A sentence about the flagged queries `(… n_queries)`; none if no query is flagged."""
        flat = xp.reshape(flags, (-1,))
        count = int(xp.sum(xp.astype(flat, xp.int64)))
        if not count:
            return
        index, rest = [], int(xp.argmax(xp.astype(flat, xp.int8)))
        for size in reversed(flags.shape):
            index.append(rest % size)
            rest //= size
        index.reverse()
        batch = index[0] if len(index) > 1 and step.axes[0].startswith("batch") else 0
        name = self.labels.names("weights", "query", flags.shape[-1], batch)[index[-1]]
        where = [f"{axis} {i}" for axis, i in zip(step.axes, index[:-1], strict=False)]
        first = " · ".join([*where, name])
        if count == 1:
            yield f"{first} {what}"
        else:
            plural = what.replace("gives", "give").replace("its weight", "their weight")
            yield f"{count} of {flat.shape[0]} queries {plural}, first {first}"
