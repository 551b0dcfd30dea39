"""Trains the heads that come with the package: ``make ours``, or ``python -m tools.train_heads``.

One recipe, three ways to make batches. Embeddings of the training texts are kept, so a second run embeds nothing. What
is shipped lies between the trained matrix and the identity, which is the base: that keeps more of what the base can do
on texts of other kinds than those trained on (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import read_toml
from beir_hybrid.models import heads
from beir_hybrid.models.heads import Head

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from beir_hybrid.finetune.recipe import Recipe

RECIPE = heads.FOLDER / "recipe.toml"
EVALUATIONS = ("XQuADR", "MLQAR")
"""What the training texts are compared with before anything is trained."""

OVERLAP = "overlap.json"
"""The report of that comparison."""

INTERPOLATION = "interpolation"
"""The setting of a recipe, and of a head's manifest, that is applied here, not by the training."""


@dataclass(frozen=True)
class HeadsRecipe:
    """What the heads are made with.

    Attributes:
        settings: Settings of `beir_hybrid.finetune.recipe.Recipe` but the batching.
        interpolation: Weight of the trained matrix, above 0, at most 1; that of the identity is the rest.
    """

    settings: Mapping[str, Any]
    interpolation: float = 1.0

    def __post_init__(self) -> None:
        if not (isinstance(self.interpolation, int | float) and 0 < self.interpolation <= 1):
            raise BeirHybridError(f"{INTERPOLATION} {self.interpolation}: it must be above 0 and at most 1")


def train_heads(recipe: HeadsRecipe, out: Path, base: str = "offline", quiet: bool = False) -> None:
    """Compare the training data with the evaluations, train the heads, and write all that is shipped.

    Args:
        recipe: What they are made with.
        out: The folder of the heads, a folder each.
        base: The base, as `beir_hybrid.finetune.train.train` takes it.
        quiet: Whether to show no progress.

    Raises:
        BeirHybridError: Training texts overlap with the evaluations, or training fails.
    """
    from beir_hybrid.finetune.recipe import make_recipe

    recipes = {
        name: make_recipe(**{**recipe.settings, "batching": batching}) for name, batching in heads.BATCHINGS.items()
    }
    check_overlap(recipes[heads.OURS].data, out / OVERLAP, quiet)
    for name, settings in recipes.items():
        _say(f"Training the head {name}", quiet)
        _train_head(Head(name, out / name), settings, recipe.interpolation, base, quiet)
    _say(f"{out}: {', '.join(recipes)}", quiet)


def check_overlap(sources: Sequence[str], report: Path, quiet: bool) -> None:
    """Write the report of `beir-hybrid overlap` on the training data, without examples: those are texts of others.

    Raises:
        BeirHybridError: More than the default share of a language's texts overlaps.
    """
    from beir_hybrid.overlap.report import compare

    outcome = compare(sources, EVALUATIONS, examples=0, progress=not quiet)
    outcome.write(report)
    if outcome.above:
        raise BeirHybridError(
            f"{', '.join(sources)} overlap with {', '.join(EVALUATIONS)}: {report} says where; leave a source out"
        )


def read_recipe(path: Path) -> HeadsRecipe:
    """Read the recipe of the heads.

    Raises:
        BeirHybridError: The file is missing or malformed.
    """
    from beir_hybrid.finetune.recipe import Recipe

    content: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in read_toml(path).items()
    }
    shared = {field.name for field in fields(Recipe)} - {"batching", "alpha", INTERPOLATION}
    unknown = sorted(content.keys() - shared - {INTERPOLATION})
    if unknown:
        raise BeirHybridError(f"{path}: {unknown[0]} is not a setting that the three heads share")
    return HeadsRecipe({name: content[name] for name in content if name in shared}, content.get(INTERPOLATION, 1.0))


def _train_head(head: Head, recipe: Recipe, interpolation: float, base: str, quiet: bool) -> None:
    import numpy as np

    from beir_hybrid.finetune.start import interpolated
    from beir_hybrid.finetune.train import RunOptions, train

    with tempfile.TemporaryDirectory(prefix="beir-hybrid-") as folder:
        model = Path(folder) / head.name
        manifest = train(base, recipe, model, options=RunOptions(quiet=quiet))
        assert manifest is not None, "this is the only process of the training"
        described = replace(manifest, settings={**manifest.settings, INTERPOLATION: interpolation})
        matrix = _trained_matrix(model)
        head.write(interpolated(np.eye(len(matrix), dtype=np.float32), matrix, interpolation), described)


def _trained_matrix(model: Path) -> NDArray[np.float32]:
    """Return the matrix of the head of a saved model: its last Dense module."""
    from safetensors.numpy import load_file

    modules = json.loads((model / "modules.json").read_text(encoding="utf-8"))
    (*_, dense) = (module["path"] for module in modules if module["type"].endswith(".Dense"))
    matrix: NDArray[np.float32] = load_file(model / dense / "model.safetensors")["linear.weight"]
    return matrix


def _say(line: str, quiet: bool) -> None:
    if not quiet:
        print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code; what the user can mend becomes one line and exit code 2."""
    parser = argparse.ArgumentParser(description="Train the heads that come with beir-hybrid.")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=heads.FOLDER, help="folder of the heads, default: %(default)s")
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress")
    options = parser.parse_args(arguments)
    try:
        train_heads(read_recipe(options.recipe), options.out, quiet=options.quiet)
    except BeirHybridError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
