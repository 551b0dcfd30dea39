"""Maps that take the language out of embeddings: fitted in seconds on some sentences a language, without pairs.

``fit`` takes embeddings and gives a map, whose ``transform`` takes others; ``debias`` takes a SentenceTransformer and
gives one with the map behind it.
"""

from __future__ import annotations

from beir_hybrid.debias.dense import debias, fit
from beir_hybrid.debias.maps import METHODS, Centring, DebiasError, Leace, Lir, Map, Projection

__all__ = ["METHODS", "Centring", "DebiasError", "Leace", "Lir", "Map", "Projection", "debias", "fit"]
