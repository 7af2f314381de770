"""The manual page, made of what the commands, their options and the schema say of themselves."""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, get_args

from typer.models import ArgumentInfo, OptionInfo

from attncli import __version__
from attncli.commands import COMMANDS
from attncli.files.schema import KEYS

EXITS = {
    0: "done",
    1: "the answer is no: verify found a difference, batch a failed job",
    2: "the command line is wrong",
    3: "an input cannot be read or does not fit, or its extra is missing",
    4: "refused for its numbers",
    5: "cannot write, or the file exists",
    6: "over a limit: memory, size, depth",
    7: "the backend or the cluster cannot do it",
    70: "a bug in attncli",
    75: "another run holds the lock",
    130: "interrupted",
    143: "terminated",
}
DESCRIPTION = (
    "attncli reads query, key and value matrices (or makes them from an input and weights), "
    "applies the chosen similarity and softmax, and prints every intermediate step. A PROBLEM is a "
    "problem file (YAML or JSON), an NPZ or safetensors with tensors query, key and value, or "
    "three files; - is standard input."
)
MARKUP = re.compile(r"(?<!\\)\[/?[a-z ]+\]")


def manual() -> str:
    """The page in roff, for `man -l`: commands, options, keys of a problem file, exit codes."""
    lines = [
        f'.TH ATTNCLI 1 "" "attncli {__version__}" "User commands"',
        ".SH NAME",
        _text("attncli - an attention calculator that shows every step"),
        ".SH SYNOPSIS",
        ".B attncli",
        r"\fICOMMAND\fR [\fIARGUMENTS\fR] [\fIOPTIONS\fR]",
        ".SH DESCRIPTION",
        _text(DESCRIPTION),
        ".SH COMMANDS",
    ]
    for name, about in COMMANDS.items():
        lines += _command(name, about)
    lines.append(".SH PROBLEM FILE")
    for key in KEYS.values():
        default = f" (default: {key.default})" if key.default else ""
        lines += [".TP", rf"\fB{_text(key.name)}\fR", _text(key.help + default)]
    lines.append(".SH EXIT STATUS")
    for code, meaning in EXITS.items():
        lines += [".TP", rf"\fB{code}\fR", _text(meaning)]
    return "\n".join(lines) + "\n"


def _command(name: str, about: str) -> Iterator[str]:
    function = getattr(import_module(f"attncli.commands.{name}"), name)
    infos = [
        info
        for parameter in inspect.signature(function).parameters.values()
        for info in get_args(parameter.annotation)[1:]
    ]
    arguments = [info for info in infos if isinstance(info, ArgumentInfo)]
    words = " ".join(str(info.metavar) for info in arguments)
    yield rf'.SS "{_text(f"attncli {name} {words}".strip())}"'
    yield _text(about)
    for info in arguments:
        yield from _entry(str(info.metavar), info)
    for info in infos:
        if isinstance(info, OptionInfo):
            # Inside Annotated, Typer keeps the first name where a default would be.
            names = ", ".join(map(str, (info.default, *(info.param_decls or ()))))
            yield from _entry(f"{names} {info.metavar or ''}".strip(), info)


def _entry(heading: str, info: Any) -> Iterator[str]:
    said = MARKUP.sub("", info.help or "").replace("\\[", "[")
    yield from (".TP", rf"\fB{_text(heading)}\fR", _text(said))


def _text(words: str) -> str:
    """Words that roff reads as nothing but words."""
    words = " ".join(words.split()).replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{words}" if words[:1] in (".", "'") else words
