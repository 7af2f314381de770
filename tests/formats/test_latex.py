"""The LaTeX article: its structure, its texts, its numbers; a heavy test compiles it."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attncli import load
from attncli.core.labels import Labels
from attncli.core.step import Step
from attncli.formats import render, titles
from attncli.formats.display import Display
from attncli.formats.letters import ACCENTS, LETTERS, SIGNS, formula, text
from attncli.solve import Trace, solve
from tests.formats.traces import causal, heads, lee, random, trace
from tests.test_samples import FILES

EVIL = (
    r"\input{/etc/passwd}",
    r"100% $x_1^2$ & #~`'' -- {",
    "\\end{document}\x1b\u202e [",
    "é ệ ñ ß 中 α 😀 \u0301x",
)
COMMANDS = {
    *("documentclass", "usepackage", "setlength", "renewcommand", "textwidth", "oddsidemargin"),
    *("topmargin", "textheight", "parindent", "parskip", "arraycolsep", "arraystretch", "begin"),
    *("raggedright", "end", "LARGE", "par", "subsection", "mdseries", "displaystyle", "quad"),
    *("text", "hline", "Sigma", "cdot", "cdots", "vdots", "infty", "hspace", "mathindent", "frac"),
    *("sqrt", "left", "right", "top", "approx", "operatorname", "underbrace", "textit", "dots"),
    *("textbackslash", "textasciicircum", "textasciitilde", "ensuremath", "ln", "tanh", "max"),
    *("surd", "alpha", "varepsilon", "textstyle", "sum", "bigskip", "i", "j", "times", "to"),
    *re.findall(r"[A-Za-z]+", "".join((*LETTERS.values(), *SIGNS.values()))),
    *filter(str.isalpha, ACCENTS.values()),
}


def article(shown: Trace, **display: Any) -> str:
    return render(shown, Display(**display), "latex")


def labelled(names: tuple[str, ...] = EVIL) -> Trace:
    presentation = causal().problem.presentation
    return causal(presentation=replace(presentation, labels=Labels(names, names), title=names[1]))


def check(tex: str) -> None:
    """Balanced braces, environments, mathematics and brackets; known commands; ASCII."""
    assert tex.isascii()
    bare = re.sub(r"\\[{}\\#$%&_]", "", tex)
    assert bare.count("{") == bare.count("}")
    depth = 0
    for letter in bare:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    stack: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", tex):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert not stack
    assert tex.count(r"\left") == tex.count(r"\right")
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]")):
        assert tex.count(opening) == tex.count(closing)
    assert not re.search(r"(?<!\\)[#$%]", tex)
    assert tex.rstrip().endswith(r"\end{document}")
    commands = {*re.findall(r"\\([A-Za-z]+)", tex.replace(r"\\", " "))}
    assert commands <= COMMANDS, commands - COMMANDS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_structure_of_every_sample(path: Path) -> None:
    problem = load(path)
    if problem.memory(None) > 1e6:
        pytest.skip("too large to read")
    check(article(solve(problem)))


def test_structure_of_hostile_texts() -> None:
    tex = article(labelled())
    check(tex)
    assert r"\textbackslash{}input\{/etc/passwd\}" in tex
    assert tex.count(r"\end{document}") == 1
    assert r"\end{document}" in tex.splitlines()[-1]


def test_only_amsmath_is_asked_for() -> None:
    assert re.findall(r"\\usepackage.*", article(lee())) == [r"\usepackage{amsmath}"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a_b 5% {x}", r"a\_b 5\% \{x\}"),
        ("é ñ ệ", r"\'{e} \~{n} \^{\d{e}}"),
        ("ï", r"\"{\i}"),
        ("中", r"\textbackslash{}u4e2d"),
        ("α", r"\ensuremath{\alpha}"),
        ("a--b ''", r"a-{}-b '{}'"),
        ("\x1b", r"\textbackslash{}x1b"),
        ("<|>", r"\ensuremath{<}\ensuremath{|}\ensuremath{>}"),
    ],
)
def test_texts(words: str, expected: str) -> None:
    assert text(words) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("S = Q Kᵀ", r"S = Q K^{\top}"),
        ("S / √d_k", r"S / \sqrt{d_{k}}"),
        ("Q = X Wq", "Q = X W_{q}"),
        ("H = X W1 + b1", "H = X W_{1} + b_{1}"),
        ("the heads side by side", r"\text{the heads side by side}"),
        ("−∞ where a key is excluded", r"-\infty \ \text{where a key is excluded}"),
        ("softmax(S / T), T = 2", r"\text{softmax}(S / T),\ T = 2"),
    ],
)
def test_formulas(words: str, expected: str) -> None:
    assert formula(words) == expected


def matrices(tex: str) -> list[list[list[str]]]:
    """The rows of each array, without rules."""
    arrays = re.findall(r"\\begin\{array\}\{[r|]*\}\n(.*?)\n\\end\{array\}", tex, re.DOTALL)
    return [
        [
            [cell.strip() for cell in line.replace(r"\hline", "").removesuffix(r" \\ ").split("&")]
            for line in re.sub(r" \\\\ *(\\hline)?$", "", array, flags=re.MULTILINE).splitlines()
        ]
        for array in arrays
    ]


def test_matrices_hold_the_numbers_of_the_json_report() -> None:
    shown = heads(n_heads=2)
    step = json.loads(render(shown, Display(), "json"))["steps"][-2]
    assert step["name"] in ("weights", "output", "heads")
    found = matrices(article(shown, steps=(step["name"],)))
    values = np.array(step["value"]).reshape(-1, *np.shape(step["value"])[-2:])
    assert len(found) == len(values) == 4
    for rows, value in zip(found, values, strict=True):
        body = rows[-len(value) :]
        n = value.shape[1]
        numbers = np.array([[float(cell) for cell in row[1 : n + 1]] for row in body])
        assert np.abs(numbers - value).max() <= 0.0005001


def test_labels_and_masked_cells() -> None:
    tex = article(causal(), steps=("weights",))
    (rows,) = matrices(tex)
    assert rows[0] == ["", *(rf"\text{{{word}}}" for word in causal().labels.key), r"\Sigma"]
    assert rows[1] == [r"\text{the}", "1.000", r"\cdot", r"\cdot", r"\cdot", "1"]
    masked = matrices(article(causal(), steps=("masked",)))[0]
    assert masked[1][2] == r"-\infty"


def test_a_wide_matrix_goes_on_below() -> None:
    shown = random(3, 23, 2)
    found = matrices(article(shown, steps=("scores",)))
    assert len(found) > 1
    names = [name for rows in found for name in rows[0] if name]
    assert names == [rf"\text{{k{i + 1}}}" for i in range(23)]
    first = np.array([[float(cell) for rows in found for cell in rows[1][1:]]])
    assert np.abs(first - shown["scores"][0]).max() <= 0.0005001


def test_long_axes_show_their_ends_and_say_so() -> None:
    tex = article(random(40, 30, 4), steps=("scores",))
    check(tex)
    assert "24 of 40 queries, 14 of 30 keys left out" in tex
    assert r"\vdots" in tex
    assert sum(rf"\text{{k{i + 1}}}" in tex for i in range(30)) == 16


def test_worked_numbers_are_named() -> None:
    tex = article(lee(), steps=("scores", "output"))
    assert r"q1, k2:\quad \(\displaystyle 1 \cdot 1 + 0 \cdot 0 = 1\)" in tex
    assert tex.count(r"\displaystyle") == 2 + 4 + 2  # formulas, scores of q1, both features of b1


def test_large_and_special_numbers() -> None:
    values = np.array([[1e-30, 2.5e20], [np.nan, np.inf]])
    shown = trace(Step("output", values, ("query", "feature")))
    tex = article(shown)
    check(tex)
    assert r"\text{nan}" in tex
    assert r"\infty" in tex
    assert r"1.000 \cdot 10^{-30} & 2.500 \cdot 10^{20}" in tex


def test_empty_steps_say_so() -> None:
    assert "empty" in article(trace(Step("output", np.empty((0, 2)), ("query", "feature"))))


def formulas() -> list[str]:
    tables = [*titles.SIMILARITIES.values(), *titles.LAYERS.values(), titles.NORMALIZERS]
    tables += [table for of_kind in titles.FORMULAS.values() for table in of_kind.values()]
    return sorted({found for table in tables for found in table.values()})


@pytest.mark.parametrize("words", formulas())
def test_every_letter_of_a_formula_has_its_sign(words: str) -> None:
    assert "textbackslash" not in formula(words)


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
def test_latex_compiles(tmp_path: Path) -> None:
    articles = {path.stem: article(solve(load(path))) for path in FILES}
    articles["hostile"] = article(labelled())
    long = tuple(f"{letter * 7} " * 40 + letter for letter in "abcd")
    articles["long"] = article(labelled(long))
    articles["wide"] = article(random(40, 30, 4))
    every = "\n\n".join(rf"\({formula(found)}\)" for found in formulas())
    letters = "\n\n".join(text(chr(code)) + "." for code in range(0x20, 0x250))
    articles["all"] = article(lee()).replace(
        r"\end{document}", f"{every}\n\n{letters}\n\\end{{document}}"
    )
    for name, tex in articles.items():
        (tmp_path / f"{name}.tex").write_text(tex, encoding="ascii")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
        log = (tmp_path / f"{name}.log").read_text(encoding="latin-1")
        assert done.returncode == 0, log[-2000:]
        assert "Missing character" not in log, name
        too_wide = [float(width) for width in re.findall(r"Overfull \\hbox \((\d+)", log)]
        assert max(too_wide, default=0) < 5, name
