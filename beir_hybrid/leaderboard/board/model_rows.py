"""Which models make a row: one model, or several training seeds of one recipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TypeVar

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.leaderboard.inputs.evaluations import RankSource
from beir_hybrid.leaderboard.inputs.score_file import ScoreSource
from beir_hybrid.leaderboard.inputs.settings import NO_BASE, ModelEntry, Settings, unique_key
from beir_hybrid.mteb.results import ResultSource
from beir_hybrid.ranks.schema import is_named
from beir_hybrid.revisions import short_revision

MARKS = "†‡§¶"
"""Marks of a significant gain over the first, the second, ... baseline."""

_SHORTEST_REVISION = 7
"""Letters of a revision from which on a part of it is understood, as Git does."""

Source = TypeVar("Source", RankSource, ResultSource, ScoreSource)


@dataclass(frozen=True)
class Run:
    """What is known of one model in one revision.

    Attributes:
        model: Name of the model.
        revision: Its revision.
        ranks: Task -> rank table.
        results: Task -> result of MTEB.
        scores: Task -> scores by question, of tasks without a rank table.
    """

    model: str
    revision: str
    ranks: Mapping[str, RankSource]
    results: Mapping[str, ResultSource]
    scores: Mapping[str, ScoreSource] = field(default_factory=dict)

    def matches(self, pattern: str) -> bool:
        """Whether a pattern such as ``me/*``, ``me/mine@main`` or, shortened, ``me/mine@0123456`` names this run."""
        if fnmatchcase(self.model, pattern) or fnmatchcase(f"{self.model}@{self.revision}", pattern):
            return True
        model, _, revision = pattern.rpartition("@")
        (whole, *of_whole), (part, *of_part) = self.revision.split("/", 1), revision.split("/", 1)
        shortened = len(part) >= _SHORTEST_REVISION and whole.startswith(part) and of_whole == of_part
        return shortened and fnmatchcase(self.model, model)

    @property
    def short_name(self) -> str:
        """Name and revision, shortened, as ``matches`` takes them."""
        return f"{self.model}@{short_revision(self.revision)}"


@dataclass(frozen=True)
class Row:
    """A row of the leaderboard.

    Attributes:
        entry: What the settings say of it.
        runs: Its training seeds, in the order of model and revision.
    """

    entry: ModelEntry
    runs: tuple[Run, ...]

    @property
    def key(self) -> str:
        """Name of the row in the board."""
        return self.entry.key


@dataclass(frozen=True)
class Baseline:
    """A row that others are compared with.

    Attributes:
        row: Key of the row.
        label: What the captions call it.
        mark: The mark of a significant gain over it.
        base: The base encoder whose rows it is compared with; None for all.
    """

    row: str
    label: str
    mark: str
    base: str | None

    def applies_to(self, row: Row) -> bool:
        """Whether a row is compared with this baseline."""
        return row.key != self.row and self.base in (None, row.entry.base)


def runs_of(
    ranks: Iterable[RankSource], results: Iterable[ResultSource], scores: Iterable[ScoreSource] = ()
) -> list[Run]:
    """Put together what belongs to one model and revision, in the order of their names.

    Where there is a rank table, which holds more, scores by question of the same model and task are not needed.

    Raises:
        BeirHybridError: Two rank tables, predictions, results or files of scores hold the same model, revision and
            task.
    """
    of_ranks, of_results, of_scores = _by_run(ranks), _by_run(results), _by_run(scores)
    # MTEB's results do not say in which state a model was that has no name: they are not put beside ranks of one.
    for name in [name for name in of_results if name in of_ranks and not is_named(*name)]:
        of_results[name[0], f"{name[1]} (MTEB's results)"] = of_results.pop(name)
    runs = []
    for name in sorted({*of_ranks, *of_results, *of_scores}):
        tables = of_ranks.get(name, {})
        further = {task: source for task, source in of_scores.get(name, {}).items() if task not in tables}
        runs.append(Run(*name, tables, of_results.get(name, {}), further))
    return runs


def _by_run(sources: Iterable[Source]) -> dict[tuple[str, str], dict[str, Source]]:
    """Return (model, revision) -> task -> source."""
    found: dict[tuple[str, str], dict[str, Source]] = {}
    for source in sources:
        of_run = found.setdefault((source.model, source.revision), {})
        first = of_run.setdefault(source.task, source)
        if first is not source:
            raise BeirHybridError(
                f"{first.file} and {source.file} both hold {source.task} of {source.model}, revision "
                f"{source.revision}; remove one"
            )
    return found


def make_rows(settings: Settings, runs: Sequence[Run]) -> list[Row]:
    """Assign the runs to the rows that the settings ask for; without any, every run is a row.

    Raises:
        BeirHybridError: A row has no run, or two rows have the same one.
    """
    if not settings.models:
        return _row_of_each(runs)
    rows: list[Row] = []
    owner: dict[tuple[str, str], str] = {}
    for entry in settings.models:
        matched = tuple(run for run in runs if any(run.matches(pattern) for pattern in entry.models))
        if not matched:
            raise BeirHybridError(
                f"the row {entry.label!r}: no rank table or result of {', '.join(entry.models)} was found; found were "
                f"{_names(runs)}"
            )
        for run in matched:
            other = owner.setdefault((run.model, run.revision), entry.label)
            if other != entry.label:
                raise BeirHybridError(f"{run.model}@{run.revision} is in two rows, {other!r} and {entry.label!r}")
        rows.append(Row(entry, matched))
    return rows


def _row_of_each(runs: Sequence[Run]) -> list[Row]:
    rows: list[Row] = []
    names = Counter(run.model for run in runs)
    shortened = Counter(run.short_name for run in runs)
    for run in runs:
        revision = short_revision(run.revision) if shortened[run.short_name] == 1 else run.revision
        label = run.model if names[run.model] == 1 else f"{run.model} ({revision})"
        key = unique_key(label, [row.key for row in rows])
        rows.append(Row(ModelEntry(key=key, label=label, models=(f"{run.model}@{run.revision}",)), (run,)))
    return rows


def find_baselines(settings: Settings, rows: Sequence[Row]) -> list[Baseline]:
    """Find the baselines: rows that the settings call so for their base encoder, then those asked for by name.

    Raises:
        BeirHybridError: A baseline is not there, is not one row, or there are too many.
    """
    labels = list(dict.fromkeys(row.entry.baseline for row in rows if row.entry.baseline))
    if len(labels) + len(settings.baselines) > len(MARKS):
        raise BeirHybridError(f"{len(labels) + len(settings.baselines)} baselines; there are {len(MARKS)} marks")
    baselines: list[Baseline] = []
    for row in rows:
        label, base = row.entry.baseline, row.entry.base
        if label:
            if any((other.label, other.base) == (label, base) for other in baselines):
                where = "" if base == NO_BASE else f" of {base}"
                raise BeirHybridError(f"two rows are the baseline {label!r}{where}; one is needed")
            baselines.append(Baseline(row.key, label, MARKS[labels.index(label)], base))
    for number, name in enumerate(settings.baselines, len(labels)):
        row = _named(name, rows)
        baselines.append(Baseline(row.key, row.entry.label, MARKS[number], None))
    return baselines


def _named(name: str, rows: Sequence[Row]) -> Row:
    named = [row for row in rows if name in (row.key, row.entry.label)]
    named = named or [row for row in rows if any(run.matches(name) for run in row.runs)]
    if len(named) != 1:
        found = "is not among the models" if not named else f"names {len(named)} rows; write name@revision"
        raise BeirHybridError(f"the baseline {name} {found}: {_names([run for row in rows for run in row.runs])}")
    return named[0]


def _names(runs: Sequence[Run], most: int = 10) -> str:
    names = [run.short_name for run in runs]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "none"
