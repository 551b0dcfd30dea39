"""Reports of models that lie beside a leaderboard's page."""

from __future__ import annotations

import shutil
from pathlib import Path

from beir_hybrid.pages.described import Described, read_description

FOLDER = "reports"
"""Folder beside the page that is looked into, too."""


def reports_beside(folder: Path) -> dict[str, Described]:
    """Return the reports in a leaderboard's folder and in its ``reports/``: relative name -> whose it is."""
    reports = folder / FOLDER
    files = [*folder.glob("*.html"), *(reports.glob("*.html") if not reports.is_symlink() else ())]
    read = {file.relative_to(folder).as_posix(): read_description(file) for file in sorted(files)}
    return {name: described for name, described in read.items() if described is not None}


def copy_reports(source: Path, target: Path) -> None:
    """Copy the reports of one leaderboard's folder into another."""
    for name in reports_beside(source):
        (target / name).parent.mkdir(exist_ok=True)
        shutil.copy2(source / name, target / name, follow_symlinks=False)
