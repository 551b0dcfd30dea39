"""BEIR-Hybrid: multilingual retrieval for MTEB, BEIR and Sentence Transformers.

Importing this package is cheap on purpose: the autoload hook does it in every Python process.
"""

from beir_hybrid import moved

__version__ = "0.1.0"

moved.install()
