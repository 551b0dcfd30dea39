"""What a result and a rank table show: the figures of the commands, files, plots, and names nobody can trust."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import mteb
import numpy as np
import pandas as pd
import pytest

import beir_hybrid as bh
from beir_hybrid.corpora import spec_of
from beir_hybrid.errors import BeirHybridError, RankTableError
from beir_hybrid.languages import is_tag
from beir_hybrid.metrics import LANGUAGE_FIGURES
from beir_hybrid.mteb.passes import SHARED_RUNS
from beir_hybrid.plotting.heat_maps import draw_one_target_maps
from beir_hybrid.ranks import rank_table
from beir_hybrid.scoring.bias import one_target_map
from beir_hybrid.subsets import SETTINGS
from beir_hybrid.tasks import tasks_of
from tests.support.tiny_model import tiny_model

LANGUAGES = ("de", "en", "zh")


def letters(texts: list[str]) -> np.ndarray:
    """Count letters."""
    return np.array([[text.lower().count(letter) + 0.1 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts])


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> bh.interface.Result:
    out = tmp_path_factory.mktemp("out")
    return bh.evaluate(letters, "atlas-r", languages=LANGUAGES, name="me/letters", out=out, progress=False)


def test_settings_are_the_plain_means_of_mtebs_main_scores(result: bh.interface.Result) -> None:
    groups = [["de-de", "en-en", "zh-zh"], [f"{x}-{y}" for x in LANGUAGES for y in LANGUAGES if x != y]]
    groups.append([f"{x}-multi" for x in LANGUAGES])
    scores = {entry["hf_subset"]: entry["main_score"] for entry in result.task_result.scores["test"]}
    assert list(result.settings.index) == list(SETTINGS)
    assert result.settings.to_list() == pytest.approx([np.mean([scores[x] for x in group]) for group in groups])
    assert result.scores["main_score"].to_dict() == scores


def test_figures_of_languages_are_those_of_the_bias_task(result: bh.interface.Result) -> None:
    task = tasks_of(spec_of("atlas-r").restricted(LANGUAGES))[1]()
    SHARED_RUNS.clear()
    model = bh.interface.any_model.mteb_model(letters)
    entries = mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False).task_results[0]
    expected = pd.DataFrame(entries.scores["test"]).set_index("hf_subset")
    figures = result.languages
    assert list(figures.index) == ["de", "en", "zh", "all"]
    pd.testing.assert_frame_equal(
        figures, expected.loc[figures.index, figures.columns].astype(float), check_names=False
    )
    assert list(figures.columns[-len(LANGUAGE_FIGURES) :]) == [f"{name}_coverage" for name in LANGUAGE_FIGURES]


def test_a_rank_table_has_the_same_figures(result: bh.interface.Result) -> None:
    assert result.path is not None
    table = bh.RankTable.load(str(result.path))
    pd.testing.assert_frame_equal(table.ranks, result.ranks)
    pd.testing.assert_frame_equal(table.languages, result.languages)
    pd.testing.assert_frame_equal(table.pairs, result.pairs)
    pd.testing.assert_series_equal(table.settings, result.settings)
    shared = [name for name in table.scores.columns if name in result.scores.columns]
    assert len(shared) > 40
    pd.testing.assert_frame_equal(table.scores[shared], result.scores.loc[table.scores.index, shared])
    assert bh.RankTable.load(result.path, metric="ndcg_at_10").settings.to_list() == pytest.approx(
        [
            result.scores.loc[
                [n for n in result.scores.index if (n.endswith("multi"), n[:2] == n[3:]) == kind], "ndcg_at_10"
            ].mean()
            for kind in ((False, True), (False, False), (True, False))
        ]
    )
    with pytest.raises(BeirHybridError, match="there is no metric 'maap'"):
        bh.RankTable.load(result.path, metric="maap")
    with pytest.raises(RankTableError, match="there is no rank table"):
        bh.RankTable.load("nowhere.parquet")


def test_pairs_and_the_worst_of_them(result: bh.interface.Result) -> None:
    pairs = result.pairs
    assert len(pairs) == 9
    matrix = one_target_map(result.ranks, result.info.pool_sizes)
    for (questions, answers), row in pairs.iterrows():
        assert row["one_target_map"] == pytest.approx(matrix.loc[questions, answers])
        assert row["map"] == pytest.approx(result.scores.loc[f"{questions}-{answers}", "map"])
    worst = result.worst_pairs(4)
    assert worst["one_target_map"].to_list() == sorted(pairs["one_target_map"])[:4]


def test_it_is_shown_as_a_small_table_and_names_are_no_markup(result: bh.interface.Result) -> None:
    shown = repr(result)
    assert shown.splitlines()[0] == "me/letters on AtlasR-de-en-zh, mAP"
    assert all(f"{value:.3f}" in shown for value in result.settings)
    assert f"{result.languages.loc['all', 'rank_distance']:.1f}" in shown
    named = replace(result, info=replace(result.info, model="me/<b>letters</b>\x1b[2J"))
    assert "\x1b" not in repr(named)
    page = named._repr_html_()
    assert "&lt;b&gt;letters" in page
    assert "<b>" not in page
    assert page.count("<tr") == 2


def test_plots_are_figures_of_matplotlib_without_pyplot(result: bh.interface.Result, tmp_path: Path) -> None:
    from matplotlib import pyplot

    figure = result.heat_map()
    assert not pyplot.get_fignums()
    axis = figure.axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()]
    assert "letters" in axis.get_title()
    figure.savefig(tmp_path / "map.png")
    bars = result.language_plot()
    assert {label.get_text() for label in bars.axes[0].get_yticklabels()} == set(LANGUAGES)
    bars.savefig(tmp_path / "bars.png")


def test_a_heat_map_of_many_languages_has_no_numbers_in_it() -> None:
    tags = [*iso_639_1_tags()][:45]
    for n_languages, numbers in ((40, 40 * 40), (45, 0)):
        matrix = pd.DataFrame(0.5, index=tags[:n_languages], columns=tags[:n_languages])
        assert len(draw_one_target_maps([("many", matrix)]).axes[0].texts) == numbers


def iso_639_1_tags() -> list[str]:
    """Return tags of two letters."""
    letters_of_tags = "abcdefghijklmnopqrstuvwxyz"
    return [tag for x in letters_of_tags for y in letters_of_tags if is_tag(tag := x + y)]


def test_it_is_saved_as_mteb_lays_it_out_and_beside_what_is_there(result: bh.interface.Result, tmp_path: Path) -> None:
    first, again = result.save(tmp_path / "out"), result.save(tmp_path / "out")
    assert first == again
    assert {path.suffix for path in first} == {".parquet", ".json", ".png", ".svg"}
    [stored] = (tmp_path / "out").glob(f"results/*/*/{result.info.task}.json")
    content = json.loads(stored.read_text())
    assert {entry["hf_subset"] for entry in content["scores"]["test"]} == set(result.scores.index)
    pd.testing.assert_frame_equal(rank_table.read(first[0])[0].to_pandas(), result.ranks)
    everything = {path for path in (tmp_path / "out").rglob("*") if path.is_file()} - {*first}
    assert all(path.name.endswith(".lock") for path in everything)


def test_results_of_two_models_without_a_name_do_not_replace_each_other(tmp_path: Path) -> None:
    corpus = bh.load("atlas-r", languages=["de"])
    results = [bh.evaluate(tiny_model(seed), corpus, out=tmp_path / "ranks", progress=False) for seed in (0, 1)]
    files = [result.save(tmp_path / "out") for result in results]
    assert not {*files[0]} & {*files[1]}
    for result, paths in zip(results, files, strict=True):
        [path] = (path for path in paths if path.name == f"{result.info.task}.json")
        scores = {entry["hf_subset"]: entry["map"] for entry in json.loads(path.read_text())["scores"]["test"]}
        assert scores == {name: round(value, 6) for name, value in result.scores["map"].items()}


def test_whatever_a_model_is_called_its_files_stay_below_the_folder(
    result: bh.interface.Result, tmp_path: Path
) -> None:
    for name, revision in (("../..", "../../.."), ("a\0b", "C:\\x"), ("..", ".")):
        meta = result.meta.model_copy(update={"name": name, "revision": revision})
        odd = replace(result, info=replace(result.info, model=name, model_revision=revision), meta=meta)
        assert all(path.resolve().is_relative_to(tmp_path / "out") for path in odd.save(tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_cannot_be_made_leaves_nothing_behind(
    result: bh.interface.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("beir_hybrid.plotting.heat_maps.plot_one_target_maps", broken)
    with pytest.raises(OSError, match="No space left"):
        result.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    with pytest.raises(BeirHybridError, match=r"cannot write to .*; name another folder"):
        result.save(tmp_path / "file")


def test_without_the_pool_of_all_languages_there_are_no_figures_of_languages(result: bh.interface.Result) -> None:
    evaluated = {language: [language] for language in LANGUAGES}
    part = bh.RankTable(result.table, replace(result.info, evaluated=evaluated))
    assert part.settings.isna().to_list() == [False, True, True]
    for name in ("languages", "one_target"):
        with pytest.raises(RankTableError, match="the pool of all languages was not evaluated"):
            getattr(part, name)
    assert " - " in repr(part)
    assert part.worst_pairs(2)["map"].notna().all()


def test_one_language_has_no_figures_that_compare_languages() -> None:
    result = bh.evaluate(letters, "atlas-r", languages=["de"], progress=False)
    assert result.languages["rank_distance"].isna().all()
    assert result.languages["rank_distance_coverage"].to_list() == [0, 0]
    assert result.settings.isna().to_list() == [False, True, False]
