"""Corpora in folders: the user's own (docs/own-data.md), and BEIR's."""

from beir_hybrid.corpora.own.specs import folder_of, spec_of_address, spec_of_beir, spec_of_folder

__all__ = ["folder_of", "spec_of_address", "spec_of_beir", "spec_of_folder"]
