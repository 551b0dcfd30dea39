"""The folder of a model: which of its files loading reads, whether they are whole and safe, and what names the content.

Loading reads the modules that modules.json names, and of a plain transformers model the folder itself. What else lies
in the folder is not checked: a pickle that nobody loads harms nobody. Links are followed, out of the folder too: the
Hugging Face cache is made of them, and what counts is what they lead to.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from beir_hybrid.errors import BeirHybridError, ModelError, one_line
from beir_hybrid.files import read_json, shown

DENSE = "SentenceTransformer"
FAMILIES = {
    DENSE: ("SentenceTransformerEncoderWrapper", "dense"),
    "SparseEncoder": ("SparseEncoderWrapper", "sparse"),
    "MultiVectorEncoder": ("MultiVectorWrapper", "late-interaction"),
    "CrossEncoder": ("CrossEncoderWrapper", "cross-encoder"),
}
"""Kind of model of Sentence Transformers -> mteb's wrapper of it, and mteb's word for it."""

MODULES = "modules.json"
_SETTINGS = "config_sentence_transformers.json"
ADAPTER = "adapter_config.json"

# What loading does not read: hidden files, the state and the logs of a training run, other formats, and texts. Whatever
# is not listed here counts as content; at worst a model is then evaluated once more.
_NOT_CONTENT = re.compile(
    r"""\..* | checkpoint-\d+ | checkpoints | runs | eval | onnx | openvino
    | training_(manifest|run)\.json | training_fingerprints\.parquet
    | README\.md | LICENSE.* | NOTICE.* | trainer_state\.json | training_args\.bin | events\.out\.tfevents.*
    | (optimizer|scheduler|scaler)\.(pt|bin) | rng_state.*\.pth""",
    re.VERBOSE,
)
_WEIGHTS = re.compile(r"(adapter_)?model(-[\w-]+)?\.safetensors")
_TEXTS = re.compile(
    r".*config\.json|.*\.index\.json|tokenizer\.json|vocab\.json|special_tokens_map\.json|modules\.json"
)
# What the loaders read where the first of these is missing.
_PICKLES = (
    (re.compile(r"adapter_model\.bin"), ("adapter_model.safetensors",)),
    (re.compile(r"pytorch_model.*\.bin"), ("model.safetensors", "model.safetensors.index.json", ADAPTER)),
)
_WITH_TRANSFORMERS_TOKENIZER = {"Transformer", "MLMTransformer", "CLIPModel"}
_ROUTERS = {"Router", "Asym"}
# Two writes within this time can leave a file with the same time stamps, on the coarsest of file systems.
_CLOCK_GRAIN_NS = 2_000_000_000


@dataclass(frozen=True)
class Module:
    """A part of a model that loads itself from a folder.

    Attributes:
        type: Its class, with the modules it is in.
        folder: Where its files are; modules that have none may have no folder.
    """

    type: str
    folder: Path

    @property
    def name(self) -> str:
        """Name of the class."""
        return self.type.rpartition(".")[2]


def is_model_folder(name: str) -> bool:
    """Whether a name is that of a folder with what looks like a Sentence Transformers or a transformers model."""
    return any(os.path.isfile(os.path.join(os.path.expanduser(name), file)) for file in (MODULES, "config.json"))


def family(folder: Path, source: str) -> str:
    """Return the kind of model that a folder holds, a key of `FAMILIES`.

    Raises:
        ModelError: It holds none, or one of another kind.
    """
    if not (folder / MODULES).is_file():
        return _family_of_transformers(folder, source)
    settings = _settings(folder)
    found = "MultiVectorEncoder" if settings.get("model_type") == "ColBERT" else settings.get("model_type")
    if found is None:
        sparse = any(".sparse_encoder." in module.type for module in modules(folder, source))
        return "SparseEncoder" if sparse else DENSE
    if found not in FAMILIES:
        raise ModelError(f"{source} is a {shown(found)}, not one of {', '.join(FAMILIES)}")
    return str(found)


def _family_of_transformers(folder: Path, source: str) -> str:
    """Return the kind of a plain transformers model: mean pooling makes an encoder of it, or it has a classifier."""
    if not (folder / "config.json").is_file():
        found = "it has no modules.json and no config.json" if any(folder.iterdir()) else "it is empty"
        raise ModelError(f"{source} is neither a Sentence Transformers nor a transformers model: {found}")
    for name in (_SETTINGS, "sentence_bert_config.json"):
        if (folder / name).is_file():  # what is missing may have named a pooling and layers: it would be another model
            raise ModelError(f"{source} is not a complete Sentence Transformers model: it has no modules.json")
    config = _read(folder / "config.json")
    architectures = config.get("architectures") if isinstance(config, dict) else None
    classifies = any(str(name).endswith("ForSequenceClassification") for name in architectures or ())
    return "CrossEncoder" if classifies else DENSE


def _settings(folder: Path) -> dict[str, Any]:
    settings = _read(folder / _SETTINGS) if (folder / _SETTINGS).is_file() else {}
    return settings if isinstance(settings, dict) else {}


def modules(folder: Path, source: str) -> list[Module]:
    """Return the modules of a model, those that routers choose from among them.

    Args:
        folder: The folder of the model.
        source: What the user calls it.

    Raises:
        ModelError: The files that name the modules are damaged, or name a path out of the folder.
    """
    if not (folder / MODULES).is_file():
        return [Module("sentence_transformers.Transformer", folder)]
    named = _read(folder / MODULES)
    if not isinstance(named, list) or not named:
        raise incomplete(source, ValueError(f"{MODULES} names no modules"))
    try:
        found = [Module(str(entry["type"]), _below(folder, entry["path"], source)) for entry in named]
        routes = [module for module in found if module.name in _ROUTERS for module in _routes(module, source)]
    except (KeyError, TypeError, AttributeError) as error:
        raise incomplete(source, error) from error
    return [*found, *routes]


def _routes(router: Module, source: str) -> Iterator[Module]:
    names = [name for name in ("router_config.json", "config.json") if (router.folder / name).is_file()]
    if not names:
        raise incomplete(source, FileNotFoundError(f"{router.folder / 'router_config.json'} is missing"))
    for path, kind in _read(router.folder / names[0])["types"].items():
        yield Module(str(kind), _below(router.folder, path, source))


def _below(folder: Path, path: str, source: str) -> Path:
    if PurePosixPath(path).is_absolute() or ".." in re.split(r"[/\\]", path) or ":" in path or "\0" in path:
        raise ModelError(f"{source} names {shown(path)} as the folder of a module, which is not below its own")
    return folder / path


def check(folder: Path, source: str, wanted: str | None = None) -> str:
    """Refuse what would run foreign code, or load without an error and be another model than the one that was saved.

    Args:
        folder: The files of a model.
        source: What the user calls them.
        wanted: The only kind of model that will do; any by default.

    Returns:
        The kind of model, a key of `FAMILIES`.

    Raises:
        ModelError: What is wrong, and in which file.
    """
    found = family(folder, source)
    if wanted not in (None, found):
        raise ModelError(f"{source} is a {found}, not a {wanted}")
    parts = modules(folder, source)
    for module in parts:
        if not module.type.startswith("sentence_transformers."):
            raise ModelError(
                f"{source} needs code of its own ({shown(module.type)}); only Sentence Transformers' modules are run"
            )
    # Where this is missing, settings are made up. The versions whose modules are in `base` always save it.
    if not (folder / _SETTINGS).is_file() and any(".base." in module.type for module in parts):
        raise incomplete(source, FileNotFoundError(f"{_SETTINGS} is missing"))
    _check_whole([folder / MODULES, folder / _SETTINGS])
    for module in parts:
        _check_module(module, folder, source)
    if not any(_WEIGHTS.fullmatch(file.name) for module in parts for file in _files(module.folder)) and not any(
        module.name == "BoW" for module in parts
    ):
        raise ModelError(f"{source} has no weights: there is no .safetensors file")
    return found


def _check_module(module: Module, folder: Path, source: str) -> None:
    files = _files(module.folder)
    names = {file.name for file in files}
    _check_whole([file for file in files if _WEIGHTS.fullmatch(file.name) or _TEXTS.fullmatch(file.name)])
    for pickle, instead in _PICKLES:
        for file in files:
            if pickle.fullmatch(file.name) and names.isdisjoint(instead):
                raise ModelError(
                    f"{source} has its weights in {file.relative_to(folder).as_posix()}, a pickle, which can run code "
                    "when it is loaded: save the model again as safetensors"
                )
    made_up = "tokenizer.json" in names and "tokenizer_config.json" not in names
    if made_up and module.name in _WITH_TRANSFORMERS_TOKENIZER:
        raise incomplete(source, FileNotFoundError("tokenizer_config.json is missing"))
    if module.name == "StaticEmbedding":
        _check_vocabulary(module.folder, source)


def _check_vocabulary(folder: Path, source: str) -> None:
    """Refuse a vocabulary that Model2Vec has quantised where this Sentence Transformers takes a row for another."""
    import torch
    from safetensors.torch import load_file
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    weights = load_file(folder / "model.safetensors") if (folder / "model.safetensors").is_file() else {}
    if not {"mapping", "weights"} & set(weights):
        return
    try:
        rows = weights["embeddings"].float()
        rows = rows[weights["mapping"].long()] if "mapping" in weights else rows
        rows = rows * weights["weights"].float()[:, None] if "weights" in weights else rows
        loaded = StaticEmbedding.load(str(folder)).embedding.weight.detach().float()
        right = loaded.shape == rows.shape and torch.allclose(loaded, rows, rtol=1e-2, atol=1e-3)
    except Exception as error:  # of torch, safetensors or the tokenizer
        raise incomplete(source, error) from error
    if not right:
        raise ModelError(
            f"{source} has a quantised vocabulary (Model2Vec), which this version of sentence-transformers reads "
            "wrongly: pip install -U sentence-transformers, or save the model without it"
        )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


def _check_whole(files: list[Path]) -> None:
    """Refuse files that end too early: what is told of them later does not name the file."""
    from safetensors import SafetensorError, safe_open

    for file in files:
        if file.suffix == ".json":
            if file.is_file():
                _read(file)
            continue
        try:
            with safe_open(file, framework="np"):
                pass
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelError(f"{file} is damaged or not copied completely: {one_line(error)}") from error


def _read(file: Path) -> Any:
    try:
        return read_json(file)
    except BeirHybridError as error:
        raise ModelError(f"{file} is damaged or not copied completely: {error}") from error


def incomplete(source: str, error: Exception) -> ModelError:
    """Return the error that says that a model cannot be loaded from its files."""
    return ModelError(f"{source} is not a complete Sentence Transformers model: {one_line(error)}")


def count_weights(folder: Path, source: str) -> tuple[int, int]:
    """Return the number of weights that the files of a model hold, and their size in bytes."""
    from safetensors import safe_open

    number = size = 0
    for file in {file for module in modules(folder, source) for file in _files(module.folder)}:
        if _WEIGHTS.fullmatch(file.name):
            size += file.stat().st_size
            with safe_open(file, framework="np") as tensors:
                number += sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return number, size


# What names the content


def content_hash(folder: Path) -> str:
    """Return a hash of the files that loading reads: 40 hexadecimal digits.

    An adapter is part of a model: what names its base goes into the hash.

    Raises:
        OSError: A file cannot be read.
        ModelError: The folder is an adapter, and its base is neither a folder nor in the cache of the hub.
    """
    state = tuple(_file_state(folder, name) for name in _content_files(folder))
    now = time.time_ns()
    if any(abs(now - stamp) < _CLOCK_GRAIN_NS for *_, modified, changed in state for stamp in (modified, changed)):
        # Could change again without a trace in the time stamps, so it is not remembered.
        digest = _hash_files.__wrapped__(folder, state)
    else:
        digest = _hash_files(folder, state)
    bases = [_base_of_adapter(folder / name) for name, *_ in state if PurePosixPath(name).name == ADAPTER]
    return hashlib.sha256("\0".join([digest, *bases]).encode()).hexdigest()[:40] if bases else digest


def _base_of_adapter(config: Path) -> str:
    """Return what names the content of the base that loading an adapter puts it on."""
    settings = _read(config)
    base = settings.get("base_model_name_or_path") if isinstance(settings, dict) else None
    if not isinstance(base, str) or not base:
        raise ModelError(f"{config} names no base_model_name_or_path")
    if Path(base).is_dir():
        if Path(base).resolve() in config.resolve().parents:
            raise ModelError(f"{config} names its own folder as its base")
        return content_hash(Path(base))
    commit = cached_commit(base)  # what loading reads, which asks the hub for nothing
    if commit is None:
        raise ModelError(
            f"{config} is an adapter on {shown(base)}, which is neither a folder here nor in the cache of the Hugging "
            f"Face hub: fetch it (hf download {shown(base)}), or merge the adapter into it"
        )
    return commit


def cached_commit(repository: str) -> str | None:
    """Return the newest commit of a repository in the hub's local cache; None if it is not there."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, local_files_only=True)).name
    except Exception:  # the client's own errors, those of names that are none, and those of the file system
        return None


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
    seen = set()
    for parent, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        seen.add(os.path.realpath(parent))
        folders[:] = [
            name
            for name in folders
            if not _NOT_CONTENT.fullmatch(name) and os.path.realpath(os.path.join(parent, name)) not in seen
        ]
        names += [
            Path(parent, name).relative_to(folder).as_posix() for name in files if not _NOT_CONTENT.fullmatch(name)
        ]
    return sorted(names)


def _raise(error: OSError) -> None:
    raise error
