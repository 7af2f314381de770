"""`kind: convolution`: an image and a kernel, and the attention that plays it."""

from dataclasses import replace
from typing import Any

import numpy as np

from attncli.core.convolution import SHARP, Convolution
from attncli.core.labels import Labels
from attncli.core.problem import Presentation
from attncli.errors import InputError
from attncli.files.images import pixels, refuse_large
from attncli.files.vectors import Source, Tensor, cast, widest

TENSORS = ("image", "kernel", "kernel_bias")


def build(source: Source, name: str) -> Convolution:
    """The convolution that a problem describes; `name` is its file as the user named it."""
    refuse_large(source, "image")
    raw = {key: array for key in TENSORS if (array := source.tensor(key)) is not None}
    if "image" in raw:
        raw["image"] = pixels(source, "image", raw["image"])
    for key in ("image", "kernel"):
        if key not in raw:
            raise InputError(
                f"{key} is missing",
                expected="image (… h w c) and kernel (c_out c_in kh kw)",
                hint="attncli new convolution shows a problem that runs",
                subject=key,
            )
    if source.get("notation") == "columns":
        raise InputError(
            "notation: columns is about vectors, an image has none",
            hint="layout: chw reads an image whose channels come first",
            subject="notation",
        )
    dtype = source.get("dtype") or widest(list(raw.values()))
    allowed: bool = source.get("allow_nonfinite", False)
    arrays = {key: cast(key, array, dtype, allow_nonfinite=allowed) for key, array in raw.items()}
    problem = Convolution(
        image=arrays["image"],
        kernel=_kernel(arrays["kernel"]),
        bias=np.atleast_1d(arrays["kernel_bias"]) if "kernel_bias" in arrays else None,
        padding=source.get("padding", "zero"),
        dilation=source.get("dilation", 1),
        stride=source.get("stride", 1),
        sharpness=source.get("sharpness", SHARP),
        dtype=dtype,
        presentation=Presentation(source=name),
    )
    return _presented(problem, source, name)


def _kernel(array: Tensor) -> Tensor:
    """`(c_out c_in kh kw)`; a table of two axes takes one channel to one channel."""
    return array[None, None] if array.ndim == 2 else array


def _presented(problem: Convolution, source: Source, name: str) -> Convolution:
    """The problem with its title, and names for channels, heads and what is measured."""
    kh, kw = problem.window
    heads = f"{problem.n_heads} heads" if problem.n_heads > 1 else "one head"
    others: dict[str, Any] = {
        "head": tuple(f"({a}, {b})" for a, b, *_ in problem.shifts()),
        "direction": ("down", "right"),
        "measure": ("sharpness", "difference"),
    }
    presentation = Presentation(
        title=source.get("title") or f"A {kh} by {kw} convolution as {heads}",
        source=name,
        labels=Labels(feature=_channels(problem, source), others=others),
    )
    return replace(problem, presentation=presentation)


def _channels(problem: Convolution, source: Source) -> tuple[str, ...]:
    """The labels of the channels of the result; only they can have any."""
    given = source.get("labels", {})
    c_out = problem.kernel.shape[0]
    if not given:
        return ()
    if not isinstance(given, dict) or set(given) != {"feature"}:
        raise InputError(
            "labels of a convolution name the channels of its result",
            expected=f"labels: {{feature: […]}}, {c_out} names",
            subject="labels",
        )
    names: tuple[str, ...] = given["feature"].value
    if len(names) != c_out or not isinstance(names[0], str):
        raise InputError(
            f"labels.feature has {len(names)} labels",
            expected=f"one for each of the {c_out} channels of the result",
            found=str(len(names)),
            subject="labels",
        )
    return names
