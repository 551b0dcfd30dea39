"""From parallel corpora to what Sentence Transformers trains on: one data set a language pair, ``en-en``, ``en-de``.

A pair has the columns ``question``, ``answer`` and ``label``; the label is the same for the same answer in every
language, so that a loss can tell a second right answer from a wrong one. No text is copied for a pair.

    from beir_hybrid.training.pairs import load_pairs

    train_dataset = load_pairs("xquad-r", "ntrex-next", languages=["en", "de", "tr"])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from beir_hybrid.corpora import CorpusSpec, registry
from beir_hybrid.corpora.source_names import FORMS, is_corpus
from beir_hybrid.errors import DataError
from beir_hybrid.files import user_path
from beir_hybrid.subsets import Subset
from beir_hybrid.training import pair_files, pair_sources
from beir_hybrid.training.batching import Batching
from beir_hybrid.training.negatives import Negatives
from beir_hybrid.training.parallel_pairs import ParallelPairs

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

__all__ = ["Batching", "ParallelPairs", "load_pairs", "pair_datasets", "read_source"]

Source = str | Path | CorpusSpec
"""A source of pairs: its name, the path of a file or folder, or the spec of a corpus."""


def read_source(source: Source, languages: Iterable[str] | None = None, progress: bool = True) -> ParallelPairs:
    """Read question-answer pairs.

    Args:
        source: ``xquad-r``, ``mlqa-r``; ``ntrex-translation`` (a sentence and its translation), ``ntrex-next`` (a
            sentence and the one after it), ``ntrex`` (both); ``atlas`` (Atlas-R's train split, generated here, for
            quick experiments); any other retrieval corpus: the folder of one, ``mteb:TASK``, ``hub:OWNER/NAME`` or
            ``beir:FOLDER``; or the user's own pairs, with the texts ``id``,
            ``language``, ``question`` and ``answer`` (entries of one id are translations of each other): a file
            ``.jsonl``, ``.jsonl.gz`` or ``.parquet``, a folder of ``Dataset.save_to_disk``, or a data set of the
            Hugging Face hub, ``org/name`` or ``org/name:split`` (``train`` by default).
        languages: Language tags, or one of them as text; None for all languages of the source.
        progress: Show progress bars for downloads, if standard error is a terminal.

    Returns:
        The pairs, the languages in the order of the source.

    Raises:
        DataError: The source or a language is unknown, missing or malformed.
        BeirHybridError: The cache folder cannot be written to.
    """
    source = _name_of(source)
    if source in registry.pair_sources():
        return pair_sources.read_named(source, languages, progress)
    spec = registry.find(source)
    if (spec is None or not spec.pairs) and is_corpus(source):  # the test split of one with pairs is not for training
        return pair_sources.read_corpus(source, languages, progress)
    if pair_files.is_own(source):
        return pair_files.read_own(source, languages)
    known = ", ".join(registry.pair_sources())
    raise DataError(
        f"unknown pairs {source!r}; known: {known}, a .jsonl, .jsonl.gz or .parquet file, a folder of "
        f"Dataset.save_to_disk, a data set of the hub, org/name, and {FORMS}"
    )


def _name_of(source: Source) -> str:
    """Return a source as it is written on the command line."""
    if isinstance(source, CorpusSpec):
        return source.name
    if isinstance(source, Path):
        return str(user_path(source).absolute())  # never the name of a source, nor of a data set of the hub
    if not isinstance(source, str):
        raise DataError(
            f"a source of pairs is a name or a path, not a {type(source).__name__}; save a data set by "
            "Dataset.save_to_disk and name its folder"
        )
    return str(user_path(source)) if source.startswith("~") else source


def pair_datasets(
    parts: Sequence[ParallelPairs], batching: Batching = "hybrid", negatives: Negatives = "answer"
) -> DatasetDict:
    """Make one data set a language pair; the rows of several sources follow each other.

    Args:
        parts: The sources. Their labels are counted on, so that those of two sources are never equal: the same texts
            must not come from two of them, e.g. as ``ntrex`` and ``ntrex-next``.
        batching: ``hybrid`` or ``mixed`` for all pairs, ``monolingual`` for x-x, ``cross-lingual`` for x-y.
        negatives: Whose language the hard negatives of the sources are in, if they have any; ``none`` leaves them out.

    Returns:
        Pair, question language first, -> its data set, see ``ParallelPairs.dataset``; pairs without rows are left out.

    Raises:
        DataError: No pair has any row, there is no such batching, or not every source has the same number of hard
            negatives.
    """
    from datasets import DatasetDict

    if batching not in get_args(Batching):
        raise DataError(f"unknown batching {batching!r}; known: {', '.join(get_args(Batching))}")
    _check_negatives(parts, negatives)
    parts = _with_labels_of_their_own(parts)
    languages = tuple(dict.fromkeys(language for part in parts for language in part.languages))
    pairs = {}
    for question_language, answer_language in product(languages, repeat=2):
        if batching in ("hybrid", "mixed") or (batching == "monolingual") == (question_language == answer_language):
            dataset = _dataset(parts, question_language, answer_language, negatives)
            if dataset is not None:
                pairs[str(Subset(question_language, answer_language))] = dataset
    if not pairs:
        names = ", ".join(part.source for part in parts) or "no source"
        kind = "pair" if batching in ("hybrid", "mixed") else f"{batching} pair"
        raise DataError(
            f"{names}: no {kind} in {', '.join(languages) or 'any language'}; "
            "choose more languages, other sources or another batching"
        )
    return DatasetDict(pairs)


def load_pairs(
    *sources: Source,
    languages: Iterable[str] | None = None,
    batching: Batching = "hybrid",
    negatives: Negatives = "answer",
    progress: bool = True,
) -> DatasetDict:
    """Read sources and make one data set a language pair, as ``read_source`` and ``pair_datasets`` do.

    Args:
        sources: Names or paths of sources.
        languages: Language tags, or one of them as text, which every source must have; None for all languages of
            each.
        batching: ``hybrid`` or ``mixed`` for all pairs, ``monolingual`` for x-x, ``cross-lingual`` for x-y.
        negatives: Whose language the hard negatives of the sources are in, if they have any; ``none`` leaves them out.
        progress: Show progress bars for downloads, if standard error is a terminal.

    Returns:
        Pair, question language first, -> columns ``question``, ``answer``, those of hard negatives, ``label``.

    Raises:
        DataError: As for ``read_source`` and ``pair_datasets``.
        BeirHybridError: The cache folder cannot be written to.
    """
    asked = [languages] if isinstance(languages, str) else None if languages is None else list(languages)
    return pair_datasets([read_source(source, asked, progress) for source in sources], batching, negatives)


def _check_negatives(parts: Sequence[ParallelPairs], negatives: Negatives) -> None:
    if negatives not in get_args(Negatives):
        raise DataError(f"unknown negatives {negatives!r}; known: {', '.join(get_args(Negatives))}")
    numbers = {part.n_negatives: part.source for part in reversed(parts)}
    if negatives != "none" and len(numbers) > 1:
        has = ", ".join(f"{source} has {number}" for number, source in sorted(numbers.items()))
        raise DataError(f"all sources need equally many hard negatives a row, but {has}; leave them out with 'none'")


def _with_labels_of_their_own(parts: Sequence[ParallelPairs]) -> list[ParallelPairs]:
    """Return the parts with labels that follow on those of the parts before."""
    renumbered, first = [], 0
    for part in parts:
        renumbered.append(part.with_labels_from(first) if first else part)
        first += int(part.labels.max(initial=-1)) + 1
    return renumbered


def _dataset(
    parts: Sequence[ParallelPairs], question_language: str, answer_language: str, negatives: Negatives
) -> Dataset | None:
    """Return the rows of one pair in all sources, None if there are none."""
    from datasets import DatasetInfo, concatenate_datasets

    shares = [
        dataset
        for part in parts
        if {question_language, answer_language} <= set(part.languages)
        and len(dataset := part.dataset(question_language, answer_language, negatives))
    ]
    if len(shares) <= 1:
        return shares[0] if shares else None
    # The info that datasets would merge from the parts has lost the name of the pair.
    return concatenate_datasets(shares, info=DatasetInfo(config_name=shares[0].info.config_name))
