"""An encoder of MTEB with a map behind it that must know the language of each text: the task says which it is.

MTEB's tasks embed the texts of a subset, and name its languages in their metadata; ours embed one language at a time.
Where a subset is of several languages, nothing says which text is in which: then the language can be read off the
embedding, if that was asked for, and else there is an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from beir_hybrid.corpora.registry import retrieval_specs
from beir_hybrid.debias.aware import NEAREST, check_default, debiased
from beir_hybrid.debias.map_files import digest_of
from beir_hybrid.debias.maps import DebiasError, Map
from beir_hybrid.errors import DataError
from beir_hybrid.languages import mteb_code
from beir_hybrid.ranks.schema import is_named
from beir_hybrid.subsets import CROSS, MULTI, Subset

if TYPE_CHECKING:
    from mteb import TaskMetadata
    from mteb.models import EncoderProtocol, ModelMeta
    from mteb.types import PromptType

_STANDARD = {"arb": "ara", "cmn": "zho"}
"""Code of the standard variety, which some tasks name -> code of the language that is meant by its tag."""


class AwareEncoder:
    """An encoder that MTEB can evaluate, with a map behind it.

    Args:
        encoder: The encoder that the map was fitted on.
        fitted: The map.
        language: None to be told by the task; `NEAREST` to read the language off each embedding; or the one language of
            all texts.

    Attributes:
        mteb_model_meta: The encoder's, with ``+<method>`` behind the name, and a revision that is a hash of the
            encoder's and of the map's content. A model without a name keeps having none.

    Example:
        >>> model = AwareEncoder(mteb.get_model("intfloat/multilingual-e5-small"), read_map(Path("centring")))
        >>> mteb.evaluate(model, mteb.get_tasks(["XQuADR"]))
    """

    mteb_model_meta: ModelMeta

    def __init__(self, encoder: EncoderProtocol, fitted: Map, language: str | None = None) -> None:
        check_default(fitted, language)
        self.encoder, self.fitted, self.language = encoder, fitted, language
        self.mteb_model_meta = self._meta()

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        **options: Any,
    ) -> Any:
        """Embed the texts of a subset, n of them, and take their language out; shape (n, dimensions).

        Raises:
            DebiasError: Nothing says their language, or the map was not fitted on it.
        """
        language = self.language
        if language is None and self.fitted.needs_language:  # before anything is embedded
            language = language_of_subset(task_metadata, hf_subset, prompt_type, self.fitted.languages)
        embeddings = self.encoder.encode(
            inputs,
            task_metadata=task_metadata,
            hf_split=hf_split,
            hf_subset=hf_subset,
            prompt_type=prompt_type,
            **options,
        )
        return debiased(self.fitted, embeddings, language)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Compare embeddings as the encoder does."""
        return self.encoder.similarity(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Compare embeddings pair by pair as the encoder does."""
        return self.encoder.similarity_pairwise(embeddings1, embeddings2)

    @property
    def digest(self) -> str:
        """A hash of all that this adds to the encoder."""
        return hashlib.sha256(f"{digest_of(self.fitted)} {self.language}".encode()).hexdigest()

    def _meta(self) -> ModelMeta:
        meta = self.encoder.mteb_model_meta
        if not is_named(meta.name, meta.revision):
            return meta
        reading = f"-{self.language}" if self.language is not None else ""
        revision = hashlib.sha256(f"{meta.revision} {self.digest}".encode()).hexdigest()[:40]
        name = f"{meta.name}+{self.fitted.method}{reading}"
        return meta.model_copy(update={"name": name, "revision": revision, "loader": None, "loader_kwargs": {}})


def language_of_subset(
    task_metadata: TaskMetadata, hf_subset: str, prompt_type: PromptType | None, known: Sequence[str]
) -> str:
    """Return the language of the texts that a task has embedded.

    Args:
        task_metadata: Metadata of the task.
        hf_subset: The subset.
        prompt_type: Whether the texts are questions or passages, which are in different languages in our ``en-de``.
        known: Tags of the languages that it can be.

    Raises:
        DebiasError: Nothing says it, or it is none of those known.
    """
    language = _of_our_subset(task_metadata.name, hf_subset, prompt_type)
    if language is not None and language in known:
        return language
    codes = {*task_metadata.hf_subsets_to_langscripts.get(hf_subset, ())}
    for code in codes if len(codes) == 1 else ():
        same = {code, *(code.replace(f"{part}-", f"{whole}-", 1) for part, whole in _STANDARD.items())}
        for tag in known:
            if mteb_code(tag) in same:
                return tag
    if language is not None:
        return language  # which the map says that it does not know
    if len(codes) != 1:
        raise DebiasError(
            f"{task_metadata.name} does not say which text of its subset {hf_subset} is in which language; "
            f"language={NEAREST!r} reads it off the embeddings"
        )
    code = codes.pop()
    raise DebiasError(f"{task_metadata.name} {hf_subset} is in {code}, and the map knows {', '.join(known)} only")


def _of_our_subset(task: str, hf_subset: str, prompt_type: PromptType | None) -> str | None:
    """Return the language that the name of a subset says in our grammar; None where it says none."""
    try:
        subset = Subset.parse(hf_subset)
    except DataError:
        return None
    if subset.questions == subset.pool:
        return subset.questions
    ours = {name for spec in retrieval_specs() if spec.task for name in (spec.task.name, spec.task.bias_name)}
    if task not in ours or prompt_type is None:
        return None
    language = subset.questions if prompt_type.value == "query" else subset.pool
    return None if language in (MULTI, CROSS) else language
