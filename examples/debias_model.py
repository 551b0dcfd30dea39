"""Take the language out of embeddings, without training: python debias_model.py [MODEL [OUT [SENTENCES]]].

MODEL is a folder, a hub id, or "offline" (default). SENTENCES names where each language's sentences come from:
atlas-r (default, generated), ntrex (a download), or a folder of <language>.txt. A linear layer that takes out the
directions in which the languages' means differ is fitted on 100 of each, which need not be translations, and put
behind the model.

It prints mAP and language figures of both on Atlas-R's other half, in the pool of three languages: rank distance
falls and mAP in that pool rises. The new model in OUT (default: debiased) is an ordinary SentenceTransformer.
"""

import sys

import beir_hybrid as bh
from beir_hybrid.debias import debias
from beir_hybrid.debias.sentences import read_sentences
from beir_hybrid.models.base import find_base

LANGUAGES = ["de", "en", "es"]

name, out, source = sys.argv[1:] + ["offline", "debiased", "atlas-r"][len(sys.argv) - 1 :]
model = find_base(name, asked_by="").load()
sentences = read_sentences(source, LANGUAGES).fitted(100).texts  # any texts do: {"de": [...], "en": [...], "es": [...]}
debiased = debias(model, sentences, method="projection")
debiased.save_pretrained(out)

corpus = bh.load("atlas-r", LANGUAGES)
before = bh.evaluate(model, corpus, name="example/before")
after = bh.evaluate(debiased, corpus, name="example/after")
print(before, after, bh.compare(after, before), sep="\n\n")
