"""What faiss indexes find of the offline encoder's rankings on XQuAD-R, as it is and behind the projection.

Run it as

    python -m benchmarks.indexes

It writes its record and prints it. Embeddings are kept as those of training texts are; the projection is fitted on the
lines of NTREX-128 that `tools.debiased_rows` fits it on.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from beir_hybrid.corpora import load
from beir_hybrid.debias.maps import Projection
from beir_hybrid.files import write_json
from beir_hybrid.indexing import INDEX_K
from beir_hybrid.indexing.index_table import IndexRow
from beir_hybrid.interface.evaluate_model import read_corpus
from beir_hybrid.interface.index_evaluation import AskedIndex, exactly, indexed, metric_of
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.models.base import find_base
from beir_hybrid.mteb.aware_encoder import AwareEncoder
from beir_hybrid.subsets import SETTINGS
from benchmarks.debias import RECORD
from tools.debiased_rows import Encoder, Rows

INDEXES: tuple[tuple[str, dict[str, float]], ...] = (
    ("IVF64,Flat", {"nprobe": 1}),
    ("IVF64,Flat", {"nprobe": 4}),
    ("IVF64,Flat", {"nprobe": 8}),
    ("IVF64,Flat", {"nprobe": 16}),
    ("IVF128,Flat", {"nprobe": 8}),
    ("IVF128,Flat", {"nprobe": 16}),
    ("HNSW32", {"efSearch": 16}),
    ("HNSW32", {"efSearch": 64}),
    ("SQ8", {}),
    ("PQ48", {}),
)


def figures_of(name: str, table: RankTable, row: IndexRow) -> dict[str, Any]:
    """Return what the record says of an index: shares and the mAP of each setting, to three decimals."""
    shares = {key: round(value, 3) for key, value in vars(row).items() if isinstance(value, float)}
    return {"index": name, **shares, **{setting: round(float(table.settings[setting]), 3) for setting in SETTINGS}}


def main() -> None:
    """Measure, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RECORD.with_name("indexes.json"), help="the record to write")
    parser.add_argument("--index-k", type=int, default=INDEX_K, help="passages that an index is asked for")
    options = parser.parse_args()
    corpus = read_corpus(load("xquad-r"))
    encoder = Encoder(find_base("offline"), progress=False)
    encoder.remember("XQuADR")
    plain = encoder.model(encoder.name)
    figures: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        fitted = Rows(encoder, Path(folder)).fitted(Projection.method)
    for name, model in {"untuned": plain, "projection": AwareEncoder(plain, fitted)}.items():
        exact, embeddings = exactly(model, corpus, 1024, progress=False)
        rows = figures[name] = []
        for factory, params in INDEXES:
            start = time.perf_counter()
            asked = AskedIndex(factory, params, options.index_k)
            table = indexed(exact, corpus, embeddings, metric_of(model), asked)
            assert table.index is not None
            means = table.index.means
            if not rows:
                exactly_found = IndexRow("all", 1.0, 1.0, means.exact_own, means.exact_other, None, None)
                rows.append(figures_of("exact", exact, exactly_found))
                print(name, rows[-1], flush=True)
            rows.append(figures_of(table.index.name, table, means))
            print(name, rows[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
            write_json(
                options.out,
                {
                    "what": "Indexes of faiss over the pool of all languages of XQuAD-R, embeddings of the offline "
                    "encoder, untuned and behind the projection fitted on NTREX-128. top: share of the exact top ten "
                    "in the first ten of the index; answers: share of the right answers in its first hundred; both for "
                    "passages in the question's language (own) and in others, plain means over question languages. "
                    f"mAP of each setting on the {options.index_k} passages that the index was asked for.",
                    "command": "python -m benchmarks.indexes",
                    "index_k": options.index_k,
                    "figures": figures,
                },
                indent=1,
            )
    print(options.out)


if __name__ == "__main__":
    main()
