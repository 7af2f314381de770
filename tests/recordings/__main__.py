"""Make every picture again."""

from tests.recordings import HERE, RECORDINGS, record

for name in RECORDINGS:
    (HERE / f"{name}.svg").write_text(record(name), encoding="utf-8")
    print(f"recorded {name}.svg")
