"""XQuADR on the real data, against MTEB's own retrieval task and pytrec_eval on the same embeddings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import mteb
import numpy as np
import pytest
import pytrec_eval
from sklearn.feature_extraction.text import HashingVectorizer

from beir_hybrid.corpora import ParallelCorpus, load
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.ranks import rank_table
from beir_hybrid.tasks import XQuADR
from tests.support.mteb_models import CountingEncoder
from tests.tasks.test_xquad_r import assert_same_scores, evaluate, plain_task, rank_tables

pytestmark = pytest.mark.real_data

# Languages with sentences that stand twice (ar, zh), with the smallest pool (th), and both kinds of pool.
COMPARED = ["en-en", "ar-ar", "zh-zh", "en-de", "th-ru", "hi-zh", "en-multi", "zh-multi"]


class HashingEncoder(CountingEncoder):
    """Embeds texts by their character n-grams: no model, but real texts with real near-ties and duplicates."""

    def __init__(self) -> None:
        super().__init__(name="hashing")
        self.hashing = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=4096)
        self.projection = np.random.default_rng(0).normal(size=(4096, 256)).astype(np.float32)

    def encode(self, inputs: Any, *, prompt_type: Any = None, **kwargs: Any) -> np.ndarray:
        texts = [text for batch in inputs for text in batch["text"]]
        self.texts += [(str(prompt_type), text) for text in texts]
        # One order of operations for each text, so that the same text has the same embedding in every call.
        return np.stack([row @ self.projection for row in self.hashing.transform(texts).toarray().astype(np.float32)])


class Evaluated(NamedTuple):
    """One run of the whole task on the real data."""

    model: HashingEncoder
    scores: dict[str, dict[str, Any]]
    table: Path
    corpus: ParallelCorpus


@pytest.fixture(scope="module")
def evaluated(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    folder = tmp_path_factory.mktemp("real")
    SHARED_RUNS.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BEIR_HYBRID_DATA", str(data_folder))
        patch.setenv("BEIR_HYBRID_HOME", str(folder / "home"))
        model = HashingEncoder()
        scores = evaluate(model, XQuADR(), folder)
        [table] = rank_tables(folder / "home")
        return Evaluated(model, scores, table, load("xquad-r"))


def test_exactly_the_26104_texts_are_encoded(evaluated: Evaluated) -> None:
    kinds = Counter(kind for kind, _ in evaluated.model.texts)
    assert kinds == {"query": 13_090, "document": 13_014}


def test_132_subsets_and_143990_ranks(evaluated: Evaluated) -> None:
    assert set(evaluated.scores) == set(XQuADR.metadata.hf_subsets)
    table, info = rank_table.read(evaluated.table)
    assert table.num_rows == 143_990 == 13_090 * 11
    assert sum(info.pool_sizes.values()) == 13_014
    assert info.dataset_revision == XQuADR.metadata.revision


def test_two_languages_encode_only_their_texts(evaluated: Evaluated, tmp_path: Path) -> None:
    model = HashingEncoder()
    task = mteb.get_task("XQuADR", languages=["eng", "deu"])
    scores = task.evaluate(model, encode_kwargs={})
    assert len(model.texts) == 2 * 1190 + 1180 + 1276
    assert_same_scores(evaluated.scores, dict(scores))


def test_every_mteb_key_equals_a_plain_mteb_task(evaluated: Evaluated, tmp_path: Path) -> None:
    expected = evaluate(evaluated.model, plain_task(COMPARED), tmp_path)
    assert set(expected) == set(COMPARED)
    assert {key for key, value in expected["en-en"].items() if isinstance(value, float)} <= set(
        evaluated.scores["en-en"]
    )
    assert_same_scores(evaluated.scores, expected)


@pytest.mark.parametrize("subset", ["en-en", "th-de", "zh-multi"])
def test_map_equals_pytrec_eval_on_uncut_results(subset: str, evaluated: Evaluated) -> None:
    query_language, pool = subset.split("-")
    model, corpus = evaluated.model, evaluated.corpus
    languages = list(corpus.languages) if pool == "multi" else [pool]
    parts = [corpus.languages[language] for language in languages]
    questions = model.encode([{"text": corpus.languages[query_language].questions}])
    passages = model.encode([{"text": [text for part in parts for text in part.passages]}])
    scores = model.similarity(questions, passages).numpy()
    passage_ids = [passage_id for part in parts for passage_id in part.passage_ids]
    query_ids = corpus.languages[query_language].query_ids
    run = {q: dict(zip(passage_ids, row.tolist(), strict=True)) for q, row in zip(query_ids, scores, strict=True)}
    relevant = {
        query_id: {part.passage_ids[row]: 1 for part in parts for row in part.relevance[question_id]}
        for query_id, question_id in zip(query_ids, corpus.languages[query_language].question_ids, strict=True)
    }
    values = pytrec_eval.RelevanceEvaluator(relevant, {"map"}).evaluate(run)
    expected = np.mean([value["map"] for value in values.values()])
    assert evaluated.scores[subset]["map"] == pytest.approx(expected, abs=1e-6)
