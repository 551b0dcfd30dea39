"""Data sets of the Hugging Face hub: the user's own copies of them, and corpora that are made of them."""
