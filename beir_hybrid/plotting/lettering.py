"""Text in plots: literally as it is, in fonts that have its letters, and the same bytes for the same figures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

FIRST_FONT = "DejaVu Sans"
"""Comes with matplotlib, and has the Latin, Greek, Cyrillic and Arabic letters."""

_NO_LETTERS = ("Last Resort", "STIX", "cm")
"""Beginnings of the names of fonts that show a box for every letter, or other things than their code points say."""


@contextmanager
def lettering(texts: Iterable[str]) -> Iterator[Callable[[str], str]]:
    """Draw with fonts that have the letters of some texts.

    Only installed fonts are used. A letter that none of them has is written as its code point, and one warning names
    all of those.

    Args:
        texts: What will be drawn, apart from plain English.

    Yields:
        A function that returns a text as it can be drawn.
    """
    from matplotlib import rc_context

    letters = {letter for text in texts for letter in text if not letter.isascii()}
    families, missing = _choose_fonts({letter for letter in letters if letter.isprintable()})
    if missing:
        logger.warning(
            "plots show code points for letters that no installed font has: %s; install a font for them, e.g. Noto",
            " ".join(f"U+{ord(letter):04X}" for letter in sorted(missing)),
        )

    def legible(text: str) -> str:
        return "".join(
            letter if letter == "\n" or (letter.isprintable() and letter not in missing) else f"U+{ord(letter):04X} "
            for letter in text
        )

    with rc_context({"font.family": families, "svg.fonttype": "none", "text.parse_math": False}):
        yield legible


def _choose_fonts(letters: set[str]) -> tuple[list[str], set[str]]:
    """Choose fonts by the letters they have, those that have the most first.

    Returns:
        Their names, and the letters that none has.
    """
    from matplotlib import font_manager

    chosen = [FIRST_FONT]
    missing = letters - _letters_of(font_manager.findfont(FIRST_FONT))
    if not missing:
        return chosen, missing
    installed = {
        font.name: font.fname
        for font in sorted(font_manager.fontManager.ttflist, key=lambda font: (font.name, font.fname), reverse=True)
        if font.style == "normal" and not font.name.startswith(_NO_LETTERS)
    }
    held = {name: missing & _letters_of(file) for name, file in installed.items()}
    while held:
        name = max(sorted(held), key=lambda name: len(held[name] & missing))
        if not held[name] & missing:
            break
        chosen.append(name)
        missing = missing - held.pop(name)
    return chosen, missing


def _letters_of(file: str) -> set[str]:
    from matplotlib.font_manager import get_font

    return {chr(code) for code in get_font(file).get_charmap()}
