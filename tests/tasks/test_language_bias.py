"""The language-bias tasks and the command ``beir-hybrid bias`` on small data."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import mteb
import pyarrow as pa
import pytest
from mteb.cache import ResultCache
from typer.testing import CliRunner

from beir_hybrid.cli import app
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.metrics import LANGUAGE_FIGURES, LANGUAGE_MEANS
from beir_hybrid.ranks import rank_table
from beir_hybrid.ranks.model_state import SAMPLED_TEXTS
from beir_hybrid.scoring.bias import BIAS_FIGURES, mean_bias, query_bias
from beir_hybrid.tasks import MLQAR, MLQARLanguageBias, XQuADR, XQuADRLanguageBias
from tests.support.mteb_models import CountingEncoder, WordSearch
from tests.tasks.test_xquad_r import N_PASSAGES, N_QUESTIONS, SearchThatEncodes, evaluate, rank_tables, use_small_data


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_small_data(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("task", "retrieval", "n_languages"), [(XQuADRLanguageBias, XQuADR, 11), (MLQARLanguageBias, MLQAR, 7)]
)
def test_there_is_a_subset_for_each_question_language_and_one_for_all(task, retrieval, n_languages: int) -> None:
    assert task.metadata.is_filled()
    assert task.metadata.main_score == "language_fairness"
    assert task.metadata.revision == retrieval.metadata.revision
    assert len(task.metadata.hf_subsets) == n_languages + 1
    assert len(task.metadata.hf_subsets_to_langscripts["all"]) == n_languages
    assert task.metadata.hf_subsets_to_langscripts["de"] == ["deu-Latn"]


@pytest.mark.parametrize("names", [["XQuADR", "XQuADRLanguageBias"], ["XQuADRLanguageBias", "XQuADR"]])
def test_together_with_the_retrieval_task_only_a_sample_is_encoded_again(names: list[str], tmp_path: Path) -> None:
    model = CountingEncoder()
    results = mteb.evaluate(
        model, mteb.get_tasks(names), cache=ResultCache(tmp_path), co2_tracker=False, show_progress_bar=False
    )
    assert [result.task_name for result in results.task_results] == names
    again = Counter(model.texts) - Counter(set(model.texts))
    assert len(set(model.texts)) == N_QUESTIONS + N_PASSAGES
    assert 0 < again.total() <= SAMPLED_TEXTS, "what tells whether the model is the same"
    [table] = rank_tables(tmp_path / "home")
    assert table.name == "XQuADR.parquet"


def test_the_scores_are_those_of_the_rank_table(tmp_path: Path) -> None:
    scores = evaluate(CountingEncoder(), XQuADRLanguageBias(), tmp_path)
    [path] = rank_tables(tmp_path / "home")
    table, info = rank_table.read(path)
    figures = query_bias(table.to_pandas(), info.pool_sizes)
    for subset, queries in (("all", figures), ("de", figures[figures["query_language"] == "de"])):
        for name, value in mean_bias(queries).items():
            assert scores[subset][name] == pytest.approx(value, abs=1e-5)
    assert scores["all"]["main_score"] == scores["all"]["language_fairness"]


def test_a_model_that_searches_has_the_same_bias(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    scores = evaluate(encoder, XQuADRLanguageBias(), tmp_path)
    found = evaluate(SearchThatEncodes(encoder), XQuADRLanguageBias(), tmp_path)
    for subset in scores:
        # It searched the pool of all languages only, so no rankings of single languages can be interleaved.
        assert math.isnan(found[subset]["round_robin_gain"])
        for name in {*BIAS_FIGURES} - {"round_robin_gain"}:
            assert found[subset][name] == pytest.approx(scores[subset][name], abs=1e-5), (subset, name)


def test_a_language_filter_chooses_among_the_questions(tmp_path: Path) -> None:
    task = mteb.get_task("XQuADRLanguageBias", languages=["deu", "eng"])
    assert task.hf_subsets == ["de", "en"]
    assert set(evaluate(CountingEncoder(), task, tmp_path)) == {"de", "en"}


def test_other_weights_of_peer_are_other_scores() -> None:
    task = XQuADRLanguageBias()
    default = task.evaluate(CountingEncoder(), encode_kwargs={})["all"]["peer_at_20"]
    task.peer_weights = {0: 0.0, 1: 1.0}
    assert task.evaluate(CountingEncoder(), encode_kwargs={})["all"]["peer_at_20"] != default


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Evaluate two models and return the folder with their results and rank tables."""
    for name in ("one", "two"):
        evaluate(CountingEncoder(name=name), XQuADRLanguageBias(), tmp_path, prediction_folder=tmp_path / "out")
    return tmp_path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["bias", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_prints_models_side_by_side(results: Path) -> None:
    printed = run(results / "out")
    header, _, *rows = printed.strip().splitlines()
    assert header.split() == ["XQuADR", "tests/one", "tests/two"]
    assert [row.split()[0] for row in rows] == list(LANGUAGE_MEANS)
    assert run(results / "cache").splitlines()[:3] == printed.splitlines()[:3]


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_command_draws_the_one_target_matrix(suffix: str, results: Path) -> None:
    plots = [results / f"{n}{suffix}" for n in range(2)]
    for plot in plots:
        assert f"Heat map: {plot}" in run(results / "out", "--plot", plot)
    assert plots[0].stat().st_size > 1000
    assert plots[0].read_bytes() == plots[1].read_bytes()


def message(*arguments: object) -> str:
    with pytest.raises(BeirHybridError) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_bad_input_is_one_line(results: Path) -> None:
    assert "there is no file" in message(results / "nothing")
    (results / "empty").mkdir()
    assert "neither a rank table nor" in message(results / "empty")
    assert "needs a rank table" in message(results / "cache", "--plot", results / "x.png")
    assert ".png, .svg, .pdf" in message(results / "out", "--plot", results / "x.gif")
    assert "add up to 1.5" in message(results / "out", "--peer-weights", "0:0.5,1:1")
    assert "write it like" in message(results / "out", "--peer-weights", "half")
    broken = results / "broken.parquet"
    broken.write_bytes(rank_tables(results / "out")[0].read_bytes()[:500])
    assert "truncated or not a Parquet file" in message(broken)
    broken_json = results / "XLanguageBias.json"
    broken_json.write_text(json.dumps({"task_name": 3}))
    assert "neither a rank table nor a result of a bias task" in message(broken_json)


def test_a_table_of_some_languages_says_what_it_lacks(tmp_path: Path) -> None:
    mteb.get_task("XQuADR", languages=["eng", "deu"]).evaluate(CountingEncoder(), encode_kwargs={})
    assert "needs ranks in the pool of all languages" in message(tmp_path / "home")


LEXICAL = pytest.mark.parametrize("fields", [{}, {"model_type": ["sparse"]}], ids=["undeclared", "sparse"])


@LEXICAL
def test_a_lexical_search_has_no_figure_of_what_it_did_not_find(
    fields: dict, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="mteb.beir_hybrid"):
        scores = evaluate(WordSearch(**fields), XQuADRLanguageBias(), tmp_path)
    # Questions share a word with the passages of their own language only, where one of the answers is.
    for name in ("rank_distance", "normalized_rank_distance", "language_fairness", "strong_alignment"):
        for subset in ("all", "de"):
            assert math.isnan(scores[subset][name]) and scores[subset][f"{name}_coverage"] == 0, (subset, name)
    assert math.isnan(scores["all"]["main_score"])
    message = "XQuADRLanguageBias: language_fairness no figure (0.0 % of the queries have one, 90 % are needed)"
    assert message in caplog.text
    [path] = rank_tables(tmp_path / "home")
    frame = rank_table.read(path)[0].to_pandas()
    own = frame["query_language"] == frame["passage_language"]
    assert frame["rank_in_pool"].notna().equals(own)
    assert set(frame["top_languages"].str.len()) == {2 * 5, 2 * 6}


def test_mteb_can_read_and_show_a_result_without_a_main_score(tmp_path: Path) -> None:
    for _ in range(2):  # the second time from the cache
        evaluate(WordSearch(), XQuADRLanguageBias(), tmp_path)
    [file] = (tmp_path / "cache").rglob("XQuADRLanguageBias.json")
    result = mteb.TaskResult.from_disk(file)
    assert math.isnan(result.get_score()) and math.isnan(result.main_score)
    assert "main_score=nan" in repr(result)
    result.validate_and_filter_scores(XQuADRLanguageBias())
    stored = next(scores for scores in result.scores["test"] if scores["hf_subset"] == "all")
    assert stored["language_fairness_coverage"] == 0
    assert "no figure" not in file.read_text()


def test_a_search_by_meaning_keeps_its_zeros(tmp_path: Path) -> None:
    evaluate(WordSearch(model_type=["cross-encoder"]), XQuADRLanguageBias(), tmp_path)
    [path] = rank_tables(tmp_path / "home")
    assert rank_table.read(path)[0].to_pandas()["rank_in_pool"].notna().all()


def test_results_of_older_versions_are_averaged_over_languages_too(results: Path) -> None:
    [file] = (results / "cache").rglob("*one/**/XQuADRLanguageBias.json")
    content = json.loads(file.read_text())
    values = {"en": 100.0, "de": 300.0, "all": 150.0}
    for entry in content["scores"]["test"]:
        for name in ("rank_distance_query_mean", "language_preference", "round_robin_gain"):
            del entry[name]
        entry["rank_distance"] = values.get(entry["hf_subset"], 200.0)
    file.write_text(json.dumps(content))
    printed = {line.split()[0]: line.split()[1:] for line in run(file).splitlines() if line}
    assert printed["rank_distance"] == ["200.0000"]
    assert printed["rank_distance_query_mean"] == ["150.0000"]
    assert printed["language_preference"] == printed["round_robin_gain"] == ["-"]


def test_the_command_says_why_there_is_no_figure(results: Path) -> None:
    evaluate(WordSearch(), XQuADRLanguageBias(), results, prediction_folder=results / "out")
    reason = "0.0 % of the queries have one, 90 % are needed"
    for folder in ("out", "cache"):  # rank tables and results
        printed = run(results / folder)
        assert [line.split()[-1] for line in printed.splitlines() if line.startswith("rank_distance ")] == ["-"]
        [note] = [line for line in printed.splitlines() if reason in line]
        assert note.startswith("tests/words, no figure: rank_distance, normalized_rank_distance, language_fairness, ")
        assert "tests/one," not in printed and "nan" not in printed


def test_the_command_says_of_how_many_queries_a_figure_is(results: Path) -> None:
    [path, *_] = rank_tables(results / "out")
    table, info = rank_table.read(path)
    frame = table.to_pandas()
    lost = frame["query_id"] == frame["query_id"].unique()[0]
    columns = ["rank_in_pool", "outranked_by_query_language"]
    frame.loc[lost, columns] = None
    frame[columns] = frame[columns].astype("Int32")
    rank_table.write(path, pa.Table.from_pandas(frame, preserve_index=False), info)
    printed = run(path)
    of_answers = [name for name, metric in LANGUAGE_FIGURES.items() if metric.needs.startswith("answers")]
    assert f"tests/one: {', '.join(of_answers)} of 97.7 % of the " in printed


def test_a_table_that_keeps_no_top_languages_says_so(results: Path) -> None:
    [path, *_] = rank_tables(results / "out")
    table, info = rank_table.read(path)
    place = table.column_names.index("top_languages")
    rank_table.write(path, table.set_column(place, "top_languages", pa.nulls(len(table), pa.string())), info)
    [note] = [line for line in run(path).splitlines() if "not kept" in line]
    assert "peer_at_20" in note and "rank_distance" not in note and "%" not in note
