"""A model's folder: the model, its card, the manifest of what it was made of, and the fingerprints of the texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beir_hybrid.files import sha256_of
from beir_hybrid.finetune.model_card import add_section
from beir_hybrid.models.base import Base, forget_last_call
from beir_hybrid.models.manifest import TrainingManifest, package_versions
from beir_hybrid.overlap import fingerprints
from beir_hybrid.overlap.fingerprints import Fingerprints

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from beir_hybrid.training.parallel_pairs import ParallelPairs


def write_model(
    folder: Path,
    model: SentenceTransformer,
    base: Base,
    parts: Sequence[ParallelPairs],
    about: Sequence[str] | None = None,
    seen: Fingerprints | None = None,
    **facts: Any,
) -> TrainingManifest:
    """Write a model with its card, manifest and fingerprints.

    Args:
        folder: A folder without a model.
        model: The model; its tokenizer forgets how it was called last.
        base: What it was made of.
        parts: The texts it was made with, for the fingerprints.
        about: Lines of the card before the table of the data; by default those about a training.
        seen: Fingerprints of other texts that the model was made with.
        **facts: The attributes of `TrainingManifest` that do not follow from these.
    """
    forget_last_call(model)
    model.save_pretrained(str(folder))
    prints = folder / fingerprints.FILE_NAME
    own = fingerprints.of_pairs(parts)
    (own if seen is None else fingerprints.merged([own, seen])).write(prints)
    known = base.training_datasets
    manifest = TrainingManifest(
        base={
            "name": base.name,
            "revision": base.revision,
            "training_datasets": None if known is None else sorted(known),
        },
        fingerprints={"file": prints.name, "sha256": sha256_of(prints)},
        versions=package_versions(),
        **facts,
    )
    manifest.write(folder)
    add_section(folder, manifest, about)
    return manifest
