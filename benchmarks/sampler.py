"""What hybrid batches cost: ``python -m benchmarks.sampler``.

HybridBatchSampler and Sentence Transformers' ProportionalBatchSampler run in turn over the same data, the 121 pairs of
languages of XQuAD-R, above the same batch samplers; the figure is the median ratio of their speeds, indices only, in
processor time. Half of the batches are monolingual; the others are of one pair each, or of many; or each row is of any
pair. Then the memory of the pairs against one copy of the texts in them. BEIR_HYBRID_DATA names the folder
with the data, else it is downloaded.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import datasets
import pyarrow as pa
import torch
from sentence_transformers.base.sampler import (
    DefaultBatchSampler,
    MultiDatasetDefaultBatchSampler,
    NoDuplicatesBatchSampler,
    ProportionalBatchSampler,
)
from tabulate import tabulate
from torch.utils.data import BatchSampler, ConcatDataset, RandomSampler

from beir_hybrid.training.pairs import load_pairs, read_source
from beir_hybrid.training.sampler import HybridBatchSampler

SOURCE = "xquad-r"
BATCHES: Mapping[str, Mapping[str, Any]] = {
    "hybrid, one pair": {"cross_lingual": "pair"},
    "hybrid": {},
    "mixed": {"alpha": None},
}
"""What batches are called -> the options of HybridBatchSampler."""
Underlying = Callable[[datasets.Dataset, int, torch.Generator], BatchSampler]


def shuffled(rows: datasets.Dataset, batch_size: int, generator: torch.Generator) -> BatchSampler:
    """Make what the trainer makes for BATCH_SAMPLER."""
    return DefaultBatchSampler(
        RandomSampler(rows, generator=generator), batch_size, drop_last=False, generator=generator
    )


def no_duplicates(rows: datasets.Dataset, batch_size: int, generator: torch.Generator) -> BatchSampler:
    """Make what the trainer makes for NO_DUPLICATES_HASHED."""
    return NoDuplicatesBatchSampler(
        rows, batch_size, drop_last=False, valid_label_columns=["label"], generator=generator, precompute_hashes=True
    )


@dataclass(frozen=True)
class Speed:
    """What one epoch took."""

    batches: float  # per second of processor time
    rows: float  # the same


def epoch(sampler: MultiDatasetDefaultBatchSampler, number: int) -> Speed:
    """Run through an epoch without reading a row."""
    sampler.set_epoch(number)
    start = time.process_time()
    lengths = [len(batch) for batch in sampler]
    seconds = time.process_time() - start
    return Speed(len(lengths) / seconds, sum(lengths) / seconds)


def compare(
    dataset: ConcatDataset, samplers: list[BatchSampler], epochs: int, options: Mapping[str, Any]
) -> list[float]:
    """Run both samplers in turn, above the same batch samplers.

    Returns:
        Median batches a second of ours and of the proportional one, then the median ratios, batches and rows.
    """
    generator = torch.Generator()
    hybrid = HybridBatchSampler(dataset, samplers, generator, **options)
    proportional = ProportionalBatchSampler(dataset, samplers, generator)
    epoch(proportional, 0)  # hashes the texts
    measured: list[tuple[Speed, Speed]] = []
    for number in range(1, epochs + 1):
        first, second = (hybrid, proportional) if number % 2 else (proportional, hybrid)
        speeds = {first: epoch(first, number), second: epoch(second, number)}
        measured.append((speeds[hybrid], speeds[proportional]))
    return [
        statistics.median(ours.batches for ours, _ in measured),
        statistics.median(theirs.batches for _, theirs in measured),
        statistics.median(ours.batches / theirs.batches for ours, theirs in measured),
        statistics.median(ours.rows / theirs.rows for ours, theirs in measured),
    ]


def memory() -> tuple[datasets.DatasetDict, float, float]:
    """Load the pairs.

    Returns:
        The pairs, the megabytes that Arrow holds for them, and those of one copy of the distinct texts.
    """
    gc.collect()
    before = pa.total_allocated_bytes()
    train_dataset = load_pairs(SOURCE)
    gc.collect()
    held = pa.total_allocated_bytes() - before
    one_copy = sum(texts.nbytes for _, _, texts in read_source(SOURCE).texts())
    return train_dataset, held / 2**20, one_copy / 2**20


def main() -> None:
    """Read the number of epochs and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15, help="epochs timed for each figure")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8, 32, 128])
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    train_dataset, held, one_copy = memory()
    rows = sorted({len(pair) for pair in train_dataset.values()})
    print(f"{len(train_dataset)} pairs of {', '.join(map(str, rows))} rows")
    print(f"memory: {held:.1f} MB for all pairs, {one_copy:.1f} MB for one copy of the texts: {held / one_copy:.3f}\n")
    table = []
    for underlying, batch_size in product((shuffled, no_duplicates), arguments.batch_sizes):
        samplers = [underlying(rows, batch_size, torch.Generator()) for rows in train_dataset.values()]
        for name, options in BATCHES.items():
            figures = compare(ConcatDataset(train_dataset.values()), samplers, arguments.epochs, options)
            table.append([name, underlying.__name__, batch_size, *figures])
    headers = ["batches", "batch sampler", "batch size", "ours/s", "proportional/s", "ratio, batches", "ratio, rows"]
    print(tabulate(table, headers=headers, floatfmt=("", "", "", ".0f", ".0f", ".2f", ".2f")))


if __name__ == "__main__":
    main()
