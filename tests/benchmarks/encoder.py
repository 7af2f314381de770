"""How an encoder compares with torch.nn.TransformerEncoder in eval mode without gradients.

Prints the median of both over alternating runs and their ratio, after holding the output to
torch's. Needs torch, which the project does not: run it where that is installed.

    python tests/benchmarks/encoder.py [RUNS] [THREADS]
"""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from attncli import load
from attncli.solve import solve

LAYERS, WIDTH, HEADS, TOKENS = 6, 512, 8, 512


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main(runs: int, threads: int) -> int:
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    layer = torch.nn.TransformerEncoderLayer(WIDTH, HEADS, batch_first=True)
    encoder = torch.nn.TransformerEncoder(layer, LAYERS).eval()
    x = torch.randn(1, TOKENS, WIDTH)
    problem = load(
        kind="encoder",
        input=x.numpy(),
        heads=HEADS,
        parameters={name: array.numpy() for name, array in encoder.state_dict().items()},
    )

    def ours() -> np.ndarray:
        return solve(problem, keep=(), threads=threads).output

    def theirs() -> torch.Tensor:
        with torch.no_grad():
            return encoder(x)

    error = np.abs(ours() - theirs().numpy()).max()
    times = [(seconds(ours), seconds(theirs)) for _ in range(runs)]
    mine, torches = (statistics.median(column) for column in zip(*times, strict=True))
    print(
        f"ours {mine * 1e3:.0f} ms   torch {torch.__version__} {torches * 1e3:.0f} ms   "
        f"ratio {mine / torches:.2f}, at most 1.3 is asked for   largest difference {error:.1e}"
    )
    return 0


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(arguments + [7, 2][len(arguments) :])))
