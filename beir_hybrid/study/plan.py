"""The items of a study, in the order of what follows from what: embed, select, train, evaluate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from beir_hybrid.study import evaluation
from beir_hybrid.study.definition import Experiment, Settings, Study, StudyBase, System, selection_system
from beir_hybrid.study.evaluation import ModelName
from beir_hybrid.study.lab import Lab
from beir_hybrid.study.ledger import Entry, Ledger


@dataclass(frozen=True)
class Item:
    """A piece of work.

    Attributes:
        id: ``<kind>/<name>``.
        facts: All that its result follows from.
        run: Does it and returns the result.
    """

    id: str
    facts: Mapping[str, Any]
    run: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Evaluated:
    """A model whose evaluation is done.

    Attributes:
        name: What its rank table is filed under.
        task: The task.
        entry: The item.
    """

    name: ModelName
    task: str
    entry: Entry


class Plan:
    """Says which items of a study are open, and finds the results of those that are done.

    Args:
        study: The study.
        lab: Does the items.
        ledger: Knows which are done.
    """

    def __init__(self, study: Study, lab: Lab, ledger: Ledger) -> None:
        self.study = study
        self._lab = lab
        self._ledger = ledger

    def open_items(self) -> list[Item]:
        """Return the items that are not done and wait for nothing but, perhaps, another process.

        It is empty when the study is done.
        """
        return list(self._open())

    def size(self) -> int:
        """Return the number of items of the study."""
        return sum(1 for _ in self._names())

    def done(self) -> int:
        """Return the number of items that are done."""
        return len(self.entries())

    # Results

    def settings(self, system: System) -> Settings | None:
        """Return the settings of a system: the best on held-out data, the first of equal ones; None if not known."""
        if len(system.base.grid) == 1:
            return system.base.grid[0]
        scores = {settings: entry.result["map"] for settings, entry in self.selection(system)}
        if len(scores) < len(system.base.grid):
            return None
        return max(scores, key=lambda settings: scores[settings])

    def selection(self, system: System) -> list[tuple[Settings, Entry]]:
        """Return the settings that were tried for a system, with the items that tried them."""
        items = self._selection_items(system)
        found = [(settings, self._ledger.find(item.id, item.facts)) for settings, item in items]
        return [(settings, entry) for settings, entry in found if entry is not None]

    def trained(self, system: System, seed: int) -> Entry | None:
        """Return the item that trained a model; None if it is not done."""
        item = self._train_item(system, seed)
        return None if item is None else self._ledger.find(item.id, item.facts)

    def evaluated(self, system: System, seed: int, task: str) -> Evaluated | None:
        """Return the evaluation of a trained model; None if it is not done."""
        item = self._evaluate_item(system, seed, task)
        return None if item is None else self._found(item, self._name(system, seed), task)

    def evaluated_untuned(self, base: StudyBase, task: str) -> Evaluated | None:
        """Return the evaluation of a base as it is; None if it is not done."""
        return self._found(self._untuned_item(base, task), self._lab.untuned_name(base), task)

    def evaluated_bm25(self, task: str) -> Evaluated | None:
        """Return the evaluation of MTEB's lexical baseline; None if it is not done."""
        return self._found(self._bm25_item(task), evaluation.bm25_name(), task)

    def rank_table(self, evaluated: Evaluated) -> Path:
        """Return the rank table of an evaluation."""
        return evaluated.name.rank_table(evaluated.task, self._lab.out)

    def entries(self) -> list[Entry]:
        """Return all items that are done."""
        found = (self._ledger.find(item.id, item.facts) for item in self._reachable())
        return [entry for entry in found if entry is not None]

    def _found(self, item: Item, name: ModelName | None, task: str) -> Evaluated | None:
        entry = self._ledger.find(item.id, item.facts)
        return None if entry is None or name is None else Evaluated(name, task, entry)

    # Items in order

    def _open(self) -> Iterator[Item]:
        for item in self._reachable():
            if self._ledger.find(item.id, item.facts) is None:
                yield item

    def _reachable(self) -> Iterator[Item]:
        """Yield the items whose facts are known: those that they follow from are done."""
        all_embedded = True
        for experiment, base in self.study.pairings():
            embeddings = list(self._embed_items(experiment, base))
            yield from embeddings
            embedded = all(self._ledger.find(item.id, item.facts) for item in embeddings)
            if embedded:
                yield from self._of_pairing(experiment, base)
            all_embedded &= embedded
        if all_embedded:
            yield from self._anchor_items()

    def _of_pairing(self, experiment: Experiment, base: StudyBase) -> Iterator[Item]:
        for system in selecting(self.study, experiment, base):
            yield from (item for _, item in self._selection_items(system))
        for system in self.study.systems(experiment, base):
            for seed in base.seeds:
                training = self._train_item(system, seed)
                if training is None:
                    continue
                yield training
                evaluations = (self._evaluate_item(system, seed, task) for task in experiment.tasks)
                yield from (item for item in evaluations if item is not None)

    def _names(self) -> Iterator[None]:
        """Yield once for every item, those whose facts are not known yet too."""
        for experiment, base in self.study.pairings():
            yield from (None for _ in self._embed_items(experiment, base))
            if len(base.grid) > 1:
                yield from (None for _ in selecting(self.study, experiment, base) for _ in base.grid)
            for _ in self.study.systems(experiment, base):
                for _ in base.seeds:
                    yield None
                    yield from (None for _ in experiment.tasks)
        yield from (None for _ in self._anchor_items())

    def _embed_items(self, experiment: Experiment, base: StudyBase) -> Iterator[Item]:
        if base.tune != "head":
            return
        model = {"base": self._lab.base(base).revision, "max_length": base.max_length}
        data = self._revisions(experiment)
        run = partial(self._lab.embed_pairs, experiment, base)
        yield Item(f"embed/{experiment.name}_{base.name}", {**model, **data}, run)
        for task in experiment.tasks:
            facts = {**model, "task": task, "dataset_revision": _dataset_revision(task)}
            yield Item(f"embed/{experiment.name}_{base.name}_{task}", facts, partial(self._lab.embed_task, task, base))

    def _selection_items(self, system: System) -> list[tuple[Settings, Item]]:
        chosen_for = selection_system(system)
        base = chosen_for.base
        if len(base.grid) == 1:
            return []
        items = []
        for settings in base.grid:
            facts = {
                **self._training_facts(chosen_for, settings, base.seeds[0]),
                "held_out": self.study.held_out,
                "split_seed": self.study.split_seed,
            }
            name = f"select/{chosen_for.key}_{settings.learning_rate:g}_{settings.temperature:g}"
            items.append((settings, Item(name, facts, partial(self._lab.select, chosen_for, settings))))
        return items

    def _train_item(self, system: System, seed: int) -> Item | None:
        settings = self.settings(system)
        if settings is None:
            return None
        facts = self._training_facts(system, settings, seed)
        run = partial(self._lab.train, system, system.recipe(settings, seed))
        return Item(f"train/{system.key}_seed-{seed}", facts, run)

    def _evaluate_item(self, system: System, seed: int, task: str) -> Item | None:
        name = self._name(system, seed)
        if name is None:
            return None
        run = partial(self._lab.evaluate, system, seed, name, task)
        return Item(f"evaluate/{system.key}_seed-{seed}_{task}", _evaluation_facts(name, task), run)

    def _name(self, system: System, seed: int) -> ModelName | None:
        training = self.trained(system, seed)
        return None if training is None else self._lab.model_name(system, seed, training.result["revision"])

    def _anchor_items(self) -> Iterator[Item]:
        if "untuned" in self.study.anchors:
            for base, task in untuned(self.study):
                yield self._untuned_item(base, task)
        if "bm25" in self.study.anchors:
            yield from map(self._bm25_item, self.study.tasks)

    def _untuned_item(self, base: StudyBase, task: str) -> Item:
        name = self._lab.untuned_name(base)
        run = partial(self._lab.evaluate_untuned, base, name, task)
        return Item(f"evaluate/{name.name.rpartition('/')[2]}_{task}", _evaluation_facts(name, task), run)

    def _bm25_item(self, task: str) -> Item:
        run = partial(self._lab.evaluate_bm25, task)
        return Item(f"evaluate/bm25_{task}", _evaluation_facts(evaluation.bm25_name(), task), run)

    def _training_facts(self, system: System, settings: Settings, seed: int) -> dict[str, Any]:
        recipe = system.recipe(settings, seed).facts()
        return {"base": self._lab.base(system.base).revision, **self._revisions(system.experiment), "recipe": recipe}

    def _revisions(self, experiment: Experiment) -> dict[str, Any]:
        parts = self._lab.pairs(experiment)
        return {"data": {part.source: part.revision for part in parts}, "languages": list(parts[0].languages)}


def untuned(study: Study) -> list[tuple[StudyBase, str]]:
    """Return the bases to evaluate as they are, each model once, with the tasks of their experiments."""
    found: dict[tuple[str, str], tuple[StudyBase, str]] = {}
    # Those whose embeddings are kept come first.
    for experiment, base in sorted(study.pairings(), key=lambda pairing: pairing[1].tune != "head"):
        for task in experiment.tasks:
            found.setdefault((base.model, task), (base, task))
    return list(found.values())


def selecting(study: Study, experiment: Experiment, base: StudyBase) -> list[System]:
    """Return the systems that settings are chosen with, one for each way to make batches."""
    systems = (selection_system(system) for system in study.systems(experiment, base))
    return list(dict.fromkeys(systems))


def _evaluation_facts(name: ModelName, task: str) -> dict[str, Any]:
    return {"model": name.name, "revision": name.revision, "task": task, "dataset_revision": _dataset_revision(task)}


@cache
def _dataset_revision(task: str) -> str:
    return evaluation.dataset_revision(task)
