"""Atlas-R: what is generated, in every language and split, and the tasks and pairs made of it."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from string import Formatter

import mteb
import numpy as np
import pytest
from mteb.cache import ResultCache

from beir_hybrid import corpora
from beir_hybrid.corpora import atlas
from beir_hybrid.corpora.atlas.facts import FACTS, all_facts, split_of
from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus
from beir_hybrid.errors import DataError
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.ranks import rank_table
from beir_hybrid.ranks.model_state import SAMPLED_TEXTS
from beir_hybrid.tasks import BENCHMARKS, AtlasR, AtlasRLanguageBias
from beir_hybrid.training.pairs import load_pairs, read_source
from tests.support.mteb_models import CountingEncoder
from tools.atlas_facts import BABEL, COUNTRIES, FOREIGN_LANGUAGES, main

REPOSITORY = Path(__file__).parents[2]
TEST, TRAIN = atlas.read(), atlas.read(split="train")
SPLITS = {"test": TEST, "train": TRAIN}
PARTS = [pytest.param(part, id=f"{name}-{code}") for name, c in SPLITS.items() for code, part in c.languages.items()]
RELATIONS = set(atlas.templates("en")) - {"word"} | {"weekday_word", "month_word"}

SCRIPTS = {"ar": "ARABIC", "el": "GREEK", "hi": "DEVANAGARI", "ru": "CYRILLIC", "th": "THAI", "zh": "CJK"}
"""Language -> how the names of its letters begin in Unicode; LATIN for all others."""


def relation_of(question_id: str) -> str:
    return question_id.split("-")[0]


def test_the_texts_are_those_of_the_published_revision() -> None:
    assert TEST.revision == TRAIN.revision == atlas.REVISION == atlas.content_hash()


def test_the_texts_need_no_babel_and_are_the_same_in_every_process() -> None:
    code = """
import sys
sys.modules["babel"] = None  # importing it fails
from beir_hybrid.corpora import atlas
print(atlas.content_hash())
"""
    assert run(code) == atlas.REVISION


def test_the_file_of_the_facts_is_what_the_script_makes_of_the_pinned_babel() -> None:
    if version("babel") != BABEL:
        pytest.skip(f"the facts are those of babel {BABEL}, and {version('babel')} is installed")
    # babel resolves aliases for good, so what was looked up before must not matter: here the languages, backwards.
    code = f"""
from babel import Locale
for code in reversed({FOREIGN_LANGUAGES!r}):
    Locale(code).months["stand-alone"]["wide"][1], Locale(code).days["stand-alone"]["wide"][1]
from tools.atlas_facts import content
print(content(), end="")
"""
    assert run(code) == FACTS.read_text(encoding="utf-8").strip()


def test_the_script_refuses_another_babel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("tools.atlas_facts.version", lambda _: "2.99")
    before = FACTS.read_bytes()
    assert main([]) == main(["--check"]) == 2
    assert f"babel {BABEL} is needed, 2.99 is installed" in capsys.readouterr().out
    assert FACTS.read_bytes() == before


def run(code: str) -> str:
    """Return what a process prints whose hash seed, time zone and languages are other than here."""
    environment = {"PYTHONHASHSEED": "1", "PYTHONUTF8": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C", "LANGUAGE": "tr"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, encoding="utf-8", check=True
    )
    return done.stdout.strip()


def test_changed_texts_are_not_read_under_the_published_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atlas, "content_hash", lambda: "abc")
    with pytest.raises(DataError, match=r"^atlas-r: its texts are no longer those of revision .* enter abc as"):
        atlas.read(["en"])


def test_it_is_parallel_and_large_enough() -> None:
    for corpus in SPLITS.values():
        assert tuple(corpus.languages) == atlas.LANGUAGES == corpora.spec_of("xquad-r").languages
        first, *others = corpus.languages.values()
        for part in others:
            assert part.question_ids == first.question_ids
            assert part.articles == first.articles
            assert part.relevance == first.relevance
    assert len(TEST.languages["en"].questions) >= 400
    relations = Counter(map(relation_of, TEST.languages["en"].question_ids))
    assert set(relations) == RELATIONS
    assert sum(count >= 20 for count in relations.values()) >= 6, "each needs passages that distract"


@pytest.mark.parametrize("part", PARTS)
def test_each_question_has_one_passage_that_states_its_fact(part: LanguageCorpus) -> None:
    facts = {fact.id: fact for fact in all_facts()}
    assert len(set(part.questions)) == len(part.questions)
    assert len(set(part.passages)) == len(part.passages)
    for question_id, question in zip(part.question_ids, part.questions, strict=True):
        [(row, grade)] = part.relevance[question_id].items()
        fact, language = facts[question_id], part.language
        assert grade == 1
        for text in (question, part.passages[row]):
            # The first letter of a sentence is a capital, also where the name's is not.
            assert fact.name[language][1:] in text
            assert fact.item.get(language, "")[1:] in text
        assert fact.value[language].rstrip(".")[1:] in part.passages[row]


@pytest.mark.parametrize("part", PARTS)
def test_the_texts_are_clean_and_in_the_script_of_their_language(part: LanguageCorpus) -> None:
    texts = [*part.questions, *part.passages]
    for text in texts:
        assert not re.search(r"[{}\n\t\xa0\u200b\u200e\u200f\u202f]|  |None|\.\.$", text), text
        assert text == text.strip() == unicodedata.normalize("NFC", text)
        assert not text[0].islower()
    letters = [unicodedata.name(letter) for text in texts for letter in text if letter.isalpha()]
    share = np.mean([name.startswith(SCRIPTS.get(part.language, "LATIN")) for name in letters])
    assert share > 0.93


def test_no_entity_of_the_test_split_is_trained_on() -> None:
    entities = {name: set(corpus.languages["en"].articles) for name, corpus in SPLITS.items()}
    assert entities["test"] and entities["train"] and not entities["test"] & entities["train"]
    for language in atlas.LANGUAGES:
        # In Thai a country and its language have one name: an entity is a name and a kind.
        names = {
            name: {(f.entity.split("-")[0], f.name[language]) for f in all_facts() if split_of(f.entity) == name}
            for name in SPLITS
        }
        assert not names["test"] & names["train"]


def test_no_country_of_the_test_split_stands_in_a_question_of_the_train_split() -> None:
    tested = [f.name["en"] for f in all_facts() if f.entity.startswith("country") and split_of(f.entity) == "test"]
    asked = [f for f in all_facts() if f.entity.startswith("country") and split_of(f.entity) == "train"]
    for fact in asked:
        assert not [name for name in tested if re.search(rf"\b{re.escape(name)}\b", atlas.question_text(fact, "en"))]


def test_the_templates_have_the_same_relations_and_the_fields_they_need() -> None:
    for language in atlas.LANGUAGES:
        forms_of = atlas.templates(language)
        assert list(forms_of) == list(atlas.templates("en")), language
        for relation, forms in forms_of.items():
            assert len(set(forms["questions"])) >= 3 and len(set(forms["passages"])) >= 2
            item = {"item"} if relation == "word" else set()
            for kind, needed in (("questions", {"entity"}), ("passages", {"entity", "value"})):
                for form in forms[kind]:
                    fields = [field for _, field, _, _ in Formatter().parse(form) if field]
                    assert sorted(fields) == sorted(needed | item), form


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[currency]\nquestions = []\n", r"en\.toml: \[currency\] "),
        ("[currency]\nquestions = [1]\npassages = []\n", r"en\.toml: \[currency\] "),
        ("currency = 'What?'\n", r"en\.toml: \[currency\] "),
        ("[currency", r"en\.toml is not a TOML file"),
    ],
)
def test_malformed_templates_are_one_line(
    content: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "en.toml").write_text(content)
    monkeypatch.setattr(atlas, "_TEMPLATES", tmp_path)
    with pytest.raises(DataError, match=message):
        atlas.templates.__wrapped__("en")


def test_languages_choose_their_paraphrases_independently() -> None:
    chosen = {
        language: [
            atlas.templates(language)["currency"]["questions"].index(
                atlas.question_text(fact, language).replace(fact.name[language], "{entity}")
            )
            for fact in all_facts()
            if fact.relation == "currency" and fact.name[language] in atlas.question_text(fact, language)
        ]
        for language in ("de", "ru", "zh")
    }
    assert all(set(numbers) == {0, 1, 2} for numbers in chosen.values())
    assert chosen["de"] != chosen["ru"] != chosen["zh"]


@pytest.mark.parametrize("part", [pytest.param(TEST.languages[code], id=code) for code in ("en", "de", "zh")])
def test_overlapping_strings_do_not_win(part: LanguageCorpus) -> None:
    def terms(text: str) -> Counter[str]:
        text = text.lower()
        return Counter(text[i : i + 2] for i in range(len(text))) if part.language == "zh" else Counter(text.split())

    passages = [terms(passage) for passage in part.passages]
    found_in = Counter(term for passage in passages for term in passage)
    weight = {term: math.log(1 + len(passages) / count) for term, count in found_in.items()}
    precision = []
    for question_id, question in zip(part.question_ids[::4], part.questions[::4], strict=True):
        scores = np.array(
            [sum(weight[term] for term in terms(question) & passage) / math.sqrt(len(passage)) for passage in passages]
        )
        [right] = part.relevance[question_id]
        precision.append(1 / np.sum(scores >= scores[right]))
    assert 0.2 < np.mean(precision) < 0.75


def test_some_facts_are_as_everybody_knows_them() -> None:
    facts = {fact.id: fact for fact in all_facts()}
    assert facts["currency-country-JP"].value["de"] == "Japanischer Yen"
    assert facts["currency_code-currency-CHF"].value["th"] == "CHF"
    assert facts["currency_symbol-country-PL"].value["en"] == "zł"
    assert facts["official_languages-country-IL"].value["es"] == "hebreo y árabe"
    assert facts["time_zone-country-JP"].value["zh"] == "日本标准时间"
    assert facts["first_weekday-country-PL"].value["ru"] == "понедельник"
    assert facts["script-language-be"].value["vi"] == "chữ Kirin"
    assert facts["weekday_word-language-pt"].value["el"] == "quarta-feira"
    assert facts["former_currency-country-IT"].value["en"] == "Italian Lira"
    assert facts["currency_since-country-IT"].value["hi"] == "1999"
    assert len(set(COUNTRIES)) == 193
    assert not set(FOREIGN_LANGUAGES) & set(atlas.LANGUAGES)


def test_names_are_written_as_within_a_sentence() -> None:
    facts = {fact.id: fact for fact in all_facts()}
    assert facts["official_languages-country-CY"].value["el"] == "ελληνικά και τουρκικά"
    assert facts["script-language-be"].value["el"] == "κυριλλικό"
    assert facts["currency-country-US"].value["el"] == "δολάριο ΗΠΑ"
    assert facts["former_currency-country-IT"].value["ru"] == "итальянская лира"
    assert facts["first_weekday-country-PL"].value["tr"] == "pazartesi"
    assert facts["first_weekday-country-PL"].value["vi"] == "thứ Hai"
    days_and_months = [fact.item["tr"] for fact in facts.values() if fact.item]
    assert days_and_months and all(item.islower() for item in days_and_months)
    assert facts["currency-country-CD"].name["es"] == "la República Democrática del Congo"
    assert facts["currency-country-BS"].name["en"] == "the Bahamas"


def test_a_space_follows_a_bracket_in_thai() -> None:
    texts = [write(fact, "th") for fact in all_facts() for write in (atlas.question_text, atlas.passage_text)]
    assert any("เมียนมา (พม่า) " in text for text in texts)
    assert not [text for text in texts if re.search(r"\)[\u0e00-\u0e7f]", text)]


def test_reading_some_languages() -> None:
    read = corpora.load("atlas-r", ["zh", "ar"])
    assert list(read.languages) == ["ar", "zh"]
    assert read.languages["zh"] == TEST.languages["zh"]
    assert read.revision == TEST.revision
    for wrong, message in (
        (["it"], r"^atlas-r: unknown language 'it'; it has ar, de, el,"),
        ([], "^atlas-r: no language was asked for;"),
    ):
        with pytest.raises(DataError, match=message):
            atlas.read(wrong)
    with pytest.raises(DataError, match=r"^atlas-r: unknown split 'dev'; it has train and test$"):
        atlas.read(split="dev")  # type: ignore[arg-type]


@pytest.fixture
def few_facts(monkeypatch: pytest.MonkeyPatch) -> Iterator[ParallelCorpus]:
    """Let Atlas-R have a tenth of its facts, and return its test split."""
    some = all_facts()[::10]
    monkeypatch.setattr(atlas, "all_facts", lambda: some)
    atlas.content_hash.cache_clear()
    monkeypatch.setattr(atlas, "REVISION", atlas.content_hash())
    spec = replace(atlas.SPEC, revision=atlas.content_hash())
    monkeypatch.setitem(corpora.registry._SPECS, "atlas-r", spec)
    for task in (AtlasR, AtlasRLanguageBias):
        monkeypatch.setattr(task, "spec", spec)
    yield atlas.read()
    atlas.content_hash.cache_clear()


def test_the_tasks_run_end_to_end_without_files(
    few_facts: ParallelCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(tmp_path))
    SHARED_RUNS.clear()
    model = CountingEncoder()
    results = mteb.evaluate(
        model,
        mteb.get_tasks(["AtlasR", "AtlasRLanguageBias"]),
        cache=ResultCache(tmp_path),
        co2_tracker=False,
        show_progress_bar=False,
    )
    retrieval, bias = results.task_results
    assert [retrieval.task_name, bias.task_name] == ["AtlasR", "AtlasRLanguageBias"]
    assert len(retrieval.scores["test"]) == 132 and len(bias.scores["test"]) == 12
    assert retrieval.dataset_revision == bias.dataset_revision == few_facts.revision != TEST.revision
    n_texts = sum(len(part.questions) + len(part.passages) for part in few_facts.languages.values())
    assert n_texts < len(model.texts) <= n_texts + SAMPLED_TEXTS, (
        "a sample tells the bias task that the model is the same"
    )
    [path] = (tmp_path / "home").rglob("*.parquet")
    table, info = rank_table.read(path)
    assert table.num_rows == 11 * 11 * len(few_facts.languages["en"].questions)
    assert info.dataset_revision == few_facts.revision


def test_the_metadata_are_complete_and_no_benchmark_has_the_tasks() -> None:
    for task in (AtlasR, AtlasRLanguageBias):
        assert task.metadata.is_filled()
        assert task.metadata.revision == atlas.REVISION
    assert len(AtlasR.metadata.hf_subsets) == 132
    in_benchmarks = {task.metadata.name for benchmark in BENCHMARKS for task in benchmark.tasks}
    assert not in_benchmarks & {"AtlasR", "AtlasRLanguageBias"}


def test_the_pairs_are_those_of_the_train_split() -> None:
    pairs = read_source("atlas", ["en", "th"])
    assert pairs.source == "atlas" and pairs.revision == TRAIN.revision
    assert pairs.training_datasets == {"AtlasR", "AtlasRLanguageBias"}
    assert pairs.languages == ("en", "th")
    assert tuple(pairs.questions["th"].to_pylist()) == TRAIN.languages["th"].questions
    assert tuple(pairs.answers["en"].to_pylist()) == TRAIN.languages["en"].passages
    assert len(set(pairs.labels.tolist())) == len(pairs.labels)
    assert set(load_pairs("atlas", languages=["en", "th"])) == {"en-en", "en-th", "th-en", "th-th"}
