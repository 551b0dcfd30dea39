"""Who outranks whom: the wrong passages above the right answers in the pool of all languages, by their language."""

from __future__ import annotations

from collections.abc import Sequence

from beir_hybrid.errors import RankTableError
from beir_hybrid.files import shown
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.report.content import Grid


def outranking_shares(run: RankTable, languages: Sequence[str]) -> Grid:
    """Compute the share of the wrong passages that outrank right answers in the pool, by question and their language.

    Each (question, right answer) counts all wrong passages above it. Which passages these are is counted while the
    scores are there (``Tops.outranking``); the right answers among them follow from the ranks: the answer in place i of
    a question's m answers stands above m - i of them.

    Args:
        run: A run with its top passages.
        languages: Those of rows and of columns, L of them.

    Returns:
        Shape (L, L); a row sums up to 1, and is None where nothing wrong outranks a right answer, or nothing is known.

    Raises:
        RankTableError: The top passages are not those of the ranks.
    """
    assert run.tops is not None
    ranked = run.ranks[run.ranks["rank_in_pool"].notna()].sort_values(["query_id", "rank_in_pool"], kind="stable")
    answers = ranked.groupby("query_id", sort=False)["query_id"]
    below = answers.transform("size") - 1 - answers.cumcount()
    right = below.groupby([ranked["query_language"], ranked["passage_language"]]).sum().to_dict()
    grid: list[list[float | None]] = []
    for questions in languages:
        outranking = run.tops.outranking.get(questions, {})
        wrong = [outranking.get(language, 0) - right.get((questions, language), 0) for language in languages]
        if not outranking:
            wrong = [0 for _ in languages]
        elif min(wrong) < 0:
            raise RankTableError(
                f"{shown(run.path or run.info.model)}: its top passages are not those of its ranks; evaluate it again"
            )
        total = sum(wrong)
        grid.append([count / total if total else None for count in wrong])
    return grid
