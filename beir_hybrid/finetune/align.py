"""What `beir-hybrid debias --method align` fits: a head that starts as the projection and is trained on translations.

The projection takes out the directions in which the languages' means differ. The head starts there and is trained on
batches of sentences and their translations, whose rows are of many pairs of languages; what is kept of it lies between
the projection and the trained matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from beir_hybrid.debias.maps import AffineMap, DebiasError, Projection
from beir_hybrid.debias.sentences import Sentences
from beir_hybrid.files import shown
from beir_hybrid.finetune.head import fill_embeddings, matrix_of
from beir_hybrid.finetune.head_training import train_head
from beir_hybrid.finetune.recipe import Recipe, make_recipe
from beir_hybrid.finetune.run_data import data_of
from beir_hybrid.models.base import Base, training_prompts

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

METHOD = "align"
"""What a user calls it."""

INTERPOLATION = 0.5
"""Share of the way from the projection to the trained head by default; docs/debias.md says why it is not chosen."""

SETTINGS: Mapping[str, Any] = {
    "tune": "head",
    "start": Projection.method,
    "batching": "cross-lingual",
    "steps": 500,
    "batch_size": 64,
    "learning_rate": 1e-4,
    "temperature": 0.1,
    "seed": 0,
}
"""The recipe of the head, but for its data and the interpolation."""


@dataclass(frozen=True)
class FittedLayer:
    """A map, and what it was trained with, if it was.

    Attributes:
        layer: The map.
        recipe: The recipe of its training; None for a map that was fitted only.
        pairs: Pair of languages -> its rows.
        losses: Name -> mean over the last logged steps.
    """

    layer: AffineMap
    recipe: Recipe | None = None
    pairs: Mapping[str, int] = field(default_factory=dict)
    losses: Mapping[str, float] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Number of optimiser steps."""
        return (self.recipe.steps or 0) if self.recipe else 0

    def settings(self) -> dict[str, Any]:
        """Return the settings of its training as JSON has them."""
        return self.recipe.facts() if self.recipe else {}


def align(
    model: SentenceTransformer,
    base: Base,
    sentences: Sentences,
    projection: AffineMap,
    recipe: Recipe,
    progress: bool = False,
) -> FittedLayer:
    """Train a head from the projection on sentences and their translations.

    Args:
        model: What `beir_hybrid.finetune.head.head_model` returned; its head is another one afterwards.
        base: The encoder that it stands for.
        sentences: Parallel sentences.
        projection: What the head starts as.
        recipe: What `alignment_recipe` returned.
        progress: Whether to show a bar where sentences are embedded.

    Raises:
        TrainingError: There are too few sentences, or the loss is not finite.
    """
    fill_embeddings(model, training_prompts(model)["question"], chain(*sentences.texts.values()), progress)
    data = data_of([sentences.as_translations()], recipe)
    losses = train_head(model, base, data, recipe, np.ascontiguousarray(projection.matrix.T, np.float32))
    layer = AffineMap(projection.normalize, projection.languages, matrix_of(model).T)
    return FittedLayer(layer, recipe, {name: len(rows) for name, rows in data.pairs.items()}, losses)


def alignment_recipe(sentences: Sentences, interpolation: float | None = None) -> Recipe:
    """Return the recipe of a head on parallel sentences: `SETTINGS`, with smaller batches where they are few.

    Args:
        sentences: The sentences.
        interpolation: Share of the way from the projection to the trained head; `INTERPOLATION` by default.

    Raises:
        DebiasError: The sentences are not parallel.
        TrainingError: The interpolation is out of range.
    """
    if not sentences.parallel:
        raise DebiasError(
            f"{METHOD} trains on translations, and {shown(sentences.source)} is not said to hold any: add --parallel "
            "if line i of every file is the same sentence"
        )
    share = INTERPOLATION if interpolation is None else interpolation
    recipe = make_recipe(data=(sentences.source,), languages=tuple(sentences.texts), interpolation=share, **SETTINGS)
    languages = len(sentences.texts)
    rows = languages * (languages - 1) * len(next(iter(sentences.texts.values())))
    return replace(recipe, batch_size=max(1, min(recipe.batch_size, rows)))
