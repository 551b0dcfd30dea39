"""Many heads on one frozen encoder: trained and evaluated in one process, on embeddings that are looked up.

The weights are those that `beir-hybrid train --tune head` gives; what is saved is the head alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.modules import Dense
from transformers import PrinterCallback, set_seed

from beir_hybrid.finetune.head import fill_embeddings, head_model
from beir_hybrid.finetune.model_card import prepare_card
from beir_hybrid.finetune.recipe import Recipe
from beir_hybrid.finetune.run_trainer import settings_of_recipe
from beir_hybrid.finetune.safeguards import Safeguards, check_finite
from beir_hybrid.models.base import Base, training_prompts
from beir_hybrid.study.definition import StudyError
from beir_hybrid.training.loss import HybridContrastiveLoss
from beir_hybrid.training.pairs import pair_datasets
from beir_hybrid.training.parallel_pairs import ParallelPairs
from beir_hybrid.training.trainer import HybridTrainer

_LOSSES = ("loss", "monolingual_loss", "cross_lingual_loss")


class HeadBench:
    """A frozen encoder and one head, which is trained, loaded and taken back to the identity again and again.

    Args:
        base: The encoder.
        max_length: Tokens after which texts are cut; None for the encoder's own limit.

    Attributes:
        model: The encoder's stored embeddings with the head as it is now.
    """

    def __init__(self, base: Base, max_length: int | None) -> None:
        self._base = base
        encoder = base.load(max_length=max_length)
        self._prompts = training_prompts(encoder)
        self.model = head_model(encoder, base.revision)

    def embed(self, texts: Mapping[str, Iterable[str]], progress: bool) -> None:
        """Embed texts that were never embedded, and keep all of them in memory.

        Args:
            texts: ``question`` and ``answer`` -> texts.
            progress: Whether to show a bar.
        """
        for column, of_column in texts.items():
            fill_embeddings(self.model, self._prompts[column], of_column, progress=progress)

    def reset(self) -> None:
        """Make the head the identity, so that the model is the encoder itself."""
        self.set_matrix(np.eye(len(self._matrix), dtype=np.float32))

    def matrix(self) -> NDArray[np.float32]:
        """Return a copy of the matrix of the head as it is now, shape (dimensions, dimensions)."""
        copy: NDArray[np.float32] = self._matrix.detach().cpu().numpy().copy()
        return copy

    def set_matrix(self, matrix: NDArray[np.float32]) -> None:
        """Make a matrix the head's.

        Args:
            matrix: Shape (dimensions, dimensions).
        """
        with torch.no_grad():
            self._matrix.copy_(torch.from_numpy(matrix))

    def train(self, parts: Sequence[ParallelPairs], recipe: Recipe) -> dict[str, float]:
        """Train the head from the identity.

        Args:
            parts: The sources of the pairs; those that the recipe names are not read.
            recipe: All other settings.

        Returns:
            Each loss as it was last logged.

        Raises:
            BeirHybridError: There are too few pairs for a batch, or the loss is not finite.
        """
        pairs = pair_datasets(parts, recipe.batching)
        smallest = min(pairs, key=lambda name: len(pairs[name]))
        if len(pairs[smallest]) < recipe.batch_size:
            raise StudyError(
                f"{smallest} has {len(pairs[smallest])} pairs, fewer than a batch of {recipe.batch_size}: lower "
                "batch_size, or choose other languages"
            )
        set_seed(recipe.seed)
        self.reset()
        prepare_card(self.model, self._base, [language for part in parts for language in part.languages])
        with tempfile.TemporaryDirectory() as folder:
            trainer = HybridTrainer(
                model=self.model,
                args=SentenceTransformerTrainingArguments(
                    output_dir=folder,
                    **settings_of_recipe(recipe),
                    prompts=dict(self._prompts),
                    save_strategy="no",
                    report_to="none",
                    disable_tqdm=True,
                ),
                train_dataset=pairs,
                loss=HybridContrastiveLoss(self.model, scale=1 / recipe.temperature),
                callbacks=[Safeguards()],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        check_finite(self.model, trainer.state.global_step)
        logged = {name: value for entry in trainer.state.log_history for name, value in entry.items()}
        return {name: logged[name] for name in _LOSSES if name in logged}

    def save(self, folder: Path) -> None:
        """Save the head, without the encoder, into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self._head.save(str(folder))

    def load(self, folder: Path) -> None:
        """Load a saved head."""
        self.set_matrix(Dense.load(str(folder)).linear.weight.detach().numpy())

    @property
    def _head(self) -> Dense:
        return cast(Dense, self.model[1])

    @property
    def _matrix(self) -> torch.Tensor:
        return self._head.linear.weight
