"""One pass of a model over a parallel corpus: encode every text once, count every rank once.

Several tasks look at the same ranks (retrieval scores, language bias). In one `mteb run` they share the pass.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from beir_hybrid.ranks.model_state import PASSAGE, QUERY, ModelState
from beir_hybrid.scoring.corpus_scores import Embeddings, count_corpus

if TYPE_CHECKING:
    from beir_hybrid.corpora.parallel import ParallelCorpus
    from beir_hybrid.mteb.encode import Call
    from beir_hybrid.scoring.counting import CountedRanks, Wanted

logger = logging.getLogger("mteb.beir_hybrid")


@dataclass(frozen=True)
class CountedRun:
    """The ranks of a model, and what tells the model, as it was, from any other.

    Attributes:
        counted: Query language -> its counted ranks.
        state: The state of the model.
        embeddings: The embeddings of the languages of the pass, where they are still there.
    """

    counted: Mapping[str, CountedRanks]
    state: ModelState
    embeddings: Embeddings | None = None


def run_encoder(
    call: Call,
    corpus: ParallelCorpus,
    query_languages: Sequence[str],
    passage_languages: Sequence[str],
    confidence: Wanted = True,
    keep_top: int | None = None,
) -> CountedRun:
    """Encode the questions and passages of some languages, each text once, and count all ranks.

    Raises:
        ModelError: The model's embeddings or similarities cannot be ranked by.
    """

    def encode(kind: str, language: str) -> Any:
        part = corpus.languages[language]
        n, texts = (len(part.questions), "questions") if kind == QUERY else (len(part.passages), "passages")
        logger.info(f"Encoding {n} {language} {texts}...")
        return call.embed(corpus, kind, language)

    with call.timer("Encoding passages", split=call.split):
        passages = {language: encode(PASSAGE, language) for language in passage_languages}
    with call.timer("Encoding questions", split=call.split):
        questions = {language: encode(QUERY, language) for language in query_languages}
    embeddings = Embeddings(questions, passages)
    with call.timer("Counting ranks", split=call.split, log_message="Counting ranks..."):
        similarity = call.encoder.similarity
        ranks = count_corpus(
            corpus, embeddings, similarity, query_languages, passage_languages, call.progress, confidence, keep_top
        )
        counted = {of_language.targets.query_language: of_language for of_language in ranks}
    state = call.state()
    if state.fingerprint is None:
        state = ModelState(sample=embeddings.sample())
    return CountedRun(counted, state, embeddings)


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
