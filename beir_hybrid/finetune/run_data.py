"""The training data of a run: what its sources are, and the checks that they fit the recipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beir_hybrid.finetune.recipe import Recipe, TrainingError
from beir_hybrid.training.batching import pair_languages
from beir_hybrid.training.mining import check_minable
from beir_hybrid.training.pairs import ParallelPairs, pair_datasets, read_source

if TYPE_CHECKING:
    from datasets import DatasetDict


@dataclass(frozen=True)
class TrainingData:
    """The training data of a run: its sources, and language pair, question language first, -> its rows."""

    parts: Sequence[ParallelPairs]
    pairs: DatasetDict

    @property
    def columns(self) -> list[str]:
        """Columns of texts: question, answer, and those of hard negatives."""
        names = next(iter(self.pairs.values())).column_names
        return [name for name in names if name != "label"]

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
                **({"negatives": part.n_negatives} if part.n_negatives else {}),
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
    parts = [read_source(source, recipe.languages, progress) for source in recipe.data]
    if recipe.mine is not None:
        for part in parts:
            check_minable(part, recipe.mine)
    return data_of(parts, recipe, processes)


def data_of(parts: Sequence[ParallelPairs], recipe: Recipe, processes: int = 1) -> TrainingData:
    """Make training data of sources that were read; with hard negatives, where they have any and the recipe wants them.

    Raises:
        DataError: The sources have not equally many hard negatives.
        TrainingError: There are no pairs of a kind that batches are to be made of, too few to fill a batch, or no hard
            negatives, and the recipe says of which language they are to be.
    """
    if recipe.negatives == "none":
        parts = [replace(part, negatives={}) for part in parts]
    elif recipe.negatives != "answer" and recipe.mine is None and not any(part.n_negatives for part in parts):
        names = ", ".join(public_name(part.source) for part in parts)
        raise TrainingError(f"--negatives {recipe.negatives}: {names} has no hard negatives; find some with --mine 4")
    pairs = pair_datasets(parts, recipe.batching, recipe.negatives)
    if recipe.alpha is not None:
        monolingual = {question == answer for question, answer in map(pair_languages, pairs)}
        for setting, kind, share in (("monolingual", True, recipe.alpha), ("cross-lingual", False, 1 - recipe.alpha)):
            if share and kind not in monolingual:
                raise TrainingError(
                    f"the data have no {setting} pair: choose more --languages, other --data or another --batching"
                )
    _check_size(pairs, recipe, processes)
    return TrainingData(parts, pairs)


def _check_size(pairs: DatasetDict, recipe: Recipe, processes: int) -> None:
    """Raise TrainingError if the rows of a pair, or of those whose rows are mixed, do not make a step."""
    sizes: Counter[str] = Counter()
    for name, rows in pairs.items():
        question_language, answer_language = pair_languages(name)
        if recipe.batching == "mixed":
            sizes["the data"] += len(rows)
        elif recipe.pairing == "mixed" and question_language != answer_language:
            sizes["all cross-lingual pairs together"] += len(rows)
        else:
            sizes[name] += len(rows)
    smallest = min(sizes, key=lambda name: sizes[name])
    step = recipe.batch_size * processes
    if sizes[smallest] < step:
        has = "have" if " " in smallest else "has"
        raise TrainingError(
            f"{smallest} {has} {sizes[smallest]} pairs, fewer than one step's {step}: lower --batch-size, "
            "or choose other --languages"
        )


def public_name(name: str) -> str:
    """Return a source's name without the folders in front of it: ``beir:faq`` of ``beir:/home/me/faq``."""
    prefix, separator, rest = name.rpartition(":")
    path = Path(rest).expanduser()
    return f"{prefix}{separator}{path.name}" if path.exists() else name
