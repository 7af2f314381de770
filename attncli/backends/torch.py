"""PyTorch: its CPU, CUDA or Apple's MPS, through the array API standard."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from math import log
from typing import Any

import numpy as np

from attncli.backends.workers import Workers
from attncli.core.step import Array
from attncli.errors import BackendError
from attncli.machine import cores, free_memory

LOG2_E = 1 / log(2)
INSTALL = "python -m pip install 'attncli[torch]'"


class Functions:
    """PyTorch as the array API standard wants it, and `erf`, which the standard lacks."""

    def __init__(self, torch: Any, standard: Any) -> None:
        self._torch, self._standard = torch, standard
        self.erf = torch.erf

    def exp(self, x: Array, out: Array | None = None) -> Array:
        """eˣ; in place and in float32 as 2^(x · log₂ e), which takes PyTorch's CPU a third
        of the time (50 µs, not 150, for 512 × 512). The product rounds as the score did before."""
        if out is None or out.dtype is not self._torch.float32 or out.device.type != "cpu":
            made: Array = self._standard.exp(x, **({} if out is None else {"out": out}))
            return made
        self._torch.mul(x, LOG2_E, out=out)
        return self._torch.exp2(out, out=out)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._standard, name)
        setattr(self, name, value)
        return value


class TorchBackend:
    """Tensors on one device: CUDA where there is one, else MPS, else the CPU."""

    name = "torch"
    writes_in_place = True
    is_host = False

    def __init__(self, torch: Any, standard: Any, device: str) -> None:
        self.torch = torch
        self.xp = Functions(torch, standard)
        self.device = torch.device(device)
        self.threads = 1

    @property
    def tile(self) -> int:
        """Queries and keys of a tile: PyTorch takes longer than NumPy to begin an operation, and a
        GPU wants more at once."""
        return 1024 if self.device.type == "cpu" else 4096

    def version(self) -> str:
        torch = self.torch
        if self.device.type == "cuda":
            return f"PyTorch {torch.__version__}, {torch.cuda.get_device_name(self.device)}"
        return f"PyTorch {torch.__version__}, {self.device.type}"

    def upload(self, array: Array) -> Array:
        # A copy: tensors may be written to, files that are mapped may not.
        return self.torch.from_numpy(np.array(array)).to(self.device)

    def download(self, array: Array) -> Array:
        return array.detach().cpu().numpy()

    def memory(self) -> int:
        if self.device.type == "cuda":
            free, _ = self.torch.cuda.mem_get_info(self.device)
            return int(free)
        return free_memory()

    def exhausted(self, error: Exception) -> bool:
        """Whether an error says that memory is short."""
        kinds = (MemoryError, self.torch.OutOfMemoryError)
        return isinstance(error, kinds) or "can't allocate memory" in str(error)

    def release(self) -> None:
        """Give back what PyTorch keeps for later."""
        if self.device.type == "cuda":
            self.torch.cuda.empty_cache()

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        return self.torch.empty(shape, dtype=getattr(self.torch, dtype), device=self.device)

    @contextmanager
    def session(self, threads: int | None = None) -> Iterator[None]:
        """No gradients, new tensors on the device, full float32 in products."""
        torch = self.torch
        self.threads = threads or cores()
        precision, most = torch.get_float32_matmul_precision(), torch.get_num_threads()
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            if self.device.type != "cpu":
                stack.enter_context(self.device)
            torch.set_float32_matmul_precision("highest")  # TF32 would lose thirteen bits
            torch.set_num_threads(self.threads)
            try:
                yield
            finally:
                torch.set_float32_matmul_precision(precision)
                torch.set_num_threads(most)

    def each(self, tasks: Iterable[Callable[[], int]]) -> Iterator[int]:
        """On the CPU on threads of their own, each with a PyTorch of one thread; else in order."""
        if self.device.type != "cpu":
            for task in tasks:
                yield task()
            return
        # This thread makes the tasks, meanwhile, and may look at their arrays: the threads of an
        # operation of its own would wait in a loop, and take a third of the time from the others.
        self.torch.set_num_threads(1)
        try:
            with Workers(self.threads) as workers:
                yield from workers.run(self._alone(task) for task in tasks)
        finally:
            self.torch.set_num_threads(self.threads)

    def _alone(self, task: Callable[[], int]) -> Callable[[], int]:
        """Gradients, and how many threads a product takes, are a matter of each thread."""

        def quietly() -> int:
            self.torch.set_num_threads(1)
            with self.torch.no_grad():
                return task()

        return quietly


def backend() -> TorchBackend:
    """The backend on the best device; raises `BackendError` where something is missing."""
    try:
        import array_api_compat.torch as standard
        import torch
    except ImportError as error:
        raise BackendError(
            f"the backend torch needs {error.name or 'PyTorch'}, which is not installed",
            hint=INSTALL,
        ) from None
    device = "cpu"
    if torch.cuda.is_available():
        device = "cuda"
    elif torch.backends.mps.is_available():
        device = "mps"
    return TorchBackend(torch, standard, device)
