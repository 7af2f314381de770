"""The README's pictures show what the commands print now."""

import pytest

from tests.recordings import HERE, RECORDINGS, record

README = (HERE.parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_a_picture_is_up_to_date(name: str) -> None:
    assert (HERE / f"{name}.svg").read_text(encoding="utf-8") == record(name), (
        "python -m tests.recordings makes it again"
    )
    assert f"tests/recordings/{name}.svg" in README
