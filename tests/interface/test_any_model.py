"""``beir_hybrid.evaluate`` against `mteb.evaluate` of the corpus's task, with every kind of model and of corpus."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import mteb
import numpy as np
import pandas as pd
import pytest
import torch
from beir.retrieval.evaluation import EvaluateRetrieval
from beir.retrieval.search.dense import DenseRetrievalExactSearch, FlatIPFaissSearch
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
from sentence_transformers import MultiVectorEncoder, SparseEncoder

import beir_hybrid as bh
from beir_hybrid.corpora import spec_of_source
from beir_hybrid.debias.aware import AwareRetriever, AwareTransformer
from beir_hybrid.debias.maps import Centring
from beir_hybrid.errors import BeirHybridError, DataError, ModelError
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.ranks import rank_table
from beir_hybrid.tasks import tasks_of
from tests.models.test_model_folders import multi_vector, sparse
from tests.support import small_xquad
from tests.support.beir_models import WordsForBeir, WordsForMteb, words_vector
from tests.support.mteb_models import CountingEncoder, WordSearch, vector_of
from tests.support.small_origins import write_monolingual
from tests.support.tiny_model import tiny_model

MODEL = tiny_model()
SOME = ("de", "en", "zh")
TWO = ("en", "zh")
KEYS = ["main_score", "map", "ndcg_at_10", "recall_at_100", "mrr_at_10", "nauc_ndcg_at_10_max"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make the small data set the one that is read, and a new folder the home of rank tables."""
    small_xquad.be_read(tmp_path, monkeypatch)
    SHARED_RUNS.clear()
    yield tmp_path / "home"
    SHARED_RUNS.clear()


class OfMteb(NamedTuple):
    """What `mteb.evaluate` of the task gives: the rank table, where it is below the folder, and the scores."""

    ranks: pd.DataFrame
    place: Path
    scores: pd.DataFrame


def of_mteb(model: Any, folder: Path, languages: Sequence[str] | None = None) -> OfMteb:
    task = tasks_of(spec_of_source("xquad-r").restricted(languages))[0]()
    task.ranks_folder = folder
    SHARED_RUNS.clear()
    result = mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False)
    [path] = (folder / "ranks").rglob("*.parquet")
    scores = pd.DataFrame(result.task_results[0].scores["test"]).set_index("hf_subset")
    return OfMteb(rank_table.read(path)[0].to_pandas(), path.relative_to(folder), scores[KEYS])


def assert_as_mteb(result: Any, expected: OfMteb, scores: bool = True) -> None:
    """Hold a result, and the rank table that was written, against MTEB's."""
    pd.testing.assert_frame_equal(result.ranks, expected.ranks)
    pd.testing.assert_frame_equal(bh.RankTable.load(result.path).ranks, expected.ranks)
    if scores:
        pd.testing.assert_frame_equal(result.scores[KEYS], expected.scores, check_names=False, rtol=0, atol=1e-12)


class ForBeir:
    """The model in BEIR's interface."""

    def encode_queries(self, queries: list[str], batch_size: int = 8, **options: Any) -> Any:
        return MODEL.encode(queries, batch_size=batch_size, convert_to_tensor=True)

    def encode_corpus(self, corpus: list[dict[str, str]], batch_size: int = 8, **options: Any) -> Any:
        return self.encode_queries([f"{entry['title']} {entry['text']}".strip() for entry in corpus], batch_size)


KINDS: dict[str, Callable[[], Any]] = {
    "SentenceTransformer": lambda: MODEL,
    "model of MTEB": lambda: SentenceTransformerEncoderWrapper(MODEL),
    "callable, numpy": lambda: MODEL.encode,
    "callable, torch": lambda: lambda texts: MODEL.encode(texts, convert_to_tensor=True),
    "callable, lists": lambda: lambda texts: MODEL.encode(texts).tolist(),
    "model of BEIR": ForBeir,
    "exact search of BEIR": lambda: DenseRetrievalExactSearch(ForBeir(), batch_size=4),
    "EvaluateRetrieval": lambda: EvaluateRetrieval(DenseRetrievalExactSearch(ForBeir()), score_function="cos_sim"),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> OfMteb:
    folder = tmp_path_factory.mktemp("expected")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BEIR_HYBRID_DATA", str(small_xquad.write(folder / "data")))
        patch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")
        return of_mteb(MODEL, folder)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_gives_the_rank_table_and_the_scores_of_mteb(
    kind: str, expected: OfMteb, home: Path
) -> None:
    result = bh.evaluate(KINDS[kind](), "xquad-r", progress=False)
    assert_as_mteb(result, expected)
    assert result.path is not None
    assert result.path.is_relative_to(home / "ranks")


def test_a_sentence_transformer_keeps_its_prompts_and_its_place(tmp_path: Path, home: Path) -> None:
    model = tiny_model(prompts={"query": "question 1 ", "document": "sentence 2 "})
    expected = of_mteb(model, tmp_path / "mteb", SOME)
    result = bh.evaluate(model, "xquad-r", languages=reversed(SOME), batch_size=2, progress=False)
    assert_as_mteb(result, expected)
    assert result.path == home / expected.place
    without = bh.evaluate(tiny_model(), "xquad-r", languages=SOME, progress=False)
    assert not without.ranks["rank_in_pool"].equals(expected.ranks["rank_in_pool"])


@pytest.mark.parametrize(("make", "kind"), [(sparse, SparseEncoder), (multi_vector, MultiVectorEncoder)])
def test_other_encoders_of_sentence_transformers(make: Callable[[Path], Path], kind: Any, tmp_path: Path) -> None:
    model = kind(str(make(tmp_path / "model")), device="cpu")
    expected = of_mteb(model, tmp_path / "mteb", TWO)
    assert_as_mteb(bh.evaluate(model, "xquad-r", languages=TWO, progress=False), expected)


def test_a_folder_a_name_and_metadata_are_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tiny"
    MODEL.save(str(folder), create_model_card=False)
    monkeypatch.setenv("BEIR_HYBRID_OURS", str(folder))
    expected = of_mteb(mteb.get_model(str(folder)), tmp_path / "mteb", SOME)
    for number, model in enumerate((str(folder), folder, "ours", mteb.get_model_meta("ours"))):
        SHARED_RUNS.clear()
        out = tmp_path / f"out{number}"
        result = bh.evaluate(model, "xquad-r", languages=SOME, out=out, progress=False)
        assert_as_mteb(result, expected)
        assert result.path == out / expected.place


def test_models_can_be_named(tmp_path: Path) -> None:
    for number, model in enumerate((MODEL, CountingEncoder(), MODEL.encode, ForBeir())):
        out = tmp_path / str(number)
        result = bh.evaluate(model, "xquad-r", languages=["en"], name="me/model", revision="2", out=out, progress=False)
        assert result.path == out / "ranks" / "me__model" / "2" / "XQuADR-en.parquet"
        assert (result.info.model, result.info.model_revision) == ("me/model", "2")
    assert MODEL.model_card_data.model_name is None
    assert CountingEncoder().mteb_model_meta.name == "tests/counting"


def test_vectors_are_compared_as_asked(tmp_path: Path) -> None:
    expected = of_mteb(WordsForMteb(), tmp_path / "mteb", SOME)

    def embed(texts: list[str]) -> Any:
        return np.stack([words_vector(text) for text in texts])

    by_dot = EvaluateRetrieval(DenseRetrievalExactSearch(WordsForBeir()), score_function="dot")
    for model, similarity in ((embed, "dot"), (WordsForBeir(), "dot"), (by_dot, None)):
        result = bh.evaluate(model, "xquad-r", languages=SOME, similarity=similarity, progress=False)
        assert_as_mteb(result, expected)


class LexicalSearch:
    """A search as BEIR's, for shared words; it keeps the results of earlier calls, as BEIR's do."""

    def __init__(self) -> None:
        self.results: dict[str, dict[str, float]] = {}

    def search(self, corpus: Any, queries: Any, top_k: int, score_function: str, **options: Any) -> Any:
        for query_id, text in queries.items():
            shared = {key: float(len({*text.split()} & {*entry["text"].split()})) for key, entry in corpus.items()}
            self.results[query_id] = dict(sorted(shared.items(), key=lambda item: -item[1])[:top_k])
        return self.results


def test_searches_go_through_mtebs_search(tmp_path: Path) -> None:
    expected = of_mteb(WordSearch(model_type=["sparse"]), tmp_path / "mteb", TWO)
    for model in (WordSearch(model_type=["sparse"]), EvaluateRetrieval(LexicalSearch())):
        result = bh.evaluate(model, "xquad-r", languages=TWO, name="tests/words", progress=False)
        assert_as_mteb(result, expected, scores=False)
        assert result.settings.to_list() == pytest.approx(
            [
                expected.scores.loc[names, "map"].mean()
                for names in (
                    [f"{x}-{x}" for x in TWO],
                    [f"{x}-{y}" for x in TWO for y in TWO if x != y],
                    [f"{x}-multi" for x in TWO],
                )
            ]
        )


class FaissSearch(FlatIPFaissSearch):
    """BEIR's FAISS search. In BEIR 2.2.0 it lacks two abstract methods, so that nobody can make one as it is."""

    encode = search_from_files = None  # type: ignore[assignment]


def test_an_index_of_beir_is_made_anew_for_each_pool() -> None:
    search = FaissSearch(WordsForBeir(), batch_size=8)
    result = bh.evaluate(EvaluateRetrieval(search, score_function="dot"), "xquad-r", languages=TWO, progress=False)
    counted = bh.evaluate(WordsForBeir(), "xquad-r", languages=TWO, similarity="dot", progress=False)
    pd.testing.assert_frame_equal(result.ranks, counted.ranks)  # the whole of these small pools was returned
    assert result.info.cut is not None and counted.info.cut is None
    assert search.faiss_index is None
    search.index({"en:0": {"title": "", "text": "a"}}, "dot")
    with pytest.raises(ModelError, match="has indexed a pool"):
        bh.evaluate(search, "xquad-r", languages=TWO, progress=False)


# What is evaluated


def test_a_corpus_may_be_read_before_and_made_by_hand(tmp_path: Path, expected: OfMteb) -> None:
    corpus = bh.load("xquad-r")
    assert_as_mteb(bh.evaluate(MODEL, corpus, progress=False), expected)
    by_hand = replace(corpus, name="my help-centre", revision="7", spec=None)
    result = bh.evaluate(MODEL, by_hand, progress=False)
    assert (result.info.task, result.info.dataset_revision) == ("MyHelpCentre", "7")
    pd.testing.assert_frame_equal(result.ranks.drop(columns="task"), expected.ranks.drop(columns="task"))
    some = bh.evaluate(MODEL, by_hand, languages=["en", "zh"], progress=False)
    assert (some.info.task, some.info.dataset_revision) == ("MyHelpCentre-en-zh", "7-en-zh")
    assert list(some.scores.index) == ["en-en", "zh-zh", "en-zh", "zh-en", "en-multi", "zh-multi"]
    by_name = bh.evaluate(MODEL, "xquad-r", languages=["zh", "en"], progress=False)
    pd.testing.assert_frame_equal(some.ranks.drop(columns="task"), by_name.ranks.drop(columns="task"))
    with pytest.raises(DataError, match="give it a name such as help-centre"):
        bh.evaluate(MODEL, replace(by_hand, name="???"), progress=False)


def test_nothing_is_kept_of_a_corpus_in_memory() -> None:
    import gc
    import weakref

    corpus = bh.load("xquad-r", languages=["en"])
    text = weakref.ref(corpus.languages["en"])
    bh.evaluate(MODEL.encode, corpus, progress=False)
    del corpus
    gc.collect()
    assert text() is None


@pytest.mark.parametrize("model", [CountingEncoder, lambda: lambda texts: np.stack([*map(vector_of, texts)])])
def test_a_pool_of_mtebs_task(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEIR_HYBRID_HUB", str(tmp_path / "hub"))
    write_monolingual(tmp_path / "hub", "MMarcoRetrievalMultilingual", languages=["de", "ru", "zh"])
    source, languages = "mteb:MMarcoRetrievalMultilingual", ["de", "zh"]
    task = tasks_of(spec_of_source(source).restricted(languages))[0]()
    task.ranks_folder = tmp_path / "mteb"
    scores = mteb.evaluate(CountingEncoder(), task, cache=None, co2_tracker=False, show_progress_bar=False)
    [path] = (tmp_path / "mteb").rglob("*.parquet")
    SHARED_RUNS.clear()
    result = bh.evaluate(model(), source, languages=languages, progress=False)
    pd.testing.assert_frame_equal(result.ranks, rank_table.read(path)[0].to_pandas())
    [entries] = scores.task_results[0].scores.values()
    assert result.scores["main_score"].to_dict() == {entry["hf_subset"]: entry["main_score"] for entry in entries}
    assert result.metric == task.metadata.main_score


def test_retrievers_with_a_map_that_must_know_the_language(tmp_path: Path) -> None:
    corpus = bh.load("xquad-r", languages=SOME)
    fitted = Centring.fit({tag: MODEL.encode(list(part.passages)) for tag, part in corpus.languages.items()})
    expected = bh.evaluate(AwareTransformer(MODEL, fitted), corpus, progress=False).ranks
    for model in (AwareRetriever(ForBeir(), fitted), DenseRetrievalExactSearch(AwareRetriever(ForBeir(), fitted))):
        pd.testing.assert_frame_equal(bh.evaluate(model, corpus, progress=False).ranks, expected)
    plain = bh.evaluate(MODEL, corpus, progress=False).ranks
    assert not plain["rank_in_pool"].equals(expected["rank_in_pool"])


# What is no model, and what cannot be ranked by


def one_text(text: str) -> Any:
    return MODEL.encode([text.lower()])[0]


BAD: dict[str, tuple[Any, str]] = {
    "one text": (one_text, r"one_text failed on a list of \d+ texts, AttributeError.*; it must take a list of n texts"),
    "one vector": (lambda texts: MODEL.encode(texts)[0], r"returned an array of shape \(12,\) for \d+ texts; it must"),
    "a row too few": (lambda texts: MODEL.encode(texts)[1:], r"returned an array of shape \(\d+, 12\) for \d+ texts"),
    "three axes": (lambda texts: MODEL.encode(texts)[None], r"returned an array of shape \(1, \d+, 12\)"),
    "ragged": (lambda texts: [[1.0] * (1 + n) for n in range(len(texts))], "returned no matrix for"),
    "texts": (lambda texts: [["a", "b"]] * len(texts), "returned no numbers for"),
    "nothing": (lambda texts: None, "returned no numbers for"),
    "widths": (lambda texts: np.ones((len(texts), len(texts))), "returned vectors of . and of . numbers"),
    "NaN": (lambda texts: np.full((len(texts), 3), math.nan), "is not finite"),
    "infinite": (lambda texts: torch.full((len(texts), 3), math.inf), "is not finite"),
    "no dimensions": (lambda texts: np.ones((len(texts), 0)), "have no dimensions"),
    "a class": (WordsForBeir, "WordsForBeir is a class"),
    "a number": (7, "a int is no model; give a SentenceTransformer"),
    "no such folder": ("no/such/folder", "cannot load the model 'no/such/folder': there is no such folder"),
    "no metadata": (type("Encoder", (), {"mteb_model_meta": 1})(), "is a int, not a ModelMeta"),
}


@pytest.mark.parametrize("fault", BAD)
def test_what_is_no_model_is_said_in_one_line(fault: str, home: Path) -> None:
    model, said = BAD[fault]
    with pytest.raises(ModelError, match=said) as error:
        bh.evaluate(model, "xquad-r", languages=SOME, batch_size=3, progress=False)
    assert len(str(error.value).splitlines()) == 1
    assert not list(home.rglob("*.parquet"))


def test_a_hub_that_cannot_be_reached_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class ConnectError(Exception):
        """As httpx calls it."""

    def get_model(*_: Any) -> Any:
        raise ConnectError("[Errno -2] Name or service not known")

    monkeypatch.setattr("mteb.get_model", get_model)
    with pytest.raises(ModelError, match=r"and as a name: the Hugging Face hub cannot be reached: ConnectError"):
        bh.evaluate("no-such/model", "atlas-r", progress=False)


def test_options_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    def never(texts: list[str]) -> Any:
        raise AssertionError

    (tmp_path / "file").touch()
    for options, said in (
        ({"batch_size": 0}, "batch size 0"),
        ({"name": "a\0b"}, "name="),
        ({"revision": "../.."}, "revision="),
        ({"similarity": "euclidean"}, "similarity='euclidean': write cosine or dot"),
        ({"out": tmp_path / "file"}, "name another folder"),
        ({"languages": ["en", "xx"]}, "unknown language 'xx'"),
    ):
        with pytest.raises(BeirHybridError, match=said) as error:
            bh.evaluate(never, "xquad-r", progress=False, **options)
        assert len(str(error.value).splitlines()) == 1
    with pytest.raises(ModelError, match="says itself how its vectors are compared"):
        bh.evaluate(MODEL, "xquad-r", similarity="dot", progress=False)
    with pytest.raises(DataError, match="unknown data set 'nowhere'"):
        bh.evaluate(never, "nowhere", progress=False)
