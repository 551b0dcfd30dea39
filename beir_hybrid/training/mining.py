"""Hard negatives for pairs that have none: the answers of other questions that a model takes for the likeliest.

They come from ``mine_hard_negatives`` of Sentence Transformers, through faiss. It leaves out the answers of the very
question only, and answers are shared: it is asked for more, and those that are right for another reason are left out
here.

    from beir_hybrid.training import load_pairs, mine, pair_datasets, read_source

    pairs, left_short = mine(read_source("mlqa-r"), model, 4)
    train_dataset = pair_datasets([pairs], negatives="question")
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from beir_hybrid.errors import DataError
from beir_hybrid.quiet import no_bars
from beir_hybrid.training.parallel_pairs import ParallelPairs, text_columns

if TYPE_CHECKING:
    import pyarrow as pa
    from sentence_transformers import SentenceTransformer


class Mined(NamedTuple):
    """Pairs with hard negatives, and language -> the number of its rows for which there were too few."""

    pairs: ParallelPairs
    left_short: dict[str, int]

    def summary(self) -> str:
        """Return in one line how many hard negatives there are, and where they are missing."""
        missing = ", ".join(f"{number:,} in {language}" for language, number in self.left_short.items() if number)
        rows = f"rows with fewer, which are left out: {missing}" if missing else "no row has fewer"
        return f"{self.pairs.n_negatives} hard negatives a question in each language; {rows}"


def mine(
    pairs: ParallelPairs,
    model: SentenceTransformer,
    k: int,
    *,
    margin: float | None = None,
    batch_size: int = 32,
    progress: bool = True,
) -> Mined:
    """Find hard negatives: for a question in each language, the likeliest of the source's other answers in it.

    An answer is no negative of a question if one of the question's rows has its label, or if its text is, in any
    language, that of an answer of such a row. So translations of the answer, and passages that answer the question as
    well, are none.

    Args:
        pairs: The pairs, without hard negatives.
        model: Embeds the texts, by ``encode_query`` and ``encode_document``.
        k: Hard negatives a row.
        margin: Leave out what scores above the answer's own score less this share of it, e.g. 0.05
            (arXiv 2407.15831); by default nothing.
        batch_size: Texts that are embedded at once.
        progress: Show progress bars.

    Returns:
        The pairs with k hard negatives in each language, the likeliest first; null where a row lacks the question or
        the answer in the language, or has fewer than k. And how many are left short for the latter reason.

    Raises:
        DataError: k is below 1 or as large as the number of a language's answers, or there are hard negatives already.
    """
    check_minable(pairs, k)
    texts_of_label = _texts_by_label(pairs)
    negatives, left_short = {}, {}
    for language in pairs.languages:
        rows, right = _right_texts(pairs, language, texts_of_label)
        with no_bars(progress):
            ranked = _ranked_answers(rows.values(), right, pairs.answers[language], model, k, margin, batch_size)
        found = {row: ranked[question][:k] for row, (question, _) in rows.items()}
        whole = {row: texts for row, texts in found.items() if len(texts) == k}
        left_short[language] = len(rows) - len(whole)
        negatives[language] = text_columns(whole, k, len(pairs.labels))
    return Mined(replace(pairs, negatives=negatives), left_short)


def check_minable(pairs: ParallelPairs, k: int) -> None:
    """Refuse pairs that k hard negatives cannot be found for, before their texts are embedded.

    Raises:
        DataError: k is below 1 or as large as the number of a language's answers, or there are hard negatives already.
    """
    if k < 1:
        raise DataError(f"{k} hard negatives asked for; ask for 1 or more")
    if pairs.n_negatives:
        raise DataError(f"{pairs.source}: has hard negatives already; train on it as it is, without mining")
    for language, answers in pairs.answers.items():
        number = len(answers.unique().drop_null())
        if k >= number:
            raise DataError(
                f"{pairs.source}: {k} hard negatives asked for, but {language} has {number} different answers; "
                "ask for fewer, or choose other languages"
            )


def _texts_by_label(pairs: ParallelPairs) -> Mapping[int, set[str]]:
    """Return label -> the texts of its answers in all languages."""
    texts: defaultdict[int, set[str]] = defaultdict(set)
    for column in pairs.answers.values():
        for label, text in zip(pairs.labels.tolist(), column.to_pylist(), strict=True):
            if text is not None:
                texts[label].add(text)
    return texts


def _right_texts(
    pairs: ParallelPairs, language: str, texts_of_label: Mapping[int, set[str]]
) -> tuple[dict[int, tuple[str, str]], dict[str, set[str]]]:
    """Return the rows of a language, number -> question and answer, and question -> all texts that are right for it."""
    columns = pairs.questions[language].to_pylist(), pairs.answers[language].to_pylist()
    rows: dict[int, tuple[str, str]] = {}
    right: defaultdict[str, set[str]] = defaultdict(set)
    for row, (question, answer) in enumerate(zip(*columns, strict=True)):
        if question is not None and answer is not None:
            rows[row] = (question, answer)
            right[question] |= texts_of_label[int(pairs.labels[row])]  # rows of one question may have two labels
    return rows, right


def _ranked_answers(
    rows: Collection[tuple[str, str]],
    right: Mapping[str, set[str]],
    pool: pa.ChunkedArray,
    model: SentenceTransformer,
    k: int,
    margin: float | None,
    batch_size: int,
) -> dict[str, list[str]]:
    """Return question -> texts of the pool that are not right for it, the likeliest first: at least k, if there are."""
    from datasets import Dataset
    from sentence_transformers.util import mine_hard_negatives

    questions, answers = zip(*rows, strict=True) if rows else ((), ())
    ranked: dict[str, list[str]] = {question: [] for question in questions}
    if not ranked:
        return ranked
    corpus = pool.unique().drop_null().to_pylist()
    distinct = set(corpus)
    most = max(len(texts & distinct) for texts in right.values())
    mined = mine_hard_negatives(
        Dataset.from_dict({"question": questions, "answer": answers}),
        model,
        corpus=corpus,
        num_negatives=min(k + most, len(corpus)),
        relative_margin=margin,
        output_format="labeled-list",
        use_faiss=True,
        batch_size=batch_size,
        verbose=False,
    )
    for question, (_, *others) in zip(mined["question"], mined["answer"], strict=True):
        ranked[question] = [text for text in others if text not in right[question]]
    return ranked
