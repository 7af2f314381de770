"""`explain`: cells, vectors, steps and stories, as people ask for them."""

import io
import re
import subprocess
from pathlib import Path

import pytest

from attncli.commands.boundary import run
from tests.explain.evaluate import holds

SAMPLES = Path(__file__).parent.parent.parent / "samples"
LEE = """\
notation: columns
similarity: dot
input: [[1, 0, 1, 2], [0, 1, 1, 0]]
projections: {query: [[1, 0], [0, 1]], key: [[0, 1], [1, 0]], value: [[1, 1], [0, 1]]}
"""


@pytest.fixture
def lee(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "lee.yaml").write_text(LEE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return "lee.yaml"


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert run(["explain", *words]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def test_the_story_of_an_output(lee: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        told(capsys, lee, "b1", "--width", "80")
        == """\
b1, the first output                                          lee.yaml · columns
────────────────────────────────────────────────────────────────────────────────
O = V A′

q1 = (1·1 + 0·0, 0·1 + 1·0) = (1, 0)

     key      score           e^score   weight             value
k1   (0, 1)   1·0 + 0·1 = 0     1.000    0.134   ███       (1, 0)
k2   (1, 0)   1·1 + 0·0 = 1     2.718    0.366   ███████   (1, 1)
k3   (1, 1)   1·1 + 0·1 = 1     2.718    0.366   ███████   (2, 1)
k4   (0, 2)   1·0 + 0·2 = 0     1.000    0.134   ███       (2, 0)
              Σ                 7.437        1

b1 ≈ 0.134·(1, 0) + 0.366·(1, 1) + 0.366·(2, 1) + 0.134·(2, 0) ≈ (1.5, 0.731)

k2 and k3 hold 73 % of the weight.
deeper: attncli explain lee.yaml weights q1 k2
"""
    )


@pytest.mark.parametrize(
    "words", [["weights", "q1", "k2"], ["weights[0,1]"], ["weights", "0", "1"]]
)
def test_a_cell_and_what_it_is_made_of(
    words: list[str], lee: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told(capsys, lee, *words)
    assert "weights q1 k2 = e^1 / (e^0 + e^1 + e^1 + e^0) ≈ 2.718/7.437 ≈ 0.366" in text
    assert "scores q1 k4 = 1·0 + 0·2 = 0" in text
    assert "key k2" not in text
    assert "deeper: attncli explain lee.yaml query q1 0" in text


@pytest.mark.parametrize("output", ["0", "1"])
def test_deeper_goes_on_with_the_first_cell(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told(capsys, str(SAMPLES / "vision-transformer.yaml"), "output", output)
    assert text.endswith("feed_forward_residual class 0\n")


def test_depth_goes_back_to_the_inputs(lee: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "made of" not in told(capsys, lee, "weights", "q1", "k2", "--depth", "1")
    whole = told(capsys, lee, "weights", "q1", "k2", "--depth", "all")
    assert "key k4 1   = 1·2 + 0·0 = 2" in whole
    assert "deeper" not in whole
    assert "expected a number from 1, or all" in told(capsys, lee, "b1", "--depth", "0", code=2)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["k2"], "key k2 0 = 0·0 + 1·1 = 1"),
        (["query", "q4"], "query q4 0 = 1·2 + 0·0 = 2"),
        (["scores"], "scores q4 k3 = 2·1 + 0·1 = 2"),
        (["scores", "q2"], "scores q2 k4 = 0·0 + 1·2 = 2"),
        (["output", "b1", "1"], "output b1 1 ≈ 0.134·0 + 0.366·1 + 0.366·1 + 0.134·0 ≈ 0.731"),
        (["lse", "q1"], "lse q1 = ln(e^0 + e^1 + e^1 + e^0) = 2.006"),
    ],
)
def test_vectors_and_steps(
    words: list[str], line: str, lee: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = told(capsys, lee, *words).splitlines()
    assert line.replace("output b1 1 ≈", "output b1 1 =") in lines


@pytest.mark.parametrize("name", ["b2", "2", "q2"])
def test_outputs_answer_to_symbol_and_position(
    name: str, lee: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told(capsys, lee, name)
    assert text.startswith({"b2": "b2, the second", "2": "b3, the third", "q2": "query q2"}[name])


@pytest.mark.parametrize(
    ("keys", "lines"),
    [
        (
            "mask: [[false, false], [true, true]]\nmasked_row: nan",
            ["k1 .* −∞ +0 +nan +1", "b1 = nan·1 \\+ nan·2 = nan"],
        ),
        (
            "mask: [[false, false], [true, true]]\nmasked_row: uniform",
            ["k1 .* −∞ +0 +0.500 +█+ +1", "b1 = 0.5·1 \\+ 0.5·2 = 1.5"],
        ),
        (
            "scores: [[.inf, 1], [0, 0]]\nallow_nonfinite: true",
            ["k1 +∞ +nan +nan +1", "Σ +nan +nan"],
        ),
    ],
)
def test_a_row_that_is_not_finite(
    keys: str, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = "" if "scores" in keys else "query: [[1], [2]]\nkey: [[1], [3]]\n"
    path = tmp_path / "p.yaml"
    path.write_text(f"similarity: dot\n{vectors}value: [[1], [2]]\n{keys}\n", encoding="utf-8")
    story = told(capsys, str(path), "b1")
    for line in lines:
        assert re.search(line, story), (line, story)


def test_a_row_that_query_mask_sets_to_zero_is_no_sum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.yaml"
    table = "[[1, 0], [0, 1]]"
    path.write_text(
        f"query: {table}\nkey: {table}\nvalue: {table}\nquery_mask: [true, false]\n",
        encoding="utf-8",
    )
    assert "\nb1 ≈ 0.670·(1, 0) + 0.330·(0, 1) ≈ (0.670, 0.330)\n" in told(capsys, str(path), "b1")
    assert "\nb2 = (0, 0)\n" in told(capsys, str(path), "b2")


def test_labels_name_outputs_and_keys(capsys: pytest.CaptureFixture[str]) -> None:
    minilm = str(SAMPLES / "minilm.yaml")
    assert told(capsys, minilm, "it").startswith("it, output 11")
    cell = told(capsys, minilm, "weights", "it", "animal")
    assert "weights it animal ≈ " in cell or "weights it animal = " in cell
    assert "more: " in told(capsys, minilm, "scores", "it", "animal")


def test_heads_are_chosen_by_focus(capsys: pytest.CaptureFixture[str]) -> None:
    heads = str(SAMPLES / "two-heads.yaml")
    first = told(capsys, heads, "weights", "q1", "k2")
    second = told(capsys, heads, "weights", "q1", "k2", "--focus", "head=1")
    assert "head 0 of 2" in first
    assert "head 1 of 2" in second
    assert first.splitlines()[3:] != second.splitlines()[3:]
    assert second.splitlines()[3:] == told(capsys, heads, "weights[1,0,1]").splitlines()[3:]


def test_steps_of_layers_answer_to_the_end_of_their_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    encoder = str(SAMPLES / "encoder.yaml")
    text = told(capsys, encoder, "norm1", "0", "1")
    assert "mean = (2.424 + 1.436 + 0.497 + 3.436) / 4 ≈ 1.948" in text
    assert text == told(capsys, encoder, "layers.0.norm1", "0", "1")
    assert "I, the first output" in told(capsys, encoder, "b1")
    decoder = str(SAMPLES / "decoder.yaml")
    cross = told(capsys, decoder, "cross_attention.weights", "0", "0")
    assert cross.startswith("layers.0.cross_attention.weights")
    assert "2 steps end with 'weights'" in told(capsys, decoder, "weights", code=2)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "hint: attncli explain lee.yaml b1"),
        (["weights", "q1", "k1", "k2"], 2, "4 words after the problem"),
        (["wieghts"], 2, "did you mean weights?"),
        (["weights", "q9"], 2, "there is no query q9"),
        (["weights[7,0]"], 2, "there is no query 7"),
        (["weights[a]"], 2, "expected positions from 0"),
        (["weights[0,1]", "q1"], 2, "the place stands twice"),
        (["lse", "q1", "k1"], 2, "has no second place"),
        (["b1", "--format", "csv"], 2, "expected text, markdown, latex"),
        (["b1", "-o", "x.npz"], 2, "expected .txt .md .tex"),
    ],
)
def test_errors_teach(
    words: list[str], code: int, said: str, lee: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in told(capsys, lee, *words, code=code)


def test_where_there_are_no_weights_no_vector_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    error = told(capsys, str(SAMPLES / "convolution.yaml"), "b1", code=2)
    assert "shifts, falloff, or a label, found b1" in error


def test_a_long_attention_is_worked_for_one_query(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    rng = np.random.default_rng(7)
    path = tmp_path / "long.npz"
    arrays = {name: rng.normal(size=(7919, 3)).astype("f4") for name in ("query", "key", "value")}
    np.savez(path, **arrays)
    text = told(capsys, str(path), "weights", "7000", "17")
    assert "7913 more: " in text
    assert "too many to work by hand" in told(capsys, str(path), "scores", code=6)


def test_three_files_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, table in {"q": [[1, 2]], "k": [[1, 0], [0, 1]], "v": [[1], [2]]}.items():
        Path(f"{name}.csv").write_text("\n".join(",".join(map(str, row)) for row in table))
    text = told(capsys, "q.csv", "k.csv", "v.csv", "scores", "q1", "k2")
    assert "scores q1 k2 = 1·0 + 2·1 = 2" in text
    assert "q.csv k.csv v.csv · rows" in text


def test_files(lee: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", lee, "b1", "-o", "b1.md"]) == 0
    assert capsys.readouterr().err == "wrote b1.md: b1, the first output\n"
    page = Path("b1.md").read_text(encoding="utf-8")
    assert "| k2 | (1, 0) | 1·1 + 0·0 = 1 | 2.718 | 0.366 | ███████ | (1, 1) |" in page
    assert run(["explain", lee, "b1", "-o", "b1.md"]) == 5
    assert run(["explain", lee, "weights", "q1", "k2", "-o", "cell.tex"]) == 0
    document = Path("cell.tex").read_text(encoding="utf-8")
    assert r"\text{weights q1 k2} &= \frac{e^{1}}{e^{0} + e^{1} + e^{1} + e^{0}}" in document
    assert document.count(r"\begin{") == document.count(r"\end{")
    ascii = document.encode("ascii", "ignore").decode("ascii")
    assert ascii == document


def test_markdown_in_ascii(lee: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", page)
    assert run(["explain", lee, "b1", "--format", "markdown"]) == 0
    page.seek(0)
    row = r"| k1 | (0, 1) | 1\*0 + 0\*1 = 0 | 1.000 | 0.134 | \#\#\# | (1, 0) |"
    assert row in page.read().splitlines()


def test_a_score_that_stands_is_not_left_out(lee: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, lee, "b1", "--width", "40")
    assert "k1       0     1.000    0.134   ███\n" in text
    assert "… key, arithmetic and value left out;" in text


def test_latex_says_what_it_leaves_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.yaml"
    table = [[1.5] * 11] * 29
    path.write_text(
        f"similarity: dot\nquery: {table[:1]}\nkey: {table}\nvalue: {table}\n", encoding="utf-8"
    )
    page = told(capsys, str(path), "b1", "--format", "latex")
    assert r"\text{k1} & $24.750$ & " in page
    assert "\\dots{} key, arithmetic and value left out\n" in page
    assert "\\dots{} 5 more\n" in page


def test_a_label_begins_no_option_of_latex(capsys: pytest.CaptureFixture[str]) -> None:
    page = told(capsys, str(SAMPLES / "minilm.yaml"), "it", "--format", "latex")
    assert "\\\\\n\\text{[SEP]} & " in page


def test_hostile_labels_stay_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "query: [[1]]\nkey: [[1], [2]]\nvalue: [[1], [2]]\n"
        'labels: {query: ["\\e[31m[bold]$x_1\\\\end{x}"], key: ["a|b", "`c` 中"]}\n',
        encoding="utf-8",
    )
    for form in ("text", "markdown", "latex"):
        text = told(capsys, str(path), "0", "--format", form)
        assert "\x1b" not in text
        assert "[bold]" in text or r"\[bold\]" in text
        if form == "latex":
            assert r"\textbackslash{}end\{x\}" in text
            assert text.isascii()


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_line_is_wider_than_asked(
    path: Path, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.cells import cell_len

    capsys.readouterr()
    for words in (["output"], ["0"]):
        code = run(["explain", str(path), *words, "--width", str(width)])
        text = capsys.readouterr().out
        assert code == 0 or not text
        assert all(cell_len(line) <= width for line in text.splitlines()), text


def test_the_story_s_arithmetic_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted(SAMPLES.glob("*.yaml")):
        capsys.readouterr()
        if run(["explain", str(path), "0", "--width", "1000"]):
            continue
        for line in capsys.readouterr().out.splitlines():
            scalar = re.search(r"(?:^|   )([^ ].*·.* [=≈] −?[\d.]+)(?:   |$)", line)
            if scalar and "(" not in scalar[1] and "…" not in scalar[1]:
                text = scalar[1].split("   ")[-1]
                text = re.sub(r"^.*? [=≈] (?=.* [=≈] )", "", text)
                holds(text, float(text.split()[-1].replace("−", "-")))


@pytest.mark.heavy
def test_latex_compiles(lee: str, tmp_path: Path) -> None:
    for number, words in enumerate((["b1"], ["weights", "q1", "k2"], ["scores"])):
        name = f"page{number}.tex"
        assert run(["explain", lee, *words, "-o", name]) == 0
        subprocess.run(
            ["pdflatex", "-halt-on-error", "-interaction=batchmode", name],
            check=True,
            cwd=tmp_path,
            capture_output=True,
        )
