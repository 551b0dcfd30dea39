"""Judge the published study again: ``make study-page``, or ``python -m tools.study_page``.

The verdicts of docs/study.md are made from the scores by question in leaderboard/published/ranks and from what
leaderboard/published/study.json says was done; nothing is trained. `beir-hybrid study --preset offline` makes both.
"""

from __future__ import annotations

import sys
from pathlib import Path

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import read_json
from beir_hybrid.leaderboard.inputs.score_file import read_scores
from beir_hybrid.study.definition import preset_path, read_study
from beir_hybrid.study.paper.outputs import write_judged

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "leaderboard" / "published"
SUMMARY = PUBLISHED / "study.json"
SCORES = PUBLISHED / "ranks" / "offline.scores.parquet"
PRESET = "offline"
PAGE = ROOT / "docs" / "study.md"


def judge_again(summary: Path = SUMMARY, page: Path = PAGE) -> None:
    """Write study.json, the page and its plot from what is published.

    Args:
        summary: Where study.json goes.
        page: The Markdown file; the plot is written beside it, into ``study/``.

    Raises:
        BeirHybridError: A file is missing or damaged.
    """
    study = read_study(preset_path(PRESET))
    write_judged(study, read_json(SUMMARY), read_scores(SCORES), summary, page, f"beir-hybrid study --preset {PRESET}")


def main() -> int:
    """Run the script and return its exit code; what the user can mend becomes one line and exit code 2."""
    try:
        judge_again()
    except BeirHybridError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
