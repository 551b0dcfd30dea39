"""The training data of a run: what its sources are, and the checks that they fit the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beir_hybrid.finetune.recipe import Recipe, TrainingError
from beir_hybrid.training.pairs import ParallelPairs, pair_datasets, read_source
from beir_hybrid.training.sampler import pair_languages

if TYPE_CHECKING:
    from datasets import DatasetDict


@dataclass(frozen=True)
class TrainingData:
    """The training data of a run: its sources, and language pair, question language first, -> its rows."""

    parts: Sequence[ParallelPairs]
    pairs: DatasetDict

    @property
    def languages(self) -> list[str]:
        """Languages of all sources."""
        return list(dict.fromkeys(language for part in self.parts for language in part.languages))

    def facts(self) -> list[dict[str, Any]]:
        """Return what a manifest says of the sources."""
        return [
            {
                "source": public_name(part.source),
                "revision": part.revision,
                "languages": list(part.languages),
                "rows": len(part.labels),
                "training_datasets": sorted(part.training_datasets),
            }
            for part in self.parts
        ]


def read_data(recipe: Recipe, processes: int, progress: bool = True) -> TrainingData:
    """Read the sources of a recipe for a number of processes, each with a batch of its own.

    Raises:
        DataError: A source is missing or malformed.
        TrainingError: As for `data_of`.
    """
    return data_of([read_source(source, recipe.languages, progress) for source in recipe.data], recipe, processes)


def data_of(parts: Sequence[ParallelPairs], recipe: Recipe, processes: int = 1) -> TrainingData:
    """Make training data of sources that were read.

    Raises:
        TrainingError: There are no pairs of a kind that batches are to be made of, or too few to fill a batch.
    """
    pairs = pair_datasets(parts, recipe.batching, recipe.negatives)
    monolingual = {question == answer for question, answer in map(pair_languages, pairs)}
    for setting, kind, share in (("monolingual", True, recipe.alpha), ("cross-lingual", False, 1 - recipe.alpha)):
        if share and kind not in monolingual:
            raise TrainingError(
                f"the data have no {setting} pair: choose more --languages, other --data or another --batching"
            )
    smallest = min(pairs, key=lambda name: len(pairs[name]))
    rows = recipe.batch_size * processes
    if len(pairs[smallest]) < rows:
        raise TrainingError(
            f"{smallest} has {len(pairs[smallest])} pairs, fewer than one step's {rows}: lower --batch-size, "
            "or choose other --languages"
        )
    return TrainingData(parts, pairs)


def public_name(name: str) -> str:
    """Return a source's name without the folders in front of it."""
    path = Path(name).expanduser()
    return path.name if path.exists() else name
