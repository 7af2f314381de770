"""What people see at a terminal."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

from attncli.core.labels import Labels
from attncli.core.normalize import NORMALIZERS
from attncli.core.step import Step
from attncli.formats import render
from attncli.formats.display import Display
from tests.formats.traces import causal, heads, lee, random, trace
from tests.random_problems import SUM_TO_ONE

LEE = """\
Self-attention of four vectors
columns · 4 queries × 4 keys · d 2 · dot, unscaled · float64
────────────────────────────────────────────────────────────────────────────────
1 Queries  Q           Keys  K              Values  V
   q1  q2  q3  q4       k1  k2  k3  k4       v1  v2  v3  v4
    1   0   1   2        0   1   1   0        1   1   2   2
    0   1   1   0        1   0   1   2        0   1   1   0

2 Scores  A = KᵀQ       3 Weights  A′ = softmax(A), down each column
      q1  q2  q3  q4             q1       q2       q3       q4
  k1   0   1   1   0      k1  0.134 ▁  0.197 ▂  0.134 ▁  0.060 ▁
  k2   1   0   1   2      k2  0.366 ▃  0.072 ▁  0.134 ▁  0.440 ▄
  k3   1   1   2   2      k3  0.366 ▃  0.197 ▂  0.366 ▃  0.440 ▄
  k4   0   2   2   0      k4  0.134 ▁  0.534 ▄  0.366 ▃  0.060 ▁
                          Σ   1        1        1        1

4 Output  O = V A′
      b1     b2     b3     b4
   1.500  1.731  1.731  1.500
   0.731  0.269  0.500  0.881
"""

CAUSAL_60 = """\
What does it see?
rows · 4 queries × 4 keys · d 2 · dot, scaled · float64
────────────────────────────────────────────────────────────
1 Masked  −∞ where a key is excluded
             the  animal  didn't  cross
  the      1.414      −∞      −∞     −∞
  animal  -4.950   0.000      −∞     −∞
  didn't      −∞      −∞      −∞     −∞
  cross    9.192   0.354  -4.950  1.414

2 Weights  A = softmax(S)
            the    animal    didn't    cross    Σ
  the     1.000 █    ·         ·        ·       1
  animal  0.007 ▁   0.993 █    ·        ·       1
  didn't   ·         ·         ·        ·       0
  cross   0.999 █   0.000 ▁   0.000 ▁  0.000 ▁  1
"""

GONE = re.compile(r"\x1b\[[0-9;]*m")


def table(shown: Any, **display: Any) -> str:
    return render(shown, Display(**display), "table")


def test_the_model_screen() -> None:
    assert table(lee()) == LEE


def test_a_masked_cell_is_no_zero() -> None:
    text = table(causal(), width=60, steps=("masked", "weights"))
    assert text.startswith(CAUSAL_60)
    assert "! didn't may attend to nothing" in text


def test_ascii_has_no_other_byte() -> None:
    labels = Labels(("das", "Tier", "überquerte", "中"), ("a", "b", "c", "d"))
    shown = causal()
    presentation = replace(shown.problem.presentation, labels=labels, title="Où?")
    shown = causal(presentation=presentation)
    text = table(shown, ascii=True, width=100)
    assert text.isascii()
    for expected in (
        "sqrt(d_k)",
        "Q K^T",
        "-inf where",
        "sum",
        r"\xfcberquerte",
        r"\u4e2d",
        "O\\xf9?",
    ):
        assert expected in text
    row = next(line for line in text.splitlines() if line.startswith("  das") and "@" in line)
    assert row.split() == ["das", "1.000", "@", ".", ".", ".", "1"]


def test_colour_changes_no_letter() -> None:
    shown = causal()
    plain, colored = table(shown), table(shown, color=True)
    assert GONE.sub("", colored) == plain
    assert "\x1b[1;38;5;231;48;5;63m 1.000 █ \x1b[0m" in colored
    assert "\x1b" not in plain


@pytest.mark.parametrize("width", [20, 40, 60, 80, 140, 200])
@pytest.mark.parametrize("shown", [lee(), causal(), heads(), random(40, 50, 30)])
def test_no_line_is_too_wide(shown: Any, width: int) -> None:
    for line in table(shown, width=width).splitlines():
        assert cell_len(line) <= width
        assert line == line.rstrip()


def test_corners_and_counts() -> None:
    text = table(random(100, 128, 64), steps=("query", "weights"))
    assert "… 94 of 100 queries, 56 of 64 features left out" in text
    assert "… 88 of 100 queries, 121 of 128 keys left out" in text
    assert "  q100 " in text
    assert "  q50 " not in text
    assert "--focus" in text.splitlines()[-1]


def test_left_out_columns_are_counted() -> None:
    """What is printed and what is left out make the whole, at every width."""
    shown = random(3, 31, 4)
    for width in range(20, 200, 7):
        text = table(shown, width=width, steps=("scaled",))
        names = re.findall(r"\bk\d+\b", text)
        left_out = re.search(r"… (\d+) of 31\s+keys", text)
        assert len(names) + int(left_out[1] if left_out else 0) == 31


def test_one_query_with_many_keys_becomes_a_column() -> None:
    text = table(random(16, 16, 4), steps=("scores", "weights"), focus={"query": 9})
    lines = text.splitlines()
    assert lines[2] == "1 Scores  S = Q Kᵀ    2 Weights  A = softmax(S)"
    assert lines[3].split() == ["q10", "q10"]
    assert [line.split()[0] for line in lines[4:20]] == [f"k{i}" for i in range(1, 17)]
    assert lines[20].split() == ["Σ", "1"]


def test_focus_selects_and_keeps_names() -> None:
    shown = causal()
    text = table(
        shown, steps=("query", "scaled", "weights"), focus={"query": slice(1, 3), "key": 1}
    )
    assert re.search(r"^  animal +0\.000 +animal +0\.993 █$", text, re.MULTILINE)
    assert "  the" not in text
    assert "cross" not in text
    assert "Σ" not in text  # not all keys are there to be summed


def test_heads_stand_beside_each_other() -> None:
    lines = table(heads(3, 1), steps=("output",), width=80).splitlines()
    assert re.fullmatch(r"  batch 0 · head 0 +batch 0 · head 1 +batch 0 · head 2", lines[4])


def test_tables_left_out_are_counted() -> None:
    assert "… 2 of 6 tables left out" in table(heads(3, 2), steps=("output",))
    assert "batch 1 · head 2" in table(
        heads(3, 2), steps=("output",), focus={"batch": 1, "head": 2}
    )


def test_a_focused_head_finds_its_key_head() -> None:
    key = np.arange(12.0).reshape(2, 3, 2)
    query = np.arange(24.0).reshape(4, 3, 2)
    axes = ("head", "query", "feature")
    shown = trace(Step("query", query, axes), Step("key", key, ("head", "key", "feature")))
    text = table(shown, focus={"head": 3})
    assert "head 3" in text
    assert "head 1" in text
    assert "head 0" not in text
    assert "head 2" not in text


def test_sums_where_they_must_be_one() -> None:
    for name, normalizer in NORMALIZERS.items():
        text = table(causal(normalizer=normalizer()), steps=("weights",))
        assert ("Σ" in text) == (name in SUM_TO_ONE)


def test_a_sink_takes_its_share() -> None:
    row = table(causal(sink=np.array([[1.0]])), steps=("weights",)).splitlines()[4]
    assert row.split() == ["the", "0.602", "▅", "·", "·", "·", "0.602"]


@pytest.mark.parametrize("ascii", [True, False])
def test_no_control_sequence_and_no_markup(ascii: bool) -> None:
    labels = ("[red]x[/red]", "\x1b[31m", "a\u202eb", "\x9b1m\n")
    shown = causal()
    presentation = replace(
        shown.problem.presentation, title="[bold]t[/]\x07\r\n", labels=Labels(labels, labels)
    )
    text = table(causal(presentation=presentation), ascii=ascii, width=200)
    for expected in ("[red]x[/red]", r"\x1b[31m", r"a\u202eb", r"\x9b1m\x0a", r"[bold]t[/]\x07"):
        assert expected in text
    assert text.replace("\n", "").isprintable()


def test_long_labels_stay_different() -> None:
    names = ("internationalization", "internationalisation", "internationally", "short")
    shown = causal()
    presentation = replace(shown.problem.presentation, labels=Labels(names, names))
    wide = table(causal(presentation=presentation), width=200, steps=("weights",))
    assert all(name in wide for name in names)
    narrow = table(causal(presentation=presentation), width=60, steps=("weights",))
    lines = narrow.splitlines()[1:]
    rows = [line.split()[0] for line in lines[4:8]]
    assert len({*rows}) == 4
    assert rows[3] == "short"
    columns = lines[3].replace("Σ", "").split()
    assert len({*columns}) == len(columns)


def test_wide_letters_are_measured() -> None:
    names = ("中文", "🙂", "e\u0301", "x")
    shown = causal()
    presentation = replace(shown.problem.presentation, labels=Labels(names, names))
    lines = table(causal(presentation=presentation), steps=("weights",)).splitlines()[4:8]
    points = [cell_len(line[: re.search(r"[.·]", line).start()]) for line in lines]
    assert len({*points}) == 1


def test_magnitudes_keep_their_alignment() -> None:
    values = np.array([[1e-9, 1e8, 1.0], [2.5e-7, -3.0, -0.0], [0.0, 1e-3, np.nan]])
    lines = table(trace(Step("output", values, ("query", "feature")))).splitlines()[3:6]
    assert lines == [
        "  b1  1.000e-09   1.000e+08  1.000e+00",
        "  b2  2.500e-07  -3.000e+00  0.000e+00",
        "  b3  0.000e+00   1.000e-03        nan",
    ]


def test_integers_have_no_decimals() -> None:
    values = np.array([[1.0, -20.0], [-0.0, 3.0]])
    lines = table(trace(Step("output", values, ("query", "feature")))).splitlines()[3:5]
    assert lines == ["  b1  1  -20", "  b2  0    3"]


def test_lse_is_shown_on_request() -> None:
    assert "Log-sum-exp" not in table(causal())
    lines = table(causal(), steps=("lse",)).splitlines()[2:5]
    assert lines == ["1 Log-sum-exp  log Σ exp(S)", "  the     1.414", "  animal  0.007"]


def test_no_steps() -> None:
    assert table(lee(), steps=()).count("\n") == 3
