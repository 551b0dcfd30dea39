"""`ours`: the user's checkpoint or the shipped head, under one name in mteb, with a revision that follows its content.

The checkpoint is the folder or the Hugging Face hub id in BEIR_HYBRID_OURS, else the folder ./ours, else the head that
comes with the package (heads.py). mteb files results under results/<model>/<revision>, and takes what it finds there
for this model's results. So the revision is a hash of the checkpoint's files (a hub repository has its commit), and it
is worked out when it is asked for: the variable may be set, or the checkpoint trained again, long after mteb was
imported.
"""

from __future__ import annotations

import copy
import gc
import importlib
import logging
import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from mteb.models import ModelMeta
from mteb.models.model_meta import ScoringFunction

from beir_hybrid.errors import BeirHybridError, ModelError, one_line
from beir_hybrid.files import user_path
from beir_hybrid.models import e5_q4, heads, model_files
from beir_hybrid.models.heads import Head
from beir_hybrid.models.model_files import DENSE, FAMILIES, check, content_hash, family, incomplete

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

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_NOT_DOWNLOADED = ["*.bin", "*.ckpt", "*.pickle", "*.pkl", "*.pt", "*.pth", "*.h5", "*.msgpack", "*.onnx", "onnx/*"]
_NOT_DOWNLOADED += ["openvino/*"]


@dataclass(frozen=True)
class Checkpoint:
    """Where the checkpoint is.

    Attributes:
        source: The folder or the hub id, for messages.
        folder: The folder; None for a hub id.
    """

    source: str
    folder: Path | None

    def revision(self) -> str:
        """Return what names this content and no other: a hash of the files, or the hub's commit.

        Raises:
            ModelError: There is no complete checkpoint, or the hub cannot be asked.
        """
        if self.folder is None:
            return _hub_commit(self.source)
        try:
            family(self.folder, self.source)  # before anything is hashed: the folder may be anything, of any size
            return content_hash(self.folder)
        except OSError as error:
            raise ModelError(f"cannot read {error.filename}: {error.strerror}") from error

    def fetch(self) -> Path:
        """Return the folder with the files, after downloading them where that is needed.

        Raises:
            ModelError: The download failed.
        """
        if self.folder is not None:
            return self.folder
        from huggingface_hub import snapshot_download

        commit = _hub_commit(self.source)
        try:
            folder = Path(snapshot_download(self.source, revision=commit, ignore_patterns=_NOT_DOWNLOADED))
        except Exception as error:  # the hub's client raises its own errors, the file system's and its HTTP library's
            raise ModelError(f"cannot download {self.source} from the Hugging Face hub: {one_line(error)}") from error
        if (folder / model_files.ADAPTER).is_file():
            raise ModelError(
                f"{self.source} is an adapter, whose commit does not say what its base is: give the folder instead, "
                f"which is hashed together with it: {folder}"
            )
        return folder


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


def locate(name: str, asked_by: str = "") -> Checkpoint:
    """Find the checkpoint of a name.

    Args:
        name: A folder, or a hub id.
        asked_by: What stands before the name in messages.

    Raises:
        ModelError: It is neither.
    """
    folder = user_path(name, asked_by).absolute()
    if folder.is_dir():
        return Checkpoint(str(folder), folder)
    if folder.exists():
        raise ModelError(f"{asked_by}{name} is a file, not the folder of a Sentence Transformers model")
    if not _HUB_ID.fullmatch(name):
        raise ModelError(f"{asked_by}{name}: there is no such folder")
    return Checkpoint(name, None)


@cache
def _hub_commit(repository: str) -> str:
    """Return the newest commit; without a network, the newest one in the local cache. Asked once in a process."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        commit = HfApi().model_info(repository, timeout=10).sha
        if commit:
            return commit
        reason = "it has no commit"
    except Exception as error:  # offline mode, no network, no such repository, no access: the cache may have it
        reason = one_line(error)
    try:
        return Path(snapshot_download(repository, local_files_only=True)).name
    except Exception:
        raise ModelError(
            f"{repository}: there is no such folder, and neither the Hugging Face hub nor its local cache "
            f"gives a model of that name: {reason}"
        ) from None


# Models in memory -> the checkpoint they were loaded from, and its revision then.
_loaded: WeakKeyDictionary[MTEBModels, tuple[Checkpoint | Head, str]] = WeakKeyDictionary()


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
    logger.info("Loading %s from %s, revision %s", NAME, checkpoint.source, found)
    if isinstance(checkpoint, Head):
        if options:
            raise ModelError(
                f"{', '.join(options)}: for a checkpoint of your own, and {checkpoint.source} is to be loaded"
            )
        encoder: MTEBModels = e5_q4.wrapped(checkpoint.load(device))
    else:
        encoder = _load_files(checkpoint, device, embed_dim, options)
    if not found == revision == checkpoint.revision():
        raise ModelError(f"{checkpoint.source} changed while it was being loaded: load it again when it is complete")
    _loaded[encoder] = checkpoint, found
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
    """Metadata whose revision is that of the checkpoint at the moment when it is asked for.

    mteb copies metadata for the models that it loads. The copy is an ordinary ModelMeta and keeps the revision that
    was loaded.
    """

    def __getattribute__(self, name: str) -> Any:
        if name == "revision":
            return _revision_to_file_under(self.loader_kwargs.get("folder"))
        if name == "model_type":
            return _facts_of_kind(self.loader_kwargs.get("folder"))[name]
        return super().__getattribute__(name)

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
        encoder.mteb_model_meta = encoder.mteb_model_meta.model_copy(update=_facts_of_model(encoder.model))
        return cast("MTEBModels", encoder)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> ModelMeta:  # type: ignore[override]
        """Return ordinary metadata of the checkpoint as it is now, with changes.

        Args:
            update: Field -> value to change.
            deep: Whether to copy the values, too.
        """
        fields = copy.deepcopy(self.__dict__) if deep else self.__dict__
        return ModelMeta.model_construct(
            **{**fields, **_facts_of_checkpoint(fields["loader_kwargs"].get("folder")), **(update or {})}
        )

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """Return the fields of the checkpoint as it is now."""
        return self.model_copy().model_dump(**options)

    def model_dump_json(self, **options: Any) -> str:
        """Return the fields of the checkpoint as it is now, as JSON."""
        return self.model_copy().model_dump_json(**options)


def _facts_of_checkpoint(folder: str | None) -> dict[str, Any]:
    """Return the fields that are known before loading. Never fails: mteb also lists models that nobody loads."""
    try:
        checkpoint = find_checkpoint(folder)
        if isinstance(checkpoint, Head):
            return {name: value for name, value in heads.model_meta(checkpoint) if name not in _LOADING}
        facts: dict[str, Any] = {"revision": checkpoint.revision()}
    except BeirHybridError:
        return {"revision": NO_CHECKPOINT}
    if checkpoint.folder is None:
        return {**facts, "reference": f"https://huggingface.co/{checkpoint.source}"}
    return {**facts, **_facts_of_kind(folder), **_facts_of_training(checkpoint.folder)}


def _facts_of_training(folder: Path) -> dict[str, Any]:
    """Return what the manifest of `beir-hybrid train` says; nothing where there is none, or a damaged one.

    Where the training data of the base are not known, the training datasets are those of our own training alone.
    """
    from beir_hybrid.languages import is_tag, mteb_code
    from beir_hybrid.models.manifest import read_manifest

    try:
        manifest = read_manifest(folder)
    except BeirHybridError as error:
        logger.warning("The training data of %s are unknown: %s", NAME, error)
        return {}
    if manifest is None:
        return {}
    return {
        "training_datasets": set(manifest.known_training_datasets),
        "languages": [mteb_code(code) for code in manifest.languages if is_tag(code)],
        "adapted_from": manifest.base["name"] if "/" in manifest.base["name"] else None,
    }


def _facts_of_kind(folder: str | None) -> dict[str, Any]:
    """Return mteb's word for the kind of model; that of most models where there is none, or it is damaged."""
    kind = DENSE
    with suppress(BeirHybridError, OSError):
        checkpoint = find_checkpoint(folder)
        if isinstance(checkpoint, Checkpoint) and checkpoint.folder is not None:
            kind = family(checkpoint.folder, checkpoint.source)
    return {"model_type": [FAMILIES[kind][1]]}


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


def _revision_to_file_under(folder: str | None) -> str:
    """Return the revision, unless that would file the results of a loaded model under another model's revision.

    `mteb.evaluate` with metadata asks twice: for results that are there already and, hours later, for where to put the
    new ones. If the checkpoint was overwritten in between, no answer is right.
    """
    revision = _facts_of_checkpoint(folder)["revision"]
    if revision == NO_CHECKPOINT:
        return revision
    checkpoint = find_checkpoint(folder)
    if _loaded and revision not in _loaded_revisions(checkpoint):
        gc.collect()  # models are in reference cycles: one that nobody uses may still be there
        if _loaded_revisions(checkpoint):
            raise ModelError(
                f"{checkpoint.source} has changed since this process loaded it: evaluate the model that "
                "mteb.get_model returns, or drop the loaded one first"
            )
    return revision


def _loaded_revisions(checkpoint: Checkpoint | Head) -> set[str]:
    return {revision for loaded_from, revision in _loaded.values() if loaded_from == checkpoint}


def is_model_folder(name: str) -> bool:
    """Whether a name is the folder of a Sentence Transformers or a transformers model."""
    return model_files.is_model_folder(Path(os.path.expanduser(name)))


def model_meta(
    folder: str | None = None,
    revision: str | None = None,
    fill_missing: bool = False,
    experiment_kwargs: Mapping[str, Any] | None = None,
) -> ModelMeta:
    """Return the metadata for mteb. Nothing is read until somebody asks for the revision.

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
    meta = OursMeta(
        loader=ours_encoder,
        loader_kwargs={} if folder is None else {"folder": str(Path(os.path.expanduser(folder)).absolute())},
        name=NAME,
        revision=NO_CHECKPOINT,
        release_date=None,
        languages=None,
        n_parameters=None,
        memory_usage_mb=None,
        max_tokens=None,
        embed_dim=None,
        license=None,
        open_weights=None,
        public_training_code=None,
        public_training_data=None,
        framework=["Sentence Transformers", "PyTorch"],
        similarity_fn_name=None,
        use_instructions=None,
        training_datasets=None,
        experiment_kwargs=experiment_kwargs,
    )
    if revision is not None and revision != meta.revision:
        raise ModelError(f"{folder or NAME} has the revision {meta.revision}, not {revision}")
    if not fill_missing or folder is None:
        return meta
    number, size = model_files.count_weights(user_path(folder), folder)
    return meta.model_copy(update={"n_parameters": number, "memory_usage_mb": round(size / 2**20, 1)})
