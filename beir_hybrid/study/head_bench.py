"""Many heads on one frozen encoder: trained and evaluated in one process, on embeddings that are looked up.

The weights are those that `beir-hybrid train --tune head` gives; what is saved is the head alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers.sentence_transformer.modules import Dense
from transformers import set_seed

from beir_hybrid.finetune.head import fill_embeddings, head_model
from beir_hybrid.finetune.recipe import Recipe, RunOptions
from beir_hybrid.finetune.run_data import data_of
from beir_hybrid.finetune.run_trainer import build_arguments, build_trainer, last_losses
from beir_hybrid.finetune.safeguards import check_finite
from beir_hybrid.models.base import Base, training_prompts
from beir_hybrid.training.mining import mine
from beir_hybrid.training.parallel_pairs import ParallelPairs

_OPTIONS = RunOptions(save_steps=None, quiet=True)


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
        self.model = head_model(base.load(max_length=max_length), base.revision)
        self._mined: WeakKeyDictionary[ParallelPairs, dict[int, ParallelPairs]] = WeakKeyDictionary()

    def embed(self, texts: Mapping[str, Iterable[str]], progress: bool) -> None:
        """Embed texts (``question`` and ``answer`` -> texts) that never were, and keep all of them in memory."""
        for column, prompt in training_prompts(self.model).items():
            fill_embeddings(self.model, prompt, texts[column], progress=progress)

    def reset(self) -> None:
        """Make the head the identity, so that the model is the encoder itself."""
        self.set_matrix(np.eye(len(self._matrix), dtype=np.float32))

    def matrix(self) -> NDArray[np.float32]:
        """Return a copy of the matrix of the head as it is now, shape (dimensions, dimensions)."""
        copy: NDArray[np.float32] = self._matrix.detach().cpu().numpy().copy()
        return copy

    def set_matrix(self, matrix: NDArray[np.float32]) -> None:
        """Make a matrix, shape (dimensions, dimensions), the head's."""
        with torch.no_grad():
            self._matrix.copy_(torch.from_numpy(matrix))

    def train(self, parts: Sequence[ParallelPairs], recipe: Recipe) -> dict[str, float]:
        """Train the head from the identity on sources of pairs; those that the recipe names are not read.

        Returns:
            Each loss as it was last logged.

        Raises:
            BeirHybridError: There are too few pairs for a batch, or the loss is not finite.
        """
        self.reset()
        data = data_of([self._with_negatives(part, recipe.mine) for part in parts], recipe)
        set_seed(recipe.seed)
        with tempfile.TemporaryDirectory() as folder:
            arguments = build_arguments(Path(folder), recipe, _OPTIONS)
            trainer = build_trainer(self.model, self._base, data, recipe, arguments, quiet=True)
            trainer.train()
        check_finite(self.model, trainer.state.global_step)
        return last_losses(trainer)

    def _with_negatives(self, part: ParallelPairs, k: int | None) -> ParallelPairs:
        """Return a source with the hard negatives that the encoder finds, once for all trainings; None finds none."""
        if k is None:
            return part
        of_part = self._mined.setdefault(part, {})
        if k not in of_part:
            of_part[k] = mine(part, self.model, k, progress=False).pairs
        return of_part[k]

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
