"""A model served from an index: figures against brute force over faiss's own results; searches beside their encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pandas as pd
import pytest

import beir_hybrid as bh
from beir_hybrid.beir import evaluate as beir_evaluate
from beir_hybrid.errors import BeirHybridError, ModelError, RankTableError
from beir_hybrid.indexing.index_table import index_path
from tests.support.beir_models import WordsForBeir, WordsForMteb
from tests.support.mteb_models import CountingEncoder, WordSearch, vector_of
from tests.support.random_corpus import random_corpus

SIZES = {"de": 70, "en": 90, "th": 60}
CORPUS = random_corpus(SIZES, 25)
TWO_LANGUAGES = random_corpus({"de": 70, "en": 90}, 10)


def vectors(kind: str) -> dict[str, np.ndarray]:
    return {
        language: np.stack([vector_of(text) for text in getattr(part, kind)])
        for language, part in CORPUS.languages.items()
    }


def evaluate(model: Any, tmp_path: Path, corpus: Any = CORPUS, **options: Any) -> Any:
    return bh.evaluate(model, corpus, out=tmp_path, progress=False, **options)


def test_the_table_is_that_of_faiss_own_results(tmp_path: Path) -> None:
    """Ranks, shares and settings, computed plainly from ``index.search``."""
    model = CountingEncoder()
    result = evaluate(model, tmp_path, index="IVF8,Flat", index_params={"nprobe": 2}, index_k=120)
    assert len(model.texts) == len(set(model.texts)) == sum(SIZES.values()) + 3 * 25  # each text once

    passages = np.concatenate(list(vectors("passages").values()))
    ids = [name for part in CORPUS.languages.values() for name in part.passage_ids]
    index = faiss.index_factory(16, "IVF8,Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(passages)
    index.add(passages)
    index.nprobe = 2
    ranks = result.ranks.set_index(["query_id", "passage_id"])["rank_in_pool"]
    for row, (language, questions) in zip(result.index.rows, vectors("questions").items(), strict=True):
        found = [[ids[x] for x in of_query if x >= 0] for of_query in index.search(questions, 120)[1]]
        exact = [[ids[x] for x in of_query] for of_query in np.argsort(-questions @ passages.T, axis=1)]
        judged = CORPUS.judgments(language, SIZES)
        hits: dict[str, list[bool]] = {}
        for (query_id, grades), mine, best in zip(judged.items(), found, exact, strict=True):
            for passage_id in grades:
                own = "own" if passage_id.startswith(f"{language}:") else "other"
                hits.setdefault(f"answers_{own}", []).append(passage_id in mine[:100])
                hits.setdefault(f"exact_{own}", []).append(passage_id in best[:100])
                rank = ranks[query_id, passage_id]
                assert (mine.index(passage_id) + 1 if passage_id in mine else None) == (None if pd.isna(rank) else rank)
            for passage_id in best[:10] if grades else ():  # a question without an answer does not count
                own = "own" if passage_id.startswith(f"{language}:") else "other"
                hits.setdefault(f"top_{own}", []).append(passage_id in mine[:10])
        assert {name: getattr(row, name) for name in hits} == {name: np.mean(of) for name, of in hits.items()}
    assert result.index.means.answers_own == pytest.approx(np.mean([row.answers_own for row in result.index.rows]))
    assert 0 < ranks.notna().mean() < 1
    assert (result.settings < result.exact.settings).all()


def test_a_whole_flat_index_is_the_exact_ranking(tmp_path: Path) -> None:
    result = evaluate(CountingEncoder(), tmp_path, index="Flat", keep_top=3)
    ranks = ["rank_in_pool", "rank_in_language", "outranked_by_query_language", "top_languages"]
    both = result.ranks.merge(result.exact.ranks, on=["query_id", "passage_id"], suffixes=("", "_exact"))
    assert len(both) == len(result.ranks)
    for name in ranks:
        assert (both[name] == both[f"{name}_exact"]).all()
    assert set(result.index.means.shares[:2]) == {1.0}
    assert result.tops.k == result.exact.tops.k == 3
    assert result.tops.outranking == result.exact.tops.outranking
    columns = ["query_id", "pool", "place", "passage_id"]
    made, exact = (
        tops.table.to_pandas()[columns].sort_values(columns).astype(str).reset_index(drop=True)
        for tops in (result.tops, result.exact.tops)
    )
    pd.testing.assert_frame_equal(made, exact)


def test_what_is_no_candidate_is_not_in_the_way(tmp_path: Path) -> None:
    corpus = random_corpus(SIZES, 10, seed=3, ignore=True)
    result = bh.evaluate(CountingEncoder(), corpus, out=tmp_path, progress=False, index="Flat")
    both = result.ranks.merge(result.exact.ranks, on=["query_id", "passage_id"], suffixes=("", "_exact"))
    assert (both["rank_in_pool"] == both["rank_in_pool_exact"]).all()


def test_index_and_exact_search_are_kept_apart(tmp_path: Path) -> None:
    result = evaluate(CountingEncoder(), tmp_path, index="IVF4,Flat", index_params={"nprobe": 1}, index_k=50)
    assert result.info.cut == 50 and result.info.model_revision == "1/IVF4,Flat_nprobe=1"
    assert result.path.parent.name == "1__IVF4,Flat_nprobe=1" and result.exact.path.parent.name == "1"
    assert result.exact.info.cut is None and result.exact.index is None
    read = bh.RankTable.load(result.path)
    assert read.index == result.index and read.settings.tolist() == pytest.approx(result.settings.tolist())
    assert read.index.name == "IVF4,Flat nprobe=1"
    file = index_path(result.path)
    assert file in read.files
    assert set(result.files) == {result.path, file, result.exact.path}
    saved = result.save(tmp_path / "saved")
    assert len(set(saved)) == len(saved) and {*(tmp_path / "saved").rglob("*.*")} >= {*saved}
    assert {path.name for path in saved} >= {file.name, result.path.name, "model_meta.json"}
    assert sorted(path.parent.name for path in saved if path.suffix == ".parquet") == ["1", "1__IVF4,Flat_nprobe=1"]
    text = file.read_text()
    file.write_text(text.replace('"k": 50', '"k": -1'))
    with pytest.raises(RankTableError, match="the table of an index"):
        _ = bh.RankTable.load(result.path).index
    file.write_text(text.replace('"model_revision": "1/', '"model_revision": "2/'))
    assert bh.RankTable.load(result.path).index is None  # of another run


def test_a_search_of_mteb_is_compared_with_its_encoder(tmp_path: Path) -> None:
    from mteb.models import SearchEncoderWrapper
    from mteb.models.search_encoder_index import FaissSearchIndex

    encoder = CountingEncoder()
    result = evaluate(SearchEncoderWrapper(encoder, index_backend=FaissSearchIndex(encoder)), tmp_path, TWO_LANGUAGES)
    assert result.index.index == "FaissSearchIndex" and result.index.k == result.info.cut == 1000
    assert set(result.index.means.shares[:2]) == {1.0}  # a flat index
    assert result.index.means.answers_own == result.index.means.exact_own is not None
    assert bh.RankTable.load(result.path).index == result.index and result.tops is None


class FaissOfBeir:
    """BEIR 2.1's FAISS search, as far as it is seen from outside, with an index that knows the first half of a pool."""

    def __init__(self, model: Any) -> None:
        self.model, self.faiss_index, self.mapping, self.rev_mapping, self.results = model, None, {}, {}, {}

    def search(self, corpus: Any, queries: Any, top_k: int, score_function: str, **kwargs: Any) -> Any:
        known = list(corpus)[: len(corpus) // 2]
        passages = self.model.encode_corpus([corpus[name] for name in known])
        index = faiss.IndexFlatIP(passages.shape[1])
        index.add(passages)
        scores, rows = index.search(self.model.encode_queries(list(queries.values())), top_k)
        for query_id, of_query, found in zip(queries, scores, rows, strict=True):
            self.results[query_id] = {known[x]: float(s) for x, s in zip(found, of_query, strict=True) if x >= 0}
        return self.results


def test_a_faiss_search_of_beir_is_compared_with_its_model(tmp_path: Path) -> None:
    result = evaluate(FaissOfBeir(WordsForBeir()), tmp_path, TWO_LANGUAGES, similarity="dot")
    exact = evaluate(WordsForMteb(), tmp_path / "exact", TWO_LANGUAGES)
    shares = result.index.means
    assert result.index.index == "FaissOfBeir"
    assert shares.exact_own == pytest.approx(
        np.mean(
            [
                (of["rank_in_pool"] <= 100)[of["passage_language"] == of["query_language"]].mean()
                for _, of in exact.ranks.groupby("query_language")
            ]
        )
    )
    assert shares.answers_own is not None and shares.answers_own < shares.exact_own
    assert shares.top_own is not None and 0 < shares.top_own < 1


def test_a_search_without_an_encoder_says_what_it_finds_and_no_more(tmp_path: Path) -> None:
    result = evaluate(WordSearch(model_type=["sparse"]), tmp_path, TWO_LANGUAGES)
    means = result.index.means
    assert means.top_own is means.top_other is means.exact_own is means.exact_other is None
    assert means.answers_own is not None
    assert bh.RankTable.load(result.path).index == result.index


def test_what_no_index_can_be_made_of_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not embed"):
        evaluate(WordSearch(), tmp_path, index="Flat")
    odd = CountingEncoder()
    odd.mteb_model_meta = odd.mteb_model_meta.model_copy(update={"similarity_fn_name": None})
    with pytest.raises(ModelError, match="a function it does not name; an index can be made for cosine, dot"):
        evaluate(odd, tmp_path, index="Flat")
    with pytest.raises(BeirHybridError, match="220 passages of the pool"):
        evaluate(CountingEncoder(), tmp_path, index="IVF300,Flat")
    assert not list(tmp_path.rglob("*.parquet"))  # nothing half-written


@pytest.mark.parametrize("name", ["FlatIPFaissSearch", "HNSWFaissSearch"])
def test_searches_that_beir_cannot_make_are_one_line(name: str, tmp_path: Path) -> None:
    from beir.retrieval.search import dense

    with pytest.raises(ModelError, match=f"this BEIR makes no {name}.*index="):
        evaluate(getattr(dense, name), tmp_path)
    with pytest.raises(ModelError, match=f"this BEIR makes no {name}.*index="):
        beir_evaluate(getattr(dense, name), "atlas-r")
