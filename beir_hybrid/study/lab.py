"""What the items of a study share in one process: models, data, and the folder that results go to."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from beir_hybrid.corpora import ParallelCorpus, load
from beir_hybrid.corpora.registry import spec_of_task
from beir_hybrid.debias.sentences import Sentences, read_sentences
from beir_hybrid.files import make_folder
from beir_hybrid.finetune.recipe import Recipe
from beir_hybrid.finetune.start import find_start, interpolated, start_matrix
from beir_hybrid.folders import replaced_folder
from beir_hybrid.models.base import Base, find_base
from beir_hybrid.models.manifest import read_manifest
from beir_hybrid.models.model_files import content_hash
from beir_hybrid.study import held_out, trials
from beir_hybrid.study.definition import IDENTITY, Experiment, Settings, Start, Study, StudyBase, System
from beir_hybrid.study.head_bench import HeadBench
from beir_hybrid.study.trials import ModelName
from beir_hybrid.training.evaluator import MultilingualRetrievalEvaluator
from beir_hybrid.training.pair_files import write_pairs
from beir_hybrid.training.pairs import read_source
from beir_hybrid.training.parallel_pairs import ParallelPairs, texts_by_column

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_SAVE_STEPS = 0.25
"""Steps between the checkpoints of a full tuning, which are large, as a share of all steps."""

Texts = Mapping[str, list[str]]
"""``question`` and ``answer`` -> texts."""

_BATCH_SIZE = {"head": 1024, "full": 64}
"""Texts encoded at once; looking embeddings up needs no memory for activations."""


class Lab:
    """Does the items of a study, in its folder ``out``; what is expensive to load is kept.

    Args:
        study: The study.
        out: Its folder.
        progress: Whether to show a bar where texts are embedded.
        languages: Languages of the tasks, whose pool is theirs; None for all.
    """

    def __init__(self, study: Study, out: Path, progress: bool, languages: tuple[str, ...] | None = None) -> None:
        self.study = study
        self.out = out
        self._progress = progress
        self._languages = languages
        self._benches: dict[str, HeadBench] = {}
        self._embedded: set[tuple[HeadBench, str]] = set()

    def base(self, base: StudyBase) -> Base:
        """Return a base model, not loaded."""
        return _base(base.model)

    def pairs(self, experiment: Experiment) -> list[ParallelPairs]:
        """Return the training data of an experiment."""
        return [_pairs(source, experiment.languages) for source in experiment.train]

    def sentences(self, start: Start) -> Sentences:
        """Return the sentences that a start is fitted on, and those held out."""
        return _sentences(start.data, start.languages)

    # Items

    def embed_pairs(self, experiment: Experiment, base: StudyBase) -> dict[str, Any]:
        """Embed the training texts of an experiment with a base."""
        self._bench_with_pairs(experiment, base)
        return {}

    def embed_task(self, task: str, base: StudyBase) -> dict[str, Any]:
        """Embed the texts of a task with a base."""
        self._bench_with_task(task, base)
        return {}

    def make_start(self, start: Start, base: StudyBase) -> dict[str, Any]:
        """Fit a map on sentences and save it behind a base: ``revision`` of the model that this gives."""
        from beir_hybrid.finetune.debiased_model import save_debiased

        folder = self.start_folder(start.name, base)
        save_debiased(
            base.model,
            folder,
            data=start.data,
            languages=start.languages,
            method=start.method,
            sentences=start.sentences,
            progress=False,
        )
        return {"revision": content_hash(folder)}

    def select(self, system: System, settings: Settings) -> dict[str, Any]:
        """Train on a part of the training data, and score every interpolation of the base on the rest.

        Returns:
            ``maps``: multilingual mAP on held-out questions, the mean over sources, one an interpolation.
        """
        recipe = self._recipe(system, settings, system.base.seeds[0])
        rest, corpora = held_out.split(self.pairs(system.experiment), self.study.held_out, self.study.split_seed)
        if system.base.tune == "full":
            return {"maps": [self._score(self._tune_on_rest(system, recipe, rest), corpora, system.base)]}
        bench = self._bench_with_pairs(system.experiment, system.base)
        bench.train(rest, recipe)
        start, trained, maps = bench.start_matrix(rest, recipe), bench.matrix(), []
        for interpolation in system.base.interpolations:
            bench.set_matrix(interpolated(start, trained, interpolation))
            maps.append(self._score(bench.model, corpora, system.base))
        return {"maps": maps}

    def train(self, system: System, settings: Settings, seed: int) -> dict[str, Any]:
        """Train a model on all training data and save it: ``revision`` of the weights, and ``losses``."""
        folder, recipe = self.model_folder(system, seed), self._recipe(system, settings, seed)
        if system.base.tune == "head":
            bench = self._bench_with_pairs(system.experiment, system.base)
            losses = bench.train(self.pairs(system.experiment), recipe)
            with replaced_folder(folder) as new:
                bench.save(new)
        else:
            losses = _train_whole(system.base.model, recipe, folder)
        return {"revision": self._revision(system.base, folder), "losses": losses}

    def fit(self, method: str, experiment: Experiment, base: StudyBase) -> dict[str, Any]:
        """Fit a head on the answers of an experiment, without training, and save it: its ``revision``."""
        folder = self.fitted_folder(method, base)
        bench = self._bench_with_pairs(experiment, base)
        bench.fit(method, self.pairs(experiment))
        with replaced_folder(folder) as new:
            bench.save(new)
        return {"revision": self._revision(base, folder)}

    def evaluate(self, system: System, seed: int, name: ModelName, task: str) -> dict[str, Any]:
        """Evaluate a trained model: ``figures``, key of a column of the leaderboard -> figure."""
        folder = self.model_folder(system, seed)
        if system.base.tune == "head":
            bench = self._bench_with_task(task, system.base)
            bench.load(folder)
            return self._evaluate_head(bench, name, task)
        return self._evaluate(_load_whole(folder), name, task, self._training_datasets(system))

    def evaluate_fitted(self, method: str, base: StudyBase, name: ModelName, task: str) -> dict[str, Any]:
        """Evaluate a head that `fit` saved; the result is that of `evaluate`."""
        bench = self._bench_with_task(task, base)
        bench.load(self.fitted_folder(method, base))
        return self._evaluate_head(bench, name, task)

    def evaluate_untuned(self, base: StudyBase, start: str, name: ModelName, task: str) -> dict[str, Any]:
        """Evaluate a base as it is, or with a start behind it; the result is that of `evaluate`."""
        if base.tune == "head":
            bench = self._bench_with_task(task, base)
            bench.reset()
            if start != IDENTITY:
                found = find_start(str(self.start_folder(start, base)), self.base(base))
                bench.set_matrix(start_matrix(found, bench.model, ()))
            return self._evaluate_head(bench, name, task)
        model = self.base(base).load() if start == IDENTITY else _load_whole(self.start_folder(start, base))
        return self._evaluate(model, name, task)

    def evaluate_bm25(self, task: str) -> dict[str, Any]:
        """Evaluate MTEB's lexical baseline; the result is that of `evaluate`."""
        model, name = trials.bm25()
        return {"figures": trials.evaluate(model, name, task, self.out, _BATCH_SIZE["full"])}

    # Names and places

    def model_folder(self, system: System, seed: int) -> Path:
        """Return where a trained model is kept."""
        return self.out / "models" / f"{system.key}_seed-{seed}"

    def fitted_folder(self, method: str, base: StudyBase) -> Path:
        """Return where a head that was fitted on the answers of an experiment is kept."""
        return self.out / "models" / trials.untuned_name(self.base(base).name, method).rpartition("/")[2]

    def model_name(self, system: System, seed: int, revision: str) -> ModelName:
        """Return what a trained model is filed under."""
        return ModelName(trials.trained_name(system, seed), revision)

    def start_folder(self, start: str, base: StudyBase) -> Path:
        """Return where a start of a base is kept."""
        return self.out / "starts" / trials.untuned_name(self.base(base).name, start).rpartition("/")[2]

    def untuned_name(self, base: StudyBase, start: str = IDENTITY, revision: str | None = None) -> ModelName:
        """Return what a base is filed under as it is, or with a start behind it, which has the revision."""
        model = self.base(base)
        return ModelName(trials.untuned_name(model.name, start), revision or model.revision)

    # How

    def _bench_with_pairs(self, experiment: Experiment, base: StudyBase) -> HeadBench:
        return self._bench_with(base, f"pairs of {experiment.name}", lambda: texts_by_column(self.pairs(experiment)))

    def _bench_with_task(self, task: str, base: StudyBase) -> HeadBench:
        return self._bench_with(base, task, lambda: texts_of_corpus(_corpus(task, self._languages)))

    def _bench_with(self, base: StudyBase, what: str, texts: Callable[[], Texts]) -> HeadBench:
        """Return the bench of a base, after it has looked up texts of which it will be asked one by one."""
        key = f"{base.model} {base.max_length}"
        if key not in self._benches:
            self._benches[key] = HeadBench(self.base(base), base.max_length)
        bench = self._benches[key]
        if (bench, what) not in self._embedded:
            bench.embed(texts(), self._progress)
            self._embedded.add((bench, what))
        return bench

    def _recipe(self, system: System, settings: Settings, seed: int) -> Recipe:
        start = None if system.start == IDENTITY else str(self.start_folder(system.start, system.base))
        return system.recipe(settings, seed, start)

    def _score(self, model: SentenceTransformer, corpora: Sequence[ParallelCorpus], base: StudyBase) -> float:
        """Return the mean over held-out corpora of multilingual mAP."""
        return fmean(_score(model, corpus, _BATCH_SIZE[base.tune], self.study.held_out_questions) for corpus in corpora)

    def _tune_on_rest(self, system: System, recipe: Recipe, rest: Iterable[ParallelPairs]) -> SentenceTransformer:
        work = make_folder(self.out / "selection")
        name = f"{system.key}_{recipe.learning_rate:g}_{recipe.temperature:g}"
        files = [write_pairs(part, work / f"{name}_{number}.jsonl") for number, part in enumerate(rest)]
        folder = work / name
        _train_whole(system.base.model, replace(recipe, data=tuple(map(str, files))), folder)
        model = _load_whole(folder)
        # Not where training or loading failed: the checkpoints are for the next run of the study.
        shutil.rmtree(folder, ignore_errors=True)
        for file in files:
            file.unlink(missing_ok=True)
        return model

    def _evaluate(
        self, model: SentenceTransformer, name: ModelName, task: str, seen: set[str] | None = None
    ) -> dict[str, Any]:
        encoder = trials.wrapped(model, name, seen)
        return {"figures": trials.evaluate(encoder, name, task, self.out, _BATCH_SIZE["full"])}

    def _evaluate_head(self, bench: HeadBench, name: ModelName, task: str) -> dict[str, Any]:
        return {"figures": trials.evaluate_stored(bench.model, name, task, _corpus(task, self._languages), self.out)}

    def _revision(self, base: StudyBase, folder: Path) -> str:
        """Return what names the weights of a model: those of its base, and those in its folder."""
        return hashlib.sha256(f"{self.base(base).revision} {content_hash(folder)}".encode()).hexdigest()[:40]

    def _training_datasets(self, system: System) -> set[str] | None:
        """Return the MTEB tasks that a trained model has seen; None if nobody knows what its base has seen."""
        before = self.base(system.base).training_datasets
        seen = set(chain.from_iterable(part.training_datasets for part in self.pairs(system.experiment)))
        if system.start != IDENTITY:
            manifest = read_manifest(self.start_folder(system.start, system.base))
            seen |= set() if manifest is None else (manifest.known_training_datasets or frozenset())
        return None if before is None else {*before, *seen}


@cache
def _base(model: str) -> Base:
    return find_base(model)


@cache
def _pairs(source: str, languages: tuple[str, ...] | None) -> ParallelPairs:
    return read_source(source, languages, progress=False)


@cache
def _sentences(data: str, languages: tuple[str, ...] | None) -> Sentences:
    return read_sentences(data, languages, progress=False)


@cache
def _corpus(task: str, languages: tuple[str, ...] | None) -> ParallelCorpus:
    return load(spec_of_task(task).name, languages, progress=False)


def _score(model: SentenceTransformer, corpus: ParallelCorpus, batch_size: int, questions: int | None) -> float:
    evaluator = MultilingualRetrievalEvaluator(
        corpus, name="", max_questions=questions, batch_size=batch_size, write_csv=False
    )
    return evaluator(model)[evaluator.primary_metric]


def texts_of_corpus(corpus: ParallelCorpus) -> Texts:
    """Return the questions and the passages of a corpus, of all languages."""
    parts = corpus.languages.values()
    return {
        "question": [text for part in parts for text in part.questions],
        "answer": [text for part in parts for text in part.passages],
    }


def _train_whole(base: str, recipe: Recipe, folder: Path) -> dict[str, float]:
    """Tune all weights as `beir-hybrid train` does, going on from the checkpoint that a run which ended early left."""
    from beir_hybrid.finetune.train import RunOptions, train

    manifest = train(base, recipe, folder, resume=None, options=RunOptions(quiet=True, save_steps=_SAVE_STEPS))
    assert manifest is not None, "this is the only process of the training"
    return dict(manifest.losses)


def _load_whole(folder: Path) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), local_files_only=True, trust_remote_code=False)
