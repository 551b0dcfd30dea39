"""What a trainer of Sentence Transformers relies on in a sampler of batches of several data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from beir_hybrid.subsets import Subset
from beir_hybrid.testing.conformance import broken, require

if TYPE_CHECKING:
    from sentence_transformers.base.sampler import MultiDatasetDefaultBatchSampler

MakeSampler = Callable[..., "MultiDatasetDefaultBatchSampler"]
"""What a trainer calls with dataset, batch_samplers, generator and seed."""

Batches = list[list[int]]

_LANGUAGES = ("ar", "de", "en")
_BATCH_SIZE = 8
_ROWS = 40  # of the smallest pair of languages; the others have some more


def check_sampler(make_sampler: MakeSampler) -> None:
    """Check a sampler on made-up pairs of three languages of different sizes.

    Args:
        make_sampler: The class, or what is given to ``SentenceTransformerTrainingArguments`` as
            ``multi_dataset_batch_sampler``, such as ``HybridBatchSampler.options(alpha=0.25)``.

    Raises:
        NotConforming: With one line for each rule that it breaks: it yields as many batches as it says; they are full,
            of rows that exist, and hold no row twice; the same seed and epoch give the same batches, another epoch, and
            another seed, others.

    Examples:
        >>> from beir_hybrid.testing import check_sampler
        >>> from beir_hybrid.training import HybridBatchSampler
        >>> check_sampler(HybridBatchSampler.options(alpha=0.25))
    """
    name = getattr(make_sampler, "__name__", type(make_sampler).__name__)
    require(name, broken(_RULES, make_sampler))


def _length(make: MakeSampler) -> Iterator[str]:
    sampler = _make(make)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches = sum(1 for _ in islice(sampler, 2 * len(sampler) + 1))
        if batches != len(sampler):
            yield f"epoch {epoch} has {batches} batches, and len() says {len(sampler)}"
            return


def _batches(make: MakeSampler) -> Iterator[str]:
    n_rows = sum(map(len, _datasets()))
    for number, batch in enumerate(_epoch(make)):
        if len(batch) != _BATCH_SIZE:
            yield f"batch {number} has {len(batch)} rows, not {_BATCH_SIZE}, though the last ones are to be dropped"
            return
        if not all(0 <= row < n_rows for row in batch):
            yield f"batch {number} holds a row that is not in the data sets together: rows count through all of them"
            return
        if len(set(batch)) < len(batch):
            yield f"batch {number} holds a row twice, which would be its own negative"
            return


def _seeds(make: MakeSampler) -> Iterator[str]:
    first = _epoch(make)
    if _epoch(make) != first:
        yield "the same seed and epoch give other batches, so that a run cannot be resumed"
    if _epoch(make, epoch=1) == first:
        yield "another epoch gives the same batches; is `epoch` used?"
    if _epoch(make, seed=1) == first:
        yield "another seed gives the same batches; is `seed` used?"


def _epoch(make: MakeSampler, seed: int = 0, epoch: int = 0) -> Batches:
    sampler = _make(make, seed)
    sampler.set_epoch(epoch)
    return [list(batch) for batch in islice(sampler, 10 * len(sampler))]


def _make(make: MakeSampler, seed: int = 0) -> MultiDatasetDefaultBatchSampler:
    import torch
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from torch.utils.data import ConcatDataset, SubsetRandomSampler

    datasets, generator = _datasets(), torch.Generator().manual_seed(seed)
    samplers = [
        DefaultBatchSampler(
            SubsetRandomSampler(range(len(dataset)), generator=generator), batch_size=_BATCH_SIZE, drop_last=True
        )
        for dataset in datasets
    ]
    return make(dataset=ConcatDataset(datasets), batch_samplers=samplers, generator=generator, seed=seed)


def _datasets() -> list[Any]:
    """Return a data set of texts for each pair of languages, which it is named like."""
    from datasets import Dataset, DatasetInfo

    return [
        Dataset.from_dict(
            {
                "question": [f"{x} question {row}" for row in range(_ROWS + 4 * number)],
                "answer": [f"{y} answer {row}" for row in range(_ROWS + 4 * number)],
                "label": list(range(_ROWS + 4 * number)),
            },
            info=DatasetInfo(config_name=str(Subset(x, y))),
        )
        for number, (x, y) in enumerate(product(_LANGUAGES, repeat=2))
    ]


_RULES = (_length, _batches, _seeds)
