"""Texts and formulas in LaTeX, in letters that every TeX has: the result is ASCII.

What has neither a command nor a sign stands as a visible escape, `\\u4e2d`.
"""

import re
from unicodedata import normalize

from attncli.formats.display import escaped, plain

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "|": r"\ensuremath{|}",
    '"': "''",
    "`": r"\`{}",
    **{letter: f"\\{letter}" for letter in "#$%&_{}"},
}

ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030b": "H",
    "\u030c": "v",
    "\u0323": "d",
    "\u0327": "c",
}
"""Combining marks → the commands that put them on a letter."""

LETTERS = {
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "å": r"\aa{}",
    "Å": r"\AA{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "§": r"\S{}",
}

SIGNS = {
    "√": r"\surd ",
    "ᵀ": r"^{\top}",
    "·": r"\cdot ",
    "×": r"\times ",
    "−": "-",
    "∞": r"\infty ",
    "′": "'",
    "‖": r"\| ",
    "²": "^{2}",
    "≈": r"\approx ",
    "→": r"\to ",
    "≤": r"\le ",
    "≥": r"\ge ",
    "±": r"\pm ",
    "°": r"^{\circ}",
    "Σ": r"\textstyle\sum ",
    "α": r"\alpha ",
    "β": r"\beta ",
    "γ": r"\gamma ",
    "δ": r"\delta ",
    "ε": r"\varepsilon ",
    "θ": r"\theta ",
    "λ": r"\lambda ",
    "μ": r"\mu ",
    "π": r"\pi ",
    "σ": r"\sigma ",
    "τ": r"\tau ",
    "φ": r"\varphi ",
    "ω": r"\omega ",
    "Γ": r"\Gamma ",
    "Δ": r"\Delta ",
    "Θ": r"\Theta ",
    "Λ": r"\Lambda ",
    "Π": r"\Pi ",
    "Φ": r"\Phi ",
    "Ω": r"\Omega ",
}
"""Signs of mathematics and Greek letters; they stand in mathematics only."""

LIGATURE = re.compile(r"([-'`,])(?=\1)")
"""Two that TeX would join."""

TOKEN = re.compile(
    r"(?P<root>√(?:\((?P<inside>[^()]*)\)|(?P<under>\w+)))"
    r"|(?P<sub>\b[A-Za-z]_[a-z]\b|\b[Wb][a-z]\b|\b[A-Za-z]\d\b)"
    r"|(?P<word>[A-Za-z]{2,}(?:[ -][a-z]+(?!\w))*)"
    r"|(?P<comma>[,;] )"
    r"|(?P<gap>(?<=[\w∞)′\]]) (?=[a-z]{2})|(?<=[a-z]{2}) (?=[(\w]))"
    r"|(?P<sign>.)"
)
"""The pieces of one of our own formulas."""


def text(words: str) -> str:
    """A text of an input as LaTeX prints it; no character of it commands anything."""
    return "".join(map(_letter, normalize("NFC", LIGATURE.sub("\\1\ufeff", plain(words)))))


def _letter(letter: str) -> str:
    if letter == "\ufeff":
        return "{}"  # plain() leaves none: it stands where two letters must not join
    if letter.isascii():
        return SPECIAL.get(letter, letter)
    if letter in LETTERS:
        return LETTERS[letter]
    if letter in SIGNS:
        return rf"\ensuremath{{{SIGNS[letter].strip()}}}"
    base, *marks = list(normalize("NFD", letter))
    if marks and base.isascii() and base.isalpha() and all(mark in ACCENTS for mark in marks):
        base = {"i": r"\i", "j": r"\j"}.get(base, base)
        for mark in marks:
            base = f"\\{ACCENTS[mark]}{{{base}}}"
        return base
    return text(escaped(letter))


def width(words: str) -> int:
    """About as many digits as the printed text is wide."""
    tenths = 0
    for letter in plain(words):
        has_none = not letter.isascii() and _letter(letter).startswith("\\textbackslash")
        printed = escaped(letter) if has_none else letter
        tenths += sum(17 if sign.isupper() or sign in "mw%&@—" else 11 for sign in printed)
    return -(-tenths // 10)


def formula(words: str) -> str:
    """One of our own formulas as mathematics: words upright, `Wq` and `d_k` with an index."""
    return "".join(map(_piece, TOKEN.finditer(words))).strip()


def _piece(found: re.Match[str]) -> str:
    if found["root"]:
        return rf"\sqrt{{{formula(found['inside'] or found['under'])}}}"
    if found["sub"]:
        return f"{found['sub'][0]}_{{{found['sub'][-1]}}}"
    if found["word"]:
        return rf"\text{{{found['word']}}}"
    if found["gap"]:
        return r"\ "
    if found["comma"]:
        return found["comma"].strip() + r"\ "
    sign = found["sign"]
    if sign in SIGNS:
        return SIGNS[sign]
    if sign.isascii():
        return rf"\text{{{text(sign)}}}" if sign in SPECIAL and sign not in "<>|" else sign
    return rf"\text{{{text(sign)}}}"
