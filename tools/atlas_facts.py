"""Makes beir_hybrid/corpora/atlas/facts.json, the facts of Atlas-R, from Unicode CLDR as the package babel has it.

`python -m tools.atlas_facts` writes the file, `--check` says whether it is what would be written. Another version of
babel has other facts and names, and gives another data set: then the revision in beir_hybrid/corpora/atlas and all
published figures of Atlas-R change, too.

A fact is kept only if it has one answer (a country with two currencies or two time zones has no such fact) and if CLDR
names everything in it in all eleven languages.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from functools import cache
from importlib.metadata import version
from typing import NamedTuple

from babel import Locale, UnknownLocaleError
from babel.core import get_cldr_version, get_global
from babel.languages import get_official_languages
from babel.localedata import locale_identifiers
from babel.numbers import get_currency_symbol, get_territory_currencies

from beir_hybrid.corpora.atlas.facts import FACTS, LANGUAGES, split_of, stable_number
from tools.atlas_names import Names, plain

BABEL = "2.18.0"
"""The version of babel that the published file was made with; constraints.txt pins it."""

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

Record = tuple[str, ...]
"""Relation, entity, value, and of words the day or month: keys of names, or a text the same in all languages."""


class Tender(NamedTuple):
    """A country's only legal tender, and the day it became that."""

    currency: str
    since: date | None


def main(arguments: list[str]) -> int:
    """Write the file, or check it.

    Args:
        arguments: ``--check`` or none.

    Returns:
        Exit code: 1 if the file is another.
    """
    if version("babel") != BABEL:
        print(f"babel {BABEL} is needed, {version('babel')} is installed: pip install -c constraints.txt babel")
        return 2
    if arguments == ["--check"]:
        return int(FACTS.read_text(encoding="utf-8") != content())
    FACTS.write_text(content(), encoding="utf-8", newline="\n")
    return 0


def content() -> str:
    """Return the text of the file: a name or a fact a line, the names sorted, the facts in the data set's order."""
    names = Names()
    facts = [*_country_facts(names), *_language_facts(names), *_currency_facts(names)]
    used = sorted({word for fact in facts for word in fact[1:]} & names.keys())
    head = {
        "what": "The facts of Atlas-R and the names in them, made by tools/atlas_facts.py; see docs/atlas-r.md",
        "source": f"Unicode CLDR {get_cldr_version()}, read through babel {BABEL}",
        "licence": "Unicode-3.0, see LICENSE.unicode",
        "languages": LANGUAGES,
    }
    lines = [f" {_json(key)}: {_json(value)},\n" for key, value in head.items()]
    lines += [' "names": {\n', _lines(f"{_json(key)}: {_json(list(names[key].values()))}" for key in used), " },\n"]
    lines += [' "facts": [\n', _lines(map(_json, facts)), " ]\n"]
    return f"{{\n{''.join(lines)}}}\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _lines(entries: Iterable[str]) -> str:
    return ",\n".join(f"  {entry}" for entry in entries) + "\n"


def _country_facts(names: Names) -> Iterator[Record]:
    relations: dict[str, Callable[[Names, str], str | None]] = {
        "currency": _currency,
        "former_currency": _former_currency,
        "currency_since": _currency_since,
        "currency_symbol": _currency_symbol,
        "official_languages": _official_languages,
        "time_zone": _time_zone,
        "first_weekday": _first_weekday,
    }
    for code, entity in _drawn(names, COUNTRIES, names.country):
        for relation, value_of in relations.items():
            value = value_of(names, code)
            if value:
                yield relation, entity, value


def _language_facts(names: Names) -> Iterator[Record]:
    for code, entity in _drawn(names, FOREIGN_LANGUAGES, names.language):
        script = _script(names, code)
        if script:
            yield "script", entity, script
        day, month = stable_number("day", code, below=7), 1 + stable_number("month", code, below=12)
        locale = Locale(code)
        yield from _word("weekday_word", entity, locale.days["format"]["wide"].get(day), names.weekday(day))
        if code not in OTHER_MONTHS_IN_DATES:
            yield from _word("month_word", entity, locale.months["format"]["wide"].get(month), names.month(month))


def _word(relation: str, entity: str, word: str | None, item: str | None) -> Iterator[Record]:
    if word and item:
        yield relation, entity, plain(word), item


def _currency_facts(names: Names) -> Iterator[Record]:
    in_use = {tender.currency for country in COUNTRIES if (tender := _tender(country, AS_OF))}
    for code, entity in _drawn(names, sorted(in_use), names.currency):
        yield "currency_code", entity, code


def _drawn(names: Names, codes: Iterable[str], name_of: Callable[[str], str | None]) -> Iterator[tuple[str, str]]:
    """Yield code and entity of what has distinct names and belongs to a split."""
    entities = {code: entity for code in codes if (entity := name_of(code))}
    distinct = names.distinct(entities.values())
    yield from ((code, entity) for code, entity in entities.items() if entity in distinct and split_of(entity))


def _tender(country: str, day: date) -> Tender | None:
    """Return a country's legal tender on some day, None if it had none or several."""
    found = get_territory_currencies(country, day, day, include_details=True)
    if len(found) != 1:
        return None
    return Tender(found[0]["currency"], found[0]["from"])


def _currency(names: Names, country: str) -> str | None:
    tender = _tender(country, AS_OF)
    return names.currency(tender.currency) if tender else None


def _former_currency(names: Names, country: str) -> str | None:
    """Return the legal tender on the day before the present one became it."""
    tender = _tender(country, AS_OF)
    if tender is None or tender.since is None:
        return None
    former = _tender(country, tender.since - timedelta(days=1))
    if former is None or former.currency == tender.currency:
        return None
    return names.currency(former.currency)


def _currency_since(names: Names, country: str) -> str | None:
    tender = _tender(country, AS_OF)
    return str(tender.since.year) if tender and tender.since else None


def _currency_symbol(names: Names, country: str) -> str | None:
    """Return the currency's symbol as the country's main language writes it, None if that is the ISO code."""
    tender, locale = _tender(country, AS_OF), _locale_of(country)
    if tender is None or locale is None:
        return None
    symbol = plain(get_currency_symbol(tender.currency, locale))
    return symbol if symbol != tender.currency else None


def _official_languages(names: Names, country: str) -> str | None:
    # A language that is official in two scripts stands here twice, as "sr_Latn" and "sr".
    codes = (code.split("_")[0] for code in get_official_languages(country))
    return names.list_of_languages(list(dict.fromkeys(codes)))


def _time_zone(names: Names, country: str) -> str | None:
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


def _first_weekday(names: Names, country: str) -> str | None:
    locale = _locale_of(country)
    return names.weekday(locale.first_week_day) if locale else None


@cache
def _locale_of(country: str) -> Locale | None:
    """Return the locale of a country in the language that CLDR takes for its main one."""
    try:
        return Locale.parse(f"und_{country}")
    except UnknownLocaleError:
        return None


def _script(names: Names, language: str) -> str | None:
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
