"""What a study trains and evaluates: the file study.toml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from beir_hybrid.corpora.registry import task_names
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import read_toml
from beir_hybrid.finetune.recipe import Recipe, Tune, make_recipe
from beir_hybrid.training.pairs import Batching

PRESETS = ("offline", "paper")
"""Studies that come with the package: the one of docs/study.md, and the same on the source paper's base models."""

ANCHORS = ("bm25", "untuned")
ALPHA = 0.5
"""Share of monolingual batches of the hybrid batches that claims are about, and that settings are chosen with."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LABELS: Mapping[Batching, str] = {"monolingual": "X-X", "cross-lingual": "X-Y", "hybrid": "hybrid"}


class StudyError(BeirHybridError):
    """A study is described wrongly, or cannot be run or reported."""


@dataclass(frozen=True)
class StudyBase:
    """A base model and how it is tuned.

    Attributes:
        name: What the study calls it.
        model: A folder, a hub id, or ``offline``.
        tune: ``head`` or ``full``.
        learning_rates: Those to choose from.
        temperatures: Those to choose from.
        steps: Length of a training; None if ``epochs`` is given.
        epochs: Length of a training; None if ``steps`` is given.
        batch_size: Pairs in a batch.
        seeds: Training seeds of every system; the first one is that of the selection.
        alphas: Shares of monolingual batches in hybrid batches.
        max_length: Tokens after which texts are cut; None for the model's own limit.
        precision: Number format of the training.
        mini_batch_size: Pairs embedded at once, with gradient caching; None for no gradient caching.
    """

    name: str
    model: str
    tune: Tune
    learning_rates: tuple[float, ...]
    temperatures: tuple[float, ...]
    steps: int | None = None
    epochs: float | None = None
    batch_size: int = 64
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    alphas: tuple[float, ...] = (0.1, 0.25, 0.5, 0.75, 0.9)
    max_length: int | None = None
    precision: str = "fp32"
    mini_batch_size: int | None = None

    @property
    def grid(self) -> list[Settings]:
        """The settings to choose from."""
        return [Settings(rate, temperature) for rate in self.learning_rates for temperature in self.temperatures]


@dataclass(frozen=True)
class Settings:
    """What is chosen on held-out training data.

    Attributes:
        learning_rate: Peak learning rate.
        temperature: What similarities are divided by in the loss.
    """

    learning_rate: float
    temperature: float


@dataclass(frozen=True)
class Experiment:
    """What is trained on and what is tested on.

    Attributes:
        name: What the study calls it.
        train: Sources of pairs.
        tasks: Names of MTEB tasks of ours, such as ``XQuADR``.
        languages: ISO 639-1 codes of the training pairs; None for all of the sources.
        bases: Names of the bases; all by default.
    """

    name: str
    train: tuple[str, ...]
    tasks: tuple[str, ...]
    languages: tuple[str, ...] | None = None
    bases: tuple[str, ...] | None = None


@dataclass(frozen=True)
class System:
    """A way to train: an experiment, a base, and how its batches are made. Its seeds are one system.

    Attributes:
        experiment: The experiment.
        base: The base.
        batching: Which pairs batches are made of.
        alpha: Share of monolingual batches, for hybrid batches; None for others.
    """

    experiment: Experiment
    base: StudyBase
    batching: Batching
    alpha: float | None = None

    @property
    def label(self) -> str:
        """``X-X``, ``X-Y`` or ``hybrid-0.5``."""
        return _LABELS[self.batching] + ("" if self.alpha is None else f"-{self.alpha:g}")

    @property
    def key(self) -> str:
        """Unique name in the study."""
        return f"{self.experiment.name}_{self.base.name}_{self.label}"

    def recipe(self, settings: Settings, seed: int) -> Recipe:
        """Return the recipe of a training.

        Args:
            settings: Learning rate and temperature.
            seed: Of all random choices.

        Raises:
            TrainingError: A setting is wrong.
        """
        return make_recipe(
            data=self.experiment.train,
            languages=self.experiment.languages,
            batching=self.batching,
            alpha=self.alpha,
            tune=self.base.tune,
            steps=self.base.steps,
            epochs=self.base.epochs,
            batch_size=self.base.batch_size,
            learning_rate=settings.learning_rate,
            temperature=settings.temperature,
            max_length=self.base.max_length,
            precision=self.base.precision,
            mini_batch_size=self.base.mini_batch_size,
            seed=seed,
        )


@dataclass(frozen=True)
class Study:
    """A whole study.

    Attributes:
        name: Its name.
        bases: The bases.
        experiments: The experiments.
        held_out: Share of the answers of the training data that settings are chosen on.
        split_seed: Seed of that split.
        anchors: What is evaluated without training: ``bm25``, and the ``untuned`` bases.
    """

    name: str
    bases: tuple[StudyBase, ...]
    experiments: tuple[Experiment, ...]
    held_out: float = 0.2
    split_seed: int = 0
    anchors: tuple[str, ...] = ANCHORS

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of all experiments."""
        return tuple(dict.fromkeys(task for experiment in self.experiments for task in experiment.tasks))

    def pairings(self) -> Iterator[tuple[Experiment, StudyBase]]:
        """Yield every experiment with every base that it is made with."""
        for experiment in self.experiments:
            for base in self.bases:
                if experiment.bases is None or base.name in experiment.bases:
                    yield experiment, base

    def systems(self, experiment: Experiment, base: StudyBase) -> list[System]:
        """Return the systems of an experiment: X-X, X-Y, and hybrid with each alpha."""
        plain: list[Batching] = ["monolingual", "cross-lingual"]
        return [
            *(System(experiment, base, batching) for batching in plain),
            *(System(experiment, base, "hybrid", alpha) for alpha in base.alphas),
        ]

    def only(self, names: Sequence[str]) -> Study:
        """Return the study with some of its experiments.

        Raises:
            StudyError: There is no such experiment.
        """
        unknown = set(names) - {experiment.name for experiment in self.experiments}
        if unknown:
            known = ", ".join(experiment.name for experiment in self.experiments)
            raise StudyError(f"--only {min(unknown)}: no such experiment; there is {known}")
        return replace(self, experiments=tuple(one for one in self.experiments if one.name in names))


def selection_system(system: System) -> System:
    """Return the system whose settings a system gets: its own, or for hybrid batches those of `ALPHA`."""
    return system if system.alpha is None else replace(system, alpha=ALPHA)


def preset_path(name: str) -> Path:
    """Return the file of a study that comes with the package.

    Raises:
        StudyError: There is none of that name.
    """
    if name not in PRESETS:
        raise StudyError(f"--preset {name}: choose from {', '.join(PRESETS)}")
    return Path(__file__).parent / "presets" / f"{name}.toml"


def read_study(path: Path) -> Study:
    """Read a study.toml.

    Raises:
        BeirHybridError: The file is missing or malformed; the message names the entry.
    """
    content = read_toml(path)
    try:
        unknown = content.keys() - {"study", "base", "experiment"}
        if unknown:
            raise StudyError(f"unknown table [{min(unknown)}]; known are [study], [[base]] and [[experiment]]")
        bases = _tables("base", content.get("base"), StudyBase)
        experiments = _tables("experiment", content.get("experiment"), Experiment)
        study = _make("[study]", Study, {**content.get("study", {}), "bases": bases, "experiments": experiments})
        _check(study)
    except BeirHybridError as error:
        raise StudyError(f"{path}: {error}") from error
    return study


def _tables(name: str, tables: Any, kind: type) -> tuple[Any, ...]:
    if not isinstance(tables, list) or not tables:
        raise StudyError(f"no [[{name}]]: write at least one")
    made = tuple(_make(f"[[{name}]] {number}", kind, table) for number, table in enumerate(tables, 1))
    names = [one.name for one in made]
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise StudyError(f"[[{name}]]: the name {twice!r} is there twice")
    return made


def _make(where: str, kind: type, table: Any) -> Any:
    """Make a dataclass of a table; lists become tuples."""
    if not isinstance(table, dict):
        raise StudyError(f"{where} is not a table of keys and values")
    types = {field.name: str(field.type) for field in fields(kind)}
    for key, value in table.items():
        if key not in types:
            raise StudyError(f"{where}: unknown key {key!r}; known are {', '.join(types)}")
        if not _fits(value, types[key]):
            raise StudyError(f"{where}: {key} is {value!r}, which does not fit; it is {_in_words(types[key])}")
    try:
        made = kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in table.items()})
    except TypeError as error:
        missing = str(error).rpartition(": ")[2]
        raise StudyError(f"{where} lacks {missing}") from error
    if not _NAME.fullmatch(made.name):
        raise StudyError(f"{where}: the name {made.name!r} may hold letters, digits, '-', '_' and '.' only")
    return made


_KINDS: Mapping[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "Tune": (str,)}
_WORDS = {"str": "a text", "int": "a whole number", "float": "a number", "Tune": "a text"}


def _fits(value: Any, annotation: str) -> bool:
    """Return whether a value of a TOML file fits a type of the dataclasses above."""
    item = re.match(r"tuple\[(\w+), \.\.\.\]", annotation)
    if item is None:
        kinds = _KINDS[annotation.split(" |")[0]]
        return isinstance(value, kinds) and not isinstance(value, bool)
    if isinstance(value, tuple):
        return True  # made from tables already
    return isinstance(value, list) and bool(value) and all(_fits(one, item[1]) for one in value)


def _in_words(annotation: str) -> str:
    item = re.match(r"tuple\[(\w+), \.\.\.\]", annotation)
    return f"a list, each {_WORDS.get(item[1], 'a table')}" if item else _WORDS[annotation.split(" |")[0]]


def _check(study: Study) -> None:
    """Refuse what could not be run, before hours are spent."""
    if not 0 < study.held_out < 1:
        raise StudyError(f"[study]: held_out is {study.held_out}; write a share between 0 and 1")
    wrong = [anchor for anchor in study.anchors if anchor not in ANCHORS]
    if wrong:
        raise StudyError(f"[study]: unknown anchor {wrong[0]!r}; known are {', '.join(ANCHORS)}")
    known = {base.name for base in study.bases}
    for experiment in study.experiments:
        for task in experiment.tasks:
            corpora = {name: corpus for corpus, name in task_names().items()}
            if task not in corpora:
                raise StudyError(f"experiment {experiment.name}: unknown task {task!r}; known are {', '.join(corpora)}")
            if corpora[task] in experiment.train:
                raise StudyError(f"experiment {experiment.name}: {task} tests on {corpora[task]}, which it trains on")
        for name in experiment.bases or ():
            if name not in known:
                raise StudyError(f"experiment {experiment.name}: there is no [[base]] {name!r}")
    for experiment, base in study.pairings():
        for system in study.systems(experiment, base):
            for settings in base.grid:
                for seed in base.seeds:
                    system.recipe(settings, seed)
