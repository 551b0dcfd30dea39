"""The contrastive losses on a batch, and on the share of it that one of several processes has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from sentence_transformers.util import dot_score

from beir_hybrid.training import CachedHybridContrastiveLoss, HybridContrastiveLoss
from tests.support.toy_encoder import ToyEncoder, columns_of, loss_and_gradient

SIZE = 5
LABELS = [4, -9, 4, 2**53, 2**53 + 1, 4, -9, 4]
"""Equal labels stand in both halves of the batch, and in one half alone."""

OF_NEGATIVES = [-9, 4, -1, 2**53, 4, -1, 2**53 + 1, -9]
"""Labels of hard negatives: of the own answer, of another's in the same half or in the other, of none."""

EVERYTHING = {
    "directions": ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc"),
    "hardness_mode": "all_negatives",
    "hardness_strength": 2.0,
}
TWO_SOFTMAXES = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"}
CASES: dict[str, tuple[type, dict[str, Any]]] = {
    "plain": (HybridContrastiveLoss, {}),
    "dot": (HybridContrastiveLoss, {"similarity_fct": dot_score, "scale": 1.0}),
    "everything": (HybridContrastiveLoss, EVERYTHING),
    "two softmaxes": (HybridContrastiveLoss, TWO_SOFTMAXES),
    "cached": (CachedHybridContrastiveLoss, {"mini_batch_size": 3}),
    "cached everything": (CachedHybridContrastiveLoss, {"mini_batch_size": 3, **EVERYTHING}),
    "labelled negatives": (HybridContrastiveLoss, EVERYTHING),
    "cached labelled negatives": (CachedHybridContrastiveLoss, {"mini_batch_size": 3, **EVERYTHING}),
    "cached two softmaxes": (CachedHybridContrastiveLoss, {"mini_batch_size": 1, **TWO_SOFTMAXES}),
}


def result_of(case: str, rank: int = 0, world_size: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the loss and the gradient of one process's share of the batch."""
    loss_class, settings = CASES[case]
    share = slice(rank * len(LABELS) // world_size, (rank + 1) * len(LABELS) // world_size)
    columns = [column[share] for column in columns_of(len(LABELS), 3, SIZE, seed=0)]
    loss = loss_class(ToyEncoder(SIZE), gather_across_devices=world_size > 1, **settings)
    labels = list(zip(LABELS, OF_NEGATIVES, strict=True)) if "labelled" in case else LABELS
    return loss_and_gradient(loss, columns, torch.tensor(labels)[share])


def mean_results(folder: Path, rank: int) -> None:
    """Write mean loss and mean gradient over two processes, as DistributedDataParallel takes them, for each case."""
    dist.init_process_group("gloo")
    results = {}
    for case in CASES:
        values = result_of(case, rank, 2)
        for value in values:
            dist.all_reduce(value)
        results[case] = [(value / 2).tolist() for value in values]
    dist.destroy_process_group()
    (folder / f"{rank}.json").write_text(json.dumps(results), encoding="utf-8")
