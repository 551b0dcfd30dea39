"""Evaluate any model on any corpus: python evaluate_model.py [MODEL [DATA [OUT]]].

MODEL is whatever `mteb run -m` takes: a name that MTEB knows, "ours", or the folder of a model. Without one it is a
function of this file: whatever gives a vector for each text is a model, too, and this one needs nothing to be
installed. DATA is the folder of a corpus (default: help-centre), a data set such as xquad-r, or mteb:TASK for a task
of MTEB's.

It prints mAP with questions and passages in one language (monolingual), in two (cross-lingual) and in the pool of all
(multilingual), how questions of each language are treated there, and the three pairs of languages that fare worst.
Below OUT it leaves the rank table, MTEB's result, and the heat map of question and answer languages.
"""

import sys
from pathlib import Path
from zlib import crc32

import numpy as np

import beir_hybrid as bh


def letters(texts):
    """Stand for your model: texts that share groups of four letters have similar vectors."""
    vectors = np.zeros((len(texts), 2048), dtype=np.float32)
    for vector, text in zip(vectors, texts, strict=True):
        vector[[crc32(text.lower()[start : start + 4].encode()) % 2048 for start in range(len(text))]] = 1
    return vectors


given = dict(enumerate(sys.argv))
model, data = given.get(1, letters), given.get(2, Path(__file__).with_name("help-centre"))

result = bh.evaluate(model, data)
print(result)  # a table in a notebook
print(
    result.languages[["rank_distance", "same_language_share_at_10"]]
)  # a data frame, as are result.scores and result.ranks
print(result.worst_pairs(3))
result.save(given.get(3, "evaluation"))
