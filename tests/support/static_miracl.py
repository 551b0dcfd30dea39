"""A data set of any size in the hub's layout of MIRACL, and a fast encoder of its words in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.small_miracl import LANGUAGES, QRELS
from tests.support.tiny_model import tiny_model

N_WORDS = 2_000
"""Words of each language."""

_QUERIES = pa.schema([("_id", pa.string()), ("text", pa.string())])
_CORPUS = _QUERIES.append(pa.field("title", pa.string()))


def save_encoder(folder: Path, seed: int = 0) -> Path:
    """Save a model of Sentence Transformers that averages the random vectors of the words of all languages."""
    words = [f"{language}{number}" for language in LANGUAGES for number in range(N_WORDS)]
    tiny_model(seed, words=words).save(str(folder), create_model_card=False)
    return folder


def write(folder: Path, n_passages: int, n_questions: int, words_of_passage: int = 20) -> Path:
    """Write the data set as a copy of the hub's repository and return its folder.

    A question asks for words of its right passages, one to three; every fiftieth passage repeats another, so that
    scores tie.

    Args:
        folder: Gets it.
        n_passages: Passages of each of the four languages.
        n_questions: Questions of each language.
        words_of_passage: Words of a passage.
    """
    lines = ["---", "configs:"]
    for language in LANGUAGES:
        rng = np.random.default_rng([*language.encode()])
        texts = rng.zipf(1.3, (n_passages, words_of_passage)) % N_WORDS
        repeated = np.arange(0, n_passages, 50)
        texts[repeated] = texts[rng.integers(n_passages, size=len(repeated))]
        first = rng.integers(n_passages, size=(n_questions, 1))
        right = (first + np.arange(3) * (n_passages // 3)) % n_passages
        n_right = rng.integers(1, 4, size=n_questions)
        asked = texts[right[:, 0]][:, : words_of_passage // 3]
        ids = [f"{number}#0" for number in range(n_passages)]
        tables = {
            "corpus": pa.table([ids, _joined(language, texts), [""] * n_passages], _CORPUS),
            "queries": pa.table([[*map(str, range(n_questions))], _joined(language, asked)], _QUERIES),
            "qrels": pa.table(
                [
                    np.repeat(np.arange(n_questions).astype(str), n_right),
                    [ids[row] for rows, n in zip(right, n_right, strict=True) for row in rows[:n]],
                    np.ones(n_right.sum(), dtype=np.int64),
                ],
                QRELS,
            ),
        }
        for kind, table in tables.items():
            config = f"{language}-{kind}"
            (folder / config).mkdir(parents=True, exist_ok=True)
            pq.write_table(table, folder / config / "dev-00000-of-00001.parquet")
            lines += [f"- config_name: {config}", "  data_files:", "  - split: dev", f"    path: {config}/dev-*"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")
    return folder


def _joined(language: str, texts: np.ndarray) -> list[str]:
    return [" ".join(f"{language}{number}" for number in words) for words in texts.tolist()]
