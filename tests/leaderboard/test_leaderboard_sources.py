"""Leaderboards of others: from MTEB's results without tests, from predictions of any retrieval task with them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.cache import ResultCache
from mteb.results import TaskResult

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.leaderboard.inputs.settings import Settings
from beir_hybrid.leaderboard.inputs.stored_predictions import find_predictions
from beir_hybrid.leaderboard.inputs.training_data import TrainingData, TrainingFacts
from beir_hybrid.leaderboard.publish import Inputs, make_board
from beir_hybrid.metrics import BOARD_LANGUAGE_FIGURES
from beir_hybrid.ranks import rank_table
from beir_hybrid.subsets import Subset
from tests.support.mteb_models import CountingEncoder, vector_of
from tests.support.small_ranks import write_ranks

SETTINGS = Settings(flips=2000, resamples=200, ask_mteb=False)
N_QUERIES = 20


def write_result(
    folder: Path, model: str, task: str, scores: dict[str, dict[str, float]], revision: str = "abc123", **facts: Any
) -> Path:
    """Write a result as MTEB's results repository keeps it: results/<org>__<model>/<revision>/<task>.json."""
    path = folder / "results" / model.replace("/", "__") / revision / f"{task}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [
        {"hf_subset": subset, "languages": ["eng-Latn"], "main_score": values["ndcg_at_10"], **values}
        for subset, values in scores.items()
    ]
    content = {
        "dataset_revision": "d1",
        "task_name": task,
        "mteb_version": "2.26.24",
        "scores": {"test": entries},
        "evaluation_time": 1.0,
        "kg_co2_emissions": None,
        **facts,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    meta = {"name": model, "revision": revision, "training_datasets": ["SmallRetrieval"]}
    path.with_name("model_meta.json").write_text(json.dumps(meta), encoding="utf-8")
    return path


def refused(inputs: Inputs, settings: Settings = SETTINGS) -> str:
    with pytest.raises(BeirHybridError) as caught:
        make_board(inputs, settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_two_public_models_from_the_results_repository(tmp_path: Path) -> None:
    for model, level in (("org/small", 0.4), ("org/large", 0.6)):
        by_subset = {subset: {"ndcg_at_10": level + add} for subset, add in (("en", 0.1), ("de", 0.0))}
        path = write_result(tmp_path, model, "SmallRetrieval", by_subset)
        assert TaskResult.from_disk(path).task_name == "SmallRetrieval"
        write_result(tmp_path, model, "OtherRetrieval", {"default": {"ndcg_at_10": level}})
    assert len(ResultCache(tmp_path).get_cache_paths(include_remote=False)) == 4
    board = make_board(Inputs(results=tmp_path / "results"), SETTINGS)
    assert [column["key"] for column in board["columns"]] == [
        "OtherRetrieval/all/main_score",
        "SmallRetrieval/all/main_score",
    ]
    cells = board["rows"]["org__large"]["cells"]
    assert cells["SmallRetrieval/all/main_score"]["value"] == pytest.approx(0.65)
    assert cells["SmallRetrieval/all/main_score"]["best"]
    assert cells["SmallRetrieval/all/main_score"]["seen_in_training"] is True
    assert cells["OtherRetrieval/all/main_score"]["seen_in_training"] is False
    assert not any(cell["tested"] or cell["rank"] for cell in cells.values())
    assert board["comparisons"] == []
    assert board["notes"] == [
        f"Without tests, because MTEB's result files hold means only: {model} (OtherRetrieval, SmallRetrieval)."
        for model in ("org/large", "org/small")
    ]
    assert board["inputs"][0]["file"] == "results/org__large/abc123/OtherRetrieval.json"


def test_results_stand_in_the_columns_of_rank_tables_by_setting(tmp_path: Path) -> None:
    write_ranks(tmp_path, "me/ranked", 0.5)
    by_subset = {
        f"{x}-{y}": {"map": 0.9 if x == y else 0.8 if y != "multi" else 0.7, "ndcg_at_10": 0.1}
        for x in ("de", "en", "th")
        for y in ("de", "en", "th", "multi")
    }
    write_result(tmp_path, "me/listed", "XQuADR", by_subset)
    figures = {figure.name: 0.9 for figure in BOARD_LANGUAGE_FIGURES} | {"rank_distance": 12.5}
    bias = {**figures, "rank_distance_query_mean": 12.0, "ndcg_at_10": 0.9}
    write_result(tmp_path, "me/listed", "XQuADRLanguageBias", dict.fromkeys(("all", "de", "en", "th"), bias))
    board = make_board(Inputs(tmp_path / "ranks", tmp_path / "results"), SETTINGS)
    values = {key: cell["value"] for key, cell in board["rows"]["me__listed"]["cells"].items()}
    assert values == pytest.approx(
        {
            "XQuADR/monolingual/map": 0.9,
            "XQuADR/cross-lingual/map": 0.8,
            "XQuADR/multilingual/map": 0.7,
            **{f"XQuADR/multilingual/{name}": value for name, value in figures.items()},
        }
    )
    assert set(values) == set(board["rows"]["me__ranked"]["cells"])
    assert board["matrices"]["me__listed"]["XQuADR"]["map"][0] == pytest.approx([0.9, 0.8, 0.8])
    assert board["matrices"]["me__listed"]["XQuADR"]["one_target"] is None
    assert board["notes"] == [
        "XQuADR: results of different revisions of the data: d1 (me/listed); data-1 (me/ranked).",
        "Without tests, because MTEB's result files hold means only: me/listed (XQuAD-R, XQuAD-R language bias).",
    ]


@pytest.mark.parametrize(("coverage", "shown"), [(0.4, False), (0.95, True), (1.0, True), (None, True)])
def test_results_say_of_how_many_queries_a_bias_figure_is(coverage: float | None, shown: bool, tmp_path: Path) -> None:
    names = ("rank_distance", "language_fairness", "strong_alignment")
    scores = dict.fromkeys(names, 0.5 if shown else math.nan) | {"ndcg_at_10": 0.1}
    if coverage is not None:  # older results do not say
        scores |= {f"{name}_coverage": coverage for name in names}
    write_result(tmp_path, "me/listed", "XQuADRLanguageBias", dict.fromkeys(("all", "de", "en"), scores))
    board = make_board(Inputs(results=tmp_path / "results"), SETTINGS)
    for name in names:
        cell = board["rows"]["me__listed"]["cells"][f"XQuADR/multilingual/{name}"]
        assert (cell["value"], cell["coverage"]) == (0.5 if shown else None, coverage)
        assert (cell["reason"] is None) is shown
    untested = "Without tests, because MTEB's result files hold means only: me/listed (XQuAD-R language bias)."
    assert (untested in board["notes"]) is shown


def test_a_rank_table_comes_before_the_result_of_the_same_run(tmp_path: Path) -> None:
    path = write_ranks(tmp_path, "me/both", 0.5)
    subsets = [f"{x}-{y}" for x in ("de", "en", "th") for y in ("de", "en", "th", "multi")]
    by_subset = {subset: {"map": 0.123, "ndcg_at_10": 0.1} for subset in subsets}
    write_result(tmp_path, "me/both", "XQuADR", by_subset, revision="main", dataset_revision="data-1")
    board = make_board(Inputs(tmp_path / "ranks", tmp_path / "results"), SETTINGS)
    assert list(board["rows"]) == ["me__both"]
    assert all(cell["tested"] and cell["value"] != 0.123 for cell in board["rows"]["me__both"]["cells"].values())
    assert board["notes"] == []
    assert path.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "0.5", True])
def test_a_score_that_is_not_a_number(value: Any, tmp_path: Path) -> None:
    write_result(tmp_path, "org/m", "SmallRetrieval", {"en": {"ndcg_at_10": value}, "de": {"ndcg_at_10": 0.5}})
    note = "main_score of the subset en in org__m/abc123/SmallRetrieval.json is "
    message = refused(Inputs(results=tmp_path / "results"))
    assert message.startswith("there is no figure to show. Left out: org/m in SmallRetrieval/all/main_score: " + note)
    write_result(tmp_path, "org/other", "SmallRetrieval", {"en": {"ndcg_at_10": 0.25}, "de": {"ndcg_at_10": 0.75}})
    board = make_board(Inputs(results=tmp_path / "results"), SETTINGS)
    assert board["rows"]["org__m"]["cells"] == {}
    assert board["rows"]["org__other"]["cells"]["SmallRetrieval/all/main_score"]["value"] == 0.5
    [left_out] = [one for one in board["notes"] if note in one]
    assert left_out.endswith("not a number; evaluate it again.")


def test_a_truncated_result(tmp_path: Path) -> None:
    path = write_result(tmp_path, "org/m", "SmallRetrieval", {"en": {"ndcg_at_10": 0.5}})
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    assert refused(Inputs(results=tmp_path / "results")).startswith(f"{path} is not a whole JSON file")


class SmallRetrieval(AbsTaskRetrieval):
    """Twenty queries in two languages, of which one has the same ids as the other."""

    metadata = TaskMetadata(
        name="SmallRetrieval",
        description="Made up.",
        reference="https://example.org",
        dataset={"path": "none", "revision": "small-1"},
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs={"en": ["eng-Latn"], "de": ["deu-Latn"]},
        main_score="ndcg_at_3",
        date=("2020-01-01", "2020-01-02"),
        domains=[],
        task_subtypes=[],
        license="mit",
        annotations_creators="derived",
        dialect=[],
        sample_creation="created",
        bibtex_citation="",
    )

    def load_data(self, **kwargs: Any) -> None:
        queries = [{"id": f"q{n}", "text": f"question {n}"} for n in range(N_QUERIES)]
        corpus = [{"id": f"d{n}", "title": "", "text": f"answer {n}"} for n in range(N_QUERIES)]
        relevant = {f"q{n}": {f"d{n}": 2, f"d{(n + 1) % N_QUERIES}": 1, "d0": 0} for n in range(1, N_QUERIES - 1)}
        self.dataset = {
            subset: {
                "test": RetrievalSplitData(
                    queries=Dataset.from_list(queries),
                    corpus=Dataset.from_list(corpus),
                    relevant_docs={query: dict(passages) for query, passages in relevant.items()},
                    top_ranked=None,
                )
            }
            for subset in self.hf_subsets
        }
        self.data_loaded = True


def _encoder(name: str, noise: float) -> CountingEncoder:
    """Make a model whose question n is near answer n, up to noise."""

    def vector(text: str) -> np.ndarray:
        mixed = vector_of(text.split()[-1], 32) + noise * vector_of(f"{name} {text}", 32)
        return mixed.astype(np.float32)

    return CountingEncoder(vector, name=name)


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """Predictions of two models as MTEB writes them, and the main scores that it computed."""
    folder = tmp_path_factory.mktemp("predictions")
    scores = {}
    for name, noise in (("good", 0.5), ("bad", 4.0)):
        results = mteb.evaluate(
            _encoder(name, noise),
            SmallRetrieval(),
            cache=None,
            prediction_folder=folder / name,
            co2_tracker=False,
            show_progress_bar=False,
        )
        scores[f"tests/{name}"] = results.task_results[0].get_score()
    return folder, scores


def qrels_line(query: str, passage: str, grade: int) -> str:
    return f"{query} 0 {passage} {grade}\n"


def small_qrels() -> list[tuple[str, str, int]]:
    task = SmallRetrieval()
    task.load_data()
    relevant = task.dataset["en"]["test"]["relevant_docs"]
    return [(query, passage, grade) for query, passages in relevant.items() for passage, grade in passages.items()]


def test_predictions_of_any_task_make_a_table_with_tests(
    predictions: tuple[Path, dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, scores = predictions
    monkeypatch.setattr(mteb, "get_task", lambda name: SmallRetrieval())
    settings = Settings(flips=2000, resamples=200, ask_mteb=False, baselines=("tests/bad",))
    board = make_board(Inputs(predictions=folder), settings)
    [column] = board["columns"]
    assert (column["key"], column["metric"]) == ("SmallRetrieval/all/ndcg_at_3", "ndcg_at_3")
    cells = {row["label"]: row["cells"][column["key"]] for row in board["rows"].values()}
    for model, score in scores.items():
        assert cells[model]["value"] == pytest.approx(score, abs=1e-5)
        assert cells[model]["units"] == 2 * (N_QUERIES - 2)
    assert cells["tests/good"]["marks"] == ["†"]
    assert board["notes"] == []
    assert [one["file"] for one in board["inputs"]] == [
        "predictions/bad/SmallRetrieval_predictions.json",
        "predictions/good/SmallRetrieval_predictions.json",
    ]


@pytest.mark.parametrize("kind", ["trec", "beir", "subsets"])
def test_judgments_from_files(kind: str, predictions: tuple[Path, dict[str, float]], tmp_path: Path) -> None:
    path = tmp_path / "judgments"
    if kind == "trec":
        path.write_text("".join(qrels_line(*one) for one in small_qrels()), encoding="utf-8")
    elif kind == "beir":
        (path / "qrels").mkdir(parents=True)
        lines = ["query-id\tcorpus-id\tscore\n", *("\t".join(map(str, one)) + "\n" for one in small_qrels())]
        (path / "qrels" / "test.tsv").write_text("".join(lines), encoding="utf-8")
    else:
        path.mkdir()
        for subset in ("en", "de"):
            text = "".join(qrels_line(*one) for one in small_qrels())
            (path / f"{subset}.qrels").write_text(text, encoding="utf-8")
    folder, _ = predictions
    sources = find_predictions(folder, [f"SmallRetrieval={path}"])
    tables = [source.read() for source in sources]
    assert [table.num_rows for table in tables] == [2 * 2 * (N_QUERIES - 2)] * 2
    assert find_predictions(folder, [str(path)])[0].read().equals(tables[0])
    board = make_board(Inputs(predictions=folder, qrels=(str(path),)), SETTINGS)
    assert [column["key"] for column in board["columns"]] == ["SmallRetrieval/all/ndcg_at_10"]


def test_bad_judgments(predictions: tuple[Path, dict[str, float]], tmp_path: Path) -> None:
    folder, _ = predictions
    path = tmp_path / "qrels"
    inputs = Inputs(predictions=folder, qrels=(str(path),))
    assert refused(inputs) == f"there is no file or folder of judgments {path}"
    path.write_text(qrels_line("q1", "d1", 1) + "q2 0 d2 much\n", encoding="utf-8")
    assert refused(inputs).startswith(f"{path}, line 2: 'q2 0 d2 much' is not a judgment")
    path.write_text(qrels_line("other", "d1", 1), encoding="utf-8")
    assert "no query of the subset" in refused(inputs)
    other = Inputs(predictions=folder, qrels=(f"Other={path}",))
    assert refused(other) == f"--qrels Other={path}: there are predictions of SmallRetrieval, not of Other"
    assert refused(Inputs(predictions=folder)).startswith("mteb knows no task SmallRetrieval; name its judgments")


def test_a_truncated_predictions_file(predictions: tuple[Path, dict[str, float]], tmp_path: Path) -> None:
    source = predictions[0] / "good" / "SmallRetrieval_predictions.json"
    copy = tmp_path / source.name
    copy.write_bytes(source.read_bytes()[:-50])
    qrels = tmp_path / "qrels"
    qrels.write_text("".join(qrels_line(*one) for one in small_qrels()), encoding="utf-8")
    message = refused(Inputs(predictions=tmp_path, qrels=(str(qrels),)))
    assert message.startswith(f"{copy} is not a whole predictions file")


@pytest.mark.parametrize("score", [float("nan"), "high", None])
def test_predictions_that_are_no_scores(score: Any, predictions: tuple[Path, dict[str, float]], tmp_path: Path) -> None:
    source = predictions[0] / "good" / "SmallRetrieval_predictions.json"
    content = json.loads(source.read_text(encoding="utf-8"))
    content["en"]["test"]["q3"]["d1"] = score
    (tmp_path / source.name).write_text(json.dumps(content), encoding="utf-8")
    qrels = tmp_path / "qrels"
    qrels.write_text("".join(qrels_line(*one) for one in small_qrels()), encoding="utf-8")
    message = refused(Inputs(predictions=tmp_path, qrels=(str(qrels),)))
    assert message.startswith(f"{tmp_path / source.name}: en")
    assert ("query q3 is not a number" in message) or ("is not query id -> passage id -> score" in message)


def test_what_mteb_says_of_training_data_is_asked_for_last() -> None:
    known = "intfloat/multilingual-e5-small"
    assert TrainingFacts([], ask_mteb=True).seen(known, "any", "MIRACLRetrieval") is True
    assert TrainingFacts([], ask_mteb=False).seen(known, "any", "MIRACLRetrieval") is None
    assert TrainingFacts([], ask_mteb=True).seen("nobody/knows", "any", "MIRACLRetrieval") is None
    told = TrainingData(known, "any", frozenset())
    assert TrainingFacts([told], ask_mteb=True).seen(known, "any", "MIRACLRetrieval") is False


def test_predictions_of_our_tasks_have_a_rank_table(tmp_path: Path) -> None:
    (tmp_path / "XQuADR_predictions.json").write_text("{}", encoding="utf-8")
    assert "XQuADR keeps a rank table" in refused(Inputs(predictions=tmp_path))


def test_no_rank_table_is_made_by_reading(tmp_path: Path) -> None:
    path = write_ranks(tmp_path, "me/ranked", 0.5)
    before = path.read_bytes()
    make_board(Inputs(tmp_path / "ranks"), SETTINGS)
    assert path.read_bytes() == before
    assert rank_table.read(path)[0].num_rows == 20 * 9


def test_results_of_many_languages_hold_means_over_pools(tmp_path: Path) -> None:
    codes = ("ace", "ceb", "zh-Hant")
    values = {"ace-ace": 0.9, "ceb-ceb": 0.8, "zh-Hant_zh-Hant": 0.7}
    values |= {"ace-cross": 0.6, "ceb-cross": 0.5, "zh-Hant_cross": 0.4}
    values |= {"ace-multi": 0.3, "ceb-multi": 0.2, "zh-Hant_multi": 0.1}
    write_result(tmp_path, "me/a", "ManyR", {name: {"ndcg_at_10": value} for name, value in values.items()})
    pairs = {str(Subset(x, y)): {"ndcg_at_10": 0.5} for x in codes for y in codes if x != y}
    write_result(tmp_path, "me/b", "ManyR", pairs)
    board = make_board(Inputs(results=tmp_path / "results"), SETTINGS)
    assert not any(note.startswith("Left out") for note in board["notes"])  # both are means over the same pairs
    cells = board["rows"]["me__a"]["cells"]
    found = {key.split("/")[1]: cell["value"] for key, cell in cells.items()}
    assert found == pytest.approx({"monolingual": 0.8, "cross-lingual": 0.5, "multilingual": 0.2})
    assert board["languages"]["me__a"]["ManyR"]["zh-Hant"] == pytest.approx(
        {"monolingual": 0.7, "cross-lingual": 0.4, "multilingual": 0.1}
    )
    assert all("cross" not in matrices["languages"] for matrices in board["matrices"]["me__a"].values())
