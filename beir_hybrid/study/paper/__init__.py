"""The reproduction of arXiv 2408.10536: its claims, its figures and its page."""
