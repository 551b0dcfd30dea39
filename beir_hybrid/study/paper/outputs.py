"""The report of a study: its scores by question, study.json, the page and the plot of the alpha sweep."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from beir_hybrid.files import write_json
from beir_hybrid.folders import locked
from beir_hybrid.leaderboard.inputs.published_figures import PublishedFigures
from beir_hybrid.leaderboard.inputs.score_file import write_scores
from beir_hybrid.study.batches import StudyError
from beir_hybrid.study.definition import Study
from beir_hybrid.study.paper.scores import SCORES, StudyScores, evaluated_scores
from beir_hybrid.study.paper.study_page import write_page
from beir_hybrid.study.paper.summary import Summary, judge, summarise
from beir_hybrid.study.paper.sweep_plot import write_sweep
from beir_hybrid.study.plan import Plan

FILE_NAME = "study.json"


def write_report(study: Study, plan: Plan, out: Path, page: Path, command: str) -> Path:
    """Judge the claims by what is done, write the report, and return its page.

    Args:
        study: The study.
        plan: Finds its results.
        out: Its folder, which gets study.json and the scores by question that its tests are made from.
        page: The Markdown file; the plot is written beside it, into ``study/``.
        command: What reproduces the study.

    Raises:
        BeirHybridError: Nothing is done, a rank table is missing or damaged, or a file cannot be written.
    """
    if not plan.done():
        raise StudyError(f"{out}: nothing of this study is done there")
    summary = summarise(study, plan)
    scores = list(evaluated_scores(study, plan, summary["languages"]))
    with locked(out / FILE_NAME):  # which clears away what a killed process left
        if scores:
            write_scores(out / SCORES, scores)
        judged = judge(study, summary, StudyScores(scores))
        write_json(out / FILE_NAME, judged, indent=1, ensure_ascii=False)
        write_pages(judged, page, command)
    return page


def write_pages(judged: Summary, page: Path, command: str, published: Sequence[PublishedFigures] = ()) -> None:
    """Write the page of a study and its plot from what study.json holds.

    Args:
        judged: Figures and verdicts.
        page: The Markdown file; the plot is written beside it, into ``study/``.
        command: What reproduces the study.
        published: Figures from the literature, of which those of the source paper are shown.
    """
    plots = write_sweep(judged, page.parent / "study")
    plot = next((file for file in plots if file.suffix == ".png"), None)
    relative = None if plot is None else Path(os.path.relpath(plot, page.parent)).as_posix()
    write_page(judged, relative, command, page, published)
