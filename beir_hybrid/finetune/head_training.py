"""Trains a head on stored embeddings in memory, without an output folder: one after the other on one encoder."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import set_seed

from beir_hybrid.finetune.head import matrix_of, set_matrix
from beir_hybrid.finetune.recipe import Recipe, RunOptions
from beir_hybrid.finetune.run_trainer import build_arguments, build_trainer, last_losses
from beir_hybrid.finetune.safeguards import check_finite
from beir_hybrid.finetune.start import interpolated

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

    from beir_hybrid.finetune.run_data import TrainingData
    from beir_hybrid.models.base import Base

_OPTIONS = RunOptions(save_steps=None, quiet=True)


def train_head(
    model: SentenceTransformer, base: Base, data: TrainingData, recipe: Recipe, start: NDArray[np.float32]
) -> dict[str, float]:
    """Train the head of what `head_model` returned, as `beir-hybrid train --tune head` does.

    Args:
        model: The base's stored embeddings, and the head; whatever the head is, it is trained from ``start``.
        base: Where the encoder came from.
        data: The training data; the sources that the recipe names are not read.
        recipe: The settings, with the interpolation that the head ends with.
        start: The matrix to start from, shape (dimensions, dimensions).

    Returns:
        Each loss as it was last logged.

    Raises:
        TrainingError: The loss or the weights are not finite.
    """
    set_seed(recipe.seed)
    set_matrix(model, start)
    with tempfile.TemporaryDirectory() as folder:
        arguments = build_arguments(Path(folder), recipe, _OPTIONS)
        trainer = build_trainer(model, base, data, recipe, arguments, quiet=True)
        trainer.train()
    check_finite(model, trainer.state.global_step)
    set_matrix(model, interpolated(start, matrix_of(model), recipe.interpolation))
    return last_losses(trainer)
