"""Rebuild leaderboard/published/ from the rank tables stored in it: ``python leaderboard/regenerate.py``.

``beir-hybrid leaderboard`` is the same for anybody's rank tables, results and predictions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.leaderboard.inputs.settings import read_settings
from beir_hybrid.leaderboard.publish import Inputs, run

HERE = Path(__file__).parent
SETTINGS_FILE = HERE / "leaderboard.toml"
RANKS = HERE / "published" / "ranks"
MANIFESTS = HERE / "published" / "manifests"
TABLES = HERE / "published" / "tables"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code; what the user can mend becomes one line and exit code 2."""
    options = _parser().parse_args(arguments)
    manifests = options.manifests or (MANIFESTS if MANIFESTS.is_dir() else None)
    ranks = options.ranks or (None if options.results or options.predictions else RANKS)
    inputs = Inputs(ranks, options.results, options.predictions, tuple(options.qrels), manifests)
    try:
        settings = read_settings(options.settings).with_options(options.baseline, options.common_questions)
        return run(inputs, settings, options.out, options.check, options.quiet)
    except BeirHybridError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Rebuild the leaderboard's tables from stored rank tables.")
    parser.add_argument("--settings", type=Path, default=SETTINGS_FILE, help="what is shown, default: %(default)s")
    parser.add_argument("--ranks", type=Path, help=f"folder of rank tables, default: {RANKS}")
    parser.add_argument("--results", type=Path, help="folder of MTEB's results, for models without rank tables")
    parser.add_argument("--predictions", type=Path, help="folder of MTEB's predictions of other retrieval tasks")
    parser.add_argument("--qrels", action="append", default=[], help="judgments of predictions: PATH or TASK=PATH")
    parser.add_argument("--manifests", type=Path, help=f"what models were trained on, default: {MANIFESTS}")
    parser.add_argument(
        "--baseline", action="append", default=[], help="a model to compare all others with; repeatable"
    )
    parser.add_argument("--common-questions", action="store_true", help="compare on the questions that both models saw")
    parser.add_argument("--out", type=Path, default=TABLES, help="folder to write to, default: %(default)s")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the tables are out of date")
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress bars and no summary")
    return parser


if __name__ == "__main__":
    sys.exit(main())
