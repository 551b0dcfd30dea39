"""What a worker of a Ray cluster does: it holds the model, reads the data itself, and counts the chunks it is given."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from beir_hybrid.errors import BeirHybridError, ModelError
from beir_hybrid.files import atomic_path, user_path
from beir_hybrid.scoring.pass_folder import PLAN, PassFolder

if TYPE_CHECKING:
    from mteb.models import ModelMeta, MTEBModels
    from mteb.types import EncodeKwargs
    from numpy.typing import NDArray

    from beir_hybrid.mteb.evaluation import Evaluation
    from beir_hybrid.scoring.chunked import ChunkedRun

COUNTS = "counts-"
"""Beginning of the names of files that partial counts are in."""

Files = dict[str, "NDArray[np.uint8]"]
"""Files of a run's folder by name: the embeddings of questions and right answers, and the latter's scores."""


@dataclass(frozen=True)
class Job:
    """What is evaluated, as a worker on another machine can make it again.

    Attributes:
        source: What the task is made from, as ``cluster.rebuilt.task_of`` takes it.
        split: Split, e.g. ``test``.
        encode_kwargs: Batch size and the like, passed to the encoder.
        chunk_size: Passages encoded at once; None for the usual number.
        keep_top: Passages of each query to keep in every pool; None for none.
    """

    source: Mapping[str, Any]
    split: str
    encode_kwargs: Mapping[str, Any]
    chunk_size: int | None
    keep_top: int | None


class Worker:
    """Counts chunks of a pass, and keeps the counts until they are asked for. Ray makes a named actor of it.

    Args:
        model: Name or folder of the model, as ``mteb run -m`` takes it.
        revision: Its revision; None for the latest.
    """

    def __init__(self, model: str, revision: str | None) -> None:
        self._name, self._revision = model, revision
        self._job: Job | None = None
        self._begun: ChunkedRun | None = None

    def load(self) -> ModelMeta:
        """Load the model and return what MTEB knows of it.

        Raises:
            ModelError: It cannot be loaded, or does not embed.
        """
        from beir_hybrid.mteb.evaluation import is_counted

        meta = self._model.mteb_model_meta
        if not is_counted(self._model, reranks=False):
            raise ModelError(f"{meta.name} searches and does not embed: evaluate it without --engine ray")
        return meta

    def fingerprint(self, job: Job) -> str | None:
        """Return the fingerprint of the model, if it has one."""
        return self._evaluation(job).call.state().fingerprint

    def is_current(self, job: Job, key: str, files: Files) -> bool:
        """Whether the files of a run were made by the model as it is now."""
        evaluation = self._evaluation(job)
        return self._run(evaluation, key, files).is_current(evaluation.call.sampler(evaluation.corpus_of))

    def prepare(self, job: Job, key: str, files: Files) -> Files:
        """Encode the questions and the right answers, as far as that is not done, and return the files of the plan."""
        run = self._run(self._evaluation(job), key, files)
        run.prepare()
        return read_files(run.folder)

    def begin(self, job: Job, key: str, files: Files) -> None:
        """Get ready to count.

        Args:
            job: What is evaluated.
            key: What the driver thinks all counts depend on.
            files: The files of the run.

        Raises:
            BeirHybridError: Here, the counts depend on something else.
        """
        self._begun = self._run(self._evaluation(job), key, files)
        self._counts = self._begun.empty()

    def count(self, chunk: str) -> None:
        """Encode and count a chunk."""
        assert self._begun is not None
        self._begun.add(self._counts, self._begun.plan.chunks[chunk])

    def hand_over(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Return the counts of all chunks since the last time, as arrays and facts, and forget them."""
        assert self._begun is not None
        counts, self._counts = self._counts, self._begun.empty()
        return counts.arrays()

    @cached_property
    def _model(self) -> MTEBModels:
        from beir_hybrid.interface.any_model import mteb_model

        return mteb_model(self._name, revision=self._revision)

    def _evaluation(self, job: Job) -> Evaluation:
        """Make the evaluation of a job, reading the data, unless it is that of the last call."""
        if self._job != job:
            from beir_hybrid.cluster.rebuilt import task_of

            self._begun, self._job = None, None
            task = task_of(job.source)
            task.keep_top = job.keep_top
            evaluation = task.evaluation(self._model, job.split, cast("EncodeKwargs", dict(job.encode_kwargs)))
            self._made = replace(evaluation, chunk_size=job.chunk_size)
            self._job = job
        return self._made

    def _run(self, evaluation: Evaluation, key: str, files: Files) -> ChunkedRun:
        """Return the pass, whose files go into a folder of this worker's own."""
        own = PassFolder.of(evaluation.run_key(evaluation.call.state().fingerprint)).key
        if own != key:
            here, there = json.loads(own), json.loads(key)
            [*names] = (name for name in there if here.get(name) != there[name])
            raise BeirHybridError(
                f"{evaluation.call.metadata.name} is another evaluation on the node {platform.node()}, by its "
                f"{' and '.join(names)}: give all nodes of the cluster the same data, models and versions"
            )
        self._folder = tempfile.TemporaryDirectory(prefix="beir-hybrid-")
        folder = PassFolder(Path(self._folder.name), key)
        write_files(folder, files)
        return evaluation.chunked_in(folder, evaluation.plan)


def folder_of_model(model: str) -> str:
    """Return what a worker elsewhere, with another current folder, is to load."""
    folder = user_path(model)
    return str(folder.resolve()) if folder.is_dir() else model


def read_files(folder: PassFolder) -> Files:
    """Return the files that a run's plan consists of, those that are there."""
    paths = sorted(path for path in folder.folder.glob("*.safetensors") if not path.name.startswith(COUNTS))
    return {path.name: np.fromfile(path, np.uint8) for path in paths}


def write_files(folder: PassFolder, files: Files) -> None:
    """Write what ``read_files`` returned into another folder, the scores last: with them the plan is whole."""
    for name in sorted(files, key=lambda name: name.startswith(PLAN)):
        with atomic_path(folder.folder / name) as temporary:
            files[name].tofile(temporary)
