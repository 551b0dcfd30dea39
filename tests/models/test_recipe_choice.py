"""The recipe of the shipped heads: chosen on training data by the rule, and what is shipped is what was chosen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
from tools import train_heads
from tools.choose_recipe import DATA, Trial, best, decide
from tools.recipe_folds import read_folds


def scores(monolingual: float, multilingual: float) -> dict[str, dict[str, float]]:
    return {
        "easy": {"monolingual_map": 0.9, "multilingual_map": 0.5},
        "hard": {"monolingual_map": monolingual, "multilingual_map": multilingual},
    }


def test_what_loses_monolingual_quality_on_one_fold_is_not_chosen() -> None:
    base = scores(0.7, 0.3)
    careful = Trial({"interpolation": 0.5}, scores(0.696, 0.4))
    bold = Trial({"interpolation": 1.0}, scores(0.69, 0.5))
    weak = Trial({"interpolation": 0.25}, scores(0.7, 0.35))
    assert best(base, [weak, bold, careful]) is careful
    with pytest.raises(BeirHybridError, match="every recipe loses"):
        best(base, [bold])


def average_precisions(values: Sequence[float]) -> ColumnScores:
    ids = [f"q{number}" for number in range(len(values))]
    queries = pd.DataFrame(
        {"query_id": ids, "question_id": ids, "cluster_id": ids, "subset": "en-multi", "score": values}
    )
    return ColumnScores("a head", "0", queries)


@pytest.mark.parametrize(("behind", "chosen"), [(-0.001, "hybrid"), (0.001, "hybrid"), (0.1, "mixed")])
def test_hybrid_batches_are_chosen_where_they_are_equivalent_to_the_best(behind: float, chosen: str) -> None:
    random = np.random.default_rng(0)
    quality = random.uniform(0.3, 0.7, size=200)

    def seeds(less: float) -> list[dict[str, ColumnScores]]:
        return [
            {fold: average_precisions(quality - less + random.normal(0, 0.001, 200)) for fold in ("atlas", "ntrex")}
            for _ in range(5)
        ]

    batching, record = decide({"hybrid": seeds(behind), "mixed": seeds(0), "monolingual": seeds(0.2)})
    assert batching == chosen
    assert record["best"] == ("hybrid" if behind < 0 else "mixed")
    for comparison in record["hybrid_less_best"].values():
        assert comparison["difference"] == pytest.approx(-behind, abs=1e-3)


@pytest.mark.real_data
def test_no_source_is_evaluated_on_that_is_trained_on() -> None:
    atlas, ntrex = read_folds(["de", "en"])
    for data in DATA:
        assert [part.source for part in atlas.parts(data)] == [data[0]]
        assert [part.source for part in ntrex.parts(data)] == ["atlas"]
    english = ntrex.corpus.languages["en"]
    for question, text in zip(english.question_ids, english.questions, strict=True):
        relevant = [english.passages[row] for row in english.relevance[question]]
        assert text in relevant and len(relevant) <= 3
    assert len(set(english.articles)) == 123


def test_the_shipped_recipe_is_the_one_that_was_chosen() -> None:
    record = Path(__file__).parents[2] / "leaderboard" / "published" / "measurements" / "ours-recipe.json"
    if not record.exists():
        pytest.skip("the published figures are not part of the source distribution")
    chosen = json.loads(record.read_text(encoding="utf-8"))["chosen"]
    shipped = json.loads(json.dumps(train_heads.read_recipe(train_heads.RECIPE)))
    assert {name: value for name, value in chosen.items() if value is not None}.items() <= shipped.items()
