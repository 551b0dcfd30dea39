"""`ours`: the user's checkpoint or the shipped head, under one name in mteb, with a revision that follows its content.

The checkpoint is the folder or the Hugging Face hub id in BEIR_HYBRID_OURS, else the folder ./ours, else the head that
comes with the package (heads.py). mteb files results under results/<model>/<revision>, and takes what it finds there
for this model's results. So the revision is a hash of the checkpoint's files (a hub repository has its commit). It is
worked out when mteb is asked for the metadata, since the checkpoint may be trained again long after mteb was imported,
and a model is loaded only if it is still the one of its metadata.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mteb.languages import check_language_code
from mteb.models import ModelMeta
from mteb.models.model_meta import ScoringFunction

from beir_hybrid.errors import BeirHybridError, DataError, ModelError, one_line
from beir_hybrid.files import user_path
from beir_hybrid.languages import mteb_code
from beir_hybrid.models import e5_q4, heads
from beir_hybrid.models.checkpoints import Checkpoint, locate
from beir_hybrid.models.heads import Head
from beir_hybrid.models.manifest import read_manifest
from beir_hybrid.models.model_files import DENSE, FAMILIES, check, count_weights, family, incomplete

if TYPE_CHECKING:
    from mteb.models import MTEBModels

logger = logging.getLogger(__name__)

NAME = "beir-hybrid/ours"
VARIABLE = "BEIR_HYBRID_OURS"
DEFAULT_FOLDER = "ours"
# The revision while there is nothing to load. Loading fails then, so no result is filed under it.
NO_CHECKPOINT = "no_checkpoint"
# Fields of the metadata that are the same for any checkpoint.
_LOADING = ("loader", "loader_kwargs")


def find_checkpoint(folder: str | None = None) -> Checkpoint | Head:
    """Find the checkpoint, or the head that comes with the package, that a name stands for now.

    Args:
        folder: The folder of the model; None for `ours`.

    Raises:
        ModelError: There is none.
    """
    if folder is not None:
        return locate(folder)
    configured = os.environ.get(VARIABLE)
    if not configured and not Path(DEFAULT_FOLDER).is_dir():
        head = heads.find_head(heads.OURS)
        if head is not None:
            return head
        raise ModelError(
            f"there is no checkpoint for the model `ours`: set {VARIABLE} to the folder or the Hugging Face hub id "
            f"of a Sentence Transformers model, or put such a folder at ./{DEFAULT_FOLDER}"
        )
    return locate(configured or DEFAULT_FOLDER, f"{VARIABLE}=")


def ours_encoder(
    model_name: str,
    revision: str | None = None,
    device: str | None = None,
    embed_dim: int | None = None,
    folder: str | None = None,
    **options: Any,
) -> MTEBModels:
    """Load the checkpoint for mteb, which calls this with the name and revision of its metadata.

    Args:
        model_name: Always `NAME`.
        revision: The revision that the results will be filed under.
        device: Where to put the model.
        embed_dim: Number of dimensions to cut the embeddings to. Default: all.
        folder: The folder of the model; None for `ours`.
        **options: Passed on to mteb's wrapper and to Sentence Transformers, as for the name of a model on the hub, e.g.
            ``model_kwargs={"torch_dtype": "bfloat16"}``.

    Returns:
        mteb's wrapper of this kind of model, with the checkpoint's own prompts.

    Raises:
        ModelError: There is no checkpoint, it cannot be loaded, or its content is not that of the revision.
    """
    checkpoint = find_checkpoint(folder)
    found = checkpoint.revision()
    if found != revision:
        raise ModelError(f"{checkpoint.source} has changed since its metadata were made: ask mteb for them again")
    logger.info("Loading %s from %s, revision %s", NAME, checkpoint.source, found)
    if isinstance(checkpoint, Head):
        if options:
            raise ModelError(
                f"{', '.join(options)}: for a checkpoint of your own, and {checkpoint.source} is to be loaded"
            )
        encoder: MTEBModels = e5_q4.wrapped(checkpoint.load(device))
    else:
        encoder = _load_files(checkpoint, device, embed_dim, options)
    if found != checkpoint.revision():
        raise ModelError(f"{checkpoint.source} changed while it was being loaded: load it again when it is complete")
    return encoder


def _load_files(
    checkpoint: Checkpoint, device: str | None, embed_dim: int | None, options: Mapping[str, Any]
) -> MTEBModels:
    files = checkpoint.fetch()
    kind = check(files, checkpoint.source)
    wrapper, _ = FAMILIES[kind]
    loader = getattr(importlib.import_module("mteb.models"), wrapper, None)
    if loader is None:
        raise ModelError(f"{checkpoint.source} is a {kind}, which this version of mteb cannot evaluate; update mteb")
    try:
        return cast("MTEBModels", loader(str(files), device=device, **_checked(checkpoint, kind, embed_dim, options)))
    except ModelError:
        raise
    except Exception as error:  # each module of a model, and each version of transformers, has its own errors
        logger.debug("Loading %s failed", files, exc_info=True)
        if options and isinstance(error, TypeError):
            raise ModelError(
                f"{checkpoint.source} cannot be loaded with {', '.join(options)}: {one_line(error)}"
            ) from None
        raise incomplete(checkpoint.source, error) from None


def _checked(checkpoint: Checkpoint, kind: str, embed_dim: int | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of loading, those that keep foreign code from running among them."""
    if options.get("trust_remote_code"):
        raise ModelError(f"trust_remote_code: no code of {checkpoint.source} is run, only Sentence Transformers' own")
    if options.get("backend", "torch") != "torch":
        raise ModelError(
            f"backend={options['backend']}: {checkpoint.source} is loaded by torch, whose files are checked"
        )
    if embed_dim is not None and kind != DENSE:
        raise ModelError(f"embed_dim is for dense models, and {checkpoint.source} is a {kind}")
    checked = {
        **options,
        "local_files_only": True,
        "trust_remote_code": False,
        "model_kwargs": {**(options.get("model_kwargs") or {}), "use_safetensors": True},
    }
    return checked if embed_dim is None else {**checked, "embed_dim": embed_dim}


class OursMeta(ModelMeta):
    """Metadata of a checkpoint as it was when they were asked for. A loaded model's are ordinary ones, and say more."""

    def load_model(self, device: str | None = None, *, embed_dim: int | None = None, **kwargs: Any) -> MTEBModels:
        """Load the checkpoint.

        Args:
            device: Where to put it.
            embed_dim: Number of dimensions to cut the embeddings to. Default: all.
            **kwargs: Further arguments of `ours_encoder`.

        Returns:
            The encoder, whose own metadata say what was found in the checkpoint.

        Raises:
            ModelError: As `ours_encoder` does.
        """
        encoder: Any = super().load_model(device, embed_dim=embed_dim, **kwargs)
        facts = vars(encoder.mteb_model_meta) | _facts_of_model(encoder.model)
        encoder.mteb_model_meta = ModelMeta.model_construct(**facts)
        return cast("MTEBModels", encoder)


def _facts_of_checkpoint(folder: str | None) -> dict[str, Any]:
    """Return the fields that are known before loading. Never fails: mteb also lists models that nobody loads."""
    try:
        checkpoint = find_checkpoint(folder)
        if isinstance(checkpoint, Head):
            return {name: value for name, value in heads.model_meta(checkpoint) if name not in _LOADING}
        facts: dict[str, Any] = {"revision": checkpoint.revision()}
        if checkpoint.folder is None:
            return {**facts, "reference": f"https://huggingface.co/{checkpoint.source}"}
        kind = family(checkpoint.folder, checkpoint.source)
    except BeirHybridError:
        return {}
    return {**facts, "model_type": [FAMILIES[kind][1]], **_facts_of_training(checkpoint.folder)}


def _facts_of_training(folder: Path) -> dict[str, Any]:
    """Return what the manifest of `beir-hybrid train` says; nothing where there is none, or a damaged one.

    Where the training data of the base are not known, the training datasets are those of our own training alone.
    """
    try:
        manifest = read_manifest(folder)
    except BeirHybridError as error:
        logger.warning("The training data of %s are unknown: %s", NAME, error)
        return {}
    if manifest is None:
        return {}
    return {
        "training_datasets": set(manifest.known_training_datasets),
        "languages": [code for tag in manifest.languages if (code := _mteb_language(tag)) is not None],
        "adapted_from": manifest.base["name"] if "/" in manifest.base["name"] else None,
    }


def _mteb_language(tag: str) -> str | None:
    with suppress(DataError, ValueError):
        code = mteb_code(tag)
        check_language_code(code)
        return code
    return None


def _facts_of_model(model: Any) -> dict[str, Any]:
    """Return what a loaded model of any kind says of itself."""
    parameters = list(model.parameters())
    dimension = getattr(model, "get_embedding_dimension", lambda: None)()
    similarity = getattr(model, "similarity_fn_name", None) or "none"
    limit = model.max_seq_length
    return {
        "n_parameters": sum(tensor.numel() for tensor in parameters),
        "memory_usage_mb": round(sum(tensor.nbytes for tensor in parameters) / 2**20, 1),
        "max_tokens": None if limit is None or math.isinf(limit) else limit,
        "embed_dim": dimension,
        "similarity_fn_name": next(
            (known for known in ScoringFunction if known.value.lower() == similarity.lower()), None
        ),
        "use_instructions": any(model.prompts.values()),
    }


def listed_meta() -> ModelMeta:
    """Return the metadata that mteb lists, for which nothing is read; `model_meta` is what it gives to who asks."""
    return _meta(None, {})


def model_meta(
    folder: str | None = None,
    revision: str | None = None,
    fill_missing: bool = False,
    experiment_kwargs: Mapping[str, Any] | None = None,
) -> ModelMeta:
    """Return the metadata for mteb, of the checkpoint that is there now.

    What is not known of a checkpoint as such (licence, and without a training manifest languages and training data) is
    None, mteb's word for unknown. A model given by its folder has the name of `ours`, too, so that the results of one
    checkpoint are filed in one place.

    Args:
        folder: The folder of the model; None for `ours`.
        revision: The revision that it must have; any by default.
        fill_missing: Whether to count the weights of a folder now, and not when it is loaded.
        experiment_kwargs: What makes an experiment of an evaluation, as mteb takes it.

    Raises:
        ModelError: The folder has another revision, or its weights cannot be counted.
    """
    folder = None if folder is None else str(user_path(folder).absolute())
    facts = _facts_of_checkpoint(folder) | {"experiment_kwargs": experiment_kwargs}
    meta = _meta(folder, facts)
    if revision is not None and revision != meta.revision:
        raise ModelError(f"{folder or NAME} has the revision {meta.revision}, not {revision}")
    if not fill_missing or folder is None:
        return meta
    number, size = count_weights(Path(folder), folder)
    return meta.model_copy(update={"n_parameters": number, "memory_usage_mb": round(size / 2**20, 1)})


def _meta(folder: str | None, facts: Mapping[str, Any]) -> OursMeta:
    unknown = dict.fromkeys(
        "release_date languages n_parameters memory_usage_mb max_tokens embed_dim license open_weights "
        "public_training_code public_training_data similarity_fn_name use_instructions training_datasets".split()
    )
    known = {
        "loader": ours_encoder,
        "loader_kwargs": {} if folder is None else {"folder": folder},
        "name": NAME,
        "revision": NO_CHECKPOINT,
        "framework": ["Sentence Transformers", "PyTorch"],
    }
    return OursMeta.model_validate({**unknown, **known, **facts})
