"""What an evaluation gives: the figures of its rank table, and MTEB's scores."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from beir_hybrid.errors import RankTableError
from beir_hybrid.files import as_folder, atomic_path, check_writable, user_path
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.mteb.results import MAIN_SCORE
from beir_hybrid.ranks import rank_table
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
        encode_kwargs: What the model was asked with.

    Example:
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
    encode_kwargs: Mapping[str, Any] = field(kw_only=True, default_factory=dict)

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
        from mteb.cache import ResultCache

        from beir_hybrid.plotting.heat_maps import plot_one_target_maps

        out = user_path(folder)
        check_writable(out, hint="name another folder")
        names = self.info.model, self.info.model_revision
        with tempfile.TemporaryDirectory(prefix="beir-hybrid-") as name:
            made = Path(name)
            ResultCache(made).save_to_cache(self.task_result, self.meta, encode_kwargs=self.encode_kwargs)
            plots = made / "heat_maps" / as_folder(names[0]) / as_folder(names[1]) / as_folder(self.info.task)
            try:
                for suffix in (".png", ".svg"):
                    plots.parent.mkdir(parents=True, exist_ok=True)
                    plot_one_target_maps({self.title: self.one_target}, plots.with_name(plots.name + suffix))
            except RankTableError:
                pass  # of some subsets only, without the pool of all languages
            files = sorted(path for path in made.rglob("*") if path.is_file())
            ranks = rank_table.default_path(self.info.task, *self.info.label, out)
            written = [rank_table.store(ranks, self.table, self.info, self.info.pairs)]
            for file in files:
                target = out / file.relative_to(made)
                with atomic_path(target) as temporary:
                    shutil.copyfile(file, temporary)
                written.append(target)
        return written
