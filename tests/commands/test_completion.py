"""What a shell gets that asks for completions, as the printed scripts ask."""

import pytest

from attncli.commands.boundary import run

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
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name, value in shell.items():
        monkeypatch.setenv(name, value.format(line=line, place=line.count(" ")))
    assert run([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    if shell is ZSH and not words:
        assert out == "_files\n"
    elif shell is ZSH:
        assert len(out.splitlines()) == len(words)
        assert [word for word in words if f'"{word}":' in out] == words
    else:
        shown = [each.partition("\t")[0] for each in out.split("\n") if each]
        assert sorted(shown) == sorted(words)
