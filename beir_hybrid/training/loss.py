"""Contrastive losses for which another row with the anchor's own answer is no negative.

They are Sentence Transformers' losses with one thing added: the label of a row names its answer, and rows of equal
label are left out of each other's negatives; so are hard negatives with a label of their own. The losses of Sentence
Transformers combine embeddings through ``similarity_fct`` only, so that is where it is done: every embedding carries a
number into the similarity function, that of its row or, for a hard negative, one of its own, and the scores of
different numbers with equal labels become minus infinity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from sentence_transformers.util import all_gather, get_rank
from torch import Tensor
from torch.nn.functional import pad

from beir_hybrid.errors import DataError
from beir_hybrid.training.negatives import ANSWERS_NOTHING

_CITATION = """
@misc{arxiv2408.10536,
      title={Synergistic Approach for Simultaneous Optimization of Monolingual, Cross-lingual, and Multilingual Information Retrieval},
      year={2024},
      eprint={2408.10536},
      archivePrefix={arXiv},
      url={https://arxiv.org/abs/2408.10536},
}
"""  # noqa: E501 (a title is one line)

# A number is written in digits that every floating-point type holds exactly, bfloat16 included.
_BASE = 128
_DIGITS = 4

_UNLABELLED = 0
"""Number of embeddings that have no label: hard negatives that stay negatives of every row."""


class HybridContrastiveLoss(MultipleNegativesRankingLoss):
    """InfoNCE with in-batch negatives, where rows with the anchor's own answer are no negatives.

    Pairs of several languages share answers: two questions have the same answer, and a translation of the anchor's
    answer is as right as the answer itself. An integer label names the answer of a row, in whatever language; rows
    with equal labels are not counted as each other's negatives, in any of the ``directions`` and, with
    ``gather_across_devices``, across devices too. A row keeps its own positive.

    Hard negatives (third column and on) are negatives of every row. They, too, may be right for another row, or be its
    answer in another language: where a label is a list of integers, the row's own and one for each of its hard
    negatives, a hard negative is none of the rows whose label it has; -1 stands for one that answers nothing.

    Without labels the loss is ``MultipleNegativesRankingLoss``.

    Args:
        model: SentenceTransformer model.
        scale: What similarities are multiplied by, the inverse of the temperature: the default of 20 is a temperature
            of 0.05.
        similarity_fct: Similarity of two matrices of embeddings, cosine by default.
        gather_across_devices: Take the other devices' rows as negatives, too. All devices need equally many rows.
        directions: What is compared: ``"query_to_doc"`` (always), ``"query_to_query"``, ``"doc_to_query"``,
            ``"doc_to_doc"``; see ``MultipleNegativesRankingLoss``.
        partition_mode: ``"joint"`` for one softmax over all directions, ``"per_direction"`` for the mean of one
            softmax each.
        hardness_mode: Which negatives are weighted by their hardness: ``"in_batch_negatives"``,
            ``"hard_negatives"``, ``"all_negatives"``, or None.
        hardness_strength: Strength of that weighting.

    Requirements:
        1. (anchor, positive) pairs, (anchor, positive, negative) triplets, or (anchor, positive, negative_1, ...,
           negative_n) n-tuples
        2. Optionally a column ``label`` of integers, equal for rows with the same answer, or of lists of integers, with
           the labels of the hard negatives.

    Raises:
        DataError: When called with labels that are not integers, or not one or one for each passage a row.

    Recommendations:
        - Use it with ``HybridBatchSampler``, which mixes monolingual and cross-lingual batches
          ([arXiv 2408.10536](https://arxiv.org/abs/2408.10536)).

    Relations:
        - ``MultipleNegativesRankingLoss`` is equal to this loss if no two labels of a batch are equal.
        - ``CachedHybridContrastiveLoss`` is equal to this loss, for larger batches in the same memory.

    Examples:
        ```python
        from datasets import Dataset
        from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer

        from beir_hybrid.training import HybridContrastiveLoss

        model = SentenceTransformer("intfloat/multilingual-e5-small")
        train_dataset = Dataset.from_dict({
            "question": ["Where does the river rise?", "Wo entspringt der Fluss?", "How long is it?"],
            "answer": ["It rises in the hills.", "Er entspringt in den Bergen.", "Ninety miles."],
            "label": [0, 0, 1],  # the German row answers the English one, too
        })
        loss = HybridContrastiveLoss(model)

        trainer = SentenceTransformerTrainer(model=model, train_dataset=train_dataset, loss=loss)
        trainer.train()
        ```
    """

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor | None) -> Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings: Of the anchors, the positives, and any hard negatives: a matrix a column, shape (B, D).
            labels: Number of each row's answer, shape (B,), or of it and of each of n hard negatives, shape (B, 1 + n);
                integers; or None.

        Returns:
            The loss, a scalar.
        """
        if labels is None:
            return super().compute_loss_from_embeddings(embeddings, labels)  # type: ignore[arg-type]  # not read
        with _same_labels_left_out(self, embeddings, labels) as numbered:
            return super().compute_loss_from_embeddings(numbered, labels)

    @property
    def citation(self) -> str:
        """BibTeX entries of the training recipe and of the loss beneath."""
        return _CITATION + super().citation


class CachedHybridContrastiveLoss(CachedMultipleNegativesRankingLoss):
    """``HybridContrastiveLoss`` with gradient caching: large batches in the memory of a small one.

    Embeds each mini-batch twice, first without gradients and then with those of the whole batch's loss (GradCache,
    [arXiv 2101.06983](https://arxiv.org/abs/2101.06983)). Inputs, labels and errors are those of
    ``HybridContrastiveLoss``, and so are the arguments but for

    Args:
        mini_batch_size: Rows that are embedded, and rows of scores that are computed, at once.
        mini_batch_num_tokens: Embed by this many tokens at once instead.
        show_progress_bar: Show a progress bar for the mini-batches.

    Recommendations:
        - A large `per_device_train_batch_size`, and a `mini_batch_size` that the memory holds.

    Relations:
        - Equal to ``HybridContrastiveLoss``, slower, for larger batches.
        - ``CachedMultipleNegativesRankingLoss`` is equal to this loss if no two labels of a batch are equal.

    Examples:
        ```python
        loss = CachedHybridContrastiveLoss(model, mini_batch_size=64)  # all else as with HybridContrastiveLoss
        ```
    """

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        """Compute the loss of a batch from the embeddings of its mini-batches.

        Args:
            reps: Of the anchors, the positives, and any hard negatives: the embeddings of each mini-batch.
            labels: As for ``HybridContrastiveLoss``.
            with_backward: Also add the gradients to the embeddings, mini-batch by mini-batch.

        Returns:
            The loss, a scalar; detached if ``with_backward``.
        """
        if labels is None:
            return super().calculate_loss(reps, labels, with_backward=with_backward)
        embeddings = [torch.cat(mini_batches) for mini_batches in reps]
        with _same_labels_left_out(self.loss, embeddings, labels) as numbered:
            return super().calculate_loss([[column] for column in numbered], labels, with_backward=with_backward)

    @property
    def citation(self) -> str:
        """BibTeX entries of the training recipe and of the loss beneath."""
        return _CITATION + super().citation


@contextmanager
def _same_labels_left_out(
    loss: MultipleNegativesRankingLoss, embeddings: Sequence[Tensor], labels: Tensor
) -> Iterator[list[Tensor]]:
    """Let a loss leave rows with equal labels out of each other's negatives; yield the embeddings to compute it of.

    The similarity function of the loss is replaced for the time being; ``embeddings`` and ``labels`` are those of
    ``compute_loss_from_embeddings``.
    """
    n_rows, n_negatives = len(embeddings[0]), len(embeddings) - 2
    _check(labels, n_rows, n_negatives)
    labels = labels.to(embeddings[0].device, torch.int64).reshape(n_rows, -1)
    first = 0
    if loss.gather_across_devices:
        first = get_rank() * n_rows
        labels = all_gather(labels)
    # Numbered passage by passage: all devices' answers, then all their first hard negatives, and so on.
    labels = labels.T
    numbers = torch.arange(1, labels.numel() + 1, device=labels.device).reshape(labels.shape)
    numbers[1:].masked_fill_(labels[1:] == ANSWERS_NOTHING, _UNLABELLED)
    answers, *negatives = numbers[:, first : first + n_rows]
    negatives = negatives or [torch.full_like(answers, _UNLABELLED)] * n_negatives
    columns = zip(embeddings, [answers, answers, *negatives], strict=True)
    attributes = vars(loss)
    own = attributes.get("similarity_fct")  # None where the user's function is a module: torch keeps those elsewhere
    attributes["similarity_fct"] = _LabelledSimilarity(loss.similarity_fct, labels.reshape(-1))
    try:
        yield [_numbered(column, number) for column, number in columns]
    finally:
        del attributes["similarity_fct"]
        if own is not None:
            attributes["similarity_fct"] = own


def _check(labels: Tensor, n_rows: int, n_negatives: int) -> None:
    integers = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if not integers or labels.shape not in {(n_rows,), (n_rows, 1 + n_negatives)}:
        kind = str(labels.dtype).removeprefix("torch.")
        hard = f" of {n_negatives} hard negatives" if n_negatives else ""
        raise DataError(
            f"labels name the answer of each row by an integer, but {n_rows} rows{hard} came with labels of type "
            f"{kind} and shape {tuple(labels.shape)}; make the column 'label' integers (lists of them for "
            "hard negatives, too), or take label and score columns out"
        )


class _LabelledSimilarity:
    """A similarity function of numbered embeddings; different numbers with equal labels have minus infinity.

    ``labels`` are those of the numbers 1, 2, ..., over all devices.
    """

    def __init__(self, similarity_fct: Callable[[Tensor, Tensor], Tensor], labels: Tensor) -> None:
        self.similarity_fct = similarity_fct
        self.labels = pad(labels, (1, 0))  # a place for _UNLABELLED

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the scores of two matrices of numbered embeddings, shape (len(a), len(b))."""
        (a, rows), (b, columns) = _split(a), _split(b)
        rows = rows[:, None]
        left_out = (self.labels[rows] == self.labels[columns]) & (rows != columns)
        left_out &= (rows != _UNLABELLED) & (columns != _UNLABELLED)
        return self.similarity_fct(a, b).masked_fill(left_out, -torch.inf)


def _numbered(embeddings: Tensor, numbers: Tensor) -> Tensor:
    """Append the digits of a number to each embedding, as columns of its own type."""
    digits = torch.stack([numbers // _BASE**place % _BASE for place in range(_DIGITS)], dim=1)
    return torch.cat([embeddings, digits.to(embeddings.dtype)], dim=1)


def _split(numbered: Tensor) -> tuple[Tensor, Tensor]:
    """Return the embeddings and their numbers."""
    digits = numbered[:, -_DIGITS:].detach().to(torch.int64)
    return numbered[:, :-_DIGITS], sum(digits[:, place] * _BASE**place for place in range(_DIGITS))
