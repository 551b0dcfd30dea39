"""Hybrid batches for Sentence Transformers: pairs, the batch sampler, the loss, and a trainer (arXiv 2408.10536).

The names below are imported when they are first used: each needs torch, datasets or Sentence Transformers, which the
command line must not load at its start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beir_hybrid.lazy_names import lazy_names

if TYPE_CHECKING:
    from beir_hybrid.training.evaluator import MultilingualRetrievalEvaluator
    from beir_hybrid.training.loss import CachedHybridContrastiveLoss, HybridContrastiveLoss
    from beir_hybrid.training.mining import mine
    from beir_hybrid.training.pairs import ParallelPairs, load_pairs, pair_datasets, read_source
    from beir_hybrid.training.sampler import HybridBatchSampler
    from beir_hybrid.training.trainer import HybridTrainer

__all__ = [
    "CachedHybridContrastiveLoss",
    "HybridBatchSampler",
    "HybridContrastiveLoss",
    "HybridTrainer",
    "MultilingualRetrievalEvaluator",
    "ParallelPairs",
    "load_pairs",
    "mine",
    "pair_datasets",
    "read_source",
]

_MODULES = {
    "CachedHybridContrastiveLoss": "loss",
    "HybridBatchSampler": "sampler",
    "HybridContrastiveLoss": "loss",
    "HybridTrainer": "trainer",
    "MultilingualRetrievalEvaluator": "evaluator",
    "ParallelPairs": "pairs",
    "load_pairs": "pairs",
    "mine": "mining",
    "pair_datasets": "pairs",
    "read_source": "pairs",
}
"""Public name -> the module of this package that defines it."""

__getattr__, __dir__ = lazy_names(globals(), _MODULES)
