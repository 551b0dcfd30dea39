"""What the published leaderboard says of the models that come with the package, and that it stays small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

PUBLISHED = Path(__file__).parents[1] / "leaderboard" / "published"
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


def test_what_is_published_stays_small() -> None:
    assert sum(path.stat().st_size for path in PUBLISHED.rglob("*") if path.is_file()) < 40e6
