"""BEIR: the same data and the same figures by BEIR's own means, by ours, and by the MTEB task."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
from beir.datasets.data_loader import GenericDataLoader
from beir.retrieval.evaluation import EvaluateRetrieval
from beir.retrieval.search import BaseSearch
from beir.retrieval.search.dense import DenseRetrievalExactSearch, FlatIPFaissSearch
from mteb.cache import ResultCache

from beir_hybrid import beir, corpora, tasks
from beir_hybrid.corpora.formats.corpus_folder import export_corpus
from beir_hybrid.corpora.registry import task_names
from beir_hybrid.errors import BeirHybridError, DataError, ModelError, RankTableError
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.ranks import rank_table
from tests.support import small_xquad
from tests.support.beir_models import WordsForBeir, WordsForMteb

PAIRS = [("en", "de"), ("th", "th"), ("en", "multi"), ("ar", "multi")]
MTEB_NAMES = {"NDCG": "ndcg", "MAP": "map", "Recall": "recall", "P": "precision"}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make the small data set the one that is read."""
    small_xquad.be_read(tmp_path, monkeypatch)
    SHARED_RUNS.clear()
    yield tmp_path
    SHARED_RUNS.clear()


def scores_of_task(pairs: list[tuple[str, str]], folder: Path) -> dict[str, dict[str, Any]]:
    task = mteb.get_task("XQuADR", hf_subsets=["-".join(pair) for pair in pairs])
    cache = ResultCache(folder / "cache")
    result = mteb.evaluate(WordsForMteb(), task, cache=cache, co2_tracker=False, show_progress_bar=False)
    return {scores["hf_subset"]: scores for scores in result.task_results[0].scores["test"]}


def by_beirs_means(corpus: Any, queries: Any, qrels: Any) -> dict[str, float]:
    """Evaluate as BEIR's README does."""
    retriever = EvaluateRetrieval(DenseRetrievalExactSearch(WordsForBeir(), batch_size=16), score_function="dot")
    results = retriever.retrieve(corpus, queries)
    figures = retriever.evaluate(qrels, results, retriever.k_values)
    return {name: value for figure in figures for name, value in figure.items()}


def assert_agrees(found: dict[str, float], expected: dict[str, Any]) -> None:
    """Compare BEIR's figures with MTEB's; BEIR rounds to five places."""
    assert len(found) >= 24
    for name, value in found.items():
        measure, _, k = name.partition("@")
        assert value == pytest.approx(expected[f"{MTEB_NAMES[measure]}_at_{k}" if k else name], abs=1e-5), name


def assert_three_ways_agree(pairs: list[tuple[str, str]], folder: Path, top_k: int | None) -> None:
    exported = export_corpus(corpora.load("xquad-r"), folder / "datasets")
    expected = scores_of_task(pairs, folder)
    assert len(expected) == len(pairs)
    for questions, passages in pairs:
        read = GenericDataLoader(str(exported / passages), prefix=questions).load(split="test")
        loaded = beir.load("xquad-r", questions=questions, passages=passages)
        assert loaded == read
        assert [list(part) for part in loaded] == [list(part) for part in read]
        scores = expected[f"{questions}-{passages}"]
        assert_agrees(by_beirs_means(*read), scores)
        cut = top_k if passages == "multi" else None
        ours = beir.evaluate(
            WordsForBeir(), "xquad-r", questions=questions, passages=passages, score_function="dot", top_k=cut
        )
        found = ours.scores
        if cut is not None:
            assert found.pop("map") == pytest.approx(scores[f"map_at_{cut}"], abs=1e-9)
        assert_agrees(found, scores)


def test_four_pairs_agree_three_ways(small: Path) -> None:
    assert_three_ways_agree(PAIRS, small, top_k=None)


@pytest.mark.real_data
def test_four_real_pairs_agree_three_ways(tmp_path: Path) -> None:
    # The full pool of all languages would take BEIR a minute and 3 GB for each pair.
    assert_three_ways_agree(PAIRS, tmp_path, top_k=1000)


@pytest.mark.real_data
def test_only_questions_with_a_relevant_passage_are_kept() -> None:
    # MLQA-R: a question exists in two to four of seven languages.
    corpus, queries, qrels = beir.load("mlqa-r", questions="de", passages="zh")
    all_languages = corpora.load("mlqa-r", ["de", "zh"]).languages
    assert 0 < len(queries) < len(all_languages["de"].question_ids)
    assert list(queries) == list(qrels) and all(qrels.values())
    assert {passage_id for grades in qrels.values() for passage_id in grades} <= corpus.keys()
    assert len(corpus) == len(all_languages["zh"].passages)


BLOCKED = """
import sys
for name in [name for name in sys.modules if name.startswith("beir_hybrid")]:
    del sys.modules[name]  # the hook of an installed BEIR-Hybrid
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "beir_hybrid":
            raise ImportError("this program knows nothing of it")
sys.meta_path.insert(0, Blocker())
"""

README_SCRIPT = """
from beir import util, LoggingHandler
from beir.datasets.data_loader import GenericDataLoader
from beir.retrieval.evaluation import EvaluateRetrieval
from beir.retrieval.search.dense import DenseRetrievalExactSearch as DRES

import logging
import pathlib, os, sys
import numpy as np, zlib

logging.basicConfig(format='%(asctime)s - %(message)s',
                    datefmt='%Y-%m-%d %H:%M:%S',
                    level=logging.INFO,
                    handlers=[LoggingHandler()])

class YourCustomModel:
    def embed(self, texts):
        return np.stack([np.random.default_rng(zlib.crc32(text.encode())).normal(size=8) for text in texts])
    def encode_queries(self, queries, batch_size=16, **kwargs):
        return self.embed(queries)
    def encode_corpus(self, corpus, batch_size=8, **kwargs):
        return self.embed([entry["title"] + entry["text"] for entry in corpus])

data_path, results_dir = sys.argv[1:]
corpus, queries, qrels = GenericDataLoader(data_folder=data_path, prefix="en").load(split="test")
model = DRES(YourCustomModel(), batch_size=16)
retriever = EvaluateRetrieval(model, score_function="cos_sim")
results = retriever.retrieve(corpus, queries)
ndcg, _map, recall, precision = retriever.evaluate(qrels, results, retriever.k_values)
mrr = retriever.evaluate_custom(qrels, results, retriever.k_values, metric="mrr")
os.makedirs(results_dir, exist_ok=True)
util.save_runfile(os.path.join(results_dir, "xquad-r.run.trec"), results)
util.save_results(os.path.join(results_dir, "xquad-r.json"), ndcg, _map, recall, precision, mrr)
print("questions", len(queries), "passages", len(corpus), "judged", len(qrels), "NDCG@10", ndcg["NDCG@10"])
assert "beir_hybrid" not in sys.modules
"""


def test_a_beir_script_runs_on_an_exported_folder_without_us(small: Path) -> None:
    folder = export_corpus(corpora.load("xquad-r"), small / "datasets") / "multi"
    code = BLOCKED + README_SCRIPT
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(small / "results")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "questions 4 passages 56 judged 4 NDCG@10" in done.stdout
    assert (small / "results" / "xquad-r.json").exists()


def test_importing_changes_nothing_in_a_beir_program() -> None:
    code = """
import sys
import beir_hybrid.beir
assert not {"beir", "torch", "mteb", "pyarrow"} & set(sys.modules), "imports what is heavy"
for name in [name for name in sys.modules if name.startswith("beir_hybrid")]:
    del sys.modules[name]

import logging
import beir, beir.util
import beir.datasets.data_loader, beir.retrieval.evaluation, beir.retrieval.search.dense

def state():
    modules = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "beir"}
    attributes = {(name, key): value for name, module in modules.items() for key, value in vars(module).items()}
    classes = {key: dict(vars(value)) for key, value in attributes.items() if isinstance(value, type)}
    loggers = {name: (log.level, log.handlers, log.propagate) for name, log in logging.root.manager.loggerDict.items()
               if isinstance(log, logging.Logger) and not name.startswith("beir_hybrid")}
    return attributes, classes, loggers, logging.root.level, list(logging.root.handlers)

before = state()
import beir_hybrid, beir_hybrid.beir
assert state() == before
assert logging.getLogger("beir_hybrid").handlers == []
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class FaissSearch(FlatIPFaissSearch):
    """BEIR's FAISS search. In BEIR 2.2.0 it lacks two abstract methods, so that nobody can make one as it is."""

    encode = search_from_files = None  # type: ignore[assignment]


def dense(cls: type = DenseRetrievalExactSearch) -> Any:
    return cls(WordsForBeir(), batch_size=16)


@pytest.mark.parametrize("pair", [("en", "de"), ("en", "multi")])
def test_all_kinds_of_retrievers_give_the_same(small: Path, pair: tuple[str, str]) -> None:
    kinds = [
        WordsForBeir(),
        dense(),
        dense(FaissSearch),
        EvaluateRetrieval(dense(), score_function="cos_sim"),
        Searches(),
    ]
    first, *others = [beir.evaluate(kind, "xquad-r", *pair, score_function="dot") for kind in kinds]
    assert first.cut is None and first.subset == "-".join(pair)
    for other in others:
        assert other.scores == first.scores
        assert other.table.equals(first.table)


class Searches(BaseSearch):
    """A search that is not dense, as BM25: its documents come from BEIR's interface, and it may return less.

    Args:
        own_top_k: Documents that it returns at most, whatever it is asked for.
        spoil: Changes the results.
    """

    def __init__(self, own_top_k: int | None = None, spoil: Any = lambda results: results) -> None:
        self.own_top_k = own_top_k
        self.spoil = spoil

    def search(self, corpus: Any, queries: Any, top_k: int, *args: Any, **kwargs: Any) -> dict[str, dict[str, float]]:
        model = WordsForBeir()
        scores = model.encode_queries(list(queries.values())) @ model.encode_corpus(list(corpus.values())).T
        results = {}
        for query_id, row in zip(queries, scores, strict=True):
            best = np.argsort(-row, kind="stable")[: self.own_top_k or top_k]
            results[query_id] = {list(corpus)[place]: float(row[place]) for place in best}
        return self.spoil(results)

    def encode(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    def search_from_files(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


def test_the_retriever_is_left_as_it_was(small: Path) -> None:
    retriever = EvaluateRetrieval(dense(), k_values=[1, 7], score_function="dot")
    found = beir.evaluate(retriever, questions="en", passages="de")
    assert (retriever.top_k, retriever.k_values, retriever.score_function) == (7, [1, 7], "dot")
    assert set(found.ndcg) == {"NDCG@1", "NDCG@7"}
    assert set(beir.evaluate(retriever, questions="en", passages="de", k_values=[3]).recall) == {"Recall@3"}


def test_a_search_that_cuts_is_reported(small: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = beir.evaluate(Searches(), questions="en", passages="multi")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    with caplog.at_level(logging.WARNING):
        cut = beir.evaluate(Searches(own_top_k=9), questions="en", passages="multi", model_name="m")
    assert "was asked for 56 passages for each question and returned 9 at most; relevant passages" in caplog.text
    assert cut.cut == cut.info.cut == 9
    ranks = [evaluation.table.sort_by("passage_id").to_pandas() for evaluation in (whole, cut)]
    within = ranks[0]["rank_in_pool"] <= 9
    assert ranks[1]["rank_in_pool"].notna().equals(within) and 0 < within.sum() < len(within)
    assert cut.map == pytest.approx(whole_map_at(ranks[0], 9))


def whole_map_at(table: Any, k: int) -> float:
    precisions = []
    for _, rows in table.groupby("query_id"):
        places = np.sort(rows["rank_in_pool"])
        precisions.append(((np.arange(1, len(places) + 1) / places) * (places <= k)).sum() / len(places))
    return float(np.mean(precisions))


def test_fewer_passages_can_be_asked_for(small: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = beir.evaluate(dense(), questions="en", passages="multi", top_k=20)
    assert (found.cut, found.info.cut) == (20, 20)
    assert {len(scores) for scores in found.results.values()} == {20}
    # Five passages are all that German has; the table is of the same run as the other.
    german = beir.evaluate(dense(), questions="en", passages="de", top_k=20)
    assert (german.cut, german.info.cut) == (None, 20)
    assert not [record for record in caplog.records if record.name.startswith("beir_hybrid")]


def test_questions_without_results_count_as_not_found(small: Path, caplog: pytest.LogCaptureFixture) -> None:
    # BEIR's BM25 gives no entry to a question that matches nothing, and BEIR leaves it out of its means.
    def drop(results: dict[str, Any]) -> dict[str, Any]:
        return {query_id: scores for query_id, scores in results.items() if query_id != "en:q0"}

    whole = beir.evaluate(Searches(), questions="en", passages="de")
    found = beir.evaluate(Searches(spoil=drop), questions="en", passages="de")
    assert "and none for 1 of 4 questions" in caplog.text
    assert found.table.num_rows == 4
    rank = whole.table.to_pandas().set_index("query_id")["rank_in_language"]
    assert found.map == pytest.approx((1 / rank.drop("en:q0")).sum() / 4)
    assert found.map_at_k["MAP@100"] == pytest.approx((1 / rank.drop("en:q0")).mean(), abs=1e-5)


def test_places_that_faiss_could_not_fill_are_no_results(small: Path) -> None:
    def fill(results: dict[str, Any]) -> dict[str, Any]:
        worst = min(results["en:q1"], key=results["en:q1"].__getitem__)
        results["en:q1"][worst] = float(np.finfo(np.float32).min)
        return results

    found = beir.evaluate(Searches(spoil=fill), questions="en", passages="de")
    assert {len(scores) for scores in found.results.values()} == {4, 5}


def test_the_rank_tables_of_pairs_become_that_of_the_task(small: Path) -> None:
    pairs = [("en", "en"), ("en", "de"), ("en", "multi")]
    for pair in pairs:
        found = beir.evaluate(dense(), "xquad-r", *pair, score_function="dot", model_name="tests/words", revision="2")
        path = found.store()
    assert path == small / "home/ranks/tests__words/2/XQuADR.parquet"
    scores_of_task(pairs, small)
    table, info = rank_table.read(path)
    expected, expected_info = rank_table.read(small / "home/ranks/tests__words/1/XQuADR.parquet")
    assert (info.task, info.pool_sizes) == (expected_info.task, expected_info.pool_sizes)
    assert info.dataset_revision == expected_info.dataset_revision
    frames = [one.to_pandas() for one in (table, expected)]
    known = frames[0]["rank_in_language"].notna()
    assert set(frames[0].loc[known, "passage_language"]) == {"en", "de"}
    assert frames[0][known].astype({"rank_in_language": int}).equals(frames[1][known].astype({"rank_in_language": int}))
    assert frames[0].drop(columns="rank_in_language").equals(frames[1].drop(columns="rank_in_language"))


def test_a_rank_table_is_not_mixed_with_another(small: Path) -> None:
    path = small / "ranks.parquet"
    beir.evaluate(dense(), questions="en", passages="de", model_name="one").store(path)
    other = beir.evaluate(dense(), questions="en", passages="de", model_name="other")
    with pytest.raises(RankTableError, match="holds the ranks of another model"):
        other.store(path)
    with pytest.raises(RankTableError, match="needs the name of its model"):
        beir.evaluate(dense(), questions="en", passages="de").store(path)
    assert rank_table.read(path)[1].model == "one"


def test_tables_have_the_names_of_the_tasks() -> None:
    classes = [getattr(tasks, name) for name in task_names().values()]
    assert {task.spec.name: task.metadata.name for task in classes} == task_names()


def test_a_faiss_index_of_another_pool_is_refused(small: Path) -> None:
    search = dense(FaissSearch)
    first = beir.evaluate(search, questions="en", passages="de")
    # The index may be used again, for questions in another language.
    again = beir.evaluate(search, questions="ar", passages="de")
    assert first.results.keys() & again.results.keys() == set()
    with pytest.raises(ModelError, match="FaissSearch has indexed another pool"):
        beir.evaluate(search, questions="en", passages="multi")


def unknown_passage(results: dict[str, Any]) -> dict[str, Any]:
    results["en:q1"]["x:1"] = 1.0
    return results


def not_a_number(results: dict[str, Any]) -> dict[str, Any]:
    results["en:q1"]["de:1"] = float("nan")
    return results


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (object(), {}, ModelError, "object is not a BEIR retriever"),
        (Searches(spoil=unknown_passage), {}, ModelError, "returned 'x:1' for en:q1, which is not in the pool"),
        (Searches(spoil=not_a_number), {}, ModelError, "a score that is not a number for en:q1"),
        (Searches(), {"top_k": 0}, BeirHybridError, "top_k is 0"),
        (Searches(), {"source": "squad"}, DataError, "unknown data set 'squad'; known: xquad-r"),
        (Searches(), {"questions": "fr"}, DataError, "unknown language 'fr'"),
        (Searches(), {"passages": "fr"}, DataError, "unknown language 'fr'"),
        (Searches(), {"questions": "fr", "passages": "multi"}, DataError, "no questions in 'fr'; it has ar, de"),
        (Searches(), {"questions": "multi"}, DataError, "unknown language 'multi'"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(
    small: Path, model: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        beir.evaluate(model, **{"questions": "en", "passages": "de", **options})
    assert "\n" not in str(caught.value)


class SharedWords(BaseSearch):
    """A lexical search in BEIR's interface that returns the whole pool, with 0 for what shares no word."""

    def search(self, corpus: Any, queries: Any, top_k: int, score_function: str, **kwargs: Any) -> Any:
        words = {name: set(entry["text"].split()) for name, entry in corpus.items()}
        return {
            query_id: {name: float(len(set(text.split()) & of_passage)) for name, of_passage in words.items()}
            for query_id, text in queries.items()
        }

    def encode(self, *args: Any, **kwargs: Any) -> None: ...

    def search_from_files(self, *args: Any, **kwargs: Any) -> None: ...


def test_a_lexical_zero_is_not_a_result(small: Path) -> None:
    found = beir.evaluate(SharedWords(), questions="en", passages="multi")
    frame = found.table.to_pandas()
    # English questions share a word with English passages alone, which have one answer of eleven.
    assert frame["rank_in_pool"].notna().equals(frame["passage_language"] == "en")
    assert 0 < found.map <= 1 / 11
