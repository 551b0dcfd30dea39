"""Fingerprints of training texts, and whether an evaluation was among them."""
