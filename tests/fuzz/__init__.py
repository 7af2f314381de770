"""Damaged files: seeded mutations of good ones, and what reads them.

Whatever a file holds, reading it ends: with a problem, or with one of attncli's own errors.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

NASTY = (
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    "\u202e\u2028é".encode(),
    b"&a [*a, *a]",
    b"*a",
    b"<<: *a",
    b"!!python/object/apply:os.system [id]",
    b"!!binary AAAA",
    b"? ",
    b"{" * 40,
    b"[" * 300,
    b"- " * 300,
    b"{a: " * 300,
    b"1e999",
    b"-1e-999",
    b".nan",
    b"-.inf",
    b"9" * 400,
    b"0x7fffffffffffffff",
    b"1_000",
    b"1:30:00",
    b"true",
    b"null",
    b"~",
    b"../../../../etc/passwd",
    b"/dev/zero",
    b"/dev/stdin",
    b".",
    b"-",
    b"=1+1",
    b"\n",
    b"\r",
    b"\t",
    b": ",
    b"'",
    b'"',
    b"|",
    b"%YAML 9.9\n---\n",
    b"---\n",
    b"...\n",
    b"{{0}}",
    b"{output[0] | 99}",
)
NUMBERS = (b"-1", b"0", b"1", b"7", b"255", b"4294967295", b"9223372036854775807", b"1e308", b"0.5")


@dataclass(frozen=True)
class Mutator:
    """Makes damaged copies of good files: the same for the same seed."""

    corpus: Sequence[bytes]

    def made(self, seed: int) -> bytes:
        """One damaged file."""
        rng = random.Random(seed)
        content = bytearray(rng.choice(self.corpus))
        for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
            content = self._changed(content, rng)
        return bytes(content)

    def _changed(self, content: bytearray, rng: random.Random) -> bytearray:
        size = len(content)
        at = rng.randrange(size + 1)
        to = min(size, at + rng.choice((1, 1, 2, 4, 8, 64, 1024)))
        match rng.randrange(10):
            case 0:
                return content[:at]
            case 1:
                return content[:at] + content[to:]
            case 2:
                return content[:to] + content[at:to] * rng.choice((1, 2, 50)) + content[to:]
            case 3:
                return content[:at] + rng.choice(NASTY) + content[at:]
            case 4:
                return content[:at] + rng.choice(NASTY) + content[to:]
            case 5:
                return _with_number(content, rng)
            case 6:
                other = rng.choice(self.corpus)
                start = rng.randrange(len(other) + 1)
                return content[:at] + other[start : start + 200] + content[to:]
            case 7 if size:
                lines = content.split(b"\n")
                rng.shuffle(lines)
                return bytearray(b"\n".join(lines))
        for _ in range(rng.choice((1, 1, 4, 32))):
            if size:
                content[rng.randrange(size)] = rng.randrange(256)
        return content


def _with_number(content: bytearray, rng: random.Random) -> bytearray:
    """One run of digits is another number."""
    runs = []
    start = None
    for i, byte in enumerate((*content, 0)):
        is_digit = 48 <= byte <= 57
        if is_digit and start is None:
            start = i
        elif not is_digit and start is not None:
            runs.append((start, i))
            start = None
    if not runs:
        return content
    first, last = rng.choice(runs)
    return content[:first] + rng.choice(NUMBERS) + content[last:]


Reader = Callable[[Path], object]
"""Reads a file as a command would; raises nothing but `AttncliError`."""
