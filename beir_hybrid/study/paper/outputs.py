"""The report of a study: study.json, the page and the plot of the alpha sweep."""

from __future__ import annotations

import os
from pathlib import Path

from beir_hybrid.files import write_json
from beir_hybrid.folders import locked
from beir_hybrid.study.definition import Study, StudyError
from beir_hybrid.study.paper.study_page import write_page
from beir_hybrid.study.paper.summary import summarise
from beir_hybrid.study.paper.sweep_plot import write_sweep
from beir_hybrid.study.plan import Plan

FILE_NAME = "study.json"


def write_report(study: Study, plan: Plan, out: Path, page: Path, command: str) -> Path:
    """Write the report of what is done, and return its page.

    Args:
        study: The study.
        plan: Finds its results.
        out: Its folder, which gets study.json.
        page: The Markdown file; the plot is written beside it, into ``study/``.
        command: What reproduces the study.

    Raises:
        BeirHybridError: Nothing is done, a rank table is missing or damaged, or a file cannot be written.
    """
    if not plan.done():
        raise StudyError(f"{out}: nothing of this study is done there")
    summary = summarise(study, plan)
    with locked(out / FILE_NAME):  # which clears away what a killed process left
        write_json(out / FILE_NAME, summary, indent=1, ensure_ascii=False)
    plots = write_sweep(summary, page.parent / "study")
    plot = next((file for file in plots if file.suffix == ".png"), None)
    relative = None if plot is None else Path(os.path.relpath(plot, page.parent)).as_posix()
    write_page(summary, relative, command, page)
    return page
