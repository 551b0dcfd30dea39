"""The command ``beir-hybrid scores``: the setting averages of MTEB's results."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import shown
from beir_hybrid.subsets import SETTINGS, Subset
from beir_hybrid.text_tables import text_table

if TYPE_CHECKING:
    from beir_hybrid.mteb.results import ResultSource


def scores(
    paths: Annotated[list[Path], typer.Argument(help="MTEB result files, or folders of them (results/).")],
    languages: Annotated[bool, typer.Option("--languages", help="Add a table by question language.")] = False,
) -> None:
    """Print the setting averages of results: plain means of the main score over the subsets of each setting."""
    from beir_hybrid.mteb.results import MAIN_SCORE

    results = [result for path in paths for result in _read_results(path)]
    for result in results:
        # A mean over the others would be a figure of something else.
        missing = [subset for subset in result.scores if result.value(subset, MAIN_SCORE) is None]
        if missing:
            print(f"{result.file}: no main score of {', '.join(missing[:5])}; evaluate it again", file=sys.stderr)
    rows = [
        (*_names(result), *_means(result), " / ".join(str(len(_main_scores(result, setting))) for setting in SETTINGS))
        for result in results
    ]
    print(text_table(rows, ("model", "revision", "task", *SETTINGS, "subsets"), left=3))
    if languages:
        by_language = [
            (*_names(result), language, *_means(result, language))
            for result in results
            for language in dict.fromkeys(Subset.parse(subset).questions for subset in result.scores)
        ]
        print()
        print(text_table(by_language, ("model", "revision", "task", "questions in", *SETTINGS), left=4))


def _read_results(path: Path) -> list[ResultSource]:
    """Return the results of our tasks in a file, or in all files below a folder."""
    from beir_hybrid.mteb.results import find_results

    results = [result for result in find_results(path) if result.by_setting]
    if not results:
        raise BeirHybridError(
            f"{shown(path)}: no result of a BEIR-Hybrid task here; `mteb run --output-folder` writes them"
        )
    return results


def _names(result: ResultSource) -> tuple[str, str, str]:
    from beir_hybrid.mteb.results import short_revision

    return result.model, short_revision(result.revision), result.task


def _means(result: ResultSource, language: str | None = None) -> list[str]:
    """Average the main scores of each setting, of all question languages or of one; ``-`` where one is missing."""
    by_setting = [_main_scores(result, setting, language) for setting in SETTINGS]
    known = [[value for value in values if value is not None] for values in by_setting]
    pairs = zip(known, by_setting, strict=True)
    return [f"{fmean(some):.4f}" if some and len(some) == len(values) else "-" for some, values in pairs]


def _main_scores(result: ResultSource, setting: str, language: str | None = None) -> list[float | None]:
    """Return the main scores of a setting; None for what is not a number."""
    from beir_hybrid.mteb.results import MAIN_SCORE

    subsets = {name: Subset.parse(name) for name in result.scores}
    return [
        result.value(name, MAIN_SCORE)
        for name, subset in subsets.items()
        if subset.setting == setting and language in (None, subset.questions)
    ]
