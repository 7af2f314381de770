"""Measurements as a table, as JSON, as Markdown, and as plots against n."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len

from attncli.bench.measure import Row
from attncli.formats.display import Display, spelled
from attncli.formats.layout import Panel, Paper, Span, columns
from attncli.formats.plot import Curves, amount, lettered, svg
from attncli.formats.table import written

OURS = "attncli"
LEAST = 100_000
"""Bytes that a plot shows at least: below, a process's size says nothing."""


@dataclass(frozen=True)
class Bench:
    """All that was measured in one run, and where."""

    rows: Sequence[Row]
    peers: tuple[str, ...]
    peaks: Mapping[str, float]
    machine: Mapping[str, Any]


def table(bench: Bench, display: Display) -> str:
    """The rows, and where sizes differ, plots of time and memory."""
    paper = Paper(display, cell_len)
    between = " | " if display.ascii else " · "
    lines: Panel = [paper.line(Span("Attention on this machine", "head"))]
    facts = between.join(f"{value}" for value in bench.machine.values())
    peaks = ", ".join(f"{dtype} {value:.0f}" for dtype, value in bench.peaks.items())
    lines += paper.prose(facts, "dim")
    lines += paper.prose(f"matrix-product peak in GFLOP/s: {peaks}", "dim")
    lines.append(paper.rule())
    lines += columns(_cells(bench), paper)
    lines.append(paper.line())
    lines += paper.prose(LEGEND, "dim")
    text = written(lines, display)
    for title, unit, curves in _plots(bench):
        drawn = lettered(title, unit, curves, display)
        text += "\n" + (_spelled(drawn) if display.ascii else drawn)
    return text


LEGEND = (
    "Medians; ± half of fastest to slowest. × a peer: our time by its time, below 1 we are faster. "
    "Memory: the most beside the inputs, in a process of its own."
)


def _spelled(text: str) -> str:
    """A drawing in ASCII, its blanks kept."""
    return "".join(spelled(letter) or letter for letter in text)


def _cells(bench: Bench) -> list[list[str]]:
    head = ["case", "n", "time", "±", "GFLOP/s", "of peak", "memory"]
    related = any(row.to_full is not None for row in bench.rows)
    head += ["÷ full"] * related + [f"× {name}" for name in bench.peers]
    cells = [head]
    for row in bench.rows:
        line = [
            row.trial.case.name,
            str(row.trial.n),
            amount(row.ours.median, "s"),
            f"{100 * row.ours.spread:.0f} %",
            f"{row.gflops:.0f}",
            f"{100 * row.share:.0f} %",
            "–" if row.memory is None else amount(row.memory, "B"),
        ]
        if related:
            line.append("" if row.to_full is None else f"{row.to_full:.2f}")
        for name in bench.peers:
            line.append(row.left_out.get(name) or f"{row.ratio(name):.2f}")
        cells.append(line)
    return cells


def _plots(bench: Bench) -> list[tuple[str, str, Curves]]:
    """Time and memory of each case against n, where it was run at several."""
    plots: list[tuple[str, str, Curves]] = []
    for name in dict.fromkeys(row.trial.case.name for row in bench.rows):
        rows = [row for row in bench.rows if row.trial.case.name == name]
        if len(rows) < 2:
            continue
        times: dict[str, list[tuple[float, float]]] = {
            OURS: [(row.trial.n, row.ours.median) for row in rows]
        }
        memory: dict[str, list[tuple[float, float]]] = {
            OURS: [(row.trial.n, max(row.memory, LEAST)) for row in rows if row.memory is not None]
        }
        for peer in bench.peers:
            times[peer] = [(r.trial.n, r.peers[peer].median) for r in rows if peer in r.peers]
            found = ((r.trial.n, r.peer_memory.get(peer)) for r in rows)
            memory[peer] = [(n, max(size, LEAST)) for n, size in found if size is not None]
        plots.append((f"{name}: time", "s", {k: v for k, v in times.items() if v}))
        if any(memory.values()):
            plots.append((f"{name}: memory", "B", {k: v for k, v in memory.items() if v}))
    return plots


def as_json(bench: Bench) -> str:
    """Every run, in seconds and bytes."""
    rows = [
        {
            "case": row.trial.case.name,
            "n": row.trial.n,
            "heads": row.trial.heads,
            "kv_heads": row.trial.kv_heads,
            "d": row.trial.d,
            "dtype": row.trial.case.dtype,
            "seconds": row.ours.median,
            "runs": row.ours.runs,
            "gflops": row.gflops,
            "share_of_peak": row.share,
            "memory": row.memory,
            "to_full": row.to_full,
            "peers": {
                name: {
                    "seconds": times.median,
                    "runs": times.runs,
                    "ratio": row.ratio(name),
                    "memory": row.peer_memory.get(name),
                }
                for name, times in row.peers.items()
            },
            "left_out": row.left_out,
        }
        for row in bench.rows
    ]
    whole = {"attncli": 1, "machine": bench.machine, "peak_gflops": bench.peaks, "rows": rows}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def markdown(bench: Bench) -> str:
    """One table, and what it was measured on."""
    head, *body = _cells(bench)
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    facts = ", ".join(str(value) for value in bench.machine.values())
    peaks = ", ".join(f"{dtype} {value:.0f} GFLOP/s" for dtype, value in bench.peaks.items())
    rows = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{rows}\n\n{facts}; matrix-product peak: {peaks}. {LEGEND}\n"


def picture(bench: Bench) -> str:
    """The plots as SVG; of one size, a plot of points."""
    plots = _plots(bench)
    if not plots:
        rows = bench.rows
        curves = {OURS: [(row.trial.n, row.ours.median) for row in rows]}
        plots = [("time", "s", curves)]
    return svg(plots, "Attention on this machine: " + str(next(iter(bench.machine.values()))))
