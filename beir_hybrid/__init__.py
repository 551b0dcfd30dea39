"""BEIR-Hybrid: multilingual retrieval for MTEB, BEIR and Sentence Transformers.

Importing this package is cheap on purpose: the autoload hook does it in every Python process.
"""

import sys

__version__ = "0.1.0"


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
