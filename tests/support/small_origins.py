"""Stand-ins for the data of MTEB's own tasks, made up here, as copies of repositories of the hub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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
    root: Path, task: str, n_questions: int = 6, n_passages: int = 20, seed: int = 0, **others: Any
) -> Path:
    """Write the data of a task with one subset a language: random judgments, the same in every language."""
    metadata = mteb.get_task(task).metadata
    rng = np.random.default_rng(seed)
    judged = [
        (f"{query}", f"{passage}", int(rng.integers(0, 3)) if place else 2)
        for query in range(n_questions)
        for place, passage in enumerate(rng.choice(n_passages, 3, replace=False))
    ]
    configs: dict[str, Rows] = {}
    for subset in metadata.hf_subsets:
        queries = {f"{number}": f"{subset} question {number}" for number in range(n_questions)}
        corpus = {
            f"{number}": (f"{subset} title {number % 3}", f"{subset} text {number}") for number in range(n_passages)
        }
        configs |= subset_rows(subset, queries, corpus, judged)
    return write_copy(root, metadata.dataset["path"], configs, metadata.eval_splits[0])
