"""The leaderboard: from rank tables to a board with tests, and from the board to tables, a page and plots.

The names below are imported when they are first used: the command line must not load pandas at its start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beir_hybrid.lazy_names import lazy_names

if TYPE_CHECKING:
    from beir_hybrid.leaderboard.board.columns import Column, board_columns
    from beir_hybrid.leaderboard.board.family_scores import family_scores
    from beir_hybrid.leaderboard.board.unit_scores import ColumnScores, unit_scores
    from beir_hybrid.leaderboard.inputs.settings import ModelEntry, Settings, read_settings
    from beir_hybrid.leaderboard.publish import Inputs, make_board, outdated, regenerate, write_files
    from beir_hybrid.leaderboard.stats.significance import Comparison, compare, compare_many

__all__ = [
    "Column",
    "ColumnScores",
    "Comparison",
    "Inputs",
    "ModelEntry",
    "Settings",
    "board_columns",
    "compare",
    "compare_many",
    "family_scores",
    "make_board",
    "outdated",
    "read_settings",
    "regenerate",
    "unit_scores",
    "write_files",
]

_MODULES = {
    "Column": "board.columns",
    "ColumnScores": "board.unit_scores",
    "Comparison": "stats.significance",
    "Inputs": "publish",
    "ModelEntry": "inputs.settings",
    "Settings": "inputs.settings",
    "board_columns": "board.columns",
    "compare": "stats.significance",
    "compare_many": "stats.significance",
    "family_scores": "board.family_scores",
    "make_board": "publish",
    "outdated": "publish",
    "read_settings": "inputs.settings",
    "regenerate": "publish",
    "unit_scores": "board.unit_scores",
    "write_files": "publish",
}
"""Public name -> the module of this package that defines it."""

__getattr__, __dir__ = lazy_names(globals(), _MODULES)
