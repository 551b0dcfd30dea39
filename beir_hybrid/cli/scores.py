"""The command ``beir-hybrid scores``: the averages of MTEB's results by setting, and by family or script."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.families import Kind
from beir_hybrid.files import check_exists, shown
from beir_hybrid.metrics import MAP, ONE_TARGET
from beir_hybrid.revisions import short_revision
from beir_hybrid.subsets import SETTINGS, Subset
from beir_hybrid.text_tables import text_table

if TYPE_CHECKING:
    from beir_hybrid.mteb.results import ResultSource


def scores(
    paths: Annotated[
        list[Path],
        typer.Argument(help="MTEB result files, or folders of them (results/); with --by rank tables (.parquet), too."),
    ],
    languages: Annotated[bool, typer.Option("--languages", help="Add a table by question language.")] = False,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            help="Average pairs of languages within and between families, or by script, instead.",
            metavar="family|script",
        ),
    ] = None,
) -> None:
    """Print the setting averages of results: plain means of the main score over the subsets of each setting.

    With --by, plain means over the pairs of languages of each group: of the main score, and where there is a rank table
    of mAP and of mAP in the pool of all languages with one answer as the target.
    """
    from beir_hybrid.mteb.results import MAIN_SCORE

    if by is not None:
        _print_groups(paths, _parse_kind(by))
        return
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


def _parse_kind(text: str) -> Kind:
    if text not in get_args(Kind):
        raise BeirHybridError(f"--by {shown(text)}: write {' or '.join(get_args(Kind))}")
    return cast("Kind", text)


def _print_groups(paths: Sequence[Path], by: Kind) -> None:
    """Print the figures of groups of language pairs: a table of the results, then one of the rank tables."""
    of_results = [row for path in paths for row in _result_groups(path, by)]
    of_tables = [row for path in paths for row in _table_groups(path, by)]
    if not of_results and not of_tables:
        raise BeirHybridError(
            f"{shown(paths[0])}: no scores of pairs of languages, such as en-de, and no rank table is here"
        )
    names = ("model", "revision", "task", "group", "pairs")
    if of_results:
        print(text_table(of_results, (*names, "main score"), left=4))
    if of_results and of_tables:
        print()
    if of_tables:
        print(text_table(of_tables, (*names, MAP.label, ONE_TARGET.label), left=4))


def _result_groups(path: Path, by: Kind) -> Iterator[tuple[str, ...]]:
    """Yield the groups of the results in a file or below a folder: the mean of the main score over the pairs."""
    from beir_hybrid.leaderboard.board.family_scores import group_means
    from beir_hybrid.mteb.results import MAIN_SCORE, find_results

    for result in find_results(path) if path.is_dir() or path.suffix == ".json" else []:
        if result.by_setting:
            by_subset = {subset: result.value(subset, MAIN_SCORE) for subset in result.scores}
            for group, figure in group_means(by_subset, by).items():
                yield *_names(result), group, str(figure.pairs), _number(figure.mean)


def _table_groups(path: Path, by: Kind) -> Iterator[tuple[str, ...]]:
    """Yield the groups of the rank tables at a path: mAP in the pools of single languages, and one-target mAP."""
    from beir_hybrid.families import groups_of
    from beir_hybrid.leaderboard.board.family_scores import family_scores
    from beir_hybrid.ranks import rank_table

    check_exists(path)
    for file in rank_table.rank_tables_below(path) if path.suffix != ".json" else []:
        table, info = rank_table.read(file)
        figures = family_scores(table, info)
        subsets = {subset for groups in figures.values() for scores in groups.values() for subset in scores.subsets}
        for group, pairs in groups_of(sorted(map(Subset.parse, subsets)), by).items():
            of_group = [figures.get(metric.name, {}).get(group) for metric in (MAP, ONE_TARGET)]
            averages = [None if scores is None else scores.average for scores in of_group]
            yield (
                *(info.model, short_revision(info.model_revision), info.task, group, str(len(pairs))),
                *map(_number, averages),
            )


def _number(mean: float | None) -> str:
    return "-" if mean is None or math.isnan(mean) else f"{mean:.4f}"


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
