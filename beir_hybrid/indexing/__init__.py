"""faiss indexes over a pool: built and searched as they would be served, and what they find of the exact ranking."""

INDEX_K = 1000
"""Passages that an index is asked for by default."""
