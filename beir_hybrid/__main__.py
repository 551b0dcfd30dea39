"""``python -m beir_hybrid`` is ``beir-hybrid``."""

from beir_hybrid.cli import main

main()
