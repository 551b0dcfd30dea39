"""Which batch comes next: monolingual or cross-lingual, and of which pairs of languages (arXiv 2408.10536)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers.base.sampler import GroupByLabelBatchSampler, MultiDatasetDefaultBatchSampler
from torch.utils.data import BatchSampler, ConcatDataset

from beir_hybrid.errors import DataError
from beir_hybrid.training.batch_names import FetchBatch
from beir_hybrid.training.batch_passes import SEEDS, BatchPasses
from beir_hybrid.training.batching import Pairing, pair_languages
from beir_hybrid.training.mixed_batches import MixedBatches, largest_remainder, rows_with_values

__all__ = ["Draw", "HybridBatchSampler", "largest_remainder", "pair_languages"]

Draw = Literal["chance", "exact"]


class HybridBatchSampler(MultiDatasetDefaultBatchSampler):
    """Mixes batches of one language with batches whose questions and answers differ in language.

    A batch is monolingual, its questions and answers in one language, with probability ``alpha``; otherwise it is
    cross-lingual: in each of its rows, question and answer differ in language. ``alpha=1`` trains X-X, ``alpha=0`` X-Y,
    and the paper's hybrid is one half. The rows of a cross-lingual batch are of many pairs of languages, as in the
    paper, or with ``cross_lingual="pair"`` of one. With ``alpha=None`` there is one kind of batches only: each row is
    of any pair, monolingual ones included (Mix Entries of arXiv 2405.00977).

    Within the kind, the pair of a batch, or of each row where pairs are mixed, is drawn in proportion to
    ``size ** tau``, its size being its rows. The train dataset is a DatasetDict with one dataset for each pair.

    - A pair's rows are drawn without replacement, and are used up before it is shuffled anew and starts again. The
      order depends on the seed, the epoch and the pair, not on what was drawn of other pairs.
    - Which rows of a pair make a batch is left to the batch sampler chosen as ``batch_sampler``, be it one of Sentence
      Transformers' own or another. Where pairs are mixed, it gives the order of each pair's rows; if it is
      NoDuplicatesBatchSampler, no two rows of a batch have a text in common, nor a label. A row that does not fit comes
      in the next batch.
    - The same seed and epoch give the same batches, so that a resumed run sees just those that were still to come.
      Another epoch gives others.
    - An epoch has exactly ``len(sampler)`` batches: ``batches_per_epoch``, whatever ``alpha`` is.
    - On several processes, each step's batches, one for each process, are full ones of one kind, so that negatives
      gathered from all of them are of that kind, and no row goes to two processes. Monolingual ones (with
      ``cross_lingual="pair"`` all) are of one pair and one pass; the batches at the end of a pass that are not enough
      for a step are left out of that pass. An epoch is rounded down to whole steps. ``alpha`` and ``draw`` then speak
      of steps.
    - A dataset without rows is left out of the draw. One that cannot fill a batch (or a step) is an error; where pairs
      are mixed, all of them together have to.
    - A batch of several pairs has several dataset names. Prompts, router mappings and losses that are given by dataset
      name would be applied to all rows by the name of the first: that is a DataError.

    The kinds and pairs of an epoch are drawn at once; batches are taken from the batch samplers, and rows of several
    pairs are drawn, when their turn comes.

    Args:
        dataset: The concatenated datasets, one for each pair of languages.
        batch_samplers: A batch sampler for each of the datasets. Each gets a generator of its own, where it has an
            attribute for one, and its ``set_epoch`` a number of its own for each pass.
        generator: The generator that the batch samplers share so far; seeded at the start of an epoch, for those that
            hold on to it in another way.
        seed: Seed of all random choices, together with the epoch.
        alpha: Share of monolingual batches, 0 to 1; None for batches of rows of any pair.
        tau: 1 draws pairs in proportion to their size, 0 all alike.
        cross_lingual: ``mixed`` draws the pair of each row of a cross-lingual batch, ``pair`` one pair for the batch.
        draw: ``chance`` draws each batch, and each row where pairs are mixed, independently. ``exact`` makes the
            numbers come out in each epoch: ``round(alpha * n)`` of n batches are monolingual, and each pair gets its
            share of the batches, or of the rows where pairs are mixed, by largest remainder (ties broken by chance),
            in shuffled order.
        batches_per_epoch: Number of batches in an epoch, over all processes. Default: the batches of all datasets, as
            their samplers estimate them.
        pairs: Name of each dataset, ``en-en`` or ``en-de``, question language first: see ``pair_languages``.
            Default: the dataset's ``info.config_name``.
        processes: Number of batches of one kind that a step takes. Default: the processes of torch.distributed. Pass 1
            with Accelerate's ``split_batches=True``, where one batch is shared out; the default is right then too, but
            draws several batches of a kind in a row.

    Attributes:
        groups: The datasets that batches are made of, as lists of their places: one alone, or several whose rows are
            mixed.

    Raises:
        DataError: A dataset has no name of the form x-y, there is nothing of a kind that ``alpha`` asks for, a pair is
            too small for the batch size, or rows of several pairs cannot stand in one batch.
        ValueError: An option is out of range.

    Expected columns:
        Those of the loss; each dataset holds questions of one language and answers of one language:

        | question           | answer             | label (optional, int)               |
        |--------------------|--------------------|-------------------------------------|
        | text in language x | text in language y | equal for rows with the same answer |

    Examples:
        ```python
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
        ```
    Source:
        arXiv 2408.10536; rows of any pair: arXiv 2405.00977.
    """

    def __init__(
        self,
        dataset: ConcatDataset,
        batch_samplers: list[BatchSampler],
        generator: torch.Generator | None = None,
        seed: int | None = 0,
        *,
        alpha: float | None = 0.5,
        tau: float = 1.0,
        cross_lingual: Pairing = "mixed",
        draw: Draw = "chance",
        batches_per_epoch: int | None = None,
        pairs: Sequence[str] | None = None,
        processes: int | None = None,
    ) -> None:
        _check_options(alpha, tau, cross_lingual, draw, batches_per_epoch, pairs, processes)
        super().__init__(dataset, batch_samplers, generator, seed or 0)
        self.alpha = alpha
        self.draw = draw
        self.pairs = _pair_names(dataset, pairs)
        self.monolingual = np.array([question == answer for question, answer in map(pair_languages, self.pairs)])
        self.sizes = np.diff([0, *dataset.cumulative_sizes])
        self.probabilities = self._probabilities(tau)
        self.groups = self._groups(cross_lingual)
        self.batches_per_epoch = batches_per_epoch or sum(map(self._batches_of, self.groups))
        self._processes = processes
        self._passes = [BatchPasses(sampler) for sampler in batch_samplers]
        dataset.set_epoch = _SetEpoch(self)  # type: ignore[attr-defined]
        dataset.__getitems__ = FetchBatch(dataset)  # type: ignore[attr-defined]
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
        """Number of batches that a step takes, one for each process."""
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
        seeds = random.integers(SEEDS, size=len(self.pairs)).tolist()
        drawn = self._draw_groups(self._number_of_steps(processes), random)
        steps = [
            self._steps_of_pair(group[0], processes, seeds)
            if len(group) == 1
            else self._steps_of_mixed(group, processes, seeds, random.spawn(1)[0], drawn.count(number))
            for number, group in enumerate(self.groups)
        ]
        for number in drawn:
            yield from next(steps[number])

    def _number_of_steps(self, processes: int) -> int:
        """Return the number of steps in an epoch; an error where a group cannot fill one, or the epoch is shorter."""
        rows = processes * self.batch_size if processes > 1 or self.drop_last else 1
        for group in self.groups:
            if self.probabilities[group].any() and self.sizes[group].sum() < rows:
                raise self._too_small(group, processes)
        steps = self.batches_per_epoch // processes
        if steps == 0:
            raise DataError(
                f"an epoch of {self.batches_per_epoch} batches is shorter than one step of {processes} processes; "
                "raise batches_per_epoch"
            )
        return steps

    def _draw_groups(self, steps: int, random: np.random.Generator) -> list[int]:
        """Draw what each step of this epoch is made of: places in the list of groups."""
        probabilities = np.array([self.probabilities[group].sum() for group in self.groups])
        if self.draw == "chance":
            return random.choice(len(self.groups), size=steps, p=probabilities / probabilities.sum()).tolist()
        counts = np.zeros(len(self.groups), dtype=np.int64)
        of_kinds = [steps]
        if self.alpha is not None:
            of_kinds = [round(self.alpha * steps), steps - round(self.alpha * steps)]
        first = [group[0] for group in self.groups]
        for (_, members, _), total in zip(self._kinds(), of_kinds, strict=True):
            if total:
                counts[members[first]] = largest_remainder(probabilities[members[first]], total, random)
        return random.permutation(np.repeat(np.arange(len(counts)), counts)).tolist()

    def _steps_of_pair(self, index: int, processes: int, seeds: Sequence[int]) -> Iterator[Sequence[list[int]]]:
        """Yield steps of one dataset without end, pass after pass.

        A step is as many batches as there are processes, lists of rows of the concatenated datasets.
        """
        first = self._first_row(index)
        for one_pass in self._passes[index].batches(seeds[index]):
            step, batches = None, one_pass
            if processes > 1:  # Accelerate leaves out steps whose batches are not full
                batches = (batch for batch in one_pass if len(batch) == self.batch_size)
            for step in zip(*[batches] * processes, strict=False):  # leaves out what fills no step
                yield [[first + row for row in batch] for batch in step]
            if step is None:
                raise self._too_small([index], processes)

    def _steps_of_mixed(
        self, group: Sequence[int], processes: int, seeds: Sequence[int], random: np.random.Generator, steps: int
    ) -> Iterator[Sequence[list[int]]]:
        """Yield steps without end whose rows are of several datasets; ``steps`` of them will be asked for."""
        passes = [
            rows_with_values(
                self._passes[index].rows(seeds[index]),
                self.batch_samplers[index],
                self.dataset.datasets[index],
                self._first_row(index),
            )
            for index in group
        ]
        mixed = MixedBatches(
            passes,
            self.probabilities[group],
            random,
            self.batch_size,
            exact=steps * processes * self.batch_size if self.draw == "exact" else None,
            whole=processes > 1 or self.drop_last,
        )
        while True:
            step = mixed.step(processes)
            if not all(step):
                raise self._too_small(group, processes)
            yield step

    def _first_row(self, index: int) -> int:
        """Return the number of a dataset's first row among the concatenated datasets."""
        return int(self.dataset.cumulative_sizes[index] - self.sizes[index])

    def _kinds(self) -> list[tuple[str, NDArray[np.bool_], float]]:
        """Return the kinds of batches: what they are called, which datasets they are made of, (D,), and their share."""
        if self.alpha is None:
            return [("mixed", np.ones_like(self.monolingual), 1.0)]
        return [
            ("monolingual", self.monolingual, self.alpha),
            ("cross-lingual", ~self.monolingual, 1 - self.alpha),
        ]

    def _probabilities(self, tau: float) -> NDArray[np.float64]:
        """Return the probability of a row of each dataset, (D,); an error where there is nothing of a kind."""
        probabilities = np.zeros(len(self.pairs))
        for name, members, share in self._kinds():
            if share == 0:
                continue
            sizes = self.sizes[members]
            if not sizes.any():
                raise DataError(self._nothing_of(name))
            weights = np.where(sizes > 0, (sizes / sizes.max()) ** tau, 0)  # relative to the largest: no overflow
            probabilities[members] = share * weights / weights.sum()
        return probabilities

    def _nothing_of(self, kind: str) -> str:
        """Say that there is no dataset of a kind."""
        if kind == "mixed":
            return "no dataset has any rows: add one such as en-de"
        example, without = ("en-en", 0) if kind == "monolingual" else ("en-de", 1)
        return (
            f"alpha={self.alpha} asks for {kind} batches, but no dataset with rows is {kind}: "
            f"add one such as {example}, or set alpha={without}"
        )

    def _groups(self, cross_lingual: Pairing) -> list[list[int]]:
        """Return the datasets that batches are drawn from together: each alone, or those that are mixed."""
        mixed = ~self.monolingual if cross_lingual == "mixed" else np.zeros_like(self.monolingual)
        if self.alpha is None:
            mixed = np.ones_like(self.monolingual)
        mixed &= self.probabilities > 0
        together = np.flatnonzero(mixed).tolist()
        self._check_alike(together)
        return [*([index] for index in np.flatnonzero(~mixed).tolist()), *([together] if together else [])]

    def _check_alike(self, group: Sequence[int]) -> None:
        """Raise DataError where rows of several datasets cannot stand in one batch."""
        if len(group) < 2:
            return
        if isinstance(self.batch_samplers[group[0]], GroupByLabelBatchSampler):
            raise DataError(
                "GroupByLabelBatchSampler puts batches of one dataset together; choose another batch_sampler, or "
                "batches of one pair each, cross_lingual='pair'"
            )
        columns = [getattr(self.dataset.datasets[index], "column_names", None) for index in group]
        for index, names in zip(group, columns, strict=True):
            if names != columns[0]:
                raise DataError(
                    f"rows of a batch need the same columns in the same order, but {self.pairs[group[0]]} has "
                    f"{', '.join(columns[0] or ())} and {self.pairs[index]} has {', '.join(names or ())}"
                )

    def _batches_of(self, group: Sequence[int]) -> int:
        """Return how many batches a group's rows make, as the batch samplers estimate it."""
        if len(group) == 1:
            return len(self.batch_samplers[group[0]])
        rows = int(self.sizes[group].sum())
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)

    def _too_small(self, group: Sequence[int], processes: int) -> DataError:
        """Make the error of a group of datasets that yields no batch, or too few for a step."""
        need = f"{processes} full batches" if processes > 1 else "a full batch" if self.drop_last else "a batch"
        ways_out = "use fewer processes, " if processes > 1 else "turn dataloader_drop_last off, " * self.drop_last
        pair = self.pairs[group[0]]
        whose, last = f"{pair}: its", "leave the pair out of the train dataset"
        if len(group) > 1:
            whose, last = f"{pair} and {len(group) - 1} other pairs: their", "add rows"
        return DataError(
            f"{whose} {self.sizes[group].sum()} rows do not make {need} of {self.batch_size} "
            f"({type(self.batch_samplers[group[0]]).__name__}); lower per_device_train_batch_size, {ways_out}or {last}"
        )


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
    alpha: float | None = 0.5,
    tau: float = 1.0,
    cross_lingual: str = "mixed",
    draw: str = "chance",
    batches_per_epoch: int | None = None,
    pairs: Sequence[str] | None = None,
    processes: int | None = None,
) -> None:
    """Raise ValueError for an option out of range; the data are not needed for that."""
    if alpha is not None and not 0 <= alpha <= 1:
        raise ValueError(f"alpha is the share of monolingual batches, 0 to 1, or None, not {alpha}")
    if not 0 <= tau < math.inf:
        raise ValueError(f"tau is the exponent of a pair's size, 0 or more, not {tau}")
    for name, choice, kind in (("cross_lingual", cross_lingual, Pairing), ("draw", draw, Draw)):
        if choice not in get_args(kind):
            raise ValueError(f"{name} is {' or '.join(map(repr, get_args(kind)))}, not {choice!r}")
    if alpha is None and cross_lingual == "pair":
        raise ValueError(
            "cross_lingual='pair' is for batches of one kind each; with alpha=None a batch is of any pairs"
        )
    for name, number in (("batches_per_epoch", batches_per_epoch), ("processes", processes)):
        if number is not None and not (isinstance(number, int) and number >= 1):
            raise ValueError(f"{name} is a whole number of at least 1, not {number!r}")
    if isinstance(pairs, str):
        raise ValueError(f"pairs is a list of names, not the text {pairs!r}")
