"""Encode once, count, and compute everything else from the counts."""
