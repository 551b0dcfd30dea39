"""Corpora as other tools read them: pools as BEIR's loaders give them, and TREC's judgments and runs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

from beir_hybrid.corpora.formats.export_folder import Contents, export_folder
from beir_hybrid.corpora.formats.trec import read_predictions, write_trec_qrels, write_trec_run
from beir_hybrid.corpora.parallel import ParallelCorpus
from beir_hybrid.corpora.registry import find
from beir_hybrid.errors import DataError
from beir_hybrid.files import as_folder
from beir_hybrid.subsets import MULTI, Subset, is_subset

SPLIT = "test"


def languages_of_pool(corpus: ParallelCorpus, pool: str) -> list[str]:
    """Return the languages of a pool, which is a language or ``multi``."""
    return list(corpus.languages) if pool == MULTI else [pool]


def documents_of(corpus: ParallelCorpus, pool: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield id and BEIR document, {"title", "text"}, of the passages of a pool."""
    for language in languages_of_pool(corpus, pool):
        part = corpus.languages[language]
        titles = repeat("", len(part.passages)) if part.titles is None else part.titles
        for passage_id, title, text in zip(part.passage_ids, titles, part.passages, strict=True):
            yield passage_id, {"title": title, "text": text}


def judgments_of(corpus: ParallelCorpus, questions: str, pool: str) -> dict[str, dict[str, int]]:
    """Return the judgments of the questions that have a relevant passage in the pool.

    Args:
        corpus: The corpus.
        questions: Language of the questions.
        pool: Language of the passages, or ``multi``.

    Returns:
        Query id -> passage id -> grade, in the order of the corpus.
    """
    qrels = corpus.judgments(questions, languages_of_pool(corpus, pool))
    return {query_id: grades for query_id, grades in qrels.items() if grades}


def export_trec(
    corpus: ParallelCorpus, out: Path, force: bool = False, predictions: Path | None = None, progress: bool = False
) -> Path:
    """Write the judgments of all subsets in TREC's format, and predictions as runs.

    ``<out>/<name>-trec/`` holds ``qrels/<subset>.qrels``, and ``runs/<model>/<revision>/<subset>.run`` for
    predictions. Runs of other models that lie there already are kept.

    Args:
        corpus: The corpus.
        out: The folder above the export; it is created.
        force: Replace a folder that is not ours, or of another revision.
        predictions: MTEB's predictions file; its subsets in languages that ``corpus`` lacks are left out.
        progress: Show a progress bar over the runs, if standard error is a terminal.

    Returns:
        The folder ``<out>/<name>-trec``.

    Raises:
        DataError: An id cannot be written, or the predictions are malformed or not of this data set.
        BeirHybridError: The folder must not be replaced or cannot be written.
    """
    target = Path(out) / f"{corpus.name}-trec"
    qrels = _judged_pairs(corpus)
    spec = find(corpus.name)
    licence = spec.licence if spec else None
    contents = Contents(corpus.name, corpus.revision, licence, [*map(str, qrels)], files="trec")
    with export_folder(target, contents, force) as folder:
        for pair, grades in qrels.items():
            write_trec_qrels(folder / "qrels" / f"{pair}.qrels", grades)
        if predictions is not None:
            _write_runs(corpus, predictions, folder / "runs", progress)
    return target


def _all_languages(corpus: ParallelCorpus) -> tuple[str, ...]:
    """The languages of the corpus that this is, or is a part of."""
    spec = find(corpus.name)
    is_whole = corpus.spec is not None and corpus.spec.revision == corpus.revision
    return tuple(corpus.languages) if is_whole or spec is None else spec.languages


def _pools(corpus: ParallelCorpus) -> list[str]:
    """The pools that can be exported; that of all languages only if none is missing."""
    return [*corpus.languages, *([MULTI] if set(_all_languages(corpus)) == set(corpus.languages) else [])]


def _judged_pairs(corpus: ParallelCorpus) -> dict[Subset, dict[str, dict[str, int]]]:
    """The judgments of each question language and pool, as far as there are any."""
    for language, part in corpus.languages.items():
        if not part.passages:
            raise DataError(f"{corpus.name} {language}: there is no passage, and so no pool to export")
    pairs = [Subset(language, pool) for pool in _pools(corpus) for language in corpus.languages]
    return {pair: qrels for pair in pairs if (qrels := judgments_of(corpus, *pair))}


def _write_runs(corpus: ParallelCorpus, predictions: Path, folder: Path, progress: bool) -> None:
    """Write the predictions of each subset as a run in ``folder``/<model>/<revision>."""
    from tqdm.auto import tqdm

    entries = read_predictions(predictions)
    key, meta = next(entries)
    if key != "mteb_model_meta":
        raise DataError(f"{predictions} does not begin with its model; it is not a predictions file of MTEB")
    model, revision = (as_folder(str(meta.get(field))) for field in ("model_name", "revision"))
    ids = {
        pool: {i for language in languages_of_pool(corpus, pool) for i in corpus.languages[language].passage_ids}
        for pool in _pools(corpus)
    }
    n_runs = 0
    for subset, splits in tqdm(entries, desc="Writing runs", unit=" subsets", disable=None if progress else True):
        language, pool = _pair(corpus, subset, predictions)
        if language in corpus.languages and pool in ids:
            if SPLIT not in splits:
                raise DataError(f"{predictions}: {subset} has no predictions of the split {SPLIT!r}")
            where = f"{predictions}: {subset}"
            _check_ids(where, splits[SPLIT], set(corpus.languages[language].query_ids), ids[pool], corpus.name)
            write_trec_run(folder / model / revision / f"{subset}.run", splits[SPLIT], f"{model}@{revision}")
            n_runs += 1
    if n_runs == 0:
        raise DataError(f"{predictions} holds no subset of {corpus.name} in {', '.join(corpus.languages)}")


def _pair(corpus: ParallelCorpus, subset: str, predictions: Path) -> Subset:
    languages = _all_languages(corpus)
    pair = Subset.parse(subset) if is_subset(subset) else Subset("", "")
    if pair.questions not in languages or pair.pool not in (*languages, MULTI):
        raise DataError(f"{predictions}: {subset!r} is not a subset of {corpus.name}; is the file of another task?")
    return pair


def _check_ids(where: str, results: Any, query_ids: set[str], passage_ids: set[str], name: str) -> None:
    """Make sure that results are scores of passages that exist."""
    try:
        unknown = results.keys() - query_ids
        unknown |= {passage_id for scores in results.values() for passage_id in scores.keys() - passage_ids}
        numbers = all(isinstance(score, int | float) for scores in results.values() for score in scores.values())
    except AttributeError:
        numbers, unknown = False, set()
    if unknown:
        raise DataError(f"{where} names {min(unknown)!r}, which is not in {name}; is it of another data set?")
    if not numbers:
        raise DataError(f"{where} is not query id -> passage id -> score; run the evaluation again")
