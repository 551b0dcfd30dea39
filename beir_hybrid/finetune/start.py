"""Where a linear layer starts when it is trained, and what lies between its start and what training made of it.

It starts as the identity, as a map that takes the language out of embeddings, fitted on the answers it is trained on,
or as the layer of a model that `beir-hybrid debias` wrote on the same base.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from beir_hybrid.debias.dense import affine_methods, check_model, fit, with_map
from beir_hybrid.debias.maps import AffineMap, DebiasError
from beir_hybrid.debias.sentences import SENTENCES
from beir_hybrid.errors import one_line
from beir_hybrid.files import shown, user_path
from beir_hybrid.finetune.head import fill_embeddings, head_model, stored_embeddings
from beir_hybrid.finetune.recipe import IDENTITY, TrainingError
from beir_hybrid.models.base import Base, name_of, training_prompts
from beir_hybrid.models.checkpoints import locate
from beir_hybrid.models.manifest import TrainingManifest, read_manifest
from beir_hybrid.models.model_files import DENSE, check, modules
from beir_hybrid.overlap.fingerprints import FILE_NAME, Fingerprints
from beir_hybrid.training.parallel_pairs import ParallelPairs

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

DEBIASED = "debias"
"""What the manifest of a model that `beir-hybrid debias` wrote says in the place of full tuning or of a head."""

_ASKED_BY = "--start "


@dataclass(frozen=True, eq=False)
class Start:
    """What a linear layer starts as.

    Attributes:
        name: ``identity``, a method, or what manifests call the folder or the hub id of a debiased model.
        revision: What names the content of that model and no other; None where there is none.
        manifest: What that model was made of.
        layer: Its map.
        fingerprints: Those of the sentences that it was made with.
    """

    name: str
    revision: str | None = None
    manifest: TrainingManifest | None = None
    layer: AffineMap | None = None
    fingerprints: Fingerprints | None = None

    def facts(self) -> dict[str, str | None]:
        """Return what a manifest says of it: its name, and the content of a debiased model, never its path."""
        return {"start": self.name, "start_revision": self.revision}

    def data(self) -> list[dict[str, Any]]:
        """Return the sources that a debiased model was made of, as a manifest lists them."""
        return [] if self.manifest is None else self.manifest.data


def find_start(name: str, base: Base) -> Start:
    """Find what a user names as the start: ``identity``, a method, or the folder or hub id of a debiased model.

    Args:
        name: What the user wrote.
        base: The model that the layer stands behind.

    Raises:
        TrainingError: There is no such start, or the model was not made of this base by `beir-hybrid debias`.
        BeirHybridError: The model is damaged, or the hub cannot be asked.
    """
    if name in (IDENTITY, *affine_methods()):
        return Start(name)
    label = f"{_ASKED_BY}{shown(name)}"
    if "/" not in name and not user_path(name, _ASKED_BY).is_dir():
        known = ", ".join((IDENTITY, *affine_methods()))
        raise TrainingError(f"{label}: choose {known}, or the folder of a model that `beir-hybrid debias` wrote")
    checkpoint = locate(name, _ASKED_BY)
    folder = checkpoint.fetch()
    check(folder, label, wanted=DENSE)
    manifest = read_manifest(folder)
    if manifest is None or manifest.settings.get("tune") != DEBIASED:
        raise TrainingError(f"{label} is not a model that `beir-hybrid debias` wrote")
    if manifest.base.get("revision") != base.revision:
        raise TrainingError(
            f"{label} was made of {shown(manifest.base.get('name'))}, whose content is not that of {base.name}: "
            "take one that `beir-hybrid debias` made of the same base"
        )
    layer, seen = _last_layer(folder, label, manifest), Fingerprints.read(folder / FILE_NAME)
    return Start(name_of(name, _ASKED_BY), checkpoint.revision(), manifest, layer, seen)


def start_map(
    start: Start, model: SentenceTransformer, parts: Iterable[ParallelPairs], progress: bool = False
) -> AffineMap:
    """Return the map that a layer starts as.

    Args:
        start: What `find_start` returned.
        model: What `head_model` returned: it looks the base's embeddings up.
        parts: The training data, on whose answers a method is fitted.
        progress: Whether to show a bar where texts are embedded.

    Raises:
        TrainingError: The map cannot be fitted, or has other dimensions than the base.
    """
    size = cast(int, model.get_embedding_dimension())
    if start.name == IDENTITY:
        return AffineMap(normalize=True, languages=(), matrix=np.eye(size))
    if start.layer is not None:
        if start.layer.dimensions != size:
            raise TrainingError(
                f"{_ASKED_BY}{start.name} is for embeddings of {start.layer.dimensions} dimensions, and the base has "
                f"{size}"
            )
        return start.layer
    texts, prompt = answers(parts), training_prompts(model)["answer"]
    fill_embeddings(model, prompt, (text for part in texts.values() for text in part), progress)
    try:
        return cast(AffineMap, fit(stored_embeddings(model, prompt, texts), start.name))
    except DebiasError as error:
        raise TrainingError(f"{_ASKED_BY}{start.name}: {error}") from error


def start_matrix(
    start: Start, model: SentenceTransformer, parts: Iterable[ParallelPairs], progress: bool = False
) -> NDArray[np.float32]:
    """Return the matrix that a head starts as, shape (dimensions, dimensions): what a Dense layer calls its weight.

    The arguments and the errors are those of `start_map`.
    """
    return np.ascontiguousarray(start_map(start, model, parts, progress).matrix.T, np.float32)


def interpolated(start: NDArray[np.float32], trained: NDArray[np.float32], interpolation: float) -> NDArray[np.float32]:
    """Return the matrix between a start and what training made of it, ``start + interpolation (trained - start)``.

    What lies between keeps more of what the start can do on texts of other kinds than those trained on (Wortsman et
    al. 2022, "Robust fine-tuning of zero-shot models", WiSE-FT).

    Args:
        start: Shape (dimensions, dimensions).
        trained: Shape (dimensions, dimensions).
        interpolation: Share of the way, from 0 to 1.
    """
    if interpolation == 1:  # start + (trained - start) is rounded
        return trained.copy()
    between: NDArray[np.float32] = start + np.float32(interpolation) * (trained - start)
    return between


def with_start(
    encoder: SentenceTransformer,
    start: Start,
    base: Base,
    parts: Iterable[ParallelPairs],
    freeze: bool = False,
    progress: bool = False,
) -> SentenceTransformer:
    """Return a model that is trained whole from a start: the encoder, and the map as its last layer.

    Args:
        encoder: The base, loaded; its modules are shared, not copied. From the identity it is returned as it is.
        start: What `find_start` returned.
        base: Where the encoder came from.
        parts: The training data, on whose answers a method is fitted.
        freeze: Whether the layer is left as it is in training.
        progress: Whether to show a bar where texts are embedded.

    Raises:
        ModelError: The encoder has no output that a Dense layer can follow.
        TrainingError: As for `start_map`.
    """
    if start.name == IDENTITY:
        return encoder
    check_model(encoder)
    fitted = start_map(start, head_model(encoder, base.revision), parts, progress)
    model = with_map(encoder, fitted)
    for weights in model[len(encoder)].parameters():
        weights.requires_grad_(not freeze)
    return model


def answers(parts: Iterable[ParallelPairs]) -> Mapping[str, Sequence[str]]:
    """Return language -> its distinct answers in all sources, `SENTENCES` at most, evenly spaced from the first."""
    texts: dict[str, dict[str, None]] = {}
    for part in parts:
        for language, column, distinct in part.texts():
            if column == "answer":
                texts.setdefault(language, {}).update(dict.fromkeys(distinct.to_pylist()))
    return {language: list(part)[:: -(-len(part) // SENTENCES) or 1] for language, part in texts.items()}


def _last_layer(folder: Path, label: str, manifest: TrainingManifest) -> AffineMap:
    """Return the map of a debiased model: its last Dense module, which only a Normalize may follow."""
    import torch
    from safetensors import SafetensorError
    from sentence_transformers.sentence_transformer.modules import Dense

    *_, before, last = modules(folder, label)
    dense = before if last.name == "Normalize" else last
    if dense.name != "Dense":
        raise TrainingError(f"{label} does not end with the layer that `beir-hybrid debias` puts behind a model")
    try:
        layer = Dense.load(str(dense.folder), local_files_only=True)
    except (OSError, SafetensorError, ValueError, TypeError, RuntimeError, KeyError) as error:
        raise TrainingError(f"{label}: {dense.folder.name} is damaged: {one_line(error)}") from error
    weight = layer.linear.weight.detach().float().numpy()
    if layer.linear.bias is not None or not isinstance(layer.activation_function, torch.nn.Identity):
        raise TrainingError(f"{label}: its last layer has a bias or an activation, and a head is a plain matrix")
    if weight.shape[0] != weight.shape[1] or not np.isfinite(weight).all():
        raise TrainingError(f"{label}: its last layer is not a square matrix of finite numbers")
    return AffineMap(last.name == "Normalize", tuple(manifest.languages), weight.T)
