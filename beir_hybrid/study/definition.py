"""What a study trains and evaluates: the file study.toml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field

from beir_hybrid.corpora.registry import task_names
from beir_hybrid.debias.dense import check_method
from beir_hybrid.debias.sentences import DEFAULT_DATA, SENTENCES
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import read_toml
from beir_hybrid.finetune.recipe import IDENTITY, Precision, Recipe, Tune, make_recipe
from beir_hybrid.schemas import Known, checked
from beir_hybrid.study.batches import Batches, StudyError, batches_of
from beir_hybrid.training.negatives import Negatives

PRESETS = ("offline", "paper")
"""Studies that come with the package: the one of docs/study.md, and the same on the source paper's base models."""

Anchor = Literal["bm25", "untuned"]
"""What is evaluated without training: a lexical baseline; the bases as they are, and with each start."""


def _is_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError("may hold letters, digits, '-', '_' and '.' only")
    return name


Name = Annotated[str, AfterValidator(_is_name)]
T = TypeVar("T")
Some = Annotated[tuple[T, ...], Field(min_length=1)]
_KNOWN = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class Start:
    """A map behind a base that trainings start from: what `beir-hybrid debias` makes.

    Attributes:
        name: What the study calls it.
        method: ``projection`` or ``leace``.
        data: Where its sentences come from; see `beir_hybrid.debias.sentences.read_sentences`.
        languages: Their languages; None for all.
        sentences: Sentences of a language that it is fitted on, at most.
    """

    __pydantic_config__ = _KNOWN

    name: Name
    method: str = "projection"
    data: str = DEFAULT_DATA
    languages: Some[str] | None = None
    sentences: int = SENTENCES


@dataclass(frozen=True)
class StudyBase:
    """A base model and how it is tuned.

    Attributes:
        name: What the study calls it.
        model: A folder, a hub id, or ``offline``.
        learning_rates: Those to choose from.
        temperatures: Those to choose from.
        interpolations: Those to choose from; for heads.
        seeds: Training seeds of every system; the first one is that of the selection.
        starts: ``identity`` for the base as it is, and names of `Start`.
        freeze_start: Whether a map that full tuning starts from stays as it is.
        mine: Hard negatives of a question, in systems with mined ones.
        negatives: Their language.

    The others are settings of `beir_hybrid.finetune.recipe.Recipe`: whatever stands here goes there.
    """

    __pydantic_config__ = _KNOWN

    name: Name
    model: str
    tune: Tune
    learning_rates: Some[float]
    temperatures: Some[float]
    interpolations: Some[float] = (1.0,)
    steps: int | None = None
    epochs: float | None = None
    batch_size: int = 64
    seeds: Some[int] = (0, 1, 2, 3, 4)
    starts: Some[Name] = (IDENTITY,)
    freeze_start: bool = False
    mine: int = 1
    negatives: Negatives = "answer"
    tau: float = 1.0
    weight_decay: float = 0.0
    max_length: int | None = None
    precision: Precision = "fp32"
    mini_batch_size: int | None = None

    @property
    def grid(self) -> list[Settings]:
        """The settings to choose from, those of one training side by side."""
        return [Settings(*one) for one in product(self.learning_rates, self.temperatures, self.interpolations)]


@dataclass(frozen=True)
class Settings:
    """What is chosen on held-out training data.

    Attributes:
        learning_rate: The peak learning rate.
        temperature: The temperature of the loss.
        interpolation: Share of the way from the start to the trained head, which is no setting of the training.
    """

    learning_rate: float
    temperature: float
    interpolation: float = 1.0

    @property
    def of_training(self) -> Settings:
        """The settings of the training that these follow from."""
        return replace(self, interpolation=1.0)


@dataclass(frozen=True)
class Experiment:
    """What is trained on and what is tested on.

    Attributes:
        name: What the study calls it.
        train: Sources of pairs.
        tasks: Names of MTEB tasks of ours, such as ``XQuADR``.
        systems: Labels of the ways to make batches; see `beir_hybrid.study.batches`.
        languages: ISO 639-1 codes of the training pairs; None for all of the sources.
        bases: Names of the bases; all by default.
    """

    __pydantic_config__ = _KNOWN

    name: Name
    train: Some[str]
    tasks: Some[str]
    systems: Some[str] = ("X-X", "X-Y", "hybrid-0.5")
    languages: Some[str] | None = None
    bases: Some[str] | None = None


@dataclass(frozen=True)
class System:
    """A way to train: an experiment, a base, where training starts, and how batches are made. Its seeds are one system.

    Attributes:
        experiment: The experiment.
        base: The base.
        start: ``identity``, or the name of a `Start`.
        batches: How its batches are made.
    """

    experiment: Experiment
    base: StudyBase
    start: str
    batches: Batches

    @property
    def label(self) -> str:
        """How its batches are made, e.g. ``hybrid-0.5``."""
        return self.batches.label

    @property
    def key(self) -> str:
        """Unique name in the study."""
        return f"{self.experiment.name}_{self.base.name}_{self.start}_{self.label}"

    def recipe(self, settings: Settings, seed: int, start: str | None = None) -> Recipe:
        """Return the recipe of a training with some settings and a seed; ``start`` is the folder of the start."""
        base, batches = self.base, self.batches
        names = ("tune", "steps", "epochs", "batch_size", "tau", "weight_decay", "max_length", "precision")
        return make_recipe(
            data=self.experiment.train,
            languages=self.experiment.languages,
            batching=batches.batching,
            alpha=batches.alpha,
            pairing=batches.pairing,
            mine=base.mine if batches.mined else None,
            negatives=base.negatives if batches.mined else "none",
            start=start or self.start,
            freeze_start=base.freeze_start and self.start != IDENTITY,
            seed=seed,
            mini_batch_size=base.mini_batch_size,
            **asdict(settings),
            **{name: getattr(base, name) for name in names},
        )


@dataclass(frozen=True)
class Study:
    """A whole study.

    Attributes:
        name: Its name.
        bases: The bases.
        experiments: The experiments.
        starts: The maps that trainings start from, beside the identity.
        held_out: Share of the answers of the training data that settings are chosen on.
        held_out_questions: Questions of each source that settings are chosen on, at most; None for all.
        split_seed: Seed of that split.
        anchors: What is evaluated without training.
    """

    __pydantic_config__ = _KNOWN

    name: Name
    bases: Some[StudyBase]
    experiments: Some[Experiment]
    starts: tuple[Start, ...] = ()
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2
    held_out_questions: Annotated[int, Field(gt=0)] | None = None
    split_seed: int = 0
    anchors: tuple[Anchor, ...] = ("bm25", "untuned")

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of all experiments."""
        return tuple(dict.fromkeys(task for experiment in self.experiments for task in experiment.tasks))

    def start(self, name: str) -> Start | None:
        """Return the start of a name; None for the identity."""
        return next((start for start in self.starts if start.name == name), None)

    def pairings(self) -> Iterator[tuple[Experiment, StudyBase]]:
        """Yield every experiment with every base that it is made with."""
        for experiment in self.experiments:
            for base in self.bases:
                if experiment.bases is None or base.name in experiment.bases:
                    yield experiment, base

    def systems(self, experiment: Experiment, base: StudyBase) -> list[System]:
        """Return the systems of an experiment: its ways to make batches, each from every start of the base."""
        ways = [batches_of(label) for label in experiment.systems]
        return [System(experiment, base, start, batches) for batches in ways for start in base.starts]

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
    return replace(system, batches=system.batches.of_selection)


def preset_path(name: str) -> Path:
    """Return the file of a study that comes with the package."""
    if name not in PRESETS:
        raise StudyError(f"--preset {name}: choose from {', '.join(PRESETS)}")
    return Path(__file__).parent / "presets" / f"{name}.toml"


class _File(Known):
    """The tables of a study.toml."""

    study: dict[str, Any]
    start: list[dict[str, Any]] = Field(default=[])
    base: list[dict[str, Any]] = Field(min_length=1)
    experiment: list[dict[str, Any]] = Field(min_length=1)


def read_study(path: Path) -> Study:
    """Read a study.toml.

    Raises:
        BeirHybridError: The file is missing or malformed; the message names the entry.
    """
    file = checked(_File, read_toml(path), str(path), StudyError)
    tables = {"start": (Start, file.start), "base": (StudyBase, file.base), "experiment": (Experiment, file.experiment)}
    for kind, (of_kind, entries) in tables.items():
        where = f"{path}: [[{kind}]]"
        names: list[str] = [
            checked(of_kind, entry, f"{where} {n}", StudyError).name for n, entry in enumerate(entries, 1)
        ]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise StudyError(f"{where}: the name {twice!r} is there twice")
    content = {**file.study, **{f"{kind}s": entries for kind, (_, entries) in tables.items()}}
    study = checked(Study, content, f"{path}: [study]", StudyError)
    try:
        _check(study)
    except BeirHybridError as error:
        raise StudyError(f"{path}: {error}") from error
    return study


def _check(study: Study) -> None:
    """Refuse what could not be run, before hours are spent."""
    _check_starts(study)
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


def _check_starts(study: Study) -> None:
    known = {start.name for start in study.starts}
    if IDENTITY in known:
        raise StudyError(f"[[start]] {IDENTITY}: this is the start without a map; choose another name")
    for start in study.starts:
        check_method(start.method)
    for base in study.bases:
        for name in base.starts:
            if name != IDENTITY and name not in known:
                raise StudyError(f"base {base.name}: there is no [[start]] {name!r}")
