"""Modules that had other names in version 0.1: importing an old name works until the next release, with a warning."""

import sys

MOVED = {
    "beir_hybrid.autoload": "beir_hybrid.mteb.hook",
    "beir_hybrid.corpora.export": "beir_hybrid.corpora.formats.export",
    "beir_hybrid.corpora.trec": "beir_hybrid.corpora.formats.trec",
    "beir_hybrid.encoders": "beir_hybrid.models",
    "beir_hybrid.leaderboard.columns": "beir_hybrid.leaderboard.board.columns",
    "beir_hybrid.leaderboard.regenerate": "beir_hybrid.leaderboard.publish",
    "beir_hybrid.leaderboard.settings": "beir_hybrid.leaderboard.inputs.settings",
    "beir_hybrid.leaderboard.significance": "beir_hybrid.leaderboard.stats.significance",
    "beir_hybrid.leaderboard.unit_scores": "beir_hybrid.leaderboard.board.unit_scores",
    "beir_hybrid.plots": "beir_hybrid.plotting.heat_maps",
    "beir_hybrid.quickstart": "beir_hybrid.study.quickstart",
    "beir_hybrid.registration": "beir_hybrid.mteb.registration",
    "beir_hybrid.scoring.rank_table": "beir_hybrid.ranks",
    "beir_hybrid.settings": "beir_hybrid.subsets",
    "beir_hybrid.tasks.atlas_r": "beir_hybrid.tasks",
    "beir_hybrid.tasks.mlqa_r": "beir_hybrid.tasks",
    "beir_hybrid.tasks.xquad_r": "beir_hybrid.tasks",
    "beir_hybrid.training.fingerprints": "beir_hybrid.overlap.fingerprints",
    "beir_hybrid.training.manifest": "beir_hybrid.models.manifest",
    "beir_hybrid.training.overlap": "beir_hybrid.overlap.check",
    "beir_hybrid.training.recipe": "beir_hybrid.finetune.recipe",
    "beir_hybrid.training.train": "beir_hybrid.finetune.train",
}
"""Old name -> new name; what is below an old package is below the new one."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def find_spec(name: str) -> "ModuleSpec | None":
    """Return the specification of an old name, and from then on be asked for the others first; None for other names.

    Other finders would load a module below an old package a second time, from the folder of the new one.
    """
    finder = MovedModules()
    spec = finder.find_spec(name)
    if spec is not None and not any(isinstance(other, MovedModules) for other in sys.meta_path):
        sys.meta_path.insert(0, finder)
    return spec


class MovedModules:
    """A finder for ``sys.meta_path`` that gives the module of the new name to whoever imports the old one."""

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Return a specification whose loader imports the module of the new name; None for names that did not move."""
        if not name.startswith("beir_hybrid."):
            return None
        old = next((old for old in MOVED if name == old or name.startswith(f"{old}.")), None)
        if old is None:
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, _Loader(MOVED[old] + name[len(old) :]))  # type: ignore[arg-type]


class _Loader:
    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, spec: "ModuleSpec") -> "ModuleType":
        import warnings
        from importlib import import_module

        warnings.warn(f"{spec.name} is now {self._name}", DeprecationWarning, stacklevel=2)
        module = import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: "ModuleType") -> None:
        """Run nothing, since the module ran under its own name; its specification was overwritten meanwhile."""
        module.__spec__ = self._spec
