"""Publish a study and write its page: ``make study-page``, or ``python -m tools.study_page [OUT]``.

docs/study.md is made from leaderboard/published/study.json, which holds every comparison that its verdicts rest on.
With the folder of a study, `beir-hybrid study --preset offline --out OUT`, its study.json is published first, and of
its scores by question those of the systems that the leaderboard shows: the tests of these can be made again.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from beir_hybrid.files import check_exists, read_json
from beir_hybrid.leaderboard.board.columns import board_columns
from beir_hybrid.leaderboard.board.family_scores import PAIRS
from beir_hybrid.leaderboard.inputs.published_figures import read_published_figures
from beir_hybrid.leaderboard.inputs.score_file import RunScores, read_scores, write_scores
from beir_hybrid.leaderboard.inputs.settings import Settings, read_settings
from beir_hybrid.study.paper.outputs import FILE_NAME, write_pages
from beir_hybrid.study.paper.scores import SCORES
from leaderboard.regenerate import SETTINGS_FILE
from tools import one_line_errors

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "leaderboard" / "published"
SUMMARY = PUBLISHED / "study.json"
PUBLISHED_SCORES = PUBLISHED / "ranks" / "offline.scores.parquet"
FIGURES = ROOT / "leaderboard" / "published_figures.toml"
PRESET = "offline"
COMMAND = f"beir-hybrid study --preset {PRESET}"
PAGE = ROOT / "docs" / "study.md"


def publish(out: Path) -> None:
    """Copy study.json from the folder of a study, and the scores that the leaderboard shows.

    Raises:
        BeirHybridError: A file is missing or damaged.
    """
    check_exists(out / FILE_NAME)
    scores = list(shown_scores(read_settings(SETTINGS_FILE), read_scores(out / SCORES)))
    write_scores(PUBLISHED_SCORES, scores)
    shutil.copy(out / FILE_NAME, SUMMARY)


def shown_scores(settings: Settings, scores: Iterable[RunScores]) -> Iterator[RunScores]:
    """Yield the scores of the models of a board's rows that have several seeds, in the columns that it shows."""
    patterns = [pattern for entry in settings.models for pattern in entry.models if "*" in pattern]
    keys = {column.key for column in board_columns()}
    for run in scores:
        if any(fnmatchcase(run.model, pattern) for pattern in patterns):
            columns = {key: one for key, one in run.columns.items() if key in keys or f"/{PAIRS}/" in key}
            yield run._replace(columns=columns)


def write_docs(page: Path = PAGE) -> None:
    """Write the page and its plot, into ``study/`` beside it, from what is published.

    Raises:
        BeirHybridError: A file is missing or damaged.
    """
    write_pages(read_json(SUMMARY), page, COMMAND, read_published_figures(FIGURES))


@one_line_errors
def main(arguments: list[str]) -> int:
    """Run the script and return its exit code."""
    for out in arguments[:1]:
        publish(Path(out))
    write_docs()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
