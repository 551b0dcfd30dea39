"""What `beir-hybrid train` does: one run, its settings, its folder and what is written beside the weights."""
