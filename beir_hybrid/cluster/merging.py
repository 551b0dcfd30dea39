"""Shards merged: the counts that several processes have left in the folder of a run become its scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from safetensors import SafetensorError

from beir_hybrid.cluster.rebuilt import task_of
from beir_hybrid.errors import BeirHybridError, ModelError, first_line, one_line
from beir_hybrid.files import files_below, read_json, shown
from beir_hybrid.schemas import Open, checked
from beir_hybrid.scoring.pass_folder import RUN_FILE, RUNS, PassFolder, read_arrays, read_header, shards_in
from beir_hybrid.scoring.shards import Shard

if TYPE_CHECKING:
    from mteb.models import ModelMeta

    from beir_hybrid.interface.result import Result
    from beir_hybrid.mteb.evaluation import Evaluation
    from beir_hybrid.mteb.passes import CountedRun
    from beir_hybrid.scoring.chunk_plan import ChunkPlan
    from beir_hybrid.scoring.partial_counts import PartialCounts

_MOST_NAMED = 10
"""Shards that a message names."""


class _RunFile(Open):
    """What ``run.json`` says: what the counts depend on, what the task is made of, what MTEB knows of the model."""

    key: dict[str, Any]
    made_of: dict[str, Any]
    model: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """The file of the counts of one shard.

    Attributes:
        path: The file.
        shard: Whose counts they are.
        chunks: Names of the chunks that were counted.
    """

    path: Path
    shard: Shard
    chunks: frozenset[str]


@dataclass(frozen=True)
class SharedRun:
    """The folder of a run that several processes count.

    Attributes:
        folder: The folder.
        made_of: What the task is made of.
        model: What MTEB knows of the model, as JSON.
        depends_on: All that the counts depend on, by name.
    """

    folder: Path
    made_of: Mapping[str, Any]
    model: Mapping[str, Any]
    depends_on: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> SharedRun:
        """Read the ``run.json`` of a run.

        Raises:
            BeirHybridError: It is malformed.
        """
        content = checked(_RunFile, read_json(path), _at(path), BeirHybridError)
        return cls(path.parent, content.made_of, content.model, content.key)

    @property
    def root(self) -> Path:
        """The folder above ``runs``, which the results of one process would be in.

        Raises:
            BeirHybridError: The run lies somewhere else.
        """
        folder = self.folder.resolve()
        if len(folder.parents) < 5 or folder.parents[3].name != RUNS:
            raise BeirHybridError(f"{_at(self.folder)} is not below a folder {RUNS}; say --out FOLDER")
        return folder.parents[4]

    @cached_property
    def parts(self) -> list[Part]:
        """The counts of all shards, by number.

        Raises:
            BeirHybridError: One is missing, cannot be read, is of another run or has counted what another has, too.
        """
        files = shards_in(self.folder)
        strangers = set(self.folder.glob("counts-*.safetensors")) - {*files.values()}
        if strangers:
            raise BeirHybridError(f"{_at(min(strangers))} is no shard's file: delete it, or give it its name again")
        counts = sorted({shard.count for shard in files})
        if not counts:
            raise BeirHybridError(f"{_at(self.folder)}: no shard has been counted")
        if len(counts) > 1:
            cuts = " and ".join(f"of {count}" for count in counts)
            raise BeirHybridError(f"{_at(self.folder)} holds shards {cuts}; delete those that the run is not cut into")
        missing = [shard for n in range(counts[0]) if (shard := Shard(n + 1, counts[0])) not in files]
        if missing:
            raise BeirHybridError(f"{_at(self.folder)}: {_listed(missing)} missing{self._elsewhere(missing)}")
        parts = [self._part(files[shard], shard) for shard in files]
        owner: dict[str, Part] = {}
        for part in parts:
            for chunk in sorted(part.chunks):
                if chunk in owner:
                    raise BeirHybridError(
                        f"{_at(part.path)} holds chunk {shown(chunk)}, which {owner[chunk].path.name} holds, too: it "
                        f"would be counted twice; delete the wrong file and run its shard again"
                    )
                owner[chunk] = part
        return parts

    def _part(self, path: Path, shard: Shard) -> Part:
        try:
            depends_on, facts = read_header(path)
            chunks = facts["chunks"]
            if not all(isinstance(chunk, str) for chunk in chunks):
                raise ValueError("the names of its chunks are no texts")
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise BeirHybridError(
                f"{_at(path)} cannot be read ({first_line(error)}); run shard {shard} again"
            ) from error
        other = difference(self.depends_on, depends_on)
        if other:
            raise BeirHybridError(f"{_at(path)} is {other}; delete it and run shard {shard} of this run")
        return Part(path, shard, frozenset(chunks))

    def _elsewhere(self, missing: Sequence[Shard]) -> str:
        """Say what to do; and where a missing shard is, if another run of the same model and task has it."""
        shard = missing[0]
        pattern = f"*/{self.folder.parent.name}/*/{shard.part}.safetensors"
        for path in sorted(self.folder.parent.parent.parent.glob(pattern)):
            try:
                other = difference(self.depends_on, SharedRun.read(path.with_name(RUN_FILE)).depends_on)
            except BeirHybridError:
                continue
            if other:
                return f"; {_at(path.parent)} has shard {shard}, but is {other}"
        return f"; run it with --shard {shard}" if len(missing) == 1 else f"; run them: --shard {shard} and so on"

    def merge(self, progress: bool = False) -> Result:
        """Make the scores and the rank table that one process would have made.

        Args:
            progress: Show progress bars.

        Raises:
            BeirHybridError: Something of the run is missing, damaged, or of another model, revision or data.
        """
        from beir_hybrid.interface.task_run import result_of

        parts, where = self.parts, _at(self.folder / RUN_FILE)
        task = task_of(self.made_of, where)
        revision = self.depends_on.get("data_revision")
        if task.metadata.revision != revision:
            raise BeirHybridError(
                f"{_at(self.folder)} is of data revision {shown(revision)}, and the data here of "
                f"{shown(task.metadata.revision)}; give this process the data that the run has"
            )
        task.keep_top = self.depends_on.get("keep_top")
        kwargs = {**self.depends_on.get("encode_kwargs", {}), "show_progress_bar": progress}
        return result_of(_Merged(self._meta(where), self, parts), task, kwargs, progress)

    def _meta(self, where: str) -> ModelMeta:
        from mteb.models import ModelMeta
        from pydantic import ValidationError

        def loader(*args: Any, **kwargs: Any) -> NoReturn:
            raise ModelError("a merge loads no model")

        loader.__name__ = str(self.model.get("loader"))  # which is what MTEB writes of it
        facts = {name: value for name, value in self.model.items() if name in ModelMeta.model_fields}
        try:
            return ModelMeta.model_validate({**facts, "loader": loader if facts.get("loader") else None})
        except (ValidationError, ValueError, TypeError) as error:
            raise BeirHybridError(f"{where}: what it says of the model is malformed: {one_line(error)}") from error

    def counts(self, plan: ChunkPlan, parts: Sequence[Part], evaluation: Evaluation) -> PartialCounts:
        """Merge the counts of all shards.

        Args:
            plan: The chunks that there are.
            parts: The counts.
            evaluation: What was evaluated.

        Raises:
            BeirHybridError: A shard has not counted all of its chunks, or has others.
        """
        from beir_hybrid.scoring.partial_counts import PartialCounts

        for part in parts:
            foreign = part.chunks - plan.chunks.keys()
            if foreign:
                raise BeirHybridError(
                    f"{_at(part.path)} holds chunk {shown(min(foreign))}, which the data here have not"
                )
        for part in parts:
            share = {chunk.name for chunk in plan.share(part.shard)}
            if share - part.chunks:
                raise BeirHybridError(
                    f"{_at(part.path)} has {len(share & part.chunks)} of {len(share)} chunks: shard {part.shard} is "
                    "not finished; run it again, and it goes on from there"
                )
        merged: PartialCounts | None = None
        for part in parts:
            try:
                arrays, facts = read_arrays(part.path)
                counts = PartialCounts.from_arrays(plan, arrays, facts, evaluation.wanted, evaluation.keep_top)
                merged = counts if merged is None else merged.merge(counts)
            except (SafetensorError, OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
                raise BeirHybridError(
                    f"{_at(part.path)} is malformed ({one_line(error)}); delete it and run shard {part.shard} again"
                ) from error
            merged.compact(plan)
        assert merged is not None
        return merged


@dataclass(frozen=True)
class _Merged:
    """Stands for the model whose ranks the shards have counted."""

    mteb_model_meta: ModelMeta
    run: SharedRun
    parts: Sequence[Part]

    def counted(self, evaluation: Evaluation) -> CountedRun:
        """Return the ranks that the shards have counted."""
        run = self.run
        evaluation = replace(evaluation, chunk_size=run.depends_on.get("chunk_size"))
        fingerprint = run.depends_on.get("fingerprint")
        other = difference(json.loads(PassFolder.of(evaluation.run_key(fingerprint)).key), run.depends_on)
        if other:
            raise BeirHybridError(f"{_at(run.folder)} is {other}")
        return evaluation.counted_run(run.counts(evaluation.plan, self.parts, evaluation), fingerprint)

    def encode(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse to embed."""
        raise ModelError("a merge does not embed: the shards have counted everything")

    similarity = similarity_pairwise = encode


def runs_below(folder: Path) -> list[SharedRun]:
    """Return the runs in a folder or below it.

    Raises:
        BeirHybridError: There is no such folder, or no run.
    """
    files = files_below(folder, RUN_FILE)
    if not files:
        raise BeirHybridError(f"{_at(folder)}: there is no run ({RUN_FILE}) in it or below; name the folder of a run")
    return [SharedRun.read(path) for path in files]


_WORDS = {
    "format_version": "format",
    "model": "model",
    "model_revision": "model revision",
    "data_revision": "data revision",
    "fingerprint": "model state",
}
"""Names of what runs differ in, in the order in which it is said."""


def difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Say what another run is of, and this one is not; nothing where both are the same."""
    for name in (*_WORDS, *sorted(ours.keys() | theirs.keys())):
        if ours.get(name) != theirs.get(name):
            word = _WORDS.get(name, name.replace("_", " "))
            return f"of {shown(word)} {_value(theirs.get(name))}, not {_value(ours.get(name))}"
    return ""


def _at(path: Path) -> str:
    """Show a path whole: its end says which shard it is of."""
    return shown(path, 4096)


def _value(value: object) -> str:
    return shown(value if isinstance(value, str) else json.dumps(value), 60)


def _listed(shards: Sequence[Shard]) -> str:
    names = [str(shard) for shard in shards[:_MOST_NAMED]]
    more = f" and {len(shards) - len(names)} more" if len(shards) > len(names) else ""
    return f"shard {names[0]} is" if len(shards) == 1 else f"shards {', '.join(names)}{more} are"
