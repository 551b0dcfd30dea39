"""Language bias as MTEB tasks: how much the rank of a passage depends on its language."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from mteb.abstasks.task_metadata import TaskMetadata
from mteb.timing import TimingStack

from beir_hybrid.corpora.spec import BIAS_SUFFIX
from beir_hybrid.errors import NoScoresYet
from beir_hybrid.languages import mteb_code
from beir_hybrid.metrics import LANGUAGE_FAIRNESS
from beir_hybrid.scoring.bias import (
    ALL_QUESTIONS,
    PEER_WEIGHTS,
    coverage_text,
    is_covered,
    mean_bias_by_language,
    query_bias,
)
from beir_hybrid.subsets import MULTI, Subset
from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval

if TYPE_CHECKING:
    import pandas as pd
    from mteb.types import HFSubset, ScoresDict

    from beir_hybrid.mteb.encode import Call

logger = logging.getLogger("mteb.beir_hybrid")


class AbsTaskLanguageBias(AbsTaskParallelRetrieval):
    """Language bias in the multilingual pool of a retrieval task.

    It asks that task for its ranks: after it, in the same `mteb run`, nothing is encoded again. The subset ``all`` has
    the plain means over the question languages. Beside each figure of the result stands its coverage, the share of the
    queries that have it; a figure that less than 90 % of them have is NaN, as MTEB's own missing scores are.

    Attributes:
        retrieval_task: The task whose multilingual subsets are looked at.
        peer_weights: Grade -> weight in PEER; set it on an instance or a subclass for another weighting.
    """

    retrieval_task: ClassVar[type[AbsTaskParallelRetrieval]]
    peer_weights: Mapping[int, float] = PEER_WEIGHTS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._retrieval = self.retrieval_task(*args, **kwargs)

    def load_data(self, num_proc: int | None = None, *, timer: TimingStack | None = None, **kwargs: Any) -> None:
        """Read the data of the retrieval task."""
        self._retrieval.load_data(num_proc=num_proc, timer=timer, **kwargs)
        self.data_loaded = True

    def unload_data(self) -> None:
        """Unload the data of the retrieval task."""
        self._retrieval.unload_data()
        self._kept = None
        self.data_loaded = False

    def _evaluate(self, call: Call, subsets: Sequence[HFSubset], **kwargs: Any) -> Mapping[HFSubset, ScoresDict]:
        if self._asked_shard(call) is not None:
            name = self._retrieval.metadata.name
            raise NoScoresYet(
                f"{self.metadata.name} has no figures in a shard: merge the shards of {name}, then `beir-hybrid bias`"
            )
        self._retrieval.ranks_folder, self._retrieval.keep_top = self.ranks_folder, self.keep_top
        call = replace(call, metadata=self._retrieval.metadata)
        return self._claim(
            call, subsets, lambda: self._score_table(self._retrieval.ranks_in_pool(call, self.metadata.name))
        )

    def _score_table(self, table: pd.DataFrame) -> dict[str, ScoresDict]:
        corpus = self._retrieval.parallel_corpus
        assert corpus is not None
        pool_sizes = {language: len(part.passages) for language, part in corpus.languages.items()}
        figures = query_bias(table, pool_sizes, self.peer_weights)
        languages = [subset for subset in self.metadata.hf_subsets if subset != ALL_QUESTIONS]
        scores: dict[str, ScoresDict] = dict(mean_bias_by_language(figures, languages))
        main_score = self.metadata.main_score
        value, coverage = scores[ALL_QUESTIONS][main_score], scores[ALL_QUESTIONS][f"{main_score}_coverage"]
        shown = f"{value:.4f}" if is_covered(coverage) else "no figure"
        note = "" if coverage == 1 else f" ({coverage_text(coverage)})"
        logger.info(f"{self.metadata.name}: {main_score} {shown}{note}")
        return scores


def bias_metadata(task: type[AbsTaskParallelRetrieval]) -> TaskMetadata:
    """Describe the bias task of a retrieval task: a subset for the questions of each language, and one for all.

    The pool is that of all languages in every subset; a language filter chooses among the questions.
    """
    source = task.metadata
    languages = [subset.questions for subset in map(Subset.parse, source.hf_subsets) if subset.pool == MULTI]
    return source.model_copy(
        update={
            "name": source.name + BIAS_SUFFIX,
            "description": (
                f"Does the rank of a passage depend on its language? The pool is that of {source.name}'s multilingual "
                "subsets, where every question has right answers in several languages: rank distance between them, "
                "strong alignment, preference of the question's own language among the answers and among the top "
                "passages, the rank of the last answer, what comparing across languages costs, and PEER."
            ),
            "main_score": LANGUAGE_FAIRNESS.name,
            "eval_langs": {
                **{language: [mteb_code(language)] for language in languages},
                ALL_QUESTIONS: [mteb_code(language) for language in languages],
            },
        }
    )


def bias_task(task: type[AbsTaskParallelRetrieval]) -> type[AbsTaskLanguageBias]:
    """Make the language-bias task of a retrieval task: a subset for the questions of each language, and ``all``."""
    metadata = bias_metadata(task)
    attributes = {
        "__doc__": f"Language bias in {task.metadata.name}'s pool of all languages.",
        "__module__": task.__module__,
        "spec": task.spec,
        "retrieval_task": task,
        "metadata": metadata,
    }
    return type(metadata.name, (AbsTaskLanguageBias,), attributes)
