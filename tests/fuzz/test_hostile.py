"""Files made to harm: each is refused, or read, in a second and in little memory, by a process."""

import io
import json
import os
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

MEGABYTES = 200
"""What a file may take beyond its own length, and beyond what an empty problem takes."""
SECONDS, SLACK = 1.0, 3.0
"""What it may take beyond the time of an empty problem; and what a busy machine may add."""

SMALL = "key: [[1, 0], [0, 1]]\nvalue: [[1], [2]]\n"
Content = Callable[[], bytes]


def npy(shape: str, descr: str = "'<f8'", body: bytes = b"\0" * 64) -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (63 - (10 + len(head)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + body


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, content in members:
            made.writestr(name, content)
    return file.getvalue()


def lying_archive(field: int, value: int) -> bytes:
    """An archive whose directory gives another number in one field of its first entry."""
    content = bytearray(archive(("query.npy", npy("(2, 4)"))))
    place = content.index(b"PK\x01\x02") + field
    content[place : place + 4] = struct.pack("<I", value)
    return bytes(content)


def tensors(header: object, length: int | None = None, body: bytes = b"\0" * 64) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def aliases(n: int) -> str:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, n)]
    return "\n".join(lines) + f"\nquery: *a{n - 1}\n"


HUGE = 10**6
F8 = {"dtype": "F64", "shape": [2, 4], "data_offsets": [0, 64]}
HOSTILE: dict[str, tuple[str, Content]] = {
    "flow nested deep": (".yaml", lambda: b"query: " + b"[" * HUGE + b"]" * HUGE),
    "blocks nested deep": (".yaml", lambda: b"".join(b" " * i + b"- \n" for i in range(3000))),
    "mappings nested deep": (".yaml", lambda: b"{a: " * HUGE),
    "a billion laughs": (".yaml", lambda: aliases(12).encode()),
    "merged keys": (".yaml", lambda: b"a: &a {query: [[1]]}\n<<: [*a, *a, *a]\n" * 20_000),
    "an anchor of itself": (".yaml", lambda: b"query: &a [*a]\n"),
    "an integer of a million digits": (".yaml", lambda: b"scale: " + b"9" * HUGE),
    "an exponent of a million digits": (".yaml", lambda: b"scale: 1e" + b"9" * HUGE),
    "a million keys": (".yaml", lambda: b"".join(b"k%d: 1\n" % i for i in range(HUGE // 4))),
    "one key a million times": (".yaml", lambda: b"scale: 1\n" * (HUGE // 4)),
    "a line of ten megabytes": (".yaml", lambda: b"title: " + b"x" * 10 * HUGE),
    "a table in a line of two megabytes": (".yaml", lambda: b"query: [[" + b"1," * HUGE),
    "a key of a megabyte": (".yaml", lambda: b"x" * HUGE + b": 1\n"),
    "quotes that do not end": (".yaml", lambda: b'title: "' + b"\\n" * HUGE),
    "tabs": (".yaml", lambda: b"\t" * HUGE),
    "comments": (".yaml", lambda: b"#" * 5 * HUGE + b"\nquery: [[1]]\n"),
    "zeros": (".yaml", lambda: b"\0" * HUGE),
    "many documents": (".yaml", lambda: b"---\n" * (HUGE // 4)),
    "a tag that makes objects": (".yaml", lambda: b"query: !!python/object/apply:os.system [ls]"),
    "JSON nested deep": (".json", lambda: b'{"query": ' + b"[" * HUGE),
    "a JSON number without end": (".json", lambda: b'{"scale": ' + b"1" * 5 * HUGE),
    "a window of everything": (
        ".yaml",
        lambda: f"query: [[1, 2]]\n{SMALL}window: [{2**62}, {2**62}]\nalign: top-left\n".encode(),
    ),
    "a million heads": (".yaml", lambda: f"query: [[1, 2]]\n{SMALL}heads: {HUGE}\n".encode()),
    "lengths beyond the keys": (
        ".yaml",
        lambda: f"query: [[1, 2]]\n{SMALL}key_lengths: {2**62}\n".encode(),
    ),
    "a template of labels": (
        ".yaml",
        lambda: (
            f"query: [[1, 2]]\n{SMALL}labels: {{query: [" + "q, " * (HUGE // 4) + "]}\n"
        ).encode(),
    ),
    "a shape of 10^18": (".npy", lambda: npy("(1000000000, 1000000000)")),
    "a shape that overflows": (".npy", lambda: npy(f"({2**62}, {2**62})")),
    "a negative shape": (".npy", lambda: npy("(-1, 8)")),
    "a shape of a thousand axes": (".npy", lambda: npy("(" + "1, " * 1000 + ")")),
    "a shape that is a sum": (".npy", lambda: npy("(" + "+" * 5000 + "1,)")),
    "an empty axis of 2^62": (".npy", lambda: npy(f"(0, {2**62})", body=b"")),
    "objects": (".npy", lambda: npy("(2,)", "'|O'", b"cos\nsystem\n(S'ls'\ntR.")),
    "records": (".npy", lambda: npy("(2,)", "[('a', '<f8', (100000, 100000))]")),
    "a header that is code": (".npy", lambda: npy("__import__('os').getpid()")),
    "texts of a gigabyte": (".npy", lambda: npy("(2,)", f"'<U{2**28}'")),
    "zeros of 300 MB": (".npz", lambda: archive(("query.npy", b"\0" * 300 * HUGE))),
    "an array of 320 MB": (
        ".npz",
        lambda: archive(("query.npy", npy("(20000, 2000)", body=b"\0" * 320 * HUGE))),
    ),
    "an archive in an archive": (
        ".npz",
        lambda: archive(("query.npy", archive(("query.npy", b"\0" * HUGE)))),
    ),
    "ten thousand members": (
        ".npz",
        lambda: archive(*((f"m{i}.npy", b"") for i in range(10_000)), method=zipfile.ZIP_STORED),
    ),
    "a member twice": (
        ".npz",
        lambda: archive(("query.npy", npy("(2, 4)"))).replace(b"query", b"query") + b"PK\x05\x06",
    ),
    "a length of 2^32": (".npz", lambda: lying_archive(24, 2**32 - 1)),
    "a packed length of 2^32": (".npz", lambda: lying_archive(20, 2**32 - 2)),
    "an offset beyond the end": (".npz", lambda: lying_archive(42, 2**31)),
    "another checksum": (".npz", lambda: lying_archive(16, 12345)),
    "an unknown method": (".npz", lambda: lying_archive(10, 0x0000_FFFF)),
    "a header of 2^63": (".safetensors", lambda: tensors({"query": F8}, 2**63)),
    "a header of 100 MB": (".safetensors", lambda: tensors({"query": F8}, 10**8)),
    "offsets beyond the end": (
        ".safetensors",
        lambda: tensors({"query": F8 | {"data_offsets": [0, 2**40]}}),
    ),
    "offsets that overlap": (".safetensors", lambda: tensors({"query": F8, "key": F8})),
    "a tensor of 2^62": (".safetensors", lambda: tensors({"query": F8 | {"shape": [2**62]}})),
    "headers nested deep": (".safetensors", lambda: tensors(b'{"a":' * HUGE)),
    "a picture of 60000 x 60000": (".png", lambda: png(60_000, 60_000)),
    "a picture of 2^31 x 2^31": (".png", lambda: png(2**31 - 1, 2**31 - 1)),
    "a picture that unpacks": (".png", lambda: png(8000, 8000, b"\0" * 24_001 * 8000)),
    "a picture without rows": (".png", lambda: png(0, 5)),
    "a million columns": (".csv", lambda: b"1," * HUGE),
    "a cell of ten megabytes": (".csv", lambda: b"1," + b"9" * 10 * HUGE),
    "quotes in a table": (".csv", lambda: b'"' * HUGE),
    "rows that grow": (".csv", lambda: b"".join(b"1," * i + b"1\n" for i in range(2000))),
    "no line end": (".csv", lambda: b"\0" * HUGE),
}


MEASURED = """
import os, re, sys
from attncli.commands.boundary import run
code = run(sys.argv[1:])
with open("/proc/self/status") as status:
    peak = re.search(r"VmHWM:\\s*(\\d+)", status.read())[1]
print(peak, file=sys.stderr)
os._exit(code)
"""


DECLARED = {"an array of 320 MB": 320}
"""MB that a file says it holds, and does hold."""


def measured(words: list[str]) -> tuple[int, float, float, str]:
    """The exit code of a process, its seconds, its peak of memory in MB, and what it said.

    Not from `wait4`: that counts what the process that forked had taken.
    """
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    *said, peak = done.stderr.splitlines()
    return done.returncode, seconds, int(peak) / 1024, "\n".join(said)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[float, float]:
    """Seconds and MB of problems of a few numbers, with all libraries that readers load."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "p.yaml").write_text(f"query: [[1, 2]]\n{SMALL}")
    (folder / "p.png").write_bytes(png(1, 1, b"\0\1\2\3"))
    (folder / "q.yaml").write_text("input: p.png\n")
    runs = [measured(["attend", str(folder / name)]) for name in ("p.yaml", "q.yaml")]
    return max(seconds for _, seconds, _, _ in runs), max(peak for _, _, peak, _ in runs)


def attack(name: str, base: tuple[float, float], folder: Path) -> tuple[float, float]:
    """Seconds and MB that a file takes beyond the least and its own length."""
    suffix, content = HOSTILE[name]
    path = folder / f"file{suffix}"
    path.write_bytes(content())
    words = (
        ["attend", str(path)] if suffix in (".yaml", ".json", ".npz") else ["inspect", str(path)]
    )
    if suffix == ".png":
        (folder / "p.yaml").write_text("input: file.png\n")
        words = ["attend", str(folder / "p.yaml")]
    code, seconds, peak, said = measured(words)
    assert code in (0, 3, 4, 6), f"{name}: exit {code}: {said!r}"
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 4, said
    assert len(said) < 2000, f"an error of {len(said)} bytes"
    beyond = peak - base[1] - max(path.stat().st_size / 1e6, DECLARED.get(name, 0))
    assert beyond < MEGABYTES, f"{name}: {beyond:.0f} MB beyond its length: {said!r}"
    assert seconds < base[0] + SECONDS + SLACK, f"{name}: {seconds:.1f} s: {said!r}"
    return seconds - base[0], beyond


@pytest.mark.heavy
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_does_no_harm(name: str, base: tuple[float, float], tmp_path: Path) -> None:
    seconds, beyond = attack(name, base, tmp_path)
    print(f"{name}: {seconds:.2f} s, {beyond:.0f} MB", file=sys.stderr)


FEW = ("flow nested deep", "a billion laughs", "an array of 320 MB", "a shape of 10^18")


@pytest.mark.parametrize("name", FEW)
def test_hostile_files_do_no_harm(name: str, base: tuple[float, float], tmp_path: Path) -> None:
    attack(name, base, tmp_path)


@pytest.mark.parametrize("words", [["attend"], ["inspect"], ["explain"], ["learn", "--check"]])
@pytest.mark.parametrize("name", ["/dev/zero", "/dev/urandom", "/proc/self/mem", "pipe", "folder"])
def test_what_is_no_file_is_refused_at_once(
    name: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from attncli.commands.boundary import run

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    path = name if name.startswith("/") else str(tmp_path / name)
    assert run([*words, path, *(["q1"] if words == ["explain"] else [])]) in (2, 3)
    assert len(capsys.readouterr().err.splitlines()) <= 4


CUT = """
import os, sys, threading, time
import numpy as np
from attncli.backends import numpy as backend
from attncli.commands.boundary import run
path, how = sys.argv[1:]
started = backend.NumpyBackend.each
def each(self, tasks):
    for number, done in enumerate(started(self, tasks)):
        if not number:
            if how == "cut":
                os.truncate(path, 5000)
            elif how == "swapped":
                np.save(path + ".new.npy", np.zeros((3, 5)))
                os.replace(path + ".new.npy", path)
            else:
                os.unlink(path)
        yield done
backend.NumpyBackend.each = each
code = run(["attend", path, "k.npy", "v.npy", "--tile", "64", "-o", "out.npy", "-q"])
sys.stderr.flush()
os._exit(code)
"""


@pytest.mark.parametrize("how", ["cut", "swapped", "removed"])
def test_a_file_that_changes_while_it_is_mapped_ends_no_process(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in "qkv":
        np.save(f"{name}.npy", random.normal(size=(4001, 97)))
    done = subprocess.run(
        [sys.executable, "-c", CUT, "q.npy", how], capture_output=True, text=True, check=False
    )
    if how == "cut":
        assert done.returncode in (3, 5), done
        assert "changed while" in done.stderr
        assert not Path("out.npy").exists()
    else:
        assert done.returncode == 0, done.stderr
        assert np.load("out.npy").shape == (4001, 97)
