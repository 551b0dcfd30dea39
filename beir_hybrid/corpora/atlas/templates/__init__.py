"""The sentence templates of Atlas-R, written by hand: a module a language, the same relations in each.

An entity can be any country, language or currency, so a template puts its name where the language does not inflect it:
in apposition ("in der Sprache Polnisch", "в стране Чад"), in quotation marks, or before a colon.
"""

from __future__ import annotations

from collections.abc import Mapping

from beir_hybrid.corpora.atlas.templates import ar, de, el, en, es, hi, ru, th, tr, vi, zh
from beir_hybrid.corpora.atlas.templates.forms import Forms

__all__ = ["TEMPLATES", "Forms"]

TEMPLATES: Mapping[str, Mapping[str, Forms]] = {
    "ar": ar.FORMS,
    "de": de.FORMS,
    "el": el.FORMS,
    "en": en.FORMS,
    "es": es.FORMS,
    "hi": hi.FORMS,
    "ru": ru.FORMS,
    "th": th.FORMS,
    "tr": tr.FORMS,
    "vi": vi.FORMS,
    "zh": zh.FORMS,
}
"""ISO 639-1 code -> what a fact states -> its templates."""
