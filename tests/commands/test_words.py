"""What commands say where few people look: options at their edges, quiet runs, wrong asks."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.cells import cell_len

from attncli import __version__
from attncli.commands.boundary import run

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("causal", "two-heads", "encoder"):
        shutil.copy(SAMPLES / f"{name}.yaml", tmp_path)
    (tmp_path / "weights.yaml").write_text(
        "query: [[1, 0]]\nkey: [[1, 0], [0, 1]]\nlabels: {query: [it], key: [x, y]}\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("attend causal.yaml --focus query=0,query=1", "query stands there twice"),
        ("attend causal.yaml --focus 2:1", "--focus query=2:1 is empty"),
        ("attend causal.yaml --focus batch=0", "expected a query, or query=PLACE"),
        ("attend causal.yaml --tile 0", "--tile 0\n  expected auto, none or a number from 1"),
        ("attend causal.yaml --threads 0", "--threads 0\n  expected 1 or more"),
        ("attend causal.yaml --max-memory nan", "expected a size such as 500MB or 2GiB"),
        ("attend causal.yaml --max-memory 1e30", "expected a size such as 500MB or 2GiB"),
        ("attend causal.yaml --max-memory -5", "expected a size such as 500MB or 2GiB"),
        ("attend causal.yaml --max-memory 5xb", "expected a size such as 500MB or 2GiB"),
        ("attend causal.yaml --simulate float16 --focus sat", "--focus goes with the steps"),
        ("attend causal.yaml --simulate float16 --digits 2", "--digits goes with the steps"),
        ("attend causal.yaml --simulate float16 --cluster tcp://x", "--simulate with --cluster"),
        ("attend causal.yaml --steps ,", "--steps is empty"),
        ("attend causal.yaml --simulate float16 -o made.npz", "expected .txt .json .csv"),
        ("attend causal.yaml --simulate float16 --format html", "expected table, json, csv"),
        ("verify causal.yaml causal.yaml -o made.md", "expected .txt .json .csv, found .md"),
        ("verify causal.yaml causal.yaml -o made.csv", "csv goes with --points"),
        ("verify causal.yaml causal.yaml --threads 0", "--threads 0\n  expected 1 or more"),
        ("bench --width 5", "--width 5\n  expected 20 to 10000"),
        ("batch causal.yaml -o made/{stem}.npz --threads 0", "--threads 0\n  expected 1 or more"),
        ("explain causal.yaml weights --format json", "expected text, markdown, latex"),
        ("explain causal.yaml weights[0,1,2]", "expected positions from 0 on query, key"),
        ("explain causal.yaml weights[x]", "expected positions from 0 on query, key"),
        ("explain causal.yaml weights[0,4]", "there is no key 4\n  expected a position from 0"),
        ("explain causal.yaml lse sat the", "lse sat the: lse has no second place"),
        ("inspect causal.yaml two-heads.yaml -o x.json", "-o converts one file, not 2"),
        ("new causal somewhere", "expected new causal -o somewhere"),
        ("new -o x.yaml", "new -o without KIND"),
        ("new vectors", "new vectors needs a directory"),
        ("new exercise 7", "expected new exercise --seed 7, found 7"),
        ("new exercise week3.yaml", "expected new exercise -o week3.yaml"),
        ("new causal --seed 7", "--seed and --kind are of exercises"),
        ("new exercise --seed 7 -o e.docx", "expected .yaml"),
        ("learn --check", "learn --check needs files"),
        ("--completely", "no such option: --completely"),
    ],
)
def test_a_wrong_ask_is_answered(
    line: str, words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(here.iterdir())
    assert run(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert words in err
    assert len(err.splitlines()) <= 4
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("explain causal.yaml output sat -o o.md", "o.md: sat, the third output"),
        ("verify causal.yaml right.npy -o v.txt", "v.txt"),
        ("new padding -o new.yaml", "new.yaml"),
        ("new exercise --seed 3 -o e.yaml", "e.yaml, e-sheet.yaml, e-key.yaml"),
        ("inspect right.npy -o right.csv", "right.csv"),
        (
            "bench --cases full --n 8 --heads 1 --d 4 --repeat 1 -o b.json",
            "b.json: 1 measurement as json",
        ),
    ],
)
def test_what_was_written_is_said_unless_quiet(
    line: str, made: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["attend", "causal.yaml", "-o", "right.npy", "-q"]) == 0
    assert run([*line.split(), "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    assert run([*line.split(), "-f"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"wrote {made}")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("attend causal.yaml", r"computed in [\d.e-]+ s on numpy\n"),
        ("verify causal.yaml right.npy", r"compared and searched in [\d.e-]+ s\n"),
    ],
)
def test_verbose_tells_the_time_beside_the_result(
    line: str, words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["attend", "causal.yaml", "-o", "right.npy", "-q"]) == 0
    assert run(line.split()) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert run([*line.split(), "-v"]) == 0
    verbose, err = capsys.readouterr()
    assert verbose == out
    assert re.fullmatch(words, err)


@pytest.mark.parametrize(
    ("line", "first", "last"),
    [
        ("causal.yaml output sat", "sat, the third output", "≈ (0.752, 0.752)"),
        ("two-heads.yaml weights[2,1]", "weights q3 k2 ", "≈ 0.212"),  # of the head in front
        ("two-heads.yaml weights[2,1] --focus head=1", "weights q3 k2 ", "≈ 0.090"),
        ("two-heads.yaml weights[1,2,1]", "weights q3 k2 ", "≈ 0.090"),
        ("weights.yaml it", "weights it ", "weights it x = e^0.707 / (e^0.707 + e^0)"),
        ("weights.yaml y", "key y ", "key y 1 = 1"),
    ],
)
def test_the_words_after_the_problem_choose_what_is_explained(
    line: str, first: str, last: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", *line.split()]) == 0
    told = capsys.readouterr().out
    assert told.startswith(first)
    assert last in told


def test_inspect_of_a_problem_that_is_piped_in_says_its_settings(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ["--window", "[2, null]", "--align", "top-left"]
    with open("causal.yaml", encoding="utf-8") as piped:
        monkeypatch.setattr("sys.stdin", piped)
        assert run(["inspect", "-", *flags]) == 0
    out = capsys.readouterr().out
    assert out.endswith("  settings causal on, align top-left, window [2, null]\n")
    assert run(["inspect", "causal.yaml", "-o", "-", *flags]) == 0
    whole = capsys.readouterr().out
    assert whole.startswith(out)  # and then its tensors
    assert "value" in whole.removeprefix(out)


def test_a_sample_with_data_says_how_to_get_it_and_goes_into_a_directory(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", "minilm"]) == 0
    out, err = capsys.readouterr()
    assert out == (SAMPLES / "minilm.yaml").read_text(encoding="utf-8")
    assert err == "-o minilm.yaml copies minilm.npz too\n"
    (here / "mine").mkdir()
    assert run(["new", "minilm", "-o", "mine"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "wrote mine/minilm.yaml, mine/minilm.npz",
        "next: attncli attend mine/minilm.yaml",
    ]
    assert (here / "mine" / "minilm.npz").read_bytes() == (SAMPLES / "minilm.npz").read_bytes()


def test_an_exercise_without_a_seed_draws_one_and_names_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", "exercise"]) == 0
    drawn = capsys.readouterr().out
    seed = str(yaml.safe_load(drawn)["title"]).removeprefix("Exercise ")
    assert run(["new", "exercise", "--seed", seed]) == 0
    assert capsys.readouterr().out == drawn


def test_the_version_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr() == (f"attncli {__version__}\n", "")


def test_without_a_command_there_are_three_to_try(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([]) == 0
    tries = re.findall(r"^ *attncli (?!--help)(.*?)(?:  .*)?$", capsys.readouterr().out, re.M)
    assert len(tries) == 3
    for line in tries:
        assert run(line.split()) == 0


def test_dry_run_tells_what_is_done_what_will_fail_and_what_is_too_large(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, n in (("a", 3), ("b", 3), ("large", 200)):
        np.savez(f"{name}.npz", query=np.ones((n, 2)), key=np.ones((n, 2)))
    assert run(["batch", "a.npz", "-o", "out/{stem}.npz", "-q"]) == 0
    (here / "broken.npz").write_bytes(b"PK")
    paths = ["a.npz", "b.npz", "broken.npz", "large.npz"]
    words = ["batch", *paths, "-o", "out/{stem}.npz", "--dry-run", "-j", "1"]
    assert run([*words, "--max-memory", "100kB"]) == 0
    done, small, broken, large, sums = capsys.readouterr().out.splitlines()[1:]
    assert re.fullmatch(r" +0  out/a.npz +done", done)
    assert re.fullmatch(r" +1  out/b.npz +3 queries × 3 keys .* bytes +[\d.]+ ms", small)
    assert re.search(r"out/broken.npz +fails: the archive is damaged", broken)
    assert re.search(r" MB over the limit +[\d.]+ ms$", large)
    assert re.fullmatch(
        r"4 jobs, 1 done, 3 to do, 1 will fail, about [\d.]+ ms on 1 thread, "
        r"at most [\d.]+ MB a job, 100 kB allowed",
        sums,
    )
    assert run(["batch", "a.npz", "-o", "out/{stem}.npz", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 job, 1 done, 0 to do"
    assert sorted(path.name for path in (here / "out").iterdir()) == ["a.npz"]


def test_numbers_without_end_are_wrong_and_no_bug(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endless = "9" * 5000
    problem = str(SAMPLES / "soft-addressing.yaml")
    for words in (
        ["explain", problem, "b1", "--depth", endless],
        ["explain", problem, f"weights[0,{endless}]"],
        ["attend", problem, "--tile", endless],
        ["bench", "--n", endless],
        ["learn", endless],
    ):
        assert run(words) == 2, words
    assert "Traceback" not in capsys.readouterr().err


def test_wide_letters_take_their_room_in_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "wide.npz", 鍵=np.zeros((2, 3)), key=np.zeros((5, 7)))
    assert run(["inspect", str(tmp_path / "wide.npz")]) == 0
    *_, first, second = capsys.readouterr().out.splitlines()
    assert cell_len(first[: first.index("2×3")]) == cell_len(second[: second.index("5×7")])
