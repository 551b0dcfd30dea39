"""The batch sampler on several processes at once, through Accelerate and through the trainer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, skip_first_batches
from accelerate.utils import DataLoaderConfiguration
from sentence_transformers.base.sampler import BatchSamplers
from torch.utils.data import DataLoader

from beir_hybrid.training.sampler import HybridBatchSampler
from tests.support.small_pairs import pairs_of
from tests.training.test_sampler import Stopped, make, no_duplicates, shuffled, trainer_of

SIZES = {"en-en": 47, "de-de": 24, "en-de": 80, "de-en": 18}
BATCH_SIZE = 4
EPOCHS = 2
SKIPPED = 3
STEPS_PER_EPOCH = 6
SAVE_STEPS = 4
KILLED_AFTER = 9


def through_accelerate(drop_last: bool, underlying: Any, split_batches: bool = False, **options: Any) -> dict[str, Any]:
    """Return the labels of each batch of each epoch, then those of a second epoch that was resumed."""
    configuration = DataLoaderConfiguration(even_batches=False, split_batches=split_batches)
    options |= {"processes": 1} if split_batches else {}
    sampler = make(pairs_of(SIZES), underlying, batch_size=BATCH_SIZE, drop_last=drop_last, **options)
    loader = DataLoader(sampler.dataset, batch_sampler=sampler, collate_fn=lambda rows: [row["label"] for row in rows])
    loader = Accelerator(cpu=True, dataloader_config=configuration).prepare(loader)
    epochs = []
    for epoch in range(EPOCHS):
        loader.set_epoch(epoch)
        epochs.append(list(loader))
    resumed = skip_first_batches(loader, SKIPPED)
    resumed.set_epoch(EPOCHS - 1)
    return {"length": len(loader), "processes": sampler.processes, "epochs": epochs, "resumed": list(resumed)}


def through_the_trainer(folder: Path) -> dict[str, Any]:
    """Train two epochs; then again, killed in the second one and resumed. Return the labels that each run saw."""
    total = STEPS_PER_EPOCH * torch.distributed.get_world_size() + 1
    sampler = HybridBatchSampler.options(alpha=0.25, batches_per_epoch=total)
    seen = {}
    for name, steps, resume in (("whole", None, False), ("killed", KILLED_AFTER, False), ("resumed", None, True)):
        trainer = trainer_of(
            folder / ("whole" if name == "whole" else "killed"),
            BatchSamplers.BATCH_SAMPLER,
            sampler,
            save_strategy="no" if name == "whole" else "steps",
            save_steps=SAVE_STEPS,
            ddp_backend="gloo",
        )
        trainer.steps = steps or trainer.steps
        try:
            trainer.train(resume_from_checkpoint=resume)
        except Stopped:
            torch.distributed.barrier()
        seen[name] = trainer.seen
    return seen


def sample(folder: Path, processes: int, rank: int) -> None:
    """Write what one of the processes saw."""
    result = {
        "shuffled": through_accelerate(False, shuffled),
        "no_duplicates": through_accelerate(True, no_duplicates),
        "mixed": through_accelerate(False, shuffled, cross_lingual="mixed", draw="exact"),
        "mixed, no duplicates": through_accelerate(True, no_duplicates, alpha=None, cross_lingual="mixed"),
        "split": through_accelerate(True, shuffled, split_batches=True),
    }
    if processes == 2:
        result["trainer"] = through_the_trainer(folder)
    (folder / f"{rank}.json").write_text(json.dumps(result), encoding="utf-8")
    torch.distributed.destroy_process_group()
