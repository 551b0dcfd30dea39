"""Stand-ins for the data of MTEB's own tasks, made up here, as copies of repositories of the hub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beir_hybrid.corpora.mteb_pools.layouts import layout_of

Rows = list[dict[str, Any]]


def write_copy(root: Path, repository: str, configs: Mapping[str, Rows], split: str) -> Path:
    """Write a copy of a repository of the hub with one split, in a folder that BEIR_HYBRID_HUB can name."""
    folder = root / repository
    lines = ["---", "configs:"]
    for config, rows in configs.items():
        (folder / config).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / config / f"{split}-00000-of-00001.parquet")
        lines += [f"- config_name: {config}", "  data_files:", f"  - split: {split}", f"    path: {config}/{split}-*"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")
    return folder


def subset_rows(
    subset: str,
    queries: Mapping[str, str],
    corpus: Mapping[str, str | tuple[str, str]],
    qrels: Iterable[tuple[str, str, int]],
) -> dict[str, Rows]:
    """Return the configurations of a subset in MTEB's layout.

    Args:
        subset: Its name.
        queries: Id -> text.
        corpus: Id -> text, or title and text.
        qrels: Question id, passage id and grade.
    """
    passages = [
        {"_id": name, "text": text} if isinstance(text, str) else {"_id": name, "title": text[0], "text": text[1]}
        for name, text in corpus.items()
    ]
    return {
        f"{subset}-corpus": passages,
        f"{subset}-queries": [{"_id": name, "text": text} for name, text in queries.items()],
        f"{subset}-qrels": [{"query-id": q, "corpus-id": p, "score": grade} for q, p, grade in qrels],
    }


def write_monolingual(
    root: Path,
    task: str,
    n_questions: int = 6,
    n_passages: int = 20,
    seed: int = 0,
    languages: Iterable[str] | None = None,
) -> Path:
    """Write the data of a task with one subset a language: random judgments, the same in every language.

    No passage answers the question of its own id, which is there as well.
    """
    metadata = mteb.get_task(task).metadata
    rng = np.random.default_rng(seed)
    judged = [
        (f"{query}", f"{passage}", int(rng.integers(0, 3)) if place else 2)
        for query in range(n_questions)
        for place, passage in enumerate(rng.choice(np.delete(np.arange(n_passages), query), 3, replace=False))
    ]
    configs: dict[str, Rows] = {}
    layout = layout_of(task, metadata.hf_subsets_to_langscripts)
    for subset in [layout.subsets[language] for language in languages or layout.languages]:
        queries = {f"{number}": f"{subset} question {number}" for number in range(n_questions)}
        corpus = {
            f"{number}": (f"{subset} title {number % 3}", f"{subset} text {number}") for number in range(n_passages)
        }
        configs |= subset_rows(subset, queries, corpus, judged)
    return write_copy(root, metadata.dataset["path"], configs, metadata.eval_splits[0])


def belebele_rows(
    subset: str, n_passages: int, n_questions: int, rng: np.random.Generator, doubled: int = 0, vocabulary: int = 50
) -> Rows:
    """Return the rows of a language in the layout of Belebele: one or two questions a passage, in an order of its own.

    Args:
        subset: Its configuration, such as ``deu_Latn``.
        n_passages: Passages, each of a link of its own.
        n_questions: Questions, from ``n_passages`` to twice as many.
        rng: Orders the rows.
        doubled: Questions whose text stands once more, on another passage.
        vocabulary: Words of the language; passages that are translations have the same numbers of words.
    """
    keys = [(number % n_passages, 1 + number // n_passages) for number in range(n_questions)]
    questions = {key: f"{subset} {key[0] % vocabulary} {key[1]} {key[0]} ?" for key in keys}
    for place in 2 * rng.choice(n_questions // 2, doubled, replace=False):
        questions[keys[place + 1]] = questions[keys[place]]
    rows = [
        {
            "link": f"https://example.org/{passage}",
            "question_number": number,
            "flores_passage": f"{subset} {passage % vocabulary} {passage % 7} {passage} .",
            "question": questions[passage, number],
            **{f"mc_answer{answer}": f"{subset} answer {answer}" for answer in range(1, 5)},
            "correct_answer_num": "1",
            "dialect": subset,
            "ds": "2023-05-03",
        }
        for passage, number in keys
    ]
    return [rows[place] for place in rng.permutation(len(rows))]


def write_belebele(root: Path, subsets: Iterable[str], n_passages: int, n_questions: int, doubled: int = 0) -> Path:
    """Write a copy of Belebele with some languages, in which some questions stand twice in some languages."""
    rng = np.random.default_rng(0)
    configs = {
        subset: belebele_rows(subset, n_passages, n_questions, rng, doubled if place % 2 else 0)
        for place, subset in enumerate(subsets)
    }
    return write_copy(root, "mteb/belebele", configs, "test")


def write_pairs(root: Path, task: str, languages: Iterable[str], n_articles: int = 8, seed: int = 0) -> Path:
    """Write what some languages need of a task with one subset a pair of languages, that of the passages first.

    There are two questions on each article. Every language lacks one of them, and ids are numbered anew in each subset.
    """
    metadata = mteb.get_task(task).metadata
    rng = np.random.default_rng(seed)
    questions = [(article, number) for article in range(n_articles) for number in range(2)]
    codes = sorted({code for pair in metadata.hf_subsets_to_langscripts.values() for code in pair})
    lacking = {code: questions[place] for place, code in enumerate(codes)}
    configs: dict[str, Rows] = {}
    layout = layout_of(task, metadata.hf_subsets_to_langscripts)
    for pair, subset in layout.pairs.items():
        if pair.passages not in languages or (pair.questions not in languages and pair.passages in layout.subsets):
            continue
        passages, asked = metadata.hf_subsets_to_langscripts[subset]
        kept = [question for question in questions if question not in (lacking[passages], lacking[asked])]
        query_ids = dict(zip(kept, rng.permutation(len(kept)).tolist(), strict=True))
        articles = [article for article in range(n_articles) if any(article == of for of, _ in kept)]
        passage_ids = dict(zip(articles, rng.permutation(len(articles)).tolist(), strict=True))
        configs |= subset_rows(
            subset,
            {
                f"{query_ids[q]}": f"{asked} question {q[0]} {q[1]}"
                for q in rng.permutation(kept).tolist()
                for q in [(*q,)]
            },
            {f"{passage_ids[a]}": f"{passages} article {a}" for a in rng.permutation(articles).tolist()},
            [(f"{query_ids[q]}", f"{passage_ids[q[0]]}", 1) for q in kept],
        )
    return write_copy(root, metadata.dataset["path"], configs, metadata.eval_splits[0])
