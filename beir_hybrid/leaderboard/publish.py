"""From rank tables, results and predictions to a folder of tables: what `beir-hybrid leaderboard` does."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import check_writable, shown
from beir_hybrid.leaderboard.inputs.reports import copy_reports, reports_beside
from beir_hybrid.leaderboard.inputs.settings import Settings
from beir_hybrid.leaderboard.render.output import SUMS, check_replaceable, differences, replace_folder

PLOTS = "plots"
"""Folder of the plots, beside the tables."""


@dataclass(frozen=True)
class Inputs:
    """Where the figures of a leaderboard come from.

    Attributes:
        ranks: Folder of rank tables, and of files of scores by question.
        results: Folder of MTEB's results.
        predictions: Folder of MTEB's predictions.
        qrels: Judgments of the predictions: ``PATH`` or ``TASK=PATH``.
        manifests: Folder of files that say what models were trained on.
        lenient: Whether rank tables that cannot be shown beside newer ones are left out, and a note says so; if not,
            they are an error.
    """

    ranks: Path | None = None
    results: Path | None = None
    predictions: Path | None = None
    qrels: tuple[str, ...] = ()
    manifests: Path | None = None
    lenient: bool = False


def make_board(inputs: Inputs, settings: Settings, progress: bool = False) -> dict[str, Any]:
    """Read everything and make the board.

    Args:
        inputs: Where the figures come from.
        settings: Which rows are shown, and how they are tested.
        progress: Show a progress bar for the tests, if standard error is a terminal.

    Returns:
        One JSON document with everything that tables and page show; its schema is ``board/board.schema.json``.

    Raises:
        BeirHybridError: There is nothing to show, or something cannot be read or compared.
    """
    from beir_hybrid.leaderboard.board.build import build_board
    from beir_hybrid.leaderboard.board.model_rows import make_rows, runs_of
    from beir_hybrid.leaderboard.inputs.evaluations import check_same_data, find_rank_tables
    from beir_hybrid.leaderboard.inputs.published_figures import read_published_figures
    from beir_hybrid.leaderboard.inputs.score_file import find_scores
    from beir_hybrid.leaderboard.inputs.stored_predictions import find_predictions
    from beir_hybrid.leaderboard.inputs.training_data import TrainingFacts, find_training_data
    from beir_hybrid.mteb.results import MODEL_META, find_results

    left_out: list[str] = []
    ranks = find_rank_tables(inputs.ranks, left_out if inputs.lenient else None) if inputs.ranks else []
    ranks += find_predictions(inputs.predictions, inputs.qrels) if inputs.predictions else []
    scores = find_scores(inputs.ranks) if inputs.ranks else []
    results = find_results(inputs.results) if inputs.results else []
    if not ranks and not results and not scores:
        folders = [shown(folder) for folder in (inputs.ranks, inputs.results, inputs.predictions) if folder]
        raise BeirHybridError(
            f"there are no rank tables or results below {', '.join(folders)}; `mteb run` says where it writes them"
            + "".join(f" ({note})" for note in left_out[:1])
        )
    rows = make_rows(settings, runs_of(ranks, results, scores))
    runs = [run for row in rows for run in row.runs]
    check_same_data(source for run in runs for source in (*run.ranks.values(), *run.scores.values()))
    stored = next((source for run in runs for source in run.scores.values()), None)
    if settings.unit == "query" and stored is not None:
        raise BeirHybridError(f'unit = "query" needs rank tables: {shown(stored.file)} holds scores by question')
    found = find_training_data(inputs.results, MODEL_META) if inputs.results else []
    found += find_training_data(inputs.manifests) if inputs.manifests else []
    published = read_published_figures(settings.published_figures) if settings.published_figures else []
    board = build_board(settings, rows, TrainingFacts(found, settings.ask_mteb), published, progress)
    notes = [*board["notes"], *left_out]
    if not board["columns"]:
        raise BeirHybridError(f"there is no figure to show. {notes[0] if notes else 'No query was evaluated.'}")
    return {**board, "notes": notes}


def write_files(board: Mapping[str, Any], folder: Path, draw: bool = True) -> None:
    """Write a board in all formats: Markdown, CSV, LaTeX, JSON, plots, and a page that links to the reports beside it.

    Args:
        board: What ``make_board`` returned.
        folder: The folder, which exists; files of the same names are replaced.
        draw: Draw the plots; without them the page names them all the same.
    """
    from beir_hybrid.leaderboard.render import plots, tables_csv
    from beir_hybrid.leaderboard.render.leaderboard_page import write_page
    from beir_hybrid.leaderboard.render.tables_latex import latex
    from beir_hybrid.leaderboard.render.tables_markdown import markdown

    texts = {
        "leaderboard.json": json.dumps(board, ensure_ascii=False, indent=1, allow_nan=False) + "\n",
        "leaderboard.md": markdown(board),
        "leaderboard.tex": latex(board),
        "main.csv": tables_csv.main_csv(board),
        "languages.csv": tables_csv.languages_csv(board),
        "matrices.csv": tables_csv.matrices_csv(board),
        "comparisons.csv": tables_csv.comparisons_csv(board),
        "families.csv": tables_csv.families_csv(board),
        "family_comparisons.csv": tables_csv.family_comparisons_csv(board),
    }
    for name, text in texts.items():
        # A lone surrogate, which JSON can hold and UTF-8 cannot, becomes a question mark.
        (folder / name).write_bytes(text.encode("utf-8", errors="replace"))
    drawn = (plots.write_plots if draw else plots.plot_files)(board, folder / PLOTS)
    write_page(board, folder / "leaderboard.html", drawn, reports_beside(folder))


def regenerate(inputs: Inputs, settings: Settings, out: Path, progress: bool = False) -> dict[str, Any]:
    """Write a leaderboard into a folder and return its board; a process that is killed leaves the old one.

    Args:
        inputs: As for ``make_board``.
        settings: As for ``make_board``.
        out: The folder, which is replaced as a whole.
        progress: As for ``make_board``.

    Returns:
        The board, as ``make_board``.

    Raises:
        BeirHybridError: Something is wrong with the inputs, or the folder is not a leaderboard's.
    """
    check_replaceable(out)  # before the work, not after it
    check_writable(out, hint="name another folder with --out")
    board = make_board(inputs, settings, progress)
    replace_folder(out, lambda folder: write_files(board, folder))
    return board


def outdated(inputs: Inputs, settings: Settings, out: Path, progress: bool = False) -> list[str]:
    """Return the names of the files in a folder that are not what ``regenerate`` would write now.

    Plots are not compared: another version of matplotlib draws the same figures with other bytes.

    Args:
        inputs: As for ``regenerate``.
        settings: As for ``regenerate``.
        out: The folder that it wrote.
        progress: As for ``regenerate``.

    Returns:
        The names, none if the folder is current.

    Raises:
        BeirHybridError: Something is wrong with the inputs.
    """
    with tempfile.TemporaryDirectory() as name:
        fresh = Path(name)
        copy_reports(out, fresh)
        write_files(make_board(inputs, settings, progress), fresh, draw=False)
        return [name for name in differences(out, fresh) if name != SUMS and not name.startswith(f"{PLOTS}/")]
