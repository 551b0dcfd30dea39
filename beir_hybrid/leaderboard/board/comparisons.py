"""Which rows are compared in which column, and over what their p values are corrected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from statistics import fmean
from typing import Any

from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.measures import Figure
from beir_hybrid.leaderboard.board.model_rows import Baseline, Row
from beir_hybrid.leaderboard.board.strata import in_strata
from beir_hybrid.leaderboard.board.unit_scores import ColumnScores
from beir_hybrid.leaderboard.inputs.settings import Settings
from beir_hybrid.leaderboard.stats.corrections import Correction
from beir_hybrid.leaderboard.stats.query_scores import QueryScores
from beir_hybrid.leaderboard.stats.rank_ranges import RankRange, equivalence_groups, rank_ranges
from beir_hybrid.leaderboard.stats.significance import Comparison, Pair, compare_many, corrected
from beir_hybrid.leaderboard.stats.verdicts import verdict


@dataclass(frozen=True)
class ColumnTests:
    """The tests of one column.

    Attributes:
        column: The column.
        pairs: Every two rows, in one order, -> their comparison, corrected over these.
        ranks: Row -> the ranks that the comparisons allow; none where the figure has no better side.
        equivalent: Row -> letters of the groups of equivalent rows that it belongs to; empty without a margin.
        shown: (row, baseline) -> the same comparison, corrected over all that the main table shows.
    """

    column: Column
    pairs: Mapping[Pair, Comparison]
    ranks: Mapping[str, RankRange]
    equivalent: Mapping[str, str]
    shown: Mapping[Pair, Comparison] = field(default_factory=dict)

    @property
    def rows(self) -> set[str]:
        """The rows that were compared."""
        return {row for pair in self.pairs for row in pair}


def against_baselines(rows: Sequence[Row], baselines: Sequence[Baseline]) -> list[Pair]:
    """Return all (row, baseline) that are to be compared; two baselines are, in both orders."""
    return [(row.key, one.row) for one in baselines for row in rows if one.applies_to(row)]


def one_order(pairs: Iterable[Pair]) -> list[Pair]:
    """Keep the first of the pairs that hold the same two rows: a test is the same in both orders."""
    found: dict[frozenset[str], Pair] = {}
    for pair in pairs:
        found.setdefault(frozenset(pair), pair)
    return list(found.values())


def compare_rows(
    settings: Settings,
    scores: Mapping[str, Sequence[ColumnScores] | QueryScores],
    pairs: Sequence[Pair],
    metric: str,
    higher_is_better: bool | None,
    correction: Correction | None = None,
) -> list[Comparison]:
    """Compare rows as the settings of a leaderboard say; see ``compare_many``."""
    return compare_many(
        scores,
        pairs,
        unit=settings.unit,
        flips=settings.flips,
        resamples=settings.resamples,
        confidence=settings.confidence,
        seed=settings.seed,
        common_only=settings.common_questions,
        correction=correction,
        margin=settings.margins.get(metric),
        higher_is_better=higher_is_better,
    )


def entry_of(comparison: Comparison, alpha: float, higher_is_better: bool | None) -> dict[str, Any]:
    """Return what the board says of a comparison: all that was computed, and what it has shown."""
    facts = asdict(comparison)
    del facts["p_noninferiority_of_baseline"]  # that of the comparison turned round
    del facts["p_noninferiority_t"]  # a gate's
    return {**facts, "verdict": verdict(comparison, alpha, higher_is_better)}


def compare_columns(
    settings: Settings,
    figures: Mapping[Column, Mapping[str, Figure]],
    shown: Sequence[Pair],
    progress: bool = False,
) -> list[ColumnTests]:
    """Compare every two rows in every column.

    Args:
        settings: How.
        figures: Column -> row -> its figure; those without unit scores are left out.
        shown: (row, baseline) that the main table shows; their p values are corrected over all columns at once, each
            test once.
        progress: Show a progress bar, if standard error is a terminal.

    Returns:
        The tests of the columns in which there is anything to compare.

    Raises:
        RankTableError: Two rows cannot be compared.
    """
    from tqdm.auto import tqdm

    bar = tqdm(figures.items(), desc="Testing", unit=" columns", disable=None if progress else True)
    tests = [_test(settings, column, of_column, shown) for column, of_column in bar]
    return _correct_shown(settings, [one for one in tests if one.pairs], shown)


def _test(settings: Settings, column: Column, figures: Mapping[str, Figure], shown: Sequence[Pair]) -> ColumnTests:
    """Compare every two rows of a column, one with its baseline in this order."""
    scores = {key: figure.scores for key, figure in figures.items() if figure.scores is not None}
    if any(seed.means for seeds in scores.values() for seed in seeds):  # stored in strata: so must the others be
        scores = {key: tuple(map(in_strata, seeds)) for key, seeds in scores.items()}
    first = [pair for pair in shown if scores.keys() >= set(pair)]
    pairs = one_order([*first, *combinations(scores, 2)])
    comparisons = compare_rows(settings, scores, pairs, column.metric, column.higher_is_better, settings.correction)
    by_pair = dict(zip(pairs, comparisons, strict=True))
    order = sorted(scores, key=lambda key: fmean(figures[key].values), reverse=column.higher_is_better is not False)
    equivalent = equivalence_groups(order, by_pair, alpha=settings.alpha)
    if column.higher_is_better is None:
        return ColumnTests(column, by_pair, {}, equivalent)
    ranks = rank_ranges(order, by_pair, alpha=settings.alpha, higher_is_better=column.higher_is_better)
    return ColumnTests(column, by_pair, ranks, equivalent)


def _correct_shown(settings: Settings, tests: Sequence[ColumnTests], shown: Sequence[Pair]) -> list[ColumnTests]:
    """Correct the comparisons that the main table shows over all of its columns, each test once."""
    found = {
        (number, pair): _between(pair, test.pairs)
        for number, test in enumerate(tests)
        for pair in shown
        if test.rows >= set(pair)
    }
    once: dict[tuple[int, frozenset[str]], tuple[int, Pair]] = {}
    for number, pair in found:
        once.setdefault((number, frozenset(pair)), (number, pair))
    # A difference is one test in both orders; that one is not worse than the other is another one in each.
    in_one_order = corrected([found[key] for key in once.values()], settings.correction)
    symmetric = dict(zip(once, in_one_order, strict=True))
    in_both_orders = dict(zip(found, corrected(list(found.values()), settings.correction), strict=True))
    of_column: list[dict[Pair, Comparison]] = [{} for _ in tests]
    for (number, pair), comparison in in_both_orders.items():
        same = symmetric[number, frozenset(pair)]
        of_column[number][pair] = replace(
            comparison, p_corrected=same.p_corrected, p_equivalence_corrected=same.p_equivalence_corrected
        )
    return [replace(test, shown=comparisons) for test, comparisons in zip(tests, of_column, strict=True)]


def _between(pair: Pair, comparisons: Mapping[Pair, Comparison]) -> Comparison:
    """Return the comparison of two rows in the order asked for."""
    return comparisons[pair] if pair in comparisons else comparisons[pair[1], pair[0]].turned_round()
