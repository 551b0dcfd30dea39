"""MTEB's own search over a pool: asked as the task that the pool is made of, without what is no candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mteb.models import (
    CrossEncoderProtocol,
    SearchCrossEncoderWrapper,
    SearchEncoderWrapper,
    SearchProtocol,
)

from beir_hybrid.subsets import MULTI, Subset

if TYPE_CHECKING:
    from mteb.models import ModelMeta, MTEBModels

    from beir_hybrid.corpora.parallel import ParallelCorpus
    from beir_hybrid.mteb.encode import AskedAs, Call

Results = dict[str, dict[str, float]]
"""Query id -> passage id -> score."""


class PoolSearch:
    """A model's search, with MTEB's arguments changed on their way in and its results on their way out.

    Passages that are ignored for a question are taken out of the results, as MTEB takes out identical ids.

    Args:
        model: The model; one that does not search by itself is wrapped as MTEB wraps it.
        corpus: The pool's corpus, which says what is ignored.
        asked_as: The task of MTEB's own that the model is told; None for the one that is evaluated.
    """

    def __init__(self, model: MTEBModels, corpus: ParallelCorpus, asked_as: AskedAs | None) -> None:
        self.mteb_model_meta: ModelMeta = model.mteb_model_meta
        self._search = _searching(model)
        self._asked_as = asked_as
        self._ignored = _ignored_ids(corpus)

    def index(self, corpus: Any, *, hf_subset: str, **options: Any) -> None:
        """Index the passages of a pool; arguments are MTEB's."""
        subset = Subset.parse(hf_subset)
        language = subset.questions if subset.pool == MULTI else subset.pool
        self._search.index(corpus, **self._told(language, hf_subset, options))

    def search(self, queries: Any, *, hf_subset: str, **options: Any) -> Results:
        """Search the pool; arguments and results are MTEB's."""
        results = self._search.search(queries, **self._told(Subset.parse(hf_subset).questions, hf_subset, options))
        for query_id, passage_ids in self._ignored.items():
            for passage_id in passage_ids if query_id in results else ():
                results[query_id].pop(passage_id, None)
        return results

    def _told(self, language: str, hf_subset: str, options: dict[str, Any]) -> dict[str, Any]:
        asked_as = self._asked_as
        if asked_as is None:
            return {**options, "hf_subset": hf_subset}
        subset = asked_as.subsets.get(language, hf_subset)
        return {**options, "task_metadata": asked_as.metadata, "hf_split": asked_as.split, "hf_subset": subset}


def searching(call: Call, corpus: ParallelCorpus) -> MTEBModels:
    """Return what searches a pool: the model itself, unless it is asked as another task or passages are ignored."""
    if call.asked_as is None and not any(part.ignored for part in corpus.languages.values()):
        return call.model
    return PoolSearch(call.model, corpus, call.asked_as)


def _searching(model: MTEBModels) -> Any:
    """Let a model search that does not by itself, as MTEB does."""
    if isinstance(model, SearchProtocol):
        return model
    if isinstance(model, CrossEncoderProtocol):
        return SearchCrossEncoderWrapper(model)
    return SearchEncoderWrapper(model)


def _ignored_ids(corpus: ParallelCorpus) -> dict[str, list[str]]:
    """Return query id -> ids of the passages that are no candidates for it, whatever the pool."""
    ignored: dict[str, list[str]] = {}
    for part in corpus.languages.values():
        for query_id, question_id in zip(part.query_ids, part.question_ids, strict=True):
            found = [
                passages.passage_ids[row]
                for passages in corpus.languages.values()
                for row in passages.ignored.get(question_id, ())
            ]
            if found:
                ignored[query_id] = found
    return ignored
