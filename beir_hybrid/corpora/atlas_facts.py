"""The facts of Atlas-R: read from Unicode CLDR through the package babel, and named in eleven languages.

A fact is kept only if it has one answer (a country with two currencies or two time zones has no such fact) and if CLDR
names everything in it in all eleven languages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from hashlib import sha256
from typing import Literal, NamedTuple

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.languages import get_official_languages
from babel.localedata import locale_identifiers
from babel.numbers import get_currency_symbol, get_territory_currencies

from beir_hybrid.corpora import atlas_names as names
from beir_hybrid.corpora.atlas_names import Texts

Split = Literal["train", "test"]

PERCENT_OF_TEST = 27
PERCENT_OF_TRAIN = 9
"""Shares of the entities; the others are left out, so that a model runs through both splits in a minute or two."""

AS_OF = date(2025, 1, 1)
"""The day on which a currency is the present one: facts must not depend on the day on which they are read."""

COUNTRIES = (
    "AD AE AF AG AL AM AO AR AT AU AZ BA BB BD BE BF BG BH BI BJ BN BO BR BS BT BW BY BZ CA CD CF CG CH CI CL CM CN CO "
    "CR CU CV CY CZ DE DJ DK DM DO DZ EC EE EG ER ES ET FI FJ FM FR GA GB GD GE GH GM GN GQ GR GT GW GY HN HR HT HU ID "
    "IE IL IN IQ IR IS IT JM JO JP KE KG KH KI KM KN KP KR KW KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MG MH MK "
    "ML MM MN MR MT MU MV MW MX MY MZ NA NE NG NI NL NO NP NR NZ OM PA PE PG PH PK PL PT PW PY QA RO RS RU RW SA SB SC "
    "SD SE SG SI SK SL SM SN SO SR SS ST SV SY SZ TD TG TH TJ TL TM TN TO TR TT TV TZ UA UG US UY UZ VC VE VN VU WS YE "
    "ZA ZM ZW"
).split()
"""ISO 3166 codes of the members of the United Nations."""

FOREIGN_LANGUAGES = (
    "af am as az be bg bn bo br bs ca cs cy da dz et eu fa fil fo fr fy ga gd gl gu ha haw he hr hu hy id ig is it ja "
    "jv ka kk kn ko ky lb lo lt lv mg mi mk ml mn mr ms mt my ne nl om or pa pl ps pt qu rm ro rw sc sd se si sk sl sn "
    "so sq sr su sv sw ta te tg ti tk to tt ug uk ur uz wo xh zu ceb ckb hsb ku"
).split()
"""CLDR codes of the languages that scripts and words are asked of; those of Atlas-R are not among them."""

OTHER_MONTHS_IN_DATES = frozenset("be bo ca cs dz fa gd hr hy kk ky lt mn pl rm sk so tk uk uz hsb".split())
"""Languages whose months have another form within a date, the only form that babel gives reliably: no question."""


@dataclass(frozen=True)
class Fact:
    """A fact and its words in all languages.

    Attributes:
        relation: What is stated, e.g. ``currency``.
        entity: What it is stated of: kind and code, e.g. ``country-CH``.
        name: The name of the entity.
        value: The answer.
        item: The day or month that a word is asked for; empty for all other relations.
    """

    relation: str
    entity: str
    name: Texts
    value: Texts
    item: Texts = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Relation and entity: a relation states one thing of an entity."""
        return f"{self.relation}-{self.entity}"


class _Tender(NamedTuple):
    """A country's only legal tender, and the day it became that."""

    currency: str
    since: date | None


def stable_number(*words: str, below: int) -> int:
    """Draw a number from 0 to ``below`` - 1 that the words decide, the same in every process."""
    return int.from_bytes(sha256("|".join(words).encode()).digest()[:8], "big") % below


def split_of(entity: str) -> Split | None:
    """Return the split that an entity and all its facts belong to, None if it is left out."""
    drawn = stable_number("split", entity, below=100)
    if drawn < PERCENT_OF_TEST:
        return "test"
    return "train" if drawn < PERCENT_OF_TEST + PERCENT_OF_TRAIN else None


@cache
def all_facts() -> tuple[Fact, ...]:
    """Return the facts of both splits: of countries, of languages, of currencies."""
    return (*_country_facts(), *_language_facts(), *_currency_facts())


def _country_facts() -> Iterator[Fact]:
    relations: dict[str, Callable[[str], Texts | None]] = {
        "currency": _currency,
        "former_currency": _former_currency,
        "currency_since": _currency_since,
        "currency_symbol": _currency_symbol,
        "official_languages": _official_languages,
        "time_zone": _time_zone,
        "first_weekday": _first_weekday,
    }
    for code, entity, name in _drawn("country", {code: names.country(code) for code in COUNTRIES}):
        for relation, value_of in relations.items():
            value = value_of(code)
            if value is not None:
                yield Fact(relation, entity, name, value)


def _language_facts() -> Iterator[Fact]:
    for code, entity, name in _drawn("language", {code: names.language(code) for code in FOREIGN_LANGUAGES}):
        script = _script(code)
        if script is not None:
            yield Fact("script", entity, name, script)
        day, month = stable_number("day", code, below=7), 1 + stable_number("month", code, below=12)
        locale = Locale(code)
        yield from _word("weekday_word", entity, name, names.weekday(day), locale.days["format"]["wide"].get(day))
        if code not in OTHER_MONTHS_IN_DATES:
            yield from _word("month_word", entity, name, names.month(month), locale.months["format"]["wide"].get(month))


def _currency_facts() -> Iterator[Fact]:
    in_use = {tender.currency for country in COUNTRIES if (tender := _tender(country, AS_OF))}
    for code, entity, name in _drawn("currency", {code: names.currency(code) for code in sorted(in_use)}):
        yield Fact("currency_code", entity, name, names.same_in_all(code))


def _drawn(kind: str, candidates: Mapping[str, Texts | None]) -> Iterator[tuple[str, str, Texts]]:
    """Yield code, entity and name of the candidates, code -> name, that are distinct and belong to a split."""
    for code, name in names.distinct(candidates).items():
        entity = f"{kind}-{code}"
        if split_of(entity):
            yield code, entity, name


def _tender(country: str, day: date) -> _Tender | None:
    """Return a country's legal tender on some day, None if it had none or several."""
    found = get_territory_currencies(country, day, day, include_details=True)
    if len(found) != 1:
        return None
    return _Tender(found[0]["currency"], found[0]["from"])


def _currency(country: str) -> Texts | None:
    tender = _tender(country, AS_OF)
    return names.currency(tender.currency) if tender else None


def _former_currency(country: str) -> Texts | None:
    """Return the legal tender on the day before the present one became it."""
    tender = _tender(country, AS_OF)
    if tender is None or tender.since is None:
        return None
    former = _tender(country, tender.since - timedelta(days=1))
    if former is None or former.currency == tender.currency:
        return None
    return names.currency(former.currency)


def _currency_since(country: str) -> Texts | None:
    tender = _tender(country, AS_OF)
    return names.same_in_all(str(tender.since.year)) if tender and tender.since else None


def _currency_symbol(country: str) -> Texts | None:
    """Return the currency's symbol as the country's main language writes it, None if that is the ISO code."""
    tender, locale = _tender(country, AS_OF), _locale_of(country)
    if tender is None or locale is None:
        return None
    symbol = names.plain(get_currency_symbol(tender.currency, locale))
    return names.same_in_all(symbol) if symbol not in ("", tender.currency) else None


def _official_languages(country: str) -> Texts | None:
    # A language that is official in two scripts stands here twice, as "sr_Latn" and "sr".
    codes = (code.split("_")[0] for code in get_official_languages(country))
    return names.list_of_languages(list(dict.fromkeys(codes)))


def _time_zone(country: str) -> Texts | None:
    metazones = {_metazone(zone) for zone in get_global("territory_zones").get(country, ())}
    metazone = metazones.pop() if len(metazones) == 1 else None
    return names.time_zone(metazone) if metazone else None


def _metazone(zone: str) -> str | None:
    """Return CLDR's metazone of a time zone, which it may know by an older name."""
    known = get_global("meta_zones")
    return next((known[name] for name in (zone, *_older_names()[zone]) if name in known), None)


@cache
def _older_names() -> dict[str, list[str]]:
    """Return time zone -> its former names."""
    older: dict[str, list[str]] = defaultdict(list)
    for former, present in sorted(get_global("zone_aliases").items()):
        older[present].append(former)
    return older


def _first_weekday(country: str) -> Texts | None:
    locale = _locale_of(country)
    return names.weekday(locale.first_week_day) if locale else None


@cache
def _locale_of(country: str) -> Locale | None:
    """Return the locale of a country in the language that CLDR takes for its main one."""
    try:
        return Locale.parse(f"und_{country}")
    except UnknownLocaleError:
        return None


def _script(language: str) -> Texts | None:
    """Return the script of a language, None if CLDR has data of it in several."""
    likely = get_global("likely_subtags").get(language)
    code = likely.split("_")[1] if likely else None
    return names.script(code) if code and _scripts_with_data()[language] <= {code} else None


@cache
def _scripts_with_data() -> dict[str, set[str]]:
    """Return language -> the scripts that its locales name."""
    scripts: dict[str, set[str]] = defaultdict(set)
    for identifier in locale_identifiers():
        language, *rest = identifier.split("_")
        scripts[language].update(part for part in rest if len(part) == 4 and part.isalpha())
    return scripts


def _word(relation: str, entity: str, name: Texts, item: Texts | None, word: str | None) -> Iterator[Fact]:
    if item is not None and word:
        yield Fact(relation, entity, name, names.same_in_all(word), item)
