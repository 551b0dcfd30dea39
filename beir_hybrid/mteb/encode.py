"""Texts through MTEB's encoder protocol, prompts and all, as MTEB's own retrieval tasks ask for their embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from datasets import Dataset
from mteb.timing import TimingStack
from mteb.types import PromptType

from beir_hybrid.corpora.text_columns import take
from beir_hybrid.mteb.fingerprint import fingerprint
from beir_hybrid.mteb.private import create_dataloader, kept_on_gpu
from beir_hybrid.ranks.model_state import Encode, ModelState, by_language
from beir_hybrid.scoring.matrices import check_embeddings, on_device, widened
from beir_hybrid.subsets import Subset

if TYPE_CHECKING:
    import torch
    from mteb import TaskMetadata
    from mteb.models import EncoderProtocol, MTEBModels
    from mteb.types import EncodeKwargs
    from numpy.typing import NDArray

    from beir_hybrid.corpora.parallel import ParallelCorpus


class _Texts(Dataset):
    """Texts whose columns are read and whose rows are mapped at once.

    MTEB reads them row by row, which takes longer than a static model's embedding, or than counting all ranks.
    """

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return found[:] if isinstance(key, str) else found

    def map(self, function: Callable[..., dict[str, Any]] | None = None, *args: Any, **options: Any) -> Dataset:
        """Map the rows as they stand, one by one; anything but a plain function of a row is left to the base class."""
        if function is None or args or options.keys() - {"desc", "num_proc"}:
            return super().map(function, *args, **options)
        return type(self).from_list([{**row, **function(row)} for row in self.to_list()])


def question_dataset(corpus: ParallelCorpus, language: str, rows: NDArray[Any] | None = None) -> Dataset:
    """Return the questions of a language, all or some, in MTEB's layout, columns ``id`` and ``text``."""
    part = corpus.languages[language]
    return _Texts.from_dict({"id": _some(part.query_ids, rows), "text": _some(part.questions, rows)})


def passage_dataset(corpus: ParallelCorpus, languages: Sequence[str], rows: NDArray[Any] | None = None) -> Dataset:
    """Return the passages of some languages, one pool, in MTEB's layout, columns ``id`` and ``text``.

    A third column is ``title`` where the data set has titles.

    Args:
        corpus: The passages.
        languages: Languages of the pool.
        rows: Rows of the passages, where those of one language are asked for; all by default.
    """
    parts = [corpus.languages[language] for language in languages]
    columns = {
        "id": [passage_id for part in parts for passage_id in _some(part.passage_ids, rows)],
        "text": [text for part in parts for text in _some(part.passages, rows)],
    }
    if any(part.titles is not None for part in parts):
        columns["title"] = [title for part in parts for title in _some(part.titles or [""] * len(part.passages), rows)]
    return _Texts.from_dict(columns)


def _some(texts: Sequence[str], rows: NDArray[Any] | None) -> list[str]:
    return list(texts) if rows is None else take(texts, rows)


def device_of(model: Any) -> torch.device | None:
    """Return where a model computes, as its wrapper says or the model inside; None where neither does."""
    import torch

    for part in (model, getattr(model, "model", None)):
        device = getattr(part, "device", None)
        if device is None and isinstance(part, torch.nn.Module):
            device = next((weights.device for weights in part.parameters()), None)
        try:
            device = torch.device(device) if isinstance(device, str | torch.device) else None
        except RuntimeError:  # "auto", or another word of the wrapper's own
            continue
        if device is not None and device.type != "meta":  # where weights wait that are loaded when they are used
            return device
    encoder = getattr(model, "encoder", None)
    return None if encoder is None else device_of(encoder)


@dataclass(frozen=True)
class AskedAs:
    """A task of MTEB's own as which a model is asked for the embeddings of the pool that is made of it.

    Attributes:
        metadata: The task's metadata: encoders choose prompts by its name and its prompt.
        split: The split that it has its data in.
        subsets: Language -> its monolingual subset; our own name stands for one that it has not.
    """

    metadata: TaskMetadata
    split: str
    subsets: Mapping[str, str]


@dataclass(frozen=True)
class Call:
    """A model, and how a call of MTEB's ``evaluate`` wants it asked.

    Attributes:
        model: Any model that MTEB can run.
        metadata: Metadata of the task that is evaluated, which results and rank tables are named after.
        split: Split, e.g. ``test``.
        encode_kwargs: Batch size and the like, passed to the encoder.
        num_proc: Processes for the data loader.
        timer: Records the phases.
        prediction_folder: Where predictions and rank tables go; None for no predictions.
        asked_as: The task of MTEB's own as which the model is asked; None for the task that is evaluated.
    """

    model: MTEBModels
    metadata: TaskMetadata
    split: str
    encode_kwargs: EncodeKwargs
    num_proc: int | None = None
    timer: TimingStack = field(default_factory=TimingStack)
    prediction_folder: Path | None = None
    asked_as: AskedAs | None = None

    @property
    def encoder(self) -> EncoderProtocol:
        """The model, where it is one that embeds."""
        return cast("EncoderProtocol", self.model)

    @property
    def device(self) -> torch.device | None:
        """Where the model computes; None where it does not say."""
        return device_of(self.model)

    @property
    def progress(self) -> bool:
        """Whether progress bars are wanted."""
        return bool(self.encode_kwargs.get("show_progress_bar", True))

    def state(self) -> ModelState:
        """Return the state of the model now, as far as its content tells it."""
        return ModelState(fingerprint(self.model, self.encode_kwargs))

    def encode(self, texts: Dataset, language: str, prompt_type: PromptType) -> Any:
        """Encode the texts of one language; the encoder is told its monolingual subset, such as ``xx-xx``.

        Args:
            texts: Columns ``id`` and ``text``, n rows.
            language: Their language.
            prompt_type: Query or document.

        Returns:
            What the encoder returned: a matrix of n rows, small numbers as float32, on the device of the model.

        Raises:
            ModelError: The number of rows is wrong, or a row is not finite.
        """
        subset = str(Subset(language, language))
        asked_as = self.asked_as or AskedAs(self.metadata, self.split, {})
        loader = create_dataloader(
            texts,
            task_metadata=asked_as.metadata,
            prompt_type=prompt_type,
            batch_size=self.encode_kwargs.get("batch_size", 32),
            num_proc=self.num_proc,
        )
        with kept_on_gpu(self.encoder, self.encode_kwargs) as options:
            embeddings = self.encoder.encode(
                loader,
                task_metadata=asked_as.metadata,
                hf_split=asked_as.split,
                hf_subset=asked_as.subsets.get(language, subset),
                prompt_type=prompt_type,
                **options,
            )
        kind = "questions" if prompt_type == PromptType.query else "passages"
        check_embeddings(embeddings, texts["id"], f"{self.model.mteb_model_meta.name}: the {language} {kind}")
        return on_device(widened(embeddings), self.device)

    def embed(self, corpus: ParallelCorpus, kind: str, language: str, rows: NDArray[Any] | None = None) -> Any:
        """Encode questions or passages of a language, all or some.

        Args:
            corpus: The texts.
            kind: ``query`` or ``document``.
            language: Their language.
            rows: Their rows; all by default.
        """
        prompt_type = PromptType(kind)
        if prompt_type == PromptType.query:
            return self.encode(question_dataset(corpus, language, rows), language, prompt_type)
        return self.encode(passage_dataset(corpus, [language], rows), language, prompt_type)

    def sampler(self, corpus_of: Callable[[str], ParallelCorpus]) -> Encode:
        """Return what embeds the texts of a sample.

        Args:
            corpus_of: Language -> a corpus that holds it; a KeyError where there is none.
        """
        quiet = replace(self, encode_kwargs={**self.encode_kwargs, "show_progress_bar": False}, num_proc=None)

        def embed(kind: str, language: str, rows: NDArray[Any]) -> Any:
            return quiet.embed(corpus_of(language), kind, language, rows)

        return partial(by_language, embeddings_of=embed)
