"""The trainer of a run: its arguments, its loss and its callbacks, from a recipe."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments
from sentence_transformers.base.modules import Router
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from torch import Tensor
from transformers import PrinterCallback
from transformers.integrations import get_available_reporting_integrations

from beir_hybrid.corpora import choose_languages
from beir_hybrid.errors import BeirHybridError, one_line
from beir_hybrid.finetune.model_card import prepare_card
from beir_hybrid.finetune.recipe import Recipe, RunOptions, TrainingError
from beir_hybrid.finetune.run_data import TrainingData
from beir_hybrid.finetune.run_folder import RunFolder
from beir_hybrid.finetune.safeguards import Safeguards, saving_to
from beir_hybrid.models.base import Base, training_prompts
from beir_hybrid.training.evaluator import MultilingualRetrievalEvaluator
from beir_hybrid.training.loss import CachedHybridContrastiveLoss, HybridContrastiveLoss
from beir_hybrid.training.sampler import HybridBatchSampler
from beir_hybrid.training.trainer import LOSSES, HybridTrainer

_CHECKPOINTS_KEPT = 2
_LOG_SHARE = 0.05
_ROUTES = {"question": "query", "answer": "document"}
"""Column -> the route that it takes through a Router, that of `encode_query` and `encode_document`."""

logger = logging.getLogger(__name__)


class _Trainer(HybridTrainer):
    """Says in one line what a run can fail from, and evaluates without the random numbers of training."""

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """Take a step; a base whose modules cannot be trained shows in the first one."""
        try:
            return super().training_step(*args, **kwargs)
        except (BeirHybridError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # each module has its own errors
            if self.state.global_step:
                raise
            logger.debug("The first step failed", exc_info=True)
            raise TrainingError(f"the base cannot be trained like this: {one_line(error)}") from error

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        # Without names, every process would open every GPU.
        with torch.random.fork_rng([self.args.device] if self.args.device.type == "cuda" else []):
            return super().evaluate(*args, **kwargs)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        with saving_to(RunFolder.of_checkpoints(self.args.output_dir)):
            super()._save_checkpoint(*args, **kwargs)


def build_arguments(output: Path, recipe: Recipe, options: RunOptions) -> SentenceTransformerTrainingArguments:
    """Return the trainer's arguments, without the prompts: those are the base's, which is not loaded yet.

    Raises:
        TrainingError: The hardware lacks the precision, or a tracker is not installed.
        DataError: There is no such corpus to evaluate on.
    """
    if options.evaluate:
        choose_languages(options.evaluate)
    trackers = [word.strip() for word in options.report_to.split(",") if word.strip()]
    missing = set(trackers) - set(get_available_reporting_integrations())
    if missing:
        raise TrainingError(f"--report-to {min(missing)}: the trainer knows no such tracker, or it is not installed")
    try:
        return SentenceTransformerTrainingArguments(
            output_dir=str(output),
            **settings_of_recipe(recipe),
            eval_strategy="steps" if options.evaluate else "no",
            eval_steps=_interval(options.eval_steps, recipe.steps),
            save_strategy="no" if options.save_steps is None else "steps",
            save_steps=_interval(options.save_steps or 1, recipe.steps),
            save_total_limit=_CHECKPOINTS_KEPT,
            report_to=trackers or "none",
            disable_tqdm=options.quiet or not sys.stderr.isatty(),
        )
    except ValueError as error:  # a precision that the hardware lacks
        raise TrainingError(f"these settings do not work here: {' '.join(str(error).split())}") from error


def settings_of_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return the trainer's arguments that follow from a recipe: all that the weights depend on, and the log's."""
    accelerated = getattr(torch, "accelerator", torch.cuda).is_available()
    return {
        "max_steps": recipe.steps or -1,
        "num_train_epochs": recipe.epochs or 1.0,
        "per_device_train_batch_size": recipe.batch_size,
        "learning_rate": recipe.learning_rate,
        "weight_decay": recipe.weight_decay,
        "warmup_steps": int(recipe.warmup) if recipe.warmup >= 1 else recipe.warmup,
        "seed": recipe.seed,
        "bf16": recipe.precision == "bf16",
        "fp16": recipe.precision == "fp16",
        "multi_dataset_batch_sampler": HybridBatchSampler.options(
            alpha=recipe.alpha, tau=recipe.tau, cross_lingual=recipe.pairing
        ),
        # Batches of one size: the same number of wrong answers for every question.
        "dataloader_drop_last": True,
        "dataloader_pin_memory": accelerated,
        "logging_steps": _interval(_LOG_SHARE, recipe.steps),
        "logging_nan_inf_filter": False,
        "use_cpu": not accelerated,
    }


def _interval(number: float, steps: int | None) -> float:
    """Return an interval in steps, or as the share of all steps where their number is not known yet."""
    if number >= 1:
        return int(number)
    return number if steps is None else math.ceil(number * steps)


def open_evaluator(options: RunOptions) -> MultilingualRetrievalEvaluator | None:
    """Return what evaluates during a run. Its corpus is read now: what is wrong with it is said before the training."""
    if not options.evaluate:
        return None
    evaluator = MultilingualRetrievalEvaluator(options.evaluate, max_questions=options.eval_questions)
    _ = evaluator.corpus
    return evaluator


def build_trainer(
    model: SentenceTransformer,
    start: Base,
    data: TrainingData,
    recipe: Recipe,
    arguments: SentenceTransformerTrainingArguments,
    evaluator: MultilingualRetrievalEvaluator | None = None,
    quiet: bool = False,
) -> HybridTrainer:
    """Return the trainer of a run.

    Args:
        model: What is trained: the base itself or, for a head, what stands in for it.
        start: Where it came from.
        data: The training data.
        recipe: The settings.
        arguments: What `build_arguments` returned; gets the prompts and routes of the model.
        evaluator: Evaluates during the run.
        quiet: Whether to show no log.

    Raises:
        TrainingError: The model cannot be trained like this.
    """
    _check_trainable(model, start, recipe)
    prepare_card(model, start, data.languages)
    arguments.prompts = _by_column(training_prompts(model), data.columns)
    arguments.router_mapping = _by_column(_ROUTES, data.columns) if _has_routes(model) else {}
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=data.pairs,
        loss=_loss(model, recipe),
        evaluator=evaluator,
        callbacks=[Safeguards()],
    )
    if quiet:
        trainer.remove_callback(PrinterCallback)
    return trainer


def last_losses(trainer: HybridTrainer) -> dict[str, float]:
    """Return each loss as it was last logged; a kind of batches that did not occur has none."""
    logged = {name: value for entry in trainer.state.log_history for name, value in entry.items()}
    return {name: logged[name] for name in ("loss", *LOSSES) if name in logged}


def _by_column(settings: Mapping[str, str], columns: Sequence[str]) -> dict[str, str]:
    """Return what is set for each column: hard negatives are treated as the answers that they are taken for."""
    return {column: settings.get(column, settings["answer"]) for column in columns}


def _has_routes(model: SentenceTransformer) -> bool:
    return any(isinstance(module, Router) for module in model.modules())


def _check_trainable(model: SentenceTransformer, start: Base, recipe: Recipe) -> None:
    """Refuse what the trainer would only find out in its first step."""
    if not any(weights.requires_grad for weights in model.parameters()):
        raise TrainingError(
            f"--base {start.name} has no weights that can be trained (those of an adapter's folder are frozen): "
            "merge the adapter into its base, or train a head, --tune head"
        )
    if recipe.mini_batch_size is not None and any(isinstance(module, StaticEmbedding) for module in model.modules()):
        raise TrainingError(
            f"--gradient-cache: {start.name} is a static model, which needs no memory for large batches"
        )
    try:
        for task in _ROUTES.values() if _has_routes(model) else ():
            model.preprocess(["text"], task=task)
    except ValueError as error:
        raise TrainingError(f"--base {start.name} has no route for questions and answers: {one_line(error)}") from error


def _loss(model: SentenceTransformer, recipe: Recipe) -> HybridContrastiveLoss | CachedHybridContrastiveLoss:
    scale, gather, cached = 1 / recipe.temperature, recipe.gather, recipe.mini_batch_size
    if cached is None:
        return HybridContrastiveLoss(model, scale=scale, gather_across_devices=gather)
    return CachedHybridContrastiveLoss(model, scale=scale, mini_batch_size=cached, gather_across_devices=gather)
