"""The plain archive that `np.savez` writes, taken apart and put together in one pass.

The standard library takes eight times as long, which is most of a small job. Whatever is not
exactly plain (compressed, encrypted, commented, damaged, large) is left to it, and to its words.
"""

from binascii import crc32
from collections.abc import Mapping
from struct import Struct

END = Struct("<4s4H2LH")
ENTRY = Struct("<4s6H3L5H2L")
LOCAL = Struct("<4s5H3L2H")
ZIP64 = Struct("<2H2Q")
UTF8 = 0x800
"""The flag that says that a name is not ASCII."""


def stored(content: bytes) -> dict[str, memoryview] | None:
    """File name → its bytes, of a plain archive; None for any other."""
    start = len(content) - END.size
    if start < 0:
        return None
    mark, disk, first, here, count, size, at, comment = END.unpack_from(content, start)
    if mark != b"PK\5\6" or disk or first or comment or here != count or at + size != start:
        return None
    files: dict[str, memoryview] = {}
    view = memoryview(content)
    for _ in range(count):
        if at + ENTRY.size > start:
            return None
        entry = ENTRY.unpack_from(content, at)
        mark, _, _, flags, method, _, _, crc, packed, size, n_name, n_extra, n_note = entry[:13]
        offset = entry[-1]
        name = content[at + ENTRY.size : at + ENTRY.size + n_name]
        plain = mark == b"PK\1\2" and not method and packed == size and not flags & ~UTF8
        if not plain or not name.isascii():
            return None
        at += ENTRY.size + n_name + n_extra + n_note
        part = _part(view, offset, name, size)
        text = name.decode("ascii")
        if part is None or text in files or crc32(part) != crc or "\0" in text:
            return None
        files[text] = part
    return files if at == start else None


def _part(view: memoryview, offset: int, name: bytes, size: int) -> memoryview | None:
    """The bytes of an entry, if its own header agrees with the directory."""
    if offset + LOCAL.size > len(view):
        return None
    mark, _, flags, method, *_, n_name, n_extra = LOCAL.unpack_from(view, offset)
    begin = offset + LOCAL.size + n_name + n_extra
    named = view[offset + LOCAL.size : offset + LOCAL.size + n_name] == name
    if mark != b"PK\3\4" or method or flags & ~UTF8 or not named or begin + size > len(view):
        return None
    return view[begin : begin + size]


VERSION, DATE, UNIX, ORDINARY = 45, 0x21, 3, 0o644 << 16
"""What `npz.write_npz` has the standard library write: sizes of 64 bits, 1980-01-01, -rw-r--r--."""


def archived(files: Mapping[str, bytes]) -> bytes:
    """The plain archive of small files with ASCII names: byte for byte what `zipfile` makes."""
    parts: list[bytes] = []
    directory: list[bytes] = []
    offset = 0
    for text, content in files.items():
        name, crc, size = text.encode("ascii"), crc32(content), len(content)
        local = LOCAL.pack(
            b"PK\3\4", VERSION, 0, 0, 0, DATE, crc, 0xFFFFFFFF, 0xFFFFFFFF, len(name), ZIP64.size
        )
        parts += (local, name, ZIP64.pack(1, 16, size, size), content)
        directory += (
            ENTRY.pack(
                *(b"PK\1\2", UNIX << 8 | VERSION, VERSION, 0, 0, 0, DATE, crc, size, size),
                *(len(name), 0, 0, 0, 0, ORDINARY, offset),
            ),
            name,
        )
        offset += LOCAL.size + len(name) + ZIP64.size + size
    entries = b"".join(directory)
    end = END.pack(b"PK\5\6", 0, 0, len(files), len(files), len(entries), offset, 0)
    return b"".join((*parts, entries, end))
