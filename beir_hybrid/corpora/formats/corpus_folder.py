"""Writes a corpus as the folder that docs/own-data.md describes, and with it the pools as BEIR's loader reads them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from beir_hybrid.corpora.formats.export import SPLIT, documents_of, judgments_of
from beir_hybrid.corpora.formats.export_folder import Contents, export_folder, give_name
from beir_hybrid.corpora.own.description import Description, written
from beir_hybrid.corpora.own.entries import SCORE
from beir_hybrid.corpora.own.faults import Faults
from beir_hybrid.corpora.own.layout import IN_FOLDER, locate
from beir_hybrid.corpora.own.parts import PASSAGE, QUERY, is_id
from beir_hybrid.corpora.own.specs import content_of
from beir_hybrid.corpora.parallel import ParallelCorpus
from beir_hybrid.corpora.registry import find
from beir_hybrid.corpora.spec import CORPUS_FILE, CorpusSpec
from beir_hybrid.errors import DataError
from beir_hybrid.files import as_folder, shown
from beir_hybrid.schemas import checked
from beir_hybrid.subsets import MOST_PAIRED, MULTI, Subset

FORMS = ("jsonl", "parquet")
"""The forms of files: JSON Lines with tab-separated judgments, and Parquet."""

Row = Mapping[str, Any]

_GRADES = {QUERY: str, PASSAGE: str, SCORE: int}
"""The columns of judgments."""

_AT_ONCE = 10_000
"""Rows of Parquet that are written at once."""


def export_corpus(corpus: ParallelCorpus, out: Path, force: bool = False, form: str = "jsonl") -> Path:
    """Write a corpus as a folder that ``spec_of_folder`` reads.

    ``<out>/<name>/`` holds ``corpus.toml``, and for each language ``corpus.jsonl``, ``queries.jsonl`` and
    ``qrels/test.tsv``: a data set as BEIR's GenericDataLoader reads it. Up to 20 languages also have what BEIR needs
    for all other pairs: beside the passages of a language, and of all in ``multi``, stand ``<language>-queries.jsonl``
    and ``<language>-qrels/test.tsv`` of each question language. Files that are the same are one file with several
    names, where the file system knows hard links. Passages are written one by one.

    Args:
        corpus: The corpus. Some languages of one are a corpus of these languages, with a task of their own.
        out: The folder above the export; it is created.
        force: Replace a folder ``<out>/<name>`` that is not ours, or of another revision, other languages or another
            form.
        form: One of FORMS; ``parquet`` writes Parquet, and no pairs for BEIR.

    Returns:
        The folder ``<out>/<name>``.

    Raises:
        DataError: A language has no passage, or an id cannot be written.
        BeirHybridError: The folder must not be replaced or cannot be written.
    """
    for language, part in corpus.languages.items():
        if not part.passages:
            raise DataError(f"{corpus.name} {language}: there is no passage, and so no pool to export")
    target = Path(out) / as_folder(corpus.name)
    pairs = _pairs(corpus) if form == "jsonl" else {}
    spec = _spec_of(corpus)
    contents = Contents(
        corpus.name,
        corpus.revision,
        None if spec is None else spec.licence,
        [*map(str, pairs)],
        languages=" ".join(corpus.languages),
        files=form,
    )
    with export_folder(target, contents, force) as folder:
        for language in corpus.languages:
            _write_language(folder / language, corpus, language, form)
        for pair, qrels in pairs.items():
            _write_pair(folder, corpus, pair, qrels)
        description = _description(corpus, spec, folder)
        (folder / CORPUS_FILE).write_text(written(description), encoding="utf-8", newline="\n")
    return target


def _spec_of(corpus: ParallelCorpus) -> CorpusSpec | None:
    """Return what is known of the corpus in these languages."""
    registered = find(corpus.name)
    spec = corpus.spec or (registered and replace(registered, revision=corpus.revision))
    return spec and spec.restricted(corpus.languages)


def _description(corpus: ParallelCorpus, spec: CorpusSpec | None, folder: Path) -> Description:
    """Return what the corpus.toml of an exported folder says."""
    content: dict[str, Any] = {"name": as_folder(corpus.name), "languages": list(corpus.languages)}
    if spec is None:
        return checked(Description, {**content, "licence": "not specified"}, corpus.name)
    if spec.task is not None:
        # Where a task of MTEB's own decides how models are asked, of the folder's texts it does not: ranks are others.
        content["task"] = spec.task.name if spec.origin is None else f"{spec.task.name}Folder"
    if spec.origin is None and spec.revision:
        files = locate(folder, content["languages"], Faults())
        content |= {"revision": spec.revision, "content": content_of(folder, files)}
    content |= {
        "licence": spec.licence or "not specified",
        "title": spec.title or content["name"],
        "citation": spec.citation,
        "metrics": list(spec.metrics) or ["map"],
        "judged_in_own_language": spec.judged_in_own_language,
        "adapted_from": list(spec.adapted_from),
    }
    return checked(Description, content, corpus.name)


def _write_language(folder: Path, corpus: ParallelCorpus, language: str, form: str) -> None:
    part = corpus.languages[language]
    asked = {question for other in corpus.languages.values() for question in other.question_ids}
    own = set(part.question_ids)
    others = [question for question in part.relevance if question in asked - own]
    kinds: dict[str, tuple[dict[str, type], Iterable[Row]]] = {
        "corpus": (
            {"_id": str, "title": str, "text": str},
            ({"_id": _checked(name), **document} for name, document in documents_of(corpus, language)),
        )
    }
    if own:
        kinds["queries"] = ({"_id": str, "text": str, "article": str}, _questions(corpus, language))
        kinds["qrels"] = (_GRADES, _judgments(corpus, language, part.question_ids))
    if others:
        kinds["others"] = (_GRADES, _judgments(corpus, language, others))
    if ignored := {question: rows for question, rows in part.ignored.items() if question in asked and len(rows)}:
        kinds["ignored"] = ({QUERY: str, PASSAGE: str}, _ignored(corpus, language, ignored))
    for kind, (columns, rows) in kinds.items():
        if form == "parquet":
            _write_parquet(folder / f"{kind}.parquet", columns, rows)
        else:
            _write_text(folder / IN_FOLDER[kind], columns, rows)


def _questions(corpus: ParallelCorpus, language: str) -> Iterator[Row]:
    """Yield the questions of a language, with their articles where they are not their own."""
    part = corpus.languages[language]
    for query, question, text, article in zip(
        part.query_ids, part.question_ids, part.questions, part.articles, strict=True
    ):
        yield {"_id": _checked(query), "text": text} | ({"article": article} if article != question else {})


def _judgments(corpus: ParallelCorpus, language: str, questions: Sequence[str]) -> Iterator[Row]:
    """Yield the judgments of passages in a language, of some questions."""
    ids = corpus.languages[language].passage_ids
    for question in questions:
        for row, grade in corpus.relevant(question, language).items():
            yield {QUERY: f"{language}:{question}", PASSAGE: ids[row], SCORE: grade}


def _ignored(corpus: ParallelCorpus, language: str, ignored: Mapping[str, Sequence[int]]) -> Iterator[Row]:
    ids = corpus.languages[language].passage_ids
    for question, rows in ignored.items():
        for row in rows:
            yield {QUERY: f"{language}:{question}", PASSAGE: ids[row]}


def _checked(name: str) -> str:
    """Return an id that can be read back."""
    if not is_id(name):
        raise DataError(f"the id {shown(repr(name))} holds a tab or a line break, and cannot be written; rename it")
    return name


def _pairs(corpus: ParallelCorpus) -> dict[Subset, dict[str, dict[str, int]]]:
    """Return the judgments of the pairs of question language and pool that are written for BEIR.

    BEIR cannot read a pair without any, which is left out.
    """
    if len(corpus.languages) > MOST_PAIRED:
        return {}
    pairs = [Subset(language, pool) for pool in (*corpus.languages, MULTI) for language in corpus.languages]
    return {pair: qrels for pair in pairs if (qrels := judgments_of(corpus, *pair))}


def _write_pair(folder: Path, corpus: ParallelCorpus, pair: Subset, qrels: Mapping[str, Mapping[str, int]]) -> None:
    language, pool = pair
    (folder / pool).mkdir(exist_ok=True)
    if pool == MULTI and not (folder / pool / IN_FOLDER["corpus"]).exists():
        documents = ({"_id": name, **document} for name, document in documents_of(corpus, pool))
        _write_text(folder / pool / IN_FOLDER["corpus"], {}, documents)
    give_name(folder / language / IN_FOLDER["queries"], folder / pool / f"{language}-{IN_FOLDER['queries']}")
    path = folder / pool / f"{language}-qrels" / f"{SPLIT}.tsv"
    path.parent.mkdir()
    if language == pool:
        give_name(folder / language / IN_FOLDER["qrels"], path)
    else:
        judged = ((query, name, grade) for query, grades in qrels.items() for name, grade in grades.items())
        _write_text(path, _GRADES, (dict(zip(_GRADES, row, strict=True)) for row in judged))


def _write_text(path: Path, columns: Mapping[str, type], rows: Iterable[Row]) -> None:
    """Write JSON Lines, or tab-separated values by the end of the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        else:
            writer = csv.DictWriter(file, list(columns), delimiter="\t", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _write_parquet(path: Path, columns: Mapping[str, type], rows: Iterable[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(name, pa.string() if kind is str else pa.int64()) for name, kind in columns.items()])
    iterator = iter(rows)
    with pq.ParquetWriter(path, schema) as file:
        while batch := list(islice(iterator, _AT_ONCE)):
            file.write_table(pa.Table.from_pylist(batch, schema))
