"""MIRACL on the pools that MTEB evaluates it on, and on the pool of all its languages."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.tasks.retrieval import MIRACLRetrieval, MIRACLRetrievalHardNegatives

from beir_hybrid.corpora import ParallelCorpus, miracl
from beir_hybrid.corpora.miracl import HubSource
from beir_hybrid.errors import BeirHybridError, DataError
from beir_hybrid.mteb.subset_data import SubsetData, subset_languages
from beir_hybrid.ranks.rank_table import NO_NAME, NO_REVISION
from beir_hybrid.scoring.bias import same_language_scores
from beir_hybrid.scoring.identity import ModelState, fingerprint
from beir_hybrid.subsets import MULTI, Subset, setting_of
from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval

if TYPE_CHECKING:
    from mteb.models import EncoderProtocol
    from mteb.timing import TimingStack
    from mteb.types import EncodeKwargs, ScoresDict

    from beir_hybrid.mteb.run import CountedRun
    from beir_hybrid.scoring.checkpoints import Checkpoint
    from beir_hybrid.scoring.counting import CountedRanks

logger = logging.getLogger("mteb.beir_hybrid")

_CHUNK_SIZE = "BEIR_HYBRID_CHUNK_SIZE"


class _MIRACLSubsets(SubsetData):
    """In the pool of all languages a question counts in its own language, not as the translation of another."""

    def judged_in(self, query_language: str, pool: Sequence[str]) -> Sequence[str]:
        """Return the languages of the pool whose relevant passages make a question part of a subset."""
        return pool if len(pool) == 1 else [query_language]


class AbsTaskMIRACL(AbsTaskParallelRetrieval):
    """MIRACL: questions of 18 languages, each judged in its own language only.

    ``xx-xx`` is the data of MTEB's own task. ``xx-multi`` are the same questions and judgments in the pool of all
    languages: how far do passages in other languages push the right ones down? ``xx-yy`` are the questions of
    language yy, translated into xx by the user, whose judgments stay: files ``<xx>-<yy>.jsonl`` of lines
    ``{"_id": ..., "text": ...}`` in the folder ``translated_questions`` or BEIR_HYBRID_MIRACL_QUERIES.

    Passages are encoded and counted in chunks, so that neither texts nor embeddings need fit into memory. A killed
    run goes on after the last chunk it finished.

    Attributes:
        source: Where the data is; BEIR_HYBRID_MIRACL names a copy of it, which may have fewer languages.
        chunk_size: Passages encoded between two checkpoints; BEIR_HYBRID_CHUNK_SIZE comes first.
        predicts: Whether predictions are written for callers who ask; they need all embeddings in memory.
    """

    metadata: TaskMetadata
    source: ClassVar[HubSource]
    subset_data = _MIRACLSubsets
    chunk_size: int = 50_000
    predicts: ClassVar[bool] = True

    def __init__(self, *args: Any, translated_questions: Path | str | None = None, **kwargs: Any) -> None:
        self._translations: Path | None = None
        self._fault: DataError | None = None
        self._checkpoint: Checkpoint | None = None
        try:
            self._translations = miracl.translation_folder(translated_questions)
            languages = miracl.languages_of(self.source)
            subsets = _subset_languages(languages, miracl.translated_subsets(self._translations, languages))
            self._revision = miracl.revision_of(self.source, self._translations)
            self.metadata = type(self).metadata.model_copy(update={"eval_langs": subsets})
        except DataError as error:
            # MTEB makes an instance of every task only to list them: what is wrong is said when the task is run.
            self._fault, self._revision = error, "unreadable"
        super().__init__(*args, **kwargs)

    def _data_revision(self) -> str:
        return self._revision

    def _read_corpus(self, languages: Sequence[str], num_proc: int | None) -> ParallelCorpus:
        if self._fault is not None:
            raise self._fault
        return miracl.read(self.source, self.hf_subsets, self._translations, num_proc)

    def counted_ranks(
        self,
        model: EncoderProtocol,
        split: str,
        *,
        encode_kwargs: EncodeKwargs,
        num_proc: int | None,
        timer: TimingStack,
        used_by: str,
        embeddings_needed: bool = False,
    ) -> CountedRun:
        """Count the ranks chunk by chunk; arguments and result are those of the base class."""
        if embeddings_needed and self.predicts:
            return super().counted_ranks(
                model,
                split,
                encode_kwargs=encode_kwargs,
                num_proc=num_proc,
                timer=timer,
                used_by=used_by,
                embeddings_needed=True,
            )
        if embeddings_needed:
            logger.warning(
                f"{self.metadata.name} writes no predictions, which would need all passages' embeddings in memory; "
                "scores and the rank table are complete."
            )
        from beir_hybrid.mteb.run import CountedRun
        from beir_hybrid.scoring.checkpoints import Checkpoint
        from beir_hybrid.scoring.chunked import ChunkedRun

        self.load_data(num_proc=num_proc, timer=timer)
        assert self.parallel_corpus is not None
        questions, passages = self._languages()
        chunk_size = _chunk_size(self.chunk_size)
        state = ModelState(fingerprint(model, encode_kwargs))
        key = self._checkpoint_key(model, split, encode_kwargs, chunk_size) | {"fingerprint": state.fingerprint}
        run_with = partial(
            ChunkedRun,
            model=model,
            corpus=self.parallel_corpus,
            query_languages=questions,
            passage_languages=passages,
            chunk_size=chunk_size,
            task_metadata=self.metadata,
            hf_split=split,
            encode_kwargs=encode_kwargs,
            timer=timer,
            num_proc=num_proc,
        )
        encode = self._sample_encoder(model, split, encode_kwargs)
        self._checkpoint = Checkpoint.reserve(
            key, lambda saved: state.fingerprint is not None or run_with(checkpoint=saved).is_current(encode)
        )
        run = run_with(checkpoint=self._checkpoint)
        counted = run.count()
        return CountedRun(counted, state if state.fingerprint is not None else ModelState(sample=run.sample()))

    def _corpus_with(self, language: str) -> ParallelCorpus:
        """Return the corpus of the run, whose texts are too many to read others."""
        assert self.parallel_corpus is not None
        if language not in self.parallel_corpus.languages:
            raise KeyError(language)
        return self.parallel_corpus

    def _count(self, *args: Any, **kwargs: Any) -> dict[str, ScoresDict]:
        try:
            scores = super()._count(*args, **kwargs)
            if self._checkpoint is not None:
                self._checkpoint.remove()  # only now: the rank table has been written
            return scores
        finally:
            if self._checkpoint is not None:
                self._checkpoint.release()
                self._checkpoint = None

    def _checkpoint_key(
        self, model: EncoderProtocol, split: str, encode_kwargs: EncodeKwargs, chunk_size: int
    ) -> dict[str, Any]:
        """Return all that the counts depend on, except for the state of the model."""
        assert self.parallel_corpus is not None
        meta = model.mteb_model_meta
        questions, passages = self._languages()
        asked = hashlib.sha256()
        for language in questions:
            part = self.parallel_corpus.languages[language]
            for query_id, text in zip(part.query_ids, part.questions, strict=True):
                asked.update(f"{query_id}\n{text}\n".encode())
        return {
            "task": self.metadata.name,
            "data_revision": self.metadata.revision,
            "split": split,
            "model": meta.name or NO_NAME,
            "model_revision": meta.revision or NO_REVISION,
            "experiment": meta.experiment_name,
            "encode_kwargs": {name: value for name, value in encode_kwargs.items() if name != "show_progress_bar"},
            "chunk_size": chunk_size,
            "query_languages": questions,
            "passage_languages": passages,
            "questions": asked.hexdigest(),
        }

    def _scores_of(self, ranks: CountedRanks, pools: Sequence[str]) -> dict[str, ScoresDict]:
        """Compute the scores of the subsets of one query language, with the same-language figures of the multi one."""
        scores = super()._scores_of(ranks, [pool for pool in pools if pool != MULTI])
        if MULTI not in pools:
            return scores
        from beir_hybrid.scoring.evaluation import scores_by_subset

        targets = ranks.targets
        own = ranks.only(targets.languages == targets.passage_languages.index(targets.query_language))
        codes = np.array(targets.passage_languages)
        tops = ["".join(codes[row]) for row in ranks.top_languages[np.unique(own.targets.queries)]]
        for subset, figures in scores_by_subset(own, [MULTI]).items():
            scores[subset] = figures | same_language_scores(tops, targets.query_language, self.pool_sizes())
        return scores

    def task_specific_scores(
        self,
        scores: dict[str, dict[str, float]],
        qrels: Mapping[str, Mapping[str, int]],
        results: dict[str, dict[str, float]],
        hf_split: str,
        hf_subset: str,
    ) -> dict[str, float]:
        """Add to the scores of a search what the base class adds, and the same-language figures."""
        added = super().task_specific_scores(scores, qrels, results, hf_split, hf_subset)
        query_language, pool = Subset.parse(hf_subset)
        if pool != MULTI:
            return added
        assert self._search is not None
        rows = self._search.rows[-1]
        tops = dict(zip(rows["query_id"], rows["top_languages"], strict=True))
        return added | same_language_scores(list(tops.values()), query_language, self.pool_sizes())


def _chunk_size(default: int) -> int:
    """Return the number of passages of a chunk: BEIR_HYBRID_CHUNK_SIZE, else the task's own."""
    configured = os.environ.get(_CHUNK_SIZE, "").strip() or str(default)
    if not configured.isdecimal() or int(configured) < 1:
        raise BeirHybridError(f"{_CHUNK_SIZE}={configured}: the passages of a chunk must be a whole number from 1")
    return int(configured)


def _subset_languages(languages: Sequence[str], translated: Sequence[str] = ()) -> dict[str, list[str]]:
    """Return the subsets of some languages: monolingual, multilingual, and the cross-lingual ones there are."""
    return {
        subset: names
        for subset, names in subset_languages(languages).items()
        if subset in translated or setting_of(subset) != "cross-lingual"
    }


def _source(name: str, task: type[MIRACLRetrieval | MIRACLRetrievalHardNegatives]) -> HubSource:
    """Say where a task of mteb has its data."""
    metadata = task.metadata
    return HubSource(name, metadata.dataset["path"], metadata.dataset["revision"], metadata.eval_splits[0])


def _metadata(name: str, task: type[MIRACLRetrieval | MIRACLRetrievalHardNegatives], pools: str) -> TaskMetadata:
    """Describe a task by what is known of mteb's own."""
    return task.metadata.model_copy(
        update={
            "name": name,
            "description": (
                f"Find the Wikipedia passages that answer a question, among {pools} in the language of the question, "
                "or in all 18 languages at once. A question is judged in its own language only, so that the "
                "multilingual subsets measure how far passages in other languages push the right ones down: MIRACL."
            ),
            "eval_langs": _subset_languages(miracl.LANGUAGES),
            "main_score": "ndcg_at_10",
            "task_subtypes": ["Question answering"],
            "prompt": MIRACLRetrieval.metadata.prompt,
            "adapted_from": [task.metadata.name],
            "superseded_by": None,
        }
    )


class MIRACLCL(AbsTaskMIRACL):
    """MIRACL on the pools of MTEB's MIRACLRetrievalHardNegatives: 18 monolingual and 18 multilingual subsets."""

    corpus_name = "miracl-hard-negatives"
    source = _source(corpus_name, MIRACLRetrievalHardNegatives)
    metadata = _metadata(
        "MIRACLCL", MIRACLRetrievalHardNegatives, "the best 250 passages that each of three models found for each one,"
    )


class MIRACLCLFull(AbsTaskMIRACL):
    """MIRACL on its full corpora, 106 million passages: 18 monolingual and 18 multilingual subsets."""

    corpus_name = "miracl"
    source = _source(corpus_name, MIRACLRetrieval)
    metadata = _metadata("MIRACLCLFull", MIRACLRetrieval, "all passages")
    predicts = False
