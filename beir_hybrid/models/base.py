"""The model that a training run starts from: a folder, a Hugging Face hub id, or the offline encoder."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from beir_hybrid.errors import ModelError, first_line
from beir_hybrid.models import e5_q4
from beir_hybrid.models.checkpoints import Checkpoint, locate
from beir_hybrid.models.manifest import read_manifest
from beir_hybrid.models.model_files import DENSE, check

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer, SentenceTransformerModelCardData
    from torch import nn

logger = logging.getLogger(__name__)

OFFLINE = "offline"
"""Short name of the offline encoder."""


@dataclass(frozen=True)
class Base:
    """A model to start from.

    Attributes:
        name: What a manifest calls it: the hub id, the name of the offline encoder, or the last part of the folder.
        revision: What names its content and no other: a commit, or a hash of the files.
        checkpoint: Where its files are; None for the offline encoder.
        asked_by: What stands before the model in messages.
    """

    name: str
    revision: str
    checkpoint: Checkpoint | None
    asked_by: str = ""

    @property
    def training_datasets(self) -> frozenset[str] | None:
        """Names of the MTEB tasks that it has seen in training; None if that is not known."""
        if self.checkpoint is not None and self.checkpoint.folder is not None:
            manifest = read_manifest(self.checkpoint.folder)
            return None if manifest is None else manifest.known_training_datasets
        import mteb

        try:
            known = mteb.get_model_meta(self.name).training_datasets
        except KeyError:
            return None
        return None if known is None else frozenset(known)

    def load(self, device: str | None = None, max_length: int | None = None) -> SentenceTransformer:
        """Load it.

        Args:
            device: Where to put it, as torch names it. Default: the GPU where there is one.
            max_length: Tokens after which texts are cut. Default: what the model says.

        Raises:
            ModelError: It is damaged, needs code of its own, or takes no texts of that length.
        """
        model = e5_q4.load(device) if self.checkpoint is None else _load_files(self.checkpoint, device, self.asked_by)
        model.float()  # weights that were saved in half precision would hardly move
        if max_length is not None:
            _cut_texts(model, max_length, self.name)
        return model


def find_base(name: str, asked_by: str = "--base ") -> Base:
    """Find the model that a user names: a folder, a hub id, or the offline encoder, "offline" or its full name.

    Args:
        name: What the user wrote.
        asked_by: What stands before it in messages.

    Raises:
        ModelError: There is none, or the hub cannot be asked.
    """
    if name in (OFFLINE, e5_q4.NAME):
        return Base(e5_q4.NAME, e5_q4.REVISION, None)
    checkpoint = locate(name, asked_by)
    public = checkpoint.source if checkpoint.folder is None else checkpoint.folder.resolve().name
    return Base(public, checkpoint.revision(), checkpoint, asked_by)


def _cut_texts(model: SentenceTransformer, max_length: int, name: str) -> None:
    """Let a model cut texts, in each of its routes, as it will when it is saved and loaded."""
    from sentence_transformers.base.modules import InputModule, Router
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    for module in model.modules():
        if isinstance(module, StaticEmbedding):
            module.tokenizer.enable_truncation(max_length)
        elif isinstance(module, InputModule) and not isinstance(module, Router):
            limit = getattr(module, "max_seq_length", None)
            if limit is not None and max_length > limit:
                raise ModelError(f"--max-length {max_length}: {name} takes texts of up to {limit} tokens")
            try:
                cast(Any, module).max_seq_length = max_length
            except AttributeError as error:
                raise ModelError(f"--max-length {max_length}: {name} does not cut texts; leave it out") from error


def text_limit(model: SentenceTransformer) -> float | None:
    """Return the number of tokens after which a model without routes cuts texts, None if it does not say."""
    truncation = getattr(getattr(model[0], "tokenizer", None), "truncation", None)
    limit: float | None = truncation["max_length"] if isinstance(truncation, dict) else model.max_seq_length
    return limit


def training_prompts(model: SentenceTransformer) -> dict[str, str]:
    """Return column -> the prompt that `encode_query` and `encode_document` would put before its texts."""

    def prompt(*names: str) -> str:
        name = next((name for name in names if name in model.prompts), model.default_prompt_name)
        return model.prompts[name] or "" if name is not None else ""

    return {"question": prompt("query"), "answer": prompt("document", "passage", "corpus")}


def model_like(
    model: SentenceTransformer, modules: Iterable[nn.Module], card: SentenceTransformerModelCardData | None = None
) -> SentenceTransformer:
    """Return a model of some modules with the device, the prompts and the similarity of another one."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(
        modules=list(modules),
        device=str(model.device),
        prompts={name: prompt or "" for name, prompt in model.prompts.items()},
        default_prompt_name=model.default_prompt_name,
        similarity_fn_name=model.similarity_fn_name,
        model_card_data=card,
    )


def forget_last_call(model: SentenceTransformer) -> None:
    """Let no tokenizer save how it was called last, so that equal models are saved as equal files."""
    for module in model.modules():
        backend = getattr(getattr(module, "tokenizer", None), "backend_tokenizer", None)
        if backend is not None:
            backend.no_truncation()
            backend.no_padding()


def _load_files(checkpoint: Checkpoint, device: str | None, asked_by: str) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    folder = checkpoint.fetch()
    check(folder, f"{asked_by}{checkpoint.source}", wanted=DENSE)
    try:
        # A transformers model without modules of Sentence Transformers gets mean pooling, as it always does there.
        return SentenceTransformer(
            str(folder),
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except Exception as error:  # each module, and each version of transformers, has its own errors
        logger.debug("Loading %s failed", folder, exc_info=True)
        reason = f"{type(error).__name__}: {first_line(error)[:200]}"
        raise ModelError(f"cannot load {checkpoint.source}: {reason}") from None
