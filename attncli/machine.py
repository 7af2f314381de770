"""What this machine has to give."""

import os
import sys
from pathlib import Path

_allowed: int | None = None


def allow(limit: int | None) -> None:
    """Let this process take at most `limit` bytes for what it reads; None: what is free."""
    global _allowed
    _allowed = limit


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int:
    """Bytes: what is free, what the control group still allows, or `allow`, whichever is least."""
    limits = [_meminfo(), *_control_group(), _allowed]
    known = [limit for limit in limits if limit is not None]
    return min(known, default=sys.maxsize)


def _meminfo() -> int | None:
    """MemAvailable of Linux; None elsewhere."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith("MemAvailable:")), None)
    return None if line is None else int(line.split()[1]) * 1024


def _control_group() -> list[int]:
    """What is left of the memory limit of this process's control group, if there is one."""
    root = Path("/sys/fs/cgroup")
    left = []
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            left.append(int((root / most).read_text()) - int((root / used).read_text()))
        except (OSError, ValueError):
            continue
    return left
