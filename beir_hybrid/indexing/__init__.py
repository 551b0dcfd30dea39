"""What an approximate index does to languages: faiss indexes over a whole pool, and what they find of it."""
