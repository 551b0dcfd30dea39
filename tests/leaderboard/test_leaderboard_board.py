"""The board: what is in it, what it is computed from, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import jsonschema
import pytest

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.leaderboard.board.columns import board_columns
from beir_hybrid.leaderboard.board.family_scores import family_scores
from beir_hybrid.leaderboard.board.unit_scores import column_scores, unit_scores
from beir_hybrid.leaderboard.inputs.settings import ModelEntry, Settings
from beir_hybrid.leaderboard.publish import Inputs, make_board
from beir_hybrid.leaderboard.stats.significance import compare
from beir_hybrid.ranks import rank_table
from beir_hybrid.scoring.bias import one_target_map, query_bias
from tests.support.small_ranks import LANGUAGES, lose_ranks, write_ranks

COLUMNS = board_columns()

SCHEMA = Path(__file__).parents[2] / "beir_hybrid" / "leaderboard" / "board" / "board.schema.json"
SETTINGS = Settings(flips=2000, resamples=200, ask_mteb=False)
MAP = "XQuADR/multilingual/map"


def board_of(folder: Path, settings: Settings = SETTINGS, **inputs: Any) -> dict[str, Any]:
    board = make_board(Inputs(folder / "ranks", **inputs), settings)
    jsonschema.validate(json.loads(json.dumps(board, allow_nan=False)), json.loads(SCHEMA.read_text(encoding="utf-8")))
    return board


def entry(label: str, *models: str, **facts: Any) -> ModelEntry:
    return ModelEntry(key=label, label=label, models=models, **facts)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Rank tables of two baselines and of two seeds of a better model."""
    write_ranks(tmp_path, "me/x-x", 0.1, seed=1)
    write_ranks(tmp_path, "me/x-y", 0.3, seed=2)
    write_ranks(tmp_path, "me/hybrid-0", 0.75, seed=3)
    write_ranks(tmp_path, "me/hybrid-1", 0.85, seed=4)
    return tmp_path


def replace(settings: Settings, **changes: Any) -> Settings:
    """Return settings with other values."""
    return settings.model_copy(update=changes)


PAPER = replace(
    SETTINGS,
    models=(
        entry("X-X", "me/x-x", base="small", baseline="X-X"),
        entry("X-Y", "me/x-y", base="small", baseline="X-Y"),
        entry("hybrid", "me/hybrid-0", base="small"),
        entry("other", "me/hybrid-1", base="large"),
    ),
)


def test_figures_are_those_of_the_rank_tables(three: Path) -> None:
    board = board_of(three, PAPER)
    columns = [column for column in COLUMNS if column.task == "XQuADR"]
    assert [column["key"] for column in board["columns"]] == [column.key for column in columns]
    table, info = rank_table.read(rank_table.default_path("XQuADR", "me/x-y", "main", three))
    for column in columns:
        cell = board["rows"]["X-Y"]["cells"][column.key]
        assert cell["value"] == pytest.approx(column_scores(table, info, [column])[column.key].average, rel=1e-8)
        assert cell["low"] <= cell["value"] <= cell["high"]
        assert (cell["unit"], cell["units"], cell["questions"]) == ("article", 10, 20)
        assert (cell["tested"], cell["spread"]) == (True, None)


def test_comparisons_are_those_of_the_unit_scores_and_corrected_once_over_the_table(three: Path) -> None:
    board = board_of(three, PAPER)
    tables = {
        name: rank_table.read(rank_table.default_path("XQuADR", name, "main", three))
        for name in ("me/x-x", "me/hybrid-0")
    }
    for column in (column for column in COLUMNS if column.task == "XQuADR"):
        of_model, of_baseline = ([unit_scores(*tables[name], column)] for name in ("me/hybrid-0", "me/x-x"))
        expected = compare(of_model, of_baseline, flips=2000, resamples=200)
        [found] = [
            one
            for one in board["comparisons"]
            if (one["column"], one["row"], one["baseline"]) == (column.key, "hybrid", "X-X")
        ]
        for name in ("difference", "low", "high", "p", "p_t", "p_wilcoxon", "design_effect"):
            assert found[name] == pytest.approx(getattr(expected, name), rel=1e-6, abs=1e-12), (column.key, name)
    baselines = {"X-X", "X-Y"}
    with_baseline = [one for one in board["comparisons"] if one["baseline"] in baselines and one["row"] != "other"]
    # Two baselines and one more row of their base encoder: three tests a column, of which one is listed both ways.
    assert len(with_baseline) == 4 * len(board["columns"])
    p_values = {(one["column"], frozenset((one["row"], one["baseline"]))): one for one in with_baseline}
    assert len(p_values) == 3 * len(board["columns"])
    smallest = min(p_values.values(), key=lambda one: one["p"])
    assert smallest["p_corrected"] == pytest.approx(min(1, smallest["p"] * len(p_values)), rel=1e-8)
    assert f"over the {len(p_values)} comparisons" in board["captions"]["main"]


def test_marks_go_to_significant_gains_over_the_baselines_of_the_same_encoder(three: Path) -> None:
    rows = board_of(three, replace(PAPER, unit="question"))["rows"]  # ten articles are too few for so many tests
    assert rows["hybrid"]["cells"][MAP]["marks"] == ["†", "‡"]
    assert rows["other"]["cells"][MAP]["marks"] == []
    assert rows["X-X"]["cells"][MAP]["marks"] == []
    everywhere = replace(SETTINGS, baselines=("me/x-x",), unit="question")
    rows = board_of(three, everywhere)["rows"]
    assert rows["me__hybrid-0"]["cells"][MAP]["marks"] == ["†"]
    assert rows["me__hybrid-1"]["cells"][MAP]["marks"] == ["†"]


def test_a_gain_in_rank_distance_is_a_smaller_one(three: Path) -> None:
    board = board_of(three, replace(PAPER, unit="question"))
    key = "XQuADR/multilingual/rank_distance"
    better, baseline = (board["rows"][row]["cells"][key] for row in ("hybrid", "X-X"))
    assert better["value"] < baseline["value"]
    assert "†" in better["marks"]
    assert better["best"] or better["second"]
    assert not baseline["best"]


def test_seeds_of_one_recipe_are_one_row(three: Path) -> None:
    settings = replace(
        SETTINGS, models=(entry("X-X", "me/x-x", baseline="X-X"), entry("hybrid", "me/hybrid-*", batching="hybrid"))
    )
    board = board_of(three, settings)
    found = [
        column_scores(*rank_table.read(rank_table.default_path("XQuADR", name, "main", three)), COLUMNS[2:3])
        for name in ("me/hybrid-0", "me/hybrid-1")
    ]
    values = [scores[COLUMNS[2].key].average for scores in found]
    row = board["rows"]["hybrid"]
    assert (row["seeds"], row["models"], row["batching"]) == (2, ["me/hybrid-0", "me/hybrid-1"], "hybrid")
    assert COLUMNS[2].key == MAP
    assert row["cells"][MAP]["value"] == pytest.approx(fmean(values), rel=1e-8)
    assert row["cells"][MAP]["spread"] == pytest.approx(stdev(values), rel=1e-8)
    assert "± Standard deviation" in board["captions"]["main"]


def test_best_and_second_and_ranks(three: Path) -> None:
    rows = board_of(three, PAPER)["rows"]
    order = sorted(rows, key=lambda key: rows[key]["cells"][MAP]["value"], reverse=True)
    assert [key for key in rows if rows[key]["cells"][MAP]["best"]] == [order[0]]
    assert [key for key in rows if rows[key]["cells"][MAP]["second"]] == [order[1]]
    assert rows["X-X"]["cells"][MAP]["rank"][0] >= 3
    assert rows[order[0]]["cells"][MAP]["rank"][0] == 1
    assert "a" in rows[order[0]]["cells"][MAP]["tie_group"]


def test_languages_and_matrices(three: Path) -> None:
    board = board_of(three, PAPER)
    table, info = rank_table.read(rank_table.default_path("XQuADR", "me/x-x", "main", three))
    matrices = board["matrices"]["X-X"]["XQuADR"]
    assert matrices["languages"] == list(LANGUAGES)
    one_target = one_target_map(table.to_pandas(), info.pool_sizes)
    for i, x in enumerate(LANGUAGES):
        assert matrices["one_target"][i] == pytest.approx(one_target.loc[x, list(LANGUAGES)].tolist(), rel=1e-8)
        by_setting = board["languages"]["X-X"]["XQuADR"][x]
        assert by_setting["monolingual"] == matrices["map"][i][i]
        others = [matrices["map"][i][j] for j in range(len(LANGUAGES)) if j != i]
        assert by_setting["cross-lingual"] == pytest.approx(fmean(others), rel=1e-8)
    for setting in ("monolingual", "cross-lingual", "multilingual"):
        of_languages = [by_setting[setting] for by_setting in board["languages"]["X-X"]["XQuADR"].values()]
        cell = board["rows"]["X-X"]["cells"][f"XQuADR/{setting}/map"]
        assert fmean(of_languages) == pytest.approx(cell["value"], rel=1e-8)


LAREQA, HYBRID = SOURCES = ("https://arxiv.org/abs/2004.05484", "https://arxiv.org/abs/2408.10536")


def test_published_figures_are_a_group_of_their_own_without_tests(three: Path) -> None:
    figures = Path(__file__).parents[2] / "leaderboard" / "published_figures.toml"
    board = board_of(three, replace(PAPER, published_figures=figures))
    assert board["groups"][-1]["label"] == "Published figures"
    cited = [board["rows"][key] for key in board["groups"][-1]["rows"]]
    values = {url: [row["cells"][MAP]["value"] for row in cited if row["source"]["url"] == url] for url in SOURCES}
    assert values == {LAREQA: [0.29, 0.23, 0.52, 0.66], HYBRID: [0.5479, 0.5934, 0.5927, 0.6517, 0.6791, 0.6817]}
    for row in cited:
        assert row["published"]
        assert not any(cell["tested"] or cell["best"] or cell["second"] for cell in row["cells"].values())
        assert all(column.startswith("XQuADR/") for column in row["cells"])  # nobody evaluated MLQA-R here
    assert "2004.05484" in board["notes"][-1]
    assert any(row["cells"][MAP]["best"] for row in board["rows"].values() if not row["published"])


def test_what_a_model_saw_in_training(three: Path) -> None:
    manifests = {
        "me__x-x": {"training_datasets": ["XQuADR"]},
        "me__x-y": {
            "base": {"name": "base", "training_datasets": None},
            "data": [{"source": "mlqa-r", "training_datasets": ["MLQAR"]}],
        },
        "me__hybrid-0": {
            "base": {"name": "base", "training_datasets": []},
            "data": [{"source": "ntrex", "training_datasets": ["NTREXBitextMining"]}],
        },
    }
    for name, content in manifests.items():
        path = three / "manifests" / name / "main" / "training_manifest.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content), encoding="utf-8")
    rows = board_of(three, manifests=three / "manifests")["rows"]
    seen = {key: row["cells"][MAP]["seen_in_training"] for key, row in rows.items()}
    assert seen == {"me__x-x": True, "me__x-y": None, "me__hybrid-0": False, "me__hybrid-1": None}
    told = replace(SETTINGS, models=(entry("a", "me/x-x", seen=frozenset()), entry("b", "me/x-y", seen={"XQuADR"})))
    rows = board_of(three, told, manifests=three / "manifests")["rows"]
    assert [rows[key]["cells"][MAP]["seen_in_training"] for key in "ab"] == [False, True]


def test_the_data_that_a_task_is_made_from_counts_as_its_own(three: Path) -> None:
    import mteb

    sources = mteb.get_task("XQuADR").metadata.adapted_from
    path = three / "manifests" / "me__x-x" / "main" / "model_meta.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"name": "me/x-x", "revision": "main", "training_datasets": sources[:1]}), "utf-8")
    rows = board_of(three, manifests=three / "manifests")["rows"]
    assert rows["me__x-x"]["cells"][MAP]["seen_in_training"] is True


def test_equal_inputs_give_equal_boards(three: Path) -> None:
    assert json.dumps(board_of(three, PAPER)) == json.dumps(board_of(three, PAPER))


def test_articles_are_the_unit_and_the_caption_counts_them(three: Path) -> None:
    board = board_of(three, PAPER)
    assert board["rows"]["X-X"]["cells"][MAP]["units"] == 10
    caption = board["captions"]["main"]
    assert "What is flipped: 10 articles with 20 questions (XQuAD-R)." in caption
    assert "Few units: 10 articles (XQuAD-R). With fewer than 30 a test is coarse" in caption
    board = board_of(three, replace(PAPER, unit="question"))
    assert board["rows"]["X-X"]["cells"][MAP]["units"] == 20
    assert "What is flipped: 20 questions (XQuAD-R)." in board["captions"]["main"]


def test_all_differences_zero_is_no_difference(tmp_path: Path) -> None:
    write_ranks(tmp_path, "me/a", 0.5, seed=1)
    write_ranks(tmp_path, "me/b", 0.5, seed=1)
    board = board_of(tmp_path, replace(SETTINGS, baselines=("me/a",)))
    [comparison] = [one for one in board["comparisons"] if one["column"] == MAP]
    assert (comparison["difference"], comparison["p"], comparison["effect_size"]) == (0, 1, 0)
    cells = [row["cells"][MAP] for row in board["rows"].values()]
    assert [cell["marks"] for cell in cells] == [[], []]
    assert [cell["best"] for cell in cells] == [True, True]
    assert [cell["rank"] for cell in cells] == [[1, 2], [1, 2]]


def test_a_perfect_model_next_to_a_constant_one_has_an_infinite_effect(tmp_path: Path) -> None:
    write_ranks(tmp_path, "me/a", 0.5, same=True)
    write_ranks(tmp_path, "me/b", 0.5, same=True)
    board = board_of(tmp_path)
    assert all(one["effect_size"] in (0, None) for one in board["comparisons"])


def refused(folder: Path, settings: Settings = SETTINGS, **inputs: Any) -> str:
    with pytest.raises(BeirHybridError) as caught:
        make_board(Inputs(folder / "ranks", **inputs), settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_truncated_rank_table(three: Path) -> None:
    path = rank_table.default_path("XQuADR", "me/x-x", "main", three)
    path.write_bytes(path.read_bytes()[:-100])
    assert refused(three).startswith(f"{path} is truncated or not a Parquet file")


def test_a_rank_table_of_another_data_revision(three: Path) -> None:
    write_ranks(three, "me/z", 0.5, dataset_revision="data-2")
    message = refused(three)
    assert "me__z/main/XQuADR.parquet was made from revision data-2" in message
    assert "from data-1" in message
    board_of(three, PAPER)  # the row that is not shown does not matter


def test_a_baseline_that_is_not_there(three: Path) -> None:
    message = refused(three, replace(SETTINGS, baselines=("me/nobody",)))
    assert message.startswith("the baseline me/nobody is not among the models: me/hybrid-0@main, ")
    assert refused(three, replace(SETTINGS, baselines=("me/*",))).startswith("the baseline me/* names 4 rows")


def test_a_row_that_is_not_there(three: Path) -> None:
    message = refused(three, replace(SETTINGS, models=(entry("mine", "me/nobody"),)))
    assert message.startswith("the row 'mine': no rank table or result of me/nobody was found")


def test_a_model_in_two_rows(three: Path) -> None:
    message = refused(three, replace(SETTINGS, models=(entry("a", "me/x-x"), entry("b", "me/x-*"))))
    assert message == "me/x-x@main is in two rows, 'a' and 'b'"


def test_one_question_only(tmp_path: Path) -> None:
    write_ranks(tmp_path, "me/a", 0.5, questions=1)
    write_ranks(tmp_path, "me/b", 0.5, questions=1)
    assert "needs two questions at least" in refused(tmp_path)


def test_nothing_at_all(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"there is no file or folder {tmp_path / 'ranks'}"
    (tmp_path / "ranks").mkdir()
    assert refused(tmp_path).startswith(f"there are no rank tables or results below {tmp_path / 'ranks'}")


def test_other_questions_are_refused_unless_the_common_ones_are_asked_for(tmp_path: Path) -> None:
    write_ranks(tmp_path, "me/a", 0.3, questions=20, seed=1)
    write_ranks(tmp_path, "me/b", 0.9, questions=17, seed=2)
    message = refused(tmp_path, replace(SETTINGS, baselines=("me/a",)))
    assert "20" in message
    assert "17" in message
    board = board_of(tmp_path, replace(SETTINGS, baselines=("me/a",), common_questions=True))
    assert {one["questions"] for one in board["comparisons"]} == {17}
    assert [row["cells"][MAP]["questions"] for row in board["rows"].values()] == [20, 17]


def test_fewer_languages_are_left_out_and_said_so(three: Path) -> None:
    write_ranks(three, "me/z", 0.5, languages=("de", "en"))
    board = board_of(three)
    assert MAP not in board["rows"]["me__z"]["cells"]
    assert "Left out: me/z in XQuAD-R cross-lingual, evaluated on 2 of 6 subsets." in board["notes"]
    assert MAP in board["rows"]["me__x-x"]["cells"]
    assert not any(board["languages"]["me__z"]["XQuADR"].values())
    assert board["matrices"]["me__z"]["XQuADR"]["languages"] == ["de", "en"]


BIAS = [column.key for column in COLUMNS if column.is_bias and column.task == "XQuADR"]
BIAS_LABELS = ", ".join(column.label for column in COLUMNS if column.key in BIAS)


def test_a_figure_that_too_few_queries_have_is_an_empty_cell(three: Path) -> None:
    # Very fair on what it finds: 6 of its 60 queries and one more lack an answer.
    lose_ranks(write_ranks(three, "me/lexical", 1.0, seed=9), queries=7)
    board = board_of(three, replace(SETTINGS, baselines=("me/x-x",)))
    row = board["rows"]["me__lexical"]["cells"]
    reason = "88.3 % of the queries have one, 90 % are needed"
    for column in BIAS:
        cell = row[column]
        assert (cell["value"], cell["coverage"], cell["reason"]) == (None, pytest.approx(53 / 60), reason)
        assert not (cell["tested"] or cell["best"] or cell["second"] or cell["marks"])
        assert cell["rank"] is cell["tie_group"] is cell["units"] is cell["low"] is cell["spread"] is None
        others = [board["rows"][key]["cells"][column] for key in board["rows"] if key != "me__lexical"]
        assert all(cell["coverage"] == 1 and not cell["reason"] for cell in others)
        if column.endswith("/language_preference"):  # neither side is better
            assert not any(cell["best"] or cell["second"] or cell["marks"] or cell["rank"] for cell in others)
            continue
        assert any(cell["best"] for cell in others) and not all(cell["best"] for cell in others)
        assert all(cell["rank"][1] <= len(others) for cell in others)
    assert not any(
        one["column"] in BIAS for one in board["comparisons"] if "me__lexical" in (one["row"], one["baseline"])
    )
    assert row[MAP]["tested"] and row[MAP]["coverage"] == 1
    assert board["notes"] == [
        f"Empty, unranked and untested: me/lexical in XQuAD-R language bias ({BIAS_LABELS}): {reason}."
    ]
    assert "A language-bias figure needs 90 % of the queries; else the cell is empty." in board["captions"]["main"]


def test_a_figure_that_most_queries_have_is_shown_with_how_many_and_tested_on_those(three: Path) -> None:
    lose_ranks(write_ranks(three, "me/search", 0.5, seed=9), queries=6)
    lose_ranks(rank_table.default_path("XQuADR", "me/x-x", "main", three), queries=1)
    board = board_of(three, replace(SETTINGS, baselines=("me/x-x",)))
    cell = board["rows"]["me__search"]["cells"][BIAS[0]]
    assert cell["coverage"] == 0.9 and cell["reason"] is None and cell["tested"] and cell["rank"]
    assert cell["low"] <= cell["value"] <= cell["high"]
    table, info = rank_table.read(rank_table.default_path("XQuADR", "me/search", "main", three))
    known = query_bias(table.to_pandas(), info.pool_sizes).dropna(subset="rank_distance")
    by_language = known.groupby("query_language")["rank_distance"].mean()
    assert len(known) == 54 and cell["value"] == pytest.approx(by_language.mean(), rel=1e-8)
    # Each question is asked in three languages; of two of them no query has a figure.
    assert cell["questions"] == 18
    units = {
        (one["row"], one["baseline"]): one["questions"] for one in board["comparisons"] if one["column"] == BIAS[0]
    }
    assert units["me__search", "me__x-x"] == 18 and units["me__x-y", "me__x-x"] == 20
    assert board["notes"] == [
        f"Of {share} % of the queries: me/{model} in XQuAD-R language bias ({BIAS_LABELS})."
        for model, share in (("search", "90.0"), ("x-x", "98.3"))
    ]


def test_the_seed_with_the_fewest_queries_decides(three: Path) -> None:
    settings = replace(SETTINGS, models=(entry("hybrid", "me/hybrid-*"), entry("other", "me/x-*")))
    paths = [rank_table.default_path("XQuADR", f"me/hybrid-{seed}", "main", three) for seed in (0, 1)]
    lose_ranks(paths[0], queries=2)
    cell = board_of(three, settings)["rows"]["hybrid"]["cells"][BIAS[0]]
    assert cell["coverage"] == pytest.approx(58 / 60) and cell["low"] <= cell["value"] <= cell["high"]
    lose_ranks(paths[1], queries=9)
    assert board_of(three, settings)["rows"]["hybrid"]["cells"][BIAS[0]]["value"] is None


def test_seeds_that_were_not_all_evaluated(three: Path) -> None:
    write_ranks(three, "me/hybrid-0", 0.9, task="MLQAR")
    settings = replace(SETTINGS, models=(entry("hybrid", "me/hybrid-*"),))
    assert refused(three, settings).startswith("the row 'hybrid': MLQAR/monolingual/map is there for 1 of 2")


def test_two_files_of_the_same_run(three: Path) -> None:
    path = rank_table.default_path("XQuADR", "me/x-x", "main", three)
    copy = path.with_name("copy.parquet")
    copy.write_bytes(path.read_bytes())
    assert "both hold XQuADR of me/x-x, revision main; remove one" in refused(three)


def test_families_are_groups_of_pairs_tested_in_a_family_of_their_own(three: Path) -> None:
    board = board_of(three, replace(PAPER, margins={"map": 0.5}))
    entries = {entry["key"]: entry for entry in board["families"]}
    assert [entry["group"] for entry in board["families"] if entry["figure"] == "map"] == [
        "monolingual",
        "within family",
        "between families",
        "same script",
        "other script",
        "Indo-European",
        "Indo-European and others",
        "Tai-Kadai and others",
    ]
    within = entries["XQuADR/within family/map"]
    assert (within["title"], within["pairs"], within["label"]) == ("XQuAD-R", 2, "mAP")  # de-en and en-de
    tables = {
        label: rank_table.read(rank_table.default_path("XQuADR", name, "main", three))
        for label, name in (("X-X", "me/x-x"), ("hybrid", "me/hybrid-0"))
    }
    for figure in ("map", "one_target_map"):
        for group in ("within family", "between families"):
            scores = {label: family_scores(*table)[figure][group] for label, table in tables.items()}
            entry = entries[f"XQuADR/{group}/{figure}"]
            for label, of_row in scores.items():
                assert entry["cells"][label]["value"] == pytest.approx(of_row.average, rel=1e-8)
                assert (entry["cells"][label]["unit"], entry["cells"][label]["units"]) == ("article", 10)
            expected = compare([scores["hybrid"]], [scores["X-X"]], flips=2000, resamples=200)
            [found] = [one for one in entry["comparisons"] if (one["row"], one["baseline"]) == ("hybrid", "X-X")]
            for name in ("difference", "low", "high", "p", "design_effect"):
                assert found[name] == pytest.approx(getattr(expected, name), rel=1e-6, abs=1e-12)
            assert found["margin"] == (0.5 if figure == "map" else None)
    every = [one for entry in board["families"] for one in entry["comparisons"]]
    smallest = min(every, key=lambda one: one["p"])
    assert smallest["p_corrected"] == pytest.approx(min(1, smallest["p"] * len(every)), rel=1e-8)
    with_margin = [one for one in every if one["margin"]]
    smallest = min(with_margin, key=lambda one: one["p_equivalence"])
    corrected = min(1, smallest["p_equivalence"] * len(with_margin))
    assert smallest["p_equivalence_corrected"] == pytest.approx(corrected, rel=1e-8)


def test_margins_give_verdicts_and_groups_of_equals(three: Path) -> None:
    write_ranks(three, "me/again", 0.1, seed=1)
    models = (*PAPER.models, entry("again", "me/again", base="small"))
    board = board_of(three, replace(PAPER, models=models, margins={"map": 0.01}, unit="question"))
    found = {(one["column"], one["row"], one["baseline"]): one for one in board["comparisons"]}
    same = found[MAP, "again", "X-X"]
    assert (same["verdict"], same["difference"], same["margin"]) == ("equivalent", 0, 0.01)
    assert same["p_equivalence_corrected"] <= 0.05
    assert found[MAP, "hybrid", "X-X"]["verdict"] == "better"
    cells = {key: row["cells"][MAP] for key, row in board["rows"].items()}
    assert cells["again"]["equivalence_group"] == cells["X-X"]["equivalence_group"] == "a"
    assert cells["hybrid"]["equivalence_group"] is None
    bias = found[BIAS[0], "again", "X-X"]
    assert (bias["verdict"], bias["margin"], bias["p_equivalence"]) == ("can't be told", None, None)
    assert "Equivalent: within 0.01 mAP, by two one-sided tests" in board["captions"]["main"]
    # Two baselines are one test of a difference, and two of being not worse.
    listed = [one for one in board["comparisons"] if {one["row"], one["baseline"]} == {"X-X", "X-Y"}]
    for one, other in zip(listed[::2], listed[1::2], strict=True):
        assert one["row"] == other["baseline"]
        assert one["p_equivalence_corrected"] == other["p_equivalence_corrected"]
        if one["margin"]:
            assert one["p_noninferiority"] != other["p_noninferiority"]
            assert {one["verdict"], other["verdict"]} == {"better", "worse"} or one["p_corrected"] > 0.05


def test_articles_that_are_not_known_are_said(tmp_path: Path) -> None:
    for seed, model in enumerate(("me/a", "me/b")):
        path = write_ranks(tmp_path, model, 0.5, seed=seed)
        table, info = rank_table.read(path)
        alone = table.set_column(table.column_names.index("cluster_id"), "cluster_id", table["question_id"])
        rank_table.write(path, alone, info)
    board = board_of(tmp_path, replace(SETTINGS, baselines=("me/a",)))
    assert {(one["unit"], one["units"], one["design_effect"]) for one in board["comparisons"]} == {
        ("question", 20, None)
    }
    caption = board["captions"]["main"]
    assert "What is flipped: 20 questions (XQuAD-R). Articles are not known" in caption
    assert "so that each question is a unit: XQuAD-R." in caption
