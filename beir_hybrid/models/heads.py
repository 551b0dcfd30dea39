"""The heads that come with the package: linear maps behind multilingual-e5-small, trained by ``make ours``.

A head is a folder of ``heads/``: its matrix in float16, and the manifest of the training run. Its base is the offline
encoder, on whose embeddings it was trained, if the extra ``offline`` is installed, else the encoder that this one was
made of, from the Hugging Face hub or its local cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from beir_hybrid.errors import ModelError, one_line
from beir_hybrid.files import atomic_path
from beir_hybrid.models import e5_q4

if TYPE_CHECKING:
    from mteb.models import ModelMeta
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
    from sentence_transformers import SentenceTransformer

    from beir_hybrid.models.manifest import TrainingManifest
    from beir_hybrid.training.pairs import Batching

FOLDER = Path(__file__).parent / "heads"
OURS = "ours"
BASELINES: Mapping[str, Batching] = {"baseline-monolingual": "monolingual", "baseline-cross-lingual": "cross-lingual"}
"""Name of a head that is like `ours` in all but its training batches -> how these were made."""

NAMES = (OURS, *BASELINES)
"""The heads that come with the package."""

_MATRIX = "matrix"
_PROJECT = "https://pypi.org/project/beir-hybrid/"
_RELEASED = "2026-11-23"


@dataclass(frozen=True)
class Head:
    """A head that comes with the package: one of `NAMES`, and where its files are."""

    name: str
    folder: Path

    @property
    def file(self) -> Path:
        """The file of its matrix."""
        return self.folder / "head.safetensors"

    @property
    def source(self) -> str:
        """What messages call it."""
        return f"the head {self.name} that comes with beir-hybrid"

    @property
    def model_name(self) -> str:
        """The name under which mteb files its results."""
        return f"beir-hybrid/{self.name}"

    def revision(self) -> str:
        """Return a hash of the matrix and of what names the content of its base: 40 hexadecimal digits."""
        return hashlib.sha256(self.file.read_bytes() + str(base_meta().revision).encode()).hexdigest()[:40]

    def matrix(self) -> NDArray[np.float32]:
        """Return the matrix that embeddings of the base are multiplied with, shape (dimensions, dimensions)."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return load_file(self.file)[_MATRIX].astype(np.float32)
        except (OSError, SafetensorError, KeyError) as error:
            raise ModelError(f"{self.file} is damaged ({one_line(error)}); install beir-hybrid again") from error

    def manifest(self) -> TrainingManifest:
        """Return what it was made of; an error where the manifest is missing or damaged."""
        from beir_hybrid.models.manifest import FILE_NAME, read_manifest

        manifest = read_manifest(self.folder)
        if manifest is None:
            raise ModelError(f"{self.folder / FILE_NAME} is missing; install beir-hybrid again")
        return manifest

    def write(self, matrix: NDArray[np.floating[Any]], manifest: TrainingManifest) -> None:
        """Write the matrix, shape (dimensions, dimensions), as float16, and what the head was made of."""
        from safetensors.numpy import save_file

        with atomic_path(self.file) as path:
            save_file({_MATRIX: np.ascontiguousarray(matrix, np.float16)}, path)
        manifest.write(self.folder)

    def load(self, device: str | None = None) -> SentenceTransformer:
        """Load the base with the head behind it: an ordinary SentenceTransformer, which can be trained and saved.

        Args:
            device: Where to put it, as torch names it. Default: the GPU where there is one.

        Raises:
            ModelError: There is no base, or a file is damaged.
        """
        import torch
        from sentence_transformers.sentence_transformer.modules import Dense, Normalize
        from torch import nn

        matrix = torch.from_numpy(self.matrix())
        model = load_base(self.model_name, device)
        size = len(matrix)
        model.append(Dense(size, size, bias=False, activation_function=nn.Identity(), init_weight=matrix))
        model.append(Normalize())
        return model.to(model.device)


def find_head(name: str) -> Head | None:
    """Return a head by its name; None if it does not come with this version of the package."""
    head = Head(name, FOLDER / name)
    return head if head.file.is_file() else None


def baselines() -> list[Head]:
    """Return the heads besides `ours` that come with this version of the package."""
    return [head for name in BASELINES if (head := find_head(name)) is not None]


def base_meta() -> ModelMeta:
    """Return mteb's metadata of the base that a head gets here."""
    import mteb

    return e5_q4.model_meta() if _offline_base_is_installed() else mteb.get_model_meta(e5_q4.BASE_MODEL)


def _offline_base_is_installed() -> bool:
    return all(find_spec(file.package) is not None for file in (e5_q4.WEIGHTS, e5_q4.TOKENIZER))


def load_base(wanted_by: str, device: str | None = None) -> SentenceTransformer:
    """Load the base that a head gets here; ``wanted_by`` is the model that needs it, for messages.

    Raises:
        ModelError: It is neither installed nor to be had from the hub.
    """
    if _offline_base_is_installed():
        return e5_q4.load(device)
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(
            e5_q4.BASE_MODEL,
            revision=base_meta().revision,
            device=device,
            prompts=dict(e5_q4.PROMPTS),
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except Exception as error:  # the hub's client raises its own errors, the file system's and its HTTP library's
        raise ModelError(
            f"{wanted_by} needs its base model, which is neither installed nor in reach: "
            f"pip install {e5_q4.PACKAGES}, or let it download {e5_q4.BASE_MODEL} ({one_line(error)})"
        ) from None


def head_encoder(
    model_name: str, revision: str | None = None, device: str | None = None, embed_dim: int | None = None
) -> SentenceTransformerEncoderWrapper:
    """Load a head with its base for mteb, which calls this with the name and revision of `model_meta`.

    Raises:
        ModelError: There is no base, or the head or its base changed since mteb was imported.
    """
    head = find_head(model_name.rpartition("/")[2])
    if head is None or head.revision() != revision:
        raise ModelError(f"{model_name} or its base was changed after mteb was imported: start again")
    return e5_q4.wrapped(head.load(device))


def model_meta(head: Head) -> ModelMeta:
    """Return the metadata for mteb: those of the base, except for what is different here."""
    base, manifest = base_meta(), head.manifest()
    added = head.matrix().size
    return base.model_copy(
        update={
            "loader": head_encoder,
            "loader_kwargs": {},
            "name": head.model_name,
            "revision": head.revision(),
            "release_date": _RELEASED,
            "n_parameters": (base.n_parameters or 0) + added,
            "memory_usage_mb": round((base.memory_usage_mb or 0) + 4 * added / 2**20),
            "license": "apache-2.0",
            "public_training_code": _PROJECT,
            "public_training_data": ", ".join(part["source"] for part in manifest.data),
            "framework": ["Sentence Transformers", "PyTorch"],
            "reference": _PROJECT,
            "training_datasets": set(manifest.known_training_datasets.union(base.training_datasets or ())),
            "adapted_from": e5_q4.BASE_MODEL,
        },
        deep=True,
    )
