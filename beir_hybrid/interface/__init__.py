"""What a notebook needs: evaluate any model on any corpus, look at what came out, and compare it.

The names stand at the top of the package, ``beir_hybrid.evaluate`` and so on, and are loaded when they are used.
"""

from beir_hybrid.corpora import load
from beir_hybrid.interface.evaluate_model import evaluate
from beir_hybrid.interface.model_comparison import ModelComparison, compare
from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.interface.result import Result

__all__ = ["ModelComparison", "RankTable", "Result", "compare", "evaluate", "load"]
