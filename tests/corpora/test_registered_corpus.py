"""A corpus of 130 languages that one module adds: whatever lists corpora knows it, and whatever reads them reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import mteb
import numpy as np
import pytest
import torch
from beir.datasets.data_loader import GenericDataLoader
from numpy.typing import NDArray

from beir_hybrid import beir, corpora
from beir_hybrid.corpora.formats.corpus_folder import export_corpus
from beir_hybrid.corpora.spec import TaskFacts
from beir_hybrid.errors import DataError
from beir_hybrid.leaderboard.board.columns import board_columns
from beir_hybrid.leaderboard.board.unit_scores import column_scores
from beir_hybrid.overlap.check import read_evaluation
from beir_hybrid.ranks import rank_table
from beir_hybrid.subsets import SETTINGS
from beir_hybrid.tasks import tasks_of
from beir_hybrid.training.pairs import load_pairs
from beir_hybrid.training.sampler import HybridBatchSampler
from tests.support.babel import LANGUAGES, QUESTIONS, SPEC, BabelRetrieval, BabelRetrievalLanguageBias, passages_of
from tests.support.mteb_models import CountingEncoder, WordSearch, vector_of

N_PASSAGES = sum(len(passages_of(language)) for language in LANGUAGES)

Scores = dict[str, dict[str, Any]]


def topical(text: str) -> NDArray[np.float32]:
    """Give a text a vector near those of its number and of its language."""
    vector = vector_of(text) + 0.7 * vector_of(text[-1]) + 0.4 * vector_of(text[:3])
    return vector / np.linalg.norm(vector)


class DotEncoder(CountingEncoder):
    """Compares by dot products, without what a similarity for all kinds of embeddings costs 16,900 times."""

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        return torch.as_tensor(embeddings1) @ torch.as_tensor(embeddings2).T


@pytest.fixture(scope="module", autouse=True)
def babel() -> Iterator[None]:
    corpora.register(SPEC)
    yield
    corpora.unregister(SPEC.name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("babel")


@pytest.fixture(scope="module")
def results(folder: Path) -> list[Scores]:
    """Evaluate an encoder through MTEB: scores by subset of the retrieval and the language-bias task."""
    tasks = [BabelRetrieval(), BabelRetrievalLanguageBias()]
    for task in tasks:
        task.ranks_folder = folder
    run = mteb.evaluate(
        DotEncoder(topical),
        tasks,
        cache=None,  # it would write the whole result again after each of the subsets
        co2_tracker=False,
        show_progress_bar=False,
    )
    return [{entry["hf_subset"]: entry for entry in result.scores["test"]} for result in run.task_results]


@pytest.fixture(scope="module")
def table(results: list[Scores], folder: Path) -> tuple[Any, Any]:
    [path] = folder.rglob("BabelRetrieval.parquet")
    return rank_table.read(path)


@pytest.fixture(scope="module")
def ranks() -> NDArray[np.int64]:
    """Rank every right answer in the pool of all languages, by sorting: language and number of the question, language.

    0 where the language has no answer.
    """
    passages = [(language, n, text) for language in LANGUAGES for n, text in enumerate(passages_of(language))]
    vectors = np.stack([topical(text) for _, _, text in passages]).astype(np.float64)
    found = np.zeros((len(LANGUAGES), len(QUESTIONS), len(LANGUAGES)), dtype=np.int64)
    for x, language in enumerate(LANGUAGES):
        for n in range(len(QUESTIONS)):
            order = np.argsort(-(vectors @ topical(f"{language} question {n}").astype(np.float64)))
            for rank, place in enumerate(order, 1):
                of, number, _ = passages[place]
                if number == n:
                    found[x, n, LANGUAGES.index(of)] = rank
    return found


def in_language(x: int, n: int, y: int) -> int:
    """Rank the answer in one language by comparing it with the passages of that language."""
    question = topical(f"{LANGUAGES[x]} question {n}").astype(np.float64)
    scores = [float(question @ topical(text).astype(np.float64)) for text in passages_of(LANGUAGES[y])]
    return 1 + sum(score > scores[n] for score in scores)


def test_its_languages_are_real_ones_with_three_letters() -> None:
    assert len(LANGUAGES) == len(set(LANGUAGES)) == 130
    assert {len(language) for language in LANGUAGES} == {3}
    assert tasks_of(SPEC) == (BabelRetrieval, BabelRetrievalLanguageBias)


def test_a_question_language_has_three_subsets(results: list[Scores]) -> None:
    retrieval, bias = results
    assert set(retrieval) == {f"{x}-{pool}" for x in LANGUAGES for pool in (x, "cross", "multi")}
    assert set(bias) == {*LANGUAGES, "all"}
    with pytest.raises(DataError, match="unknown language"):
        corpora.load(SPEC.name, ["en"])


def test_the_cross_lingual_subset_is_the_mean_over_the_pools(results: list[Scores]) -> None:
    for x in (0, 4, 77):
        means = []
        for y in range(len(LANGUAGES)):
            judged = range(len(passages_of(LANGUAGES[y])))
            if y != x:
                means.append(fmean(1 / in_language(x, n, y) for n in judged))
        assert results[0][f"{LANGUAGES[x]}-cross"]["map"] == pytest.approx(fmean(means), abs=1e-9)
        own = fmean(1 / in_language(x, n, x) for n in range(len(passages_of(LANGUAGES[x]))))
        assert results[0][f"{LANGUAGES[x]}-{LANGUAGES[x]}"]["map"] == pytest.approx(own, abs=1e-9)


def test_the_multilingual_subset_is_that_of_the_whole_pool(results: list[Scores], ranks: NDArray[np.int64]) -> None:
    for x in (0, 4, 77):
        precisions = []
        for of_question in ranks[x]:
            sorted_ranks = np.sort(of_question[of_question > 0])
            precisions.append(float(np.mean(np.arange(1, len(sorted_ranks) + 1) / sorted_ranks)))
        assert results[0][f"{LANGUAGES[x]}-multi"]["map"] == pytest.approx(fmean(precisions), abs=1e-9)


def test_bias_figures_equal_brute_force(results: list[Scores], ranks: NDArray[np.int64]) -> None:
    distances, alignments = [], []
    for x in range(len(LANGUAGES)):
        of_language, outranked = [], []
        for n, of_question in enumerate(ranks[x]):
            known = of_question[of_question > 0]
            of_language.append(int(known.max() - known.min()))
            wrong = [ranks[x, n, y] for y in range(len(LANGUAGES)) if y != x and ranks[x, n, y]]
            outranked.append((known, wrong))
        distances.append(fmean(of_language))
        alignments.append(outranked)
        assert results[1][LANGUAGES[x]]["rank_distance"] == pytest.approx(distances[-1], abs=1e-5)
        fairness = 1 - distances[-1] / (N_PASSAGES - 1)
        assert results[1][LANGUAGES[x]]["language_fairness"] == pytest.approx(fairness, abs=1e-5)
    assert results[1]["all"]["rank_distance"] == pytest.approx(fmean(distances), abs=1e-4)


def test_the_rank_table_holds_all_pairs(table: tuple[Any, Any], ranks: NDArray[np.int64]) -> None:
    rows, info = table
    assert info.task == "BabelRetrieval" and info.pool_sizes == {x: len(passages_of(x)) for x in LANGUAGES}
    assert rows.num_rows == len(LANGUAGES) * N_PASSAGES
    numbers = {language: number for number, language in enumerate(LANGUAGES)}
    for row in rows.slice(0, 2000).to_pylist():
        x, y, n = numbers[row["query_language"]], numbers[row["passage_language"]], int(row["question_id"][1:])
        assert row["rank_in_pool"] == ranks[x, n, y]
    assert set(rows["cluster_id"].to_pylist()) == {"first", "second"}


def test_the_leaderboard_has_its_columns(table: tuple[Any, Any], results: list[Scores]) -> None:
    columns = [column for column in board_columns() if column.task == "BabelRetrieval"]
    assert [column.setting for column in columns if not column.is_bias] == list(SETTINGS)
    assert {column.group for column in columns} == {"Babel", "Babel language bias"}
    scores = column_scores(*table, columns)
    pools = {"monolingual": None, "cross-lingual": "cross", "multilingual": "multi"}
    for column in columns:
        if column.metric == "map":
            expected = fmean(results[0][f"{x}-{pools[column.setting] or x}"]["map"] for x in LANGUAGES)
        else:
            expected = results[1]["all"][column.metric]
        assert scores[column.key].average == pytest.approx(expected, abs=1e-4)


def test_a_model_that_searches_has_the_same_subsets(folder: Path) -> None:
    some = LANGUAGES[:21]
    facts = TaskFacts(name="SmallBabelRetrieval")
    task = tasks_of(replace(SPEC, name="small-babel", languages=some, task=facts, pairs={}))[0]()
    assert len(task.hf_subsets) == 3 * len(some)
    task.filter_languages(None, hf_subsets=[f"{some[0]}-cross", f"{some[0]}-multi"])
    task.ranks_folder = folder / "search"
    scores = task.evaluate(WordSearch(), encode_kwargs={})
    assert list(scores) == task.hf_subsets == [f"{some[0]}-cross", f"{some[0]}-multi"]
    [path] = (folder / "search").rglob("SmallBabelRetrieval.parquet")
    rows = rank_table.read(path)[0].to_pandas()
    means = (1 / rows["rank_in_language"]).groupby(rows["passage_language"]).mean()
    expected = means[means.index != some[0]].mean()
    assert scores[f"{some[0]}-cross"]["main_score"] == pytest.approx(expected, abs=1e-5)


def test_beir_reads_its_export(tmp_path: Path) -> None:
    some = LANGUAGES[:3]
    target = export_corpus(corpora.load(SPEC.name, some), tmp_path)
    assert sorted(path.name for path in target.iterdir() if path.is_dir()) == sorted([*some, "multi"])
    documents, queries, qrels = GenericDataLoader(str(target / some[1]), prefix=some[0]).load("test")
    assert {text["text"] for text in documents.values()} == set(passages_of(some[1]))
    assert queries == {f"{some[0]}:q{n}": f"{some[0]} question {n}" for n in range(3)}
    assert qrels == {f"{some[0]}:q{n}": {f"{some[1]}:{n}": 1} for n in range(3)}
    documents, queries, qrels = beir.load(SPEC.name, questions=some[0])
    assert len(documents) == N_PASSAGES and len(qrels[f"{some[0]}:q0"]) == len(LANGUAGES)


def test_training_pairs_are_drawn() -> None:
    from sentence_transformers.base.sampler import NoDuplicatesBatchSampler
    from torch.utils.data import ConcatDataset

    some = LANGUAGES[:6]
    pairs = load_pairs(SPEC.name, languages=some)
    assert set(pairs) == {f"{x}-{y}" for x in some for y in some}
    assert pairs[f"{some[0]}-{some[4]}"]["answer"] == list(passages_of(some[4]))
    samplers = [NoDuplicatesBatchSampler(dataset, 2, False) for dataset in pairs.values()]
    sampler = HybridBatchSampler(ConcatDataset(pairs.values()), samplers, torch.Generator(), 0, alpha=0.5)
    drawn = {sampler.pairs[int(np.searchsorted(sampler.dataset.cumulative_sizes, b[0], "right"))] for b in sampler}
    assert any(pair.split("-")[0] == pair.split("-")[1] for pair in drawn)
    assert any(pair.split("-")[0] != pair.split("-")[1] for pair in drawn)


def test_the_overlap_check_knows_it() -> None:
    by_task, by_name = read_evaluation("BabelRetrievalLanguageBias"), read_evaluation(SPEC.name)
    assert [texts.texts for texts in by_task] == [texts.texts for texts in by_name]
    assert len(by_name) == 2 * len(LANGUAGES)


def test_names_are_not_taken_twice() -> None:
    with pytest.raises(DataError, match="is a name of babel already"):
        corpora.register(SPEC)
