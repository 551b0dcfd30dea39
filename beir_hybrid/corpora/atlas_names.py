"""What CLDR calls countries, languages, currencies, scripts, time zones and days in the eleven languages of Atlas-R."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from babel import Locale
from babel.lists import format_list

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
"""ISO 639-1 codes of the languages, those of XQuAD-R."""

Texts = Mapping[str, str]
"""Language -> text, in all of ``LANGUAGES``."""

_ARTICLES = {
    "en": ("the", frozenset("AE BS CF DO GB GM KM MH MV NL PH SB SC US".split())),
    "es": ("la", frozenset("CD CF DO".split())),
}
"""Language -> its article, and the countries whose name takes it there."""

_COMMON_NOUNS = {
    "language": {"el": "", "vi": "Tiếng "},
    "script": {"el": "", "vi": "Chữ "},
    "currency": {"el": "", "ru": ""},
    "time zone": {"vi": "Giờ "},
    "weekday": {"tr": "", "vi": "Thứ "},
    "month": {"tr": ""},
}
"""Kind of name -> language -> how the names begin that have a small first letter within a sentence.

CLDR may write them as in a list: "Tiếng Séc", "Кипрский фунт", "Pazartesi".
"""

# CLDR has two forms of a month: the one within a date, often a genitive, and the one by itself. babel gives the second
# reliably only where a language has its own; elsewhere it may give another language's (babel 2.18).
_MONTH_CONTEXT = {"el": "stand-alone", "ru": "stand-alone"}

_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200e\u200f"))
_SPACES = dict.fromkeys(map(ord, "\xa0\u202f"), " ")


def country(code: str) -> Texts | None:
    """Return the name of a country in each language; None if CLDR lacks one, as for all functions here."""
    names = _in_all(lambda locale: locale.territories.get(code))
    if names is None:
        return None
    articles = {language: article for language, (article, codes) in _ARTICLES.items() if code in codes}
    return {**names, **{language: f"{article} {names[language]}" for language, article in articles.items()}}


def language(code: str) -> Texts | None:
    """Return the name of a language in each language."""
    return _in_all(lambda locale: _as_in_a_sentence("language", locale, locale.languages.get(code)))


def list_of_languages(codes: Sequence[str]) -> Texts | None:
    """Return the names of some languages in each language, joined as it joins lists."""
    parts = [language(code) for code in codes]
    if not parts or None in parts:
        return None
    return _in_all(lambda locale: _joined(locale, [part[locale.language] for part in parts if part]))


def currency(code: str) -> Texts | None:
    """Return the name of a currency in each language."""
    return _in_all(lambda locale: _as_in_a_sentence("currency", locale, locale.currencies.get(code)))


def script(code: str) -> Texts | None:
    """Return the name of a script in each language."""
    return _in_all(lambda locale: _as_in_a_sentence("script", locale, locale.scripts.get(code)))


def time_zone(metazone: str) -> Texts | None:
    """Return the name of a metazone's standard time in each language."""
    return _in_all(
        lambda locale: _as_in_a_sentence(
            "time zone", locale, locale.meta_zones.get(metazone, {}).get("long", {}).get("standard")
        )
    )


def weekday(number: int) -> Texts | None:
    """Return the name of a day in each language, 0 for Monday."""
    return _in_all(lambda locale: _as_in_a_sentence("weekday", locale, locale.days["format"]["wide"].get(number)))


def month(number: int) -> Texts | None:
    """Return the name of a month in each language, 1 for January."""
    return _in_all(
        lambda locale: _as_in_a_sentence(
            "month", locale, locale.months[_MONTH_CONTEXT.get(locale.language, "format")]["wide"].get(number)
        )
    )


def same_in_all(text: str) -> Texts:
    """Return a text that needs no translation: a number, a code, a word of another language."""
    return dict.fromkeys(LANGUAGES, plain(text))


def distinct(names: Mapping[str, Texts | None]) -> dict[str, Texts]:
    """Return the entities, code -> names, that have a name in all languages which no other has in any of them."""
    named = {code: texts for code, texts in names.items() if texts is not None}
    taken = Counter((language, text) for texts in named.values() for language, text in texts.items())
    return {code: texts for code, texts in named.items() if all(taken[pair] == 1 for pair in texts.items())}


def plain(text: str) -> str:
    """Leave out marks of direction, and turn no-break spaces into spaces."""
    return " ".join(text.translate(_INVISIBLE).translate(_SPACES).split())


def _in_all(name_in: Callable[[Locale], str | None]) -> Texts | None:
    """Ask for a name in each language; None unless all have one."""
    names = {locale.language: plain(name_in(locale) or "") for locale in _locales()}
    return names if all(names.values()) else None


@cache
def _locales() -> tuple[Locale, ...]:
    return tuple(Locale(code) for code in LANGUAGES)


def _joined(locale: Locale, parts: Sequence[str]) -> str:
    text = format_list(parts, locale=locale)
    # CLDR's list has one word for "and"; Spanish has another before the sound of an i.
    return re.sub(r" y (?=h?i(?!e))", " e ", text) if locale.language == "es" else text


def _as_in_a_sentence(kind: str, locale: Locale, name: str | None) -> str | None:
    """Return a name with a small first letter if it is a common noun, see ``_COMMON_NOUNS``."""
    beginning = _COMMON_NOUNS[kind].get(locale.language)
    if not name or beginning is None or not name.startswith(beginning):
        return name
    return name[0].lower() + name[1:]
