"""The task XQuADR on small data: subsets, language filters, what is encoded, and what is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import mteb
import numpy as np
import pandas as pd
import pytest
from mteb.abstasks import AbsTaskRetrieval
from mteb.cache import ResultCache

from beir_hybrid.corpora import spec_of
from beir_hybrid.errors import DataError, ModelError
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.ranks import rank_table
from beir_hybrid.tasks import XQuADR
from tests.support import small_xquad
from tests.support.mteb_models import CountingEncoder, meta_of

LANGUAGES = small_xquad.LANGUAGES
N_QUESTIONS, N_PASSAGES = 11 * 4, 11 * 5 + 1


def use_small_data(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Write the small data set into a folder and make it the data that tasks read."""
    data = small_xquad.write(folder / "data")
    patch.setenv("BEIR_HYBRID_DATA", str(data))
    patch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")
    patch.setenv("BEIR_HYBRID_HOME", str(folder / "home"))
    SHARED_RUNS.clear()
    return data


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_small_data(tmp_path, monkeypatch)


def evaluate(model: Any, task: AbsTaskRetrieval, tmp_path: Path, **options: Any) -> dict[str, dict[str, Any]]:
    """Run MTEB and return subset -> scores."""
    result = mteb.evaluate(
        model, task, cache=ResultCache(tmp_path / "cache"), co2_tracker=False, show_progress_bar=False, **options
    )
    return {scores["hf_subset"]: scores for scores in result.task_results[0].scores["test"]}


def rank_tables(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def test_it_has_132_subsets_and_complete_metadata() -> None:
    subsets = XQuADR.metadata.hf_subsets
    assert len(subsets) == len(set(subsets)) == 132
    assert {"en-en", "en-de", "de-en", "en-multi"} <= set(subsets)
    assert XQuADR.metadata.is_filled()
    assert XQuADR.metadata.eval_splits == ["test"]
    assert XQuADR.metadata.hf_subsets_to_langscripts["de-ar"] == ["deu-Latn", "ara-Arab"]
    assert len(XQuADR.metadata.hf_subsets_to_langscripts["th-multi"]) == 11
    assert XQuADR.metadata.hf_subsets_to_langscripts["th-multi"][0] == "tha-Thai"


class FullRun(NamedTuple):
    """One `mteb.evaluate` of the whole task, which several tests look at."""

    model: CountingEncoder
    scores: dict[str, dict[str, Any]]
    folder: Path


@pytest.fixture(scope="module")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> FullRun:
    folder = tmp_path_factory.mktemp("full")
    with pytest.MonkeyPatch.context() as patch:
        use_small_data(folder, patch)
        model = CountingEncoder()
        scores = evaluate(model, XQuADR(), folder, prediction_folder=folder / "predictions")
    return FullRun(model, scores, folder)


def test_each_text_is_encoded_once_and_all_subsets_are_scored(full_run: FullRun) -> None:
    assert set(full_run.scores) == set(XQuADR.metadata.hf_subsets)
    assert all(scores["main_score"] == scores["map"] for scores in full_run.scores.values())
    kinds = Counter(kind for kind, _ in full_run.model.texts)
    assert kinds == {"query": N_QUESTIONS, "document": N_PASSAGES}
    assert max(Counter(full_run.model.texts).values()) == 1


def test_the_rank_table_has_a_row_for_each_relevant_pair(full_run: FullRun) -> None:
    [path] = rank_tables(full_run.folder)
    table, info = rank_table.read(path)
    assert table.num_rows == N_QUESTIONS * 11
    assert (info.task, info.model, info.model_revision) == ("XQuADR", "tests/counting", "1")
    assert info.pool_sizes == {language: 6 if language == "en" else 5 for language in LANGUAGES}
    frame = table.to_pandas()
    assert frame.notna().all().all()
    assert (frame["rank_in_pool"] >= frame["rank_in_language"]).all()
    assert set(frame["cluster_id"]) == {"0", "1"}
    assert set(frame["top_languages"].str.len()) == {2 * N_PASSAGES}
    # A query's relevant passages are different passages, and so are their ranks in the pool.
    assert not frame.duplicated(["query_id", "rank_in_pool"]).any()


def test_the_rank_table_and_the_predictions_go_where_the_caller_wants_predictions(full_run: FullRun) -> None:
    folder = full_run.folder / "predictions"
    assert rank_tables(full_run.folder) == [folder / "ranks/tests__counting/1/XQuADR.parquet"]
    predictions = json.loads((folder / "XQuADR_predictions.json").read_text())
    assert predictions.pop("mteb_model_meta") == {"model_name": "tests/counting", "revision": "1"}
    assert set(predictions) == set(XQuADR.metadata.hf_subsets)
    assert len(predictions["en-multi"]["test"]) == 4
    assert len(predictions["en-multi"]["test"]["en:q0"]) == N_PASSAGES


def test_scores_are_those_of_a_plain_mteb_task(full_run: FullRun, tmp_path: Path) -> None:
    expected = evaluate(full_run.model, plain_task(["en-en", "de-ar", "th-multi"]), tmp_path)
    assert_same_scores(full_run.scores, expected)


def test_a_search_model_ends_in_the_same_scores_and_rank_table(full_run: FullRun, tmp_path: Path) -> None:
    subsets = ["en-en", "en-de", "en-multi"]
    task = mteb.get_task("XQuADR", hf_subsets=subsets)
    found = evaluate(SearchThatEncodes(full_run.model), task, tmp_path)
    assert set(found) == set(subsets)
    assert_same_scores(full_run.scores, found)
    [path], [searched] = rank_tables(full_run.folder), rank_tables(tmp_path / "home")
    counted, found_ranks = (by_pair(path) for path in (path, searched))
    counted = counted[counted["query_language"] == "en"]
    known = found_ranks["passage_language"].isin(["en", "de"])
    assert found_ranks["rank_in_language"].isna().equals(~known)
    columns = ["rank_in_pool", "outranked_by_query_language", "cluster_id", "grade", "top_languages"]
    assert found_ranks[columns].equals(counted[columns])
    assert found_ranks[known].equals(counted[known])


class SavedResults(ResultCache):
    """Counts how often results are saved."""

    saved = 0

    def save_to_cache(self, *args: Any, **kwargs: Any) -> None:
        """Save a result."""
        self.saved += 1
        super().save_to_cache(*args, **kwargs)


def test_what_one_pass_gives_is_saved_once_and_what_is_searched_after_each_subset(tmp_path: Path) -> None:
    encoder, subsets = CountingEncoder(), ["en-en", "en-de", "en-multi"]
    saved = []
    for model in (encoder, SearchThatEncodes(encoder)):
        cache = SavedResults(tmp_path / "cache")
        options: dict[str, Any] = {"cache": cache, "co2_tracker": False, "show_progress_bar": False}
        mteb.evaluate(model, mteb.get_task("XQuADR", hf_subsets=subsets), **options)
        result = cache.load_task_result("XQuADR", model.mteb_model_meta)
        assert result is not None and set(result.hf_subsets) == set(subsets)
        saved.append(cache.saved)
    assert saved == [1, len(subsets) + 1]


def by_pair(path: Path) -> pd.DataFrame:
    """Read a rank table with (query, passage) as its index, in their order, and ranks as floats."""
    frame = rank_table.read(path)[0].to_pandas().set_index(["query_id", "passage_id"]).sort_index()
    ranks = ["rank_in_language", "rank_in_pool", "outranked_by_query_language"]
    return frame.astype(dict.fromkeys(ranks, float))


def assert_same_scores(scores: dict[str, dict[str, Any]], expected: dict[str, dict[str, Any]]) -> None:
    for subset, values in expected.items():
        for key, value in values.items():
            if isinstance(value, float) and key != "main_score":
                assert scores[subset][key] == pytest.approx(value, abs=1e-5, nan_ok=True), (subset, key)


def test_a_language_filter_loads_and_encodes_only_its_languages(tmp_path: Path, data: Path) -> None:
    for language in set(LANGUAGES) - {"en", "de"}:
        spec_of("xquad-r").files.path(data, language).unlink()
    model = CountingEncoder()
    task = mteb.get_task("XQuADR", languages=["eng", "deu"])
    assert task.hf_subsets == ["de-de", "en-en", "de-en", "en-de"]
    scores = evaluate(model, task, tmp_path)
    assert set(scores) == set(task.hf_subsets)
    assert len(model.texts) == 2 * 4 + 5 + 6
    assert {text.split()[0] for _, text in model.texts} == {"en", "de"}


def test_one_pair_needs_the_questions_of_one_language_and_the_passages_of_the_other(tmp_path: Path) -> None:
    model = CountingEncoder()
    scores = evaluate(model, mteb.get_task("XQuADR", hf_subsets=["en-de"]), tmp_path)
    assert set(scores) == {"en-de"}
    assert {(kind, text.split()[0]) for kind, text in model.texts} == {("query", "en"), ("document", "de")}


def test_ranks_in_a_part_of_the_pool_are_unknown_ranks_in_the_pool(tmp_path: Path) -> None:
    evaluate(CountingEncoder(), mteb.get_task("XQuADR", languages=["eng", "deu"]), tmp_path)
    [path] = rank_tables(tmp_path / "home")
    frame = rank_table.read(path)[0].to_pandas()
    assert len(frame) == 2 * 4 * 2
    assert frame["rank_in_pool"].isna().all()
    assert frame["rank_in_language"].notna().all()


def test_a_restricted_run_and_a_full_one_complete_the_same_table(tmp_path: Path) -> None:
    pair, everything = mteb.get_task("XQuADR", languages=["eng", "deu"]), XQuADR()
    pair.evaluate(CountingEncoder(), encode_kwargs={})
    [path] = rank_tables(tmp_path / "home")
    everything.evaluate(CountingEncoder(), encode_kwargs={})
    full = rank_table.read(path)[0].to_pandas()
    pair.evaluate(CountingEncoder(), encode_kwargs={})
    assert rank_table.read(path)[0].to_pandas().equals(full)
    assert len(full) == N_QUESTIONS * 11 and full["rank_in_pool"].notna().all()


def plain_task(subsets: list[str]) -> AbsTaskRetrieval:
    """Return a task of MTEB's own class on the data of some subsets."""
    task = XQuADR().filter_languages(None, hf_subsets=subsets)
    task.load_data()

    class PlainXQuADR(AbsTaskRetrieval):
        metadata = XQuADR.metadata.model_copy(update={"name": "PlainXQuADR", "main_score": "map_at_1000"})

    plain = PlainXQuADR()
    plain.hf_subsets = subsets
    plain.dataset = {subset: task.dataset[subset] for subset in subsets}
    plain.data_loaded = True
    return plain


def test_a_model_that_was_trained_meanwhile_is_run_again(tmp_path: Path) -> None:
    task = XQuADR()
    task.load_data()
    model = CountingEncoder()
    first = task.evaluate(model, encode_kwargs={})["en-en"]["map"]
    model.vector = lambda text: np.eye(16, dtype=np.float32)[sum(text.encode()) % 16]
    assert task.evaluate(model, encode_kwargs={})["en-en"]["map"] != first
    assert len(model.texts) == 2 * (N_QUESTIONS + N_PASSAGES)


class SearchThatEncodes:
    """A SearchProtocol that is no encoder, on MTEB's own search."""

    def __init__(self, encoder: CountingEncoder) -> None:
        from mteb.models import SearchEncoderWrapper

        self.wrapper = SearchEncoderWrapper(encoder)
        self.mteb_model_meta = meta_of("search")

    def index(self, *args: Any, **kwargs: Any) -> None:
        self.wrapper.index(*args, **kwargs)

    def search(self, *args: Any, **kwargs: Any) -> Any:
        return self.wrapper.search(*args, **kwargs)


def nan_in_row_2(embeddings: np.ndarray, prompt_type: Any, hf_subset: str) -> np.ndarray:
    if prompt_type == "document" and hf_subset == "de-de":
        embeddings[2, 3] = np.nan
    return embeddings


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (nan_in_row_2, r"tests/counting: the de passages cannot be ranked: .* row 2 \(de:2\) is not finite"),
        (lambda embeddings, **_: embeddings[:-1], r"the ar passages are 5 texts, but the model returned 4"),
        (lambda embeddings, **_: embeddings[0], r"the ar passages should give a matrix"),
    ],
)
def test_a_model_that_cannot_be_ranked_by_is_one_line_and_no_output(
    spoil: Callable[..., Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        evaluate(CountingEncoder(spoil=spoil), XQuADR(), tmp_path, prediction_folder=tmp_path / "predictions")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").rglob("XQuADR.json"))
    assert not rank_tables(tmp_path)


def test_a_missing_language_file_is_one_line(tmp_path: Path, data: Path) -> None:
    spec_of("xquad-r").files.path(data, "th").unlink()
    with pytest.raises(DataError, match=r"th\.json is missing"):
        evaluate(CountingEncoder(), XQuADR(), tmp_path)


def test_ranks_on_other_data_are_never_mixed_with_those_on_this(tmp_path: Path, data: Path) -> None:
    pair = ["en-en", "en-th"]
    evaluate(CountingEncoder(), mteb.get_task("XQuADR", hf_subsets=pair), tmp_path)
    [path] = rank_tables(tmp_path / "home")
    before = rank_table.read(path)[1].dataset_revision
    thai = spec_of("xquad-r").files.path(data, "th")
    thai.write_text(thai.read_text().replace("sentence 0", "sentence O"))
    task = mteb.get_task("XQuADR", hf_subsets=["en-th"])
    evaluate(CountingEncoder(), task, tmp_path, overwrite_strategy="always")
    table, info = rank_table.read(path)
    assert info.dataset_revision == task.metadata.revision != before
    assert set(table["passage_language"].to_pylist()) == {"th"}
