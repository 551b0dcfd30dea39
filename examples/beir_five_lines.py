"""BEIR in five lines, on a pool of many languages: python beir_five_lines.py [MODEL [DATA]].

MODEL is a Sentence Transformers model by hub id or folder, DATA a corpus (default: help-centre). It prints BEIR's own
figures for English questions in the pool of all languages, with mAP over the full ranking, and the same in the pool
of English passages: how much is lost between the two is what many languages cost.

Any retriever of BEIR can take the model's place. Without MODEL it is the offline encoder, and nothing is downloaded.
"""

import sys
from pathlib import Path

from beir.retrieval import models
from beir.retrieval.search.dense import DenseRetrievalExactSearch as DRES

from beir_hybrid.beir import evaluate
from beir_hybrid.models.base import find_base

encoder = models.SentenceBERT(sys.argv[1] if sys.argv[1:] else None)
if not sys.argv[1:]:
    encoder.q_model = encoder.doc_model = find_base("offline").load()
data = sys.argv[2] if sys.argv[2:] else Path(__file__).with_name("help-centre")

for passages in ("multi", "en"):
    evaluation = evaluate(DRES(encoder), data, questions="en", passages=passages)
    print(f"English questions, pool {passages}: nDCG@10 {evaluation.ndcg['NDCG@10']:.3f}, mAP {evaluation.map:.3f}")
