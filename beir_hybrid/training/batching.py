"""The ways to make batches (arXiv 2408.10536)."""

from typing import Literal

Batching = Literal["hybrid", "monolingual", "cross-lingual"]
"""Which pairs batches are made of: x-x and x-y, only x-x, only x-y."""
