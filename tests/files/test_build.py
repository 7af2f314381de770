"""No key is taken and then ignored: the builder of a kind looks at each that belongs to it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli.errors import InputError, Place
from attncli.files.build import build
from attncli.files.problem import Entries, keywords, sourced
from attncli.files.schema import KEYS, KINDS
from tests.test_samples import FILES

RARE: dict[str, dict[str, Any]] = {
    "self-attention": {"similarity": "cosine", "mask": np.eye(4), "mask_means": "keep"},
    "encoder": {"mask": np.tri(3), "mask_means": "keep"},
    "convolution": {"image": np.ones((5, 5, 1))},
}
"""What samples leave out, and some keys are only looked at beside it."""


class Asked(Entries):
    """Entries that remember which of them somebody looked for."""

    def __init__(self, entries: Entries) -> None:
        super().__init__(entries)
        self.names: set[object] = set()

    def __contains__(self, key: object) -> bool:
        self.names.add(key)
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.names.add(key)
        return super().get(key, default)


@pytest.fixture(scope="module")
def asked() -> dict[str, set[object]]:
    """By kind, the keys that its builder looks for in the samples, which have all kinds."""
    found: dict[str, set[object]] = {kind: set() for kind in KINDS}
    for path in FILES:
        entries, base, name = sourced([str(path)])
        for rare in ({}, RARE.get(path.stem, {})):
            whole = Asked({**entries, **keywords(rare)})
            problem = build(whole, base, name)
            found[problem.kind] |= whole.names
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_builder_looks_at_each_key_of_its_kind(kind: str, asked: dict[str, set[object]]) -> None:
    assert {name for name, key in KEYS.items() if kind in key.kinds} <= asked[kind]


@pytest.mark.parametrize(("name", "place"), [("p.yaml", Place("p.yaml")), ("", None)])
def test_what_is_missing_is_missing_in_the_file(name: str, place: Place | None) -> None:
    with pytest.raises(InputError, match="key is missing") as caught:
        build(keywords({"query": np.eye(2)}), Path(), name)
    assert caught.value.place == place
