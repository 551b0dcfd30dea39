"""The items of a study, in the order of what follows from what: embed, select, train, evaluate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

from beir_hybrid.study import trials
from beir_hybrid.study.definition import (
    IDENTITY,
    Experiment,
    Settings,
    Start,
    Study,
    StudyBase,
    System,
    selection_system,
)
from beir_hybrid.study.lab import Lab
from beir_hybrid.study.ledger import Entry, Ledger
from beir_hybrid.study.trials import ModelName


@dataclass(eq=False)
class Item:
    """A piece of work.

    Attributes:
        id: ``<kind>/<name>``.
        work_out_facts: Works out the facts, when everything that the item needs is done.
        run: Does it and returns the result.
        needs: The items whose results its facts or its work follow from.
    """

    id: str
    work_out_facts: Callable[[], Mapping[str, Any]]
    run: Callable[[], dict[str, Any]]
    needs: Sequence[Item] = ()

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """All that its result follows from."""
        return self.work_out_facts()


class Plan:
    """All items of a study: which of them are open, and the results of those that are done."""

    def __init__(self, study: Study, lab: Lab, ledger: Ledger) -> None:
        self.study = study
        self._lab = lab
        self._ledger = ledger
        self._items: dict[str, Item] = {}
        self._done: dict[str, Entry] = {}
        embedded: list[Item] = []
        for experiment, base in study.pairings():
            embedded += self._add_pairing(experiment, base)
        self._add_anchors(embedded)

    def open_items(self) -> list[Item]:
        """Return the items that are not done and wait for nothing but, perhaps, another process."""
        return [item for item in self._items.values() if self._is_ready(item) and self._find(item) is None]

    def size(self) -> int:
        """Return the number of items of the study."""
        return len(self._items)

    def done(self) -> int:
        """Return the number of items that are done."""
        return len(self.entries())

    def entries(self) -> list[Entry]:
        """Return all items that are done."""
        entries = map(self._find, self._items.values())
        return [entry for entry in entries if entry is not None]

    def _find(self, item: Item) -> Entry | None:
        """Return the entry of an item; None if it is not done."""
        if item.id not in self._done and self._is_ready(item):
            entry = self._ledger.find(item.id, item.facts)
            if entry is not None:
                self._done[item.id] = entry
        return self._done.get(item.id)

    def _entry(self, name: str) -> Entry | None:
        """Return the entry of an item by its id; None if it is not done, or not part of the study."""
        return self._find(self._items[name]) if name in self._items else None

    def _is_ready(self, item: Item) -> bool:
        return all(self._find(needed) is not None for needed in item.needs)

    # Results

    def settings(self, system: System) -> Settings | None:
        """Return the settings of a system: the best on held-out data, the first of equal ones; None if not known."""
        grid = system.base.grid
        if len(grid) == 1:
            return grid[0]
        scores = dict(self.selection(system))
        return max(grid, key=scores.__getitem__) if len(scores) == len(grid) else None

    def selection(self, system: System) -> list[tuple[Settings, float]]:
        """Return the settings that were tried for a system, with their multilingual mAP on held-out questions."""
        tried = ((settings, self._entry(_select_id(system, settings))) for settings in _trainings(system))
        return [
            (replace(settings, interpolation=interpolation), score)
            for settings, entry in tried
            if entry is not None
            for interpolation, score in zip(system.base.interpolations, entry.result["maps"], strict=True)
        ]

    def trained(self, system: System, seed: int) -> Entry | None:
        """Return the item that trained a model; None if it is not done."""
        return self._entry(_train_id(system, seed))

    def evaluated(self, system: System, seed: int, task: str) -> Entry | None:
        """Return the item that evaluated a trained model; None if it is not done."""
        return self._entry(_evaluate_id(f"{system.key}_seed-{seed}", task))

    def evaluated_untuned(self, base: StudyBase, start: str, task: str) -> Entry | None:
        """Return the item that evaluated a base as it is, or with a start behind it; None if it is not done."""
        return self._entry(_evaluate_id(self._lab.untuned_name(base, start).last, task))

    def evaluated_bm25(self, task: str) -> Entry | None:
        """Return the item that evaluated MTEB's lexical baseline; None if it is not done."""
        return self._entry(_evaluate_id("bm25", task))

    def rank_table(self, evaluated: Entry) -> Path:
        """Return the rank table of an item that evaluated a model."""
        facts = evaluated.facts
        return ModelName(facts["model"], facts["revision"]).rank_table(facts["task"], self._lab.out)

    # Items in order

    def _add(
        self,
        name: str,
        facts: Callable[[], Mapping[str, Any]],
        run: Callable[[], dict[str, Any]],
        needs: Sequence[Item] = (),
    ) -> Item:
        return self._items.setdefault(name, Item(name, facts, run, needs))

    def _add_pairing(self, experiment: Experiment, base: StudyBase) -> list[Item]:
        """Add all items of an experiment with a base, and return those that embed."""
        lab, embedded = self._lab, []
        if base.tune == "head":
            name = f"embed/{experiment.name}_{base.name}"
            facts = partial(self._embedding_facts, experiment, base)
            embedded.append(self._add(name, facts, partial(lab.embed_pairs, experiment, base)))
            for task in experiment.tasks:
                facts = partial(self._embedding_facts, experiment, base, task)
                embedded.append(self._add(f"{name}_{task}", facts, partial(lab.embed_task, task, base)))
        for system in selecting(self.study, experiment, base):
            for settings in _trainings(system):
                facts, run = partial(self._selection_facts, system, settings), partial(lab.select, system, settings)
                self._add(_select_id(system, settings), facts, run, [*embedded, *self._add_start(base, system.start)])
        for system in self.study.systems(experiment, base):
            needs = [*embedded, *self._add_start(base, system.start)]
            needs += [self._items[_select_id(system, settings)] for settings in _trainings(system)]
            for seed in base.seeds:
                facts, run = partial(self._training_facts, system, seed), partial(self._train, system, seed)
                training = self._add(_train_id(system, seed), facts, run, needs)
                for task in experiment.tasks:
                    facts = partial(_evaluation_facts, partial(self._name, system, seed), task)
                    run = partial(self._evaluate, system, seed, task)
                    self._add(_evaluate_id(f"{system.key}_seed-{seed}", task), facts, run, [training])
        return embedded

    def _add_start(self, base: StudyBase, name: str) -> list[Item]:
        """Add the item that makes a start of a base; none for the identity."""
        start = self.study.start(name)
        if start is None:
            return []
        facts, run = partial(self._start_facts, start, base), partial(self._lab.make_start, start, base)
        return [self._add(_start_id(self._lab, base, name), facts, run)]

    def _add_anchors(self, embedded: Sequence[Item]) -> None:
        lab = self._lab
        for base, start, task in untuned(self.study) if "untuned" in self.study.anchors else ():
            facts = partial(_evaluation_facts, partial(self._untuned_name, base, start), task)
            run, needs = partial(self._evaluate_untuned, base, start, task), self._add_start(base, start)
            self._add(_evaluate_id(lab.untuned_name(base, start).last, task), facts, run, [*embedded, *needs])
        for task in self.study.tasks if "bm25" in self.study.anchors else ():
            facts = partial(_evaluation_facts, trials.bm25_name, task)
            self._add(_evaluate_id("bm25", task), facts, partial(lab.evaluate_bm25, task), embedded)

    def _evaluate_untuned(self, base: StudyBase, start: str, task: str) -> dict[str, Any]:
        return self._lab.evaluate_untuned(base, start, self._untuned_name(base, start), task)

    def _train(self, system: System, seed: int) -> dict[str, Any]:
        return self._lab.train(system, self._chosen(system), seed)

    def _evaluate(self, system: System, seed: int, task: str) -> dict[str, Any]:
        return self._lab.evaluate(system, seed, self._name(system, seed), task)

    def _chosen(self, system: System) -> Settings:
        settings = self.settings(system)
        assert settings is not None, "what a training needs is done"
        return settings

    def _name(self, system: System, seed: int) -> ModelName:
        training = self.trained(system, seed)
        assert training is not None, "what an evaluation needs is done"
        return self._lab.model_name(system, seed, training.result["revision"])

    def _untuned_name(self, base: StudyBase, start: str) -> ModelName:
        return self._lab.untuned_name(base, start, self._start_revision(base, start))

    def _start_revision(self, base: StudyBase, start: str) -> str | None:
        """Return what names the content of a start of a base; None for the identity."""
        if start == IDENTITY:
            return None
        made = self._entry(_start_id(self._lab, base, start))
        assert made is not None, "what needs a start waits for it"
        return str(made.result["revision"])

    # Facts

    def _embedding_facts(self, experiment: Experiment, base: StudyBase, task: str | None = None) -> dict[str, Any]:
        model = {"base": self._lab.base(base).revision, "max_length": base.max_length}
        if task is None:
            return {**model, **self._revisions(experiment)}
        return {**model, "task": task, "dataset_revision": _dataset_revision(task)}

    def _start_facts(self, start: Start, base: StudyBase) -> dict[str, Any]:
        revision = self._lab.sentences(start).revision
        return {"base": self._lab.base(base).revision, "revision": revision, **asdict(start)}

    def _selection_facts(self, system: System, settings: Settings) -> dict[str, Any]:
        return {
            **self._training_facts(system, system.base.seeds[0], settings),
            "interpolations": list(system.base.interpolations),
            "held_out": self.study.held_out,
            "held_out_questions": self.study.held_out_questions,
            "split_seed": self.study.split_seed,
        }

    def _training_facts(self, system: System, seed: int, settings: Settings | None = None) -> dict[str, Any]:
        recipe = system.recipe(settings or self._chosen(system), seed).facts()
        facts = {"base": self._lab.base(system.base).revision, **self._revisions(system.experiment), "recipe": recipe}
        revision = self._start_revision(system.base, system.start)
        return facts if revision is None else {**facts, "start_revision": revision}

    def _revisions(self, experiment: Experiment) -> dict[str, Any]:
        parts = self._lab.pairs(experiment)
        return {"data": {part.source: part.revision for part in parts}, "languages": list(parts[0].languages)}


def untuned(study: Study) -> list[tuple[StudyBase, str, str]]:
    """Return the bases to evaluate without training: each model once with each start, and the tasks."""
    bases: dict[tuple[str, str, str], StudyBase] = {}
    # Those whose embeddings are kept come first.
    for experiment, base in sorted(study.pairings(), key=lambda pairing: pairing[1].tune != "head"):
        for start, task in product(base.starts, experiment.tasks):
            bases.setdefault((base.model, start, task), base)
    return [(base, start, task) for (_, start, task), base in bases.items()]


def selecting(study: Study, experiment: Experiment, base: StudyBase) -> list[System]:
    """Return the systems that settings are chosen with, one for each way to make batches, from each start."""
    return list(dict.fromkeys(map(selection_system, study.systems(experiment, base))))


def _trainings(system: System) -> list[Settings]:
    """Return the settings of the trainings that try a system's; none where there is nothing to choose."""
    grid = system.base.grid
    return list(dict.fromkeys(settings.of_training for settings in grid)) if len(grid) > 1 else []


def _start_id(lab: Lab, base: StudyBase, start: str) -> str:
    return f"start/{lab.start_folder(start, base).name}"


def _select_id(system: System, settings: Settings) -> str:
    return f"select/{selection_system(system).key}_{settings.learning_rate:g}_{settings.temperature:g}"


def _train_id(system: System, seed: int) -> str:
    return f"train/{system.key}_seed-{seed}"


def _evaluate_id(model: str, task: str) -> str:
    return f"evaluate/{model}_{task}"


def _evaluation_facts(name_of: Callable[[], ModelName], task: str) -> dict[str, Any]:
    name = name_of()
    return {"model": name.name, "revision": name.revision, "task": task, "dataset_revision": _dataset_revision(task)}


@cache
def _dataset_revision(task: str) -> str:
    return trials.dataset_revision(task)
