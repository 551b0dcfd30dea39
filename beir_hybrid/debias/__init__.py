"""Maps that take the language out of embeddings: fitted in seconds on some sentences a language, without pairs.

``fit`` takes embeddings and gives a map, whose ``transform`` takes others; ``debias`` takes a SentenceTransformer and
gives one with the map behind it. Maps that must know the language of each text stand behind an `AwareTransformer`, in
BEIR an `AwareRetriever`, in MTEB a `beir_hybrid.mteb.aware_encoder.AwareEncoder`.
"""

from __future__ import annotations

from beir_hybrid.debias.aware import NEAREST, AwareRetriever, AwareTransformer, debiased, tell
from beir_hybrid.debias.dense import debias, fit
from beir_hybrid.debias.map_files import read_map, write_map
from beir_hybrid.debias.maps import METHODS, Centring, DebiasError, Leace, Lir, Map, Projection

__all__ = [
    "METHODS",
    "NEAREST",
    "AwareRetriever",
    "AwareTransformer",
    "Centring",
    "DebiasError",
    "Leace",
    "Lir",
    "Map",
    "Projection",
    "debias",
    "debiased",
    "fit",
    "read_map",
    "tell",
    "write_map",
]
