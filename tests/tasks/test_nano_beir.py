"""NanoBEIR: thirteen corpora, their tasks and their benchmark, on small stand-ins of the data."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import datasets
import mteb
import numpy as np
import pytest
from mteb.cache import ResultCache

from beir_hybrid import beir
from beir_hybrid.corpora import ParallelCorpus, load, nano_beir, revision_of, spec_of_source
from beir_hybrid.errors import DataError
from beir_hybrid.families import WITHIN_FAMILY, groups_of
from beir_hybrid.leaderboard.board.family_scores import group_means
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.study.definition import read_study
from beir_hybrid.subsets import Subset, setting_of
from beir_hybrid.tasks import BENCHMARKS, tasks_of
from tests.support import small_nano
from tests.support.mteb_models import CountingEncoder, vector_of
from tests.support.plain_scores import plain_rank_distance, plain_scores

BY_NAME = {spec.name: spec for spec in nano_beir.SPECS}
ARGUANA, SCIFACT = BY_NAME["nano-arguana"], BY_NAME[small_nano.DEVIATING]
LANGUAGES = nano_beir.LANGUAGES
SIZE = small_nano.Size()

Scores = dict[str, dict[str, Any]]


def topical(text: str) -> np.ndarray:
    """Give a text the sum of the vectors of its words, whatever language they are in."""
    return np.sum(
        [vector_of(word.lstrip("abcdefghijklmnopqrstuvwxyz")) + 0.3 * vector_of(word) for word in text.split()], 0
    )


def embed(texts: Sequence[str]) -> np.ndarray:
    return np.stack([topical(text) for text in texts])


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_nano.write(tmp_path_factory.mktemp("hub"), [ARGUANA, SCIFACT], SIZE)


def use(hub: Path, patch: pytest.MonkeyPatch, home: Path) -> None:
    patch.setenv("BEIR_HYBRID_HUB", str(hub))
    patch.setenv("BEIR_HYBRID_HOME", str(home))
    patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(hub.parent / f"{hub.name}-prepared"))
    SHARED_RUNS.clear()


@pytest.fixture(autouse=True)
def data(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(hub, monkeypatch, tmp_path / "home")


def evaluate(model: Any, tasks: Sequence[Any], folder: Path) -> list[Scores]:
    """Run MTEB and return subset -> scores of each task."""
    results = mteb.evaluate(model, tasks, cache=ResultCache(folder), co2_tracker=False, show_progress_bar=False)
    return [{scores["hf_subset"]: scores for scores in result.scores["test"]} for result in results.task_results]


class Run(NamedTuple):
    """Both tasks of the data set of which one language has ids of its own, and MTEB's own task."""

    retrieval: Scores
    bias: Scores
    own: Scores
    corpus: ParallelCorpus
    model: CountingEncoder


@pytest.fixture(scope="module")
def whole(hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        use(hub, patch, folder / "home")
        model = CountingEncoder(topical)
        retrieval, bias = evaluate(model, [task() for task in tasks_of(SCIFACT)], folder)
        assert SCIFACT.origin is not None and SCIFACT.task is not None
        task = mteb.get_task(SCIFACT.origin.task)
        dataset = {**task.metadata.dataset, "path": str(hub / SCIFACT.task.path)}
        task.metadata = task.metadata.model_copy(update={"dataset": dataset})
        [own] = evaluate(CountingEncoder(topical), [task], folder)
        return Run(retrieval, bias, own, load(SCIFACT.name), model)


def test_thirteen_corpora_are_those_of_mtebs_tasks() -> None:
    assert len(nano_beir.SPECS) == 13
    own = mteb.get_benchmark("NanoBEIR-multilingual").tasks
    assert [spec.origin.task for spec in nano_beir.SPECS if spec.origin] == [task.metadata.name for task in own]
    for spec, task in zip(nano_beir.SPECS, own, strict=True):
        assert spec.origin is not None and spec.task is not None
        assert list(spec.origin.subsets.items()) == [(subset, subset) for subset in task.hf_subsets]
        assert spec.languages == tuple(task.hf_subsets)
        assert (spec.task.path, spec.licence) == (task.metadata.dataset["path"], task.metadata.license)
        assert [spec.origin.split] == task.metadata.eval_splits
        assert spec.metrics == (task.metadata.main_score, "map")
        assert spec_of_source(spec.name) is spec and not spec.pairs
    assert {name.removeprefix("nano-") for name in BY_NAME} >= {"climate-fever", "fiqa2018", "msmarco", "touche2020"}


@pytest.mark.parametrize("spec", nano_beir.SPECS, ids=lambda spec: spec.name)
def test_tasks_have_eleven_hundred_ten_and_eleven_subsets(spec: Any) -> None:
    retrieval, bias = tasks_of(spec)
    settings = [setting_of(subset) for subset in retrieval.metadata.hf_subsets]
    assert [settings.count(setting) for setting in dict.fromkeys(settings)] == [11, 110, 11]
    assert bias.metadata.hf_subsets == [*LANGUAGES, "all"]
    origin = mteb.get_task(spec.origin.task).metadata
    assert retrieval.metadata.main_score == "ndcg_at_10" and bias.metadata.name == f"{spec.task.name}LanguageBias"
    assert retrieval.metadata.prompt == origin.prompt and retrieval.metadata.bibtex_citation == origin.bibtex_citation
    assert retrieval.metadata.is_filled()


def test_the_benchmark_has_26_tasks_and_a_name_that_shells_take() -> None:
    benchmark = mteb.get_benchmark("BEIR-Hybrid(NanoBEIR)")
    assert benchmark is BENCHMARKS[1] and mteb.get_benchmark("BEIR-Hybrid-NanoBEIR") is benchmark
    assert "thakur2021beir" in (benchmark.citation or "")
    names = [task.metadata.name for task in benchmark.tasks]
    assert names == ["NanoArguAnaCL", "NanoArguAnaCLLanguageBias", "NanoSciFactCL", "NanoSciFactCLLanguageBias"]


def test_what_cannot_be_had_is_skipped_in_one_line_each(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(BENCHMARKS[1].tasks, "_said", set())
    with caplog.at_level(logging.WARNING, logger="mteb.beir_hybrid"):
        assert len(BENCHMARKS[1].tasks) == len(list(BENCHMARKS[1].tasks)) == 4
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 11 and not any("\n" in line for line in lines)
    assert lines[0].startswith("NanoClimateFeverCL is skipped: mteb/MultilingualNanoClimateFeverRetrieval: not on this")
    assert all("BEIR_HYBRID_HUB" in line for line in lines)


def test_a_folder_of_copies_that_is_not_there_breaks_no_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEIR_HYBRID_HUB", str(tmp_path / "missing"))
    task = mteb.get_task("NanoNQCL")
    assert len(task.hf_subsets) == 132
    with pytest.raises(DataError, match=r"BEIR_HYBRID_HUB=.*there is no such folder"):
        task.load_data()
    assert len(BENCHMARKS[1].tasks) == 0


def test_monolingual_scores_are_those_of_mtebs_own_task(whole: Run) -> None:
    assert set(whole.own) == set(LANGUAGES)
    for language, expected in whole.own.items():
        found = whole.retrieval[f"{language}-{language}"]
        names = [name for name, value in expected.items() if isinstance(value, float)]
        assert {"ndcg_at_10", "map_at_10", "recall_at_100", "nauc_ndcg_at_10_max", "main_score"} <= set(names)
        for name in names:  # MTEB rounds most of them to five decimals
            assert np.array_equal(round(found[name], 5), round(expected[name], 5), equal_nan=True), name


@pytest.mark.parametrize("subset", ["en-en", "ko-ko", "de-ja", "sv-ar", "en-multi", "ko-multi"])
def test_scores_equal_a_plain_search(whole: Run, subset: str) -> None:
    asked, pool = Subset.parse(subset)
    pools = list(LANGUAGES) if pool == "multi" else [pool]
    for metric, value in plain_scores(whole.corpus, asked, pools, embed).items():
        assert whole.retrieval[subset][metric] == pytest.approx(value, abs=1e-5)


def test_families_equal_the_means_of_plain_searches(whole: Run) -> None:
    pairs = [(x, y) for x in ("de", "en", "sv", "ar") for y in ("de", "en", "sv", "ar")]
    within = groups_of(pairs)[WITHIN_FAMILY]
    assert len(within) == 6
    means = group_means({f"{x}-{y}": whole.retrieval[f"{x}-{y}"]["map"] for x, y in pairs})
    plain = fmean(plain_scores(whole.corpus, x, [y], embed)["map"] for x, y in within)
    assert means[WITHIN_FAMILY].mean == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize("language", ["en", "ar"])
def test_bias_equals_a_plain_search(whole: Run, language: str) -> None:
    plain = plain_rank_distance(whole.corpus, language, embed)
    assert whole.bias[language]["rank_distance"] == pytest.approx(plain)


def test_grades_and_all_relevant_passages_are_kept(whole: Run) -> None:
    english = whole.corpus.languages["en"]
    assert {grade for grades in english.relevance.values() for grade in grades.values()} == {1, 2}
    assert sorted(map(len, english.relevance.values()))[-1] == SIZE.most
    assert sum(map(len, english.relevance.values())) == SIZE.relevant
    assert english.titles is not None and load("nano-arguana", ["en"]).languages["en"].titles is None


def test_a_language_with_ids_of_its_own_counts_by_itself_and_that_is_said(
    whole: Run, caplog: pytest.LogCaptureFixture
) -> None:
    parts = whole.corpus.languages
    assert set(parts["en"].question_ids) == set(parts["ar"].question_ids)
    assert not set(parts["en"].question_ids) & set(parts["ko"].question_ids)
    assert set(parts["ko"].relevance) == set(parts["ko"].question_ids)
    with caplog.at_level(logging.INFO, logger="mteb.beir_hybrid"):
        load(SCIFACT.name, ["de", "en", "ko"])
    [line] = [record.getMessage() for record in caplog.records if SCIFACT.name in record.getMessage()]
    assert "0 of 12 questions" in line and "6 times" in line


def test_each_text_is_encoded_once_for_both_tasks(whole: Run) -> None:
    n_texts = 11 * (SIZE.questions + SIZE.passages)
    assert n_texts <= len(whole.model.texts) < 2 * n_texts


def test_beir_gives_the_same_data(whole: Run) -> None:
    corpus, queries, qrels = beir.load(SCIFACT.name, "en", "multi")
    assert len(corpus) == 11 * SIZE.passages and len(queries) == SIZE.questions
    assert {query: dict(grades) for query, grades in qrels.items()} == {
        query: grades for query, grades in whole.corpus.judgments("en", LANGUAGES).items() if grades
    }
    assert all(entry["title"] for entry in corpus.values())


def test_another_copy_is_another_revision(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = revision_of(ARGUANA.name)
    assert before.startswith("local-") and mteb.get_task("NanoArguAnaCL").metadata.revision == before
    small_nano.write(tmp_path, [SCIFACT, ARGUANA], SIZE, languages=["en", "de"])
    monkeypatch.setenv("BEIR_HYBRID_HUB", str(tmp_path))
    assert revision_of(ARGUANA.name) != before
    monkeypatch.delenv("BEIR_HYBRID_HUB")
    assert ARGUANA.origin is not None
    assert revision_of(ARGUANA.name) == mteb.get_task(ARGUANA.origin.task).metadata.revision


def test_the_study_for_who_has_a_network_can_be_read() -> None:
    study = read_study(Path(__file__).parents[2] / "examples" / "nanobeir.toml")
    assert list(study.tasks) == [spec.task.name for spec in nano_beir.SPECS if spec.task]


def test_registering_them_loads_no_data_set() -> None:
    code = "import sys, beir_hybrid.corpora; assert not {'mteb', 'datasets', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
