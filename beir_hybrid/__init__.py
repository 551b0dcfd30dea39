"""BEIR-Hybrid: multilingual retrieval for MTEB, BEIR and Sentence Transformers.

``load``, ``evaluate``, ``compare`` and ``RankTable`` are all that a notebook needs; they are loaded when they are used.
Importing this package is cheap on purpose: the autoload hook does it in every Python process.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from beir_hybrid.corpora import load as load
    from beir_hybrid.interface import RankTable as RankTable
    from beir_hybrid.interface import compare as compare
    from beir_hybrid.interface import evaluate as evaluate

__version__ = "0.1.0"

__all__ = ["RankTable", "compare", "evaluate", "load"]


class _OldNames:
    """The last finder on ``sys.meta_path``, asked for what no other knows: modules that had other names before."""

    @staticmethod
    def find_spec(name, path=None, target=None):  # no types: importing them would cost every process
        if not name.startswith("beir_hybrid.") or name == "beir_hybrid.moved":
            return None
        try:
            from beir_hybrid import moved
        except ImportError:  # half of the package is gone, and the module that is asked for is what to tell of
            return None
        return moved.find_spec(name)


if not any(getattr(finder, "__qualname__", "") == _OldNames.__qualname__ for finder in sys.meta_path):
    sys.meta_path.append(_OldNames)


if not TYPE_CHECKING:  # which would take every name for one of these

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from beir_hybrid import interface

        return getattr(interface, name)


def __dir__():
    return sorted({*globals(), *__all__})
