"""The MIRACL tasks on a small copy of the hub's repository: scores, chunks, checkpoints, translations, bad input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import mteb
import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from mteb.abstasks import AbsTaskRetrieval
from mteb.cache import ResultCache
from mteb.tasks.retrieval import MIRACLRetrieval, MIRACLRetrievalHardNegatives

from beir_hybrid.corpora import miracl
from beir_hybrid.corpora.hub import retrieval_layout
from beir_hybrid.errors import BeirHybridError, DataError
from beir_hybrid.mteb.encode import Call
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.ranks import rank_table
from beir_hybrid.ranks.model_state import SAMPLED_TEXTS
from beir_hybrid.scoring.chunk_plan import ChunkPlan
from beir_hybrid.scoring.chunked import ChunkedRun
from beir_hybrid.scoring.corpus_scores import count_corpus
from beir_hybrid.scoring.pass_folder import PassFolder
from beir_hybrid.tasks.miracl import MIRACLCL, AbsTaskMIRACL, MIRACLCLFull
from tests.support import killed_miracl, small_miracl
from tests.support.helpers import ScoreTable, TableModel, property_test, score_tables
from tests.support.mteb_models import CountingEncoder, meta_of, vector_of
from tests.support.small_miracl import LANGUAGES, N_PASSAGES, N_QUESTIONS

Scores = dict[str, dict[str, Any]]

POOL = sum(N_PASSAGES.values())
CHUNK_SIZE = 7


def topical(text: str) -> np.ndarray:
    """Give a text a vector near that of its topic, the number in it, and near that of its language."""
    number = "".join(letter for letter in text if letter.isdigit())[:1]
    return vector_of(text) + 0.8 * vector_of(f"topic {number}") + 0.4 * vector_of(text.split()[0])


def use(
    folder: Path, patch: pytest.MonkeyPatch, languages: tuple[str, ...] = LANGUAGES, shared: Path | None = None
) -> Path:
    """Make the small data set the one that tasks read: written here, or one that is only read and prepared once."""
    data = (shared or folder) / "data"
    if not data.exists():
        small_miracl.write(data, languages)
    patch.setenv("BEIR_HYBRID_MIRACL", str(data))
    patch.delenv("BEIR_HYBRID_MIRACL_QUERIES", raising=False)
    patch.delenv("BEIR_HYBRID_CHUNK_SIZE", raising=False)
    patch.setenv("BEIR_HYBRID_HOME", str(folder / "home"))
    patch.setattr(datasets.config, "HF_DATASETS_CACHE", str((shared or folder) / "hub"))
    SHARED_RUNS.clear()
    return data


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(autouse=True)
def small(request: pytest.FixtureRequest, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tasks read the small data set; a test that asks for `data` has its own, which it may change."""
    if "data" in request.fixturenames:
        request.getfixturevalue("data")
    else:
        use(tmp_path, monkeypatch, shared=shared)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use(tmp_path, monkeypatch)


def evaluate(model: Any, task: AbsTaskRetrieval, folder: Path, **options: Any) -> Scores:
    """Run MTEB and return subset -> scores."""
    result = mteb.evaluate(
        model, task, cache=ResultCache(folder / "cache"), co2_tracker=False, show_progress_bar=False, **options
    )
    return {scores["hf_subset"]: scores for scores in result.task_results[0].scores["dev"]}


def count(task: AbsTaskMIRACL, model: Any, chunk_size: int | None = None) -> Scores:
    """Evaluate without MTEB's cache."""
    if chunk_size is not None:
        task.chunk_size = chunk_size
    return dict(task.evaluate(model, "dev", encode_kwargs={"show_progress_bar": False}))


def checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "home" / "checkpoints").rglob("*"))


@pytest.mark.parametrize(
    ("task", "source"), [(MIRACLCL, MIRACLRetrievalHardNegatives), (MIRACLCLFull, MIRACLRetrieval)]
)
def test_it_has_36_subsets_and_the_data_of_mtebs_own_task(task: type[AbsTaskMIRACL], source: Any) -> None:
    metadata = task.metadata
    assert metadata.is_filled()
    assert len(metadata.hf_subsets) == 36
    assert {f"{code}-{code}" for code in source.metadata.hf_subsets} <= set(metadata.hf_subsets)
    assert metadata.dataset == source.metadata.dataset
    assert metadata.main_score == "ndcg_at_10"
    assert metadata.eval_splits == source.metadata.eval_splits == ["dev"]
    for code, languages in source.metadata.eval_langs.items():
        assert metadata.hf_subsets_to_langscripts[f"{code}-{code}"] == languages
        assert metadata.hf_subsets_to_langscripts[f"{code}-multi"][0] == languages[0]
        assert len(metadata.hf_subsets_to_langscripts[f"{code}-multi"]) == 18


class Run(NamedTuple):
    """One `mteb.evaluate` of a task, which several tests look at."""

    model: CountingEncoder
    scores: Scores
    folder: Path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        use(folder, patch)
        model = CountingEncoder(topical)
        return Run(model, evaluate(model, MIRACLCL(), folder), folder)


def test_each_text_is_encoded_once_as_mteb_would_present_it(whole: Run) -> None:
    expected = Counter()
    for code in LANGUAGES:
        rows = small_miracl.language(code)
        expected += Counter(("query", query["text"]) for query in rows.queries[:N_QUESTIONS])
        expected += Counter(("document", (row["title"] + " " + row["text"]).strip()) for row in rows.corpus)
    assert Counter(whole.model.texts) == expected
    assert not (whole.folder / "home" / "checkpoints").exists()


def test_monolingual_subsets_equal_mtebs_own_task(whole: Run, tmp_path: Path, data: Path) -> None:
    class Local(MIRACLRetrievalHardNegatives):
        metadata = MIRACLRetrievalHardNegatives.metadata.model_copy(
            update={
                "name": "LocalMIRACL",
                "dataset": {"path": str(data), "revision": "1"},
                "eval_langs": {code: MIRACLRetrieval.metadata.eval_langs[code] for code in LANGUAGES},
            }
        )

    expected = evaluate(CountingEncoder(topical), Local(), tmp_path)
    assert set(expected) == set(LANGUAGES)
    for code, values in expected.items():
        assert_contains(whole.scores[f"{code}-{code}"], values)


def test_multilingual_subsets_equal_a_plain_pooled_task(whole: Run, tmp_path: Path) -> None:
    corpus, subsets = [], {}
    for code in LANGUAGES:
        rows = small_miracl.language(code)
        corpus += [{"id": f"{code}:{row['_id']}", "title": row["title"], "text": row["text"]} for row in rows.corpus]
        qrels: dict[str, dict[str, int]] = {}
        for row in rows.qrels:
            qrels.setdefault(f"q{row['query-id']}", {})[f"{code}:{row['corpus-id']}"] = row["score"]
        queries = [{"id": f"q{row['_id']}", "text": row["text"]} for row in rows.queries]
        subsets[f"{code}-multi"] = (queries, qrels)
    pool = Dataset.from_list(corpus)

    class Pooled(AbsTaskRetrieval):
        metadata = MIRACLCL.metadata.model_copy(
            update={"name": "Pooled", "eval_langs": {name: ["eng-Latn"] for name in subsets}}
        )

        def load_data(self, **kwargs: Any) -> None:
            self.dataset = {
                name: {
                    "dev": {
                        "corpus": pool,
                        "queries": Dataset.from_list([query for query in queries if query["id"] in qrels]),
                        "relevant_docs": qrels,
                        "top_ranked": None,
                    }
                }
                for name, (queries, qrels) in subsets.items()
            }
            self.data_loaded = True

    for name, values in evaluate(CountingEncoder(topical), Pooled(), tmp_path).items():
        assert_contains(whole.scores[name], values)


def assert_contains(scores: dict[str, Any], expected: dict[str, Any]) -> None:
    keys = [key for key, value in expected.items() if isinstance(value, float)]
    assert {"ndcg_at_10", "recall_at_100", "nauc_ndcg_at_10_std", "main_score"} <= set(keys)
    for key in keys:
        assert scores[key] == pytest.approx(expected[key], abs=1e-5, nan_ok=True), key


def test_same_language_figures_equal_a_sort_of_all_scores(whole: Run) -> None:
    passages = [
        (code, row["title"] + " " + row["text"]) for code in LANGUAGES for row in small_miracl.language(code).corpus
    ]
    matrix = np.stack([topical(text.strip()) for _, text in passages])
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    languages = np.array([code for code, _ in passages])
    for code in LANGUAGES:
        queries = [query["text"] for query in small_miracl.language(code).queries[:N_QUESTIONS]]
        best = np.argsort(-np.stack([matrix @ topical(text) for text in queries]), axis=1)
        for k in (10, 100):
            share = (languages[best[:, :k]] == code).mean()
            scores = whole.scores[f"{code}-multi"]
            assert scores[f"same_language_share_at_{k}"] == pytest.approx(share)
            assert scores[f"same_language_preference_at_{k}"] == pytest.approx(share * POOL / N_PASSAGES[code])
        assert "same_language_share_at_10" not in whole.scores[f"{code}-{code}"]


def test_the_rank_table_knows_grades_and_languages(whole: Run) -> None:
    [path] = (whole.folder / "home").rglob("*.parquet")
    table, info = rank_table.read(path)
    frame = table.to_pandas()
    assert info.pool_sizes == N_PASSAGES
    relevant = {
        (f"{code}:{code}-{row['query-id']}", f"{code}:{row['corpus-id']}"): row["score"]
        for code in LANGUAGES
        for row in small_miracl.language(code).qrels
        if row["score"] > 0
    }
    assert dict(zip(zip(frame["query_id"], frame["passage_id"], strict=True), frame["grade"], strict=True)) == relevant
    assert frame.notna().all().all()


def test_a_model_that_searches_gets_the_same_scores(whole: Run, tmp_path: Path) -> None:
    from tests.tasks.test_xquad_r import SearchThatEncodes

    subsets = ["de-de", "zh-multi"]
    found = evaluate(SearchThatEncodes(whole.model), mteb_task(MIRACLCL, subsets), tmp_path)
    assert set(found) == set(subsets)
    for subset, values in found.items():
        assert_contains(whole.scores[subset], values)


def mteb_task(task: type[AbsTaskMIRACL], subsets: list[str]) -> AbsTaskMIRACL:
    return task().filter_languages(None, hf_subsets=subsets)


def test_a_language_filter_reads_and_encodes_only_its_languages(whole: Run, tmp_path: Path, data: Path) -> None:
    for code in ("fi", "zh"):
        shutil.rmtree(data / f"{code}-qrels")
    task = MIRACLCL().filter_languages(["deu", "eng"])
    assert task.hf_subsets == ["de-de", "en-en"]
    model = CountingEncoder(topical)
    scores = evaluate(model, task, tmp_path)
    assert len(model.texts) == 2 * N_QUESTIONS + N_PASSAGES["de"] + N_PASSAGES["en"]
    for subset in task.hf_subsets:
        assert_contains(scores[subset], whole.scores[subset])


def test_chunks_change_nothing(tmp_path: Path) -> None:
    first, second = CountingEncoder(topical), CountingEncoder(topical)
    scores = count(MIRACLCLFull(), first)
    [path] = (tmp_path / "home").rglob("*.parquet")
    table = path.read_bytes()
    path.unlink()
    assert same(count(MIRACLCLFull(), second, CHUNK_SIZE), scores)
    assert path.read_bytes() == table
    assert Counter(first.texts) == Counter(second.texts)
    assert not checkpoints(tmp_path)


def same(scores: Scores, expected: Scores) -> bool:
    """Whether scores are equal to the last bit, NaN included."""
    return json.dumps(scores, sort_keys=True) == json.dumps(expected, sort_keys=True)


@property_test(40)
@given(score_tables(), st.integers(1, 7))
def test_counts_by_chunks_equal_counts_by_languages(table: ScoreTable, chunk_size: int) -> None:
    """Any corpus, any judgments, and scores that nearly all tie."""
    asked = [code for code, part in table.corpus.languages.items() if part.question_ids]
    if not asked:
        return
    call = Call(TableModel(table), MIRACLCL.metadata, "dev", {"show_progress_bar": False})
    with tempfile.TemporaryDirectory() as folder:
        run = ChunkedRun(
            name="MIRACLCL",
            embed=partial(call.embed, table.corpus),
            similarity=call.encoder.similarity,
            plan=ChunkPlan(table.corpus, asked, list(table.corpus.languages), chunk_size),
            folder=PassFolder.of({"model": "m", "model_revision": "1", "task": "T"}, Path(folder)),
        )
        found = run.count().result()
    for expected in count_corpus(table.corpus, table.embeddings, table.similarity, asked):
        counted = found[expected.targets.query_language]
        assert counted.rank_in_language.tolist() == expected.rank_in_language.tolist()
        assert counted.rank_in_pool.tolist() == expected.rank_in_pool.tolist()
        assert counted.top_languages.tolist() == expected.top_languages.tolist()
        assert set(counted.confidence) == set(expected.confidence)
        for pool, confidence in expected.confidence.items():
            for name, values in confidence.by_name().items():
                assert counted.confidence[pool].by_name()[name].tolist() == pytest.approx(values.tolist())


def test_a_run_that_is_killed_at_every_chunk_boundary_gives_the_same(tmp_path: Path) -> None:
    model = CountingEncoder()
    expected = count(MIRACLCLFull(), model)
    [path] = (tmp_path / "home").rglob("*.parquet")
    table = path.read_bytes()
    path.unlink()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_DATASETS_CACHE": str(tmp_path / "hub")}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_miracl", tmp_path],
        cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert same(json.loads((tmp_path / "scores.json").read_text()), expected)
    assert path.read_bytes() == table
    texts = [tuple(json.loads(line)) for line in (tmp_path / "texts.jsonl").read_text().splitlines()]
    assert Counter(texts) == Counter(model.texts)
    # Questions of each language, relevant passages, the counts of those, and every chunk: each ended one process.
    assert json.loads((tmp_path / "processes.json").read_text()) > len(LANGUAGES) + POOL // killed_miracl.CHUNK_SIZE
    assert not checkpoints(tmp_path)


class Stopped(Exception):
    pass


class StoppingEncoder(CountingEncoder):
    """Stops in the middle of a call."""

    def __init__(self, calls: int, **options: Any) -> None:
        super().__init__(topical, **options)
        self.calls = calls

    def encode(self, inputs: Any, **kwargs: Any) -> Any:
        self.calls -= 1
        if self.calls < 0:
            raise Stopped
        return super().encode(inputs, **kwargs)


@pytest.fixture
def stopped(tmp_path: Path) -> StoppingEncoder:
    """Leave the checkpoint of a run that was stopped after some chunks."""
    model = StoppingEncoder(calls=20)
    with pytest.raises(Stopped):
        count(MIRACLCLFull(), model, CHUNK_SIZE)
    assert {path.name for path in checkpoints(tmp_path)} >= {"counts-1-of-1.safetensors", "questions-de.safetensors"}
    return model


def test_a_run_stopped_within_a_chunk_goes_on_before_it(stopped: StoppingEncoder, tmp_path: Path) -> None:
    model = CountingEncoder(topical)
    scores = count(MIRACLCLFull(), model, CHUNK_SIZE)
    reference = CountingEncoder(topical)
    assert same(scores, count(MIRACLCLFull(), reference))
    # Some texts are embedded again, to see that the model is still the one that wrote the checkpoint.
    again = Counter(stopped.texts + model.texts) - Counter(reference.texts)
    assert 0 < again.total() <= SAMPLED_TEXTS and set(again) <= set(stopped.texts)
    assert not Counter(reference.texts) - Counter(stopped.texts + model.texts)
    assert not checkpoints(tmp_path)


def test_a_run_that_a_queue_ends_writes_what_it_has_counted(tmp_path: Path) -> None:
    class Preempted(CountingEncoder):
        def encode(self, inputs: Any, **kwargs: Any) -> Any:
            if len(self.texts) > POOL:  # questions, relevant passages and some chunks
                signal.raise_signal(signal.SIGTERM)
            return super().encode(inputs, **kwargs)

    def chunked() -> MIRACLCLFull:
        task = MIRACLCLFull()
        task.chunk_size = CHUNK_SIZE
        return task

    with pytest.raises(SystemExit) as ended:
        evaluate(Preempted(topical), chunked(), tmp_path)
    assert ended.value.code == 143
    assert [path for path in checkpoints(tmp_path) if path.name == "counts-1-of-1.safetensors"]
    second, reference = CountingEncoder(topical), CountingEncoder(topical)
    scores = evaluate(second, chunked(), tmp_path)
    assert same(scores, evaluate(reference, chunked(), tmp_path / "again"))
    assert len(second.texts) <= len(reference.texts) - POOL + SAMPLED_TEXTS
    assert not checkpoints(tmp_path)


def change_data(data: Path) -> None:
    rows = small_miracl.language("de").corpus
    small_miracl.write_rows(data, "de-corpus", [{**rows[0], "text": "de other"}, *rows[1:]])


@pytest.mark.parametrize(
    "change",
    [
        lambda data, model: (change_data(data), {})[1],
        lambda data, model: {"chunk_size": CHUNK_SIZE + 1},
        lambda data, model: {"encode_kwargs": {"batch_size": 5}},
        lambda data, model: {"model": setattr(model, "mteb_model_meta", meta_of("counting", revision="2"))},
        lambda data, model: {"model": setattr(model, "mteb_model_meta", meta_of("other"))},
    ],
)
def test_a_checkpoint_of_another_run_is_not_used(
    stopped: StoppingEncoder, data: Path, change: Callable[..., dict[str, Any]]
) -> None:
    model = CountingEncoder(topical)
    changed = change(data, model)
    task = MIRACLCLFull()
    task.chunk_size = changed.get("chunk_size", CHUNK_SIZE)
    task.evaluate(model, "dev", encode_kwargs=changed.get("encode_kwargs", {}))
    assert len(model.texts) == len(LANGUAGES) * N_QUESTIONS + POOL


@pytest.mark.parametrize("name", ["counts-1-of-1.safetensors", "questions-de.safetensors"])
@pytest.mark.parametrize("kept", [0, 5, 400])
def test_a_truncated_checkpoint_is_done_again_with_one_line(
    stopped: StoppingEncoder, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, kept: int
) -> None:
    [path] = [path for path in checkpoints(tmp_path) if path.name == name]
    path.write_bytes(path.read_bytes()[:kept])
    scores = count(MIRACLCLFull(), CountingEncoder(topical), CHUNK_SIZE)
    assert same(scores, count(MIRACLCLFull(), CountingEncoder(topical)))
    [warning] = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert str(path) in warning and "\n" not in warning
    assert not checkpoints(tmp_path)


def test_what_a_killed_process_was_writing_is_cleared_away(tmp_path: Path) -> None:
    checkpoint = PassFolder.of({"model": "a/b", "model_revision": "1", "task": "T"}, tmp_path)
    checkpoint.save("counts", {"x": torch.arange(3)}, done=1)
    (checkpoint.folder / ".counts.safetensors.abc.tmp").write_bytes(b"half")
    checkpoint.save("counts", {"x": torch.arange(4)}, done=2)
    assert [path.name for path in checkpoint.folder.iterdir()] == ["counts.safetensors"]
    loaded = checkpoint.load("counts")
    assert loaded is not None and loaded[0]["x"].tolist() == [0, 1, 2, 3] and loaded[1] == {"done": 2}
    checkpoint.remove()
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(
    "make",
    [
        lambda rows: rows.numpy(),
        lambda rows: rows.numpy().astype(np.float16),
        lambda rows: rows,
        lambda rows: rows.bfloat16(),
        lambda rows: rows.to_sparse(),
        lambda rows: rows.requires_grad_(),
    ],
)
def test_saved_embeddings_come_back_as_they_were(make: Callable[[torch.Tensor], Any], tmp_path: Path) -> None:
    checkpoint = PassFolder.of({"model": "m", "model_revision": "1", "task": "T"}, tmp_path)
    rows = make(torch.tensor([[0.0, 1.5], [2.0, 0.0], [0.0, -1.0]]))
    checkpoint.embeddings("e", lambda: rows)
    again = checkpoint.embeddings("e", lambda: pytest.fail("they were saved"))
    assert type(again) is type(rows) and again.dtype == rows.dtype
    dense = [matrix if isinstance(matrix, np.ndarray) else matrix.detach().to_dense() for matrix in (again, rows)]
    assert (dense[0] == dense[1]).all()


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_chunk_size_that_is_none_is_one_line(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEIR_HYBRID_CHUNK_SIZE", value)
    with pytest.raises(BeirHybridError, match=rf"BEIR_HYBRID_CHUNK_SIZE={value}: .* whole number from 1"):
        count(MIRACLCL(), CountingEncoder())


def test_the_chunk_size_can_be_set_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEIR_HYBRID_CHUNK_SIZE", "3")
    sizes = []

    class Sizes(CountingEncoder):
        def encode(self, inputs: Any, **kwargs: Any) -> Any:
            embeddings = super().encode(inputs, **kwargs)
            sizes.append(len(embeddings))
            return embeddings

    count(MIRACLCL(), Sizes())
    assert set(sizes[len(LANGUAGES) :]) <= {1, 2, 3}


def test_predictions_are_written_for_the_small_pools_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "predictions"
    for task in (MIRACLCL(), MIRACLCLFull()):
        task.evaluate(CountingEncoder(topical), "dev", encode_kwargs={}, prediction_folder=folder)
    assert [path.name for path in folder.glob("*.json")] == ["MIRACLCL_predictions.json"]
    assert "MIRACLCLFull writes no predictions" in caplog.text
    assert len(list(folder.rglob("*.parquet"))) == 2


# Translated questions


def translate(folder: Path, pair: str, skip: int = 0, **changes: str) -> Path:
    """Write the translations of the questions of the second language of a pair."""
    folder.mkdir(exist_ok=True)
    translated, original = pair.split("-")
    lines = [
        json.dumps({"_id": f"{n}", "text": f"{translated} translation of {original} {n}"} | changes, ensure_ascii=False)
        for n in range(N_QUESTIONS - skip)
    ]
    path = folder / f"{pair}.jsonl"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def test_translated_questions_make_cross_lingual_subsets(
    whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translations = tmp_path / "translations"
    translate(translations, "en-de")
    translate(translations, "fi-de")
    monkeypatch.setenv("BEIR_HYBRID_MIRACL_QUERIES", str(translations))
    task = MIRACLCL()
    assert {*task.hf_subsets} == {*whole.scores, "en-de", "fi-de"}
    assert task.metadata.hf_subsets_to_langscripts["en-de"] == ["eng-Latn", "deu-Latn"]
    assert task.metadata.revision != MIRACLCL(translated_questions=translate_into(tmp_path / "o")).metadata.revision
    model = CountingEncoder(topical)
    scores = evaluate(model, task, tmp_path)
    assert len(model.texts) == (len(LANGUAGES) + 2) * N_QUESTIONS + POOL
    # What does not depend on them does not change.
    for subset, values in whole.scores.items():
        assert_contains(scores[subset], values)
        figures = [key for key in values if key.startswith("same_language")]
        assert [scores[subset][key] for key in figures] == [values[key] for key in figures]
    # The same questions, judgments and pool as de-de, with other texts.
    german = small_miracl.language("de")
    replaced = [{**row, "text": f"en translation of de {row['_id']}"} for row in german.queries]
    other = small_miracl.write(tmp_path / "other")
    small_miracl.write_rows(other, "de-queries", replaced)
    monkeypatch.setenv("BEIR_HYBRID_MIRACL", str(other))
    monkeypatch.delenv("BEIR_HYBRID_MIRACL_QUERIES")
    expected = evaluate(CountingEncoder(topical), mteb_task(MIRACLCL, ["de-de"]), tmp_path / "again")
    assert_contains(scores["en-de"], expected["de-de"])


def translate_into(folder: Path) -> Path:
    translate(folder, "en-zh")
    return folder


def test_a_cross_lingual_subset_reads_only_what_it_needs(tmp_path: Path, data: Path) -> None:
    shutil.rmtree(data / "en-qrels")
    task = MIRACLCL(translated_questions=translate_into(tmp_path / "translations"))
    model = CountingEncoder(topical)
    scores = count(task.filter_languages(None, hf_subsets=["en-zh"]), model)
    assert set(scores) == {"en-zh"}
    assert len(model.texts) == N_QUESTIONS + N_PASSAGES["zh"]


def test_a_search_and_a_count_agree_on_translations(tmp_path: Path) -> None:
    from tests.tasks.test_xquad_r import SearchThatEncodes

    folder = translate_into(tmp_path / "translations")
    counted = count(MIRACLCL(translated_questions=folder), CountingEncoder(topical))
    found = count(MIRACLCL(translated_questions=folder), SearchThatEncodes(CountingEncoder(topical)))
    for subset in ("en-zh", "en-multi", "en-en"):
        keys = [key for key in found[subset] if key in counted[subset]]
        assert "map" in keys
        for key in keys:
            assert found[subset][key] == pytest.approx(counted[subset][key], abs=1e-5, nan_ok=True), (subset, key)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: translate(f, "en-de", skip=2), r"translates 4 of the 6 de questions; '4' is missing"),
        (lambda f: translate(f, "en-de", _id="0"), r"line 2: the question '0' stands twice"),
        (lambda f: translate(f, "en-de", _id="77"), r"line 1: no judged de question has the id '77'"),
        (lambda f: translate(f, "en-de", text=" "), r"line 1: the field 'text' is missing, empty"),
        (lambda f: translate(f, "en-de").write_text('{"_id": "0"}\n'), r"line 1: the field 'text' is missing"),
        (lambda f: translate(f, "en-de").write_text('{"text": "x"}\n'), r"line 1: the field '_id' is missing"),
        (lambda f: translate(f, "en-de").write_text("[]\n"), r"line 1: not a JSON object"),
        (lambda f: translate(f, "en-de").write_text('{"_id": "0", \n'), r"line 1: not JSON"),
        (lambda f: translate(f, "en-de").write_bytes(b"\xff"), r"byte 0 is not UTF-8"),
        (lambda f: translate(f, "en-de").write_text(""), r"translates 0 of the 6 de questions"),
        (lambda f: translate(f, "en-xx"), r"en-xx\.jsonl: the name must be that of its subset"),
        (lambda f: translate(f, "de-de"), r"de-de\.jsonl: the name must be that of its subset"),
        (lambda f: f.mkdir(), r"holds no translated questions"),
        (lambda f: None, r"there is no such folder of translated questions"),
    ],
)
def test_bad_translations_are_one_line(spoil: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    folder = tmp_path / "translations"
    spoil(folder)
    model = CountingEncoder()
    with pytest.raises(DataError, match=message) as caught:
        count(MIRACLCL(translated_questions=folder), model)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    assert not model.texts


# Bad data


def changed_rows(kind: str, **changes: Any) -> Callable[[Path], None]:
    def spoil(data: Path) -> None:
        rows = getattr(small_miracl.language("de"), kind)
        small_miracl.write_rows(data, f"de-{kind}", [*rows[:-1], {**rows[-1], **changes}])

    return spoil


def no_positive(data: Path) -> None:
    small_miracl.write_rows(data, "de-qrels", [{**row, "score": 0} for row in small_miracl.language("de").qrels])


def spoil_file(data: Path) -> None:
    path = data / "de-corpus" / "dev-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (changed_rows("qrels", **{"corpus-id": "nowhere"}), r"de: the qrels name the passage 'nowhere'"),
        (changed_rows("qrels", **{"query-id": "nobody"}), r"de: the qrels name the question 'nobody'"),
        (changed_rows("corpus", _id="0#0"), r"de: the passage id 'de:0#0' stands twice"),
        (lambda data: small_miracl.write_rows(data, "de-corpus", []), r"de: .*de-corpus.* is empty"),
        (lambda data: small_miracl.write_rows(data, "de-queries", []), r"de: .*de-queries.* is empty"),
        (lambda data: small_miracl.write_rows(data, "de-qrels", []), r"de: .*de-qrels.* is empty"),
        (no_positive, r"de: no question has a relevant passage"),
        (spoil_file, r"de: cannot be read"),
        (lambda data: shutil.rmtree(data / "de-qrels"), r"de: cannot be read"),
        (lambda data: (data / "README.md").unlink(), r"holds no data set in the hub's layout|cannot be read"),
        (shutil.rmtree, r"there is no such folder; check BEIR_HYBRID_MIRACL"),
    ],
)
def test_bad_data_is_one_line(spoil: Callable[[Path], Any], message: str, tmp_path: Path, data: Path) -> None:
    spoil(data)
    model = CountingEncoder()
    with pytest.raises(DataError, match=message) as caught:
        evaluate(model, MIRACLCL(), tmp_path)
    assert "\n" not in str(caught.value)
    assert not model.texts and not list((tmp_path / "cache").rglob("MIRACLCL.json"))


@pytest.mark.parametrize("variable", ["BEIR_HYBRID_MIRACL", "BEIR_HYBRID_MIRACL_QUERIES"])
def test_the_home_of_nobody_is_one_line_when_the_task_is_run(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "~no-such-user/miracl")
    task = MIRACLCL()
    with pytest.raises(DataError, match=rf"^{variable}=~no-such-user/miracl: there is no such home folder$"):
        task.load_data()


def test_all_tasks_can_be_listed_whatever_the_folders_hold(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(data)
    assert len(MIRACLCL().hf_subsets) == 36
    monkeypatch.setenv("BEIR_HYBRID_MIRACL_QUERIES", str(data))
    assert len(MIRACLCLFull().hf_subsets) == 36


def test_other_contents_are_another_revision(data: Path, tmp_path: Path) -> None:
    before = MIRACLCL().metadata.revision
    assert before == MIRACLCL().metadata.revision
    assert before.startswith("local-")
    change_data(data)
    assert MIRACLCL().metadata.revision != before


def test_several_copies_may_stand_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "copies"
    small_miracl.write(root / "MIRACLRetrievalHardNegatives", ("de", "en"))
    small_miracl.write(root / "MIRACLRetrieval", ("fi",))
    monkeypatch.setenv("BEIR_HYBRID_MIRACL", str(root))
    assert MIRACLCL().hf_subsets == ["de-de", "en-en", "de-multi", "en-multi"]
    assert MIRACLCLFull().hf_subsets == ["fi-fi", "fi-multi"]


@pytest.mark.parametrize("offline", [True, False])
def test_without_a_network_there_is_one_line_at_once(
    offline: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.delenv("BEIR_HYBRID_MIRACL")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    calls = []
    monkeypatch.setattr(time, "sleep", calls.append)
    task = MIRACLCL()
    assert task.metadata.revision == MIRACLRetrievalHardNegatives.metadata.revision
    for ask in (task.load_data, MIRACLCL.source.check_available):
        with pytest.raises(DataError, match="set BEIR_HYBRID_MIRACL to a copy") as caught:
            ask()
        assert "\n" not in str(caught.value)
    assert not calls, "it must not be tried again and again"


@property_test(40)
@given(st.permutations(range(7)), st.sets(st.sampled_from([f"p{n}" for n in range(9)])), st.integers(1, 8))
def test_rows_are_those_of_the_data_set_also_where_it_was_sorted_or_filtered(
    order: list[int], wanted: set[str], at_once: int
) -> None:
    passages = Dataset.from_dict({"id": [f"p{n}" for n in range(7)], "text": list("abcdefg")}).select(order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval_layout, "_AT_ONCE", at_once)
        rows = retrieval_layout._rows_of(wanted, passages)
    assert rows.keys() == wanted & set(passages["id"])
    assert all(passages[row]["id"] == name for name, row in rows.items())


def test_the_pinned_revision_is_read_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Loader:
        def __init__(self, **options: Any) -> None:
            asked.append(options)
            raise ConnectionError("enough")

    monkeypatch.delenv("BEIR_HYBRID_MIRACL")
    monkeypatch.setattr("mteb.abstasks.retrieval_dataset_loaders.RetrievalDatasetLoader", Loader)
    monkeypatch.setattr(miracl.MIRACLSource, "check_available", lambda source: None)
    with pytest.raises(DataError, match=r"mteb/MIRACLRetrieval ar: cannot be read \(ConnectionError: enough\)"):
        MIRACLCLFull().load_data()
    pinned = MIRACLRetrieval.metadata.dataset
    assert asked == [{"hf_repo": pinned["path"], "revision": pinned["revision"], "split": "dev", "config": "ar"}]
