"""Trains the heads that come with the package: ``make ours``, or ``python -m beir_hybrid.encoders.train_heads``.

One recipe, three ways to make batches. Embeddings of the training texts are kept, so a second run takes seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beir_hybrid.encoders import heads
from beir_hybrid.encoders.heads import Head
from beir_hybrid.errors import BeirHybridError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RECIPE = heads.FOLDER / "recipe.toml"
EVALUATIONS = ("XQuADR", "MLQAR")
"""What the training texts are compared with before anything is trained."""

OVERLAP = "overlap.json"
"""The report of that comparison."""


def train_heads(recipe: Mapping[str, Any], out: Path, base: str = "offline", quiet: bool = False) -> None:
    """Compare the training data with the evaluations, train the heads, and write all that is shipped.

    Args:
        recipe: Settings of `beir_hybrid.training.recipe.Recipe` but the batching.
        out: The folder of the heads, a folder each.
        base: The base, as `beir_hybrid.training.train.train` takes it.
        quiet: Whether to show no progress.

    Raises:
        BeirHybridError: Training texts overlap with the evaluations, or training fails.
    """
    from beir_hybrid.training.recipe import make_recipe

    recipes = {name: make_recipe(**{**recipe, "batching": batching}) for name, batching in heads.BATCHINGS.items()}
    check_overlap(recipes[heads.OURS].data, out / OVERLAP, quiet)
    for name, settings in recipes.items():
        _say(f"Training the head {name}", quiet)
        _train_head(Head(name, out / name), settings, base, quiet)
    _say(f"{out}: {', '.join(recipes)}", quiet)


def check_overlap(sources: Sequence[str], report: Path, quiet: bool) -> None:
    """Write the report of `beir-hybrid overlap` on the training data, without examples: those are texts of others.

    Args:
        sources: The training data.
        report: The file to write.
        quiet: Whether to show no progress.

    Raises:
        BeirHybridError: More than the default share of a language's texts overlaps.
    """
    import typer

    from beir_hybrid.cli_overlap import overlap

    try:
        overlap(train=list(sources), evaluations=list(EVALUATIONS), examples=0, report=report, quiet=quiet)
    except typer.Exit:
        raise BeirHybridError(
            f"{', '.join(sources)} overlap with {', '.join(EVALUATIONS)}: {report} says where; leave a source out"
        ) from None


def read_recipe(path: Path) -> dict[str, Any]:
    """Read the recipe of the heads.

    Raises:
        BeirHybridError: The file is missing or malformed.
    """
    from beir_hybrid.training.recipe import Recipe

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BeirHybridError(f"cannot read the recipe {path}: {error}") from error
    unknown = sorted(content.keys() - {field.name for field in fields(Recipe)} | content.keys() & {"batching", "alpha"})
    if unknown:
        raise BeirHybridError(f"{path}: {unknown[0]} is not a setting that the three heads share")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}


def _train_head(head: Head, recipe: Any, base: str, quiet: bool) -> None:
    from beir_hybrid.training.manifest import read_manifest
    from beir_hybrid.training.train import RunOptions, train

    with tempfile.TemporaryDirectory(prefix="beir-hybrid-") as folder:
        model = Path(folder) / head.name
        train(base, recipe, model, options=RunOptions(quiet=quiet))
        manifest = read_manifest(model)
        assert manifest is not None, "train wrote it"
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
