"""Which batch comes next: monolingual or cross-lingual, and of which pair of languages (arXiv 2408.10536)."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers.base.sampler import (
    DefaultBatchSampler,
    MultiDatasetDefaultBatchSampler,
    NoDuplicatesBatchSampler,
)
from torch.utils.data import BatchSampler, ConcatDataset, RandomSampler

from beir_hybrid.errors import DataError

Draw = Literal["chance", "exact"]

SEEDS = 2**31
"""Seeds of passes are below this: with the sampler's own seed added, any generator takes them."""
STRIDE = 0x9E3779B1
"""From a pass's seed to that of the next. Odd, so that all passes of an epoch differ."""


class HybridBatchSampler(MultiDatasetDefaultBatchSampler):
    """Mixes monolingual and cross-lingual batches, each of one pair of languages.

    A batch is monolingual, its questions and answers in one language, with probability ``alpha``; otherwise it is
    cross-lingual, its questions in one language and its answers in another. Within the kind, the pair is drawn in
    proportion to ``size ** tau``, its size being its rows. ``alpha=1`` trains X-X, ``alpha=0`` X-Y, and the paper's
    hybrid is one half. The train dataset is a DatasetDict with one dataset for each pair. Which rows of a pair make a
    batch is left to the batch sampler chosen as ``batch_sampler``, be it one of Sentence Transformers' own or another.

    - A pair's rows are drawn without replacement, and all its batches are used, before it is shuffled anew and starts
      again. The order depends on the seed, the epoch and the pair, not on what was drawn of other pairs.
    - The same seed and epoch give the same batches, so that a resumed run sees just those that were still to come.
      Another epoch gives others.
    - An epoch has exactly ``len(sampler)`` batches: ``batches_per_epoch``, whatever ``alpha`` is.
    - On several processes, each step's batches, one for each process, are full ones of one pair and one pass, so that
      negatives gathered from all of them are of one kind and no row goes to two processes. The batches at the end of a
      pass that are not enough for a step are left out of that pass, and an epoch is rounded down to whole steps.
      ``alpha`` and ``draw`` then speak of steps.
    - A dataset without rows is left out of the draw. One that cannot fill a batch (or a step) is an error.

    The kinds and pairs of an epoch are drawn at once; batches are taken from the batch samplers when their turn comes.

    Args:
        dataset: The concatenated datasets, one for each pair of languages.
        batch_samplers: A batch sampler for each of the datasets. Each gets a generator of its own, where it has an
            attribute for one, and its ``set_epoch`` a number of its own for each pass.
        generator: The generator that the batch samplers share so far; seeded at the start of an epoch, for those that
            hold on to it in another way.
        seed: Seed of all random choices, together with the epoch.
        alpha: Share of monolingual batches, 0 to 1.
        tau: 1 draws pairs in proportion to their size, 0 all alike.
        draw: ``chance`` draws each batch independently. ``exact`` makes the numbers come out in each epoch:
            ``round(alpha * n)`` of n batches are monolingual, and each pair gets its share by largest remainder (ties
            broken by chance), in shuffled order.
        batches_per_epoch: Number of batches in an epoch, over all processes. Default: the batches of all datasets, as
            their samplers estimate them.
        pairs: Name of each dataset, ``en-en`` or ``en-de``, question language first: see :func:`pair_languages`.
            Default: the dataset's ``info.config_name``.
        processes: Number of batches of one pair that a step takes. Default: the processes of torch.distributed. Pass 1
            with Accelerate's ``split_batches=True``, where one batch is shared out; the default is right then too, but
            draws several batches of a pair in a row.

    Raises:
        DataError: A dataset has no name of the form x-y, there is nothing of a kind that ``alpha`` asks for, or a pair
            is too small for the batch size.
        ValueError: An option is out of range.

    Expected columns: those of the loss; each dataset holds questions of one language and answers of one language:

    +--------------------+--------------------+------------------------------------------+
    | question           | answer             | label (optional, int)                    |
    +====================+====================+==========================================+
    | text in language x | text in language y | equal for rows with the same answer      |
    +--------------------+--------------------+------------------------------------------+

    Example:
        ::

            from datasets import Dataset, DatasetDict
            from sentence_transformers import (
                SentenceTransformer,
                SentenceTransformerTrainer,
                SentenceTransformerTrainingArguments,
            )
            from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

            from beir_hybrid.training.sampler import HybridBatchSampler

            questions = {"en": ["Who baked it?", "Where is it?"], "de": ["Wer hat es gebacken?", "Wo ist es?"]}
            answers = {"en": ["My sister did.", "In the kitchen."], "de": ["Meine Schwester.", "In der Küche."]}
            train_dataset = DatasetDict({
                f"{x}-{y}": Dataset.from_dict({"question": questions[x], "answer": answers[y]})
                for x in questions
                for y in answers
            })

            model = SentenceTransformer("intfloat/multilingual-e5-small")
            args = SentenceTransformerTrainingArguments(
                output_dir="checkpoints",
                multi_dataset_batch_sampler=HybridBatchSampler.options(alpha=0.25, pairs=list(train_dataset)),
            )
            trainer = SentenceTransformerTrainer(
                model=model, args=args, train_dataset=train_dataset, loss=MultipleNegativesRankingLoss(model)
            )
            trainer.train()

    Source:
        arXiv 2408.10536.
    """

    def __init__(
        self,
        dataset: ConcatDataset,
        batch_samplers: list[BatchSampler],
        generator: torch.Generator | None = None,
        seed: int | None = 0,
        *,
        alpha: float = 0.5,
        tau: float = 1.0,
        draw: Draw = "chance",
        batches_per_epoch: int | None = None,
        pairs: Sequence[str] | None = None,
        processes: int | None = None,
    ) -> None:
        _check_options(alpha, tau, draw, batches_per_epoch, pairs, processes)
        super().__init__(dataset, batch_samplers, generator, seed or 0)
        self.alpha = alpha
        self.draw = draw
        self.pairs = _pair_names(dataset, pairs)
        self.monolingual = np.array([question == answer for question, answer in map(pair_languages, self.pairs)])
        self.sizes = np.diff([0, *dataset.cumulative_sizes])
        self.probabilities = self._probabilities(tau)
        self.batches_per_epoch = batches_per_epoch or sum(len(sampler) for sampler in batch_samplers)
        self._processes = processes
        self._generators = [_own_generator(sampler) for sampler in batch_samplers]
        dataset.set_epoch = _SetEpoch(self)  # type: ignore[attr-defined]
        len(self)  # raises what would otherwise be raised when training starts

    @classmethod
    def options(cls, **options: Any) -> Callable[..., HybridBatchSampler]:
        """Choose options for ``SentenceTransformerTrainingArguments(multi_dataset_batch_sampler=...)``.

        Args:
            **options: The keyword arguments from ``alpha`` on.

        Returns:
            What the trainer calls with dataset, batch_samplers, generator and seed. It can be pickled.

        Raises:
            TypeError: There is no such option.
            ValueError: An option is out of range.
        """
        _check_options(**options)
        return partial(cls, **options)

    @property
    def processes(self) -> int:
        """Number of batches of one pair that a step takes, one for each process."""
        if self._processes is not None:
            return self._processes
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        return torch.distributed.get_world_size() if distributed else 1

    def __len__(self) -> int:
        """Return how many batches an epoch yields, over all processes; this is no estimate."""
        return self._number_of_steps(self.processes) * self.processes

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches of an epoch, lists of rows of the concatenated datasets."""
        if self.generator is not None:
            self.generator.manual_seed(self.seed + self.epoch)
        random = np.random.default_rng([self.seed, self.epoch])
        processes = self.processes
        steps = [
            self._steps_of(index, processes, seed)
            for index, seed in enumerate(random.integers(SEEDS, size=len(self.pairs)).tolist())
        ]
        offsets = [0, *self.dataset.cumulative_sizes]
        for index in self._draw_pairs(self._number_of_steps(processes), random):
            offset = offsets[index]
            for batch in next(steps[index]):
                yield [row + offset for row in batch]

    def _number_of_steps(self, processes: int) -> int:
        """Return the number of steps in an epoch; an error where a pair cannot fill one, or the epoch is shorter."""
        rows = processes * self.batch_size if processes > 1 or self.drop_last else 1
        for index in np.flatnonzero((self.probabilities > 0) & (self.sizes < rows)).tolist():
            raise self._too_small(index, processes)
        steps = self.batches_per_epoch // processes
        if steps == 0:
            raise DataError(
                f"an epoch of {self.batches_per_epoch} batches is shorter than one step of {processes} processes; "
                "raise batches_per_epoch"
            )
        return steps

    def _draw_pairs(self, steps: int, random: np.random.Generator) -> list[int]:
        """Draw the pair of each step of this epoch: indices of the datasets."""
        if self.draw == "chance":
            return random.choice(len(self.pairs), size=steps, p=self.probabilities).tolist()
        counts = np.zeros(len(self.pairs), dtype=np.int64)
        monolingual_steps = round(self.alpha * steps)
        for kind, total in ((self.monolingual, monolingual_steps), (~self.monolingual, steps - monolingual_steps)):
            if total:
                counts[kind] = largest_remainder(self.probabilities[kind], total, random)
        return random.permutation(np.repeat(np.arange(len(counts)), counts)).tolist()

    def _steps_of(self, index: int, processes: int, seed: int) -> Iterator[tuple[list[int], ...]]:
        """Yield the steps of one dataset without end, pass after pass, the first with a seed below SEEDS.

        A step is as many batches as there are processes, lists of rows of this dataset.
        """
        for number in itertools.count():
            step = None
            self._reseed(index, (seed + number * STRIDE) % SEEDS)
            batches = _one_pass(self.batch_samplers[index])
            if processes > 1:  # Accelerate leaves out steps whose batches are not full
                batches = (batch for batch in batches if len(batch) == self.batch_size)
            for step in zip(*[batches] * processes, strict=False):  # leaves out what fills no step
                yield step
            if step is None:
                raise self._too_small(index, processes)

    def _reseed(self, index: int, seed: int) -> None:
        """Give a dataset's batch sampler the seed of a pass.

        Sentence Transformers' samplers seed their generator with seed + epoch when a pass begins, so that a second pass
        of an epoch would be equal to the first: here each pass counts as an epoch of its own.
        """
        self._generators[index].manual_seed(seed)
        sampler = self.batch_samplers[index]
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(seed)

    def _probabilities(self, tau: float) -> NDArray[np.float64]:
        """Return the probability of each dataset, (D,); an error where there is nothing of a kind alpha asks for."""
        probabilities = np.zeros(len(self.pairs))
        kinds = (("monolingual", "en-en", self.alpha, 0), ("cross-lingual", "en-de", 1 - self.alpha, 1))
        for (name, example, share, without), members in zip(kinds, (self.monolingual, ~self.monolingual), strict=True):
            if share == 0:
                continue
            sizes = self.sizes[members]
            if not sizes.any():
                raise DataError(
                    f"alpha={self.alpha} asks for {name} batches, but no dataset with rows is {name}: "
                    f"add one such as {example}, or set alpha={without}"
                )
            weights = np.where(sizes > 0, (sizes / sizes.max()) ** tau, 0)  # relative to the largest: no overflow
            probabilities[members] = share * weights / weights.sum()
        return probabilities

    def _too_small(self, index: int, processes: int) -> DataError:
        """Make the error of a dataset that yields no batch, or too few for a step."""
        need = f"{processes} full batches" if processes > 1 else "a full batch" if self.drop_last else "a batch"
        ways_out = "use fewer processes, " if processes > 1 else "turn dataloader_drop_last off, " * self.drop_last
        return DataError(
            f"{self.pairs[index]}: its {self.sizes[index]} rows do not make {need} of {self.batch_size} "
            f"({type(self.batch_samplers[index]).__name__}); "
            f"lower per_device_train_batch_size, {ways_out}or leave the pair out of the train dataset"
        )


def pair_languages(name: str) -> tuple[str, str]:
    """Split the name of a pair, question language first.

    A name splits at the one hyphen that a lower-case letter follows. In a language code, what follows a hyphen begins
    with a capital or a digit, as BCP 47 writes scripts and regions: ``zh-Hans-en`` is zh-Hans and en, ``pt-BR-pt-PT``
    is pt-BR and pt-PT.

    Args:
        name: For example ``en-de``.

    Returns:
        The languages of the questions and of the answers; equal for a monolingual pair.

    Raises:
        DataError: There is no such hyphen, or more than one.
    """
    languages = re.split(r"-(?=[a-z])", name)
    if len(languages) != 2 or not languages[0]:
        raise DataError(
            f"the dataset name {name!r} is not a pair of languages like en-de or zh-Hans-en: name the datasets so and "
            "pass pairs=list(train_dataset)"
        )
    return languages[0], languages[1]


def largest_remainder(shares: NDArray[np.float64], total: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Apportion ``total`` in proportion to ``shares``, by the method of largest remainders.

    Args:
        shares: Non-negative weights with a positive sum, (D,).
        total: What the counts add up to.
        random: Breaks ties between equal remainders.

    Returns:
        Counts, (D,); each is its quota, rounded down or up.
    """
    quotas = shares / shares.sum() * total
    counts = np.floor(quotas).astype(np.int64)
    shuffled = random.permutation(len(shares))
    by_remainder = shuffled[np.argsort((counts - quotas)[shuffled], kind="stable")]
    counts[by_remainder[: total - counts.sum()]] += 1
    return counts


class _SetEpoch:
    """Stands as ``set_epoch`` on the concatenated datasets and hands the epoch on to the sampler.

    Accelerate's DataLoaderShard.set_epoch does not look for a batch sampler behind two wrappers, which is where it
    stands when a run on several processes is resumed (SkipBatchSampler around BatchSamplerShard): the resumed epoch
    would be the first one again. The data set is always reached.
    """

    def __init__(self, sampler: HybridBatchSampler | None) -> None:
        self.sampler = sampler

    def __call__(self, epoch: int) -> None:
        if self.sampler is not None:
            self.sampler.set_epoch(epoch)

    def __reduce__(self) -> tuple[type[_SetEpoch], tuple[None]]:
        return _SetEpoch, (None,)  # the data loader's workers get the data, not the sampler


def _own_generator(sampler: BatchSampler) -> torch.Generator:
    """Give a batch sampler, and the sampler inside it, a generator that no other shares, and return it."""
    generator = torch.Generator()
    parts: list[Any] = [sampler, getattr(sampler, "sampler", None)]
    for part in parts:
        if hasattr(part, "generator"):
            part.generator = generator
    return generator


def _one_pass(sampler: BatchSampler) -> Iterator[list[int]]:
    """Return the batches of one pass of a batch sampler over its data."""
    rows = getattr(sampler, "sampler", None)
    if type(sampler) is DefaultBatchSampler and type(rows) is RandomSampler:
        if not rows.replacement and len(rows) == len(rows.data_source):
            return _slices_of_shuffled(rows, sampler.batch_size, sampler.drop_last)
    elif isinstance(sampler, NoDuplicatesBatchSampler) and sampler.drop_last:
        # Where it has to drop batches because of duplicates, it shuffles again and goes on within one iteration.
        return _until_repeated(sampler)
    return iter(sampler)


def _slices_of_shuffled(rows: RandomSampler, batch_size: int, drop_last: bool) -> Iterator[list[int]]:
    """Yield the batches that torch makes of a RandomSampler, without its generator's step for each row."""
    order = torch.randperm(len(rows), generator=rows.generator).numpy().tolist()
    end = len(order) - len(order) % batch_size if drop_last else len(order)
    for start in range(0, end, batch_size):
        yield order[start : start + batch_size]


def _until_repeated(batches: BatchSampler) -> Iterator[list[int]]:
    """Yield batches up to the first that holds a row of an earlier one."""
    seen: set[int] = set()
    for batch in batches:
        if not seen.isdisjoint(batch):
            return
        seen.update(batch)
        yield batch


def _pair_names(dataset: ConcatDataset, pairs: Sequence[str] | None) -> list[str]:
    """Return the name of each dataset: those given, or what the datasets are called themselves."""
    if pairs is None:
        pairs = [getattr(getattr(part, "info", None), "config_name", None) or "" for part in dataset.datasets]
        if not all(pairs):
            raise DataError(
                f"dataset {pairs.index('') + 1} of {len(pairs)} does not say of which languages it is "
                "(info.config_name): pass pairs=list(train_dataset)"
            )
    elif len(pairs) != len(dataset.datasets):
        raise DataError(
            f"pairs holds {len(pairs)} names for {len(dataset.datasets)} datasets: pass pairs=list(train_dataset)"
        )
    return list(pairs)


def _check_options(
    alpha: float = 0.5,
    tau: float = 1.0,
    draw: str = "chance",
    batches_per_epoch: int | None = None,
    pairs: Sequence[str] | None = None,
    processes: int | None = None,
) -> None:
    """Raise ValueError for an option out of range; the data are not needed for that."""
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is the share of monolingual batches, 0 to 1, not {alpha}")
    if not 0 <= tau < math.inf:
        raise ValueError(f"tau is the exponent of a pair's size, 0 or more, not {tau}")
    if draw not in ("chance", "exact"):
        raise ValueError(f"draw is 'chance' or 'exact', not {draw!r}")
    for name, number in (("batches_per_epoch", batches_per_epoch), ("processes", processes)):
        if number is not None and not (isinstance(number, int) and number >= 1):
            raise ValueError(f"{name} is a whole number of at least 1, not {number!r}")
    if isinstance(pairs, str):
        raise ValueError(f"pairs is a list of names, not the text {pairs!r}")
