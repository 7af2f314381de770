"""Stories laid out: as text for a terminal, as Markdown, as LaTeX."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product

from rich.cells import cell_len

from attncli.core.shapes import listed
from attncli.formats.display import Display, command, plain
from attncli.formats.grid import shade
from attncli.formats.layout import Panel, Paper, Span, headline
from attncli.formats.letters import text as escaped
from attncli.formats.markdown import inert
from attncli.formats.story import Key, Story, Work
from attncli.formats.table import written

LEFT_OUT = (
    (),
    ("vector",),
    ("vector", "value"),
    ("vector", "arithmetic"),
    ("vector", "value", "arithmetic"),
    ("vector", "value", "arithmetic", "bar"),
    ("vector", "value", "arithmetic", "bar", "exponential"),
    ("vector", "value", "arithmetic", "bar", "exponential", "score"),
)
"""What the table of keys goes without, where it is too wide."""
NARROW = 40
BARS = (20, 8)
"""Cells of a bar of weight 1; a short one comes before any column goes."""


# --- for a terminal


def text(story: Story, source: str, display: Display) -> str:
    """Formula, arithmetic, and the next thing to ask for."""
    paper = Paper(display, cell_len)
    facts = [paper.theirs(fact) for fact in (source, *story.facts) if fact]
    lines = [*headline(paper.theirs(story.title), facts, paper), paper.rule()]
    if story.formula:
        lines += [*_wrapped(story.formula, paper, "dim"), paper.line()]
    lines += _works(story.works, paper)
    if story.keys:
        lines += [paper.line(), *keys(story, paper), paper.line()]
        lines += _works(story.result, paper)
    if story.left_out:
        what = "keys with less weight" if story.keys else "cells"
        lines += _wrapped(f"… {story.left_out} more {what}", paper, "dim")
    lines += _foot(story, source, paper)
    return written(lines, display)


def _wrapped(sentence: str, paper: Paper, style: str = "") -> Panel:
    return paper.prose(paper.theirs(paper.own(sentence)), style)


def _works(works: Sequence[Work], paper: Paper) -> Panel:
    lines: Panel = []
    names = dict.fromkeys({work.depth for work in works}, 0)
    for work in works:
        names[work.depth] = max(names[work.depth], paper.measure(paper.theirs(work.name)))
    depth = 0
    for work in works:
        if work.depth != depth:
            depth = work.depth
            lines += [paper.line(), paper.line(Span(paper.own("made of"), "dim"))]
        # Where there is little room, all of it is for the arithmetic, and names stand above.
        width = min(names[depth], paper.width // 3 if paper.width >= NARROW else 1)
        lines += _work(work, width, paper)
    return lines


def _work(work: Work, width: int, paper: Paper) -> Panel:
    """In one line where it fits, else a line each, under the name where that is long."""
    name = paper.theirs(work.name)
    parts = [_own(part, paper) for part in work.lines]
    indent = width + 1
    lines: Panel = []
    head = paper.pad(name, width) + " "
    if paper.measure(name) > width:
        lines += [paper.line(Span(part)) for part in paper.wrap(name, paper.width)]
        head = " " * indent
    room = paper.width - indent
    whole = " ".join(parts)
    if paper.measure(whole) <= room:
        parts = [whole]
    for part in [*parts, *(_own(aside, paper) for aside in work.beside)]:
        hang = 2 if part[:1] in "=≈~" else 0
        for i, line in enumerate(_broken(part, room - hang, paper)):
            lines.append(paper.line(Span(head), Span(" " * hang * (i > 0) + line)))
            head = " " * indent
    return lines


def _broken(part: str, width: int, paper: Paper) -> list[str]:
    """Arithmetic in lines that begin with an operator; a bracket breaks only where it is long."""
    held, text = "\xa0", list(part)
    opened: list[int] = []
    for i, letter in enumerate(part):
        if letter == "(":
            opened.append(i)
        elif letter == ")" and opened:
            first = opened.pop()
            if i - first < width:
                text[first : i + 1] = part[first : i + 1].replace(" ", held)
        elif letter == " " and i > 1 and part[i - 1] in "+−-/=≈~":
            text[i] = held
    return [line.replace(held, " ") for line in paper.wrap("".join(text), width)]


def _own(part: str, paper: Paper) -> str:
    """Arithmetic in the paper's letters."""
    if not paper.display.ascii:
        return plain(part)
    if part == "·":
        return "."  # what is masked, as in every table
    for letter, spelling in {"−": "-", "≈": "~", "·": "*", "√": "sqrt", "²": "^2"}.items():
        part = part.replace(letter, spelling)
    return plain(part.replace("∞", "inf").replace("…", "..."), ascii=True)


def keys(story: Story, paper: Paper, without: Sequence[str] = ()) -> Panel:
    """The table of keys, `without` some columns; what does not fit is left out column by column."""
    kinds, rows = _fitted(story, paper, without)
    widths = [max(map(paper.measure, column)) for column in zip(*rows, strict=True)]
    rights = {"exponential", "weight", "score"}
    lines = []
    for number, row in enumerate(rows):
        spans: list[Span] = []
        for cell, width, kind in zip(row, widths, kinds, strict=True):
            is_weight = kind == "weight" and 0 < number <= len(story.keys)
            style = shade(story.keys[number - 1].weight) if is_weight else ""
            text = paper.pad(cell, width, right=kind in rights)
            spans += [Span("   ")] * bool(spans) + [Span(text, style or "dim" * (number == 0))]
        while spans and not spans[-1].text.strip():
            spans.pop()
        if spans:
            spans[-1] = spans[-1]._replace(text=spans[-1].text.rstrip())
        lines.append(paper.line(*spans))
    if gone := _gone(story, kinds, without):
        says = f"… {listed(gone)} left out; a larger --width shows more"
        lines += _wrapped(says, paper, "dim")
    return lines


def _fitted(
    story: Story, paper: Paper, without: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """The columns that fit, and the rows; with no column left to go, long names are shortened."""
    for left_out, bar in product(LEFT_OUT, BARS):
        kinds = _kinds(story, (*without, *left_out))
        rows = _rows(story, kinds, bar, paper)
        widths = [max(map(paper.measure, column)) for column in zip(*rows, strict=True)]
        spare = paper.width - sum(widths) - 3 * (len(widths) - 1)
        if spare >= 0:
            return kinds, rows
    room = max(4, widths[0] + spare)
    names = paper.shorten([row[0] for row in rows], range(-1, len(rows) - 1), room)
    return kinds, [[name, *row[1:]] for name, row in zip(names, rows, strict=True)]


def _kinds(story: Story, left_out: Sequence[str] = ()) -> list[str]:
    """The columns that there are; arithmetic of scores ends with the score."""
    kinds = ["key", "vector", "arithmetic", "score", "exponential", "weight", "bar", "value"]
    kinds = [kind for kind in kinds if kind not in left_out]
    for kind in ("vector", "arithmetic", "exponential", "value"):
        if kind in kinds and not any(getattr(key, kind) for key in story.keys):
            kinds.remove(kind)
    if "arithmetic" in kinds and story.score == HEADINGS["arithmetic"]:
        kinds.remove("score")
    return kinds


HEADINGS = {
    "key": "",
    "vector": "key",
    "arithmetic": "score",
    "weight": "weight",
    "bar": "",
    "value": "value",
}


def _heading(kind: str, story: Story) -> str:
    if kind == "score":
        return story.score
    if kind == "exponential":
        return f"e^{story.exponent}" if story.exponent.isalnum() else f"e^({story.exponent})"
    return HEADINGS[kind]


def _gone(story: Story, kinds: Sequence[str], without: Sequence[str] = ()) -> list[str]:
    """What to call the columns that are left out, by their heads."""
    shown = {_heading(kind, story) for kind in kinds}
    gone = (kind for kind in _kinds(story, without) if kind not in (*kinds, "bar"))
    # Without its arithmetic the score itself stands under the same head.
    return [kind if (head := _heading(kind, story)) in shown else head for kind in gone]


def _rows(story: Story, kinds: Sequence[str], bar: int, paper: Paper) -> list[list[str]]:
    rows = [[_own(_heading(kind, story), paper) for kind in kinds]]
    for key in story.keys:
        rows.append([_entry(key, kind, bar, paper) for kind in kinds])
    if any(story.total):
        sigma = "sum" if paper.display.ascii else "Σ"
        total = dict(zip(("exponential", "weight"), story.total, strict=True))
        row = [_own(total.get(kind, ""), paper) for kind in kinds]
        first = next((i for i, kind in enumerate(kinds) if total.get(kind)), 1)
        row[first - 1] = row[first - 1] or paper.pad(sigma, 1)
        rows.append(row)
    return rows


def _entry(key: Key, kind: str, bar: int, paper: Paper) -> str:
    if kind == "key":
        return paper.theirs(key.name)
    if kind == "bar":
        full = "#" if paper.display.ascii else "█"
        return full * round(bar * min(1.0, key.weight)) if key.weight > 0 else ""
    return _own(key.weight_text if kind == "weight" else getattr(key, kind), paper)


def _foot(story: Story, source: str, paper: Paper) -> Panel:
    deeper = ""
    if story.deeper and source:
        deeper = paper.theirs(f"deeper: {command('explain', source, *story.deeper)}")
    last = paper.theirs(paper.own(story.last.told())) if story.last else ""
    blanks = paper.width - paper.measure(last) - paper.measure(deeper)
    if not last and not deeper:
        return []
    if not deeper or not last or blanks >= 2:
        gap = Span(" " * max(0, blanks) if last and deeper else "")
        both = paper.line(Span(last), gap, Span(deeper, "dim"))
        if both.width <= paper.width:
            return [paper.line(), both]
    return [paper.line(), *_wrapped(last, paper), *_wrapped(deeper, paper, "dim")]


# --- Markdown


def markdown(story: Story, source: str, display: Display) -> str:
    """A page that GitHub renders: arithmetic in a block of code, the keys in a table."""
    facts = " · ".join(fact for fact in (source, *story.facts) if fact)
    parts = [f"## {inert(story.title)}", inert(facts)]
    if story.formula:
        parts.append(f"`{story.formula}`")
    parts += _code(story.works)
    if story.keys:
        kinds = _kinds(story)
        wide = Paper(replace(display, width=10_000), len)
        rows = [[inert(_heading(kind, story)) for kind in kinds], ["---"] * len(kinds)]
        rows += [[inert(_entry(key, kind, BARS[0], wide)) for kind in kinds] for key in story.keys]
        parts.append("\n".join("| " + " | ".join(row) + " |" for row in rows))
        parts += _code(story.result)
    if story.left_out:
        parts.append(f"… {story.left_out} more")
    if story.last:
        parts.append(inert(story.last.told()))
    return "\n\n".join(parts) + "\n"


def _code(works: Sequence[Work]) -> list[str]:
    if not works:
        return []
    lines = []
    for work in works:
        lines.append(f"{plain(work.name)} {' '.join(work.lines)}")
        lines += [f"    {aside}" for aside in work.beside]
    return ["```\n" + "\n".join(lines).replace("```", "'''") + "\n```"]


# --- LaTeX

PREAMBLE = r"""\documentclass{article}
\usepackage{amsmath}
\usepackage[utf8]{inputenc}
\allowdisplaybreaks
\begin{document}
"""


def latex(story: Story, source: str, display: Display) -> str:
    """A document that compiles with amsmath: aligned arithmetic, the keys in a table."""
    del display
    facts = ", ".join(fact for fact in (source, *story.facts) if fact)
    parts = [rf"\section*{{{escaped(story.title)}}}", escaped(facts)]
    if story.formula:
        parts.append(escaped(story.formula))
    parts += _aligned(story.works)
    if story.keys:
        long = [kind for kind in _kinds(story) if _is_long(kind, story)]
        kinds = _kinds(story, ("bar", *long))
        rows = [" & ".join(escaped(_heading(kind, story)) for kind in kinds) + r" \\ \hline"]
        rows += [" & ".join(_in_latex(key, kind) for kind in kinds) + r" \\" for key in story.keys]
        body = "\n".join(rows)
        columns = "".join("l" if kind in ("key", "arithmetic") else "r" for kind in kinds)
        parts.append(rf"\begin{{center}}\begin{{tabular}}{{{columns}}}" + f"\n{body}\n")
        parts[-1] += r"\end{tabular}\end{center}"
        if gone := _gone(story, kinds):
            parts.append(escaped(f"… {listed(gone)} left out"))
        parts += _aligned(story.result)
    if story.left_out:
        parts.append(escaped(f"… {story.left_out} more"))
    if story.last:
        dressed = "${}$".format if story.last.are_terms else escaped
        parts.append(story.last.told(dressed).replace(" %", r" \%"))
    return PREAMBLE + "\n\n".join(parts) + "\n\\end{document}\n"


def _is_long(kind: str, story: Story) -> bool:
    """Whether a column has long vectors or sums, for which a page is too narrow."""
    return any(mark in str(getattr(key, kind, "")) for key in story.keys for mark in ("…", "more"))


def _in_latex(key: Key, kind: str) -> str:
    if kind == "key":
        # As text, because a "[" or "*" at the start of a row would be read by the end of the last.
        return rf"\text{{{escaped(key.name)}}}"
    cell = key.weight_text if kind == "weight" else str(getattr(key, kind))
    return f"${cell}$".replace("·", r"\cdot").replace("…", r"\dots")


def _aligned(works: Sequence[Work]) -> list[str]:
    if not works:
        return []
    lines = []
    for work in works:
        first, *rest = work.lines
        lines.append(rf"\text{{{escaped(work.name)}}} &{_math(first)}")
        lines += [f"&{_math(line)}" for line in (*rest, *work.beside)]
    body = " \\\\\n".join(lines)
    return [f"\\begin{{align*}}\n{body}\n\\end{{align*}}"]


def _math(line: str) -> str:
    return line.replace("…", r"\dots")


FORMATS: Mapping[str, Callable[[Story, str, Display], str]] = {
    "text": text,
    "markdown": markdown,
    "latex": latex,
}
"""How a story can be written."""
