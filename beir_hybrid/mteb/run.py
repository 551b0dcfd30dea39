"""One pass of a model over a parallel corpus: encode every text once, count every rank once.

Several tasks look at the same ranks (retrieval scores, language bias). In one `mteb run` they share the pass.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset
from mteb.types import PromptType

from beir_hybrid.corpora.columns import take
from beir_hybrid.corpora.parallel import ParallelCorpus
from beir_hybrid.mteb.encode import encode_texts
from beir_hybrid.scoring.counting import CountedRanks
from beir_hybrid.scoring.evaluation import Embeddings, count_corpus
from beir_hybrid.scoring.identity import QUERY, Encode, ModelState, by_language

if TYPE_CHECKING:
    from mteb import EncoderProtocol, TaskMetadata
    from mteb.timing import TimingStack
    from mteb.types import EncodeKwargs
    from numpy.typing import NDArray

# A child of mteb's logger, so that mteb's --verbosity decides what is shown.
logger = logging.getLogger("mteb.beir_hybrid")


@dataclass(frozen=True)
class EncodedRun:
    """What a pass is made of.

    Attributes:
        corpus: The questions, passages and judgments.
        embeddings: Of the languages of the pass.
        counted: Query language -> its counted ranks.
    """

    corpus: ParallelCorpus
    embeddings: Embeddings
    counted: Mapping[str, CountedRanks]


def question_dataset(corpus: ParallelCorpus, language: str) -> Dataset:
    """Return the questions of a language in MTEB's layout, columns ``id`` and ``text``."""
    part = corpus.languages[language]
    return Dataset.from_dict({"id": list(part.query_ids), "text": list(part.questions)})


def passage_dataset(corpus: ParallelCorpus, languages: Sequence[str]) -> Dataset:
    """Return the passages of some languages, one pool, in MTEB's layout, columns ``id`` and ``text``.

    A third column is ``title`` where the data set has titles.
    """
    parts = [corpus.languages[language] for language in languages]
    columns = {
        "id": [passage_id for part in parts for passage_id in part.passage_ids],
        "text": [text for part in parts for text in part.passages],
    }
    if any(part.titles is not None for part in parts):
        columns["title"] = [title for part in parts for title in part.titles or [""] * len(part.passages)]
    return Dataset.from_dict(columns)


def passages_at(corpus: ParallelCorpus, language: str, rows: NDArray[np.int64]) -> Dataset:
    """Return some passages of a language in MTEB's layout, as ``passage_dataset`` does."""
    part = corpus.languages[language]
    columns = {"id": take(part.passage_ids, rows), "text": take(part.passages, rows)}
    if part.titles is not None:
        columns["title"] = take(part.titles, rows)
    return Dataset.from_dict(columns)


def run_encoder(
    model: EncoderProtocol,
    corpus: ParallelCorpus,
    *,
    query_languages: Sequence[str],
    passage_languages: Sequence[str],
    task_metadata: TaskMetadata,
    hf_split: str,
    encode_kwargs: EncodeKwargs,
    timer: TimingStack,
    num_proc: int | None = None,
) -> EncodedRun:
    """Encode the questions and passages of some languages, each text once, and count all ranks.

    Raises:
        ModelError: The model's embeddings or similarities cannot be ranked by.
    """

    def encode(texts: Dataset, language: str, prompt_type: PromptType) -> Any:
        logger.info(f"Encoding {len(texts)} {language} {'questions' if prompt_type == 'query' else 'passages'}...")
        return encode_texts(
            model,
            texts,
            task_metadata=task_metadata,
            prompt_type=prompt_type,
            language=language,
            hf_split=hf_split,
            encode_kwargs=encode_kwargs,
            num_proc=num_proc,
        )

    with timer("Encoding passages", split=hf_split):
        passages = {
            language: encode(passage_dataset(corpus, [language]), language, PromptType.document)
            for language in passage_languages
        }
    with timer("Encoding questions", split=hf_split):
        questions = {
            language: encode(question_dataset(corpus, language), language, PromptType.query)
            for language in query_languages
        }
    embeddings = Embeddings(questions, passages)
    with timer("Counting ranks", split=hf_split, log_message="Counting ranks..."):
        progress = bool(encode_kwargs.get("show_progress_bar", True))
        ranks = count_corpus(corpus, embeddings, model.similarity, query_languages, passage_languages, progress)
        counted = {one.targets.query_language: one for one in ranks}
    return EncodedRun(corpus, embeddings, counted)


def sample_encoder(
    model: EncoderProtocol,
    language_of: Callable[[str], ParallelCorpus],
    *,
    task_metadata: TaskMetadata,
    hf_split: str,
    encode_kwargs: EncodeKwargs,
) -> Encode:
    """Return what embeds the texts of a sample, as a run does.

    Args:
        model: The encoder.
        language_of: Language -> a corpus that holds it; a KeyError where there is none.
        task_metadata: Metadata of the task, from which encoders choose their prompt.
        hf_split: Split, e.g. ``test``.
        encode_kwargs: Batch size and the like, passed to the encoder.
    """

    def encode_some(kind: str, language: str, rows: NDArray[np.int64]) -> Any:
        corpus = language_of(language)
        if kind == QUERY:
            texts = Dataset.from_dict(question_dataset(corpus, language)[rows])
        else:
            texts = passages_at(corpus, language, rows)
        return encode_texts(
            model,
            texts,
            task_metadata=task_metadata,
            prompt_type=PromptType(kind),
            language=language,
            hf_split=hf_split,
            encode_kwargs={**encode_kwargs, "show_progress_bar": False},
        )

    return partial(by_language, embeddings_of=encode_some)


@dataclass(frozen=True)
class CountedRun:
    """The ranks of a model, and what tells the model, as it was, from any other.

    Attributes:
        counted: Query language -> its counted ranks.
        state: The state of the model.
        encoded: The pass with its embeddings, if one was made.
    """

    counted: Mapping[str, CountedRanks]
    state: ModelState
    encoded: EncodedRun | None = None


@dataclass
class _SharedRun:
    model: weakref.ReferenceType[Any]
    key: Any
    run: CountedRun
    used_by: set[str] = field(default_factory=set)


class SharedRuns:
    """The last pass of each data set, for the other tasks of the same `mteb run`.

    A task gets a pass once: asked again by the same task, the model is run again.
    """

    def __init__(self) -> None:
        self._runs: dict[str, _SharedRun] = {}

    def put(self, model: Any, corpus: str, key: Any, run: CountedRun, used_by: str) -> None:
        """Remember a pass that the task ``used_by`` has made; ``key`` tells what it depends on beside the model."""
        try:
            reference = weakref.ref(model)
        except TypeError:
            return  # such a model cannot be told from another at the same address later on
        self._runs[corpus] = _SharedRun(reference, key, CountedRun(run.counted, run.state), {used_by})

    def take(
        self, model: Any, corpus: str, key: Any, used_by: str, is_current: Callable[[ModelState], bool]
    ) -> CountedRun | None:
        """Return a pass of the very same model and key that ``used_by`` has not had yet, or None.

        Args:
            model: The model.
            corpus: Name of the data set.
            key: What the pass depends on beside the model.
            used_by: Name of the task that asks.
            is_current: Whether the model is still in a state; it may have been trained, or set to other dimensions.
        """
        shared = self._runs.get(corpus)
        if shared is None or shared.model() is not model or shared.key != key or used_by in shared.used_by:
            return None
        if not is_current(shared.run.state):
            del self._runs[corpus]
            return None
        shared.used_by.add(used_by)
        return shared.run

    def clear(self) -> None:
        """Forget all passes."""
        self._runs.clear()


SHARED_RUNS = SharedRuns()
