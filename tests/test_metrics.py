"""The metrics that are listed are those that are computed, each with one direction."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.metrics import (
    BOARD_LANGUAGE_FIGURES,
    LANGUAGE_FIGURES,
    MAP,
    best_and_second,
    find_metric,
    in_favour,
    metric_of,
)


def test_every_retrieval_metric_that_is_computed_has_an_entry() -> None:
    from beir_hybrid.scoring.retrieval_scores import query_metrics

    for name in query_metrics(np.array([[1, 3]]), np.array([[1, 1]])):
        metric = metric_of(name)
        assert metric.name == name
        assert metric.higher_is_better
        assert not metric.about_languages
        assert metric.cut_off == (None if name == "map" else int(name.rpartition("_")[2]))


def test_every_language_figure_that_is_computed_has_an_entry() -> None:
    from beir_hybrid.scoring.bias import query_bias
    from tests.support.small_ranks import LANGUAGES, POOL, ranks_of

    frame = pd.DataFrame(ranks_of(0.5, 5, LANGUAGES, seed=0))
    figures = query_bias(frame, dict.fromkeys(LANGUAGES, POOL))
    assert set(figures.columns) - {"query_language", "question_id"} == set(LANGUAGE_FIGURES)
    assert {*BOARD_LANGUAGE_FIGURES} <= {*LANGUAGE_FIGURES.values()}
    assert all(metric.about_languages and metric.citation for metric in LANGUAGE_FIGURES.values())


def test_names_and_labels() -> None:
    labels = {"map": "mAP", "ndcg_at_10": "nDCG@10", "hit_rate_at_5": "hit rate@5", "rank_distance": "rank distance"}
    assert {name: metric_of(name).label for name in labels} == labels
    assert metric_of("rank_distance").label_with_direction == "rank distance (lower is better)"
    assert MAP.label_with_direction == "mAP"
    for name in ("", "ndcg", "ndcg_at_0", "ndcg_at_10_at_5", "peer_at_7", "main_score", "rank_distance_at_3"):
        assert find_metric(name) is None
    with pytest.raises(BeirHybridError, match="no metric 'ndcg'"):
        metric_of("ndcg")


def test_directions() -> None:
    assert MAP.higher_is_better and in_favour(0.1, higher_is_better=True)
    assert not in_favour(0, higher_is_better=True)
    assert in_favour(-1, higher_is_better=False)
    lower = {name for name, metric in LANGUAGE_FIGURES.items() if metric.higher_is_better is False}
    assert lower == {"rank_distance", "normalized_rank_distance", "last_answer_rank", "round_robin_gain"}


def test_a_figure_without_a_better_side_has_no_best() -> None:
    assert metric_of("language_preference").higher_is_better is None
    assert not in_favour(1, higher_is_better=None) and not in_favour(-1, higher_is_better=None)
    values = {"a": 0.9, "b": 0.5, "c": 0.1}
    assert best_and_second(values, None, 3) == (frozenset(), frozenset())
    assert best_and_second(values, False, 3) == (frozenset("c"), frozenset("b"))
