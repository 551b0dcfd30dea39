"""Arrange the leaderboard's figures by family and script for docs/families.md: ``python -m tools.family_figures``.

It reads leaderboard/published/tables/leaderboard.json, which holds them group by group, and writes them row by row to
leaderboard/published/measurements/families.json, from which `make docs-figures` makes the tables.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from beir_hybrid.families import FAMILY_GROUPS, SCRIPT_GROUPS
from beir_hybrid.files import read_json, write_json
from leaderboard.regenerate import TABLES
from tools import one_line_errors

BOARD = TABLES / "leaderboard.json"
RECORD = TABLES.parent / "measurements" / "families.json"
GROUPS = tuple(dict.fromkeys([*FAMILY_GROUPS, *SCRIPT_GROUPS]))

Board = Mapping[str, Any]


def by_row(board: Board) -> dict[str, Any]:
    """Return task -> ``rows``, the figures of each row by group, and ``differences`` of each row to its baseline.

    Args:
        board: The leaderboard.
    """
    figures: dict[str, Any] = {}
    for entry in board["families"]:
        task = figures.setdefault(entry["task"], {"rows": {}, "differences": {}})
        if entry["group"] not in GROUPS:
            continue
        for key, cell in entry["cells"].items():
            row = task["rows"].setdefault(key, _of_row(board, key))
            row.setdefault(entry["figure"], dict.fromkeys(GROUPS))[entry["group"]] = cell["value"]
        for test in entry["comparisons"]:
            if test["baseline"] == baseline_of(board, test["row"]):
                label = board["rows"][test["baseline"]]["label"]
                row = task["differences"].setdefault(test["row"], {**_of_row(board, test["row"]), "baseline": label})
                marked = {**test, "mark": "*" if test["p_corrected"] <= board["alpha"] else ""}
                row.setdefault(entry["figure"], {})[entry["group"]] = marked
    for task in figures.values():
        task["rows"] = {key: _complete(board, row) for key, row in task["rows"].items()}
    return figures


def baseline_of(board: Board, row: str) -> str | None:
    """Return the row of the same base that is a baseline, the first one of the board; None for that one itself."""
    [group] = (group["rows"] for group in board["groups"] if row in group["rows"])
    own = next((entry["row"] for entry in board["baselines"] if entry["row"] in group), None)
    return None if own == row else own


def _of_row(board: Board, key: str) -> dict[str, Any]:
    return {"label": board["rows"][key]["label"], "base": board["rows"][key]["base"]}


def _complete(board: Board, row: dict[str, Any]) -> dict[str, Any]:
    """Add the figures that a row has none of, such as a search's in the pool of all languages."""
    return {**{entry["figure"]: dict.fromkeys(GROUPS) for entry in board["families"]}, **row}


@one_line_errors
def main() -> int:
    """Run the script and return its exit code."""
    record = {
        "what": "Figures of groups of language pairs, and differences with whole articles as units.",
        "command": "python leaderboard/regenerate.py; python -m tools.family_figures",
        "figures": by_row(read_json(BOARD)),
    }
    write_json(RECORD, record, indent=1)
    print(f"{RECORD}: now run python -m tools.doc_figures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
