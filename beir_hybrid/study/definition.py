"""What a study trains and evaluates: the file study.toml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field

from beir_hybrid.corpora.registry import task_names
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import read_toml
from beir_hybrid.finetune.recipe import Precision, Recipe, Tune, make_recipe
from beir_hybrid.schemas import Known, checked
from beir_hybrid.training.batching import Batching

PRESETS = ("offline", "paper")
"""Studies that come with the package: the one of docs/study.md, and the same on the source paper's base models."""

Anchor = Literal["bm25", "untuned"]
"""What is evaluated without training: a lexical baseline, and the bases as they are."""

ALPHA = 0.5
"""Share of monolingual batches of the hybrid batches that claims are about, and that settings are chosen with."""

_LABELS: Mapping[Batching, str] = {"monolingual": "X-X", "cross-lingual": "X-Y", "hybrid": "hybrid"}


class StudyError(BeirHybridError):
    """A study is described wrongly, or cannot be run or reported."""


def _is_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError("may hold letters, digits, '-', '_' and '.' only")
    return name


Name = Annotated[str, AfterValidator(_is_name)]
T = TypeVar("T")
Some = Annotated[tuple[T, ...], Field(min_length=1)]
_KNOWN = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class StudyBase:
    """A base model and how it is tuned.

    Attributes:
        name: What the study calls it.
        model: A folder, a hub id, or ``offline``.
        learning_rates: Those to choose from.
        temperatures: Those to choose from.
        seeds: Training seeds of every system; the first one is that of the selection.
        alphas: Shares of monolingual batches in hybrid batches.

    The others are settings of `beir_hybrid.finetune.recipe.Recipe`: whatever stands here goes there.
    """

    __pydantic_config__ = _KNOWN

    name: Name
    model: str
    tune: Tune
    learning_rates: Some[float]
    temperatures: Some[float]
    steps: int | None = None
    epochs: float | None = None
    batch_size: int = 64
    seeds: Some[int] = (0, 1, 2, 3, 4)
    alphas: Some[float] = (0.1, 0.25, 0.5, 0.75, 0.9)
    max_length: int | None = None
    precision: Precision = "fp32"
    mini_batch_size: int | None = None

    @property
    def grid(self) -> list[Settings]:
        """The settings to choose from."""
        return [Settings(rate, temperature) for rate in self.learning_rates for temperature in self.temperatures]


@dataclass(frozen=True)
class Settings:
    """What is chosen on held-out training data: the peak learning rate, and the temperature of the loss."""

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

    __pydantic_config__ = _KNOWN

    name: Name
    train: Some[str]
    tasks: Some[str]
    languages: Some[str] | None = None
    bases: Some[str] | None = None


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
        """Return the recipe of a training with some settings and a seed."""
        shared = {setting.name for setting in fields(Recipe)} & {setting.name for setting in fields(StudyBase)}
        return make_recipe(
            data=self.experiment.train,
            languages=self.experiment.languages,
            batching=self.batching,
            alpha=self.alpha,
            seed=seed,
            **asdict(settings),
            **{name: getattr(self.base, name) for name in shared},
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
        anchors: What is evaluated without training.
    """

    __pydantic_config__ = _KNOWN

    name: Name
    bases: Some[StudyBase]
    experiments: Some[Experiment]
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2
    split_seed: int = 0
    anchors: tuple[Anchor, ...] = ("bm25", "untuned")

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
        plain = [System(experiment, base, "monolingual"), System(experiment, base, "cross-lingual")]
        return [*plain, *(System(experiment, base, "hybrid", alpha) for alpha in base.alphas)]

    def only(self, names: Sequence[str]) -> Study:
        """Return the study with some of its experiments; an error where there is none of a name."""
        unknown = set(names) - {experiment.name for experiment in self.experiments}
        if unknown:
            known = ", ".join(experiment.name for experiment in self.experiments)
            raise StudyError(f"--only {min(unknown)}: no such experiment; there is {known}")
        return replace(
            self, experiments=tuple(experiment for experiment in self.experiments if experiment.name in names)
        )


def selection_system(system: System) -> System:
    """Return the system whose settings a system gets: its own, or for hybrid batches those of `ALPHA`."""
    return system if system.alpha is None else replace(system, alpha=ALPHA)


def preset_path(name: str) -> Path:
    """Return the file of a study that comes with the package."""
    if name not in PRESETS:
        raise StudyError(f"--preset {name}: choose from {', '.join(PRESETS)}")
    return Path(__file__).parent / "presets" / f"{name}.toml"


class _File(Known):
    """The tables of a study.toml."""

    study: dict[str, Any]
    base: list[dict[str, Any]] = Field(min_length=1)
    experiment: list[dict[str, Any]] = Field(min_length=1)


def read_study(path: Path) -> Study:
    """Read a study.toml.

    Raises:
        BeirHybridError: The file is missing or malformed; the message names the entry.
    """
    file = checked(_File, read_toml(path), str(path), StudyError)
    where = f"{path}: [["
    bases = [checked(StudyBase, table, f"{where}base]] {n}", StudyError) for n, table in enumerate(file.base, 1)]
    experiments = [
        checked(Experiment, table, f"{where}experiment]] {n}", StudyError) for n, table in enumerate(file.experiment, 1)
    ]
    for kind, names in (("base", [b.name for b in bases]), ("experiment", [e.name for e in experiments])):
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise StudyError(f"{where}{kind}]]: the name {twice!r} is there twice")
    content = {**file.study, "bases": file.base, "experiments": file.experiment}
    study = checked(Study, content, f"{path}: [study]", StudyError)
    try:
        _check(study)
    except BeirHybridError as error:
        raise StudyError(f"{path}: {error}") from error
    return study


def _check(study: Study) -> None:
    """Refuse what could not be run, before hours are spent."""
    known = {base.name for base in study.bases}
    corpora = {name: corpus for corpus, name in task_names().items()}
    for experiment in study.experiments:
        for task in experiment.tasks:
            if task not in corpora:
                raise StudyError(f"experiment {experiment.name}: unknown task {task!r}; known are {', '.join(corpora)}")
            if corpora[task] in experiment.train:
                raise StudyError(f"experiment {experiment.name}: {task} tests on {corpora[task]}, which it trains on")
        for name in experiment.bases or ():
            if name not in known:
                raise StudyError(f"experiment {experiment.name}: there is no [[base]] {name!r}")
    for experiment, base in study.pairings():
        for system, settings, seed in product(study.systems(experiment, base), base.grid, base.seeds):
            system.recipe(settings, seed)
