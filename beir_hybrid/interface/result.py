"""What an evaluation gives: the figures of its rank table, and MTEB's scores."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from beir_hybrid.errors import RankTableError
from beir_hybrid.files import as_folder, atomic_path, check_writable, user_path, write_json
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.mteb.results import EXPERIMENTS, MAIN_SCORE, MODEL_META
from beir_hybrid.ranks.schema import NO_REVISION
from beir_hybrid.revisions import STATE
from beir_hybrid.subsets import SETTINGS, setting_of

if TYPE_CHECKING:
    from mteb.models import ModelMeta
    from mteb.results import TaskResult


@dataclass(frozen=True, eq=False, repr=False)
class Result(RankTable):
    """A model evaluated on a corpus.

    Attributes:
        task_result: MTEB's result, as `mteb run` writes it.
        meta: What MTEB knows of the model.

    Examples:
        >>> import beir_hybrid as bh
        >>> def letters(texts):
        ...     return [[text.lower().count(letter) + 0.1 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        >>> result = bh.evaluate(letters, "atlas-r", languages=["en", "de"], progress=False)
        >>> list(result.settings.index), list(result.scores.index)
        (['monolingual', 'cross-lingual', 'multilingual'], ['de-de', 'en-en', 'de-en', 'en-de', 'de-multi', 'en-multi'])
        >>> result.heat_map().savefig("heat-map.png")  # doctest: +SKIP
    """

    task_result: TaskResult = field(kw_only=True)
    meta: ModelMeta = field(kw_only=True)

    @cached_property
    def settings(self) -> pd.Series:
        """The main score in the monolingual, cross-lingual and multilingual setting: plain means over the subsets.

        Three numbers by the name of the setting, as `beir-hybrid scores` prints them; NaN where no subset of it was
        evaluated.
        """
        scores = self.scores[MAIN_SCORE]
        of_setting = scores.groupby([setting_of(str(subset)) for subset in scores.index]).mean()
        return of_setting.reindex(list(SETTINGS)).rename(self.metric)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """MTEB's scores: a row a subset such as ``en-de`` or ``en-multi``, a column each of MTEB's keys."""
        [entries] = self.task_result.scores.values()
        rows = {
            entry["hf_subset"]: {name: value for name, value in entry.items() if isinstance(value, int | float)}
            for entry in entries
        }
        frame = pd.DataFrame.from_dict(rows, orient="index", dtype=float).rename_axis("subset")
        first = [MAIN_SCORE, self.metric]
        return frame[[*first, *(name for name in frame.columns if name not in first)]]

    def save(self, folder: str | Path) -> list[Path]:
        """Write MTEB's result, the rank table and the heat map below a folder.

        Args:
            folder: Gets ``results/<model>/<revision>/<task>.json``, MTEB's layout, ``ranks/...`` and ``heat_maps/...``
                likewise; what `beir-hybrid scores`, `bias` and `leaderboard` read. What is there of other models and
                tasks stays.

        Returns:
            The files. They are made in another place first: what cannot be made leaves nothing behind.

        Raises:
            BeirHybridError: The folder cannot be written to.
        """
        out = user_path(folder)
        check_writable(out, hint="name another folder")
        with tempfile.TemporaryDirectory(prefix="beir-hybrid-") as name:
            made = Path(name)
            self._make(made)
            stored = self.stored(out)
            written = stored.files
            if stored.info.model_revision != self.info.model_revision:  # there are ranks of another state of the model
                made = made / "renamed"
                stored._make(made)
            for file in sorted(path for path in made.rglob("*") if path.is_file()):
                target = out / file.relative_to(made)
                with atomic_path(target) as temporary:
                    shutil.copyfile(file, temporary)
                written.append(target)
        return written

    def _make(self, folder: Path) -> None:
        """Write MTEB's result, under the revision of the rank table, and the heat map, where there is one."""
        from beir_hybrid.plotting.heat_maps import plot_one_target_maps

        info, experiment = self.info, self.meta.experiment_name
        _, state, digest = info.model_revision.partition(STATE)
        revision = f"{self.meta.revision or NO_REVISION}{state}{digest}"  # tells states of one name and revision apart
        place = folder / "results" / as_folder(info.model) / as_folder(revision)
        place = place / EXPERIMENTS / as_folder(experiment) if experiment else place
        facts = self.meta.model_copy(update={"revision": revision}).to_dict()
        write_json(place / MODEL_META, json.loads(json.dumps(facts, default=str)))
        self.task_result.to_disk(place / f"{as_folder(info.task)}.json")
        try:
            maps = {self.title: self.one_target}
        except RankTableError:
            return
        place = folder / "heat_maps" / as_folder(info.model) / as_folder(info.model_revision)
        for suffix in (".png", ".svg"):
            plot_one_target_maps(maps, place / f"{as_folder(info.task)}{suffix}")
