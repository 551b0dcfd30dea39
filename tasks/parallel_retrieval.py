"""The retrieval task over a parallel corpus: all settings from one pass of the model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeGuard
from uuid import uuid4

from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.languages import check_language_code
from mteb.models import CrossEncoderProtocol, EncoderProtocol, SearchProtocol
from mteb.timing import TimingStack

from beir_hybrid.corpora import ParallelCorpus, load, revision_of
from beir_hybrid.errors import DataError, ModelError
from beir_hybrid.files import check_writable, home, shown
from beir_hybrid.mteb.subset_data import SubsetData, languages_of
from beir_hybrid.ranks import rank_table
from beir_hybrid.scoring.identity import ModelState, Sample, fingerprint, same_state, sample_of_run, sampled_texts
from beir_hybrid.subsets import MULTI, SETTINGS, Subset, setting_of

if TYPE_CHECKING:
    import pandas as pd
    from mteb.models import MTEBModels
    from mteb.types import EncodeKwargs, HFSubset, ScoresDict

    from beir_hybrid.mteb.run import CountedRun
    from beir_hybrid.ranks.rank_table import Evaluated, SameState
    from beir_hybrid.scoring.counting import CountedRanks
    from beir_hybrid.scoring.identity import Encode

logger = logging.getLogger("mteb.beir_hybrid")

_LONGEST_LABEL = 250
"""Letters of the name and the revision of a model that a rank table keeps."""


@dataclass(frozen=True)
class _Filing:
    """What the ranks of a run are filed under.

    Attributes:
        model: Name of the model.
        revision: Its revision; MTEB's experiment follows behind a slash.
        folder: The folder above ``ranks``; None for the default.
        state: The state of the model; None where nothing is known but its name.
        same: Compares the state of a table that is there with the state of the model now.
    """

    model: str
    revision: str
    folder: Path | None
    state: ModelState | None
    same: SameState


@dataclass
class _Search:
    """A run of a model that searches: what its ranks are filed under, what it says it is, and the rows so far."""

    model: MTEBModels
    timer: TimingStack
    filing: _Filing
    model_types: Sequence[str]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def is_of(self, model: MTEBModels, timer: TimingStack) -> bool:
        """Whether a call belongs to the same `mteb.evaluate`, all whose calls bring the same timer."""
        return self.model is model and self.timer is timer


class AbsTaskParallelRetrieval(AbsTaskRetrieval):
    """Retrieval over a parallel corpus in the monolingual, cross-lingual and multilingual setting.

    For an encoder the first call of ``evaluate`` encodes every text of the task's subsets once, counts the ranks of
    the relevant passages, stores the rank table and gives the scores of all subsets; later calls only hand them out.
    Every other model goes through MTEB's own search, subset by subset, and ends in the same scores and rank table.

    Attributes:
        corpus_name: Name of the data set, as in ``beir-hybrid data list``.
        subset_data: Makes the data of a subset for MTEB's own search.
        ranks_folder: The folder above ``ranks`` that rank tables go to, where no prediction folder is given;
            BEIR_HYBRID_HOME by default.
    """

    corpus_name: ClassVar[str]
    subset_data: ClassVar[type[SubsetData]] = SubsetData
    ranks_folder: Path | None = None
    parallel_corpus: ParallelCorpus | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unclaimed: dict[str, ScoresDict] = {}
        self._unclaimed_of: tuple[MTEBModels, TimingStack] | None = None
        self._search: _Search | None = None
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
            self._check_language(code)
        try:
            exclusive = exclusive_language_filter or bool(languages)
            super().filter_languages(languages, script, hf_subsets, exclusive_language_filter=exclusive)
        except ValueError:
            # MTEB filters all its tasks at once by the looser rule; one without subsets would end that for all.
            super().filter_languages(languages, script, hf_subsets, exclusive_language_filter)
        return self

    def _check_language(self, code: str) -> None:
        # MTEB skips a task whose filter raises a ValueError; a misspelt language must not go unnoticed that way.
        try:
            check_language_code(code)
        except ValueError as error:
            raise DataError(
                f"{self.metadata.name}: unknown language {code!r}; MTEB names languages by ISO 639-3, here: "
                f"{', '.join(self.metadata.languages)}"
            ) from error

    def load_data(self, num_proc: int | None = None, *, timer: TimingStack | None = None, **kwargs: Any) -> None:
        """Read the questions and passages of the languages that the task's subsets need.

        Raises:
            DataError: The data cannot be had or is malformed.
        """
        if self.data_loaded:
            return
        with (timer or TimingStack())("Data loading", log_message=f"Loading {self.corpus_name}..."):
            questions, passages = self._languages()
            self.parallel_corpus = self._read_corpus(sorted({*questions, *passages}), num_proc)
            self.dataset = self.subset_data(self.parallel_corpus, self.hf_subsets, self.eval_splits[0])  # type: ignore[assignment]
        self.data_loaded = True

    def _data_revision(self) -> str:
        """What names the exact texts that the task reads."""
        return revision_of(self.corpus_name)

    def _read_corpus(self, languages: Sequence[str], num_proc: int | None) -> ParallelCorpus:
        """Read the questions and passages of the languages that the task's subsets need."""
        return load(self.corpus_name, languages)

    def unload_data(self) -> None:
        """Unload the data, and the scores that nobody has asked for."""
        metadata = self.metadata
        super().unload_data()
        self.metadata = metadata  # MTEB restores the published one, but the data will be read from the same folder
        self.parallel_corpus = None
        self._unclaimed, self._unclaimed_of, self._search = {}, None, None

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
        """
        timer = timer if timer is not None else TimingStack()
        self._check_writable(prediction_folder)
        self.load_data(num_proc=num_proc, timer=timer)
        wanted = [subset for subset in self.hf_subsets if subsets_to_run is None or subset in subsets_to_run]
        if not self._is_counted(model, wanted):
            self._search = self._begin_search(model, split, encode_kwargs, prediction_folder, timer)
            return super().evaluate(
                model,
                split,
                subsets_to_run,
                encode_kwargs=encode_kwargs,
                prediction_folder=prediction_folder,
                num_proc=num_proc,
                timer=timer,
                **kwargs,
            )

        def compute() -> dict[str, ScoresDict]:
            return self._count(model, split, encode_kwargs, prediction_folder, num_proc, timer)

        return self._claim(model, timer, wanted, compute)

    def _claim(
        self,
        model: MTEBModels,
        timer: TimingStack,
        subsets: Sequence[HFSubset],
        compute: Callable[[], dict[str, ScoresDict]],
    ) -> dict[str, ScoresDict]:
        """Hand out scores of some subsets, computing those of all subsets if need be.

        Scores are handed out once, and to the calls of one `mteb.evaluate` only, which all bring the same timer: in any
        other call the model may have been trained meanwhile.
        """
        known = self._unclaimed_of is not None and self._unclaimed_of[0] is model and self._unclaimed_of[1] is timer
        if not known or any(subset not in self._unclaimed for subset in subsets):
            self._unclaimed = compute()
            for scores in self._unclaimed.values():
                self._add_main_score(scores)
            self._unclaimed_of = model, timer
        unjudged = [subset for subset in subsets if subset not in self._unclaimed]
        if unjudged:
            raise DataError(f"{self.metadata.name}: no question of {unjudged[0]} has a relevant passage in its pool")
        claimed = {subset: self._unclaimed.pop(subset) for subset in subsets}
        if not self._unclaimed:
            self._unclaimed_of = None
        return claimed

    def _languages(self) -> tuple[list[str], list[str]]:
        """The languages of the questions and passages that the task's subsets need."""
        return languages_of(self.hf_subsets, self._all_languages())

    def _all_languages(self) -> list[str]:
        """The languages of the data set."""
        return list(dict.fromkeys(subset.questions for subset in map(Subset.parse, self.metadata.hf_subsets)))

    def _is_counted(self, model: MTEBModels, subsets: Sequence[HFSubset]) -> TypeGuard[EncoderProtocol]:
        """Whether ranks are counted, which needs an encoder and full rankings (no reranking of given candidates)."""
        assert isinstance(self.dataset, SubsetData)
        reranks = self.dataset.is_reranking(subsets)
        if isinstance(model, CrossEncoderProtocol) and not reranks:
            raise ModelError(
                f"{model.mteb_model_meta.name} is a cross-encoder, which ranks anew what another model has found: "
                "evaluate that one with prediction_folder=FOLDER, and this one on task.convert_to_reranking(FOLDER)"
            )
        return isinstance(model, EncoderProtocol) and not isinstance(model, SearchProtocol) and not reranks

    def _count(
        self,
        model: EncoderProtocol,
        split: str,
        encode_kwargs: EncodeKwargs,
        prediction_folder: Path | None,
        num_proc: int | None,
        timer: TimingStack,
    ) -> dict[str, ScoresDict]:
        """Get the ranks of one pass of the model and compute the scores of all subsets of the task."""
        run = self.counted_ranks(
            model,
            split,
            encode_kwargs=encode_kwargs,
            num_proc=num_proc,
            timer=timer,
            used_by=self.metadata.name,
            embeddings_needed=prediction_folder is not None,
        )
        with timer("Scoring", split=split):
            scores = self._score(run.counted)
        filing = self._filing(model, split, encode_kwargs, prediction_folder, run.state)
        self._store_rows(self._rows(run.counted), filing, cut=None, evaluated=self._evaluated(run.counted))
        if prediction_folder is not None and run.encoded is not None:
            from beir_hybrid.mteb.predictions import predict, write_predictions

            with timer("Predictions", split=split, log_message="Writing predictions..."):
                write_predictions(
                    self._predictions_path(prediction_folder),
                    {"model_name": filing.model, "revision": filing.revision},
                    split,
                    predict(model, run.encoded, self.hf_subsets),
                )
        return scores

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
        """Count the ranks for the task's subsets, or take them from the pass another task has just made.

        Args:
            model: The encoder.
            split: Split to evaluate on.
            encode_kwargs: Passed to the encoder.
            num_proc: Processes for the data loader.
            timer: Records the phases.
            used_by: Name of the task that asks.
            embeddings_needed: Make a pass of its own, since a shared one keeps ranks only.
        """
        from beir_hybrid.mteb.run import SHARED_RUNS, CountedRun, run_encoder

        self.load_data(num_proc=num_proc, timer=timer)
        assert self.parallel_corpus is not None
        questions, passages = self._languages()
        key = (self.metadata.revision, questions, passages, split, dict(encode_kwargs))
        if not embeddings_needed:
            is_current = partial(self._is_current, model, split, encode_kwargs)
            shared = SHARED_RUNS.take(model, self.corpus_name, key, used_by, is_current)
            if shared is not None:
                logger.info(f"{used_by} uses the ranks that were counted before; the corpus is not encoded again.")
                return shared
        encoded = run_encoder(
            model,
            self.parallel_corpus,
            query_languages=questions,
            passage_languages=passages,
            task_metadata=self.metadata,
            hf_split=split,
            encode_kwargs=encode_kwargs,
            timer=timer,
            num_proc=num_proc,
        )
        state = ModelState(fingerprint(model, encode_kwargs))
        if state.fingerprint is None:
            state = ModelState(sample=sample_of_run(encoded.embeddings.questions, encoded.embeddings.passages))
        run = CountedRun(encoded.counted, state, encoded)
        SHARED_RUNS.put(model, self.corpus_name, key, run, used_by)
        return run

    def _is_current(self, model: EncoderProtocol, split: str, encode_kwargs: EncodeKwargs, state: ModelState) -> bool:
        """Whether a model is still in the state that ranks were counted in."""
        now = ModelState(fingerprint(model, encode_kwargs))
        return same_state(state, now, self._sample_encoder(model, split, encode_kwargs))

    def _sample_encoder(self, model: EncoderProtocol, split: str, encode_kwargs: EncodeKwargs) -> Encode:
        """Return what embeds the texts of a sample by the model as it is now."""
        from beir_hybrid.mteb.run import sample_encoder

        return sample_encoder(
            model, self._corpus_with, task_metadata=self.metadata, hf_split=split, encode_kwargs=encode_kwargs
        )

    def _corpus_with(self, language: str) -> ParallelCorpus:
        """Return a corpus that holds a language, which need not be one of the run; a KeyError where there is none."""
        assert self.parallel_corpus is not None
        if language in self.parallel_corpus.languages:
            return self.parallel_corpus
        if language not in self._all_languages():
            raise KeyError(language)
        return self._read_corpus([language], None)

    def ranks_in_pool(
        self,
        model: MTEBModels,
        split: str,
        *,
        encode_kwargs: EncodeKwargs,
        prediction_folder: Path | None,
        num_proc: int | None,
        timer: TimingStack,
        used_by: str,
    ) -> pd.DataFrame:
        """Rank the right answers in the pool of all languages, store the rank table, and return its rows.

        Args:
            model: Any model that MTEB can run.
            split: Split to evaluate on.
            encode_kwargs: Passed to the encoder.
            prediction_folder: Where the rank table goes, if not under BEIR_HYBRID_HOME.
            num_proc: Processes for the data loader.
            timer: Records the phases.
            used_by: Name of the task that asks.
        """
        self.load_data(num_proc=num_proc, timer=timer)
        multilingual = [subset for subset in self.hf_subsets if setting_of(subset) == "multilingual"]
        if self._is_counted(model, multilingual):
            run = self.counted_ranks(
                model, split, encode_kwargs=encode_kwargs, num_proc=num_proc, timer=timer, used_by=used_by
            )
            rows = self._rows(run.counted)
            filing = self._filing(model, split, encode_kwargs, prediction_folder, run.state)
            self._store_rows(rows, filing, cut=None, evaluated=self._evaluated(run.counted))
        else:
            self._search = self._begin_search(model, split, encode_kwargs, prediction_folder, timer)
            super().evaluate(
                model,
                split,
                multilingual,
                encode_kwargs=encode_kwargs,
                prediction_folder=prediction_folder,
                num_proc=num_proc,
                timer=timer,
            )
            rows = self._search.rows
        return rank_table.build(self.metadata.name, rows).to_pandas()

    def pool_sizes(self) -> dict[str, int]:
        """Return language -> passages of the task's pool."""
        assert self.parallel_corpus is not None, "load the data first"
        parts = self.parallel_corpus.languages
        return {language: len(parts[language].passages) for language in self._languages()[1]}

    def _score(self, counted: Mapping[str, CountedRanks]) -> dict[str, ScoresDict]:
        scores: dict[str, ScoresDict] = {}
        for query_language, ranks in counted.items():
            pools = [s.pool for s in map(Subset.parse, self.hf_subsets) if s.questions == query_language]
            scores.update(self._scores_of(ranks, pools))
        self._log_averages(scores)
        return scores

    def _scores_of(self, ranks: CountedRanks, pools: Sequence[str]) -> dict[str, ScoresDict]:
        """Compute the scores of the subsets of one query language, given by the names of their pools."""
        from beir_hybrid.scoring.evaluation import scores_by_subset

        return dict(scores_by_subset(ranks, pools))

    def _log_averages(self, scores: Mapping[str, ScoresDict]) -> None:
        """Say what the run found, since `mteb run` itself prints no score."""
        for setting in SETTINGS:
            values = [
                score[self.metadata.main_score] for subset, score in scores.items() if setting_of(subset) == setting
            ]
            if values:
                mean = sum(values) / len(values)
                logger.info(
                    f"{self.metadata.name} {setting}: {self.metadata.main_score} {mean:.4f} ({len(values)} subsets)"
                )

    def _rows(self, counted: Mapping[str, CountedRanks]) -> list[dict[str, Any]]:
        from beir_hybrid.scoring.evaluation import rank_rows

        assert self.parallel_corpus is not None
        whole = self._has_whole_pool()
        return [rank_rows(ranks, self.parallel_corpus, whole_pool=whole) for ranks in counted.values()]

    def _has_whole_pool(self) -> bool:
        return set(self._languages()[1]) == set(self._all_languages())

    def _evaluated(self, counted: Mapping[str, CountedRanks]) -> list[tuple[str, str]]:
        """Return the pairs of question language and pool whose ranks a pass counts."""
        pools = [*self._languages()[1], *([MULTI] if self._has_whole_pool() else [])]
        return [(language, pool) for language in counted for pool in pools]

    def _begin_search(
        self, model: MTEBModels, split: str, encode_kwargs: EncodeKwargs, folder: Path | None, timer: TimingStack
    ) -> _Search:
        """Begin a run of a model that MTEB's own search runs, or go on with it: MTEB calls once a subset."""
        if self._search is not None and self._search.is_of(model, timer):
            state = self._search.filing.state
        else:
            state = self._state_of_search(model, split, encode_kwargs)
        meta = model.mteb_model_meta
        # "dense" unless set: only what was set says anything.
        model_types = (meta.model_type or ()) if "model_type" in meta.model_fields_set else ()
        filing = self._filing(model, split, encode_kwargs, folder, state)
        return _Search(model, timer, filing, model_types)

    def _state_of_search(self, model: MTEBModels, split: str, encode_kwargs: EncodeKwargs) -> ModelState | None:
        """Tell a model that searches from others: by its content, its embeddings, its name, or as this one run."""
        state = ModelState(fingerprint(model, encode_kwargs))
        if state.fingerprint is not None:
            return state
        if isinstance(model, EncoderProtocol) and not isinstance(model, SearchProtocol):  # it reranks
            assert self.parallel_corpus is not None
            questions, passages = self._languages()
            parts = self.parallel_corpus.languages
            texts = sampled_texts(
                {language: len(parts[language].questions) for language in questions},
                {language: len(parts[language].passages) for language in passages},
            )
            return ModelState(sample=Sample.of(texts, self._sample_encoder(model, split, encode_kwargs)(texts)))
        meta = model.mteb_model_meta
        return None if rank_table.is_named(meta.name, meta.revision) else ModelState(run=uuid4().hex)

    def _filing(
        self,
        model: MTEBModels,
        split: str,
        encode_kwargs: EncodeKwargs,
        folder: Path | None,
        state: ModelState | None,
    ) -> _Filing:
        """Say what the ranks of a run are filed under."""
        meta = model.mteb_model_meta
        if encode_kwargs.get("precision") is not None:  # MTEB files such results apart; the task is not told of it
            kwargs = {**(meta.experiment_kwargs or {}), "output_dtypes": str(encode_kwargs["precision"])}
            meta = meta.model_copy(update={"experiment_kwargs": kwargs})
        revision = "/".join(filter(None, [meta.revision or rank_table.NO_REVISION, meta.experiment_name]))
        encode = self._sample_encoder(model, split, encode_kwargs) if isinstance(model, EncoderProtocol) else None
        same = partial(same_state, encode=encode)
        # Whatever a model calls itself, the table can be read again.
        name = shown(meta.name or rank_table.NO_NAME, _LONGEST_LABEL)
        return _Filing(name, shown(revision, _LONGEST_LABEL), folder or self.ranks_folder, state, same)

    def _check_writable(self, prediction_folder: Path | None) -> None:
        """Find out before everything is encoded, and not after it, that rank tables cannot be written."""
        check_writable((prediction_folder or self.ranks_folder or home()) / "ranks")

    def _store_rows(
        self, rows: list[dict[str, Any]], filing: _Filing, *, cut: int | None, evaluated: Evaluated
    ) -> None:
        """Enter rows in the rank table of this model and task."""
        info = rank_table.TableInfo(
            task=self.metadata.name,
            dataset_revision=self.metadata.revision,
            model=filing.model,
            model_revision=filing.revision,
            pool_sizes=self.pool_sizes(),
            cut=cut,
            versions=_versions(),
            state=filing.state,
        )
        path = rank_table.default_path(info.task, info.model, info.model_revision, filing.folder)
        path = rank_table.store(path, rank_table.build(info.task, rows), info, evaluated, filing.same)
        logger.info(f"Rank table: {path}")

    def task_specific_scores(
        self,
        scores: dict[str, dict[str, float]],
        qrels: Mapping[str, Mapping[str, int]],
        results: dict[str, dict[str, float]],
        hf_split: str,
        hf_subset: str,
    ) -> dict[str, float]:
        """Add ``map`` over all that a search returned, and enter its ranks in the rank table.

        Called by MTEB's own retrieval path; a relevant passage that was not returned has no rank, and a lexical score
        of 0 is not a result. The other scores are MTEB's, of all that the search handed over.
        """
        from beir_hybrid.scoring.search import ranks_in_results, returned, search_rows

        assert self.parallel_corpus is not None and self._search is not None
        ranks = ranks_in_results(returned(results, self._search.model_types), qrels)
        rows = search_rows(ranks, self.parallel_corpus, hf_subset)
        self._search.rows.append(rows)
        self._store_rows([rows], self._search.filing, cut=self._top_k, evaluated=[Subset.parse(hf_subset)])
        return {"map": ranks.mean_average_precision()}


def _versions() -> dict[str, str]:
    """Return the versions of the packages that made a rank table; one may be installed under another name."""
    versions = {}
    for name in ("beir-hybrid", "mteb", "torch"):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
