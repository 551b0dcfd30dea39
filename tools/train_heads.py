"""Trains the heads that come with the package: ``make ours``, or ``python -m tools.train_heads``.

The recipe of `ours`, and the same with other batches. Embeddings of the training texts are kept, so a second run embeds
nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import read_toml
from beir_hybrid.models import heads
from beir_hybrid.models.heads import Head
from tools import one_line_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from beir_hybrid.finetune.recipe import Recipe

RECIPE = heads.FOLDER / "recipe.toml"
EVALUATIONS = ("XQuADR", "MLQAR")
"""What the training texts are compared with before anything is trained."""

OVERLAP = "overlap.json"
"""The report of that comparison."""


def train_heads(settings: Mapping[str, Any], out: Path, base: str = "offline", quiet: bool = False) -> None:
    """Compare the training data with the evaluations, train the heads, and write all that is shipped.

    Args:
        settings: The recipe of `ours`: settings of `beir_hybrid.finetune.recipe.Recipe`.
        out: The folder of the heads, a folder each.
        base: The base, as `beir_hybrid.finetune.train.train` takes it.
        quiet: Whether to show no progress.

    Raises:
        BeirHybridError: Training texts overlap with the evaluations, or training fails.
    """
    made = recipes(settings)
    check_overlap(made[heads.OURS].data, out / OVERLAP, quiet)
    for name, recipe in made.items():
        _say(f"Training the head {name}", quiet)
        _train_head(Head(name, out / name), recipe, base, quiet)
    _say(f"{out}: {', '.join(made)}", quiet)


def recipes(settings: Mapping[str, Any]) -> dict[str, Recipe]:
    """Return the recipe of each head: that of `ours`, and the same with the batches of the baselines."""
    from beir_hybrid.finetune.recipe import make_recipe

    shared = {name: value for name, value in settings.items() if name != "alpha"}
    of_baselines = {name: make_recipe(**{**shared, "batching": kind}) for name, kind in heads.BASELINES.items()}
    return {heads.OURS: make_recipe(**settings), **of_baselines}


def check_overlap(sources: Sequence[str], report: Path, quiet: bool) -> None:
    """Write the report of `beir-hybrid overlap` on the training data, without examples: those are texts of others.

    Raises:
        BeirHybridError: More than the default share of a language's texts overlaps.
    """
    from beir_hybrid.overlap.outcome import compare

    outcome = compare(sources, EVALUATIONS, examples=0, progress=not quiet)
    outcome.write(report)
    if outcome.above:
        raise BeirHybridError(
            f"{', '.join(sources)} overlap with {', '.join(EVALUATIONS)}: {report} says where; leave a source out"
        )


def read_recipe(path: Path) -> dict[str, Any]:
    """Read the recipe of `ours`: settings of `beir_hybrid.finetune.recipe.Recipe`.

    Raises:
        BeirHybridError: The file is missing or malformed.
    """
    from beir_hybrid.finetune.recipe import make_recipe

    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in read_toml(path).items()
    }
    try:
        make_recipe(**settings)
    except BeirHybridError as error:
        raise BeirHybridError(f"{path}: {error}") from error
    return settings


def _train_head(head: Head, recipe: Recipe, base: str, quiet: bool) -> None:
    from beir_hybrid.finetune.train import RunOptions, train

    with tempfile.TemporaryDirectory(prefix="beir-hybrid-") as folder:
        model = Path(folder) / head.name
        manifest = train(base, recipe, model, options=RunOptions(quiet=quiet))
        assert manifest is not None, "this is the only process of the training"
        head.write(_trained_matrix(model), manifest)


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


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(description="Train the heads that come with beir-hybrid.")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=heads.FOLDER, help="folder of the heads, default: %(default)s")
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress")
    options = parser.parse_args(arguments)
    train_heads(read_recipe(options.recipe), options.out, quiet=options.quiet)
    return 0


if __name__ == "__main__":
    sys.exit(main())
