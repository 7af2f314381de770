"""Steps become text: one file and one entry here a format, imported when it is used."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attncli.formats.display import Display
    from attncli.solve import Trace


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write a trace: its name, the suffixes of its files, the module that renders it."""

    name: str
    suffixes: tuple[str, ...]
    module: str

    def render(self, trace: "Trace", display: "Display") -> str:
        """The report as text that ends with a line end; nothing is written anywhere."""
        text: str = import_module(self.module).render(trace, display)
        return text


FORMATS: Mapping[str, Format] = {
    entry.name: entry
    for entry in (
        Format("table", (".txt",), "attncli.formats.table"),
        Format("json", (".json",), "attncli.formats.json"),
        Format("yaml", (".yaml", ".yml"), "attncli.formats.yaml"),
        Format("csv", (".csv",), "attncli.formats.csv"),
        Format("markdown", (".md",), "attncli.formats.markdown"),
        Format("svg", (".svg",), "attncli.formats.svg"),
        Format("latex", (".tex",), "attncli.formats.latex"),
        Format("html", (".html",), "attncli.formats.html"),
    )
}


def render(trace: "Trace", display: "Display", format: str = "table") -> str:
    """The report of a trace in the format of this name; raises `KeyError` for an unknown one."""
    return FORMATS[format].render(trace, display)
