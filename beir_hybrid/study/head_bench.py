"""Many heads on one frozen encoder: trained and evaluated in one process, on embeddings that are looked up.

The weights are those that `beir-hybrid train --tune head` gives; what is saved is the head alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from sentence_transformers.sentence_transformer.modules import Dense

from beir_hybrid.finetune.head import fill_embeddings, head_model, matrix_of, set_matrix
from beir_hybrid.finetune.head_training import train_head
from beir_hybrid.finetune.recipe import Recipe
from beir_hybrid.finetune.run_data import data_of
from beir_hybrid.finetune.start import Start, find_start, start_matrix
from beir_hybrid.models.base import Base, training_prompts
from beir_hybrid.training.mining import mine
from beir_hybrid.training.parallel_pairs import ParallelPairs


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
        self._starts: dict[str, Start] = {}
        self.model = head_model(base.load(max_length=max_length), base.revision)
        self._mined: dict[tuple[object, ...], ParallelPairs] = {}

    def embed(self, texts: Mapping[str, Iterable[str]], progress: bool) -> None:
        """Embed texts (``question`` and ``answer`` -> texts) that never were, and keep all of them in memory."""
        for column, prompt in training_prompts(self.model).items():
            fill_embeddings(self.model, prompt, texts[column], progress=progress)

    def reset(self) -> None:
        """Make the head the identity, so that the model is the encoder itself."""
        self.set_matrix(np.eye(len(self.matrix()), dtype=np.float32))

    def matrix(self) -> NDArray[np.float32]:
        """Return a copy of the matrix of the head as it is now, shape (dimensions, dimensions)."""
        return matrix_of(self.model)

    def set_matrix(self, matrix: NDArray[np.float32]) -> None:
        """Make a matrix, shape (dimensions, dimensions), the head's."""
        set_matrix(self.model, matrix)

    def start_matrix(self, parts: Sequence[ParallelPairs], recipe: Recipe) -> NDArray[np.float32]:
        """Return the matrix that a recipe's head starts as, shape (dimensions, dimensions); the head stays as it is.

        Raises:
            BeirHybridError: There is no such start, it stands behind another base, or cannot be fitted on the answers.
        """
        start = self._starts.get(recipe.start) or find_start(recipe.start, self._base)
        self._starts[recipe.start] = start
        return start_matrix(start, self.model, parts)

    def fit(self, method: str, parts: Sequence[ParallelPairs]) -> None:
        """Make the head a map that takes the language out of embeddings, fitted on answers; nothing is trained.

        Args:
            method: ``projection`` or ``leace``.
            parts: The sources of pairs that the answers are of.
        """
        self.set_matrix(start_matrix(find_start(method, self._base), self.model, parts))

    def train(self, parts: Sequence[ParallelPairs], recipe: Recipe) -> dict[str, float]:
        """Train the head from the recipe's start on sources of pairs; those that the recipe names are not read.

        It ends between the start and what was trained, as the recipe's interpolation says. To look at other
        interpolations, train with 1 and combine `start_matrix` and `matrix` with
        `beir_hybrid.finetune.start.interpolated`.

        Returns:
            Each loss as it was last logged.

        Raises:
            BeirHybridError: The start cannot be used, there are too few pairs for a batch, or the loss is not finite.
        """
        start = self.start_matrix(parts, recipe)
        data = data_of([self._with_negatives(part, recipe.mine) for part in parts], recipe)
        return train_head(self.model, self._base, data, recipe, start)

    def _with_negatives(self, part: ParallelPairs, k: int | None) -> ParallelPairs:
        """Return a source with the hard negatives that the encoder finds, once for all trainings; None finds none."""
        if k is None:
            return part
        key = (k, part.source, part.revision, part.languages, part.labels.tobytes())  # of a split, its rows
        if key not in self._mined:
            self.reset()
            self._mined[key] = mine(part, self.model, k, progress=False).pairs
        return self._mined[key]

    def save(self, folder: Path) -> None:
        """Save the head, without the encoder, into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        cast(Dense, self.model[1]).save(str(folder))

    def load(self, folder: Path) -> None:
        """Load a saved head."""
        self.set_matrix(Dense.load(str(folder)).linear.weight.detach().numpy())
