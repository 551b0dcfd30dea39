"""Own data, from load to compare: a corpus is a folder, and a model anything that gives vectors."""

from pathlib import Path
from zlib import crc32

import numpy as np

import beir_hybrid as bh


def words(texts, pieces=str.split):
    """Stand for your model: a SentenceTransformer, a model of MTEB or BEIR, or a name that `mteb run -m` takes."""
    vectors = np.zeros((len(texts), 2048), dtype=np.float32)
    for vector, text in zip(vectors, texts, strict=True):
        vector[[crc32(piece.encode()) % 2048 for piece in pieces(text.lower())]] = 1
    return vectors


def letters(texts):
    """Compare texts by four letters in a row."""
    return words(texts, lambda text: [text[start : start + 4] for start in range(len(text))])


corpus = bh.load(Path(__file__).with_name("help-centre"), languages=["en", "de", "fr"])
result, baseline = bh.evaluate(letters, corpus), bh.evaluate(words, corpus)
print(result)  # a table in a notebook; result.scores, result.languages and result.ranks are data frames
print(result.worst_pairs(3))
print(bh.compare(result, baseline))
result.save("own-data")  # rank table, MTEB's result, heat map; result.heat_map() is a figure of matplotlib
