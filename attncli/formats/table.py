"""The report for people: numbered, titled steps within the width of the terminal.

Rich measures and colours; what stands where is decided in `blocks`, `grid` and `layout`. No text of
an input is ever read as markup: styles are attached to spans, not written into them.
"""

from typing import TYPE_CHECKING

from rich.cells import cell_len

from attncli.formats.blocks import STAGES, panel
from attncli.formats.display import Display
from attncli.formats.layout import Line, Panel, Paper, Span, headline, packed
from attncli.formats.view import numbered, title_of

if TYPE_CHECKING:
    from attncli.solve import Trace

STYLES = {
    "head": "bold",
    "title": "bold",
    "formula": "",
    "dim": "dim",
    "warning": "bold yellow",
    # One hue, from dull to full at nearly even lightness: as clear on white as on black.
    "shade1": "color(231) on color(60)",
    "shade2": "color(231) on color(61)",
    "shade3": "color(231) on color(62)",
    "shade4": "bold color(231) on color(63)",
}


def render(trace: "Trace", display: Display) -> str:
    """The report as text, its lines at most `display.width` cells wide."""
    paper = Paper(display, cell_len)
    lines, something_left_out = _body(trace, paper)
    facts = [trace.notation, *map(paper.own, trace.problem.facts())]
    lines = [*headline(paper.theirs(title_of(trace)), facts, paper), paper.rule(), *lines]
    if something_left_out:
        advice = "--focus, a larger --width or -o FILE.npz show what is left out."
        lines += [paper.line(), *_sentence("…", "dim", advice, paper)]
    if trace.notes:
        lines.append(paper.line())
    for note in trace.notes:
        lines += _sentence("!", "warning", paper.theirs(paper.own(note)), paper)
    while lines and not lines[-1].width:
        lines.pop()
    return written(lines, display)


def written(lines: Panel, display: Display) -> str:
    """Lines as text, with or without colour."""
    paint = _in_color if display.color else _without
    return "".join(f"{paint(line)}\n" for line in lines)


def _body(trace: "Trace", paper: Paper) -> tuple[Panel, bool]:
    """The steps, numbered, as many beside each other as fit; and whether some part is left out."""
    stages: dict[tuple[str, ...], list[Panel]] = {}
    something_left_out = False
    for number, view in numbered(trace, paper.display):
        base = view.step.base
        names = next((names for names in STAGES if base in names), (base,))
        stage = (view.step.recipe, *names)
        block, is_cut = panel(view, trace, paper, number)
        something_left_out |= is_cut
        stages.setdefault(stage, []).append(block)
        if trace.problem.presentation.pictures:
            from attncli.formats import maps

            if drawn := maps.panel(maps.maps(view, trace), paper):
                stages[view.step.recipe, "map"] = [drawn]
    lines: Panel = []
    for panels in stages.values():
        for row in packed(panels, paper.width):
            lines += [*([paper.line()] if lines else []), *row]
    return lines, something_left_out


def _sentence(mark: str, style: str, text: str, paper: Paper) -> Panel:
    mark = paper.own(mark)
    indent = len(mark) + 1
    lines = paper.wrap(text, paper.width - indent)
    style_of_text = style if style == "dim" else ""
    return [
        paper.line(
            Span(mark if i == 0 else " " * len(mark), style), Span(" "), Span(line, style_of_text)
        )
        for i, line in enumerate(lines)
    ]


def _without(line: Line) -> str:
    return "".join(span.text for span in line.spans).rstrip()


def _in_color(line: Line) -> str:
    from rich.color import ColorSystem
    from rich.style import Style

    return "".join(
        Style.parse(style).render(span.text, color_system=ColorSystem.EIGHT_BIT)
        if (style := STYLES.get(span.style, span.style))
        else span.text
        for span in line.spans
    ).rstrip()
