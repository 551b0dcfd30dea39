"""The private names of mteb that evaluations use; those of its registries are in `registration`.

mteb has no interface for what they do. No other package of ours uses one, and tests/mteb/test_private.py fails when one
moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mteb._create_dataloaders import create_dataloader

if TYPE_CHECKING:
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.types import ScoresDict

__all__ = ["add_main_score", "create_dataloader", "top_k"]


def top_k(task: AbsTaskRetrieval) -> int:
    """Return how many passages a search is asked for."""
    return task._top_k


def add_main_score(task: AbsTaskRetrieval, scores: ScoresDict) -> None:
    """Enter the main score among the scores of a subset, under MTEB's key."""
    task._add_main_score(scores)
