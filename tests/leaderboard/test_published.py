"""What is published: the models that come with the package, the study and its page, and that it all stays small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from beir_hybrid.leaderboard.inputs.score_file import read_scores
from beir_hybrid.leaderboard.publish import PLOTS
from beir_hybrid.leaderboard.render.leaderboard_page import write_page
from beir_hybrid.leaderboard.render.plots import plot_files
from beir_hybrid.models import e5_q4, heads
from beir_hybrid.study.definition import preset_path, read_study
from beir_hybrid.study.paper.claims import compare_all
from beir_hybrid.study.paper.scores import StudyScores
from beir_hybrid.study.trials import NAMESPACE
from beir_hybrid.subsets import SETTINGS
from tools.study_page import PRESET, PUBLISHED_SCORES, write_docs

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "leaderboard" / "published"
pytestmark = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the source distribution has no published results")


@pytest.fixture(scope="module")
def board() -> dict[str, Any]:
    return json.loads((PUBLISHED / "tables" / "leaderboard.json").read_text(encoding="utf-8"))


def against_untuned(board: dict[str, Any], column: str) -> dict[str, Any]:
    """Return the comparison of ours with the untuned base in a column, corrected over the main table."""
    (found,) = (
        one
        for one in board["comparisons"]
        if (one["row"], one["baseline"], one["column"]) == ("ours", "untuned", column)
    )
    return found


@pytest.mark.parametrize("task", ["XQuADR", "MLQAR"])
def test_ours_is_better_than_its_base_and_keeps_monolingual_quality(board: dict[str, Any], task: str) -> None:
    better = against_untuned(board, f"{task}/multilingual/map")
    assert better["difference"] > 0 and better["p_corrected"] < 0.05
    less_biased = against_untuned(board, f"{task}/multilingual/rank_distance")
    assert less_biased["difference"] < 0 and less_biased["p_corrected"] < 0.05
    assert against_untuned(board, f"{task}/monolingual/map")["difference"] > -0.005


@pytest.mark.parametrize("name", heads.NAMES)
def test_the_figures_are_those_of_the_heads_in_the_package(board: dict[str, Any], name: str) -> None:
    head = heads.find_head(name)
    assert head is not None
    if heads.base_meta().revision != e5_q4.REVISION:
        pytest.skip("the extra offline is not installed: the heads have another base")
    assert board["rows"][name]["revisions"] == [head.revision()]


def test_what_the_base_has_seen_is_marked(board: dict[str, Any]) -> None:
    for key, row in board["rows"].items():
        seen = {column for column, cell in row["cells"].items() if cell["seen_in_training"]}
        data = ("XQuADR", "AtlasR") if key in heads.NAMES else ("XQuADR",)
        expected = {column for column in row["cells"] if column.startswith(data)}
        assert row["published"] or seen == (set() if key == "BM25" else expected), key


@pytest.fixture(scope="module")
def study() -> dict[str, Any]:
    return json.loads((PUBLISHED / "study.json").read_text(encoding="utf-8"))


def test_the_comparisons_are_those_of_the_published_scores(study: dict[str, Any]) -> None:
    """Of one experiment: all that is compared there with the systems whose scores are published."""
    chosen = read_study(preset_path(PRESET)).only(["xquad-r"])
    parts = compare_all(chosen, StudyScores(read_scores(PUBLISHED_SCORES)), study["languages"])
    stored = {
        (claim["claim"], part["task"], part["column"], *part["model"].values(), *part["baseline"].values()): part
        for claim in study["claims"]
        for part in claim["parts"]
        if part["experiment"] == "xquad-r"
    }
    assert len(parts) > 20
    for part in parts:
        asked = part.contrast
        same = stored[asked.claim, asked.column.task, asked.column.key, *asked.model, *asked.baseline]
        # The published scores of questions are rounded to the decimals that a figure is shown with.
        digit = 10.0**-asked.column.decimals
        assert (part.model, part.baseline) == pytest.approx(
            (same["model_value"], same["baseline_value"]), abs=digit / 10
        )
        for name in ("difference", "low", "high"):
            assert getattr(part.comparison, name) == pytest.approx(same[name], abs=digit / 5), name
        for name in ("p", "p_equivalence"):
            if same[name] is not None:
                assert getattr(part.comparison, name) == pytest.approx(same[name], rel=0.2, abs=0.01), name


def test_nobody_trained_the_rows_that_say_so(board: dict[str, Any]) -> None:
    published = {
        "projection": (0.7992, 0.6660, 0.5085),
        "LEACE": (0.7976, 0.6573, 0.4996),
        "centring": (0.7907, 0.6718, 0.5240),
        "interleaved": (0.7998, 0.6400, 0.5417),
    }
    for key, figures in published.items():
        row = board["rows"][key]
        assert row["batching"] == "none" and row["base"] == board["rows"]["untuned"]["base"]
        values = [row["cells"][f"XQuADR/{setting}/map"]["value"] for setting in SETTINGS]
        assert values == pytest.approx(figures, abs=0.002), key


def test_the_page_of_the_study_is_up_to_date(study: dict[str, Any], tmp_path: Path) -> None:
    main_design = ("mlqa-r X-X ", "mlqa-r X-Y ", "xquad-r X-X ", "xquad-r X-Y ", "ntrex-translation ")
    assert not any(missing.startswith(main_design) for missing in study["missing"])
    documented = ROOT / "docs" / "study.md"
    write_docs(tmp_path / "study.md")
    assert (tmp_path / "study.md").read_text(encoding="utf-8") == documented.read_text(encoding="utf-8")
    assert (documented.parent / "study" / "alpha-sweep.png").is_file()


def test_the_study_and_the_leaderboard_agree(study: dict[str, Any], board: dict[str, Any]) -> None:
    """Rows of the board are found by their models, which the study calls after the system."""
    rows = {name: row for row in board["rows"].values() for name in row["models"]}
    compared = 0
    for system in study["systems"]:
        key = "_".join(system[part] for part in ("experiment", "base", "start", "system"))
        row = rows.get(f"{NAMESPACE}/{key}_seed-0")
        for column, figure in system["figures"].items() if row else ():
            assert row["cells"][column]["value"] == pytest.approx(figure["mean"], rel=1e-5, abs=1e-4), (system, column)
            compared += 1
    assert compared >= 60


def test_the_published_page_is_of_the_template_as_it_is(board: dict[str, Any], tmp_path: Path) -> None:
    tables = PUBLISHED / "tables"
    write_page(board, tmp_path / "leaderboard.html", plot_files(board, tmp_path / PLOTS))
    assert (tmp_path / "leaderboard.html").read_bytes() == (tables / "leaderboard.html").read_bytes()


def test_what_is_published_stays_small() -> None:
    assert sum(path.stat().st_size for path in PUBLISHED.rglob("*") if path.is_file()) < 30e6
