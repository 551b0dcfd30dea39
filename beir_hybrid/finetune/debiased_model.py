"""What `beir-hybrid debias` does: fit a map on sentences, put it behind a model, save both as an ordinary model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from beir_hybrid.debias.before_after import Similarity, held_out_figures
from beir_hybrid.debias.dense import check_method, check_model, fit, with_map
from beir_hybrid.debias.maps import AffineMap, DebiasError, Embeddings, Projection
from beir_hybrid.debias.sentences import DEFAULT_DATA, SENTENCES, Sentences, read_sentences
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import check_writable, shown
from beir_hybrid.finetune.align import METHOD as ALIGN
from beir_hybrid.finetune.align import FittedLayer, align, alignment_recipe
from beir_hybrid.finetune.head import fill_embeddings, head_model, stored_embeddings
from beir_hybrid.finetune.model_card import prepare_card
from beir_hybrid.finetune.saved_model import write_model
from beir_hybrid.finetune.start import DEBIASED
from beir_hybrid.folders import replaced_folder
from beir_hybrid.models.base import Base, find_base, training_prompts
from beir_hybrid.models.manifest import TrainingManifest, read_manifest
from beir_hybrid.quiet import silenced

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_SOURCES = {"projection": "LSAR, arXiv 2401.05792", "leace": "arXiv 2306.03819"}


@dataclass(frozen=True)
class Debiased:
    """What became of a model.

    Attributes:
        manifest: What it was made of.
        before: Figures of held-out sentences by the base; see `before_after.held_out_figures`.
        after: The same by the new model.
        held_out: Held-out sentences of a language, at most.
    """

    manifest: TrainingManifest
    before: Mapping[str, float]
    after: Mapping[str, float]
    held_out: int


def save_debiased(
    base: str,
    out: Path,
    *,
    data: str = DEFAULT_DATA,
    languages: Iterable[str] | None = None,
    method: str = "projection",
    components: int | None = None,
    sentences: int = SENTENCES,
    parallel: bool = False,
    interpolation: float | None = None,
    progress: bool = True,
) -> Debiased:
    """Put a map behind a model and save it as an ordinary SentenceTransformer with card and manifest.

    Args:
        base: A folder, a hub id, or ``offline``.
        out: The folder to write; new, empty, or written by this function before.
        data: Where the sentences come from; see `read_sentences`.
        languages: Their languages; None for all.
        method: ``projection`` or ``leace``, or ``align``: a head that is trained from the projection on translations.
        components: Directions to take out; by default what the method says.
        sentences: Sentences of a language to fit on, at most, and at most half of them.
        parallel: Whether line i of every file of a folder is the same sentence.
        interpolation: Share of the way from the projection to the trained head, for ``align`` only.
        progress: Show progress bars on a terminal.

    Raises:
        BeirHybridError: The base, the data, the settings or the folder cannot be used. Nothing is written then.
    """
    if method != ALIGN:
        check_method(method, (ALIGN,))
        if interpolation is not None:
            raise DebiasError(f"--interpolation is for --method {ALIGN}: {method} trains nothing")
    check_writable(out, hint="name another folder with --out")
    _check_replaceable(out)
    origin = find_base(base, asked_by="")
    texts = read_sentences(data, languages, parallel, progress)
    fitted, held_out = texts.fitted(sentences), texts.held_out(sentences)
    recipe = alignment_recipe(fitted, interpolation) if method == ALIGN else None
    with silenced("transformers"):
        model = origin.load()
        check_model(model)
        stand_in, prompt = head_model(model, origin.revision), training_prompts(model)["answer"]
        fill_embeddings(stand_in, prompt, chain(*fitted.texts.values(), *held_out.texts.values()), progress)
        embeddings, unseen = (stored_embeddings(stand_in, prompt, part.texts) for part in (fitted, held_out))
        made = FittedLayer(cast(AffineMap, fit(embeddings, Projection.method if recipe else method, components)))
        taken_out = made.layer.components
        if recipe is not None:
            made = align(stand_in, origin, fitted, made.layer, recipe, progress)
        layer, similarity = made.layer, _similarity(model)
        before, after = (
            held_out_figures(part, rest, similarity, texts.parallel)
            for part, rest in ((embeddings, unseen), (_mapped(layer, embeddings), _mapped(layer, unseen)))
        )
        result = with_map(model, layer)
        prepare_card(result, origin, list(texts.texts))
        settings = {"tune": DEBIASED, "method": method, "components": taken_out, "sentences": sentences}
        with replaced_folder(out) as folder:
            _check_replaceable(out)
            manifest = _write(folder, result, origin, fitted, made, settings)
    return Debiased(manifest, before, after, max(map(len, held_out.texts.values())))


def _check_replaceable(out: Path) -> None:
    """Refuse a folder that holds what somebody else has put there."""
    if out.exists() and any(not path.is_dir() for path in out.rglob("*")):
        manifest = read_manifest(out)
        if manifest is None or manifest.settings.get("tune") != DEBIASED:
            raise BeirHybridError(f"--out {shown(out)} is not empty: choose another folder")


def _mapped(layer: AffineMap, embeddings: Embeddings) -> Embeddings:
    return {language: layer.transform(part) for language, part in embeddings.items()}


def _similarity(model: SentenceTransformer) -> Similarity:
    def similarity(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        scores: torch.Tensor = model.similarity(
            *(torch.from_numpy(np.ascontiguousarray(part)) for part in (one, other))
        )
        return scores.numpy()

    return similarity


def _write(
    folder: Path,
    model: SentenceTransformer,
    origin: Base,
    fitted: Sentences,
    made: FittedLayer,
    settings: Mapping[str, Any],
) -> TrainingManifest:
    return write_model(
        folder,
        model,
        origin,
        [fitted.as_pairs()],
        _about(origin, settings["method"], made),
        data=[fitted.facts()],
        languages=list(fitted.texts),
        pairs=made.pairs,
        settings={**made.settings(), **settings},
        processes=1,
        steps_done=made.steps,
        losses=made.losses,
    )


def _about(base: Base, method: str, made: FittedLayer) -> list[str]:
    by = "by [BEIR-Hybrid](https://pypi.org/project/beir-hybrid/)"
    how = f"{method} ({_SOURCES.get(method)}), fitted {by} on sentences of each language. Nothing was trained."
    if made.recipe is not None:
        how = (
            f"a head that was trained {by} on sentences and their translations, {made.steps} steps from the "
            f"projection ({_SOURCES[Projection.method]}), of which {made.recipe.interpolation:g} of the way was kept."
        )
    return [
        "## Debiasing",
        "",
        f"`{base.name}` (revision `{base.revision}`) with a linear layer behind it that takes the language out of its "
        f"embeddings: {how} `training_manifest.json` has all settings.",
    ]
