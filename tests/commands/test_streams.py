"""Standard streams that are closed, or that speak little."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.commands.surroundings import CASES, furnish

PROBLEM = "query: [[1, 0]]\nkey: [[1, 0], [0, 1]]\nvalue: [[1], [2]]\nscale: 5\n"


def shell(folder: Path, line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A shell line in which `attncli` runs this package."""
    command = f'attncli() {{ "{sys.executable}" -m attncli "$@"; }}; {line}'
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=buffered(**environment), capture_output=True
    )


def buffered(**environment: str) -> dict[str, str]:
    """The environment of users: what is written waits in a buffer."""
    home = str(Path(__file__).resolve().parents[2])
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**kept, "PYTHONPATH": home, **environment}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("line", ["new", "attend --help", "inspect --help", "attend p.yaml"])
def test_a_terminal_of_few_letters_gets_what_it_can_show(
    encoding: str, line: str, tmp_path: Path
) -> None:
    (tmp_path / "p.yaml").write_text(PROBLEM)
    done = shell(tmp_path, f"attncli {line}", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    done.stdout.decode(encoding)


def test_a_redirected_sample_is_the_sample_whatever_the_terminal_speaks(tmp_path: Path) -> None:
    shell(tmp_path, "attncli new translation > t.yaml", PYTHONIOENCODING="ascii")
    samples = Path(__file__).resolve().parents[2] / "samples"
    assert (tmp_path / "t.yaml").read_bytes() == (samples / "translation.yaml").read_bytes()


QUICK = ["attend", "verify json", "--help", "error of a file"]
"""One case a kind of output for the default run; the heavy one takes them all."""
SILENT = {
    name for name, case in CASES.items() if "-o" in case.words and "--dry-run" not in case.words
}
"""Cases that write no result on stdout."""


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("streams")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        furnish(folder)
        yield folder


def cases(*, quick: Sequence[str] = QUICK) -> pytest.MarkDecorator:
    """Every case; those that are not quick only in the heavy run."""
    heavy = pytest.mark.heavy
    names = [name if name in quick else pytest.param(name, marks=heavy) for name in CASES]
    return pytest.mark.parametrize("name", names)


def line_of(name: str) -> str:
    return shlex.join(["attncli", *CASES[name].words])


@cases()
def test_a_stdout_that_takes_nothing_is_an_output_that_cannot_be_written(
    name: str, furnished: Path
) -> None:
    for stream in (">&-", ">/dev/full"):
        done = shell(furnished, f"{line_of(name)} {stream}")
        code = CASES[name].code
        assert done.returncode == (code if name in SILENT or code > 1 else 5), stream
        assert b"Traceback" not in done.stderr
        said = done.stderr.decode().splitlines()
        wrong = [line for line in said if "error: " in line]
        assert len(wrong) == (done.returncode > 1) or name == "batch fails", said
        assert code > 1 or name in SILENT or "cannot write" in wrong[0]


@cases(quick=["attend file", "error of a file"])
def test_a_stderr_that_takes_nothing_changes_no_exit_code(name: str, furnished: Path) -> None:
    whole = shell(furnished, line_of(name))
    for stream in ("2>&-", "2>/dev/full"):
        done = shell(furnished, f"{line_of(name)} {stream}")
        assert (done.returncode, done.stderr) == (CASES[name].code, b""), stream
        assert same(name, done.stdout, whole.stdout), stream


@cases(quick=["attend", "error of a file"])
def test_two_closed_streams_leave_an_exit_code(name: str, furnished: Path) -> None:
    done = shell(furnished, f"{line_of(name)} >&- 2>&-")
    code = CASES[name].code
    assert done.returncode == (code if name in SILENT or code > 1 else 5)


@cases(quick=["attend", "inspect", "error of a file"])
def test_a_reader_who_leaves_is_no_error(name: str, furnished: Path) -> None:
    """Before the first line, or after it."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "attncli", *CASES[name].words]
    gone = subprocess.run(
        command, cwd=furnished, env=buffered(), stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    done = shell(furnished, f"{{ {line_of(name)}; echo $? >code; }} | head -1")
    ends = (gone.returncode, gone.stderr), (int((furnished / "code").read_text()), done.stderr)
    for code, said in ends:
        assert code == CASES[name].code or (code == 0 and CASES[name].code == 1)
        assert b"Traceback" not in said
        assert b"roken pipe" not in said
        assert CASES[name].code > 0 or b"error" not in said, said


def test_a_command_to_copy_is_words_to_a_shell(furnished: Path) -> None:
    """What stands after `deeper:` and `again:` runs nothing but attncli, with the file's name."""
    name = "$(touch pwned) 'a`touch pwned`.yaml"
    (furnished / name).write_text(PROBLEM)
    said = shell(furnished, shlex.join(["attncli", "explain", name, "b1"])).stdout.decode()
    deeper = next(line for line in said.splitlines() if "deeper:" in line)
    done = shell(furnished, deeper.partition("deeper: ")[2])
    assert (done.returncode, done.stderr) == (0, b"")
    assert not (furnished / "pwned").exists()


@cases(quick=["attend", "learn"])
def test_a_closed_stdin_is_not_missed(name: str, furnished: Path) -> None:
    whole = shell(furnished, f"{line_of(name)} </dev/null")
    done = shell(furnished, f"{line_of(name)} <&-")
    assert done.returncode == whole.returncode == CASES[name].code
    assert same(name, done.stdout, whole.stdout)


def same(name: str, one: bytes, other: bytes) -> bool:
    """Whether two runs wrote the same, digit for digit where nothing is timed."""
    if name.startswith(("bench", "backends", "dry", "batch")):
        return bool(one) == bool(other)
    return one == other


def test_focus_selects_in_arrays_too(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(PROBLEM.replace("[[1, 0]]", "[[1, 0], [0, 1], [1, 1]]"))
    shell(tmp_path, "attncli attend p.yaml --focus 1 -o o.npz && attncli attend p.yaml -o w.npz")
    with np.load(tmp_path / "o.npz") as one, np.load(tmp_path / "w.npz") as whole:
        np.testing.assert_array_equal(one["weights"], whole["weights"][1:2])
        np.testing.assert_array_equal(one["output"], whole["output"][1:2])
        np.testing.assert_array_equal(one["key"], whole["key"])


@pytest.mark.parametrize("notation", ["rows", "columns"])
def test_the_output_is_written_in_the_notation_that_is_shown(notation: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(PROBLEM.replace("[[1, 0]]", "[[1, 0], [0, 1], [1, 1]]"))
    shell(tmp_path, f"attncli attend p.yaml --notation {notation} -o o.npz")
    with np.load(tmp_path / "o.npz") as arrays:
        rows = notation == "rows"
        assert arrays["weights"].shape == ((3, 2) if rows else (2, 3))
        assert arrays["output"].shape == ((3, 1) if rows else (1, 3))


def test_a_limit_holds_for_what_is_read(tmp_path: Path) -> None:
    big = np.zeros((1000, 1000))
    np.savez_compressed(tmp_path / "d.npz", query=big, key=big, value=big)
    done = shell(tmp_path, "attncli attend d.npz --max-memory 1MB")
    assert done.returncode == 6
    assert b"reading" in done.stderr


def test_an_archive_with_another_librarys_names_is_refused(tmp_path: Path) -> None:
    table = np.eye(3)
    np.savez(tmp_path / "a.npz", query=table, key=table, attn_mask=table > 0)
    np.savez(tmp_path / "b.npz", query=table, key=table, causal=np.array(True))
    np.savez(tmp_path / "c.npz", query=table, key=table, anything=table)
    codes = [shell(tmp_path, f"attncli attend {name}.npz").returncode for name in "abc"]
    assert codes == [3, 3, 0]


def test_a_label_of_one_batch_entry_chooses_that_entry(tmp_path: Path) -> None:
    shell(tmp_path, "attncli new padding -o p.yaml")
    for focus in ("key=PAD", "key=dog,batch=1"):
        done = shell(tmp_path, f"attncli attend p.yaml --steps weights --focus {focus}")
        assert done.returncode == 0, done.stderr
        assert b"batch 1" in done.stdout
