"""What CLDR calls countries, languages, currencies, scripts, time zones and days in the eleven languages of Atlas-R."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from babel import Locale
from babel.lists import format_list

from beir_hybrid.corpora.atlas.facts import LANGUAGES, Texts

_ARTICLES = {
    "en": ("the", frozenset("AE BS CF DO GB GM KM MH MV NL PH SB SC US".split())),
    "es": ("la", frozenset("CD CF DO".split())),
}
"""Language -> its article, and the countries whose name takes it there."""

_COMMON_NOUNS = {
    "language": {"el": "", "vi": "Tiếng "},
    "script": {"el": "", "vi": "Chữ "},
    "currency": {"el": "", "ru": ""},
    "time_zone": {"vi": "Giờ "},
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


class Names(dict[str, Texts]):
    """Key, such as ``country-CH``, -> its name in each language.

    The methods look a name up, keep it under its key, and return the key; None if CLDR lacks the name in a language.
    """

    def country(self, code: str) -> str | None:
        """Return the key of a country."""

        def name(locale: Locale) -> str | None:
            article, takes_it = _ARTICLES.get(locale.language, ("", frozenset()))
            bare = locale.territories.get(code)
            return f"{article} {bare}" if bare and code in takes_it else bare

        return self._keep("country", code, name)

    def language(self, code: str) -> str | None:
        """Return the key of a language."""
        return self._keep_noun("language", code, lambda locale: locale.languages.get(code))

    def list_of_languages(self, codes: Sequence[str]) -> str | None:
        """Return the key of the names of some languages, joined as each language joins lists."""
        keys = [self.language(code) for code in codes]
        if not keys or None in keys:
            return None
        names = [self[key] for key in keys if key]
        if len(names) == 1:
            return keys[0]
        return self._keep(
            "languages", "+".join(codes), lambda locale: _joined(locale, [name[locale.language] for name in names])
        )

    def currency(self, code: str) -> str | None:
        """Return the key of a currency."""
        return self._keep_noun("currency", code, lambda locale: locale.currencies.get(code))

    def script(self, code: str) -> str | None:
        """Return the key of a script."""
        return self._keep_noun("script", code, lambda locale: locale.scripts.get(code))

    def time_zone(self, metazone: str) -> str | None:
        """Return the key of a metazone's standard time."""
        return self._keep_noun(
            "time_zone", metazone, lambda locale: locale.meta_zones.get(metazone, {}).get("long", {}).get("standard")
        )

    def weekday(self, number: int) -> str | None:
        """Return the key of a day, 0 for Monday."""
        return self._keep_noun("weekday", str(number), lambda locale: locale.days["format"]["wide"].get(number))

    def month(self, number: int) -> str | None:
        """Return the key of a month, 1 for January."""
        return self._keep_noun(
            "month",
            str(number),
            lambda locale: locale.months[_MONTH_CONTEXT.get(locale.language, "format")]["wide"].get(number),
        )

    def distinct(self, keys: Iterable[str]) -> set[str]:
        """Return the keys whose name is that of no other one of them, in any language."""
        names = {key: self[key] for key in keys}
        taken = Counter(pair for texts in names.values() for pair in texts.items())
        return {key for key, texts in names.items() if all(taken[pair] == 1 for pair in texts.items())}

    def _keep_noun(self, kind: str, code: str, name_in: Callable[[Locale], str | None]) -> str | None:
        """Keep a name with a small first letter where it is a common noun, see ``_COMMON_NOUNS``."""

        def name(locale: Locale) -> str | None:
            listed, beginning = name_in(locale), _COMMON_NOUNS[kind].get(locale.language)
            if not listed or beginning is None or not listed.startswith(beginning):
                return listed
            return listed[0].lower() + listed[1:]

        return self._keep(kind, code, name)

    def _keep(self, kind: str, code: str, name_in: Callable[[Locale], str | None]) -> str | None:
        names = {locale.language: plain(name_in(locale) or "") for locale in _locales()}
        if not all(names.values()):
            return None
        key = f"{kind}-{code}"
        self[key] = names
        return key


def plain(text: str) -> str:
    """Leave out marks of direction, and turn no-break spaces into spaces."""
    return " ".join(text.translate(_INVISIBLE).translate(_SPACES).split())


@cache
def _locales() -> tuple[Locale, ...]:
    return tuple(Locale(code) for code in LANGUAGES)


def _joined(locale: Locale, parts: Sequence[str]) -> str:
    text = format_list(parts, locale=locale)
    # CLDR's list has one word for "and"; Spanish has another before the sound of an i.
    return re.sub(r" y (?=h?i(?!e))", " e ", text) if locale.language == "es" else text
