"""The evaluation of any model on any corpus, through the corpus's MTEB task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from beir_hybrid.corpora import CorpusSpec, ParallelCorpus, Source, load
from beir_hybrid.corpora.parallel import choose
from beir_hybrid.corpora.spec import TaskFacts, task_name_of
from beir_hybrid.errors import BeirHybridError, DataError
from beir_hybrid.files import HOME_HINT, check_writable, home, shown, user_path
from beir_hybrid.indexing import INDEX_K
from beir_hybrid.interface.any_model import Similarity, mteb_model
from beir_hybrid.interface.index_evaluation import (
    AskedIndex,
    IndexResult,
    asked_index,
    evaluate_index,
    evaluate_with_table,
)
from beir_hybrid.interface.result import Result
from beir_hybrid.ranks.tops import check_k


@overload
def evaluate(
    model: Any,
    corpus: Source | ParallelCorpus,
    *,
    languages: Iterable[str] | None = ...,
    out: str | Path | None = ...,
    batch_size: int = ...,
    name: str | None = ...,
    revision: str | None = ...,
    similarity: Similarity | None = ...,
    keep_top: int | None = ...,
    index: None = ...,
    index_params: Mapping[str, float] | None = ...,
    index_k: int = ...,
    progress: bool = ...,
) -> Result: ...


@overload
def evaluate(
    model: Any,
    corpus: Source | ParallelCorpus,
    *,
    languages: Iterable[str] | None = ...,
    out: str | Path | None = ...,
    batch_size: int = ...,
    name: str | None = ...,
    revision: str | None = ...,
    similarity: Similarity | None = ...,
    keep_top: int | None = ...,
    index: str,
    index_params: Mapping[str, float] | None = ...,
    index_k: int = ...,
    progress: bool = ...,
) -> IndexResult: ...


def evaluate(
    model: Any,
    corpus: Source | ParallelCorpus,
    *,
    languages: Iterable[str] | None = None,
    out: str | Path | None = None,
    batch_size: int = 32,
    name: str | None = None,
    revision: str | None = None,
    similarity: Similarity | None = None,
    keep_top: int | None = None,
    index: str | None = None,
    index_params: Mapping[str, float] | None = None,
    index_k: int = INDEX_K,
    progress: bool = True,
) -> Result | IndexResult:
    """Evaluate a model on a corpus: monolingual, cross-lingual and in the pool of all languages.

    It is MTEB's evaluation of the task of this corpus: rank table and scores are those of `mteb run`.

    Args:
        model: A model of Sentence Transformers (dense, sparse or multi-vector; its prompts are used); any model of
            MTEB; a name or folder that `mteb run -m` takes; a retriever of BEIR: a model with ``encode_queries`` and
            ``encode_corpus``, a search, or an ``EvaluateRetrieval``; or a function that takes a list of n texts and
            returns their vectors, shape (n, D), numpy or torch.
        corpus: What ``load`` returns or takes: the name of a data set, the folder of a corpus, ``mteb:TASK``,
            ``hub:OWNER/NAME`` or ``beir:FOLDER``; or a ``ParallelCorpus`` that was made by hand.
        languages: Tags such as ``en``: the corpus of these languages, whose pool of all languages is theirs; all by
            default.
        out: Folder above ``ranks/<model>/<revision>/<task>.parquet``, which gets the rank table; BEIR_HYBRID_HOME by
            default. ``Result.save`` writes the rest.
        batch_size: Texts that the model is given at a time.
        name: What tables call the model, such as ``me/model``; by default what it says itself. A callable, or a model
            in memory that says nothing, has no name.
        revision: Its revision there; of a name or a folder, the one to load.
        similarity: How the vectors of a callable or a BEIR model are compared, ``cosine`` (the default) or ``dot``.
        keep_top: Passages of each query to keep in the pool of all languages and in each, best first and with their
            scores: ``Result.tops``, a file beside the rank table. A report needs 10; by default none is kept.
        index: A string of faiss's index factory, such as ``IVF128,Flat``: what that index returns is ranked, one index
            over the pool of all languages, trained on its passages; ``exact`` of the result is the exact ranking.
        index_params: Parameters by their names in faiss's ParameterSpace, such as ``{"nprobe": 8}``.
        index_k: Passages that the index is asked for.
        progress: Show progress bars.

    Returns:
        Scores, figures and ranks. Of an index, and of a search, ``index`` says by language of the question what it
        finds of the exact ranking.

    Raises:
        DataError: The corpus or a language is unknown, or its files are malformed.
        ModelError: It is no model, or its vectors cannot be ranked by: of another shape, not finite.
        IndexingError: faiss cannot make the index, or searches no single language in it.
        BeirHybridError: The folder cannot be written to, or a number is not above 0.

    Examples:
        >>> import beir_hybrid as bh
        >>> def letters(texts):
        ...     return [[text.lower().count(letter) + 0.1 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        >>> result = bh.evaluate(letters, "atlas-r", languages=["en", "de"], progress=False)
        >>> result.info.model, result.settings.round(2).to_dict()
        ('callable/letters', {'monolingual': 0.12, 'cross-lingual': 0.07, 'multilingual': 0.07})
    """
    folder = home() if out is None else user_path(out)
    check_writable(folder / "ranks", HOME_HINT if out is None else "name another folder")
    check_batch_size(batch_size)
    check_k(keep_top)
    asked = asked_index(index, index_params, index_k)
    read = read_corpus(corpus, languages, progress)
    runnable = mteb_model(model, name=name, revision=revision, similarity=similarity)
    return evaluate_on(runnable, read, batch_size, progress, keep_top, asked).stored(folder)


def check_batch_size(batch_size: object) -> None:
    """Refuse a batch size that is none.

    Raises:
        BeirHybridError: It is not a whole number above 0.
    """
    if not isinstance(batch_size, int) or batch_size < 1:
        raise BeirHybridError(f"batch size {shown(batch_size)}: write a whole number above 0")


def read_corpus(
    corpus: Source | ParallelCorpus, languages: Iterable[str] | None = None, progress: bool = True
) -> ParallelCorpus:
    """Return a corpus of the languages asked for, with the spec of these languages.

    Raises:
        DataError: See ``evaluate``.
    """
    languages = languages if languages is None or isinstance(languages, str) else tuple(languages)
    if not isinstance(corpus, ParallelCorpus):
        corpus = load(corpus, languages, progress)
    spec = corpus.spec or CorpusSpec(
        corpus.name, corpus.name, "not specified", tuple(corpus.languages), corpus.revision
    )
    if spec.task is None:
        spec = replace(spec, task=TaskFacts(_task_name(corpus.name)))
    chosen = choose(corpus.name, tuple(corpus.languages), languages)
    return replace(corpus.restricted(chosen), spec=spec.restricted(chosen))


def evaluate_on(
    model: Any,
    corpus: ParallelCorpus,
    batch_size: int,
    progress: bool,
    keep_top: int | None = None,
    asked: AskedIndex | None = None,
) -> Result | IndexResult:
    """Evaluate a model of MTEB's on a corpus that ``read_corpus`` gave, and store nothing; see ``evaluate``.

    Args:
        model: The model.
        corpus: The corpus, with its spec.
        batch_size: Texts that the model is given at a time.
        progress: Show progress bars.
        keep_top: As for ``evaluate``.
        asked: The index, as ``asked_index`` gives it.
    """
    if asked is not None:
        return evaluate_index(model, corpus, asked, batch_size, progress, keep_top)
    return evaluate_with_table(model, corpus, batch_size, progress, keep_top)


def _task_name(corpus: str) -> str:
    """Return the name of the task of a corpus that has none: ``HelpCentre`` of ``help-centre``.

    Raises:
        DataError: No task can be named after it.
    """
    name = task_name_of(corpus)
    if not name[:1].isalpha():
        raise DataError(f"the corpus is called {shown(corpus)!r}; give it a name such as help-centre")
    return name
