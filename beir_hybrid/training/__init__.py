"""Hybrid batches for Sentence Transformers: pairs, the batch sampler, the loss, and a trainer (arXiv 2408.10536)."""
