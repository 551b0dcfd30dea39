"""``beir_hybrid.evaluate`` against `mteb.evaluate` of the corpus's task, with every kind of model and of corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mteb
import pandas as pd
import pytest
from beir.retrieval.evaluation import EvaluateRetrieval
from beir.retrieval.search.dense import DenseRetrievalExactSearch
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

import beir_hybrid as bh
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.ranks import rank_table
from beir_hybrid.tasks import XQuADR
from tests.support import small_xquad
from tests.support.tiny_model import tiny_model

MODEL = tiny_model()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make the small data set the one that is read, and a new folder the home of rank tables."""
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(small_xquad.write(tmp_path / "data")))
    monkeypatch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "home"))
    SHARED_RUNS.clear()
    yield tmp_path / "home"
    SHARED_RUNS.clear()


def of_mteb(model: Any, folder: Path) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Return the rank table and the scores of `mteb.evaluate`."""
    task = XQuADR()
    task.ranks_folder = folder
    result = mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False)
    [path] = (folder / "ranks").rglob("*.parquet")
    scores = {entry["hf_subset"]: entry for entry in result.task_results[0].scores["test"]}
    return rank_table.read(path)[0].to_pandas(), scores


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
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("expected")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BEIR_HYBRID_DATA", str(small_xquad.write(folder / "data")))
        patch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")
        return of_mteb(MODEL, folder)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_gives_the_rank_table_and_the_scores_of_mteb(
    kind: str, expected: tuple[pd.DataFrame, dict[str, dict[str, Any]]], home: Path
) -> None:
    result = bh.evaluate(KINDS[kind](), "xquad-r", progress=False)
    pd.testing.assert_frame_equal(result.ranks, expected[0])
    assert result.path is not None
    assert result.path.is_relative_to(home / "ranks")
    pd.testing.assert_frame_equal(bh.RankTable.load(result.path).ranks, expected[0])
    assert list(result.scores.index) == [*expected[1]]
    for subset, scores in expected[1].items():
        for name in ("main_score", "map", "ndcg_at_10", "recall_at_100", "mrr_at_10", "nauc_ndcg_at_10_max"):
            assert result.scores.loc[subset, name] == pytest.approx(scores[name], nan_ok=True), (subset, name)
