"""Language tags and the names of subsets, by their grammar and against MTEB's own tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mteb.languages import ISO_TO_LANGUAGE, ISO_TO_SCRIPT, check_language_code

from beir_hybrid import languages
from beir_hybrid.errors import DataError
from beir_hybrid.subsets import (
    CROSS,
    MULTI,
    SETTINGS,
    Subset,
    all_subsets,
    is_subset,
    pairs_of,
    setting_of,
    task_subsets,
)

ISO_639_1 = sorted(languages._table()["iso_639_3"])
ISO_639_3 = sorted({*ISO_TO_LANGUAGE} - {*languages._table()["iso_639_3"].values()})
"""Of the languages without a code of two letters."""
SCRIPTS = sorted(script for script in ISO_TO_SCRIPT if len(script) == 4)


@st.composite
def tags(draw: st.DrawFn) -> str:
    """Draw a language tag."""
    language = draw(st.sampled_from(ISO_639_1) | st.sampled_from(ISO_639_3))
    script = draw(st.none() | st.sampled_from(["Latn", "Hant", "Cyrl"]))
    region = draw(st.none() | st.sampled_from(["BR", "TW", "419"]))
    return "-".join(part for part in (language, script, region) if part)


@given(tags(), tags() | st.just(MULTI))
def test_a_subset_is_read_back_from_its_name(questions: str, pool: str) -> None:
    subset = Subset(questions, pool)
    assert Subset.parse(str(subset)) == subset
    assert is_subset(str(subset))
    expected = "multilingual" if pool == MULTI else "monolingual" if questions == pool else "cross-lingual"
    assert subset.setting == setting_of(str(subset)) == expected


def test_the_names_of_subsets() -> None:
    names = {Subset("en", "de"): "en-de", Subset("en", MULTI): "en-multi", Subset("ceb", "ceb"): "ceb-ceb"}
    names |= {Subset("zh-Hant", "en"): "zh-Hant_en", Subset("zh-Hant", MULTI): "zh-Hant_multi"}
    names |= {Subset("en", "pt-BR"): "en_pt-BR"}
    assert {subset: str(subset) for subset in names} == names
    assert len({*names, Subset("en", "de")}) == len(names)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "en",
        "en-",
        "-en",
        "multi-en",
        "multi-multi",
        "cross-en",
        "en-de-fr",
        "zh-Hant-en",
        "en_de",
        "EN-de",
        "en-Multi",
        "en-de\n",
    ],
)
def test_what_is_not_the_name_of_a_subset_is_refused(name: str) -> None:
    assert not is_subset(name)
    with pytest.raises(DataError, match="not the name of a subset"):
        Subset.parse(name)


@given(st.text(max_size=12))
def test_any_text_is_the_name_of_a_subset_or_refused(text: str) -> None:
    assert not is_subset(text) or str(Subset.parse(text)) == text


def test_two_hundred_languages_have_all_their_subsets() -> None:
    codes = ISO_639_3[:200]
    subsets = all_subsets(codes)
    assert len(set(map(str, subsets))) == len(subsets) == 200 * 200 + 200
    counts = [sum(subset.setting == setting for subset in subsets) for setting in SETTINGS]
    assert counts == [200, 200 * 199, 200]
    assert [*map(Subset.parse, map(str, subsets))] == subsets


def test_a_task_of_many_languages_has_means_over_the_pools_of_the_others() -> None:
    codes = ISO_639_3[:21]
    assert task_subsets(codes[:20]) == all_subsets(codes[:20])
    subsets = task_subsets(codes)
    assert len(set(map(str, subsets))) == 3 * len(codes)
    assert [sum(subset.setting == setting for subset in subsets) for setting in SETTINGS] == [21, 21, 21]
    assert str(Subset("zh-Hant", CROSS)) == "zh-Hant_cross" and Subset.parse("ceb-cross") == Subset("ceb", CROSS)
    pairs = [pair for subset in subsets for pair in pairs_of(subset, codes)]
    assert sorted(pairs) == sorted(all_subsets(codes))


@given(tags())
def test_every_language_has_a_code_that_mteb_accepts(tag: str) -> None:
    code = languages.mteb_code(tag)
    check_language_code(code)
    language, script, _ = languages.parse(tag)
    assert code.endswith(f"-{script or languages.script_of(tag)}")
    assert len(language) == 2 or code.startswith(f"{language}-")


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("de", "deu-Latn"),
        ("zh", "zho-Hans"),
        ("zh-Hant", "zho-Hant"),
        ("zh-TW", "zho-Hant"),
        ("ceb", "ceb-Latn"),
        ("ko", "kor-Kore"),
        ("arb", "arb-Arab"),
        ("sr-Latn", "srp-Latn"),
        ("sr", "srp-Cyrl"),
        ("pt-BR", "por-Latn"),
        ("yue", "yue-Hant"),
    ],
)
def test_codes_of_mteb(tag: str, code: str) -> None:
    assert languages.mteb_code(tag) == code


@pytest.mark.parametrize(
    "tag", ["", "xx", "EN", "english", "e", "zh_Hant", "zh-hant", "zh-HANT", "en-us", "multi", "eng"]
)
def test_what_is_not_a_tag_is_refused_in_one_line(tag: str) -> None:
    with pytest.raises(DataError) as error:
        languages.parse(tag)
    assert repr(tag) in str(error.value)
    assert "\n" not in str(error.value)


def test_scripts_without_spaces_between_words() -> None:
    assert {tag for tag in ("zh", "ja", "ko", "yue", "th", "en", "zh-Latn", "km") if languages.is_syllabic(tag)} == {
        "zh",
        "ja",
        "ko",
        "yue",
    }


def test_iso_639() -> None:
    assert len(ISO_639_1) == 183
    assert {languages.iso_639_3(code) for code in ISO_639_1} <= ISO_TO_LANGUAGE.keys()
    table = languages._scripts()
    assert {code.partition("-")[0] for code in table} <= ISO_TO_LANGUAGE.keys()
    assert {*table.values()} <= {*SCRIPTS}


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("eng-Latn", "en"),
        ("zho-Hans", "zh"),
        ("cmn-Hans", "zh"),
        ("zho-Hant", "zh-Hant"),
        ("kor-Hang", "ko"),
        ("jpn-Hira", "ja"),
        ("arb-Arab", "arb"),
        ("arb-Latn", "arb-Latn"),
        ("nob-Latn", "nb"),
        ("ceb-Latn", "ceb"),
    ],
)
def test_tags_of_mtebs_languages(code: str, tag: str) -> None:
    assert languages.tag_of_mteb(code) == tag


@pytest.mark.parametrize("code", ["python-Code", "sql-Code", "xx", "default", ""])
def test_what_is_no_language_to_mteb_has_no_tag(code: str) -> None:
    with pytest.raises(DataError, match="language"):
        languages.tag_of_mteb(code)
