"""Rebuild leaderboard/published/ from the rank tables stored in it: ``python leaderboard/regenerate.py``.

It is ``beir-hybrid leaderboard``, with all its options, for the files beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from beir_hybrid.cli import main as beir_hybrid

HERE = Path(__file__).parent
SETTINGS_FILE = HERE / "leaderboard.toml"
RANKS = HERE / "published" / "ranks"
TABLES = HERE / "published" / "tables"

_INPUTS = ("--ranks", "--results", "--predictions")


def main(arguments: Sequence[str]) -> None:
    """Run the command; what the user can mend becomes one line and exit code 2."""
    asked = any(argument.startswith(_INPUTS) for argument in arguments)
    inputs = [] if asked else ["--ranks", str(RANKS)]
    defaults = ["--settings", str(SETTINGS_FILE), "--out", str(TABLES)]
    beir_hybrid(["leaderboard", *defaults, *inputs, *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
