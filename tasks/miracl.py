"""MIRACL on the pools that MTEB evaluates it on, and on the pool of all its languages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mteb.abstasks.task_metadata import TaskMetadata
from mteb.tasks.retrieval import MIRACLRetrieval, MIRACLRetrievalHardNegatives

from beir_hybrid.corpora import ParallelCorpus, miracl
from beir_hybrid.corpora.miracl import MIRACLSource
from beir_hybrid.errors import DataError
from beir_hybrid.mteb.subset_data import subset_languages
from beir_hybrid.subsets import setting_of
from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval

if TYPE_CHECKING:
    from beir_hybrid.mteb.encode import Call
    from beir_hybrid.mteb.evaluation import Evaluation


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
        predicts: Whether predictions are written for callers who ask; they need all embeddings in memory.
    """

    metadata: TaskMetadata
    source: ClassVar[MIRACLSource]
    chunk_size = 50_000
    predicts: ClassVar[bool] = True

    def __init__(self, *args: Any, translated_questions: Path | str | None = None, **kwargs: Any) -> None:
        self._translations: Path | None = None
        self._fault: DataError | None = None
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

    def _evaluation(self, call: Call, **options: Any) -> Evaluation:
        return super()._evaluation(call, **{"predicts": self.predicts, "read": None, **options})


def _subset_languages(languages: Sequence[str], translated: Sequence[str] = ()) -> dict[str, list[str]]:
    """Return the subsets of some languages: monolingual, multilingual, and the cross-lingual ones there are."""
    return {
        subset: names
        for subset, names in subset_languages(languages).items()
        if subset in translated or setting_of(subset) != "cross-lingual"
    }


def _source(name: str, task: type[MIRACLRetrieval | MIRACLRetrievalHardNegatives]) -> MIRACLSource:
    """Say where a task of mteb has its data."""
    place, split = task.metadata.dataset, task.metadata.eval_splits[0]
    return MIRACLSource(place["path"], place["revision"], name, split)


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

    spec = miracl.HARD_NEGATIVES
    source = _source(spec.name, MIRACLRetrievalHardNegatives)
    metadata = _metadata(
        "MIRACLCL", MIRACLRetrievalHardNegatives, "the best 250 passages that each of three models found for each one,"
    )


class MIRACLCLFull(AbsTaskMIRACL):
    """MIRACL on its full corpora, 106 million passages: 18 monolingual and 18 multilingual subsets."""

    spec = miracl.FULL
    source = _source(spec.name, MIRACLRetrieval)
    metadata = _metadata("MIRACLCLFull", MIRACLRetrieval, "all passages")
    predicts = False
