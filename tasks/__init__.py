"""The tasks for MTEB. ``TASKS`` and ``BENCHMARKS`` are entered in its registries by ``beir_hybrid.mteb.registration``.

Whoever imports mteb loads these modules, so they import what needs torch inside the methods that use it.
"""

from beir_hybrid.tasks.atlas_r import AtlasR, AtlasRLanguageBias
from beir_hybrid.tasks.benchmark import BEIR_HYBRID
from beir_hybrid.tasks.language_bias import MLQARLanguageBias, XQuADRLanguageBias
from beir_hybrid.tasks.miracl import MIRACLCL, MIRACLCLFull
from beir_hybrid.tasks.mlqa_r import MLQAR
from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval
from beir_hybrid.tasks.xquad_r import XQuADR

TASKS = (
    XQuADR,
    XQuADRLanguageBias,
    MLQAR,
    MLQARLanguageBias,
    MIRACLCL,
    MIRACLCLFull,
    AtlasR,
    AtlasRLanguageBias,
)
BENCHMARKS = (BEIR_HYBRID,)

__all__ = [
    "BENCHMARKS",
    "MIRACLCL",
    "MLQAR",
    "TASKS",
    "AbsTaskParallelRetrieval",
    "AtlasR",
    "AtlasRLanguageBias",
    "MIRACLCLFull",
    "MLQARLanguageBias",
    "XQuADR",
    "XQuADRLanguageBias",
]
