"""The tasks for MTEB. ``TASKS`` are entered in its registry by ``beir_hybrid.registration``."""

from beir_hybrid.tasks.language_bias import MLQARLanguageBias, XQuADRLanguageBias
from beir_hybrid.tasks.mlqa_r import MLQAR
from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval
from beir_hybrid.tasks.xquad_r import XQuADR

TASKS = (XQuADR, XQuADRLanguageBias, MLQAR, MLQARLanguageBias)

__all__ = ["MLQAR", "TASKS", "AbsTaskParallelRetrieval", "MLQARLanguageBias", "XQuADR", "XQuADRLanguageBias"]
