"""Families of languages against MTEB's own list and tasks, and the groups of pairs."""

from __future__ import annotations

from collections import Counter

import mteb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid import families
from beir_hybrid.errors import DataError
from beir_hybrid.families import (
    BETWEEN_FAMILIES,
    FAMILY_GROUPS,
    MONOLINGUAL,
    OTHER_SCRIPT,
    SAME_SCRIPT,
    SCRIPT_GROUPS,
    UNKNOWN_FAMILY,
    WITHIN_FAMILY,
    family_of,
    groups_of,
    in_family_order,
    pair_groups,
)
from beir_hybrid.languages import _table, iso_639_3, script_of, tag_of
from tests.support.helpers import property_test
from tools.language_families import languages_by_family

XQUAD = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")


def codes_of(task: mteb.AbsTask) -> set[str]:
    """Return the languages of a task as MTEB writes them, ``zho-Hant``."""
    languages = task.metadata.eval_langs
    return {code for codes in languages.values() for code in codes} if isinstance(languages, dict) else {*languages}


def test_every_language_of_belebele_has_a_family_and_a_script() -> None:
    codes = codes_of(mteb.get_task("BelebeleRetrieval"))
    assert len(codes) == 122
    assert [code for code in codes if family_of(code) is None] == []
    assert {code: script_of(tag_of(code)) for code in codes} == {code: code[4:] for code in codes}
    pairs = [(x, y) for x in codes for y in codes]
    sizes = {group: len(members) for group, members in groups_of(pairs).items()}
    assert sizes[MONOLINGUAL] + sizes[WITHIN_FAMILY] + sizes[BETWEEN_FAMILIES] == len(pairs) == 122**2
    of_family, of_script = Counter(map(family_of, codes)), Counter(code[4:] for code in codes)
    assert sizes[WITHIN_FAMILY] == sum(n * (n - 1) for n in of_family.values())
    assert sizes[SAME_SCRIPT] == sum(n * (n - 1) for n in of_script.values())
    assert UNKNOWN_FAMILY not in sizes


def test_the_languages_that_the_tasks_of_mteb_name_have_a_family() -> None:
    named = {code for task in mteb.get_tasks() for code in codes_of(task)}
    without = {code for code in named if family_of(code) is None}
    # Programming languages, no language, languages that somebody thought up, and a pidgin.
    invented = {"epo-Latn", "ido-Latn", "ile-Latn", "ina-Latn", "lfn-Latn", "nov-Latn", "tok-Latn", "tzl-Latn"}
    allowed = invented | {"nqo-Nkoo", "hmo-Latn", "zxx-Zxxx"}
    assert {code for code in without if not code.endswith("-Code")} <= allowed


def test_our_list_is_that_of_mteb() -> None:
    tables = families._tables.__wrapped__()
    known, members = tables
    listed = {code: family for family, codes in languages_by_family().items() for code in codes}
    assert listed.items() <= known.items()  # else: python -m tools.language_families
    assert not listed.keys() & members.keys()
    assert {*members.values()} <= listed.keys()
    named = {iso_639_3(tag) for tag in _table()["iso_639_3"]}
    without = {code for code in named if family_of(code) is None}
    assert without <= {"epo", "hmo", "ido", "ile", "ina", "vol"}  # thought up, and Hiri Motu, a pidgin


def test_families_of_languages() -> None:
    expected = {
        "ara": "Afro-Asiatic",
        "ar": "Afro-Asiatic",
        "zho-Hant": "Sino-Tibetan",
        "zh-Hant": "Sino-Tibetan",
        "yue": "Sino-Tibetan",
        "nob": "Indo-European",
        "lvs": "Indo-European",
        "pt-BR": "Indo-European",
        "eus": "Basque",
        "tr": "Turkic",
        "ja": "Japonic",
        "eo": None,
        "zxx": None,
        "python-Code": None,
        "": None,
    }
    assert {tag: family_of(tag) for tag in expected} == expected


def test_groups_of_pairs() -> None:
    assert pair_groups("de", "de") == pair_groups("zho-Hant", "zh-Hant") == (MONOLINGUAL,)
    assert pair_groups("zh", "zh-Hant") == (WITHIN_FAMILY, OTHER_SCRIPT, "Sino-Tibetan")
    assert pair_groups("en", "ru") == (WITHIN_FAMILY, OTHER_SCRIPT, "Indo-European")
    assert pair_groups("vi", "en") == (
        BETWEEN_FAMILIES,
        SAME_SCRIPT,
        "Austroasiatic and others",
        "Indo-European and others",
    )
    assert pair_groups("eo", "en") == pair_groups("eo", "ia") == (UNKNOWN_FAMILY, SAME_SCRIPT)
    with pytest.raises(DataError, match="language tag"):
        pair_groups("en", "multi")


def test_groups_of_xquad_r() -> None:
    groups = groups_of((x, y) for x in XQUAD for y in XQUAD)
    assert {name: len(pairs) for name, pairs in groups.items()} == {
        MONOLINGUAL: 11,
        WITHIN_FAMILY: 30,
        BETWEEN_FAMILIES: 80,
        SAME_SCRIPT: 20,
        OTHER_SCRIPT: 90,
        "Afro-Asiatic and others": 20,
        "Austroasiatic and others": 20,
        "Indo-European": 30,
        "Indo-European and others": 60,
        "Sino-Tibetan and others": 20,
        "Tai-Kadai and others": 20,
        "Turkic and others": 20,
    }
    assert in_family_order([*XQUAD, "eo"]) == "ar vi de el en es hi ru zh th tr eo".split()


def test_families_in_a_row() -> None:
    assert families.family_runs(["ar", "de", "en", "eo", "ia"]) == [
        ("Afro-Asiatic", 0, 1),
        ("Indo-European", 1, 2),
        (UNKNOWN_FAMILY, 3, 2),
    ]
    assert families.family_runs([]) == []
    pairs = [("de", "en"), ("de", "de"), ("de", "th")]
    assert list(groups_of(pairs, "script")) == [MONOLINGUAL, SAME_SCRIPT, OTHER_SCRIPT]
    assert OTHER_SCRIPT not in groups_of(pairs, "family") and WITHIN_FAMILY in groups_of(pairs, "family")


TAGS = st.sampled_from([*_table()["iso_639_3"], "zh-Hant", "sr-Latn", "pt-BR", "ceb", "zxx"])


@property_test(200)
@given(TAGS, TAGS)
def test_a_pair_is_in_one_group_of_families_and_in_one_of_scripts(one: str, other: str) -> None:
    groups = pair_groups(one, other)
    assert groups[:2] == pair_groups(other, one)[:2] and set(groups) == set(pair_groups(other, one))
    assert len(set(groups) & {*FAMILY_GROUPS}) == len(set(groups) & {*SCRIPT_GROUPS}) == 1
    if one != other:
        assert (WITHIN_FAMILY in groups) == (family_of(one) == family_of(other) is not None)
        assert (SAME_SCRIPT in groups) == (script_of(one) == script_of(other))
