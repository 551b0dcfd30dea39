"""faiss indexes over a pool: built and searched as they would be served, and what they find of the exact ranking."""
