"""The evaluation of a model on a parallel corpus: ranks, counted or found by a search, and what follows from them.

It knows nothing of the order in which MTEB asks for subsets: the task classes do.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, runtime_checkable
from uuid import uuid4

from mteb.models import CrossEncoderProtocol, EncoderProtocol, SearchProtocol

from beir_hybrid.errors import ModelError
from beir_hybrid.files import shown
from beir_hybrid.mteb.passes import SHARED_RUNS, CountedRun, run_encoder
from beir_hybrid.mteb.predictions import predict, write_predictions
from beir_hybrid.mteb.results import PREDICTIONS_SUFFIX
from beir_hybrid.mteb.subset_data import languages_of
from beir_hybrid.ranks.model_state import Encode, ModelState, Sample, same_state, sampled_texts_of
from beir_hybrid.ranks.rank_table import Pairs, default_path, store
from beir_hybrid.ranks.rows import Columns, build, search_rows
from beir_hybrid.ranks.schema import NO_NAME, NO_REVISION, TableInfo, is_named
from beir_hybrid.ranks.search import Results, ranks_in_results, returned, tops_in_results
from beir_hybrid.scoring.bias import same_language_scores
from beir_hybrid.scoring.chunk_plan import CHUNK_SIZE, ChunkPlan
from beir_hybrid.scoring.chunked import CHECKPOINT_SECONDS, ChunkedRun
from beir_hybrid.scoring.corpus_scores import own_language_scores, rank_rows, scores_by_subset, top_rows
from beir_hybrid.scoring.pass_folder import PassFolder
from beir_hybrid.scoring.shards import WHOLE
from beir_hybrid.subsets import CROSS, MOST_PAIRED, MULTI, SETTINGS, Subset, pairs_of, setting_of

if TYPE_CHECKING:
    from mteb.models import MTEBModels

    from beir_hybrid.corpora import ParallelCorpus
    from beir_hybrid.mteb.encode import Call
    from beir_hybrid.ranks.tops import Tops
    from beir_hybrid.scoring.counting import CountedRanks, Wanted
    from beir_hybrid.scoring.partial_counts import PartialCounts
    from beir_hybrid.scoring.shards import Shard

logger = logging.getLogger("mteb.beir_hybrid")

Scores = dict[str, dict[str, float]]
"""Subset -> MTEB key -> score."""

_MANY_ROWS = 2_000_000
"""Rows of a rank table from which on the top languages of a query stand in one of its rows: each has 100 languages."""

_LONGEST_LABEL = 250
"""Letters of the name and the revision of a model that a rank table keeps."""


def is_counted(model: MTEBModels, reranks: bool) -> TypeGuard[EncoderProtocol]:
    """Whether ranks are counted, which needs an encoder and full rankings (no reranking of given candidates).

    Raises:
        ModelError: It is a cross-encoder, and there is nothing to rerank.
    """
    if isinstance(model, CrossEncoderProtocol) and not reranks:
        raise ModelError(
            f"{model.mteb_model_meta.name} is a cross-encoder, which ranks anew what another model has found: "
            "evaluate that one with prediction_folder=FOLDER, and this one on task.convert_to_reranking(FOLDER)"
        )
    return isinstance(model, EncoderProtocol) and not isinstance(model, SearchProtocol) and not reranks


@runtime_checkable
class CountsElsewhere(Protocol):
    """A model that stands for one on other machines, which have counted its ranks or will."""

    def counted(self, evaluation: Evaluation) -> CountedRun:
        """Return the ranks of an evaluation of this model."""
        ...


@dataclass(frozen=True)
class Evaluation:
    """A model on some subsets of a parallel corpus.

    Attributes:
        call: The model, and how it is asked.
        corpus: The questions and passages of the languages that the subsets need.
        subsets: Subsets such as ``en-de`` and ``en-multi``.
        all_languages: Languages of the data set.
        folder: The folder above ``ranks``; BEIR_HYBRID_HOME by default.
        read: Language of the data set -> a corpus that holds it; None where only this corpus is read.
        judged_in_own_language: Whether a question counts in its own language only, in the pool of all languages too.
        chunk_size: Passages encoded at once; None where all embeddings fit into memory.
        checkpoint_seconds: Seconds between two writes of what has been counted, where it is counted in chunks.
        predicts: Whether predictions can be written, which need all embeddings in memory.
        keep_top: Passages of each query to keep in every pool, in a file beside the rank table; None for none.
        made_of: What the task can be made of in another process, as JSON.
        observe: Is given the pass that ranks were counted in, whose embeddings are still there.
    """

    call: Call
    corpus: ParallelCorpus
    subsets: Sequence[str]
    all_languages: Sequence[str]
    folder: Path | None = None
    read: Callable[[str], ParallelCorpus] | None = None
    judged_in_own_language: bool = False
    chunk_size: int | None = None
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    predicts: bool = True
    keep_top: int | None = None
    observe: Callable[[CountedRun], None] | None = None
    made_of: Mapping[str, Any] = field(default_factory=dict)

    # What is evaluated

    @cached_property
    def languages(self) -> tuple[list[str], list[str]]:
        """The languages of the questions, as far as there are any, and of the passages."""
        questions, passages = languages_of(self.subsets, self.all_languages)
        return [language for language in questions if self.corpus.languages[language].questions], passages

    @property
    def pool_sizes(self) -> dict[str, int]:
        """Language -> passages of the pool."""
        return {language: len(self.corpus.languages[language].passages) for language in self.languages[1]}

    @property
    def whole_pool(self) -> bool:
        """Whether the pool holds all languages of the data set."""
        return set(self.languages[1]) == set(self.all_languages)

    @property
    def pairs(self) -> list[Subset]:
        """The subsets, those that are means over pools taken apart."""
        return [pair for subset in map(Subset.parse, self.subsets) for pair in pairs_of(subset, self.languages[1])]

    def corpus_of(self, language: str) -> ParallelCorpus:
        """Return a corpus that holds a language, which need not be one of the subsets'.

        Raises:
            KeyError: There is none.
        """
        if language in self.corpus.languages:
            return self.corpus
        if language not in self.all_languages or self.read is None:
            raise KeyError(language)
        return self.read(language)

    # Whose ranks they are

    @cached_property
    def label(self) -> tuple[str, str]:
        """Name and revision of the model as rank tables can hold them; MTEB's experiment follows behind a slash."""
        meta, precision = self.call.model.mteb_model_meta, self.call.encode_kwargs.get("precision")
        if precision is not None:  # MTEB files such results apart, and does not tell the task
            kwargs = {**(meta.experiment_kwargs or {}), "output_dtypes": str(precision)}
            meta = meta.model_copy(update={"experiment_kwargs": kwargs})
        revision = "/".join(filter(None, [meta.revision or NO_REVISION, meta.experiment_name]))
        return shown(meta.name or NO_NAME, _LONGEST_LABEL), shown(revision, _LONGEST_LABEL)

    @property
    def sampler(self) -> Encode | None:
        """Embeds the texts of a sample by the model as it is now; None where it does not embed, or not here."""
        embeds = isinstance(self.call.model, EncoderProtocol) and not isinstance(self.call.model, CountsElsewhere)
        return self.call.sampler(self.corpus_of) if embeds else None

    def same(self, stored: ModelState | None, now: ModelState | None) -> bool:
        """Whether what is stored is of the model as it is now."""
        return same_state(stored, now, self.sampler)

    # Counted ranks

    def evaluate(self) -> Scores:
        """Encode every text once, count all ranks, score the subsets, and store rank table and predictions.

        Raises:
            ModelError: The model's embeddings cannot be ranked by.
            BeirHybridError: The rank table cannot be written.
        """
        predictions = self._predictions_file()
        alone = predictions is not None or self.observe is not None
        with self.counted(self.call.metadata.name, alone) as run:
            with self.call.timer("Scoring", split=self.call.split):
                scores = self.scores(run.counted)
            self.store_counted(run)
            if self.observe is not None:
                self.observe(run)
            if predictions is not None:
                meta = dict(zip(("model_name", "revision"), self.label, strict=True))
                with self.call.timer("Predictions", split=self.call.split, log_message="Writing predictions..."):
                    found = predict(self.call.encoder, self.corpus, run, [*map(str, self.pairs)])
                    write_predictions(predictions, meta, self.call.split, found)
        return scores

    def _predictions_file(self) -> Path | None:
        folder, task = self.call.prediction_folder, self.call.metadata.name
        predicts = self.predicts and not isinstance(self.call.model, CountsElsewhere)
        if folder is not None and not predicts:
            logger.warning(
                f"{task} writes no predictions, which would need all passages' embeddings in memory; "
                "scores and the rank table are complete."
            )
        return folder / f"{task}{PREDICTIONS_SUFFIX}" if folder is not None and predicts else None

    @contextmanager
    def counted(self, used_by: str, alone: bool = False) -> Iterator[CountedRun]:
        """Count the ranks, or take them from the pass that another task has just made.

        A checkpoint is removed when the block has succeeded: then the rank table is written.

        Args:
            used_by: Name of the task that asks.
            alone: Make a pass of its own, since a shared one keeps ranks only.
        """
        if isinstance(self.call.model, CountsElsewhere):
            yield self.call.model.counted(self)
            return
        if self.chunk_size is None or alone:
            yield self._counted_at_once(used_by, alone)
            return
        run = self.chunked()
        try:
            counts = run.count()
            yield self.counted_run(counts, self.call.state().fingerprint)
            run.folder.remove()
        finally:
            run.folder.release()

    def counted_run(self, counts: PartialCounts, fingerprint: str | None) -> CountedRun:
        """Return the ranks of all chunks, with what tells the model from any other.

        Args:
            counts: The counts of all chunks.
            fingerprint: The fingerprint of the model, where it has one.
        """
        if fingerprint is not None:
            return CountedRun(counts.result(), ModelState(fingerprint))
        sample = counts.sample(sampled_texts_of(self.corpus, *self.languages))
        return CountedRun(counts.result(), ModelState(sample=sample))

    def count_shard(self, shard: Shard) -> Path:
        """Count the chunks of a shard, and return the folder that its counts are in, with those of the others.

        Raises:
            ModelError: The model's embeddings cannot be ranked by.
            BeirHybridError: The folder cannot be written to, or another process is at this shard.
        """
        run = self.chunked(shard)
        try:
            run.folder.check_cut(shard)
            run.folder.describe(self.described())
            run.count()
        finally:
            run.folder.release()
        return run.folder.folder

    def described(self) -> dict[str, Any]:
        """Return what another process needs to know, to count or to merge, as JSON."""
        meta = self.call.model.mteb_model_meta
        facts = {
            "made_of": self.made_of,
            "subsets": self.subsets,
            "folder": str(self.folder.absolute()) if self.folder is not None else None,
            "encode_kwargs": self.call.encode_kwargs,
            "model": meta.to_dict(),
            "experiment_kwargs": meta.experiment_kwargs,
        }
        return json.loads(json.dumps(facts, default=str))

    @property
    def plan(self) -> ChunkPlan:
        """The chunks of the pool."""
        return ChunkPlan(self.corpus, *self.languages, self.chunk_size or CHUNK_SIZE)

    def chunked(self, shard: Shard | None = None) -> ChunkedRun:
        """Return the pass in chunks, whose folder is this process's until it is released.

        Args:
            shard: The part that this process counts, beside others; None where it counts all of it alone.
        """
        plan, fingerprint = self.plan, self.call.state().fingerprint
        run = partial(self.chunked_in, plan=plan, shard=shard)
        sampler = self.call.sampler(self.corpus_of)
        folder = PassFolder.reserve(
            self.run_key(fingerprint),
            lambda folder: fingerprint is not None or run(folder).is_current(sampler),
            None if shard is None else self.folder,
            shard,
        )
        return run(folder)

    def _counted_at_once(self, used_by: str, alone: bool) -> CountedRun:
        wanted = self.wanted
        encode_kwargs = dict(self.call.encode_kwargs)
        key = (self.call.metadata.revision, self.languages, self.call.split, encode_kwargs, wanted, self.keep_top)
        if not alone:
            shared = SHARED_RUNS.take(self.call.model, self.corpus.name, key, used_by, self._is_current)
            if shared is not None:
                logger.info(f"{used_by} uses the ranks that were counted before; the corpus is not encoded again.")
                return shared
        run = run_encoder(self.call, self.corpus, *self.languages, wanted, self.keep_top)
        SHARED_RUNS.put(self.call.model, self.corpus.name, key, run, used_by)
        return run

    @property
    def wanted(self) -> Wanted:
        """In which pools to find out how sure the model is."""
        # A mean over pools has no abstention metrics, so that of many languages few confidences are needed.
        in_pairs = any(
            subset.pool not in (subset.questions, MULTI, CROSS) for subset in map(Subset.parse, self.subsets)
        )
        return True if in_pairs or len(self.all_languages) <= MOST_PAIRED else "own"

    def _is_current(self, state: ModelState) -> bool:
        return self.same(state, self.call.state())

    def chunked_in(self, folder: PassFolder, plan: ChunkPlan, shard: Shard | None = None) -> ChunkedRun:
        """Return the pass in chunks, with a folder of the caller's."""
        call = self.call
        return ChunkedRun(
            name=call.metadata.name,
            embed=partial(call.embed, self.corpus),
            similarity=call.encoder.similarity,
            plan=plan,
            folder=folder,
            shard=shard or WHOLE,
            progress=call.progress,
            phase=partial(call.timer, split=call.split),
            confidence=self.wanted,
            keep_top=self.keep_top,
            device=call.device,
            checkpoint_seconds=self.checkpoint_seconds,
        )

    def run_key(self, fingerprint: str | None) -> dict[str, Any]:
        """Return all that the counts depend on, except for the state of a model without a fingerprint."""
        meta = self.call.model.mteb_model_meta
        encode_kwargs = {name: value for name, value in self.call.encode_kwargs.items() if name != "show_progress_bar"}
        questions, passages = self.languages
        asked = hashlib.sha256()
        for language in questions:
            part = self.corpus.languages[language]
            for query_id, text in zip(part.query_ids, part.questions, strict=True):
                asked.update(f"{query_id}\n{text}\n".encode())
        return {
            "task": self.call.metadata.name,
            "data_revision": self.call.metadata.revision,
            "split": self.call.split,
            "model": meta.name or NO_NAME,
            "model_revision": meta.revision or NO_REVISION,
            "experiment": meta.experiment_name,
            "encode_kwargs": encode_kwargs,
            "chunk_size": self.chunk_size or CHUNK_SIZE,
            "query_languages": questions,
            "passage_languages": passages,
            "questions": asked.hexdigest(),
            "confidence": self.wanted,
            "keep_top": self.keep_top,
            "fingerprint": fingerprint,
        }

    def scores(self, counted: Mapping[str, CountedRanks]) -> Scores:
        """Compute the scores of the subsets, and say the averages, since `mteb run` itself prints no score."""
        subsets = [Subset.parse(subset) for subset in self.subsets]
        scores: Scores = {}
        for language, ranks in counted.items():
            pools = [subset.pool for subset in subsets if subset.questions == language]
            if self.judged_in_own_language and MULTI in pools:
                scores.update(own_language_scores(ranks, self.pool_sizes))
                pools.remove(MULTI)
            scores.update(scores_by_subset(ranks, pools))
        main_score = self.call.metadata.main_score
        for setting in SETTINGS:
            values = [score[main_score] for subset, score in scores.items() if setting_of(subset) == setting]
            if values:
                mean = sum(values) / len(values)
                logger.info(f"{self.call.metadata.name} {setting}: {main_score} {mean:.4f} ({len(values)} subsets)")
        return scores

    def store_counted(self, run: CountedRun) -> list[Columns]:
        """Enter counted ranks in the rank table, and return its rows."""
        whole, pools = self.whole_pool, self.languages[1]
        once = sum(len(ranks.targets.queries) for ranks in run.counted.values()) > _MANY_ROWS
        rows = [rank_rows(ranks, self.corpus, whole_pool=whole, tops_once=once) for ranks in run.counted.values()]
        evaluated = [(language, pool) for language in run.counted for pool in [*pools, *([MULTI] if whole else [])]]
        tops = (top_rows(ranks, self.corpus, whole_pool=whole) for ranks in run.counted.values())
        self.store(rows, evaluated, run.state, tops=(of_language for of_language in tops if of_language is not None))
        return rows

    def store(
        self,
        rows: list[Columns],
        evaluated: Pairs,
        state: ModelState | None,
        cut: int | None = None,
        tops: Iterable[Tops] = (),
    ) -> None:
        """Enter rows in the rank table of this model and task.

        Args:
            rows: The rows.
            evaluated: The pairs of question language and pool that were evaluated.
            state: What tells the model from any other; None where nothing is known but its name.
            cut: Results that a search returned for each query.
            tops: The top passages, in parts as ``tops.write`` takes them; none where they were not asked for.
        """
        name, revision = self.label
        info = TableInfo(
            task=self.call.metadata.name,
            dataset_revision=self.call.metadata.revision,
            model=name,
            model_revision=revision,
            pool_sizes=self.pool_sizes,
            cut=cut,
            versions=_versions(),
            state=state,
        )
        path = default_path(info.task, name, revision, self.folder)
        path = store(path, build(info.task, rows, as_written=True), info, evaluated, self.same, tops)
        logger.info(f"Rank table: {path}")

    # Searches

    def search(self, before: Search | None = None) -> Search:
        """Begin a search, or go on with one in another call of the same evaluation."""
        if before is not None:
            return Search(self, before.state, before.model_types)
        meta = self.call.model.mteb_model_meta
        # "dense" unless set: only what was set says anything.
        model_types = (meta.model_type or ()) if "model_type" in meta.model_fields_set else ()
        return Search(self, self._state_of_search(), model_types)

    def _state_of_search(self) -> ModelState | None:
        """Tell a model that searches from others: by its content, its embeddings, its name, or as this one run."""
        state = self.call.state()
        if state.fingerprint is not None:
            return state
        model = self.call.model
        if isinstance(model, EncoderProtocol) and not isinstance(model, SearchProtocol):  # it reranks
            texts = sampled_texts_of(self.corpus, *self.languages)
            return ModelState(sample=Sample.of(texts, self.call.sampler(self.corpus_of)(texts)))
        meta = model.mteb_model_meta
        return None if is_named(meta.name, meta.revision) else ModelState(run=uuid4().hex)


@dataclass
class Search:
    """The ranks of a model that MTEB's own search runs, subset by subset.

    Attributes:
        evaluation: What is evaluated.
        state: What tells the model from any other.
        model_types: What the model is, in MTEB's words; empty where it does not say it.
        rows: The rows of the subsets so far.
    """

    evaluation: Evaluation
    state: ModelState | None
    model_types: Sequence[str]
    rows: list[Columns] = field(default_factory=list)

    def add(self, subset: str, results: Results, qrels: Mapping[str, Mapping[str, int]], cut: int) -> dict[str, float]:
        """Enter the results of a subset in the rank table, and return the scores that MTEB does not compute.

        A relevant passage that was not returned has no rank, and a lexical score of 0 is not a result.

        Args:
            subset: The subset.
            results: All that the search handed over.
            qrels: Query id -> passage id -> grade.
            cut: Passages that were asked for.
        """
        evaluation = self.evaluation
        pair = Subset.parse(subset)
        results = returned(results, self.model_types)
        ranks = ranks_in_results(results, qrels)
        rows = search_rows(ranks, evaluation.corpus, subset)
        self.rows.append(rows)
        k, languages = evaluation.keep_top, evaluation.languages[1]
        tops = [tops_in_results(results, qrels, pair, languages, k)] if k is not None else []
        evaluation.store([rows], [(pair.questions, pair.pool)], self.state, cut, tops)
        scores = {"map": ranks.mean_average_precision()}
        if pair.pool == MULTI and evaluation.judged_in_own_language:
            languages_of_query = dict(zip(rows["query_id"], rows["top_languages"], strict=True))
            scores |= same_language_scores(list(languages_of_query.values()), pair.questions, evaluation.pool_sizes)
        return scores


def _versions() -> dict[str, str]:
    """Return the versions of the packages that made a rank table; one may be installed under another name."""
    versions = {}
    for name in ("beir-hybrid", "mteb", "torch"):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
