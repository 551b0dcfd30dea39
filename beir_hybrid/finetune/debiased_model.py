"""What `beir-hybrid debias` does: fit a map on sentences, put it behind a model, save both as an ordinary model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from beir_hybrid.debias.before_after import Similarity, held_out_figures
from beir_hybrid.debias.dense import check_method, check_model, fit, with_map
from beir_hybrid.debias.maps import AffineMap, Embeddings, Map
from beir_hybrid.debias.sentences import DEFAULT_DATA, SENTENCES, Sentences, read_sentences
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import check_writable, sha256_of, shown
from beir_hybrid.finetune.embedding_cache import EmbeddingCache, cache_folder
from beir_hybrid.finetune.head import encode_with
from beir_hybrid.finetune.model_card import add_section, prepare_card
from beir_hybrid.finetune.start import DEBIASED
from beir_hybrid.folders import replaced_folder
from beir_hybrid.models.base import Base, find_base, forget_last_call, text_limit, training_prompts
from beir_hybrid.models.manifest import TrainingManifest, package_versions, read_manifest
from beir_hybrid.overlap import fingerprints
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
    progress: bool = True,
) -> Debiased:
    """Put a map behind a model and save it as an ordinary SentenceTransformer with card and manifest.

    Args:
        base: A folder, a hub id, or ``offline``.
        out: The folder to write; new, empty, or written by this function before.
        data: Where the sentences come from; see `read_sentences`.
        languages: Their languages; None for all.
        method: ``projection`` or ``leace``.
        components: Directions to take out; by default what the method says.
        sentences: Sentences of a language to fit on, at most, and at most half of them.
        parallel: Whether line i of every file of a folder is the same sentence.
        progress: Show progress bars on a terminal.

    Raises:
        BeirHybridError: The base, the data, the settings or the folder cannot be used. Nothing is written then.
    """
    check_method(method)
    check_writable(out, hint="name another folder with --out")
    _check_replaceable(out)
    start = find_base(base, asked_by="")
    texts = read_sentences(data, languages, parallel, progress)
    fitted, held_out = texts.fitted(sentences), texts.held_out(sentences)
    with silenced("transformers"):
        model = start.load()
        check_model(model)
        embeddings, unseen = _embed(model, start, (fitted, held_out), progress)
        fitted_map = fit(embeddings, method, components)
        assert isinstance(fitted_map, AffineMap)
        similarity = _similarity(model)
        before, after = (
            held_out_figures(part, rest, similarity, texts.parallel)
            for part, rest in ((embeddings, unseen), (_mapped(fitted_map, embeddings), _mapped(fitted_map, unseen)))
        )
        result = with_map(model, fitted_map)
        prepare_card(result, start, list(texts.texts))
        with replaced_folder(out) as folder:
            _check_replaceable(out)
            settings = {"tune": DEBIASED, "method": method, "components": fitted_map.components, "sentences": sentences}
            manifest = _write(folder, result, start, fitted, settings)
    return Debiased(manifest, before, after, max(map(len, held_out.texts.values())))


def _check_replaceable(out: Path) -> None:
    """Refuse a folder that holds what somebody else has put there."""
    if out.exists() and any(not path.is_dir() for path in out.rglob("*")):
        manifest = read_manifest(out)
        if manifest is None or manifest.settings.get("tune") != DEBIASED:
            raise BeirHybridError(f"--out {shown(out)} is not empty: choose another folder")


def _embed(model: SentenceTransformer, start: Base, parts: Iterable[Sentences], progress: bool) -> list[Embeddings]:
    """Embed sentences with the prompt of passages, each text once on this machine."""
    prompt = training_prompts(model)["answer"]
    folder = cache_folder(start.revision, prompt, text_limit(model))
    cache = EmbeddingCache(folder, encode_with(model, prompt))
    parts = list(parts)
    cache.fill((text for part in parts for texts in part.texts.values() for text in texts), progress)
    return [{language: cache.read(texts) for language, texts in part.texts.items()} for part in parts]


def _mapped(fitted_map: Map, embeddings: Embeddings) -> Embeddings:
    return {language: fitted_map.transform(part) for language, part in embeddings.items()}


def _similarity(model: SentenceTransformer) -> Similarity:
    def similarity(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        scores: torch.Tensor = model.similarity(
            *(torch.from_numpy(np.ascontiguousarray(part)) for part in (one, other))
        )
        return scores.numpy()

    return similarity


def _write(
    folder: Path, model: SentenceTransformer, start: Base, fitted: Sentences, settings: Mapping[str, Any]
) -> TrainingManifest:
    """Write the model, its card, the manifest and the fingerprints of the sentences."""
    forget_last_call(model)
    model.save_pretrained(str(folder))
    prints = folder / fingerprints.FILE_NAME
    fingerprints.of_pairs([fitted.as_pairs()]).write(prints)
    seen, languages = start.training_datasets, list(fitted.texts)
    source = {
        "source": fitted.source,
        "revision": fitted.revision,
        "languages": languages,
        "rows": max(map(len, fitted.texts.values())),
        "training_datasets": sorted(fitted.training_datasets),
    }
    manifest = TrainingManifest(
        base={
            "name": start.name,
            "revision": start.revision,
            "training_datasets": None if seen is None else sorted(seen),
        },
        data=[source],
        languages=languages,
        pairs={},
        settings=settings,
        processes=1,
        steps_done=0,
        losses={},
        fingerprints={"file": prints.name, "sha256": sha256_of(prints)},
        versions=package_versions(),
    )
    manifest.write(folder)
    add_section(folder, manifest, _about(manifest))
    return manifest


def _about(manifest: TrainingManifest) -> list[str]:
    method = manifest.settings["method"]
    return [
        "## Debiasing",
        "",
        f"`{manifest.base['name']}` (revision `{manifest.base['revision']}`) with a linear layer behind it that takes "
        f"the language out of its embeddings: {method} ({_SOURCES[method]}), fitted by "
        "[BEIR-Hybrid](https://pypi.org/project/beir-hybrid/) on sentences of each language. Nothing was trained. "
        "`training_manifest.json` has all settings.",
    ]
