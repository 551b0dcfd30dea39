"""The retrieval task over a parallel corpus: all settings from one pass of the model."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar, Self

from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.languages import check_language_code
from mteb.timing import TimingStack

from beir_hybrid.corpora import CorpusSpec, ParallelCorpus, revision_of
from beir_hybrid.errors import BeirHybridError, DataError, ModelError
from beir_hybrid.files import check_writable, home
from beir_hybrid.mteb.subset_data import SubsetData, languages_of
from beir_hybrid.scoring.shards import Shard, ShardCounted, asked_shard
from beir_hybrid.subsets import MULTI, Subset, pairs_of, setting_of
from beir_hybrid.tasks.metadata import asked_as, task_metadata

if TYPE_CHECKING:
    import pandas as pd
    from mteb.models import MTEBModels
    from mteb.types import EncodeKwargs, HFSubset, ScoresDict

    from beir_hybrid.mteb.encode import Call
    from beir_hybrid.mteb.evaluation import Evaluation, Search
    from beir_hybrid.mteb.passes import CountedRun

logger = logging.getLogger("mteb.beir_hybrid")

TASKS_MODULE = "beir_hybrid.tasks"
"""Where tasks that are made from specs are found, and so where pickle looks for them."""


CHUNK_SIZE = "BEIR_HYBRID_CHUNK_SIZE"
CHECKPOINT_SECONDS = "BEIR_HYBRID_CHECKPOINT_SECONDS"


@dataclass
class _Kept:
    """What is kept between the calls of one `mteb.evaluate`, which asks for subset after subset with the same timer.

    In any other call the model may have been trained meanwhile.
    """

    call: Call
    scores: dict[str, ScoresDict] = field(default_factory=dict)
    search: Search | None = None


class AbsTaskParallelRetrieval(AbsTaskRetrieval):
    """Retrieval over a parallel corpus in the monolingual, cross-lingual and multilingual setting.

    For an encoder the first call of ``evaluate`` encodes every text of the task's subsets once, counts the ranks of
    the relevant passages, stores the rank table and gives the scores of all subsets; later calls only hand them out.
    Every other model goes through MTEB's own search, subset by subset, and ends in the same scores and rank table.

    Attributes:
        spec: What is known of the data set before it is read.
        ranks_folder: The folder above ``ranks`` that rank tables go to, where no prediction folder is given;
            BEIR_HYBRID_HOME by default.
        keep_top: Passages of each query to keep in every pool, in a file beside the rank table; None for none.
        observe: Is given the pass of an encoder, as ``Evaluation.observe`` is.
        shard: The part of the pass that this process makes; it writes partial counts and gives no scores. None for what
            BEIR_HYBRID_SHARD says, which is all if it is not set.
        made_of: What the task can be made of in another process, as JSON: the name of a registered task and its
            subsets, or, of a corpus that is no task of MTEB's, what ``beir_hybrid.load`` takes and the languages.
        chunk_size: Passages encoded and counted at once, where BEIR_HYBRID_CHUNK_SIZE does not say it; None for all at
            once, and in shards for 50,000.
        checkpoint_seconds: Seconds between two writes of what has been counted, where it is counted in chunks;
            BEIR_HYBRID_CHECKPOINT_SECONDS comes first. None for ten minutes.
    """

    spec: ClassVar[CorpusSpec]
    ranks_folder: Path | None = None
    keep_top: int | None = None
    observe: Callable[[CountedRun], None] | None = None
    shard: Shard | None = None
    made_of: Mapping[str, Any] | None = None
    chunk_size: int | None = None
    checkpoint_seconds: float | None = None
    parallel_corpus: ParallelCorpus | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept: _Kept | None = None
        revision = self._data_revision()
        if revision != self.metadata.revision:
            dataset = {**self.metadata.dataset, "revision": revision}
            self.metadata = self.metadata.model_copy(update={"dataset": dataset})

    def filter_languages(
        self,
        languages: Sequence[str] | None,
        script: Sequence[str] | None = None,
        hf_subsets: Sequence[HFSubset] | None = None,
        exclusive_language_filter: bool = False,
    ) -> Self:
        """Keep the subsets of some languages only.

        ``languages`` means these languages and no others: ``-l eng deu`` keeps en-en, en-de, de-en and de-de. MTEB's
        tasks keep every pair that contains one of them, which here would need the data of all languages. A
        multilingual subset is kept if all its languages are asked for.

        Raises:
            DataError: A code names no language at all.
            ValueError: No subset is left, as MTEB's tasks say it.
        """
        for code in languages or ():
            try:
                check_language_code(code)
            except ValueError as error:
                # MTEB skips a task whose filter raises a ValueError: a misspelt language would go unnoticed.
                raise DataError(
                    f"{self.metadata.name}: unknown language {code!r}; MTEB names languages by ISO 639-3, here: "
                    f"{', '.join(self.metadata.languages)}"
                ) from error
        try:
            exclusive = exclusive_language_filter or bool(languages)
            super().filter_languages(languages, script, hf_subsets, exclusive_language_filter=exclusive)
        except ValueError:
            # MTEB filters all its tasks at once by the looser rule; one without subsets would end that for all.
            super().filter_languages(languages, script, hf_subsets, exclusive_language_filter)
        return self

    def load_data(self, num_proc: int | None = None, *, timer: TimingStack | None = None, **kwargs: Any) -> None:
        """Read the questions and passages of the languages that the task's subsets need.

        Raises:
            DataError: The data cannot be had or is malformed.
        """
        if self.data_loaded:
            return
        with (timer or TimingStack())("Data loading", log_message=f"Loading {self.spec.name}..."):
            questions, passages = languages_of(self.hf_subsets, self._all_languages())
            self.parallel_corpus = self._read_corpus(sorted({*questions, *passages}), num_proc)
            pairs = [str(pair) for subset in map(Subset.parse, self.hf_subsets) for pair in pairs_of(subset, passages)]
            self.dataset = SubsetData(  # type: ignore[assignment]  # a mapping whose entries are made when looked up
                self.parallel_corpus, pairs, self.eval_splits[0], self.spec.judged_in_own_language
            )
        self._leave_out([subset for subset in self.hf_subsets if not self._is_judged(subset)])
        self.data_loaded = True

    def _leave_out(self, subsets: Sequence[HFSubset]) -> None:
        """Say which subsets have no scores, or that none has."""
        if len(subsets) == len(self.hf_subsets):
            raise DataError(f"{self.metadata.name}: no question has a relevant passage in its pool")
        if subsets:
            logger.warning(
                f"{self.metadata.name}: no question has a relevant passage in the pool of {', '.join(subsets)}, which "
                "are left out"
            )

    def _is_judged(self, subset: HFSubset) -> bool:
        """Whether some question of a subset has a relevant passage in its pool."""
        corpus = self.parallel_corpus
        assert corpus is not None
        pairs = pairs_of(Subset.parse(subset), list(corpus.languages))
        pools = {x for pair in pairs for x in (corpus.languages if pair.pool == MULTI else [pair.pool])}
        asked = corpus.languages[pairs[0].questions].question_ids
        return any(corpus.relevant(question_id, language) for question_id in asked for language in pools)

    def _data_revision(self) -> str:
        """What names the exact texts that the task reads."""
        try:
            return revision_of(self.spec)
        except DataError:
            # MTEB makes an instance of every task only to list them: what is wrong is said when the task is run.
            return "unreadable"

    def _read_corpus(self, languages: Sequence[str], num_proc: int | None) -> ParallelCorpus:
        assert self.spec.read is not None
        return self.spec.read(self.spec, self.spec.choose(languages), True)

    def _all_languages(self) -> list[str]:
        """The languages of the data set."""
        return list(dict.fromkeys(subset.questions for subset in map(Subset.parse, self.metadata.hf_subsets)))

    def unload_data(self) -> None:
        """Unload the data, and the scores that nobody has asked for."""
        metadata = self.metadata
        super().unload_data()
        self.metadata = metadata  # MTEB restores the published one, but the data will be read from the same folder
        self.parallel_corpus = self._kept = None

    def evaluate(
        self,
        model: MTEBModels,
        split: str = "test",
        subsets_to_run: list[HFSubset] | None = None,
        *,
        encode_kwargs: EncodeKwargs,
        prediction_folder: Path | None = None,
        num_proc: int | None = None,
        timer: TimingStack | None = None,
        **kwargs: Any,
    ) -> Mapping[HFSubset, ScoresDict]:
        """Evaluate a model on some subsets; arguments and result are those of MTEB's tasks.

        Raises:
            DataError: The data cannot be had or is malformed.
            ModelError: The model's embeddings cannot be ranked by.
            BeirHybridError: ``keep_top`` is not a whole number above 0.
        """
        from beir_hybrid.mteb.encode import Call
        from beir_hybrid.ranks.tops import check_k

        check_k(self.keep_top)
        timer = timer if timer is not None else TimingStack()
        call = Call(
            model, self.metadata, split, encode_kwargs, num_proc, timer, prediction_folder, asked_as(self.spec.origin)
        )
        subsets = [subset for subset in self.hf_subsets if subsets_to_run is None or subset in subsets_to_run]
        check_writable((prediction_folder or self.ranks_folder or home()) / "ranks")  # before everything is encoded
        self.load_data(num_proc=num_proc, timer=timer)
        return self._evaluate(call, subsets, **kwargs)

    def _evaluate(self, call: Call, subsets: Sequence[HFSubset], **kwargs: Any) -> Mapping[HFSubset, ScoresDict]:
        subsets = [subset for subset in subsets if self._is_judged(subset)]
        if not subsets:
            return {}
        shard = self._asked_shard(call)
        if not self._is_counted(call, subsets):
            if shard is not None:
                raise ModelError(
                    f"{call.model.mteb_model_meta.name} searches, and a search cannot be cut into shards: run it in one"
                )
            return self._search(call, subsets, **kwargs)
        if shard is not None:
            raise ShardCounted(self.metadata.name, shard, self._evaluation(call).count_shard(shard))
        return self._claim(call, subsets, lambda: dict(self._evaluation(call).evaluate()))

    def _asked_shard(self, call: Call) -> Shard | None:
        """Return the part of the pass that this process is asked for; None for all, and where others have counted."""
        from beir_hybrid.mteb.evaluation import CountsElsewhere

        return None if isinstance(call.model, CountsElsewhere) else self.shard or asked_shard()

    def ranks_in_pool(self, call: Call, used_by: str) -> pd.DataFrame:
        """Rank the right answers in the pool of all languages, store the rank table, and return its rows.

        Args:
            call: The model, and how it is asked.
            used_by: Name of the task that asks.
        """
        from beir_hybrid.ranks import build

        self.load_data(num_proc=call.num_proc, timer=call.timer)
        subsets = [subset for subset in self.hf_subsets if setting_of(subset) == "multilingual"]
        if self._is_counted(call, subsets):
            evaluation = self._evaluation(call)
            with evaluation.counted(used_by) as run:
                rows = evaluation.store_counted(run)
        else:
            self._search(call, subsets)
            search = self._kept_for(call).search
            rows = search.rows if search is not None else []
        return build(self.metadata.name, rows).to_pandas()

    def task_specific_scores(
        self,
        scores: dict[str, dict[str, float]],
        qrels: Mapping[str, Mapping[str, int]],
        results: dict[str, dict[str, float]],
        hf_split: str,
        hf_subset: str,
    ) -> dict[str, float]:
        """Add what MTEB does not compute, such as ``map``, and enter a search's ranks in the rank table.

        Called by MTEB's own retrieval path. The other scores are MTEB's, of all that the search handed over.
        """
        from beir_hybrid.mteb.private import top_k

        assert self._kept is not None and self._kept.search is not None
        return self._kept.search.add(hf_subset, results, qrels, top_k(self))

    def evaluation(self, model: MTEBModels, split: str, encode_kwargs: EncodeKwargs) -> Evaluation:
        """Return what ``evaluate`` would make of a model on all subsets, for a process that counts a part of it.

        Raises:
            DataError: The data cannot be had or is malformed.
        """
        from beir_hybrid.mteb.encode import Call

        self.load_data()
        return self._evaluation(Call(model, self.metadata, split, encode_kwargs, asked_as=asked_as(self.spec.origin)))

    def _evaluation(self, call: Call, **options: Any) -> Evaluation:
        from beir_hybrid.mteb.evaluation import Evaluation

        assert self.parallel_corpus is not None
        options = {
            "folder": call.prediction_folder or self.ranks_folder,
            "read": lambda language: self._read_corpus([language], None),
            "judged_in_own_language": self.spec.judged_in_own_language,
            "keep_top": self.keep_top,
            "observe": self.observe,
            "made_of": self.made_of or {"task": self.metadata.name, "subsets": list(self.hf_subsets)},
            "chunk_size": self._chunk_size(call),
            "checkpoint_seconds": self._checkpoint_seconds(),
            **options,
        }
        return Evaluation(call, self.parallel_corpus, self.hf_subsets, self._all_languages(), **options)

    def _chunk_size(self, call: Call) -> int | None:
        from beir_hybrid.mteb.evaluation import CountsElsewhere
        from beir_hybrid.scoring import chunk_plan

        alone = self._asked_shard(call) is None and not isinstance(call.model, CountsElsewhere)
        if self.chunk_size is None and alone:
            return None
        configured = os.environ.get(CHUNK_SIZE, "").strip() or str(self.chunk_size or chunk_plan.CHUNK_SIZE)
        if not configured.isdecimal() or int(configured) < 1:
            raise BeirHybridError(f"{CHUNK_SIZE}={configured}: the passages of a chunk must be a whole number from 1")
        return int(configured)

    def _checkpoint_seconds(self) -> float:
        from beir_hybrid.scoring import chunked

        usual = chunked.CHECKPOINT_SECONDS if self.checkpoint_seconds is None else self.checkpoint_seconds
        configured = os.environ.get(CHECKPOINT_SECONDS, "").strip() or str(usual)
        try:
            seconds = float(configured)
        except ValueError:
            seconds = math.nan
        if not seconds >= 0:
            raise BeirHybridError(f"{CHECKPOINT_SECONDS}={configured}: write a number of seconds, 0 or more")
        return seconds

    def comes_at_once(self, model: MTEBModels) -> bool:
        """Whether one pass gives the scores of all subsets, which ``evaluate`` then only hands out.

        Raises:
            ModelError: The model cannot be evaluated on this task.
        """
        from beir_hybrid.mteb.evaluation import is_counted

        return is_counted(model, isinstance(self.dataset, SubsetData) and self.dataset.is_reranking(self.hf_subsets))

    def _is_counted(self, call: Call, subsets: Sequence[HFSubset]) -> bool:
        from beir_hybrid.mteb.evaluation import is_counted

        assert isinstance(self.dataset, SubsetData)
        return is_counted(call.model, self.dataset.is_reranking(subsets))

    def _search(self, call: Call, subsets: Sequence[HFSubset], **kwargs: Any) -> Mapping[HFSubset, ScoresDict]:
        """Let MTEB's own search run the model, which hands its results to ``task_specific_scores``."""
        from beir_hybrid.mteb.pool_search import searching

        kept = self._kept_for(call)
        kept.search = self._evaluation(call).search(kept.search)
        assert self.parallel_corpus is not None
        languages = languages_of(self.hf_subsets, self._all_languages())[1]
        pairs = {subset: [*map(str, pairs_of(Subset.parse(subset), languages))] for subset in subsets}
        of_task = self.hf_subsets
        self.hf_subsets = [pair for pairs_of_subset in pairs.values() for pair in pairs_of_subset]
        try:
            scores = super().evaluate(
                searching(call, self.parallel_corpus),
                call.split,
                self.hf_subsets,
                encode_kwargs=call.encode_kwargs,
                prediction_folder=call.prediction_folder,
                num_proc=call.num_proc,
                timer=call.timer,
                **kwargs,
            )
        finally:
            self.hf_subsets = of_task
        return {subset: _mean([scores[pair] for pair in names]) for subset, names in pairs.items()}

    def _kept_for(self, call: Call) -> _Kept:
        """Return what earlier calls of the same `mteb.evaluate` have left."""
        kept = self._kept
        if kept is None or kept.call.model is not call.model or kept.call.timer is not call.timer:
            self._kept = kept = _Kept(call)
        return kept

    def _claim(
        self, call: Call, subsets: Sequence[HFSubset], compute: Callable[[], dict[str, ScoresDict]]
    ) -> dict[str, ScoresDict]:
        """Hand out the scores of some subsets, each once, computing those of all subsets if need be."""
        from beir_hybrid.mteb.private import add_main_score

        kept = self._kept_for(call)
        if any(subset not in kept.scores for subset in subsets):
            kept.scores = compute()
            for scores in kept.scores.values():
                add_main_score(self, scores)
        claimed = {subset: kept.scores.pop(subset) for subset in subsets}
        if not kept.scores:
            self._kept = None  # and the model with it
        return claimed


def retrieval_task(spec: CorpusSpec) -> type[AbsTaskParallelRetrieval]:
    """Make the retrieval task of a corpus from its spec."""
    metadata = task_metadata(spec)
    attributes = {
        "__doc__": f"{spec.title} with {len(metadata.eval_langs)} subsets: questions of each language on each pool.",
        "__module__": TASKS_MODULE,
        "spec": spec,
        "metadata": metadata,
    }
    return type(metadata.name, (AbsTaskParallelRetrieval,), attributes)


def _mean(scores: Sequence[ScoresDict]) -> ScoresDict:
    """Return the plain means of the scores of several subsets."""
    return scores[0] if len(scores) == 1 else {key: fmean(one[key] for one in scores) for key in scores[0]}
