"""A trainer that logs the losses of monolingual, of cross-lingual and of mixed batches apart."""

from __future__ import annotations

import logging
from typing import Any

import torch
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from sentence_transformers.base.model import BaseModel
from torch import Tensor, nn
from torch.utils.data import BatchSampler

from beir_hybrid.errors import DataError
from beir_hybrid.training.batch_names import by_dataset, names_of
from beir_hybrid.training.batching import pair_languages
from beir_hybrid.training.loss import HybridContrastiveLoss
from beir_hybrid.training.sampler import HybridBatchSampler

logger = logging.getLogger(__name__)

LOSSES = ("monolingual_loss", "cross_lingual_loss", "mixed_loss")
"""What is logged of each kind of batches: those of one language, of pairs of two, and with rows of both."""


class HybridTrainer(SentenceTransformerTrainer):
    """``SentenceTransformerTrainer`` whose log tells the losses of the kinds of batches apart.

    Wherever ``loss`` is logged (console, log history, TensorBoard, W&B), ``monolingual_loss``, ``cross_lingual_loss``
    and ``mixed_loss`` stand beside it: the mean losses of the batches of each kind since the last log, over all
    processes; mixed are those with rows of either kind. A kind that did not occur is left out. The kind is read from
    the names of the training data sets, "en-en" or "en-de"; batches of a data set with another name count in ``loss``
    only. A training on the same data gives the same weights as with ``SentenceTransformerTrainer``.

    Evaluation losses are those of ``SentenceTransformerTrainer``: one for each data set, ``eval_en-de_loss``.

    Args are those of ``SentenceTransformerTrainer``; ``loss`` is ``HybridContrastiveLoss`` by default.

    Raises:
        DataError: When training begins, if prompts, router mappings or losses are given by data set, and a batch has
            rows of several data sets.

    Examples:
        ```python
        from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments

        from beir_hybrid.training import HybridBatchSampler, HybridTrainer, load_pairs

        trainer = HybridTrainer(
            model=SentenceTransformer("intfloat/multilingual-e5-small"),
            args=SentenceTransformerTrainingArguments(
                "output", multi_dataset_batch_sampler=HybridBatchSampler.options(alpha=0.5)
            ),
            train_dataset=load_pairs("mlqa-r"),
        )
        trainer.train()
        ```
    """

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train; see ``transformers.Trainer``."""
        # A row for each of LOSSES: sum and number of the losses of its batches since the last log. They stay on the
        # device, so that no step waits for them.
        self._losses = torch.zeros(len(LOSSES), 2, device=self.args.device)
        return super().train(*args, **kwargs)

    def compute_loss(  # type: ignore[override]  # as the parent's
        self,
        model: BaseModel,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor | tuple[Tensor, dict[str, Any]]:
        """Compute the loss of a batch and, in training, remember it for the log."""
        kind = _kind_of(inputs.get("dataset_name"))  # super() takes the name out
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if self.is_in_train and model.training and isinstance(loss, Tensor) and kind is not None:
            self._remember(kind, loss.detach().mean())
        return loss

    def _remember(self, kind: str, loss: Tensor) -> None:
        counted = torch.isfinite(loss) if self.args.logging_nan_inf_filter else torch.ones_like(loss, dtype=torch.bool)
        self._losses[LOSSES.index(kind)] += torch.stack([loss.where(counted, 0), counted]).to(self._losses)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with the losses of the kinds of batches beside the loss."""
        if self.is_in_train and "loss" in logs:
            logs = {"loss": logs["loss"], **self._mean_losses(), **logs}
        super().log(logs, start_time)

    def _mean_losses(self) -> dict[str, float]:
        """Average the losses since the last log over the batches of all processes, and start anew."""
        totals = self.accelerator.reduce(self._losses, reduction="sum").tolist()
        self._losses.zero_()
        return {kind: total / number for kind, (total, number) in zip(LOSSES, totals, strict=True) if number}

    def get_multi_dataset_batch_sampler(self, *args: Any, **kwargs: Any) -> BatchSampler:
        """Return the batch sampler, as the parent; settings by data set are refused where it mixes data sets."""
        sampler = super().get_multi_dataset_batch_sampler(*args, **kwargs)
        if not isinstance(sampler, HybridBatchSampler):
            return sampler
        mixed = {sampler.pairs[place] for group in sampler.groups if len(group) > 1 for place in group}
        settings = {"prompts": self.args.prompts, "router_mapping": self.args.router_mapping, "loss": self.loss}
        for name, setting in settings.items():
            if isinstance(setting, dict) and mixed & setting.keys():
                raise by_dataset(name, mixed)
        return sampler

    def should_dataset_name_column_be_added(self, dataset: Any, args: Any, loss: Any) -> bool:
        """Let every batch of several data sets say which one it is from."""
        return isinstance(dataset, dict) or super().should_dataset_name_column_be_added(dataset, args, loss)

    def get_default_loss(self, model: SentenceTransformer) -> nn.Module:  # type: ignore[override]  # as the parent's
        """Return a ``HybridContrastiveLoss``."""
        logger.info("No `loss` passed, using `HybridContrastiveLoss` as a default option.")
        return HybridContrastiveLoss(model)


def _kind_of(name: str | None) -> str | None:
    """Return which of LOSSES a batch belongs to; None if what its name says is not a pair of languages."""
    try:
        pairs = [pair_languages(pair) for pair in names_of(name or "")]
    except DataError:
        return None
    monolingual, cross_lingual, mixed = LOSSES
    kinds = {monolingual if question == answer else cross_lingual for question, answer in pairs}
    return mixed if len(kinds) > 1 else kinds.pop()
