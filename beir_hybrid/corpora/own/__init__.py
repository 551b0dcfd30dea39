"""Corpora in folders: the user's own (docs/own-data.md), and BEIR's."""

from beir_hybrid.corpora.own.specs import spec_of_beir, spec_of_folder

__all__ = ["spec_of_beir", "spec_of_folder"]
