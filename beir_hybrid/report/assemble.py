"""A report from one run or two and their corpus, and what is checked before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from beir_hybrid.corpora import registry
from beir_hybrid.errors import DataError, RankTableError
from beir_hybrid.files import shown
from beir_hybrid.indexing.index_table import SHARES
from beir_hybrid.interface.evaluate_model import read_corpus
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.metrics import metric_of
from beir_hybrid.ranks import rank_table
from beir_hybrid.ranks.schema import NO_NAME
from beir_hybrid.report.content import Report, RunFacts, Table
from beir_hybrid.report.examples import examples_of
from beir_hybrid.report.figures import first_screen
from beir_hybrid.report.matter import compared, matter_of, sentences
from beir_hybrid.report.pair_maps import heat_maps
from beir_hybrid.scoring.bias import coverage_text
from beir_hybrid.subsets import MOST_PAIRED, MULTI, Subset

if TYPE_CHECKING:
    from beir_hybrid.corpora import ParallelCorpus, Source

KEEP_TOP = 10
"""Top passages of each query that a report is made from."""


def build_report(runs: Sequence[RankTable], corpus: ParallelCorpus, examples: int = 50) -> Report:
    """Make the report of one run, or of two side by side.

    Args:
        runs: One or two, of the same data and with their top passages; the second is what the first is compared with.
        corpus: The corpus that they are of.
        examples: Examples to read.

    Raises:
        RankTableError: The runs lack their top passages or ranks in the pool of all languages, or are not of the same
            data.
        DataError: The corpus is not the one that they are of.
    """
    check_runs(runs)
    corpus = read_corpus(corpus)
    check_corpus(runs[0], corpus)
    spec, info = corpus.spec, runs[0].info
    assert spec is not None
    labels = labels_of(runs)
    screen, matters = first_screen(runs), [matter_of(run) for run in runs]
    said = [sentences(matter, run.info.cut) for matter, run in zip(matters, runs, strict=True)]
    if len(runs) > 1:
        said = [f"{label}: {sentence}" for label, sentence in zip(labels, said, strict=True)]
        said = [compared(labels, matters, [run.info.cut for run in runs]), *said]
    return Report(
        task=info.task,
        corpus=spec.title,
        licence=spec.licence,
        citation=(spec.task.reference if spec.task is not None else "") or spec.citation,
        dataset_revision=info.dataset_revision,
        runs=[_facts(label, run) for label, run in zip(labels, runs, strict=True)],
        matter=[sentence for sentence in said if sentence],
        figures=screen.rows,
        unit=screen.unit,
        units=screen.units,
        heat_maps=heat_maps(runs),
        examples=examples_of(runs, corpus, examples),
        tables=list(_index_tables(labels, runs)),
        notes=list(_notes(labels, runs, screen.coverage)),
        versions=_versions(runs),
    )


# Checks


def check_runs(runs: Sequence[RankTable]) -> None:
    """Refuse runs that no report can be made of.

    Raises:
        RankTableError: They are none or more than two, lack their top passages or ranks in the pool of all languages,
            or are not of the same data and subsets.
    """
    if not 1 <= len(runs) <= 2:
        raise RankTableError(f"a report is of one run or of two, not of {len(runs)}")
    for run in runs:
        called = shown(run.path or f"{run.info.model} on {run.info.task}")
        if not any(pool == MULTI for _, pool in _evaluated(run)):
            raise RankTableError(
                f"{called}: the pool of all languages was not evaluated, which a report is about; evaluate all subsets"
            )
        if run.tops is None:
            raise RankTableError(
                f"{called}: the top passages were not kept, which a report shows; evaluate the model again with "
                f"--keep-top {KEEP_TOP}"
            )
    if len(runs) == 1:
        return
    for what, hint, values in (
        ("task", "evaluate both on the same corpus", [run.info.task for run in runs]),
        ("data revision", "evaluate both on the same data", [run.info.dataset_revision for run in runs]),
        ("languages", "evaluate both on the same corpus", [", ".join(run.info.pool_sizes) for run in runs]),
    ):
        if values[0] != values[1]:
            raise RankTableError(
                f"{' and '.join(labels_of(runs))} cannot stand side by side: the {what} of one is "
                f"{shown(values[0])}, of the other {shown(values[1])}; {hint}"
            )
    pairs = [_evaluated(run) for run in runs]
    if pairs[0] != pairs[1]:
        questions, pool = min(pairs[0] ^ pairs[1])
        raise RankTableError(
            f"{' and '.join(labels_of(runs))} cannot stand side by side: only one was "
            f"evaluated on {Subset(questions, pool)}; evaluate both on the same subsets"
        )


def check_corpus(run: RankTable, corpus: ParallelCorpus) -> None:
    """Refuse a corpus that a run is not of.

    Args:
        run: The run.
        corpus: The corpus, as ``read_corpus`` gives it.

    Raises:
        DataError: Its task or its revision is another one.
    """
    spec = corpus.spec
    assert spec is not None and spec.task is not None
    for what, found, wanted in (
        ("task", spec.task.name, run.info.task),
        ("revision", spec.revision, run.info.dataset_revision),
    ):
        if found != wanted:
            raise DataError(
                f"{shown(corpus.name)} is not the corpus of the ranks of {shown(run.info.model)}: its {what} is "
                f"{shown(found)}, theirs is {shown(wanted)}; name theirs with --data, or evaluate the model on this one"
            )


def corpus_of(run: RankTable, source: Source | None, progress: bool) -> ParallelCorpus:
    """Read the corpus that a run is of.

    Args:
        run: The run.
        source: What ``load`` takes; None for the registered corpus of its task.
        progress: Show a progress bar for downloads.

    Raises:
        DataError: No registered corpus has this task, or the corpus named is another one.
    """
    languages = list(run.info.pool_sizes)
    if source is None:
        source = _registered(run.info.task, languages)
    corpus = read_corpus(source, languages, progress)
    check_corpus(run, corpus)
    return corpus


def _registered(task: str, languages: Sequence[str]) -> str:
    """Return the name of the registered corpus of a task, which may be one of some of its languages."""
    for spec in registry.retrieval_specs():
        if spec.task is None or not {*languages} <= {*spec.languages}:
            continue
        restricted = spec.restricted(languages).task
        if restricted is not None and restricted.name == task:
            return spec.name
    raise DataError(f"{shown(task)} is the task of no registered corpus; name the corpus with --data")


# Facts


def labels_of(runs: Sequence[RankTable]) -> list[str]:
    """Return what the runs are called: their models, by the last part of the name where that tells them apart."""
    names = [shown(run.info.model) for run in runs]
    short = [name if name == NO_NAME else name.rpartition("/")[2] or name for name in names]
    indexes = [f" ({shown(run.index.name)})" if run.index is not None else "" for run in runs]
    short = [name + index for name, index in zip(short, indexes, strict=True)]
    revisions = [shown(run.info.model_revision) for run in runs]
    full = [f"{name} ({revision})" for name, revision in zip(names, revisions, strict=True)]
    return next((labels for labels in (short, names) if len({*labels}) == len(runs)), full)


def _facts(label: str, run: RankTable) -> RunFacts:
    return RunFacts(label, run.info.model, run.info.model_revision, run.info.cut)


def _index_tables(labels: Sequence[str], runs: Sequence[RankTable]) -> Iterator[Table]:
    """Yield what the indexes find of exact search, a table for each run of one."""
    for label, run in zip(labels, runs, strict=True):
        if run.index is not None:
            rows = [(row.language, *row.shares) for row in (*run.index.rows, run.index.means)]
            yield Table(
                f"{label}: what the index finds",
                "In the pool of all languages: shares of the exact first ten passages that are among the first ten of "
                "the index, and of the right answers that are among its first hundred, beside those of exact search.",
                ("questions in", *SHARES),
                rows,
            )


def _evaluated(run: RankTable) -> set[tuple[str, str]]:
    return rank_table.evaluated_pairs(run.ranks, run.info)


def _notes(labels: Sequence[str], runs: Sequence[RankTable], coverage: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """Yield what a reader must know: ranks that are unknown, questions that are left out, what is not tested."""
    for label, run, covered in zip(labels, runs, coverage, strict=True):
        yield from (f"{label}: {note}" for note in _notes_on(run, covered))
    if len(runs) > 1 and len(runs[0].info.pool_sizes) > MOST_PAIRED:
        yield f"The differences of heat maps are not tested where there are more than {MOST_PAIRED} languages."


def _notes_on(run: RankTable, coverage: Mapping[str, float]) -> Iterator[str]:
    asked = {questions for questions, pool in _evaluated(run) if pool == MULTI}
    missing = [language for language in run.info.pool_sizes if language not in asked]
    if missing:
        yield f"questions in {', '.join(missing)} were not asked in the pool of all languages."
    kept = run.tops.outranking if run.tops is not None else {}
    if without := [language for language in run.info.pool_sizes if language in asked - kept.keys()]:
        yield f"top passages of questions in {', '.join(without)} were not kept; what outranks answers is unknown."
    in_pool = run.ranks["rank_in_pool"][rank_table.ranked_in_pool(run.ranks, run.info)]
    unknown = int(in_pool.isna().sum())
    if run.info.cut is not None and unknown:
        yield (
            f"the search returned {run.info.cut:,} passages of each query, and {unknown:,} of {len(in_pool):,} right "
            f"answers ({100 * unknown / len(in_pool):.1f} %) were not among those of the pool of all languages. Their "
            "ranks are unknown: they count 0 in retrieval metrics, and figures that need them leave the query out."
        )
    least = min(coverage, key=coverage.__getitem__, default=None)
    if least is not None and coverage[least] < 1:
        yield (
            "figures of languages leave out queries that have answers in fewer than two languages, or of which an "
            f"answer was not returned; {metric_of(least).label}: {coverage_text(coverage[least])}."
        )


def _versions(runs: Sequence[RankTable]) -> str:
    """Return the versions of the packages that made the ranks, once if they are the same."""
    written = [", ".join(f"{name} {version}" for name, version in run.info.versions.items()) for run in runs]
    return "; ".join(dict.fromkeys(text for text in written if text))
