"""Languages: BCP 47 tags of a language, perhaps a script and a region, such as ``en``, ``ceb``, ``zh-Hant``, ``pt-BR``.

Whatever else a language is called, such as ``deu-Latn`` in MTEB, is derived from its tag here.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypedDict

from beir_hybrid.errors import DataError

_TAG = re.compile(r"(?P<language>[a-z]{2,3})(-(?P<script>[A-Z][a-z]{3}))?(-(?P<region>[A-Z]{2}|[0-9]{3}))?")
_SAME_SCRIPT = {"Hang": "Kore", "Hira": "Jpan", "Kana": "Jpan"}
"""What MTEB's metadata call the script of some Korean or Japanese texts -> that of the language."""
_SYLLABIC = frozenset("Bopo Hang Hani Hans Hant Hira Hrkt Jpan Kana Kore".split())


class Tag(NamedTuple):
    """The parts of a tag.

    Attributes:
        language: ISO 639-1 or ISO 639-3.
        script: ISO 15924; None where the tag leaves it to the language.
        region: ISO 3166-1 or UN M.49; None for none.
    """

    language: str
    script: str | None
    region: str | None


def is_tag(text: str) -> bool:
    """Return whether a text is a tag: ``multi``, ``EN``, ``xx`` and ``zh_Hant`` are not."""
    try:
        parse(text)
    except DataError:
        return False
    return True


def parse(tag: str) -> Tag:
    """Take a tag apart.

    Raises:
        DataError: It is not written like one, its two letters are no code of ISO 639-1, or it has three although there
            is a code of two.
    """
    match = _TAG.fullmatch(tag)
    if match is None:
        raise DataError(f"{tag!r} is not a language tag (BCP 47) such as 'en', 'ceb', 'zh-Hant' or 'pt-BR'")
    language, short = match["language"], _iso_639_1()
    if len(language) == 2 and language not in _table()["iso_639_3"]:
        raise DataError(f"{tag!r} is not a language tag (BCP 47): {language!r} is no code of ISO 639-1")
    if language in short:
        raise DataError(f"{tag!r} is not a language tag (BCP 47): write {short[language]!r} for {language!r}")
    return Tag(language, match["script"], match["region"])


def tag_of(code: str) -> str:
    """Return the tag of a language, however many letters its code has: ``zh-Hant`` of ``zho-Hant``, ``de`` of ``de``.

    Raises:
        DataError: It is neither a tag nor one but for its three letters, as MTEB writes them.
    """
    match = _TAG.fullmatch(code)
    language = match["language"] if match else ""
    tag = _iso_639_1().get(language, language) + code[len(language) :]
    parse(tag)
    return tag


def iso_639_3(tag: str) -> str:
    """Return the three-letter code of a language: ``deu`` of ``de``.

    Raises:
        DataError: The tag is none.
    """
    language = parse(tag).language
    return _table()["iso_639_3"].get(language, language)


def script_of(tag: str) -> str:
    """Return the script of a language (ISO 15924): the tag's own, else the usual one there, by Unicode CLDR.

    Raises:
        DataError: The tag is none.
    """
    _, script, region = parse(tag)
    code, usual = iso_639_3(tag), _scripts()
    return script or usual.get(f"{code}-{region}") or usual.get(code) or "Latn"


def mteb_code(tag: str) -> str:
    """Return the code and script that MTEB's metadata use: ``deu-Latn`` of ``de``, ``zho-Hans`` of ``zh``.

    Raises:
        DataError: The tag is none.
    """
    return f"{iso_639_3(tag)}-{script_of(tag)}"


def tag_of_mteb(code: str) -> str:
    """Return the tag of a language as MTEB's metadata write it: ``en`` of ``eng-Latn``, ``zh-Hant`` of ``zho-Hant``.

    The script stays where it is not the usual one of the language. Mandarin, ``cmn``, is ``zh``.

    Raises:
        DataError: It is no language, such as ``python-Code``.
    """
    match = _TAG.fullmatch(code)
    if match is None or match["script"] == "Code":
        raise DataError(f"{code!r} is not a language as MTEB writes it, such as 'eng-Latn'")
    language = tag_of("zho" if match["language"] == "cmn" else match["language"])
    script = _SAME_SCRIPT.get(match["script"], match["script"])
    return language if script in (None, script_of(language)) else f"{language}-{script}"


def is_syllabic(tag: str) -> bool:
    """Return whether a character is a syllable or a word, as in Chinese, Japanese and Korean.

    Raises:
        DataError: The tag is none.
    """
    return script_of(tag) in _SYLLABIC


class _Table(TypedDict):
    iso_639_3: dict[str, str]
    languages_of_script: dict[str, str]


@cache
def _table() -> _Table:
    import tomllib

    with Path(__file__).with_suffix(".toml").open("rb") as file:
        return tomllib.load(file)  # type: ignore[return-value]  # our own file


@cache
def _iso_639_1() -> dict[str, str]:
    """Code of three letters -> code of two."""
    return {long: short for short, long in _table()["iso_639_3"].items()}


@cache
def _scripts() -> dict[str, str]:
    """Language, or language and region -> script, where it is not Latin."""
    return {code: script for script, codes in _table()["languages_of_script"].items() for code in codes.split()}
