"""Our data sets and figures for programs that use BEIR.

Importing this module imports nothing of BEIR, and neither it nor its functions change anything in BEIR or in the
logging of the program.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beir_hybrid import corpora
from beir_hybrid.corpora.formats.export import documents_of, judgments_of, languages_of_pool
from beir_hybrid.errors import BeirHybridError, DataError, ModelError, RankTableError
from beir_hybrid.subsets import MULTI, Subset

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from beir_hybrid.corpora import ParallelCorpus, Source
    from beir_hybrid.ranks.model_state import Encode
    from beir_hybrid.ranks.schema import TableInfo

__all__ = ["Documents", "Evaluation", "Qrels", "Queries", "evaluate", "load"]

logger = logging.getLogger(__name__)

Documents = dict[str, dict[str, str]]
"""BEIR's corpus: document id -> {"title", "text"}."""

Queries = dict[str, str]
"""Query id -> text."""

Qrels = dict[str, dict[str, int]]
"""Query id -> document id -> grade."""

_K_VALUES = (1, 3, 5, 10, 100, 1000)  # BEIR's own


def load(source: Source, questions: str = "en", passages: str = MULTI) -> tuple[Documents, Queries, Qrels]:
    """Load a pair of question language and pool as BEIR's GenericDataLoader loads its data sets.

    Args:
        source: The data set: ``xquad-r``, a folder, ``mteb:TASK``, ``hub:OWNER/NAME``, ``beir:FOLDER`` or its spec.
        questions: Language of the questions, e.g. ``en``.
        passages: Language of the passages, or ``multi`` for the pool of all languages.

    Returns:
        Corpus, queries and qrels. Questions without a relevant passage in the pool are in neither of the latter.

    Raises:
        DataError: The data set or a language is unknown, the data cannot be had, or nothing is judged.

    Examples:
        >>> corpus, queries, qrels = beir_hybrid.beir.load("xquad-r", questions="en", passages="de")
    """
    return _as_beir(_read(source, questions, passages), questions, passages)


@dataclass(frozen=True)
class Evaluation:
    """The figures of a retriever on one pair of question language and pool.

    Attributes:
        subset: The pair, e.g. ``en-de`` or ``en-multi``.
        map: Mean average precision over all that was retrieved, which is the whole pool unless ``cut`` says otherwise.
            Questions without results count as 0, and so do passages that a lexical search fills up with, score 0.
        ndcg: ``NDCG@k``, as BEIR gives it: rounded, and averaged over the questions that have results.
        map_at_k: ``MAP@k``, likewise.
        recall: ``Recall@k``, likewise.
        precision: ``P@k``, likewise.
        cut: Passages that were retrieved for a question, at most; None if each question got the whole pool. Relevant
            passages that were not retrieved have no rank.
        results: What the retriever returned: query id -> document id -> score.
        table: The rank table: one row for each relevant passage.
        info: What holds for the whole table.
        encode: Embeds texts by the model, to tell whether a table that is there is of this model as it is now; None for
            searches without one.
    """

    subset: str
    map: float
    ndcg: dict[str, float]
    map_at_k: dict[str, float]
    recall: dict[str, float]
    precision: dict[str, float]
    cut: int | None
    results: Mapping[str, Mapping[str, float]] = field(repr=False)
    table: pa.Table = field(repr=False)
    info: TableInfo = field(repr=False)
    encode: Encode | None = field(default=None, repr=False)

    @property
    def scores(self) -> dict[str, float]:
        """All figures in one dictionary, ``map`` first."""
        return {"map": self.map, **self.ndcg, **self.map_at_k, **self.recall, **self.precision}

    def store(self, path: Path | None = None) -> Path:
        """Write the rank table, or enter its rows in the one of the same model and data that is there already.

        Args:
            path: The Parquet file; by default, where the MTEB task of this data set keeps it, or beside it where that
                holds ranks of another model, or of the model before it was trained.

        Returns:
            The file.

        Raises:
            RankTableError: The model has no name, or the file holds ranks of another run.
            BeirHybridError: The file cannot be written.
        """
        from beir_hybrid.ranks import rank_table
        from beir_hybrid.ranks.model_state import same_state

        if not self.info.model:
            raise RankTableError("a rank table needs the name of its model; give evaluate(..., model_name=...) one")
        same = partial(same_state, encode=self.encode)
        if path is None:
            path = rank_table.default_path(self.info.task, self.info.model, self.info.model_revision)
        elif path.exists() and not rank_table.read_info(path).same_run(self.info, same):
            unknown = "" if self.info.is_named or self.info.state is not None else "; give evaluate(...) its revision="
            raise RankTableError(
                f"{path} holds the ranks of another model, revision, data set or cut (top_k={self.info.cut} here), or "
                f"of the model before it was trained{unknown}; name another file"
            )
        return rank_table.store(path, self.table, self.info, [Subset.parse(self.subset)], same)


def evaluate(
    model: Any,
    source: Source = "xquad-r",
    questions: str = "en",
    passages: str = MULTI,
    *,
    k_values: Sequence[int] | None = None,
    score_function: str | None = None,
    top_k: int | None = None,
    model_name: str = "",
    revision: str = "no_revision_available",
) -> Evaluation:
    """Evaluate a BEIR retriever on a pair of question language and pool.

    The retriever is asked for the whole pool, so that ``map`` is that of the full ranking. That takes BEIR about
    200 bytes for each question and passage, 3 GB for XQuAD-R's pool of all languages; ``top_k`` asks for less.

    Args:
        model: BEIR's ``EvaluateRetrieval``; or one of its searches, such as ``DenseRetrievalExactSearch``,
            ``FlatIPFaissSearch`` or ``BM25Search``; or a model with ``encode_queries`` and ``encode_corpus``, which
            is searched exactly. It is not changed.
        source: The data set, as for ``load``.
        questions: Language of the questions.
        passages: Language of the passages, or ``multi``.
        k_values: Cut-offs; by default those of the ``EvaluateRetrieval``, or 1, 3, 5, 10, 100 and 1000.
        score_function: ``cos_sim`` or ``dot``; by default that of the ``EvaluateRetrieval``, or ``cos_sim``.
        top_k: Passages to retrieve for each question; the whole pool by default.
        model_name: Name for the rank table.
        revision: Revision of the model, for the rank table.

    Returns:
        The figures and the rank table.

    Raises:
        DataError: As for ``load``.
        ModelError: ``model`` is none of the above, or its results cannot be ranked.

    Examples:
        >>> from beir.retrieval import models
        >>> from beir.retrieval.search.dense import DenseRetrievalExactSearch as DRES
        >>> model = DRES(models.SentenceBERT("intfloat/multilingual-e5-small"))
        >>> beir_hybrid.beir.evaluate(model, "xquad-r", questions="en", passages="multi").map
    """
    from beir_hybrid.debias.aware import tell
    from beir_hybrid.interface.any_model import check_makeable
    from beir_hybrid.ranks.model_state import ModelState, Sample, sampled_texts_of
    from beir_hybrid.ranks.rows import build, search_rows
    from beir_hybrid.ranks.schema import TableInfo
    from beir_hybrid.ranks.search import ranks_in_results, returned

    check_makeable(model)
    if top_k is not None and top_k < 1:
        raise BeirHybridError(f"top_k is {top_k}; it must be 1 or more, or None for the whole pool")
    spec = corpora.spec_of_source(source)
    corpus = _read(spec, questions, passages)
    documents, queries, qrels = _as_beir(corpus, questions, passages)
    retriever = _retriever(model, k_values, score_function)
    _check_index(retriever.retriever, documents)
    # No more than there is: BEIR's FAISS search fills up with the last passage.
    retriever.top_k = min(top_k or len(documents), len(documents))
    asked = tell(documents, queries) if _is_aware(retriever.retriever) else (documents, queries)
    results = _checked(retriever.retrieve(*asked), documents, queries)
    cut = _cut(results, queries, len(documents), retriever.top_k)
    _leave_out_ignored(results, corpus, questions, passages)
    ndcg, map_at_k, recall, precision = retriever.evaluate(qrels, results, retriever.k_values)
    # BEIR's searches of embeddings hold their model; a 0 of another may stand for a passage that it did not find.
    model_types = ("dense",) if hasattr(retriever.retriever, "model") else ()
    ranks = ranks_in_results(returned(results, model_types), qrels)
    subset, pool = str(Subset(questions, passages)), languages_of_pool(corpus, passages)
    encode = _encoder(retriever.retriever, spec)
    texts = sampled_texts_of(corpus, [questions], pool) if encode is not None else []
    info = TableInfo(
        task=spec.task.name if spec.task else corpus.name,  # a run of MTEB ends in the same table
        dataset_revision=corpus.revision,
        model=model_name,
        model_revision=revision,
        pool_sizes={language: len(corpus.languages[language].passages) for language in pool},
        cut=top_k or cut,  # the same for pools of all sizes, where they are one table
        state=ModelState(sample=Sample.of(texts, encode(texts))) if encode is not None else None,
    )
    return Evaluation(
        subset=subset,
        map=ranks.mean_average_precision(),
        ndcg=ndcg,
        map_at_k=map_at_k,
        recall=recall,
        precision=precision,
        cut=cut,
        results=results,
        table=build(info.task, [search_rows(ranks, corpus, subset)]),
        info=info,
        encode=encode,
    )


def _encoder(search: Any, source: Source) -> Encode | None:
    """Return what embeds texts of a data set by the model of a search; None where it has none."""
    from beir_hybrid.debias.aware import TextIn
    from beir_hybrid.ranks.model_state import QUERY, by_language

    model: Any = getattr(search, "model", None)
    if not (hasattr(model, "encode_queries") and hasattr(model, "encode_corpus")):
        return None
    size = getattr(search, "batch_size", 32)

    def encode_some(kind: str, language: str, rows: NDArray[np.int64]) -> Any:
        part = corpora.load(source, [language]).languages[language]
        if kind == QUERY:
            questions = [part.questions[row] for row in rows]
            if _is_aware(search):
                questions = [TextIn(text, language) for text in questions]
            return model.encode_queries(questions, batch_size=size)
        titles = part.titles or [""] * len(part.passages)
        documents = [{"title": titles[row], "text": part.passages[row]} for row in rows]
        if _is_aware(search):
            documents = [{**document, "language": language} for document in documents]
        return model.encode_corpus(documents, batch_size=size)

    return partial(by_language, embeddings_of=encode_some)


def _is_aware(search: Any) -> bool:
    """Whether the model of a search must be told the language of each text."""
    from beir_hybrid.debias.aware import AwareRetriever

    return isinstance(getattr(search, "model", None), AwareRetriever)


def _read(source: Source, questions: str, passages: str) -> ParallelCorpus:
    """Read the languages of a pair; all of them for the pool of all."""
    return corpora.load(source, None if passages == MULTI else [questions, passages])


def _as_beir(corpus: ParallelCorpus, questions: str, passages: str) -> tuple[Documents, Queries, Qrels]:
    if questions not in corpus.languages:
        raise DataError(f"{corpus.name}: no questions in {questions!r}; it has {', '.join(corpus.languages)}")
    documents = dict(documents_of(corpus, passages))
    qrels = judgments_of(corpus, questions, passages)
    if not qrels:
        raise DataError(f"{corpus.name}: no question in {questions} has a relevant passage in {passages}")
    part = corpus.languages[questions]
    texts = dict(zip(part.query_ids, part.questions, strict=True))
    return documents, {query_id: texts[query_id] for query_id in qrels}, qrels


def _retriever(model: Any, k_values: Sequence[int] | None, score_function: str | None) -> Any:
    """Return an EvaluateRetrieval of our own around a model."""
    from beir.retrieval.evaluation import EvaluateRetrieval

    if hasattr(model, "retrieve") and hasattr(model, "evaluate"):
        retriever = copy.copy(model)
    elif hasattr(model, "search"):
        retriever = EvaluateRetrieval(model, list(_K_VALUES))
    elif hasattr(model, "encode_queries") and hasattr(model, "encode_corpus"):
        from beir.retrieval.search.dense import DenseRetrievalExactSearch

        retriever = EvaluateRetrieval(DenseRetrievalExactSearch(model), list(_K_VALUES))
    else:
        raise ModelError(
            f"{type(model).__name__} is not a BEIR retriever; give an EvaluateRetrieval, a search such as "
            "DenseRetrievalExactSearch, or a model with encode_queries and encode_corpus"
        )
    retriever.k_values = list(k_values or retriever.k_values)
    retriever.score_function = score_function or retriever.score_function
    return retriever


def _check_index(search: Any, documents: Documents) -> None:
    """Refuse a FAISS search that has indexed another pool, which it would go on searching."""
    if getattr(search, "faiss_index", None) is None:
        return
    indexed = getattr(search, "rev_mapping", {})
    if indexed and set(indexed.values()) != documents.keys():
        raise ModelError(f"{type(search).__name__} has indexed another pool and would search that; make a new one")


def _checked(found: Any, documents: Documents, queries: Queries) -> dict[str, dict[str, float]]:
    """Return the results of the queries asked, after a look at what cannot be ranked."""
    import numpy as np

    # Searches keep results of earlier calls.
    results = {query_id: found[query_id] for query_id in queries if query_id in found}
    limit = float(np.finfo(np.float32).max)
    for query_id, scores in results.items():
        unknown = scores.keys() - documents.keys()
        if unknown:
            raise ModelError(f"the search returned {min(unknown)!r} for {query_id}, which is not in the pool")
        values = np.fromiter(scores.values(), dtype=np.float64, count=len(scores))
        if np.isnan(values).any():
            raise ModelError(f"the search returned a score that is not a number for {query_id}")
        if (np.abs(values) >= limit).any():  # FAISS found nothing more for these places
            results[query_id] = {passage_id: score for passage_id, score in scores.items() if abs(score) < limit}
    return results


def _leave_out_ignored(results: dict[str, dict[str, float]], corpus: ParallelCorpus, questions: str, pool: str) -> None:
    """Take the passages that are no candidates for a question out of its results."""
    asked = corpus.languages[questions]
    for language in languages_of_pool(corpus, pool):
        part = corpus.languages[language]
        for query_id, question_id in zip(asked.query_ids, asked.question_ids, strict=True):
            for row in part.ignored.get(question_id, ()):
                results.get(query_id, {}).pop(part.passage_ids[row], None)


def _cut(results: Mapping[str, Mapping[str, float]], queries: Queries, pool_size: int, asked: int) -> int | None:
    """Return how many passages a question got, at most; None if each got the whole pool."""
    counts = [len(results.get(query_id, ())) for query_id in queries]
    if min(counts) == pool_size:
        return None
    if min(counts) < asked:
        nothing = f", and none for {counts.count(0)} of {len(counts)} questions" if 0 in counts else ""
        logger.warning(
            f"The search was asked for {asked} passages for each question and returned {max(counts)} at most{nothing}; "
            "relevant passages that it did not return have no rank and count as not found."
        )
    return max(counts)
