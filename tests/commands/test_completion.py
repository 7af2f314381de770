"""What a shell gets that asks for completions, as the printed scripts ask."""

import os
import subprocess
import sys

import pytest

BASH = {"_ATTNCLI_COMPLETE": "complete_bash", "COMP_CWORD": "{place}", "COMP_WORDS": "{line}"}
ZSH = {"_ATTNCLI_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "{line}"}
FISH = {
    "_ATTNCLI_COMPLETE": "complete_fish",
    "_TYPER_COMPLETE_ARGS": "{line}",
    "_TYPER_COMPLETE_FISH_ACTION": "get-args",
}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("attncli b", ["batch", "bench", "backends"]),
        ("attncli verify --dia", ["--dialect", "--dialects"]),
        ("attncli attend --nosuch", []),
    ],
)
@pytest.mark.parametrize("shell", [BASH, ZSH, FISH], ids=["bash", "zsh", "fish"])
def test_commands_and_the_options_of_the_called_one_are_completed(
    shell: dict[str, str],
    line: str,
    words: list[str],
) -> None:
    asked = {key: value.format(line=line, place=line.count(" ")) for key, value in shell.items()}
    done = subprocess.run(
        [sys.executable, "-m", "attncli"],
        env={**os.environ, "COLUMNS": "80", **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    out = done.stdout
    assert done.stderr == ""
    if shell is ZSH and not words:
        assert out == "_files\n"
    elif shell is ZSH:
        assert len(out.splitlines()) == len(words)
        assert [word for word in words if f'"{word}":' in out] == words
    else:
        shown = [each.partition("\t")[0] for each in out.split("\n") if each]
        assert sorted(shown) == sorted(words)
