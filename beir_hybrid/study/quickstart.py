"""The quickstart: a cure without training, and three ways to make training batches, compared on Atlas-R in minutes.

It is a study of one experiment without a choice of settings, on four of Atlas-R's eleven languages, in three scripts.
Nothing is downloaded: the encoder comes with the extra ``offline``, the data are generated. Each text is embedded once;
all else are products of small matrices.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import check_writable, shown
from beir_hybrid.finetune.recipe import IDENTITY
from beir_hybrid.folders import replaced_folder
from beir_hybrid.study.definition import Experiment, Study, StudyBase, System

if TYPE_CHECKING:
    from beir_hybrid.study.lab import Lab
    from beir_hybrid.study.trials import ModelName

LANGUAGES = ("ar", "de", "en", "zh")
"""All eleven would take nearly three times as long, and show the same."""

STUDY = Study(
    name="quickstart",
    bases=(
        StudyBase(
            name="multilingual-e5-small-q4",
            model="offline",
            tune="head",
            learning_rates=(1e-3,),
            temperatures=(0.05,),
            steps=300,
            seeds=(0,),
        ),
    ),
    experiments=(Experiment(name="atlas", train=("atlas",), tasks=("AtlasR",), languages=LANGUAGES),),
    anchors=("untuned",),
)
"""What is trained, and on what it is tested: the same languages."""

CURE = "projection"
"""How the language is taken out of the embeddings without training, as `beir-hybrid debias` does."""

MARKER = "quickstart.json"
"""File that tells our folders from others; in the end it holds the seconds of each step."""

LEADERBOARD = "leaderboard"
_MADE = (LEADERBOARD, "models", "ranks")


@dataclass(frozen=True)
class Outcome:
    """What a quickstart found: the leaderboard (see `build_board`), its page, and step -> seconds it took."""

    board: Mapping[str, Any]
    page: Path
    seconds: Mapping[str, float]


class Steps:
    """Says what is being done, unless ``quiet``, and remembers the ``seconds`` of each step."""

    def __init__(self, number: int, quiet: bool) -> None:
        self._number = number
        self._quiet = quiet
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, what: str) -> Iterator[None]:
        """Time a block; ``what`` says for the user what it does."""
        if not self._quiet:
            print(f"[{len(self.seconds) + 1}/{self._number}] {what}", file=sys.stderr, flush=True)
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 1)


def quickstart(out: Path, quiet: bool = False, study: Study = STUDY) -> Outcome:
    """Fit a projection, train a head with each way to make batches, compare them with the base on a leaderboard.

    Args:
        out: The folder to write to: new, empty, or that of an earlier quickstart, which is replaced in the end.
        quiet: Whether to show no progress.
        study: One base whose head is tuned, and one experiment with one task.

    Raises:
        BeirHybridError: The folder holds something else, the extra ``offline`` is not installed, or a file cannot be
            written.
    """
    check_folder(out)
    check_writable(out, hint="name another folder with --out")  # before minutes are spent
    steps = Steps(4, quiet)
    with replaced_folder(out) as folder, _threads_as_before():
        check_folder(out)
        board = _run(study, folder, steps, quiet)
        (folder / MARKER).write_text(json.dumps({"seconds": steps.seconds}, indent=2) + "\n", encoding="utf-8")
    return Outcome(board, out / LEADERBOARD / "leaderboard.html", steps.seconds)


def _run(study: Study, folder: Path, steps: Steps, quiet: bool) -> dict[str, Any]:
    """Do all steps, write everything into an empty folder, and return the board."""
    with steps.step("embedding", f"Loading the encoder, and embedding each text of Atlas-R in {_shown(study)} once"):
        from beir_hybrid.study.lab import Lab

        _set_threads(None)
        ((experiment, base),) = study.pairings()
        lab = Lab(study, folder, progress=not quiet, languages=experiment.languages)
        lab.embed_pairs(experiment, base)
        lab.embed_task(experiment.tasks[0], base)
    _set_threads(1)  # what follows are products of small matrices
    with steps.step("training", "Fitting a projection, and training a head with X-X, X-Y and hybrid batches"):
        cure = lab.untuned_name(base, CURE, lab.fit(CURE, experiment, base)["revision"])
        names = _train(lab, quiet)
    with steps.step("evaluation", f"Evaluating the base, with the projection and with each head, on {_task(study)}"):
        _evaluate(lab, cure, names, quiet)
    with steps.step("leaderboard", "Testing the differences and writing the leaderboard"):
        return _write_leaderboard(lab, cure, names, quiet)


def _task(study: Study) -> str:
    ((experiment, _),) = study.pairings()
    return experiment.tasks[0]


def _shown(study: Study) -> str:
    """Say which languages the texts are of."""
    ((experiment, _),) = study.pairings()
    return "all its languages" if experiment.languages is None else ", ".join(experiment.languages)


def check_folder(out: Path) -> None:
    """Refuse a file, and a folder that holds anything but an earlier quickstart."""
    if out.exists() and not out.is_dir():
        raise BeirHybridError(f"--out {shown(out)} is a file; name a folder")
    names = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    foreign = [name for name in names if name not in (MARKER, *_MADE)]
    if names and MARKER not in names:
        problem = "is not empty, and holds no earlier quickstart"
    elif foreign:
        problem = f"holds {shown(foreign[0])}, which is not part of a quickstart"
    else:
        return
    raise BeirHybridError(f"--out {shown(out)} {problem}; name another folder")


def _set_threads(number: int | None) -> None:
    """Let torch use some threads, by default no more than the cores that a container may use."""
    import torch
    from joblib import cpu_count  # type: ignore[import-untyped]

    torch.set_num_threads(number or min(torch.get_num_threads(), cpu_count()))


@contextmanager
def _threads_as_before() -> Iterator[None]:
    """Give the caller's process the number of threads back that torch used."""
    import torch

    number = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(number)


def _train(lab: Lab, quiet: bool) -> dict[System, ModelName]:
    """Train a head for each way to make batches, and return what its rank tables are filed under."""
    from tqdm.auto import tqdm

    ((experiment, base),) = lab.study.pairings()
    (settings,), (seed,) = base.grid, base.seeds
    names = {}
    for system in tqdm(lab.study.systems(experiment, base), desc="Training", unit="head", disable=quiet or None):
        trained = lab.train(system, settings, seed)
        names[system] = lab.model_name(system, seed, trained["revision"])
    return names


def _evaluate(lab: Lab, cure: ModelName, names: Mapping[System, ModelName], quiet: bool) -> None:
    """Evaluate the base, the cure and the heads; their rank tables go to the folder of the quickstart."""
    from tqdm.auto import tqdm

    ((experiment, base),) = lab.study.pairings()
    (task,), (seed,) = experiment.tasks, base.seeds
    with tqdm(total=len(names) + 2, desc="Evaluating", unit="model", disable=quiet or None) as bar:
        lab.evaluate_untuned(base, IDENTITY, lab.untuned_name(base), task)
        bar.update()
        lab.evaluate_fitted(CURE, base, cure, task)
        bar.update()
        for system, name in names.items():
            lab.evaluate(system, seed, name, task)
            bar.update()


def _write_leaderboard(lab: Lab, cure: ModelName, names: Mapping[System, ModelName], quiet: bool) -> dict[str, Any]:
    from beir_hybrid.leaderboard.inputs.settings import ModelEntry, Settings
    from beir_hybrid.leaderboard.publish import Inputs, make_board, write_files
    from beir_hybrid.leaderboard.render.output import fill

    ((experiment, base),) = lab.study.pairings()
    seen = frozenset().union(*(part.training_datasets for part in lab.pairs(experiment)))
    untuned = ModelEntry(
        key="base",
        label="untuned",
        models=(lab.untuned_name(base).name,),
        base=base.name,
        baseline="untuned",
        seen=frozenset(),
    )
    fitted = ModelEntry(key=CURE, label=CURE, models=(cure.name,), base=base.name, seen=seen)
    heads = []
    for system, name in names.items():
        hybrid = system.batches.batching == "hybrid"
        label = "hybrid" if hybrid else system.label
        heads.append(
            ModelEntry(
                key=label,
                label=label,
                models=(name.name,),
                base=base.name,
                batching=label,
                baseline=None if hybrid else label,
                seen=seen,
            )
        )
    settings = Settings(title="Quickstart: Atlas-R", ask_mteb=False, models=(untuned, fitted, *heads))
    board = make_board(Inputs(ranks=lab.out / "ranks"), settings, progress=not quiet)
    (lab.out / LEADERBOARD).mkdir()
    fill(lab.out / LEADERBOARD, lambda folder: write_files(board, folder))
    return board
