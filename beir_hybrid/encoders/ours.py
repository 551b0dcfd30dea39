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
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from mteb.models import ModelMeta
from mteb.models.model_meta import ScoringFunction
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

from beir_hybrid.encoders import e5_q4, heads
from beir_hybrid.encoders.heads import Head
from beir_hybrid.errors import BeirHybridError, ModelError, one_line

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)

NAME = "beir-hybrid/ours"
VARIABLE = "BEIR_HYBRID_OURS"
DEFAULT_FOLDER = "ours"
# The revision while there is nothing to load. Loading fails then, so no result is filed under it.
NO_CHECKPOINT = "no_checkpoint"
# Fields of the metadata that are the same for any checkpoint.
_LOADING = ("loader", "loader_kwargs")

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
# What loading does not read: hidden files, the state and the logs of a training run, other formats, and texts. Whatever
# is not listed here counts as content; at worst a model is then evaluated once more.
_NOT_CONTENT = re.compile(
    r"""\..* | checkpoint-\d+ | checkpoints | runs | eval | onnx | openvino
    | training_(manifest|run)\.json | training_fingerprints\.parquet
    | README\.md | LICENSE.* | NOTICE.* | trainer_state\.json | training_args\.bin | events\.out\.tfevents.*
    | (optimizer|scheduler|scaler)\.(pt|bin) | rng_state.*\.pth""",
    re.VERBOSE,
)
_PICKLES = {".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"}
_NOT_DOWNLOADED = [*(f"*{suffix}" for suffix in _PICKLES), "*.h5", "*.msgpack", "*.onnx", "onnx/*", "openvino/*"]
# Two writes within this time can leave a file with the same time stamps, on the coarsest of file systems.
_CLOCK_GRAIN_NS = 2_000_000_000


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
            # Before anything is hashed: the folder may be anything, of any size.
            if not (self.folder / "modules.json").is_file():
                found = "it has no modules.json" if any(self.folder.iterdir()) else "it is empty"
                raise ModelError(f"{self.source} is not a Sentence Transformers model: {found}")
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
            return Path(snapshot_download(self.source, revision=commit, ignore_patterns=_NOT_DOWNLOADED))
        except Exception as error:  # the hub's client raises its own errors, the file system's and its HTTP library's
            raise ModelError(f"cannot download {self.source} from the Hugging Face hub: {one_line(error)}") from error


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
    folder = Path(os.path.expanduser(name)).absolute()
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


def content_hash(folder: Path) -> str:
    """Return a hash of the files that loading reads: 40 hexadecimal digits.

    Raises:
        OSError: A file cannot be read.
    """
    state = tuple(_file_state(folder, name) for name in _content_files(folder))
    now = time.time_ns()
    if any(abs(now - stamp) < _CLOCK_GRAIN_NS for *_, modified, changed in state for stamp in (modified, changed)):
        # Could change again without a trace in the time stamps, so it is not remembered.
        return _hash_files.__wrapped__(folder, state)
    return _hash_files(folder, state)


def _file_state(folder: Path, name: str) -> tuple[str, int, int, int, int]:
    status = (folder / name).stat()
    return name, status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


@lru_cache(maxsize=8)
def _hash_files(folder: Path, state: tuple[tuple[str, int, int, int, int], ...]) -> str:
    """Hash names and bytes. Remembered as long as no file's state changes: mteb asks for a revision again and again."""
    total = hashlib.sha256()
    for name, *_ in state:
        with (folder / name).open("rb") as stream:
            total.update(os.fsencode(name) + b"\0" + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()[:40]


def _content_files(folder: Path) -> list[str]:
    """Return the files that make the model, as sorted paths relative to the folder."""
    names = []
    for parent, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        folders[:] = [name for name in folders if not _NOT_CONTENT.fullmatch(name)]
        names += [
            Path(parent, name).relative_to(folder).as_posix() for name in files if not _NOT_CONTENT.fullmatch(name)
        ]
    return sorted(names)


def _raise(error: OSError) -> None:
    raise error


def check(folder: Path, source: str) -> None:
    """Refuse what would run foreign code, or load without an error and be another model than the one that was saved.

    Args:
        folder: The files of a Sentence Transformers model.
        source: What the user calls them.

    Raises:
        ModelError: What is wrong, and in which file.
    """
    check_files(folder, source)
    try:
        kinds = [str(module["type"]) for module in _read_json(folder / "modules.json")]
        settings = folder / "config_sentence_transformers.json"
        family = _read_json(settings).get("model_type", "SentenceTransformer") if settings.exists() else None
    except (OSError, KeyError, TypeError, AttributeError) as error:
        raise _incomplete(source, error) from error
    if family not in (None, "SentenceTransformer"):
        raise ModelError(f"{source} is a {family}, not a SentenceTransformer")
    for kind in kinds:
        if not kind.startswith("sentence_transformers."):
            raise ModelError(f"{source} needs code of its own ({kind}); only Sentence Transformers' modules are run")
    # Where these two are missing, settings are made up. The versions whose modules are in `base` always save the first.
    if family is None and any(kind.startswith("sentence_transformers.base.") for kind in kinds):
        raise _incomplete(source, FileNotFoundError(f"{settings.name} is missing"))
    if (folder / "tokenizer.json").exists() and not (folder / "tokenizer_config.json").exists():
        raise _incomplete(source, FileNotFoundError("tokenizer_config.json is missing"))


def check_files(folder: Path, source: str) -> None:
    """Refuse files that are damaged, and weights that could run code when they are loaded.

    Args:
        folder: The files of a Sentence Transformers or transformers model.
        source: What the user calls them.

    Raises:
        ModelError: What is wrong, and in which file.
    """
    files = [folder / name for name in _content_files(folder)]
    _check_whole(files)
    _check_weights(files, source)


def _check_whole(files: list[Path]) -> None:
    """Refuse files that end too early: what is told of them later does not name the file."""
    from safetensors import SafetensorError, safe_open

    for file in files:
        try:
            if file.suffix == ".safetensors":
                with safe_open(file, framework="np"):
                    pass
            elif file.suffix == ".json":
                _read_json(file)
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelError(f"{file} is damaged or not copied completely: {one_line(error)}") from error


def _check_weights(files: list[Path], source: str) -> None:
    safe = {file.parent for file in files if file.suffix == ".safetensors"}
    for file in files:
        if file.suffix in _PICKLES and file.parent not in safe:
            raise ModelError(
                f"{source} has its weights in {file.name}, a pickle, which can run code when it is loaded: "
                "save the model again as safetensors"
            )
    if not safe:
        raise ModelError(f"{source} has no weights: there is no .safetensors file")


def _read_json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _incomplete(source: str, error: Exception) -> ModelError:
    return ModelError(f"{source} is not a complete Sentence Transformers model: {one_line(error)}")


# Models in memory -> the checkpoint they were loaded from, and its revision then.
_loaded: WeakKeyDictionary[SentenceTransformerEncoderWrapper, tuple[Checkpoint | Head, str]] = WeakKeyDictionary()


def ours_encoder(
    model_name: str,
    revision: str | None = None,
    device: str | None = None,
    embed_dim: int | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    folder: str | None = None,
) -> SentenceTransformerEncoderWrapper:
    """Load the checkpoint for mteb, which calls this with the name and revision of its metadata.

    Args:
        model_name: Always `NAME`.
        revision: The revision that the results will be filed under.
        device: Where to put the model.
        embed_dim: Number of dimensions to cut the embeddings to. Default: all.
        model_kwargs: Passed on to transformers' ``from_pretrained``, e.g. ``{"torch_dtype": "bfloat16"}``.
        folder: The folder of the model; None for `ours`.

    Returns:
        mteb's wrapper, with the checkpoint's own prompts.

    Raises:
        ModelError: There is no checkpoint, it cannot be loaded, or its content is not that of the revision.
    """
    checkpoint = find_checkpoint(folder)
    found = checkpoint.revision()
    logger.info("Loading %s from %s, revision %s", NAME, checkpoint.source, found)
    if isinstance(checkpoint, Head):
        if model_kwargs:
            raise ModelError(f"model_kwargs are for a checkpoint of your own, and {checkpoint.source} is to be loaded")
        encoder = e5_q4.wrapped(checkpoint.load(device))
    else:
        encoder = _load_files(checkpoint, device, embed_dim, model_kwargs or {})
    if not found == revision == checkpoint.revision():
        raise ModelError(f"{checkpoint.source} changed while it was being loaded: load it again when it is complete")
    _loaded[encoder] = checkpoint, found
    return encoder


def _load_files(
    checkpoint: Checkpoint, device: str | None, embed_dim: int | None, model_kwargs: Mapping[str, Any]
) -> SentenceTransformerEncoderWrapper:
    files = checkpoint.fetch()
    check(files, checkpoint.source)
    try:
        return SentenceTransformerEncoderWrapper(
            str(files),
            device=device,
            embed_dim=embed_dim,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={**model_kwargs, "use_safetensors": True},
        )
    except Exception as error:  # each module of a model, and each version of transformers, has its own errors
        logger.debug("Loading %s failed", files, exc_info=True)
        raise _incomplete(checkpoint.source, error) from None


class OursMeta(ModelMeta):
    """Metadata whose revision is that of the checkpoint at the moment when it is asked for.

    mteb copies metadata for the models that it loads. The copy is an ordinary ModelMeta and keeps the revision that
    was loaded.
    """

    def __getattribute__(self, name: str) -> Any:
        if name == "revision":
            return _revision_to_file_under(self.loader_kwargs.get("folder"))
        return super().__getattribute__(name)

    def load_model(
        self, device: str | None = None, *, embed_dim: int | None = None, **kwargs: Any
    ) -> SentenceTransformerEncoderWrapper:
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
        encoder = cast("SentenceTransformerEncoderWrapper", super().load_model(device, embed_dim=embed_dim, **kwargs))
        encoder.mteb_model_meta = encoder.mteb_model_meta.model_copy(update=_facts_of_model(encoder.model))
        return encoder

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
    return {**facts, **_facts_of_training(checkpoint.folder)}


def _facts_of_training(folder: Path) -> dict[str, Any]:
    """Return what the manifest of `beir-hybrid train` says; nothing where there is none, or a damaged one.

    Where the training data of the base are not known, the training datasets are those of our own training alone.
    """
    from beir_hybrid.tasks.subsets import MTEB_LANGUAGES
    from beir_hybrid.training.manifest import read_manifest

    try:
        manifest = read_manifest(folder)
    except BeirHybridError as error:
        logger.warning("The training data of %s are unknown: %s", NAME, error)
        return {}
    if manifest is None:
        return {}
    return {
        "training_datasets": set(manifest.known_training_datasets),
        "languages": [MTEB_LANGUAGES[code] for code in manifest.languages if code in MTEB_LANGUAGES],
        "adapted_from": manifest.base["name"] if "/" in manifest.base["name"] else None,
    }


def _facts_of_model(model: SentenceTransformer) -> dict[str, Any]:
    parameters = list(model.parameters())
    return {
        "n_parameters": sum(tensor.numel() for tensor in parameters),
        "memory_usage_mb": round(sum(tensor.nbytes for tensor in parameters) / 2**20, 1),
        "max_tokens": model.max_seq_length,
        "embed_dim": model.get_embedding_dimension(),
        "similarity_fn_name": ScoringFunction.from_str(model.similarity_fn_name),
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
    """Whether a name is the folder of a Sentence Transformers model."""
    return Path(os.path.expanduser(name), "modules.json").is_file()


def model_meta(folder: str | None = None) -> ModelMeta:
    """Return the metadata for mteb. Nothing is read until somebody asks for the revision.

    What is not known of a checkpoint as such (licence, and without a training manifest languages and training data) is
    None, mteb's word for unknown. A model given by its folder has the name of `ours`, too, so that the results of one
    checkpoint are filed in one place.

    Args:
        folder: The folder of the model; None for `ours`.
    """
    return OursMeta(
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
    )
